"""Values while a program is adopted: arrays, tuples of values, quantized arrays; and known ones.

A tuple is a Python tuple and a token one without parts. The form of a value is what a region must
be told about it in order to take it as an argument: its type, or more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import Source
from arraylib.hlo.ir import Builder, Graph, Node, Type, Value, known as array_of, regions
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops.constant import constant
from arraylib.hlo.passes.rewrite import is_pure
from arraylib.hlo.passes.rules.schemes import Quantized
from arraylib.record import record

Array = np.ndarray[Any, Any]
SMALL = 64  # elements; what sizes are computed with is smaller
TOKEN: tuple[Any, ...] = ()  # orders effects, which are in order here anyway


class StaticBuilder(Builder):
    """A builder that computes in advance what sizes are made of: small integers that are known.

    `arrays` has the known values, `defined` the node behind each value.
    """

    def __init__(self) -> None:
        super().__init__()
        self.defined: dict[Value, Node] = {}

    def emit(self, op: OpDef, inputs: Sequence[Any], attrs: dict[str, Any],
             where: Source | None = None) -> tuple[Value, ...]:
        outputs = super().emit(op, inputs, attrs, where)
        node = self.nodes[-1]
        found = self._computed(node)
        if found is not None and node.inputs and all(x.dtype.kind in "biu" for x in found):
            self.nodes.pop()
            return tuple([self.emit(constant, (), {"value": x}, node.where)[0] for x in found])
        self.defined.update(dict.fromkeys(outputs, node))
        if found is not None:
            self.arrays.update(zip(outputs, found))
        return outputs

    def again(self, node: Node, inputs: Sequence[Any]) -> tuple[Value, ...]:
        return self.emit(node.op, inputs, node.attrs, node.where)

    def _computed(self, node: Node) -> Sequence[Array] | None:
        """The results of a node whose operands are known, if it is small and has no loop."""
        if not all(v in self.arrays for v in node.inputs) or any(
                v.type.size > SMALL for v in node.outputs) or not _is_straight(node):
            return None
        if node.op is constant:
            return [np.asarray(node.attrs["value"])]
        return node.op.evaluate([self.arrays[v] for v in node.inputs], node.attrs)

    def tell(self, value: Value, array: Array) -> None:
        """Let an input be known to equal this array."""
        self.arrays[value] = array

    def definition(self, value: Value) -> Node | None:
        """The node behind a value; of a known input, a constant."""
        node = self.defined.get(value)
        if node is None and value in self.arrays:
            return Node(constant, (), {"value": self.arrays[value]}, (value,), Source("", 0, ""))
        return node


def _is_straight(node: Node) -> bool:
    """Whether computing a node in advance takes no longer than a few steps."""
    graphs = regions(node)
    return is_pure(node) and (node.op.grouping or not graphs) and all(
        _is_straight(inner) for graph in graphs for inner in graph.nodes)


# -- forms -----------------------------------------------------------------------------------------


@record
class Known:
    """The form of an array that is known: its type and its bytes."""

    type: Type
    raw: bytes

    @property
    def array(self) -> Array:
        return np.frombuffer(self.raw, self.type.dtype).reshape(self.type.shape)


Form: TypeAlias = "Type | Known | Quantized | tuple[Form, ...]"


def leaves(x: Any) -> list[Any]:
    """The arrays that a value is made of; those of a form, likewise."""
    if isinstance(x, tuple):
        return [leaf for part in x for leaf in leaves(part)]
    return leaves(x.stored) if isinstance(x, Quantized) else [x]


def all_leaves(xs: Sequence[Any]) -> list[Any]:
    """The arrays that values are made of, one after the other."""
    return [leaf for x in xs for leaf in leaves(x)]


def form_of(x: Any, exact: bool = True) -> Form:
    """The form of a value; if it is `exact`, with the array that it is known to be."""
    if isinstance(x, tuple):
        return tuple([form_of(part, exact) for part in x])
    if isinstance(x, Quantized):
        return Quantized(x.stored.type, x.scheme)
    array = known(x) if exact else None
    return x.type if array is None else Known(x.type, array.tobytes())


def forms_of(xs: Sequence[Any]) -> list[Form]:
    return [form_of(x) for x in xs]


def types_in(form: Form) -> list[Type]:
    """The types of the arrays in a form."""
    return [leaf.type if isinstance(leaf, Known) else leaf for leaf in leaves(form)]


def argument(form: Form, builder: StaticBuilder) -> Any:
    """A new input of this form, which is several if it is a tuple."""
    def make(leaf: Any) -> Value:
        value = builder.input(leaf.type if isinstance(leaf, Known) else leaf)
        if isinstance(leaf, Known):
            builder.tell(value, leaf.array)
        return value
    return _mapped(form, make)


def regrouped(forms: Sequence[Form], values: Sequence[Any]) -> list[Any]:
    """Values of these forms, made of arrays one after the other."""
    rest: Iterator[Any] = iter(values)
    return [_mapped(form, lambda leaf: next(rest)) for form in forms]


def _mapped(form: Form, make: Callable[[Any], Any]) -> Any:
    if isinstance(form, tuple):
        return tuple([_mapped(part, make) for part in form])
    return Quantized(make(form.stored), form.scheme) if isinstance(form, Quantized) else make(form)


def known(x: Any) -> Array | None:
    """The array that a value of a graph being adopted is known to equal."""
    if isinstance(x, Value):
        return x.builder.arrays.get(x)
    return None if isinstance(x, (tuple, Quantized)) else np.asarray(array_of(x))


def whole_numbers(x: Any) -> tuple[int, ...] | None:
    """The integers in a value, if they are known."""
    array = known(x)
    return None if array is None or not dt.is_integer(array.dtype) else tuple(
        int(v) for v in array.reshape(-1))


@record(eq=False)
class Adopted:
    """A region in terms of our operations, and the forms of what it returns."""

    graph: Graph
    outputs: tuple[Form, ...]

"""An operation that is to be written in terms of ours, as a rule sees it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np

from arraylib.errors import ShapeError, mistake
from arraylib.hlo.ir import Graph, Node, Type, Value, current, located, type_of
from arraylib.hlo.mlir import spelling
from arraylib.hlo.mlir.attributes import plain_python
from arraylib.hlo.mlir.fields import SHAPE
from arraylib.hlo.mlir.operation import Operation, Region
from arraylib.hlo.mlir.rows import FIELDS
from arraylib.hlo.ops import TABLE
from arraylib.hlo.ops.foreign import OtherType, refusal
from arraylib.hlo.passes.rules.schemes import plain_form
from arraylib.hlo.passes.rules.values import (
    Adopted,
    Form,
    StaticBuilder,
    all_leaves,
    forms_of,
    types_in,
    whole_numbers,
)
from arraylib.hlo.split import read_by
from arraylib.record import field, record


class Adoption(Protocol):
    """What rules may ask of the pass: to go on with the nodes of a region, here or in a graph."""

    functions: Mapping[str, Graph]
    custom_calls: Mapping[str, Callable[..., Any]]
    runs: bool

    def inline(self, graph: Graph, xs: Sequence[Any]) -> Sequence[Any]:
        """Emit a graph where operations go now; what it returns."""

    def region(self, graph: Graph, forms: Sequence[Form]) -> Adopted:
        """A graph on its own, for arguments of these forms."""


@record(frozen=False)
class _Scope:
    """Where nodes go that are read again; and values that reading made superfluous."""

    builder: StaticBuilder
    spare: set[Value] = field(default_factory=set)


@record(frozen=False)
class _Reading:
    """What `spelling.read` wants to know of the text around an operation."""

    scope: _Scope
    graphs: dict[str, Graph] = field(default_factory=dict)
    declared: dict[str, Any] = field(default_factory=dict)

    def definition(self, value: Value) -> Node | None:
        return self.scope.builder.definition(value)


@record(frozen=False)
class Foreign:
    """A node, what its operands have become in the graph being built, and the pass."""

    node: Node
    operands: list[Any]
    adoption: Adoption

    # -- attributes --------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return str(self.node.attrs["name"])

    @property
    def written(self) -> dict[str, Any]:
        """Properties and other attributes as text has them."""
        return dict((*self.node.attrs["properties"], *self.node.attrs["attributes"]))

    @property
    def attributes(self) -> dict[str, Any]:
        """The same as Python values, where they are numbers, strings or lists."""
        return plain_python(self.written)  # type: ignore[no-any-return]

    def attribute(self, name: str) -> Any:
        """An attribute that must be there."""
        if name not in self.written:
            raise self.refusal(f"the attribute {name} is missing")
        return self.attributes[name]

    def axis(self, name: str, rank: int) -> int:
        """An attribute that is one of so many axes."""
        found = self.attribute(name)
        if not isinstance(found, int) or not 0 <= found < rank:
            raise self.wrong(f"{name} = {found} is none of {rank} axes")
        return found

    def axes(self, name: str, default: Any = None) -> Any:
        """An attribute that is a list of integers, as a tuple."""
        found = self.attributes.get(name)
        return default if found is None else tuple(map(int, np.asarray(found).reshape(-1)))

    # -- operands and results ----------------------------------------------------------------------

    @property
    def own(self) -> list[Any]:
        """The operands that are written, without what regions capture."""
        return self.operands[:len(self.operands) - self.node.attrs["captured"]]

    @property
    def captured(self) -> list[Any]:
        return self.operands[len(self.own):]

    @property
    def results(self) -> tuple[Any, ...]:
        """The types that the program states."""
        return self.node.attrs["results"]  # type: ignore[no-any-return]

    def arrays(self, count: int | None = None) -> list[Any]:
        """The operands, so many arrays."""
        if count is not None and len(self.own) != count:
            raise self.wrong(f"takes {count} operands, not {len(self.own)}")
        for x in self.own:
            if not isinstance(x, Value):
                raise self.wrong("takes arrays, not tuples or tokens")
        return self.own

    def numbers(self, i: int) -> tuple[int, ...]:
        """The integers that an operand holds, which must be known before the program runs."""
        found = whole_numbers(self.own[i])
        if found is None:
            raise self.refusal(
                f"operand {i}, from which sizes follow, is known only when the program runs",
                "compute sizes from constants and the sizes of inputs alone")
        return found

    def shape(self, i: int) -> tuple[int, ...]:
        """The shape of the result: as the program states it, or else as operand i holds it."""
        declared = self.results[0]
        return declared.shape if isinstance(declared, Type) else self.numbers(i)

    def check(self, values: Sequence[Any]) -> Sequence[Any]:
        """The values, which must fit the types that the program states."""
        if len(values) != len(self.results):
            raise self.wrong(f"gives {len(values)} results, not {len(self.results)}")
        for value, declared in zip(values, self.results):
            if isinstance(value, Value) and not fits(value.type, declared):
                raise self.wrong(f"gives {value.type}, not {declared}")
        return values

    # -- ways on -----------------------------------------------------------------------------------

    def inline(self, region: int, arguments: Sequence[Any]) -> Sequence[Any]:
        """Emit a region here, on these arguments; what it returns."""
        graph = self.node.attrs["regions"][region]
        if len(graph.inputs) != len(self.captured) + len(arguments):
            raise self.wrong(f"its region takes {len(graph.inputs) - len(self.captured)} "
                             f"arguments, not {len(arguments)}")
        return self.adoption.inline(graph, [*self.captured, *arguments])

    def graphs(self, *arguments: Form) -> list[Adopted]:
        """The regions as graphs of what they capture, and arguments of these forms."""
        forms = [*forms_of(self.captured), *arguments]
        for graph in self.node.attrs["regions"]:
            if len(graph.inputs) != len(forms):
                raise self.wrong(f"its region takes {len(graph.inputs) - len(self.captured)} "
                                 f"arguments, not {len(arguments)}")
        return [self.adoption.region(graph, forms) for graph in self.node.attrs["regions"]]

    def read_again(self) -> Sequence[Any]:
        """The operation of this name on what its operands have become: arrays of known shape."""
        operands = self.arrays()
        results = [_static(t, operands) for t in self.results]
        if self.name == "stablehlo.reshape":
            results = [_filled(results[0], type_of(operands[0]).size)]
        if self.name == "stablehlo.broadcast_in_dim":
            axes = self.axes("broadcast_dimensions", ())
            results = [_stretched(self.results[0], type_of(operands[0]).shape, axes)]
        record = TABLE.get(self.name.partition(".")[2])
        if record and SHAPE in FIELDS.get(record, ()) and not isinstance(results[-1], Type):
            raise self.refusal(f"the sizes of its result, {results[-1]}, do not follow from its "
                               "operands", "an operation that takes the shape as an operand")
        return self.check(self.read_as(self.name, operands, dict(self.node.attrs["properties"]),
                                       dict(self.node.attrs["attributes"]), results,
                                       self._regions()))

    def read_as(self, name: str, operands: Sequence[Any], properties: Mapping[str, Any],
                notes: Mapping[str, Any] | None = None, results: Sequence[Any] | None = None,
                regions: Sequence[Region] = ()) -> Sequence[Any]:
        """The results of an operation that is written so in text."""
        operation = Operation(
            name, list(operands), list(self.results if results is None else results),
            dict(properties), dict(notes or {}), list(regions))
        reading = _Reading(_Scope(current()))
        with located(self.node.where):
            return spelling.read_ours(cast(Any, reading), operation, self.node.where)

    def _regions(self) -> list[Region]:
        """The regions, which take arrays of the types they state."""
        found, n = [], len(self.captured)
        for graph in self.node.attrs["regions"]:
            forms = [*forms_of(self.captured), *(plain_form(v.type) for v in graph.inputs[n:])]
            if any(isinstance(form, OtherType) for form in forms):
                raise self.refusal("its region takes values that are no arrays of known shape")
            inner = self.adoption.region(graph, forms).graph
            outer, read = all_leaves(self.captured), read_by(inner)
            pairs = [(v, x) for v, x in zip(inner.inputs, outer) if v in read]
            arguments = inner.inputs[len(outer):]
            inputs = (*(v for v, _ in pairs), *arguments)
            found.append(Region(Graph(inputs, inner.nodes, inner.outputs),
                                tuple(x for _, x in pairs)))
        return found

    # -- errors ------------------------------------------------------------------------------------

    def refusal(self, problem: str, hint: str = "") -> Exception:
        """The error for what cannot be written in terms of ours."""
        return refusal(self.node, problem, hint)

    def wrong(self, problem: str, hint: str = "") -> Exception:
        """The error for an operation that does not fit its operands."""
        return mistake(ShapeError, self.name, problem, where=self.node.where, hint=hint,
                       operands=[x.type if isinstance(x, Value) else x for x in self.own])


Rule = Callable[[Foreign], Sequence[Any]]


def fits(type: Type, declared: Any) -> bool:
    """Whether a type is what a program says that leaves sizes open."""
    if not isinstance(declared, OtherType) or declared.dtype is None or declared.shape is None:
        return isinstance(declared, OtherType) or type is declared
    return type.dtype == declared.dtype and type.rank == len(declared.shape) and all(
        n in (None, m) for n, m in zip(declared.shape, type.shape))


def _static(declared: Any, operands: Sequence[Any]) -> Any:
    """A result type of known sizes: those of an operand that fits it, if it leaves some open."""
    if not isinstance(declared, OtherType) or declared.dtype is None or declared.shape is None:
        return declared
    types = [type_of(x).with_dtype(declared.dtype) for x in operands]
    if None not in declared.shape:
        types = [Type(declared.dtype, declared.shape)]  # type: ignore[arg-type]
    return next((t for t in types if fits(t, declared)), declared)


def _filled(declared: Any, size: int) -> Any:
    """A type of so many elements whose only open size follows from the others."""
    if not isinstance(declared, OtherType) or declared.shape is None \
            or declared.shape.count(None) != 1:
        return declared
    rest = math.prod(n for n in declared.shape if n is not None)
    missing = size // rest if rest else 0
    return Type(declared.dtype, [missing if n is None else n for n in declared.shape])


def _stretched(declared: Any, shape: Sequence[int], axes: Sequence[int]) -> Any:
    """A type whose open sizes are those of the operand's axes that become its own."""
    if not isinstance(declared, OtherType) or declared.shape is None:
        return declared
    own = dict(zip(axes, shape))
    sizes = [own.get(d) if n is None else n for d, n in enumerate(declared.shape)]
    return declared if None in sizes else Type(declared.dtype, sizes)  # type: ignore[arg-type]


def check_types(op: Foreign, what: str, found: Form, wanted: Form) -> None:
    """ShapeError unless two forms are of the same arrays."""
    if types_in(found) != types_in(wanted):
        raise op.wrong(f"{what} gives {types_in(found)}, not {types_in(wanted)}",
                       "arrays keep their shapes and dtypes")

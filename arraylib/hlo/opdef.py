"""OpDef: everything the library knows about one operation, in one record.

Rows hold facts; passes hold algorithms. A transform reads a field of the record and never asks for
an operation by name. `docs` pages, the property tests and every pass are driven by these fields.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, Source, mistake
from arraylib.hlo import axes as ax
from arraylib.hlo.ir import Graph, Node, Type, current
from arraylib.record import record

_MOST_KNOWN = 1024  # types of results that an operation remembers

Attrs = dict[str, Any]
ResultRule = Callable[[Sequence[Type], Attrs, Source | None], tuple[Type, ...]]


_PLAIN = frozenset((bool, int, str, type(None)))


def _is_plain(value: Any) -> bool:
    """Whether an attribute is an integer, a text, a dtype, or integers: no region or function.

    Not floats: 2.0 is found where 2 was left, but is not as good a size.
    """
    if value.__class__ is tuple:
        return all([x.__class__ is int for x in value])
    return value.__class__ in _PLAIN or isinstance(value, np.dtype)


class _Same:
    """Marks an operand in which an operation is linear: its tangent goes where it was."""

    def __repr__(self) -> str:
        return "SAME"


SAME = _Same()

KINDS = {"b": "bool", "i": "signed integers", "u": "unsigned integers", "f": "floats",
         "c": "complex numbers"}


@record
class Example:
    """Operand types and attributes with which tests exercise an operation."""

    types: tuple[Type, ...]
    attrs: Attrs


@record(eq=False)
class OpDef:
    """One row of the table.

    The first block says what the operation is, the second how it is differentiated, the third how
    it is batched and written out in other operations, the last where and how closely tests look.
    """

    name: str
    doc: str
    numpy: Callable[..., Any]  # reference meaning: arrays, then attributes as keywords
    results: ResultRule | None = None  # result types; None: elementwise, from `dtypes` and `dtype`
    axes: Callable[[Sequence[Type], Attrs], str | None] | None = None  # labels from attributes
    relabel: Callable[[str, dict[str, int], Attrs], Attrs] | None = None  # and back
    dtypes: str = "fc"  # operand dtypes allowed, letters of KINDS
    dtype: Callable[[Sequence[Type], Attrs], np.dtype[Any]] | None = None  # None: the operands' own
    mixed: bool = False  # operands may have different dtypes
    multiple: bool = False  # called as a function it gives a tuple, even of one
    dialect: str = "stablehlo"
    effect: bool = False  # kept, in order, even if nothing reads its results
    expensive: bool = False  # computing it twice costs more than storing it
    grouping: bool = False  # means what its `expand` says once derivatives and batches are taken
    weak: tuple[int, int | None] = (0, None)  # the operands, from and up to, all of which have to
    # be weak for the result to be; of `multiple` results none is
    opaque: bool = False  # no pass may see through it: not folded, merged or taken out of a loop
    captures: Callable[[Node], list[tuple[Graph, slice]]] | None = None  # for each region the
    # operands that its first inputs are, which text does not pass to it; None: there are none
    invariants: tuple[tuple[str, str], ...] = ()  # of a loop, for each region: its attribute, and
    # the one that counts its first inputs, which are the same in every step; their operands lead
    constraints: tuple[str, ...] = ()  # what the rule of the results asks for, then what it gives

    jvp: tuple[Any, ...] = ()  # per operand: SAME, None or (tangent, out, *operands, **attrs)
    transpose: tuple[Any, ...] = ()  # per operand: None or (cotangent, *operands, **attrs)
    jvp_node: Callable[..., Any] | None = None  # (jvp, node, primals, tangents) -> pairs
    transpose_node: Callable[..., Any] | None = None  # (transpose, node, linear, cotangents)

    batch: Callable[..., Any] | None = None  # (operands, has, size, **attrs) -> outputs, batched
    batch_node: Callable[..., Any] | None = None  # (batch, node, pairs, size) -> pairs
    over_axis: Callable[..., Any] | None = None  # the same, along the axis that it names
    expand: Callable[..., Any] | None = None  # the operation in terms of others
    prune: Callable[..., Any] | None = None  # (node, used outputs) -> operands, attrs, outputs kept
    thread: Callable[..., Any] | None = None  # (thread, node, operands, state) -> outputs, state:
    # with a state that goes through its regions; see passes/guard.py

    domain: tuple[float, float] = (-2.0, 2.0)
    tolerance: float = 1e-6
    examples: tuple[Example, ...] = ()

    @property
    def elementwise(self) -> bool:
        return self.results is None

    def is_weak(self, operands: Sequence[bool]) -> bool:
        """Whether the results depend on Python numbers alone, by which of the operands do."""
        some = operands[slice(*self.weak)]
        return not self.multiple and bool(some) and all(some)

    @cached_property
    def arity(self) -> tuple[int, int | None]:
        """How many operands it takes, at least and at most; None: there is no most."""
        if self.jvp or isinstance(self.numpy, np.ufunc):
            count = len(self.jvp) or self.numpy.nin  # type: ignore[attr-defined]
            return count, count
        kinds = [p.kind for p in inspect.signature(self.numpy).parameters.values()]
        count = kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return count, None if inspect.Parameter.VAR_POSITIONAL in kinds else count

    def labels(self, types: Sequence[Type], attrs: Attrs) -> str | None:
        """The axis labels of operands and result; None where labels cannot describe it."""
        if self.elementwise:
            return ax.elementwise(types)
        return self.axes(types, attrs) if self.axes else None

    def result_types(self, types: Sequence[Type], attrs: Attrs,
                     where: Source | None = None) -> tuple[Type, ...]:
        """The types of the results; a ShapeError or DtypeError at the user's line on misuse."""
        if not types:
            return self._result_types(types, attrs, where)
        key: tuple[Any, ...] = tuple(types)
        if attrs:
            values = attrs.values()
            if not all(map(_is_plain, values)):
                return self._result_types(types, attrs, where)
            # With the classes of attributes: True is no 1.
            key = (*key, *attrs.items(), *[x.__class__ for x in values])
        found = self._known.get(key)
        if found is None:
            found = self._result_types(types, attrs, where)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = found
        return found

    @cached_property
    def _known(self) -> dict[tuple[Any, ...], tuple[Type, ...]]:
        """Types of results by those of operands and plain attributes: the same come often."""
        return {}

    def _result_types(self, types: Sequence[Type], attrs: Attrs,
                      where: Source | None) -> tuple[Type, ...]:
        if self.results is not None:
            return self.results(types, attrs, where)
        first = types[0]
        for other in types:
            if other.shape != first.shape:
                ax.sizes(self.name, types, ax.elementwise(types), where)
        self.check_dtypes(types, where)
        return (Type(self.dtype(types, attrs) if self.dtype else first.dtype, first.shape),)

    def check_dtypes(self, types: Sequence[Type], where: Source | None = None) -> None:
        """DtypeError unless all operands have one allowed dtype."""
        first = types[0].dtype
        if not self.mixed and any(t.dtype is not first and t.dtype != first for t in types):
            raise mistake(DtypeError, self.name, "operands have different dtypes: "
                          + ", ".join(dt.name(t.dtype) for t in types), where=where, operands=types,
                          hint="convert one with x.astype(...)")
        if not self.mixed and dt.kind(first) not in self.dtypes:
            allowed = ", ".join(KINDS[k] for k in self.dtypes)
            raise mistake(DtypeError, self.name, f"takes {allowed}, not {dt.name(first)}",
                          where=where, operands=types, hint="convert with x.astype(...)")

    def evaluate(self, arrays: Sequence[Any], attrs: Attrs) -> tuple[Any, ...]:
        """The reference meaning, on NumPy arrays."""
        with np.errstate(all="ignore"):
            out = self.numpy(*arrays, **attrs)
        return tuple(out) if self.multiple else (np.asarray(out),)

    def __call__(self, *operands: Any, **attrs: Any) -> Any:
        """Emit the operation where operations go now."""
        outputs = current().emit(self, operands, attrs)
        return outputs if self.multiple else outputs[0]

    def __repr__(self) -> str:
        return f"<op {self.name}>"

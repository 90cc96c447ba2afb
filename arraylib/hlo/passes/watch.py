"""Checks of what operations get and give: nan and inf after each, a divisor of zero before.

    y = log x                   y = log x
                         ->     check ((y == y) or any(x != x))    "log gives nan", at its line

Two ways: `sources` finds where the first nan comes from once a result of the program has one, and
`everywhere` refuses every nan, on whichever way it would go. An operation is a source if it gives
nan and none of its operands has any. Operations that were derived from a line name that line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from arraylib import dtypes as dt
from arraylib.errors import DivisionCheckError, NotFiniteError, Source, Watched, mistake
from arraylib.hlo.ir import Builder, Graph, Node, Type, Value, locate, rebuild, regions, type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.check import Failure, Loud, around, element, emit_check
from arraylib.hlo.ops.constant import constant, full_like
from arraylib.hlo.ops.reduction import reduce_or
from arraylib.hlo.ops.structured import broadcast_in_dim
from arraylib.hlo.passes.dce import dce
from arraylib.hlo.passes.rewrite import map_regions
from arraylib.record import record

Kinds = tuple[str, ...]  # of "nan" and "inf"

_HINTS = {
    "nan": "the operands there with debug.print; jnp.where on the argument of a function, and not "
           "only on its result, keeps nan out of derivatives as well",
    "inf": "the operands there with debug.print; a larger dtype, a smaller step, or an epsilon "
           "in the divisor",
}


@record
class NotFinite:
    """The report of an operation that gives nan or inf."""

    category: str
    quiet: bool
    what: str
    type: Type
    operands: tuple[Type, ...]
    where: Source

    def loud(self) -> NotFinite:
        return replace(self, quiet=False)

    def error(self, failure: Failure) -> Exception:
        problem = f"gives {self.category}{element(failure.place, self.type)}"
        return mistake(NotFiniteError, self.what, problem + around(failure), where=self.where,
                       operands=self.operands, hint=_HINTS[self.category])


@record
class OfProgram:
    """The report of a program's argument or result that has nan or inf."""

    category: str
    quiet: bool
    bad: str
    name: str
    type: Type

    def loud(self) -> OfProgram:
        return self

    def error(self, failure: Failure) -> Exception:
        verb = "has" if self.quiet else "gets"
        return mistake(NotFiniteError, self.name,
                       f"{verb} {self.bad}{element(failure.place, self.type)}",
                       hint="jnp.isfinite(x).all() where the value is made")


def has_kind(x: Any, kind: str) -> Any:
    """Which elements of a float are nan, or inf."""
    if dt.is_complex(type_of(x).dtype):
        return ew.or_(has_kind(ew.real(x), kind), has_kind(ew.imag(x), kind))
    if kind == "nan":
        return ew.compare(x, x, direction="NE")
    return ew.compare(ew.abs(x), full_like(x, math.inf), direction="EQ")


def everywhere(graph: Graph, kinds: Kinds) -> Graph:
    """The graph with a check after each operation, which fails there."""
    return _Watch(kinds, quiet=False).watched(graph)


def sources(graph: Graph, kinds: Kinds) -> Graph:
    """The graph with quiet checks after each operation, which nobody need watch again.

    So what vmap makes of it is left alone: its checks know the examples, and which branch of a
    `cond` an example takes.
    """
    return _Watch(kinds, quiet=True, marks=True).watched(dce(graph))


@record
class Divisor(Loud):
    """The report of a division by zero."""

    what: str
    operands: tuple[Type, ...]
    where: Source
    category = "div"

    def error(self, failure: Failure) -> Exception:
        problem = f"the divisor is 0{element(failure.place, self.operands[1])}{around(failure)}"
        return mistake(DivisionCheckError, self.what, problem, where=self.where,
                       operands=self.operands, hint="jnp.where(y == 0, 1, y) as the divisor")


def divisions(graph: Graph) -> Graph:
    """The graph with a check of each divisor, in its regions as well."""
    def rule(node: Node, operands: list[Any]) -> Sequence[Any]:
        if node.op.thread or node.op.grouping:
            node = map_regions(node, divisions)
        if node.op in (ew.divide, ew.remainder):
            divisor = operands[1]
            nonzero = ew.compare(divisor, full_like(divisor, 0), direction="NE")
            emit_check(nonzero, Divisor(node.op.name, node.types, node.where))
        outs: Sequence[Any] = builder.emit(node.op, operands, node.attrs, node.where)
        return outs

    with Builder() as builder:
        inputs = [builder.input(v.type) for v in graph.inputs]
        return builder.build_closed(rebuild(graph, inputs, rule))


def program(graph: Graph, kinds: Kinds, argument: Callable[[int], str],
            result: Callable[[int], str]) -> Graph:
    """The graph with checks of its results, which find the sources of what is wrong with them."""
    graph = _Watch(kinds, quiet=True).watched(dce(graph))
    with Builder() as b:
        inputs = [b.input(v.type) for v in graph.inputs]
        outs = rebuild(graph, inputs, b.again)
        for kind in kinds:
            for i, x in _floats(inputs):
                good = ew.not_(has_kind(x, kind))
                emit_check(good, OfProgram(kind, True, kind, argument(i), x.type))
            for i, x in _floats(outs):
                good = ew.not_(has_kind(x, kind))
                emit_check(good, OfProgram("result", False, kind, result(i), x.type))
        return b.build_closed(outs)


def _floats(values: Iterable[Any]) -> list[tuple[int, Any]]:
    return [(i, x) for i, x in enumerate(values) if dt.is_inexact(type_of(x).dtype)]


@record
class _Watch:
    kinds: Kinds
    quiet: bool
    marks: bool = False

    def watched(self, graph: Graph) -> Graph:
        """The graph with its checks, in its regions as well."""
        written: set[Value] = set()  # in the program, for all to see

        def rule(node: Node, operands: list[Any]) -> Sequence[Any]:
            where = Watched(*node.where) if self.marks else node.where
            inside = bool(regions(node)) and bool(node.op.thread or node.op.grouping)
            if inside:
                node = map_regions(node, self.watched)
            locate(where)
            outs = builder.emit(node.op, operands, node.attrs, where)
            if node.op is constant or node.inputs and written.issuperset(node.inputs):
                written.update(node.outputs)
            elif not inside and not isinstance(node.where, Watched):
                sources = [x for v, x in zip(node.inputs, operands) if v not in written]
                self._check(node, outs, sources)
            return outs

        with Builder() as builder:
            inputs = [builder.input(v.type) for v in graph.inputs]
            return builder.build_closed(rebuild(graph, inputs, rule))

    def _check(self, node: Node, outs: Sequence[Any], operands: Sequence[Any]) -> None:
        for _, out in _floats(outs):
            for kind in self.kinds:
                good = ew.not_(has_kind(out, kind))
                for _, x in _floats(operands) if self.quiet else ():
                    good = ew.or_(good, _any_like(has_kind(x, kind), good))
                emit_check(good, NotFinite(kind, self.quiet, node.op.name, out.type, node.types,
                                           node.where))


def _any_like(x: Any, like: Any) -> Any:
    """Whether any element of x is true, in the shape of another value."""
    rank, shape = type_of(x).rank, type_of(like).shape
    anywhere = reduce_or(x, dimensions=tuple(range(rank))) if rank else x
    return broadcast_in_dim(anywhere, shape=shape, broadcast_dimensions=())

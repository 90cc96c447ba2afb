"""check: a statement about values that holds wherever the program gets there, or else is an error.

Like the operations of `host`, it is not in the table: what its failure says is an object of this
process. A program with checks is compiled by way of `passes/guard.py`, which turns them into a
state that the program returns; where nobody has done that, a check is a call of Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ShapeError, Source, mistake
from arraylib.hlo.ir import Node, Type, emit_like
from arraylib.hlo.opdef import Attrs, OpDef
from arraylib.hlo.ops.host import host_effect
from arraylib.hlo.ops.shape import repeat_leading
from arraylib.record import record

Pairs = list[tuple[Any, Any]]

TOKEN = (Type(dt.bool_, ()),)


class MeshAxis(str):
    """The label of an axis along which batching goes that is a mesh's: its examples are shards."""


@record
class Lane:
    """A leading axis of a check's operands: its size, and the mesh's axis; None for examples."""

    size: int
    axis: MeshAxis | None = None


@record(eq=False)
class Failure:
    """Where and with what values a check failed.

    place: the first element of the predicate that is false. lanes: for each vmap, the outermost
    first, the mesh's axis or None, and which example. steps: pairs of a loop's name and the number
    of its step, likewise. values: the operands after the predicate, as NumPy arrays.
    """

    place: tuple[int, ...]
    lanes: tuple[tuple[MeshAxis | None, int], ...] = ()
    steps: tuple[tuple[str, int], ...] = ()
    values: tuple[Any, ...] = ()


def element(place: Sequence[int], type: Type) -> str:
    """` at [2, 0] of f32[3,4]`; nothing for a scalar."""
    return f" at [{', '.join(map(str, place))}] of {type}" if place else ""


def around(failure: Failure) -> str:
    """`, in step 3 of scan, for example 1 of vmap`: where a failure is besides its line."""
    text = "".join(f", in step {step} of {loop}" for loop, step in failure.steps)
    shards = [f"{axis}={i}" for axis, i in failure.lanes if axis is not None]
    text += f", on shard {', '.join(shards)}" if shards else ""
    examples = [i for axis, i in failure.lanes if axis is None]
    if len(examples) == 1:
        return f"{text}, for example {examples[0]} of vmap"
    return text + (f", for example {examples} of vmaps" if examples else "")


class Report(Protocol):
    """What a check says."""

    @property
    def category(self) -> str:
        """What kind of check it is: "user", "nan", ..."""

    @property
    def quiet(self) -> bool:
        """Whether it fails only together with one that is not quiet."""

    def error(self, failure: Failure) -> Exception:
        """What is raised for a failure."""

    def loud(self) -> Report:
        """The same, not quiet."""


class Loud:
    """A report that is not quiet, whoever asks."""

    quiet = False

    def loud(self) -> Any:
        return self


def _results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
    lanes = tuple(lane.size for lane in attrs["lanes"])
    for i, t in enumerate(types):
        if t.shape[:len(lanes)] != lanes:
            raise mistake(ShapeError, "check", f"operand {i} is {t}, but there are {lanes} "
                          "examples", where=where)
    return TOKEN


def failure_at(position: int, shape: tuple[int, ...], lanes: Sequence[Lane], values: Sequence[Any],
               steps: tuple[tuple[str, int], ...] = ()) -> Failure:
    """The failure at a flat position of a predicate of this shape, `values` being its example's."""
    place = tuple(int(i) for i in np.unravel_index(position, shape))
    examples = tuple((lane.axis, i) for lane, i in zip(lanes, place))
    return Failure(place[len(lanes):], examples, steps, tuple(values))


def _meaning(predicate: Any, *values: Any, report: Report, lanes: tuple[Lane, ...]) -> Any:
    if not report.quiet and not np.all(predicate):
        position = int(np.argmin(np.ravel(predicate)))
        example = np.unravel_index(position, predicate.shape)[:len(lanes)]
        found = [x[example] for x in values]
        raise report.error(failure_at(position, predicate.shape, lanes, found))
    return (np.zeros((), dt.bool_),)


@record
class _Raise:
    """A check as a Python function of its operands."""

    report: Report
    lanes: tuple[Lane, ...]

    def __call__(self, results: tuple[Type, ...], *arrays: Any) -> Any:
        copies = [np.array(x) for x in arrays]
        return _meaning(*copies, report=self.report, lanes=self.lanes)


def _expand(*xs: Any, report: Report, lanes: tuple[Lane, ...]) -> Any:
    if report.quiet:
        return [np.zeros((), dt.bool_)]
    return host_effect(*xs, function=_Raise(report, lanes), results=TOKEN, method="sequential")


def _batch(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    xs = [x if h else repeat_leading(x, size) for x, h in pairs]
    axis = getattr(batch, "keywords", {}).get("axis")
    lane = Lane(size, axis if isinstance(axis, MeshAxis) else None)
    outs = emit_like(node, xs, lanes=(lane, *node.attrs["lanes"]))
    return [(out, False) for out in outs]


def _transpose(transpose: Any, node: Node, linear: Sequence[bool],
               cotangents: Sequence[Any]) -> list[Any]:
    """No derivative comes out of a check."""
    return [None] * sum(linear)


check: OpDef = OpDef(
    "check", "An error, told by `report`, unless all elements of the first operand are true.",
    _meaning, results=_results, multiple=True, effect=True, opaque=True, dialect="arraylib",
    jvp_node=lambda jvp, node, primals, tangents: [
        (out, None) for out in emit_like(node, list(primals))],
    transpose_node=_transpose, batch_node=_batch, expand=_expand)


def emit_check(predicate: Any, report: Report, values: Sequence[Any] = ()) -> None:
    """Check a predicate of any shape where operations go now."""
    check(predicate, *values, report=report, lanes=())

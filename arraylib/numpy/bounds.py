"""Indices that are known at run time only, checked when the program runs: `index_mode="raise"`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.config import config
from arraylib.errors import IndexCheckError, Source, here, mistake
from arraylib.hlo.ir import Type, known, type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.check import Failure, Loud, around, element, emit_check
from arraylib.hlo.ops.constant import full_like
from arraylib.hlo.ops.reduction import reduce_maximum, reduce_minimum
from arraylib.record import record


@record
class Outside(Loud):
    """The report of an index outside its axis; its values are the smallest and the largest."""

    what: str
    type: Type
    axis: int
    last: int  # the largest that is allowed
    indices: Type
    where: Source
    category = "index"

    def error(self, failure: Failure) -> Exception:
        low, high = (int(x) for x in failure.values)
        index = high if high > self.last else low
        problem = (f"index {index}{element(failure.place, self.indices)} is out of bounds for axis "
                   f"{self.axis} of size {self.type.shape[self.axis]}{around(failure)}")
        return mistake(IndexCheckError, self.what, problem, where=self.where,
                       operands=[self.type, self.indices],
                       hint="jnp.clip on the index, or .at[...] with mode='clip', 'drop', 'fill' "
                            "or 'wrap', which are not checked")


def check_places(op: str, type: Type, axis: int, indices: Any, wraps: bool = True) -> None:
    """Check that all indices, counted from either end unless `wraps` is false, are on the axis.

    Where `config.index_mode` does not ask for it, and for known indices, nothing is emitted.
    """
    length = type.shape[axis]
    _check(op, type, axis, indices, -length if wraps else 0, length - 1)


def check_window(op: str, type: Type, starts: Sequence[Any], sizes: Sequence[int]) -> None:
    """The same for the window of these sizes that begins at `starts`, counted from the front."""
    for axis, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        _check(op, type, axis, start, 0, type.shape[axis] - size)


def _check(op: str, type: Type, axis: int, indices: Any, first: int, last: int) -> None:
    """Check that all indices are from first to last."""
    own = type_of(indices)
    if config.index_mode != "raise" or not own.size or known(indices) is not None:
        return
    limits = dt.iinfo(own.dtype)
    tests = []
    if last < limits.max:
        tests.append(ew.compare(indices, full_like(indices, last + 1), direction="LT"))
    if first > limits.min:
        tests.append(ew.compare(indices, full_like(indices, first), direction="GE"))
    if not tests:
        return
    values, axes = [indices, indices], tuple(range(own.rank))
    if axes:
        values = [reduce(indices, dimensions=axes) for reduce in (reduce_minimum, reduce_maximum)]
    held = tests[0] if len(tests) == 1 else ew.and_(*tests)
    emit_check(held, Outside(op, type, axis, last, own, here()), values)

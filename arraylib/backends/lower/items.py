"""What loop kernels are made of: one computation over an iteration space, before fusion."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib.backends.lower.plan import Buffer, GemmStep, View
from arraylib.backends.lower.views import Ints
from arraylib.errors import UNKNOWN, Source
from arraylib.hlo.ir import Type
from arraylib.record import field, record

Dtype = np.dtype


def no_routine(op: str, attrs: dict[str, Any], operands: Sequence[Type],
               results: Sequence[Type]) -> bool:
    """A backend without routines."""
    return False


@record
class Supports:
    """What a backend can do: everything else becomes a host step.

    `elementwise(op, operand dtypes, result dtype)`: in registers; `gemm(operands' dtype, result
    dtype)`: by its matrix product, and `panel` of the same: from panels of so many columns of the
    second operand, if that is not 0, and how often its product `packs` each operand, 0 if it reads
    it where it lies; `convolution(dtype)` and `attention(dtype)`: by libraries of
    their own; `routine(op, attributes, operands, results)`: by a routine. `observe` sees each
    lowering when it is done: for reports. `kernels`, a dict, keeps them for other graphs.
    """

    elementwise: Callable[[str, Sequence[Any], Any], bool]
    gemm: Callable[[Any, Any], bool]
    convolution: Callable[[Any], bool] = lambda dtype: False
    attention: Callable[[Any], bool] = lambda dtype: False
    routine: Callable[[str, dict[str, Any], Sequence[Type], Sequence[Type]], bool] = no_routine
    observe: Callable[[Any], None] | None = None
    kernels: dict[Any, Any] | None = None
    panel: Callable[[Any, Any], int] = lambda operand, result: 0
    packs: Callable[[GemmStep], tuple[int, int]] | None = None


@record(frozen=False, eq=False, slots=True)
class Item:
    """One operation at every point of a space, its result stored or used on the way.

    `op` is an elementwise operation; "copy"; a reduction over the axes `over`; or "take", which
    reads its first operand further on by the indices that the others hold: each limited to
    0..limits[k] and times steps[k].
    """

    op: str
    reads: tuple[View, ...]  # over `space`
    space: Ints
    target: View  # over the space without the axes `over`
    attrs: dict[str, Any] = field(default_factory=dict)
    over: Ints = ()
    expensive: bool = False
    where: Source = UNKNOWN
    size: int = 0

    def __post_init__(self) -> None:
        self.size = math.prod(self.space)

    @property
    def buffer(self) -> Buffer:
        return self.target.buffer

    @property
    def dtype(self) -> Any:
        return self.target.dtype


def literal(view: View) -> Any:
    """The number that a view repeats, or None: such an operand is written into the code."""
    constant = view.buffer.constant
    return constant if constant is not None and view.buffer.type.size == 1 else None

"""The plan: a graph cut into steps over buffers, which a backend turns into one native program.

A Buffer is dense row-major storage for one value. A View reads a buffer through a strided map
(transposed, broadcast, sliced, reversed or reshaped, at no cost). A Step reads buffers and writes
others; steps run in order. Buffers have no addresses yet: the backend places them in an arena.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from arraylib.errors import Source
from arraylib.hlo.ir import Node, Type
from arraylib.hlo.opdef import OpDef
from arraylib.record import field, record

if TYPE_CHECKING:
    from arraylib.tile.ir import Kernel


@record(eq=False, slots=True)
class Buffer:
    """Storage for one value of this type; `constant` holds its bytes if they are known."""

    type: Type
    constant: np.ndarray[Any, Any] | None = None


@record(slots=True)
class View:
    """An array of `shape` in a buffer: element i is at offset + sum(i * strides), in elements."""

    buffer: Buffer
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    def laid(self, shape: tuple[int, ...], strides: tuple[int, ...],
             offset: int | None = None) -> View:
        """Other elements of the same buffer; from the same one on, unless an offset is given."""
        return View(self.buffer, self.dtype, shape, strides,
                    self.offset if offset is None else offset)

    @property
    def dense(self) -> bool:
        """Whether this is the whole buffer in row-major order."""
        return self.offset == 0 and self.strides == row_major(self.shape)


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides, in elements, of a dense array; 0 along axes of size 1."""
    return _row_major(tuple(shape))


@functools.lru_cache(maxsize=4096)
def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [0] * len(shape), 1
    for i in reversed(range(len(shape))):
        strides[i] = 0 if shape[i] == 1 else step
        step *= shape[i]
    return tuple(strides)


def whole(buffer: Buffer) -> View:
    """All of a buffer, as it is."""
    return View(buffer, buffer.type.dtype, buffer.type.shape, row_major(buffer.type.shape))


@record(eq=False, slots=True)
class LoopStep:
    """A fused kernel, run for each chunk number from 0 to `chunks` - 1 in any order or at once.

    The kernel's pointer arguments are `reads`, then `writes`, then `scratch`, each the address of
    the view's first element. Output i may share the memory of input j if (i, j) is in `in_place`.
    A kernel that can be of any length is given its `extent`.
    """

    kernel: Kernel
    reads: tuple[View, ...]
    writes: tuple[View, ...]
    chunks: int
    scratch: tuple[Buffer, ...] = ()  # contents mean nothing before and after
    in_place: frozenset[tuple[int, int]] = frozenset()
    work: int = 0  # rough number of elements times operations: below a limit it runs on one thread
    where: tuple[Source, ...] = ()
    extent: int = 0
    span: int = 0  # points of a chunk, if chunks walk the space in row-major order
    along: frozenset[int] = frozenset()  # reads of the element with a point's own number


@record(eq=False, slots=True)
class WaveStep:
    """Kernels that have nothing to do with one another: their chunks run in any order or at once.

    `reads` and `writes` are those of the parts, one after another; so are the pairs `in_place`.
    """

    parts: tuple[LoopStep, ...]
    reads: tuple[View, ...]
    writes: tuple[View, ...]
    in_place: frozenset[tuple[int, int]]
    where: tuple[Source, ...] = ()


@record(eq=False, slots=True)
class Prologue:
    """How an operand of a product is computed while it is packed: it has no memory.

    The kernel computes a box of it. Its arguments are `reads`, then the box, i64[6]: the number of
    the product in its batch; from where to where along the outer axis of the matrix; likewise along
    the inner; how many elements a line is from the next; then room for the box, line by line. The
    inner axis of [rows, columns] is `inner`, 0 or 1.
    """

    kernel: Kernel
    reads: tuple[View, ...]
    inner: int
    where: tuple[Source, ...] = ()


@record(eq=False, slots=True)
class GemmStep:
    """c[batch, m, n] = sum over k of a[batch, m, k] * b[batch, k, n]; the views have that order.

    With `panels`, without batch, b is [n / p, k, p], dense: panels of columns side by side. Where
    there is a prologue for a or for b, the view says its shape only.
    """

    a: View
    b: View
    c: View
    accumulate: bool = False
    where: tuple[Source, ...] = ()
    panels: bool = False
    prologues: tuple[Prologue | None, Prologue | None] = (None, None)


@record(eq=False, slots=True)
class ConvolutionStep:
    """Sums of products of w with the windows of x, which is zero outside, in each group.

    reads: x[group, batch, *space, feature], w[group, *taps, feature, out]; writes: c[group, batch,
    *windows, out], with three axes of space. c[g, b, q, o] is the sum over t and f of
    x[g, b, q * stride + t * dilation - low, f] * w[g, t, f, o]. Of x the features are next to each
    other in memory, or if not the batch; of c the last axis.
    """

    reads: tuple[View, ...]
    writes: tuple[View, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    low: tuple[int, ...]
    where: tuple[Source, ...] = ()


@record(eq=False, slots=True)
class AttentionStep:
    """attention, or with `backward` attention_backward, by the backend's own library.

    reads: the operation's operands, each with axes of size 1 or repeated where they spread.
    """

    node: Node
    backward: bool
    reads: tuple[View, ...]
    writes: tuple[View, ...]  # dense
    where: tuple[Source, ...] = ()


@record(eq=False, slots=True)
class RoutineStep:
    """An operation by native code of the backend that is no nest of loops: a sort, a running sum.

    It means what `op` means on the dense arrays that it reads. How it is computed, and how much
    memory that takes, is the backend's business.
    """

    op: OpDef
    attrs: dict[str, Any]
    reads: tuple[View, ...]  # dense
    writes: tuple[View, ...]
    where: tuple[Source, ...] = ()


@record(eq=False, slots=True)
class HostStep:
    """An operation that NumPy computes: what no kernel covers (eigenvalues, ...)."""

    node: Node
    reads: tuple[View, ...]  # dense
    writes: tuple[View, ...]
    where: tuple[Source, ...] = ()


@record(eq=False, slots=True)
class ScanStep:
    """`length` runs of `body`. Its inputs are consts, carry and one step's xs, as in the op `scan`.

    reads: consts, first carry, xs (whole). writes: last carry, ys (whole, leading axis of steps).
    """

    body: Plan
    consts: int
    carry: int
    length: int
    reverse: bool
    reads: tuple[View, ...]
    writes: tuple[View, ...]
    where: tuple[Source, ...] = ()


@record(eq=False, slots=True)
class WhileStep:
    """Run `body` on the carry while `cond` gives true. reads: cond consts, body consts, carry."""

    cond: Plan
    body: Plan
    cond_consts: int
    body_consts: int
    reads: tuple[View, ...]
    writes: tuple[View, ...]
    where: tuple[Source, ...] = ()


@record(eq=False, slots=True)
class CaseStep:
    """Run the branch that the scalar reads[0] (int32) names, the last if none, on the others."""

    branches: tuple[Plan, ...]
    reads: tuple[View, ...]
    writes: tuple[View, ...]
    where: tuple[Source, ...] = ()


Step: TypeAlias = (LoopStep | WaveStep | GemmStep | ConvolutionStep | AttentionStep | RoutineStep
                   | HostStep | ScanStep | WhileStep | CaseStep)


@record(eq=False)
class Plan:
    """Steps that compute `outputs` from `inputs`.

    All outputs are buffers of their own, dense, and none is an input: where a graph returns an
    input or a view of another value, a step copies it. The one exception: an output may be listed
    twice.
    """

    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    steps: tuple[Step, ...] = field(default=())

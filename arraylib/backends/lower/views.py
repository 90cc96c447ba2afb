"""Views of views: what transpose, slice, broadcast and the like do to a strided map.

None of them moves data. A reshape may need to: `reshaped` then gives None.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from arraylib.backends.lower.plan import View, row_major

Ints = tuple[int, ...]


def transposed(view: View, permutation: Ints) -> View:
    return view.laid(tuple([view.shape[i] for i in permutation]),
                     tuple([view.strides[i] for i in permutation]))


def sliced(view: View, start: Ints, limit: Ints, strides: Ints) -> View:
    shape = tuple(-(-(high - low) // step) for low, high, step in zip(start, limit, strides))
    offset = view.offset + sum(low * s for low, s, n in zip(start, view.strides, shape) if n)
    steps = tuple(s * step if n != 1 else 0 for s, step, n in zip(view.strides, strides, shape))
    return view.laid(shape, steps, offset)


def boxed(view: View, box: Sequence[tuple[int, int]]) -> View:
    """The part between two bounds on each axis."""
    return sliced(view, tuple(a for a, _ in box), tuple(b for _, b in box), (1,) * len(box))


def flipped(view: View, dimensions: Ints) -> View:
    offset = view.offset + sum((view.shape[d] - 1) * view.strides[d] for d in dimensions)
    strides = tuple(-s if d in dimensions else s for d, s in enumerate(view.strides))
    return view.laid(view.shape, strides, offset)


def broadcast(view: View, shape: Ints, dimensions: Ints) -> View:
    strides = [0] * len(shape)
    for axis, d in enumerate(dimensions):
        if view.shape[axis] == shape[d] != 1:
            strides[d] = view.strides[axis]
    return view.laid(shape, tuple(strides))


def reshaped(view: View, shape: Ints) -> View | None:
    """The same elements in row-major order in another shape; None if they have no such strides."""
    strides = _reshaped(view.shape, view.strides, shape)
    return None if strides is None else view.laid(shape, strides)


@functools.lru_cache(maxsize=4096)
def _reshaped(old: Ints, old_strides: Ints, shape: Ints) -> Ints | None:
    if 0 in shape:
        return row_major(shape)
    runs = merged([n for n in old if n != 1], [s for n, s in zip(old, old_strides) if n != 1])
    strides, run, left = [0] * len(shape), len(runs) - 1, 1
    step = 0
    for axis in reversed(range(len(shape))):
        n = shape[axis]
        if n == 1:
            continue
        if left == 1:
            left, step = runs[run]
            run -= 1
        if left % n:
            return None
        strides[axis] = step
        left, step = left // n, step * n
    return tuple(strides)


def merged(shape: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """(size, stride) with neighbouring axes made one where a single stride covers both."""
    runs: list[tuple[int, int]] = []
    for n, s in zip(shape, strides):
        if runs and runs[-1][1] == s * n:
            runs[-1] = runs[-1][0] * n, s
        else:
            runs.append((n, s))
    return runs


def is_identity(view: View) -> bool:
    """Whether element i, in row-major order, is element i of the whole buffer."""
    return view.offset == 0 and view.buffer.type.size == _dense_size(view.shape, view.strides)


@functools.lru_cache(maxsize=4096)
def _dense_size(shape: Ints, strides: Ints) -> int:
    """How many elements there are if they follow one another in memory; else -1."""
    size = 1
    for n, s in zip(reversed(shape), reversed(strides)):
        if n != 1 and s != size:
            return -1
        size *= n
    return size


def composed(inner: View, access: View, shape: Ints) -> View | None:
    """`inner`, a view over `shape`, seen through `access`, a view of a dense array of `shape`.

    None where an axis of `access` runs over more than one axis of `shape`.
    """
    steps = row_major(shape)
    order = sorted((step, d) for d, step in enumerate(steps) if step)[::-1]
    rest, offset, reach = access.offset, inner.offset, list(shape)
    for step, d in order:
        coordinate, rest = divmod(rest, step)
        offset += coordinate * inner.strides[d]
        reach[d] -= coordinate
    strides = []
    for n, s in zip(access.shape, access.strides):
        if n == 1 or s == 0:
            strides.append(0)
            continue
        found = next(((step, d) for step, d in order if s % step == 0 and s > 0), None)
        if found is None or (n - 1) * (s // found[0]) >= reach[found[1]]:
            return None
        step, d = found
        reach[d] -= (n - 1) * (s // step)
        strides.append(s // step * inner.strides[d])
    return inner.laid(access.shape, tuple(strides), offset)

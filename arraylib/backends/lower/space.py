"""Iteration spaces by their cuts, so that a reshape inside a kernel costs nothing.

The elements of a dense array lie in a line. Its *cuts* are the lengths of the runs that its axes
divide the line into: an array of shape (8, 128, 768) has cuts (768, 98304, 786432). Arrays of one
size fit in one loop nest when the union of their cuts is a chain in which each divides the next;
the ratios are then the sizes of axes fine enough for both. A *span* is a stretch of axes, as a
pair of cuts: the last axis above is (1, 768), the first (98304, 786432).
"""

from __future__ import annotations

import functools

from arraylib.backends.lower.views import Ints

Spans = tuple[tuple[int, int], ...]


@functools.lru_cache(maxsize=4096)
def cuts_of(shape: Ints) -> Ints:
    """The cuts of a shape, ascending; () for one element."""
    found, run = [], 1
    for n in reversed(shape):
        run *= n
        if n != 1:
            found.append(run)
    return tuple(found)


@functools.lru_cache(maxsize=4096)
def joined(a: Ints, b: Ints) -> Ints | None:
    """The union of two sets of cuts of one line; None if it is no chain."""
    if a == b:
        return a
    union = tuple(sorted({*a, *b}))
    before = 1
    for cut in union:
        if cut % before:
            return None
        before = cut
    return union


@functools.lru_cache(maxsize=4096)
def spans_of(shape: Ints, axes: Ints) -> Spans:
    """The spans of some axes of a shape, ascending; neighbours are merged."""
    found: list[tuple[int, int]] = []
    run = 1
    for d in reversed(range(len(shape))):
        if d in axes and shape[d] != 1:
            if found and found[-1][1] == run:
                found[-1] = found[-1][0], run * shape[d]
            else:
                found.append((run, run * shape[d]))
        run *= shape[d]
    return tuple(found)


@functools.lru_cache(maxsize=4096)
def sizes_of(cuts: Ints) -> Ints:
    """The axes between cuts, outermost first."""
    return tuple(b // a for a, b in zip((1, *cuts), cuts))[::-1]


@functools.lru_cache(maxsize=4096)
def marks(cuts: Ints, spans: Spans) -> tuple[bool, ...]:
    """For each axis between cuts, outermost first, whether it lies in one of the spans."""
    return tuple(any(low < cut <= high for low, high in spans) for cut in reversed(cuts))


@functools.lru_cache(maxsize=4096)
def kept_cuts(cuts: Ints, spans: Spans) -> Ints:
    """The cuts of what is left of a space without its spans."""
    sizes = sizes_of(cuts)
    return cuts_of(tuple(n for n, out in zip(sizes, marks(cuts, spans)) if not out))


@functools.lru_cache(maxsize=4096)
def lifted(cuts: Ints, spans: Spans, whole: Ints) -> Ints | None:
    """Cuts of the space without its spans as cuts of the whole; None where they do not fall on any.

    `whole` are the cuts of the space with its spans.
    """
    found, kept, run = set(whole), 1, 1
    pending = list(cuts)
    for n, out in zip(reversed(sizes_of(whole)), reversed(marks(whole, spans))):
        if not out:
            while pending and pending[0] <= kept * n:
                if pending[0] % kept:
                    return None
                found.add(run * (pending.pop(0) // kept))
            kept *= n
        run *= n
    return joined(tuple(sorted(found)), ())


@functools.lru_cache(maxsize=4096)
def refined(shape: Ints, strides: Ints, sizes: Ints) -> Ints:
    """Strides over axes of `sizes` for a view over `shape`, of which they are a refinement."""
    found = [0] * len(sizes)
    at = len(sizes) - 1
    for n, s in zip(reversed(shape), reversed(strides)):
        run = 1
        while run < n:
            found[at] = s * run
            run *= sizes[at]
            at -= 1
        assert run == n or n == 0, f"{sizes} does not refine {shape}"
    return tuple(found)

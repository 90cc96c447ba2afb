"""Kernels that may follow a matrix product block by block, while its result is in a cache.

A kernel whose chunks walk its space in row-major order reads a product at the place that it has
come to. So chunk i may run as soon as the first (i + 1) * span elements of the product are done:
bias, activation, residual, even a softmax of whole rows, whatever shares its kernel.
"""

from __future__ import annotations

import math

from arraylib.backends.lower.nest import Axes
from arraylib.backends.lower.plan import GemmStep, LoopStep, Step, row_major
from arraylib.backends.lower.point import Point
from arraylib.backends.lower.schedule import Schedule

LEAST_BYTES = 1 << 18  # a smaller product is in the cache anyway
LEAST_CHUNKS = 4


def span_of(plan: Schedule, axes: Axes) -> int:
    """How many points, in row-major order, are a chunk's; 0 if they are no such stretch."""
    rows, last = len(plan.rows), len(axes.sizes) - 1
    if plan.inner is not None or plan.rows != tuple(range(rows)):
        return 0
    count = math.prod(axes.sizes[:rows])
    if not plan.block:
        return plan.rows_per_chunk * (axes.points // max(count, 1))
    even = count == 1 or axes.sizes[last] % plan.block == 0
    return plan.block if plan.lanes == last == rows and even else 0


def along(point: Point) -> frozenset[int]:
    """The reads that, at each point, are of the element with the point's own number."""
    dense = row_major(point.axes.sizes)
    return frozenset(
        j for j, view in enumerate(point.reads)
        if view.offset == 0 and view.buffer.type.size == point.axes.points
        and (used := point.used.get(point.pointer(view)))
        and all(access.strides == dense and not access.kept for access, _ in used))


def follows(product: Step, step: Step) -> bool:
    """Whether the step's chunks may run in between the product's blocks."""
    if not isinstance(product, GemmStep) or not isinstance(step, LoopStep):
        return False
    c = product.c
    if product.accumulate or not c.dense or c.size != c.buffer.type.size \
            or c.buffer.type.nbytes < LEAST_BYTES:
        return False
    if not step.span or step.chunks < LEAST_CHUNKS or step.scratch or step.kernel.copies:
        return False
    readers = [j for j, view in enumerate(step.reads) if view.buffer is c.buffer]
    return bool(readers) and step.along.issuperset(readers) \
        and not any(view.buffer is c.buffer for view in step.writes)

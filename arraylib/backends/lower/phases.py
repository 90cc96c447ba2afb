"""Windows over an array whose elements stand apart: taken by phases, which never meet the gaps.

Windows that lie alike over the elements meet the same taps. They are windows like any others, over
the elements as they lie in memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from arraylib.record import record


@record(slots=True)
class Axis:
    """One axis along which windows move: tap t of window q is at q * stride + t * dilation - low
    of what is there, of which an element is at each multiple of `base`."""

    stride: int
    dilation: int
    low: int
    base: int = 1

    def is_inside(self, windows: int, taps: int, size: int) -> bool:
        """Whether all taps of all windows meet one of `size` elements, next to one another."""
        last = (windows - 1) * self.stride + (taps - 1) * self.dilation
        return self.low <= 0 and last - self.low < size


@record(slots=True)
class Phase:
    """`windows` from `first` on, `step` apart, and the taps that they meet; `axis` is theirs."""

    first: int
    step: int
    windows: int
    tap: int
    tap_step: int
    taps: int
    axis: Axis


def phases(axis: Axis, windows: int, taps: int) -> Iterator[Phase]:
    """All windows along an axis, by the taps that meet elements; of some phases none does."""
    step, tap_step = (axis.base // math.gcd(n, axis.base) for n in (axis.stride, axis.dilation))
    for first in range(min(step, windows)):
        places = (first * axis.stride + t * axis.dilation - axis.low
                  for t in range(min(tap_step, taps)))
        tap, place = next(((t, p) for t, p in enumerate(places) if p % axis.base == 0), (taps, 0))
        inner = Axis(axis.stride * step // axis.base, axis.dilation * tap_step // axis.base,
                     -(place // axis.base))
        yield Phase(first, step, -(-(windows - first) // step), tap, tap_step,
                    -(-(taps - tap) // tap_step), inner)

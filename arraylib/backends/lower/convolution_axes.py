"""A convolution's operands and result as views in one order of axes.

    c[group, batch, *windows, out], of
    x[group, batch, *space, feature] and w[group, *taps, feature, out]
"""

from __future__ import annotations

from arraylib.backends.lower.phases import Axis
from arraylib.backends.lower.plan import View
from arraylib.backends.lower.views import Ints, sliced
from arraylib.record import record

SPACE = 3  # axes along which windows move, at most
BATCH, LAST, FEATURE = 1, 1 + SPACE, 2 + SPACE  # axes of x; LAST is that of space


@record
class Convolution:
    """Operands and result of a convolution, and the axes of space."""

    x: View
    w: View
    c: View
    axes: tuple[Axis, ...]

    @property
    def windows(self) -> Ints:
        return self.c.shape[2:-1]

    @property
    def taps(self) -> Ints:
        return self.w.shape[1:-2]


def part(view: View, parts: dict[int, tuple[int, int, int]]) -> View:
    """Of some axes a part: (first, step, count)."""
    start = tuple(parts[d][0] if d in parts else 0 for d in range(len(view.shape)))
    steps = tuple(parts[d][1] if d in parts else 1 for d in range(len(view.shape)))
    limit = tuple(parts[d][0] + (parts[d][2] - 1) * parts[d][1] + 1 if d in parts else n
                  for d, n in enumerate(view.shape))
    return sliced(view, start, limit, steps)

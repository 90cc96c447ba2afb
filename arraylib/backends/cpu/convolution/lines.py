"""Where the lines of an array lie once they are packed, and which of them a tap or window meets.

Along each axis of an array there are two counters: a *moving* one, whose values lie side by side in
a packed line, and a *chosen* one, whose values are offsets into it. The place they meet at is
`moving * step + chosen * dilation - low`. In a convolution windows move and taps are chosen; in the
gradient of its kernel it is the other way round.

Places that belong to one remainder by `step` are a *plane*: all choices with this remainder read
the same line, each from its own shift on. So an element is packed once, not once for each choice.
"""

from __future__ import annotations

from arraylib.record import record


@record
class Axis:
    """An axis of the array: sizes and steps of its counters, `low` zeros before its `size` places,
    and the strides: of its places in the array, of the moving counter in the operand or result that
    has it, and of the chosen one in the other."""

    moving: int
    chosen: int
    step: int
    dilation: int
    low: int
    size: int
    stride: int
    of_moving: int
    of_chosen: int


@record
class Plane:
    """A packed line: the place of its first element, where it starts, and its length."""

    first: int
    start: int
    length: int


@record
class Planes:
    """The packed lines of an axis one after another, and where in them each choice starts."""

    planes: tuple[Plane, ...]
    starts: tuple[int, ...]

    @property
    def length(self) -> int:
        return sum(plane.length for plane in self.planes)


def planes(axis: Axis, moving: int) -> Planes:
    """The lines for so many values of the moving counter; for each choice its own where they are
    too far apart to share."""
    shared: dict[int, list[int]] = {}
    for choice in range(axis.chosen):
        shift, rest = divmod(choice * axis.dilation, axis.step)
        shared.setdefault(rest, []).append(shift)
    together = sum(moving + shifts[-1] - shifts[0] for shifts in shared.values())
    if together > moving * axis.chosen:
        return Planes(tuple(Plane(c * axis.dilation - axis.low, c * moving, moving)
                            for c in range(axis.chosen)),
                      tuple(c * moving for c in range(axis.chosen)))
    found, at, start = [], {}, 0
    for rest, shifts in shared.items():
        length = moving + shifts[-1] - shifts[0]
        found.append(Plane(shifts[0] * axis.step + rest - axis.low, start, length))
        at[rest] = start - shifts[0]
        start += length
    starts = (divmod(c * axis.dilation, axis.step) for c in range(axis.chosen))
    return Planes(tuple(found), tuple(at[rest] + shift for shift, rest in starts))

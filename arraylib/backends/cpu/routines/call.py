"""What a program says to a routine."""

from __future__ import annotations

from arraylib.backends.lower.plan import Buffer
from arraylib.record import record

PREFIX = "arraylib_routine."


@record
class Call:
    """The symbol of a routine, its numbers, bytes of scratch memory, and how much work it is.

    `in_place` are pairs (result, operand) that may share memory. A constant `table`, if there is
    one, comes after the results. In place of the numbers at some positions are the addresses of
    `functions`, by their symbols.
    """

    symbol: str
    numbers: tuple[int, ...]
    scratch: int
    work: float
    in_place: tuple[tuple[int, int], ...] = ()
    table: Buffer | None = None
    functions: tuple[tuple[int, str], ...] = ()


def symbol(*words: object) -> str:
    """The symbol of the routine and variant that words name."""
    return PREFIX + ".".join(map(str, words))

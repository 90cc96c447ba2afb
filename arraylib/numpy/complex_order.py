"""Complex numbers in order: by their real parts, then by their imaginary ones, as in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from arraylib.hlo.ops import elementwise as ew

Pair = Callable[[Any, Any], Any]


def _ordered(direction: str, x: Any, y: Any) -> Any:
    (a, b), (c, d) = ((ew.real(v), ew.imag(v)) for v in (x, y))
    known = ew.and_(ew.compare(b, b, direction="EQ"), ew.compare(d, d, direction="EQ"))
    first = ew.and_(ew.compare(a, c, direction=f"{direction[0]}T"), known)
    rest = ew.compare(b, d, direction=direction)
    return ew.or_(first, ew.and_(ew.compare(a, c, direction="EQ"), rest))


def ordered(direction: str) -> Pair:
    """Whether x is less or greater than y ("LT", "LE", "GT", "GE"); of nan it is not."""
    return partial(_ordered, direction)


def _chosen(direction: str, x: Any, y: Any) -> Any:
    first = ew.or_(_ordered(direction, x, y), ew.compare(x, x, direction="NE"))
    return ew.select(first, x, y)


def chosen(direction: str) -> Pair:
    """The smaller ("LT") or the larger ("GT") of x and y; nan if either is, x's before y's."""
    return partial(_chosen, direction)

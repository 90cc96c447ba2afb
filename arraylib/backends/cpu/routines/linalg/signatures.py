"""Types that native code for LAPACK's routines takes, and that it gives.

A program from elsewhere may state any shapes for a call. Native code would read and write by those
of the first operand, past the end of other arrays; so it is called only where all of them agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.hlo.ir import Type

Types = Sequence[Type]


def agree(routine: Any, operands: Types, results: Types) -> bool:
    """Whether the types are those that native code for a routine is made for."""
    name = routine.name
    if name == "permutation":
        return _is_permutation(operands, results)
    if name not in _SIGNATURES or len(operands) != _OPERANDS.get(name, 1):
        return False
    a = operands[0]
    if dt.name(a.dtype) not in ("float32", "float64") or a.rank < 2:
        return False
    left = {"left": dict(routine.settings).get("left")} if name == "ormqr" else {}
    return [*operands, *results] == _SIGNATURES[name](*operands, **left)


def _is_permutation(operands: Types, results: Types) -> bool:
    if len(operands) != 1 or len(results) != 1:
        return False
    pivots, order = operands[0], results[0]
    return (pivots.dtype == order.dtype == dt.int32 and 0 < pivots.rank == order.rank
            and pivots.shape[:-1] == order.shape[:-1] and pivots.shape[-1] <= order.shape[-1])


def _integers(*shape: int) -> Type:
    return Type(dt.int32, shape)


# -- operands, then results, for a first operand; sizes that are free are as they are --------------


def _getrf(a: Type) -> list[Type]:
    lead = a.shape[:-2]
    return [a, a, _integers(*lead, min(a.shape[-2:])), _integers(*lead)]


def _gesv(a: Type, b: Type) -> list[Type]:
    *lead, n, _ = a.shape
    square, sides = a.with_shape((*lead, n, n)), a.with_shape((*lead, n, *b.shape[-1:]))
    return [square, sides, square, _integers(*lead, n), sides, _integers(*lead)]


def _geqrf(a: Type) -> list[Type]:
    return [a, a, _taus(a, min(a.shape[-2:]))]


def _orgqr(a: Type, taus: Type) -> list[Type]:
    *lead, m, n = a.shape
    tall = a.with_shape((*lead, max(m, n), n))
    return [tall, _taus(a, *taus.shape[-1:]), tall]


def _ormqr(a: Type, taus: Type, c: Type, left: Any) -> list[Type]:
    *lead, m, _ = a.shape
    sizes = (m, *c.shape[-1:]) if left else (*c.shape[-2:-1], m)
    product = a.with_shape((*lead, *sizes))
    return [a, _taus(a, *taus.shape[-1:]), product, product]


def _taus(a: Type, *count: int) -> Type:
    """Numbers of reflections, of which there are no more than columns, or rows."""
    return a.with_shape((*a.shape[:-2], min(*count, *a.shape[-2:])))


def _syevd(a: Type) -> list[Type]:
    *lead, n, _ = a.shape
    square = a.with_shape((*lead, n, n))
    return [square, square, a.with_shape((*lead, n)), _integers(*lead)]


def _gesdd(a: Type) -> list[Type]:
    *lead, m, n = a.shape
    k = min(m, n)
    return [a, a, a.with_shape((*lead, k)), a.with_shape((*lead, m, k)),
            a.with_shape((*lead, k, n)), _integers(*lead)]


_OPERANDS = {"gesv": 2, "orgqr": 2, "ormqr": 3}  # 1 for others

_SIGNATURES: dict[str, Callable[..., list[Type]]] = {
    "getrf": _getrf, "gesv": _gesv, "geqrf": _geqrf, "orgqr": _orgqr, "ormqr": _ormqr,
    "syevd": _syevd, "gesdd": _gesdd}

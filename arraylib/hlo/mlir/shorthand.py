"""Operations of ours that StableHLO has only as cases of more general ones.

A sum is to us `reduce_add`; in StableHLO it is a reduce with a region that adds, and an initial
value. Each row writes such an operation out when it is printed; the parser takes what is written
so for the operation again, JAX's own text included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Graph, Type, trace_graph, type_of
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops import (
    elementwise as ew,
    elementwise_extra as extra,
    general,
    general_scatter,
    indexed,
    reduction as red,
    sort as sorting,
    structured as st,
)
from arraylib.hlo.ops.constant import constant, full_like, iota
from arraylib.hlo.ops.numeric import ONE_ZERO
from arraylib.hlo.same import same

# -- reductions ------------------------------------------------------------------------------------

COMBINED = {st.reduce_add: ew.add, red.reduce_multiply: ew.multiply,
            red.reduce_maximum: ew.maximum, red.reduce_minimum: ew.minimum,
            red.reduce_and: ew.and_, red.reduce_or: ew.or_}


@cache
def pairwise(combine: OpDef, dtype: np.dtype[Any]) -> Graph:
    """The region that combines two scalars."""
    return trace_graph([Type(dtype, ())] * 2, lambda x, y: [combine(x, y)])


def neutral(op: OpDef, dtype: np.dtype[Any]) -> Any:
    """What a reduction of nothing gives."""
    return np.asarray(op.evaluate([np.zeros(0, dtype)], {"dimensions": (0,)})[0])


def _reduce(op: OpDef, x: Any, *, dimensions: tuple[int, ...]) -> Any:
    dtype = type_of(x).dtype
    init = constant(value=neutral(op, dtype))
    return general.reduce(x, init, body=pairwise(COMBINED[op], dtype), dimensions=dimensions)


@cache
def _better(direction: str, value: np.dtype[Any], index: np.dtype[Any]) -> Graph:
    """(x, i, y, j) -> the better pair: of nan and a number nan, of equals the first."""
    def body(x: Any, i: Any, y: Any, j: Any) -> list[Any]:
        chosen = ew.or_(ew.compare(x, y, direction=direction), ew.compare(x, x, direction="NE"))
        equal = ew.compare(x, y, direction="EQ")
        first = ew.or_(chosen, ew.and_(equal, ew.compare(i, j, direction="LT")))
        return [ew.select(chosen, x, y), ew.select(first, i, j)]
    scalars = [Type(value, ()), Type(index, ())]
    return trace_graph(scalars * 2, body)


PLACES = {red.argmax: ("GT", red.reduce_maximum), red.argmin: ("LT", red.reduce_minimum)}


def _place(op: OpDef, x: Any, *, dimensions: tuple[int], dtype: np.dtype[Any]) -> Any:
    direction, extreme = PLACES[op]
    type = type_of(x)
    places = iota(shape=type.shape, dimension=dimensions[0], dtype=dtype)
    worst = constant(value=neutral(extreme, type.dtype))
    zero = constant(value=np.zeros((), dtype))
    return general.reduce(x, places, worst, zero, dimensions=dimensions,
                          body=_better(direction, type.dtype, dtype))[1:]


# -- order -----------------------------------------------------------------------------------------


def _canonical(x: Any) -> list[Any]:
    """A key as keys that the total order puts right: no -0 and only one nan."""
    dtype = type_of(x).dtype
    if dt.is_complex(dtype):
        return [part for half in (ew.real, ew.imag) for part in _canonical(half(x))]
    if not dt.is_float(dtype):
        return [x]
    if dtype in ONE_ZERO:  # of which nan would come first
        x, dtype = ew.convert(x, dtype=dt.float32), dt.float32
    zero = ew.compare(x, full_like(x, 0), direction="EQ")
    whole = ew.select(zero, full_like(x, 0), x)
    is_nan = ew.compare(x, x, direction="NE")
    return [ew.select(is_nan, constant(value=np.asarray(np.nan).astype(dtype)), whole)]


def _stands(x: Any, y: Any, direction: str) -> Any:
    compare = extra.compare_total if dt.is_float(type_of(x).dtype) else ew.compare
    return compare(x, y, direction=direction)


@cache
def comparator(types: tuple[Type, ...], num_keys: int) -> Graph:
    """(x1, y1, x2, y2, ...) -> whether the x come before the y by the first keys."""
    def body(*scalars: Any) -> list[Any]:
        pairs = [pair for i in range(num_keys)
                 for pair in zip(*map(_canonical, scalars[2 * i:2 * i + 2]))]
        *rest, (x, y) = pairs
        less = _stands(x, y, "LT")
        for x, y in reversed(rest):  # x < y, or x == y and what follows is less
            first = _stands(x, y, "LT")
            less = ew.or_(first, ew.and_(_stands(x, y, "EQ"), less))
        return [less]
    return trace_graph([t for t in types for _ in range(2)], body)


def _sort(*xs: Any, dimension: int, num_keys: int) -> Any:
    scalars = tuple(type_of(x).with_shape(()) for x in xs)
    return general.sort_with(*xs, dimension=dimension, is_stable=True,
                             comparator=comparator(scalars, num_keys))


# -- scatter, and functions of fewer arguments -----------------------------------------------------

KINDS = {"add": ew.add, "multiply": ew.multiply, "minimum": ew.minimum, "maximum": ew.maximum}


@cache
def combination(kind: str, dtype: np.dtype[Any]) -> Graph:
    """(there, arriving) -> what a scatter of this kind leaves there."""
    if kind == "set":
        return trace_graph([Type(dtype, ())] * 2, lambda x, y: [y])
    return pairwise(KINDS[kind], dtype)


def _scatter(x: Any, indices: Any, updates: Any, *, kind: str, **attrs: Any) -> Any:
    return general_scatter.scatter_with(
        x, indices, updates, body=combination(kind, type_of(x).dtype), **attrs)


SHORTHAND: dict[OpDef, Callable[..., Any]] = {
    **{op: partial(_reduce, op) for op in COMBINED}, **{op: partial(_place, op) for op in PLACES},
    sorting.sort: _sort, indexed.scatter: _scatter,
    ew.trigamma: lambda x: [extra.polygamma(full_like(x, 1), x)]}


def written_out(op: OpDef, types: Sequence[Type], attrs: dict[str, Any]) -> Graph:
    """The graph of an operation in terms that StableHLO has."""
    return trace_graph(types, lambda *xs: SHORTHAND[op](*xs, **attrs))


# -- and back --------------------------------------------------------------------------------------

Known = Callable[[Any], Any]  # value -> the node that defines it, or None
Short = list[tuple[OpDef, dict[str, Any]]]  # for each result an operation, and its attributes


def _constant_value(known: Known, value: Any) -> Any:
    """The array of a constant, also of one that is broadcast to what it was."""
    node = known(value)
    while node is not None and node.op is st.broadcast_in_dim and node.types[0] == value.type:
        node = known(node.inputs[0])
    return node.attrs["value"] if node is not None and node.op is constant else None


def _bits(x: Any) -> Any:
    return np.asarray(x).tobytes()


def shorter_reduce(known: Known, operands: Sequence[Any], attrs: dict[str, Any]) -> Short | None:
    """Operations on the first operand that give what a general reduce does, if there are any."""
    n = len(operands) // 2
    inits = [_constant_value(known, v) for v in operands[n:]]
    if any(init is None for init in inits):
        return None
    dtype, dimensions = operands[0].type.dtype, attrs["dimensions"]
    if n == 1:
        for op, combine in COMBINED.items():
            if dt.kind(dtype) in op.dtypes and _bits(inits[0]) == _bits(neutral(op, dtype)) \
                    and same(attrs["body"], pairwise(combine, dtype)):
                return [(op, {"dimensions": dimensions})]
    if n == 2 and len(dimensions) == 1:
        return _shorter_place(known, operands, inits, attrs)
    return None


def _shorter_place(known: Known, operands: Sequence[Any], inits: Sequence[Any],
                   attrs: dict[str, Any]) -> Short | None:
    x, places = operands[:2]
    counting, dimensions = known(places), attrs["dimensions"]
    if (counting is None or counting.op is not iota or inits[1].any()
            or counting.attrs["dimension"] != dimensions[0] or dt.kind(x.type.dtype) not in "biuf"
            or not x.type.shape[dimensions[0]]):
        return None
    index = places.type.dtype
    for op, (direction, extreme) in PLACES.items():
        if _bits(inits[0]) == _bits(neutral(extreme, x.type.dtype)) and same(
                attrs["body"], _better(direction, x.type.dtype, index)):
            return [(extreme, {"dimensions": dimensions}),
                    (op, {"dimensions": dimensions, "dtype": index})]
    return None


def shorter_sort(types: Sequence[Type], attrs: dict[str, Any]) -> int | None:
    """By how many keys a sort with this comparator sorts, if that is what it does."""
    scalars = tuple(t.with_shape(()) for t in types)
    if not attrs["is_stable"] or len(scalars) > 8:
        return None
    return next((n for n in range(1, len(scalars) + 1)
                 if same(attrs["comparator"], comparator(scalars, n))), None)


def shorter_scatter(type: Type, body: Graph) -> str | None:
    """The kind of a scatter with this region, if it is one of ours."""
    kinds = ["set", "add", "multiply"]
    kinds += [] if dt.is_complex(type.dtype) else ["minimum", "maximum"]
    return next((k for k in kinds if same(body, combination(k, type.dtype))), None)


def is_all_ones(known: Known, value: Any) -> bool:
    """Whether a value is a constant of ones."""
    array = _constant_value(known, value)
    return array is not None and bool((np.asarray(array) == 1).all())

"""Running sums, products and extremes along an axis."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError, Source, mistake
from arraylib.hlo.ir import Node, Type, trace_graph, type_of
from arraylib.hlo.opdef import Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import constant
from arraylib.hlo.ops.control import fill
from arraylib.hlo.ops.extremes import accumulated
from arraylib.hlo.ops.lifted import written_out
from arraylib.hlo.ops.numeric import in_bytes
from arraylib.hlo.ops.shape import pad, slice_
from arraylib.hlo.ops.structured import F32
from arraylib.hlo.ops.window import reduce_window

# What each kind combines by, and in NumPy.
KINDS: dict[str, tuple[OpDef, np.ufunc]] = {
    "add": (ew.add, np.add), "multiply": (ew.multiply, np.multiply),
    "maximum": (ew.maximum, np.maximum), "minimum": (ew.minimum, np.minimum)}
EXTREMES = ("maximum", "minimum")


def neutral(kind: str, dtype: np.dtype[Any]) -> Any:
    """What combined with anything gives that, as an array."""
    if kind in ("add", "multiply"):
        return np.asarray(int(kind == "multiply")).astype(dtype)
    if dt.is_bool(dtype):
        return np.asarray(kind == "minimum")
    if dt.is_float(dtype):
        return np.asarray(np.inf if kind == "minimum" else -np.inf).astype(dtype)
    limits = dt.iinfo(dtype)
    return np.asarray(limits.max if kind == "minimum" else limits.min).astype(dtype)


def _results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    (x,), kind, axis = types, attrs["kind"], attrs["dimension"]
    if kind not in KINDS:
        raise mistake(ShapeError, "cumulative", f"kind {kind!r}", where=where, operands=types,
                      hint=", ".join(KINDS))
    if not 0 <= axis < x.rank:
        raise mistake(ShapeError, "cumulative", f"dimension {axis} of {x.rank} axes", where=where,
                      operands=types, hint="an axis counted from 0")
    if kind in EXTREMES and dt.is_complex(x.dtype):
        raise mistake(DtypeError, "cumulative", "complex numbers have no order", where=where,
                      operands=types, hint="x.real, x.imag or abs(x)")
    if kind not in EXTREMES and dt.is_bool(x.dtype):
        raise mistake(DtypeError, "cumulative", "truth values are not numbers", where=where,
                      operands=types, hint="convert with x.astype(int)")
    return (x,)


def _narrow(dtype: np.dtype[Any]) -> bool:
    """Whether the numbers are floats that are combined in float32."""
    return dt.is_float(dtype) and dt.bits(dtype) < 32


def _accumulate(x: Any, *, kind: str, dimension: int, reverse: bool) -> Any:
    if _narrow(x.dtype):
        wide = x.astype(np.float32)
        return _accumulate(wide, kind=kind, dimension=dimension, reverse=reverse).astype(x.dtype)
    turned = np.flip(x, dimension) if reverse else x
    function = KINDS[kind][1]
    out = accumulated(function, turned, dimension) if kind in EXTREMES \
        else function.accumulate(turned, axis=dimension, dtype=x.dtype)
    return np.ascontiguousarray(np.flip(out, dimension) if reverse else out)


def _in_bytes(x: Any, **attrs: Any) -> Any:
    return in_bytes(_accumulate)(x, **attrs)


Combine = Callable[[Any, Any], Any]


def doubling(combine: Combine, x: Any, axis: int, value: Any, reverse: bool = False) -> Any:
    """What `combine`, which is associative, makes of each element and all before (or after) it.

    Combines neighbours at a distance of 1, 2, 4 and so on (Hillis and Steele, 1986): a number of
    passes over the array that grows with the logarithm of its size. `value` is neutral.
    """
    n, step = type_of(x).shape[axis], 1
    while step < n:
        x = combine(x, _shifted(x, axis, step, value, reverse))
        step *= 2
    return x


def _shifted(x: Any, axis: int, by: int, value: Any, reverse: bool) -> Any:
    """x moved along an axis, what is left free neutral."""
    shape = type_of(x).shape
    rank = len(shape)
    amount = tuple(by if d == axis else 0 for d in range(rank))
    none = (0,) * rank
    start = amount if reverse else none
    limit = shape if reverse else tuple(n - a for n, a in zip(shape, amount))
    kept = slice_(x, start=start, limit=limit, strides=(1,) * rank)
    return pad(kept, value, interior=none, low=none if reverse else amount,
               high=amount if reverse else none)


def _widened(x: Any, function: Callable[[Any], Any]) -> Any:
    """`function` of x, computed in float32 if x is of narrow floats."""
    dtype = type_of(x).dtype
    if not _narrow(dtype):
        return function(x)
    return ew.convert(function(ew.convert(x, dtype=F32)), dtype=dtype)


def _by_doubling(x: Any, *, kind: str, dimension: int, reverse: bool) -> Any:
    return _widened(x, lambda wide: doubling(
        KINDS[kind][0], wide, dimension, neutral(kind, type_of(wide).dtype), reverse))


def _as_windows(x: Any, *, kind: str, dimension: int, reverse: bool) -> Any:
    """The fold of windows as long as the axis, of which all but one element may be padding."""
    shape = type_of(x).shape
    n, ones = shape[dimension], (1,) * len(shape)
    if n == 0:
        return x
    before = (0, n - 1) if reverse else (n - 1, 0)

    def windows(wide: Any) -> Any:
        dtype = type_of(wide).dtype
        body = trace_graph([Type(dtype, ())] * 2, lambda a, b: [KINDS[kind][0](a, b)])
        return reduce_window(
            wide, constant(value=neutral(kind, dtype)), body=body, window_strides=ones,
            window_dimensions=tuple(n if d == dimension else 1 for d in range(len(shape))),
            base_dilations=ones, window_dilations=ones,
            padding=tuple(before if d == dimension else (0, 0) for d in range(len(shape))))[0]
    return _widened(x, windows)


def _jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Sums are linear; the rest is differentiated as the combinations that doubling makes."""
    if node.attrs["kind"] != "add":
        return jvp(written_out(node, _by_doubling), primals, tangents)
    tangent = cumulative(fill(tangents[0], type_of(primals[0])), **node.attrs)
    return [(cumulative(primals[0], **node.attrs), tangent)]


def _batch(xs: Sequence[Any], has: Sequence[bool], size: int, *, dimension: int,
           **attrs: Any) -> Any:
    return cumulative(xs[0], dimension=dimension + 1, **attrs)


def _example(dtype: Any, shape: tuple[int, ...], kind: str, axis: int, reverse: bool) -> Example:
    return Example((Type(dtype, shape),), {"kind": kind, "dimension": axis, "reverse": reverse})


cumulative: OpDef = OpDef(
    "cumulative", "Each element combined with all before it along an axis (all after it, if "
    "`reverse`), by the operation that `kind` names; floats of less than 32 bits are combined in "
    "float32 and rounded once.",
    _in_bytes, results=_results, dtypes=ew.ANY, dialect="arraylib", jvp_node=_jvp,
    transpose=(lambda ct, x, *, kind, dimension, reverse: cumulative(
        ct, kind=kind, dimension=dimension, reverse=not reverse),),
    batch=_batch, expand=_as_windows, expensive=True, tolerance=2e-6,
    constraints=(
        "`kind` is `add`, `multiply`, `maximum` or `minimum`.",
        "`dimension` is an axis of x.",
        "x is not complex where extremes are asked for, and not bool where sums and products are.",
        "The result is of x's type."),
    examples=(_example(F32, (3, 7), "add", 1, False),
              _example(dt.int32, (5, 2), "maximum", 0, True),
              _example(F32, (4,), "multiply", 0, False)))

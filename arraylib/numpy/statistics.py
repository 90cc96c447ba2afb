"""Statistics of samples, histograms, interpolation, convolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, DtypeError, ShapeError, TraceError, mistake
from arraylib.hlo.ir import known, type_of
from arraylib.hlo.ops import elementwise as ew, sort as so
from arraylib.numpy.creation import arrays, asarray, counting, linspace, zeros
from arraylib.numpy.elementwise import (
    abs,
    add,
    conj,
    divide,
    like,
    maximum,
    mod,
    multiply,
    subtract,
)
from arraylib.numpy.indexing import getitem
from arraylib.numpy.layout import (
    atleast_2d,
    concatenate,
    cut,
    expand_dims,
    ravel,
    reshape,
    stack,
    transpose,
)
from arraylib.numpy.linear import diagonal, matmul
from arraylib.numpy.padding import pad
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    beside,
    broadcast,
    check_kind,
    concrete_int,
    convert,
    converted,
    literal,
    operand,
    promote,
    promote_inexact,
    shape_of,
    splat,
)
from arraylib.numpy.rearrange import flip
from arraylib.numpy.reductions import average, max, min, sum
from arraylib.numpy.selection import where
from arraylib.numpy.sorting import searchsorted
from arraylib.numpy.updates import Updates

# -- covariance ------------------------------------------------------------------------------------


@one_program()
def cov(m: ArrayLike, y: ArrayLike | None = None, rowvar: bool = True, bias: bool = False,
        ddof: int | None = None, fweights: ArrayLike | None = None,
        aweights: ArrayLike | None = None, *, dtype: Any = None) -> Array:
    """The covariances of variables, one a row (a column unless `rowvar`), observations along it.

    Observation i counts `fweights[i]` times (whole numbers), with the importance `aweights[i]`.
    The divisor is 0 where the observations less `ddof` would be negative.

    >>> jnp.cov(jnp.array([1.0, 2.0, 3.0]), jnp.array([3.0, 2.0, 1.0]))
    Array([[ 1., -1.],
           [-1.,  1.]], dtype=float32)
    """
    parts = promote_inexact("cov", m) if y is None else promote_inexact("cov", m, y)
    for part in parts:
        if len(shape_of(part)) > 2:
            raise mistake(ShapeError, "cov", f"{len(shape_of(part))} axes, but 2 at most",
                          operands=[type_of(part)], hint="x.reshape(variables, observations)")
    rows = [transpose(p) if not rowvar and len(shape_of(p)) == 2 else atleast_2d(p) for p in parts]
    x = concatenate(rows) if len(rows) > 1 else rows[0]
    less = (0 if bias else 1) if ddof is None else ddof
    if dtype is not None:
        x = convert(x, _inexact("cov", dtype))
    weights, count = _observations(shape_of(x)[1], type_of(x).dtype, less, fweights, aweights)
    x = ew.subtract(x, broadcast("cov", average(x, 1, weights, keepdims=True), shape_of(x)))
    spread = x if weights is None else multiply(x, weights)
    product = matmul(spread, conj(transpose(x)))
    divisor = broadcast("cov", convert(maximum(count, 0), type_of(x).dtype), shape_of(product))
    result = ew.divide(product, divisor)
    return reshape(result, ()) if shape_of(result) == (1, 1) else result


def _inexact(op: str, dtype: Any) -> dt.Dtype:
    wanted = dt.dtype(dtype, op=op)
    if not dt.is_inexact(wanted):
        raise mistake(ArgumentError, op, f"the result is inexact, not {dt.name(wanted)}",
                      hint="dtype=jnp.float32")
    return wanted


def _observations(n: int, dtype: dt.Dtype, less: int, fweights: ArrayLike | None,
                  aweights: ArrayLike | None) -> tuple[Array | None, Array]:
    """The weights of n observations, None where they are equal, and the divisor of covariances."""
    real = dt.to_real(dtype)
    given = []
    for name, x in (("fweights", fweights), ("aweights", aweights)):
        if x is not None:
            x = asarray(x)
            if shape_of(x) != (n,) or name == "fweights" and not dt.is_integer(type_of(x).dtype):
                raise mistake(ShapeError if shape_of(x) != (n,) else DtypeError, "cov",
                              f"{name} are {type_of(x)} for {n} observations",
                              hint="one for each observation; fweights are integers")
            given.append(convert(x, real))
    if not given:
        return None, splat(n - less, real, ())
    weights = multiply(*given) if len(given) > 1 else given[0]
    total = sum(weights)
    if aweights is None or not less:
        return weights, subtract(total, less)
    shared = divide(sum(multiply(weights, given[-1])), total)
    return weights, subtract(total, multiply(less, shared))


@one_program()
def corrcoef(x: ArrayLike, y: ArrayLike | None = None, rowvar: bool = True, *,
             dtype: Any = None) -> Array:
    """The correlations of variables, one a row (a column unless `rowvar`).

    >>> jnp.corrcoef(jnp.array([1.0, 2.0, 3.0]), jnp.array([3.0, 2.0, 1.0])).round(4)
    Array([[ 1., -1.],
           [-1.,  1.]], dtype=float32)
    """
    c = cov(x, y, rowvar, dtype=dtype)
    if not shape_of(c):
        return ew.divide(c, c)
    deviation = ew.sqrt(diagonal(c))
    if dt.is_complex(type_of(c).dtype):
        deviation = ew.sqrt(ew.real(diagonal(c)))
    scale = convert(ew.multiply(*[broadcast("corrcoef", expand_dims(deviation, i), shape_of(c))
                                  for i in (0, 1)]), type_of(c).dtype)
    return ew.divide(c, scale)


# -- histograms ------------------------------------------------------------------------------------


def bincount(x: ArrayLike, weights: ArrayLike | None = None, minlength: int = 0, *,
             length: int | None = None) -> Array:
    """How often each number 0, 1, ... occurs, or the sum of its weights.

    Under tracing `length` says how many numbers there are; larger ones are left out.

    >>> jnp.bincount(jnp.array([0, 2, 2]))
    Array([1, 0, 2], dtype=int32)
    """
    x = operand("bincount", x)
    x = convert(x, dt.uint8) if dt.is_bool(type_of(x).dtype) else x
    if not dt.is_integer(type_of(x).dtype):
        raise mistake(DtypeError, "bincount", f"takes integers, not {dt.name(type_of(x).dtype)}",
                      operands=[type_of(x)], hint="x.astype(int), or histogram for real numbers")
    if length is None:
        array = known(x)
        if array is None:
            raise mistake(TraceError, "bincount", "the largest number decides the shape, but it is "
                          "traced", operands=[type_of(x)], hint="length=...")
        length = np.maximum(minlength, int(array.max()) + 1 if array.size else 0).item()
    w = like(convert(x, dt.default_int()), 1) if weights is None else operand("bincount", weights)
    x = ew.maximum(x, like(x, 0))
    return Updates(zeros((length,), type_of(w).dtype))[ravel(x)].add(ravel(w), mode="drop")


def histogram_bin_edges(a: ArrayLike, bins: Any = 10, range: Any = None,
                        weights: Any = None) -> Array:
    """The edges of `bins` equal bins from the smallest to the largest, or in `range`.

    >>> jnp.histogram_bin_edges(jnp.array([0.0, 1.0]), bins=2)
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    if len(shape_of(bins)):
        return operand("histogram", asarray(bins))
    if concrete_int("histogram", bins) < 1:
        raise mistake(ArgumentError, "histogram", f"bins = {bins}", hint="1 or more, or the edges")
    (a,) = promote_inexact("histogram", a)
    if range is None:
        low, high = min(a), max(a)
    else:
        low, high = (literal(converted("histogram", x, type_of(a).dtype)) for x in range)
    flat = ew.compare(low, high, direction="EQ")
    half = like(low, 0.5)
    low, high = (ew.select(flat, ew.subtract(low, half), low),
                 ew.select(flat, ew.add(high, half), high))
    return linspace(low, high, concrete_int("histogram", bins) + 1)


def histogram(a: ArrayLike, bins: Any = 10, range: Any = None, weights: ArrayLike | None = None,
              density: bool = False) -> tuple[Array, Array]:
    """How many elements lie in each bin (the last includes its upper edge), and the edges.

    >>> counts, edges = jnp.histogram(jnp.array([1.0, 2.0, 2.0, 4.0]), bins=3)
    >>> counts
    Array([1., 2., 1.], dtype=float32)
    >>> edges
    Array([1., 2., 3., 4.], dtype=float32)
    """
    (x,) = promote_inexact("histogram", ravel(a))
    edges = convert(histogram_bin_edges(x, bins, range), type_of(x).dtype)
    n = shape_of(edges)[0] - 1
    place, inside = _bin(x, edges)
    w = _counted("histogram", x, weights)
    counts = bincount(ew.maximum(place, like(place, 0)), ew.select(inside, w, like(w, 0)),
                      length=n)
    if density:
        counts = convert(counts, _working(type_of(x).dtype))
        widths = convert(ew.subtract(getitem(edges, slice(1, None)), getitem(edges, slice(0, -1))),
                         type_of(counts).dtype)
        total = broadcast("histogram", sum(counts), shape_of(counts))
        counts = ew.divide(ew.divide(counts, widths), total)
    return convert(counts, type_of(x).dtype), edges


def _counted(op: str, x: Array, weights: ArrayLike | None) -> Array:
    """What each element of x counts: weights, or integers, whose sums no float would hold."""
    if weights is None:
        return _ones_like_int(x)
    return ravel(converted(op, weights, _working(type_of(x).dtype)))


def _working(dtype: dt.Dtype) -> dt.Dtype:
    return dt.float32 if dt.is_narrow_float(dtype) else dtype


def _ones_like_int(x: Array) -> Array:
    return counting((), 0, dt.default_int()) if not shape_of(x) else like(
        counting(shape_of(x), 0, dt.default_int()), 1)


def histogramdd(sample: ArrayLike, bins: Any = 10, range: Any = None,
                weights: ArrayLike | None = None, density: bool | None = None
                ) -> tuple[Array, list[Array]]:
    """How many points lie in each cell of a grid, and the edges of its bins along each axis.

    `sample` is an array [n, d], or a list of d vectors; `bins` a number, or for each axis a number
    or edges; `range` two ends for each axis, or None for the least and the largest. Cells include
    their lower edges, the last also the upper one. The counts are f[bins_1, ..., bins_d], sums of
    `weights` if given, divided by their total and the size of the cell for `density`.

    >>> histogramdd([[0.0, 1.0, 1.0], [0.0, 1.0, 0.9]], 2)[0]
    Array([[1., 0.],
           [0., 2.]], dtype=float32)
    """
    if isinstance(sample, (tuple, list)):  # as in NumPy, each is a coordinate, not a point
        given = arrays("histogramdd", *sample)
        sample = stack([ravel(v) for v in promote("histogramdd", *given)], 1)
    (points,) = promote_inexact("histogramdd", sample)
    if len(shape_of(points)) != 2:
        raise mistake(ShapeError, "histogramdd", f"shape {shape_of(points)}",
                      operands=[type_of(points)], hint="sample[n, d]: a row for each point")
    count, d = shape_of(points)
    parts = list(bins) if _several(bins) else [bins] * d
    ends = [None] * d if range is None else list(range)
    if len(parts) != d or len(ends) != d:
        raise mistake(ArgumentError, "histogramdd", f"{len(parts)} bins and {len(ends)} ranges for "
                      f"{d} axes", hint="one for each axis")
    columns = [reshape(cut(points, 1, i, i + 1), (count,)) for i in np.arange(d).tolist()]
    edges = [convert(histogram_bin_edges(x, b, r), type_of(x).dtype)
             for x, b, r in zip(columns, parts, ends)]
    counts = _in_cells(columns, edges, _counted("histogramdd", columns[0], weights))
    if density:
        counts = convert(counts, _working(type_of(points).dtype))
        counts = ew.divide(counts, broadcast("histogramdd", sum(counts), shape_of(counts)))
        for i, e in enumerate(edges):
            m = shape_of(e)[0]
            widths = convert(ew.subtract(cut(e, 0, 1, m), cut(e, 0, 0, m - 1)),
                             type_of(counts).dtype)
            others = tuple(k for k in np.arange(d).tolist() if k != i)
            counts = ew.divide(counts, broadcast("histogramdd", expand_dims(widths, others),
                                                 shape_of(counts)))
    return convert(counts, type_of(points).dtype), edges


def _several(bins: Any) -> bool:
    return isinstance(bins, (tuple, list)) or len(shape_of(bins)) == 1


def _in_cells(columns: Sequence[Array], edges: Sequence[Array], w: Array) -> Array:
    """The sums of the weights of the points in each cell."""
    cells = tuple(shape_of(e)[0] - 1 for e in edges)
    flat = like(_ones_like_int(w), 0)
    inside = splat(True, dt.bool_, shape_of(w))
    for x, e, n in zip(columns, edges, cells):
        place, within = _bin(x, e)
        inside = ew.and_(inside, within)
        flat = ew.add(ew.multiply(flat, like(flat, n)), place)
    counts = bincount(ew.select(inside, flat, like(flat, 0)), ew.select(inside, w, like(w, 0)),
                      length=math.prod(cells))
    return reshape(counts, cells)


def _bin(x: Array, edges: Array) -> tuple[Array, Array]:
    """The bin of each element, and whether it lies in one."""
    n = shape_of(edges)[0] - 1
    place = ew.subtract(searchsorted(edges, x, side="right"), _ones_like_int(x))
    last = broadcast("histogram", getitem(edges, -1), shape_of(x))
    place = ew.select(ew.compare(x, last, direction="EQ"), like(place, n - 1), place)
    return place, ew.and_(ew.compare(place, like(place, 0), direction="GE"),
                          ew.compare(place, like(place, n), direction="LT"))


def histogram2d(x: ArrayLike, y: ArrayLike, bins: Any = 10, range: Any = None,
                weights: ArrayLike | None = None, density: bool | None = None
                ) -> tuple[Array, Array, Array]:
    """How many points (x, y) lie in each cell, and the edges along both axes; see `histogramdd`.

    `bins` is a number or edges for both axes, or a pair of those.

    >>> histogram2d([0.0, 1.0, 1.0], [0.0, 1.0, 0.9], 2)[0]
    Array([[1., 0.],
           [0., 2.]], dtype=float32)
    """
    if _several(bins) and len(bins) not in (1, 2):
        bins = [bins, bins]
    counts, (first, second) = histogramdd([x, y], bins, range, weights, density)
    return counts, first, second


# -- interpolation and convolution -----------------------------------------------------------------


@one_program(3)
def interp(x: ArrayLike, xp: ArrayLike, fp: ArrayLike, left: ArrayLike | str | None = None,
           right: ArrayLike | str | None = None, period: ArrayLike | None = None) -> Array:
    """The piecewise linear function through the points (xp, fp), xp ascending, at x.

    Outside it is `left` and `right`, the first and last of fp unless given; "extrapolate" goes on
    with the slope at that end. With `period` the points, in any order, are repeated after it, and
    there is no outside.

    >>> jnp.interp(jnp.array([0.5, 1.5]), jnp.array([0.0, 1.0, 2.0]), jnp.array([0.0, 10.0, 0.0]))
    Array([5., 5.], dtype=float32)
    """
    x, xp, fp = beside("interp", x, xp, fp)
    (x, xp), (fp,) = promote_inexact("interp", x, xp), promote_inexact("interp", fp)
    _check_points(x, xp, fp, left, right)
    if period is not None:
        x, xp, fp = _over_a_period(x, xp, fp, period)
    value = _on_lines(x, xp, fp)
    for at, end, direction in ((0, left, "LT"), (-1, right, "GT")):
        if period is None and not isinstance(end, str):
            edge = broadcast("interp", getitem(xp, at), shape_of(x))
            value = where(ew.compare(x, edge, direction=direction),
                          getitem(fp, at) if end is None else end, value)
    return value


def _check_points(x: Array, xp: Array, fp: Array, *ends: ArrayLike | str | None) -> None:
    if shape_of(xp) != shape_of(fp) or len(shape_of(xp)) != 1:
        raise mistake(ShapeError, "interp", f"xp has shape {shape_of(xp)} and fp {shape_of(fp)}",
                      hint="two vectors of one size")
    check_kind("interp", type_of(x).dtype, "f", x, xp)
    for end in ends:
        if isinstance(end, str) and end != "extrapolate":
            raise mistake(ArgumentError, "interp", f"{end!r} at an end",
                          hint="a number, or 'extrapolate'")


def _over_a_period(x: Array, xp: Array, fp: Array, period: ArrayLike) -> tuple[Array, Array, Array]:
    """Everything within one period, the points sorted and each end repeated at the other."""
    if shape_of(period):
        raise mistake(ShapeError, "interp", f"a period of shape {shape_of(period)}",
                      hint="one number")
    length = abs(converted("interp", period, type_of(xp).dtype))
    x, xp = mod(x, length), mod(xp, length)
    xp, fp = so.sort(xp, fp, dimension=0, num_keys=1)
    n = shape_of(xp)[0]
    first, last = ((cut(v, 0, 0, 1), cut(v, 0, n - 1, n)) for v in (xp, fp))
    xp = concatenate([subtract(first[1], length), xp, add(first[0], length)])
    return x, xp, concatenate([last[1], fp, last[0]])


def _on_lines(x: Array, xp: Array, fp: Array) -> Array:
    """The line through the two points around each x, or at an end the two that are nearest."""
    n = shape_of(xp)[0]
    i = searchsorted(xp, x, side="right")
    i = ew.clamp(like(i, 1), i, like(i, n - 1))
    low = ew.subtract(i, like(i, 1))
    at = lambda v, j: getitem(v, j, mode="clip") if shape_of(j) else reshape(
        getitem(v, reshape(j, (1,)), mode="clip"), ())
    (x0, x1), (f0, f1) = ((at(v, low), at(v, i)) for v in (xp, fp))
    width = ew.subtract(x1, x0)
    empty = ew.compare(width, like(width, 0), direction="EQ")
    share = ew.divide(ew.subtract(x, x0), ew.select(empty, like(width, 1), width))
    share, f0, f1 = promote("interp", share, f0, f1)
    return ew.select(empty, f0, ew.add(f0, ew.multiply(share, ew.subtract(f1, f0))))


@one_program(2)
def convolve(a: ArrayLike, v: ArrayLike, mode: str = "full", *, precision: Any = None,
             preferred_element_type: Any = None) -> Array:
    """The sum of products of two vectors, one turned round and moved along the other.

    `precision` changes nothing; `preferred_element_type` is the dtype of the sums.

    >>> jnp.convolve(jnp.array([1, 2, 3]), jnp.array([1, 1]))
    Array([1, 3, 5, 3], dtype=int32)
    """
    return _correlated("convolve", a, v, mode, preferred_element_type, turned=True)


@one_program(2)
def correlate(a: ArrayLike, v: ArrayLike, mode: str = "valid", *, precision: Any = None,
              preferred_element_type: Any = None) -> Array:
    """The sum of products of a vector and another, moved along it; keywords as for `convolve`.

    >>> jnp.correlate(jnp.array([1, 2, 3]), jnp.array([1, 1]))
    Array([3, 5], dtype=int32)
    """
    return _correlated("correlate", a, v, mode, preferred_element_type, turned=False)


def _correlated(op: str, a: ArrayLike, v: ArrayLike, mode: str, dtype: Any, turned: bool) -> Array:
    """Windows of the longer vector times the shorter one."""
    a, v = promote(op, a, v)
    if len(shape_of(a)) != 1 or len(shape_of(v)) != 1 or not (shape_of(a)[0] and shape_of(v)[0]):
        raise mistake(ShapeError, op, "two vectors that are not empty are needed",
                      operands=[type_of(a), type_of(v)],
                      hint="x.ravel(); arraylib.scipy.signal.convolve takes more axes")
    if mode not in ("full", "same", "valid"):
        raise mistake(ArgumentError, op, f"mode = {mode!r}", hint="full, same or valid")
    v = v if turned else conj(flip(v))
    middle = shape_of(v)[0] // 2
    if shape_of(a)[0] < shape_of(v)[0]:
        a, v = v, a
        middle = shape_of(v)[0] // 2 if turned else (shape_of(v)[0] - 1) // 2
    n, m = shape_of(a)[0], shape_of(v)[0]
    low, size = {"full": (m - 1, n + m - 1), "same": (middle, n), "valid": (0, n - m + 1)}[mode]
    padded = pad(a, (low, size + m - 1 - n - low)) if mode != "valid" else a
    places = np.arange(size)[:, None] + np.arange(m)[::-1]
    return matmul(getitem(padded, places), v, preferred_element_type=dtype)

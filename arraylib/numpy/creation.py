"""Functions that make arrays: from data, from one number, by counting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy as copy_of
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.device import Device, check_device
from arraylib.errors import (
    ArgumentError,
    CopyError,
    DtypeError,
    ShapeError,
    TraceError,
    mistake,
    what_is,
)
from arraylib.hlo.ir import current, is_tracing, is_weak, known, type_of
from arraylib.hlo.ops import constant as co, elementwise as ew, shape as sh, structured as st
from arraylib.numpy.elementwise import like
from arraylib.numpy.exchange import shared
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    Shape,
    as_axis,
    as_shape,
    beside,
    broadcast,
    broadcast_all,
    common_dtype,
    convert,
    converted,
    exactly,
    inexact,
    is_operand,
    literal,
    operand,
    own_type,
    promote,
    shape_of,
    splat,
)
from arraylib.sharding.placed import place, placed

DtypeLike = Any


def _dtype(op: str, dtype: DtypeLike, default: dt.Dtype | None = None) -> dt.Dtype:
    if dtype is None:
        return dt.default_float() if default is None else default
    return dt.dtype(dtype, op=op)


# -- from data -------------------------------------------------------------------------------------


def array(object: Any, dtype: DtypeLike = None, copy: bool = True, order: str | None = None,
          ndmin: int = 0, *, device: Device | None = None) -> Array:
    """An array of numbers, nested sequences, buffers, NumPy data or arrays, which are stacked.

    Without `dtype`, Python numbers and 64-bit NumPy data become 32-bit. Raises OverflowError for
    an integer that does not fit, DtypeError for what is no array. With `copy` it has memory of its
    own: if one of the two is donated, the other stays.

        jnp.array([[1, 2], [3, 4]])                      # i32[2,2]
        jnp.array(np.arange(3.0), dtype=jnp.float64)     # f64[3]

    >>> jnp.array([[1, 2], [3, 4]])
    Array([[1, 2],
           [3, 4]], dtype=int32)
    >>> jnp.array([1, 2], dtype="float64").dtype
    dtype('float64')
    """
    check_device("array", device)
    wanted = None if dtype is None else dt.dtype(dtype, op="array")
    result = _own(_array(object, wanted), object, copy)
    lead = ndmin - len(shape_of(result))
    return st.reshape(result, shape=(1,) * lead + shape_of(result)) if lead > 0 else result


def asarray(a: Any, dtype: DtypeLike = None, order: str | None = None, *,
            copy: bool | None = None, device: Device | None = None) -> Array:
    """`a` as an array; itself if it is one of that dtype already, unless `copy`. See `array`.

    `copy=False` shares the memory of NumPy data, which must not be written to any more, and raises
    ValueError where the elements would have to be moved.

        jnp.asarray(np.ones(3, np.float32), copy=False)    # f32[3] in NumPy's memory

    >>> jnp.asarray([1.5, 2])
    Array([1.5, 2. ], dtype=float32)
    """
    check_device("asarray", device)
    wanted = None if dtype is None else dt.dtype(dtype, op="asarray")
    if copy is False:
        return _shared(a, wanted)
    return _own(_array(a, wanted), a, bool(copy))


def arrays(op: str, *xs: Any) -> list[Array]:
    """What an operation takes, lists too, as arrays that are in dtypes of their own; see `beside`.
    """
    given = [x if x is None or is_operand(x) else asarray(x) for x in xs]
    return [x if x is None else asarray(x) for x in beside(op, *given)]  # type: ignore[misc]


def _shared(a: Any, dtype: dt.Dtype | None) -> Array:
    """`a` in the memory it has; ValueError if that is not possible."""
    own = own_type(a)
    if own is not None and dtype in (None, own.dtype):
        return current().own(a)
    a = np.asarray(a) if own is None and _has_elements(a) else a
    if isinstance(a, np.ndarray) and a.dtype == (dt.of(a) if dtype is None else dtype):
        return shared(a, "asarray")
    wanted = "an array" if dtype is None else f"an array of {dt.name(dtype)}"
    raise mistake(CopyError, "asarray", f"copy=False, but {what_is(a)} becomes {wanted} only by "
                  "a copy", hint="asarray(a), which copies where it must")


def _own(result: Array, given: Any, wanted: bool) -> Array:
    """A result that is what was given, copied if that is wanted: traced values have no memory."""
    if not wanted or result is not given or is_tracing():
        return result
    copied: Array = place(copy_of(result), placed(result))
    return copied


def _array(x: Any, dtype: dt.Dtype | None) -> Array:
    if own_type(x) is not None:
        return current().own(x) if dtype is None else exactly(x, dtype)
    if isinstance(x, range):
        x = tuple(x)
    if isinstance(x, (list, tuple)) and any(own_type(leaf) is not None for leaf in _leaves(x)):
        return ew.strong(_stack([_array(item, dtype) for item in x]))
    if isinstance(x, (list, tuple)):
        return literal(_from_sequence(x, dtype))
    if not is_operand(x) and (hasattr(x, "__array__") or _has_elements(x)):
        x = np.asarray(x)
    if dtype is None or isinstance(x, (bool, int, float, complex)):
        return literal(operand("array", x) if dtype is None else converted("array", x, dtype))
    if not isinstance(x, (np.ndarray, np.generic)):
        raise mistake(DtypeError, "array", f"{what_is(x)} is neither an array nor a number",
                      hint="an array, a number, or nested lists of them")
    dt.check_unmasked(x, "array")
    return literal(_checked(np.asarray(x), dtype))


def _has_elements(x: Any) -> bool:
    """Whether x is memory with elements of some type: a bytearray, memoryview or array.array."""
    if isinstance(x, (str, bytes)) or x is None:
        return False
    try:
        memoryview(x)
    except TypeError:
        return False
    return True


def _leaves(x: Any) -> Any:
    for item in x:
        if isinstance(item, (list, tuple)):
            yield from _leaves(item)
        else:
            yield item


def _checked(x: Any, dtype: dt.Dtype) -> Any:
    """NumPy data converted, refusing integers that do not fit."""
    if dt.is_integer(dtype) and x.dtype.kind in "iu" and x.size:
        dt.check_fits(int(x.min()), dtype, op="array")
        dt.check_fits(int(x.max()), dtype, op="array")
    return ew.convert.evaluate([x], {"dtype": dtype})[0] if x.dtype != dtype else x


def _from_sequence(x: Sequence[Any], dtype: dt.Dtype | None) -> Any:
    try:
        data = np.array(x)
    except ValueError as error:
        raise mistake(ShapeError, "array", "the nested sequences have different lengths",
                      hint="every row must have the same length") from error
    if data.dtype == object:
        raise mistake(DtypeError, "array", "the sequence holds something that is no number",
                      hint="numbers and arrays only")
    if dtype is None:
        dtype = dt.default_float() if not data.size else _sequence_dtype(x)
    return _checked(data, dtype)


def _sequence_dtype(x: Sequence[Any]) -> dt.Dtype:
    """Python numbers are weak among NumPy ones: [np.float16(1), 2.0] is float16."""
    kinds = {type(leaf) if isinstance(leaf, (bool, int, float, complex))
             and not isinstance(leaf, np.generic) else dt.of(leaf, op="array")
             for leaf in _leaves(x)}
    return dt.promote(*kinds, op="array")


def _stack(items: Sequence[Array]) -> Array:
    items = promote("array", *items)
    shapes = {shape_of(x) for x in items}
    if len(shapes) > 1:
        raise mistake(ShapeError, "array", f"the items have different shapes: {sorted(shapes)}",
                      operands=[type_of(x) for x in items],
                      hint="every item needs the shape of the first")
    rows = [st.reshape(x, shape=(1, *shape_of(x))) for x in items]
    return sh.concatenate(*rows, dimension=0)


def copy(a: ArrayLike) -> Array:
    """An array equal to `a`, in memory of its own.

    >>> jnp.copy(jnp.arange(3))
    Array([0, 1, 2], dtype=int32)
    """
    return array(a)


def astype(x: ArrayLike, dtype: DtypeLike, /, *, copy: bool = False,
           device: Device | None = None) -> Array:
    """x as another dtype: floats to integers by truncation; complex to real drops the imaginary.

    What has that dtype already is returned itself, or with `copy` in memory of its own.

    >>> jnp.astype(jnp.array([1.7, -1.7]), "int32")
    Array([ 1, -1], dtype=int32)
    """
    check_device("astype", device)
    wanted = _dtype("astype", dtype)  # the default float for None, as in NumPy
    return _own(literal(exactly(operand("astype", x, wanted), wanted)), x, copy)


# -- from one number -------------------------------------------------------------------------------


def full(shape: Shape, fill_value: ArrayLike, dtype: DtypeLike = None, *,
         device: Device | None = None) -> Array:
    """An array of `shape` that repeats one value (or an array that broadcasts to it).

    >>> jnp.full((2, 2), 7)
    Array([[7, 7],
           [7, 7]], dtype=int32)
    """
    check_device("full", device)
    wanted = common_dtype("full", fill_value) if dtype is None else dt.dtype(dtype, op="full")
    return _full(shape, fill_value, wanted, dtype is None and is_weak(fill_value))


def _full(shape: Shape, value: ArrayLike, dtype: dt.Dtype, weak: bool) -> Array:
    sizes = as_shape("full", shape)
    filling = converted("full", value, dtype, weak)
    return literal(broadcast("full", filling if weak else ew.strong(filling), sizes))


def zeros(shape: Shape, dtype: DtypeLike = None, *, device: Device | None = None) -> Array:
    """An array of zeros; float32 unless a dtype is given.

    >>> jnp.zeros((2, 3))
    Array([[0., 0., 0.],
           [0., 0., 0.]], dtype=float32)
    """
    check_device("zeros", device)
    return splat(0, _dtype("zeros", dtype), as_shape("zeros", shape))


def ones(shape: Shape, dtype: DtypeLike = None, *, device: Device | None = None) -> Array:
    """An array of ones; float32 unless a dtype is given.

    >>> jnp.ones(3, dtype="int32")
    Array([1, 1, 1], dtype=int32)
    """
    check_device("ones", device)
    return splat(1, _dtype("ones", dtype), as_shape("ones", shape))


def empty(shape: Shape, dtype: DtypeLike = None, *, device: Device | None = None) -> Array:
    """An array of zeros: uninitialised memory would be of no use to pure functions.

    >>> jnp.empty((2, 3)).shape
    (2, 3)
    """
    check_device("empty", device)
    return splat(0, _dtype("empty", dtype), as_shape("empty", shape))


def full_like(a: ArrayLike, fill_value: ArrayLike, dtype: DtypeLike = None,
              shape: Shape | None = None, *, device: Device | None = None) -> Array:
    """An array of one value with the shape and dtype of `a`, unless others are given.

    >>> jnp.full_like(jnp.arange(3), 9)
    Array([9, 9, 9], dtype=int32)
    """
    check_device("full_like", device)
    a = operand("full_like", a)
    return _full(shape_of(a) if shape is None else shape, fill_value,
                 _dtype("full_like", dtype, type_of(a).dtype), dtype is None and is_weak(a))


def zeros_like(a: ArrayLike, dtype: DtypeLike = None, shape: Shape | None = None, *,
               device: Device | None = None) -> Array:
    """Zeros with the shape and dtype of `a`, unless others are given.

    >>> jnp.zeros_like(jnp.arange(3.0))
    Array([0., 0., 0.], dtype=float32)
    """
    return full_like(a, 0, dtype, shape, device=device)


def ones_like(a: ArrayLike, dtype: DtypeLike = None, shape: Shape | None = None, *,
              device: Device | None = None) -> Array:
    """Ones with the shape and dtype of `a`, unless others are given.

    >>> jnp.ones_like(jnp.arange(3.0))
    Array([1., 1., 1.], dtype=float32)
    """
    return full_like(a, 1, dtype, shape, device=device)


empty_like = zeros_like

# -- by counting -----------------------------------------------------------------------------------


def counting(shape: Sequence[int], axis: int, dtype: dt.Dtype) -> Array:
    """The index along `axis` in an array of `shape`."""
    return co.iota(shape=tuple(shape), dimension=axis, dtype=dtype)


def arange(start: Any, stop: Any = None, step: Any = None, dtype: DtypeLike = None, *,
           device: Device | None = None) -> Array:
    """The numbers start, start + step, ... before `stop`; from 0 if only one number is given.

    The bounds decide the shape, so they are numbers known while tracing.

    >>> jnp.arange(4)
    Array([0, 1, 2, 3], dtype=int32)
    >>> jnp.arange(0, 1, 0.25)
    Array([0.  , 0.25, 0.5 , 0.75], dtype=float32)
    """
    check_device("arange", device)
    start, stop = (0, start) if stop is None else (start, stop)
    start, stop, step = (_number("arange", x) for x in (start, stop, 1 if step is None else step))
    kinds = dt.promote(*[_weak_kind(x) for x in (start, stop, step)], op="arange")
    wanted = _dtype("arange", dtype, kinds)
    if step == 0:
        raise mistake(ArgumentError, "arange", "a step of 0 never reaches the end",
                      hint="a step above or below 0, or linspace(start, stop, num)")
    n = _count_to(start, stop, step)
    parts = start, step, start + n * step
    if not dt.is_integer(wanted) and any(isinstance(x, float) and not x.is_integer()
                                         or not -1 << 63 <= x < 1 << 63 for x in parts):
        return literal((start + np.arange(n) * float(step)).astype(wanted))
    if not dt.is_integer(wanted):
        # whole numbers as integers first: a half type cannot count far
        few = all(-1 << 31 <= x < 1 << 31 for x in parts)
        whole = arange(int(start), int(start) + n * int(step), int(step),
                       dtype=dt.int32 if few else dt.int64)
        return convert(whole, wanted)
    start, step = int(start), int(start + step) - int(start)  # as NumPy cuts fractions
    if n:
        dt.check_fits(start, wanted, op="arange")
        dt.check_fits(start + (n - 1) * step, wanted, op="arange")
    result = counting((n,), 0, wanted)
    if step != 1 and n > 1:  # a step that is not taken may be of any size
        result = ew.multiply(result, like(result, step))
    return ew.add(result, like(result, start)) if start != 0 and n else result


def _count_to(start: Any, stop: Any, step: Any) -> int:
    """How many numbers `arange` gives."""
    try:
        count, _ = math.ceil((stop - start) / step), int(step)  # raise where one is not finite
        return max(0, count)
    except (OverflowError, ValueError):
        raise mistake(ArgumentError, "arange", f"from {start} to {stop} by {step} there is no "
                      "number of steps", hint="finite bounds") from None


def _weak_kind(x: Any) -> Any:
    return x.dtype if isinstance(x, np.generic) else type(x)


def _number(op: str, x: Any) -> Any:
    """A Python number from a number or an array known to hold one."""
    if isinstance(x, (bool, int, float)):
        return x
    known = np.asarray(x) if own_type(x) is None else _known_scalar(op, x)
    if known.ndim:
        raise mistake(ShapeError, op, f"a number is needed, not an array of shape {known.shape}",
                      hint="take one of its elements, or reduce it")
    if known.dtype.kind == "c":
        raise mistake(ArgumentError, op, f"{known.item()} is complex", hint="a real number")
    return known.item()


def _known_scalar(op: str, x: Any) -> Any:
    from_trace = known(x)
    if from_trace is None:
        raise mistake(TraceError, op, "the shape of the result depends on a traced value",
                      operands=[type_of(x)],
                      hint="pass a Python number, or mark the argument static in jit")
    return from_trace


def linspace(start: ArrayLike, stop: ArrayLike, num: int = 50, endpoint: bool = True,
             retstep: bool = False, dtype: DtypeLike = None, axis: int = 0, *,
             device: Device | None = None) -> Any:
    """`num` evenly spaced numbers from `start` to `stop`, which is the last if `endpoint`.

    With `retstep` their distance as well, nan if there is none.

    >>> jnp.linspace(0, 1, 5)
    Array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    check_device("linspace", device)
    if num < 0:
        raise mistake(ArgumentError, "linspace", f"num = {num} is negative", hint="0 or more")
    work, wanted = _spaced("linspace", dtype, start, stop)
    if axis == 0 and not retstep and isinstance(start, (int, float)) \
            and isinstance(stop, (int, float)):
        return literal(_between_numbers(start, stop, num, endpoint, work, wanted))
    start, stop = broadcast_all("linspace", [converted("linspace", x, work) for x in (start, stop)])
    shape = shape_of(start)
    parts = max(num - 1 if endpoint else num, 1)
    step = splat(math.nan, work, ()) if num <= endpoint else ew.divide(
        ew.subtract(stop, start), like(start, parts))
    out_shape = (num, *shape)
    spread = lambda x: broadcast("linspace", x, out_shape)
    # (1 - t) * start + t * stop, which ends exactly at both ends
    t = ew.divide(counting(out_shape, 0, work), splat(parts, work, out_shape))
    values = ew.add(ew.multiply(spread(start), ew.subtract(like(t, 1), t)),
                    ew.multiply(spread(stop), t))
    if dt.is_integer(wanted):
        values = ew.floor(values)
    if axis:
        values = _move_first(values, as_axis("linspace", axis, len(out_shape)))
    values = convert(values, wanted)
    return (values, step) if retstep else values


def _spaced(op: str, dtype: DtypeLike, *ends: ArrayLike) -> tuple[dt.Dtype, dt.Dtype]:
    """The floating dtype in which to compute, and the dtype of the result."""
    work = inexact(common_dtype(op, *ends))
    wanted = _dtype(op, dtype, work)
    return dt.promote(work, wanted) if dt.is_inexact(wanted) else work, wanted


def _between_numbers(start: float, stop: float, num: int, endpoint: bool, work: dt.Dtype,
                     wanted: dt.Dtype) -> np.ndarray[Any, Any]:
    """The same computed by NumPy, in the same arithmetic."""
    first, last, parts = (np.asarray(x).astype(work) for x in (
        start, stop, max(num - 1 if endpoint else num, 1)))
    t = np.arange(num).astype(work) / parts
    values = first * (1 - t) + last * t
    return (np.floor(values) if dt.is_integer(wanted) else values).astype(wanted)


def _move_first(x: Array, axis: int) -> Array:
    order = list(range(1, len(shape_of(x))))
    order.insert(axis, 0)
    return st.transpose(x, permutation=tuple(order))


def logspace(start: ArrayLike, stop: ArrayLike, num: int = 50, endpoint: bool = True,
             base: ArrayLike = 10.0, dtype: DtypeLike = None, axis: int = 0) -> Array:
    """`base` to the powers of `linspace(start, stop)`.

    >>> jnp.logspace(0, 2, 3)
    Array([  1.,  10., 100.], dtype=float32)
    """
    work, wanted = _spaced("logspace", dtype, start, stop)
    exponents = linspace(start, stop, num, endpoint, dtype=work, axis=axis)
    base = broadcast("logspace", converted("logspace", base, work), shape_of(exponents))
    return convert(ew.power(base, exponents), wanted)


def geomspace(start: ArrayLike, stop: ArrayLike, num: int = 50, endpoint: bool = True,
              dtype: DtypeLike = None, axis: int = 0) -> Array:
    """`num` numbers from `start` to `stop`, each the same multiple of the one before.

    >>> jnp.geomspace(1, 8, 4).round(3)
    Array([1., 2., 4., 8.], dtype=float32)
    """
    work, wanted = _spaced("geomspace", dtype, start, stop)
    start, stop = broadcast_all("geomspace", [converted("geomspace", x, work)
                                              for x in (start, stop)])
    sign = ew.sign(start)  # both ends may be negative
    first, last = (ew.log(ew.divide(x, sign)) for x in (start, stop))
    shares = ew.exponential(linspace(first, last, num, endpoint))
    values = ew.multiply(broadcast("geomspace", sign, shape_of(shares)), shares)
    if axis:
        values = _move_first(values, as_axis("geomspace", axis, len(shape_of(values))))
    return convert(values, wanted)


def fromfunction(function: Any, shape: Shape, *, dtype: DtypeLike = None, **kwargs: Any) -> Any:
    """`function` of the index along each axis, as arrays of `shape`.

    >>> jnp.fromfunction(lambda i, j: i + j, (2, 3))
    Array([[0., 1., 2.],
           [1., 2., 3.]], dtype=float32)
    """
    sizes = as_shape("fromfunction", shape)
    wanted = _dtype("fromfunction", dtype)
    return function(*[counting(sizes, i, wanted) for i in range(len(sizes))], **kwargs)


# -- grids -----------------------------------------------------------------------------------------


def below(shape: Sequence[int], k: ArrayLike, direction: str) -> Array:
    """Whether column - row stands to k as `direction` says, over the last two axes of `shape`."""
    rows = counting(shape, len(shape) - 2, dt.int32)
    columns = counting(shape, len(shape) - 1, dt.int32)
    if own_type(k) is None:
        furthest = sum(shape[-2:])
        k = max(-furthest, min(int(k), furthest))
        return ew.compare(columns, ew.add(rows, like(rows, k)), direction=direction)
    furthest, limits = sum(shape[-2:]), dt.iinfo(type_of(k).dtype)
    if dt.bits(type_of(k).dtype) >= 32:  # others fit as they are
        k = ew.clamp(like(k, max(-furthest, int(limits.min))), k, like(k, furthest))
    apart = broadcast("diagonal", convert(k, dt.int32), tuple(shape))
    return ew.compare(ew.subtract(columns, rows), apart, direction=direction)


def eye(N: int, M: int | None = None, k: ArrayLike = 0, dtype: DtypeLike = None, *,
        device: Device | None = None) -> Array:
    """An N x M matrix with ones on the k-th diagonal, zeros elsewhere.

    >>> jnp.eye(2)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    check_device("eye", device)
    shape = as_shape("eye", (N, N if M is None else M))
    return convert(below(shape, k, "EQ"), _dtype("eye", dtype))


def identity(n: int, dtype: DtypeLike = None) -> Array:
    """The n x n identity matrix.

    >>> jnp.identity(2)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    return eye(n, dtype=dtype)


def meshgrid(*xi: ArrayLike, copy: bool = True, sparse: bool = False,
             indexing: str = "xy") -> tuple[Array, ...]:
    """Coordinate arrays of the grid that these axes span.

    `indexing="xy"`: the first two axes of the results are swapped, as in a picture.

    >>> x, y = jnp.meshgrid(jnp.arange(3), jnp.arange(2))
    >>> x
    Array([[0, 1, 2],
           [0, 1, 2]], dtype=int32)
    >>> y
    Array([[0, 0, 0],
           [1, 1, 1]], dtype=int32)
    """
    if indexing not in ("xy", "ij"):
        raise mistake(ArgumentError, "meshgrid", f"indexing = {indexing!r}", hint="'xy' or 'ij'")
    arrays = [operand("meshgrid", x) for x in xi]
    if any(len(shape_of(x)) > 1 for x in arrays):
        raise mistake(ShapeError, "meshgrid", "its operands have one axis each",
                      operands=[type_of(x) for x in arrays], hint="x.ravel()")
    order = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        order[:2] = [1, 0]
    sizes = [math.prod(shape_of(x)) for x in arrays]
    shape = tuple(sizes[i] for i in order)
    results = []
    for i, x in enumerate(arrays):
        thin = tuple(n if order[j] == i else 1 for j, n in enumerate(shape))
        x = st.reshape(x, shape=thin)
        results.append(x if sparse else broadcast("meshgrid", x, shape))
    return tuple(results)


def indices(dimensions: Sequence[int], dtype: DtypeLike = None, sparse: bool = False) -> Any:
    """For each axis of an array with these sizes, the index along it.

    >>> rows, columns = jnp.indices((2, 2))
    >>> columns
    Array([[0, 1],
           [0, 1]], dtype=int32)
    """
    wanted = _dtype("indices", dtype, dt.default_int())
    shape = as_shape("indices", dimensions)
    if sparse:
        return tuple(st.reshape(counting((n,), 0, wanted), shape=tuple(
            n if j == i else 1 for j in range(len(shape)))) for i, n in enumerate(shape))
    return _stack([counting(shape, i, wanted) for i in range(len(shape))])

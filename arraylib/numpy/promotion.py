"""From what a user passes to operands of one dtype and shape: the one place that knows the rules.

Values and arrays of the library keep their dtype. NumPy data takes the dtype `dtypes.of` gives it
(32 bits unless `config.default_bits` says 64); where arrays make it an operation of 64 bits, the
data keeps its own. Python numbers are weak, as is what depends on them alone: they take the dtype
of what they meet. Shapes broadcast as in NumPy.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from arraylib import dtypes as dt
from arraylib.config import config
from arraylib.errors import ArgumentError, AxisError, DtypeError, ShapeError, count, mistake
from arraylib.hlo.ir import Number, Type, current, is_tracing, is_weak, known, type_of, weakened
from arraylib.hlo.opdef import KINDS, OpDef
from arraylib.hlo.ops import constant as co, elementwise as ew, structured as st

if TYPE_CHECKING:  # what users see; inside it is a value, an array of the library or NumPy's
    from arraylib.array import Array
else:
    Array: TypeAlias = Any
ArrayLike: TypeAlias = Any  # any of these, or a number
Shape: TypeAlias = "Sequence[int] | int"

PYTHON_NUMBERS = (bool, int, float, complex)
NUMPY_DATA = (np.ndarray, np.generic)
_WEAK = frozenset(PYTHON_NUMBERS)


def own_type(x: Any) -> Type | None:
    """The type of a value or array of the library; None for anything else."""
    found = getattr(x, "type", None)
    return found.strong if found.__class__ is Type else None


def is_operand(x: Any) -> bool:
    """Whether x may stand in an operation: an array, NumPy data or a number."""
    return x.__class__ in _WEAK or getattr(x, "type", None).__class__ is Type \
        or isinstance(x, (*NUMPY_DATA, *PYTHON_NUMBERS))


def operand(op: str, x: ArrayLike, beside: dt.Dtype | None = None) -> Array:
    """`x` as an array of its own dtype; DtypeError for what is neither array nor number.

    `beside` is the dtype of the operation, or the one asked for: if it has 64 bits, NumPy data
    keeps its own and numbers of its kind take them.
    """
    if own_type(x) is not None:
        return x
    if type(x) in _WEAK and beside is not None and dt.narrowed(beside) != beside \
            and beside == dt.promote(beside, x):
        return literal(converted(op, x, beside))
    dtype = dt.of(x, op=op, beside=beside)
    if isinstance(x, NUMPY_DATA):
        return _kept(x.astype(dtype, copy=False))  # type: ignore[arg-type]
    return Number.of(x)  # type: ignore[return-value]


def _kept(x: Array) -> Array:
    """x; NumPy data of 64 bits as an array, which keeps its dtype wherever it goes."""
    return literal(x) if isinstance(x, NUMPY_DATA) and dt.narrowed(x.dtype) != x.dtype else x


def operands(op: str, xs: Sequence[ArrayLike]) -> list[Array]:
    return [operand(op, x) for x in xs]


def beside(op: str, *xs: Any) -> list[Any]:
    """Operands of one operation, each in a dtype of its own; those that are None stay so."""
    common = common_dtype(op, *[x for x in xs if x is not None])
    return [x if x is None else operand(op, x, common) for x in xs]


def literal(x: Any) -> Array:
    """An operand that may be NumPy data as an array: written into the program if it is small."""
    if own_type(x) is not None:
        return x
    if x.nbytes <= config.fold_bytes:
        made = co.constant(value=np.array(x, order="C"))  # a copy: who passed it may change it
        return weakened(made) if is_weak(x) else made
    return current().own(x)


def dtype_of(op: str, x: ArrayLike) -> dt.Dtype:
    """The dtype `x` has as an operand, where nothing else decides."""
    type = own_type(x)
    return type.dtype if type is not None else dt.of(x, op=op)


def shape_of(x: ArrayLike) -> tuple[int, ...]:
    """The shape of an array or number."""
    type = own_type(x)
    return type.shape if type is not None else np.shape(x)


def convert(x: Array, dtype: dt.Dtype) -> Array:
    """x in another dtype; x itself if it has it already."""
    return x if type_of(x).dtype == dtype else ew.convert(x, dtype=dtype)


def converted(op: str, x: ArrayLike, dtype: dt.Dtype, weak: bool = False,
              common: dt.Dtype | None = None) -> Array:
    """`x`, which may be a Python number, as an array of `dtype`, which is `weak` or not.

    What is weak already stays so: see `exactly`. `common` is the dtype of all operands together,
    if that is another.
    """
    if type(x) not in _WEAK:
        if dtype is dt.int64 and isinstance(x, NUMPY_DATA) and x.dtype == dt.uint64 and x.size:
            dt.check_fits(int(x.max()), dtype, op=op)
        own = operand(op, x, common or dtype)
        made = convert(own, dtype)
        return weakened(made) if weak and made is not own else made
    if type(x) is int and dt.is_integer(dtype):
        dt.check_fits(x, dtype, op=op)
    with np.errstate(over="ignore"):  # what is too large for a float is infinite
        data = np.asarray(x).astype(dtype)
    return weakened(data) if weak else data  # type: ignore[return-value]


def beside_array(op: str, x: ArrayLike, dtype: dt.Dtype, weak: bool = False) -> Array:
    """An operand in the dtype of the array beside it, which no Python number is cut for."""
    if isinstance(x, PYTHON_NUMBERS) and not _has_kind(x, dtype):
        raise mistake(DtypeError, op, f"{x!r} is {_called(x)}, but the array beside it is "
                      f"{dt.name(dtype)}", hint="convert the array; functions of "
                      "arraylib.numpy find the dtype of both")
    return converted(op, x, dtype, weak)


def _called(x: ArrayLike) -> str:
    """What the kind of a Python number is called."""
    return "complex" if isinstance(x, complex) else \
        "a float" if isinstance(x, float) else "an integer"


def _has_kind(x: ArrayLike, dtype: dt.Dtype) -> bool:
    """Whether a dtype has numbers of the kind of a Python number."""
    if isinstance(x, complex):
        return dt.is_complex(dtype)
    if isinstance(x, float):
        return dt.is_inexact(dtype)
    return isinstance(x, bool) or not dt.is_bool(dtype)


def exactly(x: Array, dtype: dt.Dtype) -> Array:
    """x in a dtype that somebody asked for: it is not weak."""
    return ew.strong(x) if type_of(x).dtype == dtype else ew.convert(x, dtype=dtype)


def common_dtype(op: str, *xs: ArrayLike) -> dt.Dtype:
    """The dtype in which an operation on these operands is done."""
    return common_kind(op, *xs)[0]


def common_kind(op: str, *xs: ArrayLike) -> tuple[dt.Dtype, bool]:
    """The dtype in which an operation on these operands is done, and whether that is weak."""
    result, weak = dt.promote_kinds(*[kind(op, x) for x in xs], op=op)
    if result == dt.default_int():
        for x in xs:
            if type(x) is int:
                dt.check_fits(x, result, op=op)
    return result, weak


def kind(op: str, x: ArrayLike) -> Any:
    """A dtype, or the class of Python numbers that an operand stands for."""
    if x.__class__ in _WEAK:
        return x.__class__
    if isinstance(x, NUMPY_DATA):  # the elements are looked at once it is known what they become
        own = dt.narrowed(dt.dtype(x.dtype, op=op))
    else:
        own = dtype_of(op, x)
    return dt.weak_kind(own) if is_weak(x) else own


def inexact(dtype: dt.Dtype) -> dt.Dtype:
    """`dtype` if it holds fractions, else the default float."""
    return dtype if dt.is_inexact(dtype) else dt.default_float()


def promote(op: str, *xs: ArrayLike) -> list[Array]:
    """The operands in their common dtype, each in its own shape."""
    return [_kept(x) for x in promoted(op, *xs)]


def promoted(op: str, *xs: ArrayLike) -> list[Array]:
    """The same for operations of `hlo` alone: numbers are still NumPy data of that dtype."""
    if _shared_dtype(xs) is not None:
        return list(xs)
    dtype, weak = common_kind(op, *xs)
    return [converted(op, x, dtype, weak) for x in xs]


def _shared_dtype(xs: Sequence[ArrayLike]) -> dt.Dtype | None:
    """The dtype of operands that are arrays of one dtype all."""
    found = None
    for x in xs:
        type = own_type(x)
        if type is None or found is not None and type.dtype is not found:
            return None
        found = type.dtype
    return found


def promote_inexact(op: str, *xs: ArrayLike) -> list[Array]:
    """The operands in their common dtype, or in the default float if that is an integer."""
    shared = _shared_dtype(xs)
    if shared is not None and dt.is_inexact(shared):
        return list(xs)
    dtype, weak = common_kind(op, *xs)
    return [_kept(converted(op, x, inexact(dtype), weak, dtype)) for x in xs]


# -- shapes ----------------------------------------------------------------------------------------


def as_shape(op: str, shape: Shape) -> tuple[int, ...]:
    """A shape as a tuple of non-negative ints; one int is a shape of one axis."""
    try:
        sizes = (shape.__index__(),) if hasattr(shape, "__index__") and not shape_of(shape) \
            else tuple(n.__index__() for n in shape)  # type: ignore[union-attr]
    except (TypeError, AttributeError):
        raise mistake(ShapeError, op, f"{shape!r} is not a shape",
                      hint="a tuple of Python integers; sizes cannot wait for run time") from None
    if any(n < 0 for n in sizes):
        raise mistake(ShapeError, op, f"shape {sizes} has a negative size",
                      hint="sizes from 0 up; only reshape takes -1, for a size it works out")
    return sizes


def as_axis(op: str, axis: int, rank: int, of: str = "an array") -> int:
    """An axis counted from 0; AxisError unless -rank <= axis < rank."""
    try:
        index = axis.__index__()
    except AttributeError:
        raise mistake(ShapeError, op, f"axis {axis!r} is not an integer",
                      hint="axis=0, or a tuple of axes where several are taken") from None
    if not -rank <= index < rank:
        hint = f"an axis from {-rank} to {rank - 1}" if rank else "a scalar has no axes"
        raise mistake(AxisError, op, f"axis {index} of {of} with {count(rank, 'axis')}",
                      hint=hint)
    return index % rank


def as_axes(op: str, axis: int | Sequence[int] | None, rank: int,
            of: str = "an array") -> tuple[int, ...]:
    """Axes counted from 0, none twice; all for None."""
    if axis is None:
        return tuple(range(rank))
    several = isinstance(axis, (tuple, list)) or axis.__class__ is not int and shape_of(axis)
    given = tuple(axis) if several else (axis,)  # type: ignore[arg-type]
    axes = tuple(as_axis(op, a, rank, of) for a in given)  # type: ignore[arg-type]
    if len(set(axes)) != len(axes):
        raise mistake(ShapeError, op, f"an axis is named twice in {given}",
                      hint="each axis once; -1 is the last one")
    return axes


def broadcast_shapes(*shapes: Shape) -> tuple[int, ...]:
    """The shape to which all of `shapes` broadcast; ShapeError if there is none.

    >>> jnp.broadcast_shapes((2, 1), (3,))
    (2, 3)
    """
    return joint_shape("broadcast_shapes", [as_shape("broadcast_shapes", s) for s in shapes])


@lru_cache(maxsize=4096)
def _joint_shape(shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...] | None:
    rank = max((len(s) for s in shapes), default=0)
    padded = [(1,) * (rank - len(s)) + s for s in shapes]
    result = []
    for sizes in zip(*padded):
        others = {n for n in sizes if n != 1}
        if len(others) > 1:
            return None
        result.append(others.pop() if others else 1)
    return tuple(result)


def broadcastable(*shapes: tuple[int, ...]) -> bool:
    """Whether there is a shape to which all broadcast."""
    return _joint_shape(shapes) is not None


def joint_shape(op: str, shapes: Sequence[tuple[int, ...]],
                types: Sequence[Any] = ()) -> tuple[int, ...]:
    """The shape to which all broadcast; ShapeError in the name of `op` if there is none."""
    found = _joint_shape(tuple(shapes))
    if found is None:
        raise mistake(ShapeError, op, _clash(shapes), operands=types or shapes,
                      hint="sizes must be equal or 1, counted from the last axis: insert an axis "
                           "with x[:, None] or reshape")
    return found


def _clash(shapes: Sequence[tuple[int, ...]]) -> str:
    """The first axis, from the last, on which two shapes disagree."""
    for back in range(1, max(map(len, shapes)) + 1):
        seen: dict[int, int] = {}
        for i, shape in enumerate(shapes):
            if back <= len(shape) and shape[-back] != 1:
                seen.setdefault(shape[-back], i)
        if len(seen) > 1:
            (n, i), (m, j) = list(seen.items())[:2]
            return (f"shapes do not broadcast: axis {-back} is {n} in operand {i} "
                    f"but {m} in operand {j}")
    raise AssertionError("the shapes broadcast")


def splat(value: complex, dtype: dt.Dtype, shape: tuple[int, ...], once: bool = False) -> Array:
    """An array of one number; `once`: see `broadcast`."""
    return co.repeated(value, dtype, shape) if once and not is_tracing() \
        else co.number(value, dtype, shape)


def weak_splat(value: complex, type: Type) -> Array:
    """An array of one number that depends on Python numbers alone."""
    return weakened(co.constant(value=co.repeated(value, type.dtype, type.shape)))


def like(x: Array, value: complex) -> Array:
    """One number in the dtype and shape of x."""
    type = type_of(x)
    return weak_splat(value, type) if is_weak(x) else splat(value, type.dtype, type.shape)


def broadcast(op: str, x: Array, shape: tuple[int, ...], once: bool = False) -> Array:
    """x repeated to `shape`, along its axes of size 1 and along new leading axes.

    `once` promises that the result goes straight to one elementwise operation: outside of a trace,
    a number is then not written out.
    """
    own = shape_of(x)
    if own == shape:
        return x
    if isinstance(x, np.ndarray) and x.ndim == 0:
        weak = is_weak(x)
        at_once = once and not weak and not is_tracing()  # else a copy: who passed it may change it
        view = np.broadcast_to(x if at_once else x.copy(), shape)
        made = view if at_once else co.constant(value=view)
        return weakened(made) if weak else made
    lead = len(shape) - len(own)
    if lead < 0 or any(n != m and n != 1 for n, m in zip(own, shape[lead:])):
        raise mistake(ShapeError, op, f"shape {own} does not broadcast to {shape}",
                      operands=[type_of(x)], hint="only axes of size 1 can be repeated")
    return st.broadcast_in_dim(x, shape=shape, broadcast_dimensions=tuple(range(lead, len(shape))))


def broadcast_all(op: str, xs: Sequence[Array], once: bool = False) -> list[Array]:
    """The operands in their joint shape; `once`: see `broadcast`."""
    types = [type_of(x) for x in xs]
    first = types[0].shape
    if all(t.shape == first for t in types):
        return list(xs)
    shape = joint_shape(op, [t.shape for t in types], types)
    return [broadcast(op, x, shape, once) for x in xs]



def concrete_int(op: str, x: Any) -> int:
    """A Python int from an integer or an array known to hold one; TypeError for others."""
    if isinstance(x, int):
        return x
    array = known(x)
    if array is None:
        raise mistake(ArgumentError, op, "an integer is needed that is known while tracing",
                      operands=[type_of(x)], hint="pass a Python integer, or mark the argument "
                      "static in jit")
    return operator.index(array.item())


# -- operations ------------------------------------------------------------------------------------


def check_kind(op: str, dtype: dt.Dtype, allowed: str, *given: Any) -> None:
    """DtypeError unless the kind letter of `dtype` is in `allowed`; `given` are the operands."""
    if dt.kind(dtype) not in allowed:
        kinds = ", ".join(KINDS[k] for k in allowed)
        raise mistake(DtypeError, op, f"takes {kinds}, not {dt.name(dtype)}",
                      operands=[own_type(x) or x for x in given],
                      hint="convert with x.astype(...)")


def binary(op: str, emit: Callable[[Any, Any], Any], x: ArrayLike, y: ArrayLike,
           to: Callable[[dt.Dtype], dt.Dtype] | None = None, kinds: str = "",
           of_complex: Callable[[Any, Any], Any] | None = None) -> Array:
    """`emit` on x and y promoted to one dtype and broadcast to one shape.

    `to` maps the common dtype to that of the computation; `kinds` are the letters of what it takes,
    besides complex numbers if there is a function of these.
    """
    a, b = own_type(x), own_type(y)
    weak = False
    if a is not None and (a is b or y.__class__ in _WEAK and _keeps((a.dtype, type(y)))):
        common, decided = a.dtype, a
    elif b is not None and x.__class__ in _WEAK and _keeps((b.dtype, type(x))):
        common, decided = b.dtype, b
    elif a is not None and b is not None and a.dtype is b.dtype:
        common, decided, weak = a.dtype, None, is_weak(x) and is_weak(y)
    else:
        (common, weak), decided = common_kind(op, x, y), None
    if kinds:
        if of_complex is not None and dt.is_complex(common):
            emit = of_complex
        else:
            check_kind(op, common, kinds, x, y)
    dtype = common if to is None else to(common)
    once = emit.__class__ is OpDef or emit.__class__ is partial and emit.func.__class__ is OpDef
    if decided is not None and dtype != common:
        weak = is_weak(x) and is_weak(y)
    elif decided is not None:
        # one of them gives type and shape: the usual case, and the one to be fast
        return emit(x if a is decided else _beside(op, x, y, decided, once),
                    y if b is decided else _beside(op, y, x, decided, once))
    if a is not None and b is not None and a.dtype is dtype and b.dtype is dtype:
        return emit(*broadcast_all(op, [x, y], once))
    return emit(*broadcast_all(op, [converted(op, v, dtype, weak, common) for v in (x, y)], once))


@lru_cache(maxsize=256)
def _keeps(pair: tuple[dt.Dtype, Any]) -> bool:
    """Whether a Python number of a class takes the dtype of the array it meets."""
    return dt.promote(*pair) == pair[0]


def _beside(op: str, value: complex, other: Array, type_: Type, once: bool) -> Array:
    """A Python number in the type of the array it meets, and as weak."""
    if type(value) is int and dt.is_integer(type_.dtype):
        dt.check_fits(value, type_.dtype, op=op)
    if is_weak(other):
        return weak_splat(value, type_)
    return splat(value, type_.dtype, type_.shape, once)


def size_of(shape: Sequence[int]) -> int:
    return math.prod(shape)


def refuse_out(op: str, out: Any) -> None:
    """ArgumentError if `out=` is given: arrays never change."""
    if out is not None:
        raise mistake(ArgumentError, op, "out= is given, but arrays cannot be changed",
                      hint=f"use the result: x = {op}(...); inside jit the memory is reused anyway")

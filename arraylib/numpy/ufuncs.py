"""Universal functions: functions of elements that also reduce, accumulate and update arrays.

    jnp.add(x, y)    jnp.add.reduce(x)    jnp.multiply.outer(x, y)    jnp.maximum.at(x, i, y)

Those with a reduction of their own use it; the others go from element to element.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops.cumulative import cumulative as running
from arraylib.numpy import elementwise as el, reductions as rd
from arraylib.numpy.creation import arange, arrays, asarray
from arraylib.numpy.cumulative import cumprod, cumsum
from arraylib.numpy.indexing import getitem
from arraylib.numpy.layout import concatenate, cut, expand_dims, moveaxis, reshape
from arraylib.numpy.mapping import vectorize
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    as_axes,
    as_axis,
    broadcast,
    convert,
    converted,
    is_operand,
    literal,
    operand,
    refuse_out,
    shape_of,
)
from arraylib.numpy.selection import where as choose
from arraylib.numpy.updates import Updates
from arraylib.on_demand import module


class Ways(NamedTuple):
    """What does the work of a method quicker than going from element to element."""

    reduce: Callable[..., Array] | None
    accumulate: Callable[..., Array] | None
    at: str | None


class ufunc:
    """A function of elements with methods; `frompyfunc` makes one of a function of numbers.

    It takes `nin` arrays, which broadcast, and returns `nout`; `identity` is the number that a
    reduction starts with, None if there is none. Methods are those of NumPy's, and give new arrays.
    """

    def __init__(self, function: Callable[..., Any], nin: int, nout: int, *, identity: Any = None,
                 reduce: Callable[..., Array] | None = None,
                 accumulate: Callable[..., Array] | None = None, at: str | None = None) -> None:
        self.__wrapped__ = function
        self.__name__, self.__doc__ = function.__name__, function.__doc__
        self.__qualname__, self.__module__ = self.__name__, "arraylib.numpy"
        self.nin, self.nout, self.identity = nin, nout, identity
        self.ways = Ways(reduce, accumulate, at)

    def __call__(self, *args: Any, **kwargs: Any) -> Array:
        return self.__wrapped__(*args, **kwargs)

    @property
    def nargs(self) -> int:
        """How many arrays it takes and returns."""
        return self.nin + self.nout

    def __repr__(self) -> str:
        return f"<ufunc {self.__name__!r}>"

    def __reduce__(self) -> str:
        return self.__name__

    def reduce(self, a: ArrayLike, axis: int | Sequence[int] | None = 0, dtype: Any = None,
               out: None = None, keepdims: bool = False, initial: ArrayLike | None = None,
               where: ArrayLike | None = None) -> Array:
        """The elements over axes, all for None, combined one after the other.

        It starts with `initial`, else the identity; elements where `where` is false are left out.
        Raises ArgumentError where there is nothing to start with.

        >>> add.reduce([[1, 2], [3, 4]])
        Array([4, 6], dtype=int32)
        """
        op = self._check("reduce", out)
        a = _array(op, a, dtype)
        if where is not None and self.identity is None and initial is None:
            raise mistake(ArgumentError, op, "where is given, but there is no identity to start "
                          "with", hint="initial=...")
        logical = self.ways.reduce in (rd.all, rd.any)
        if self.ways.reduce and not (logical and (initial is not None or dtype is not None)):
            given = {} if logical else {"initial": initial}
            a = a if dtype is None else convert(a, dt.dtype(dtype, op=op))
            return self.ways.reduce(a, axis=axis, keepdims=keepdims, where=where, **given)
        axes = as_axes(op, axis if not isinstance(axis, list) else tuple(axis), len(shape_of(a)))
        mask = None if where is None else broadcast(op, operand(op, where), shape_of(a))
        rows = convert(_rows(a, axes), self._result(a, dtype))
        found = self._folded(rows, None if mask is None else _rows(mask, axes), initial)
        return expand_dims(found, axes) if keepdims else found

    def _folded(self, rows: Array, mask: Array | None, initial: ArrayLike | None) -> Array:
        """The rows combined, from the first to the last."""
        op, dtype = f"{self.__name__}.reduce", type_of(rows).dtype
        n, rest = shape_of(rows)[0], shape_of(rows)[1:]
        first = self.identity if initial is None else initial
        if initial is None and first == -1 and dt.is_unsigned(dtype):
            first = int(dt.iinfo(dtype).max)  # all bits
        if first is None and not n:
            raise mistake(ShapeError, op, "no elements are left, and there is no identity",
                          operands=[type_of(rows)], hint="initial=..., what it is without any")
        if first is None:
            start, rows = getitem(rows, 0), cut(rows, 0, 1, n)
        else:
            start = broadcast(op, literal(converted(op, first, dtype)), rest)

        def step(carry: Array, row: Any) -> tuple[Array, None]:
            x, kept = row
            combined = convert(self(carry, x), dtype)
            return combined if kept is None else choose(kept, combined, carry), None

        return module("tracing.control").scan(step, start, (rows, mask))[0]

    def accumulate(self, a: ArrayLike, axis: int = 0, dtype: Any = None, out: None = None) -> Array:
        """What reducing gives up to each element along an axis.

        >>> multiply.accumulate([1, 2, 3])
        Array([1, 2, 6], dtype=int32)
        """
        op = self._check("accumulate", out)
        a = _array(op, a, dtype)
        place = as_axis(op, axis, len(shape_of(a)))
        if self.ways.accumulate:
            a = a if dtype is None else convert(a, dt.dtype(dtype, op=op))
            return self.ways.accumulate(a, axis=place)
        wanted = self._result(a, dtype)
        rows = convert(moveaxis(a, place, 0), wanted)
        if not shape_of(rows)[0]:
            return moveaxis(rows, 0, place)

        def step(carry: Array, x: Array) -> tuple[Array, Array]:
            combined = convert(self(carry, x), wanted)
            return combined, combined

        rest = cut(rows, 0, 1, shape_of(rows)[0])
        found = module("tracing.control").scan(step, getitem(rows, 0), rest)[1]
        return moveaxis(concatenate([cut(rows, 0, 0, 1), found]), 0, place)

    def outer(self, a: ArrayLike, b: ArrayLike, /) -> Array:
        """The function of each element of `a` with each of b: shape a.shape + b.shape.

        >>> add.outer([1, 2], [10, 20])
        Array([[11, 21],
               [12, 22]], dtype=int32)
        """
        a, b = arrays(self._check("outer", None), a, b)
        rank = len(shape_of(b))
        return self(reshape(a, (*shape_of(a), *(1,) * rank)), b)

    def at(self, a: ArrayLike, indices: Any, b: ArrayLike | None = None, *, inplace: bool = False
           ) -> Array:
        """`a` with the function applied at the indices, as often as each of them occurs.

        >>> add.at([1, 2, 3], [0, 0], 5)
        Array([11,  2,  3], dtype=int32)
        """
        op = f"{self.__name__}.at"
        if inplace:
            raise mistake(ArgumentError, op, "inplace=True, but arrays cannot be changed",
                          hint=f"x = {op}(x, ...)")
        if (b is None) != (self.nin == 1):
            raise mistake(ArgumentError, op, f"the function takes {self.nin} arrays",
                          hint=f"{op}(a, indices)" if self.nin == 1 else f"{op}(a, indices, b)")
        a, b = arrays(op, a, b)
        indices = asarray(indices) if isinstance(indices, list) else indices
        if self.ways.at:
            return getattr(Updates(a)[indices], self.ways.at)(b)
        places = getitem(reshape(arange(math.prod(shape_of(a))), shape_of(a)), indices)
        others = None if b is None else reshape(broadcast(op, b, shape_of(places)), (-1,))

        def step(flat: Array, given: Any) -> tuple[Array, None]:
            place, other = given
            old = getitem(flat, place, mode="clip")
            new = self(old) if other is None else self(old, other)
            return Updates(flat)[place].set(convert(new, type_of(flat).dtype), mode="drop"), None

        flat = module("tracing.control").scan(step, reshape(a, (-1,)),
                                              (reshape(places, (-1,)), others))[0]
        return reshape(flat, shape_of(a))

    def reduceat(self, a: ArrayLike, indices: Any, axis: int = 0, dtype: Any = None,
                 out: None = None) -> Array:
        """The reductions from each index to the next along an axis; the last goes to the end.

        Where the next index is not larger it is the element at the index alone.

        >>> add.reduceat([1, 2, 3, 4], [0, 2])
        Array([3, 7], dtype=int32)
        """
        op = self._check("reduceat", out)
        a, first = _array(op, a, dtype), asarray(indices)
        place = as_axis(op, axis, len(shape_of(a)))
        wanted = self._result(a, dtype)
        rows = convert(moveaxis(a, place, 0), wanted)
        n, rest = shape_of(rows)[0], shape_of(rows)[1:]
        k = shape_of(first)[0]
        column = (k, *(1,) * len(rest))
        end = concatenate([cut(first, 0, 1, k), convert(asarray([n]), type_of(first).dtype)])
        first, end = (reshape(x, column) for x in (first, end))

        def step(found: Array, given: Any) -> tuple[Array, None]:
            i, x = given
            inside = el.logical_and(el.less(first, i), el.less(i, end))
            combined = convert(self(found, broadcast(op, x, shape_of(found))), wanted)
            return choose(inside, combined, found), None

        start = getitem(rows, reshape(first, (k,)))
        places = arange(n, dtype=type_of(first).dtype)
        found = module("tracing.control").scan(step, start, (places, rows))[0]
        return moveaxis(found, 0, place)

    def _check(self, method: str, out: Any) -> str:
        """The name of a method that two operands and one result are needed for."""
        op = f"{self.__name__}.{method}"
        refuse_out(op, out)
        if (self.nin, self.nout) != (2, 1):
            raise mistake(ArgumentError, op, f"the function takes {self.nin} and returns "
                          f"{self.nout} arrays", hint="a function of two arrays that returns one")
        return op

    def _result(self, a: Array, dtype: Any) -> dt.Dtype:
        """The dtype of a reduction of `a`."""
        if dtype is not None:
            return dt.dtype(dtype, op=self.__name__)
        one = module("tracing.core").ShapeDtypeStruct((1,), type_of(a).dtype)
        function = self.ways.reduce or (lambda x: self(x, x))
        return module("tracing.program").eval_shape(function, one).dtype  # type: ignore[no-any-return]


def _array(op: str, x: ArrayLike, dtype: Any) -> Array:
    """x, which may be a list, as an array that has what `dtype` asks for."""
    given = x if is_operand(x) else asarray(x)
    return asarray(operand(op, given, None if dtype is None else dt.dtype(dtype, op=op)))


def _rows(a: Array, axes: Sequence[int]) -> Array:
    """Some axes as one, in front of the others."""
    moved = moveaxis(a, tuple(axes), tuple(range(len(axes))))
    rest = shape_of(moved)[len(axes):]
    count = math.prod(shape_of(moved)[:len(axes)])
    return reshape(moved, (count, *rest))


def frompyfunc(func: Callable[..., Any], /, nin: int, nout: int, *, identity: Any = None) -> ufunc:
    """A universal function of a function of numbers, which is batched, not called for each.

    >>> frompyfunc(lambda x, y: x * y + 1, 2, 1).reduce(jnp.arange(4))
    Array(10, dtype=int32)
    """
    if not callable(func):
        raise mistake(ArgumentError, "frompyfunc", f"{func!r} is no function",
                      hint="frompyfunc(lambda x, y: x + y, 2, 1)")
    return ufunc(vectorize(func), int(nin), int(nout), identity=identity)


def _extreme(kind: str) -> Callable[..., Array]:
    return lambda a, axis: running(a, kind=kind, dimension=axis, reverse=False)


add = ufunc(el.add, 2, 1, identity=0, reduce=rd.sum, accumulate=cumsum, at="add")
multiply = ufunc(el.multiply, 2, 1, identity=1, reduce=rd.prod, accumulate=cumprod, at="multiply")
maximum = ufunc(el.maximum, 2, 1, reduce=rd.max, accumulate=_extreme("maximum"), at="max")
minimum = ufunc(el.minimum, 2, 1, reduce=rd.min, accumulate=_extreme("minimum"), at="min")
subtract = ufunc(el.subtract, 2, 1, at="subtract")
negative = ufunc(el.negative, 1, 1)
logical_and = ufunc(el.logical_and, 2, 1, identity=True, reduce=rd.all)
logical_or = ufunc(el.logical_or, 2, 1, identity=False, reduce=rd.any)
logical_xor = ufunc(el.logical_xor, 2, 1, identity=False)
bitwise_and = ufunc(el.bitwise_and, 2, 1, identity=-1)
bitwise_or = ufunc(el.bitwise_or, 2, 1, identity=0)
bitwise_xor = ufunc(el.bitwise_xor, 2, 1, identity=0)
logaddexp = ufunc(el.logaddexp, 2, 1, identity=-math.inf)
logaddexp2 = ufunc(el.logaddexp2, 2, 1, identity=-math.inf)

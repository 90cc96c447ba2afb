"""Operators: the operators and methods that arrays and traced values have in common.

`Array` and `Tracer` inherit from it. Everything is a function of `arraylib.numpy` under another
name; an operator returns NotImplemented for what is no array and no number, so that the other
operand's class may have its say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import arraylib.numpy
from arraylib.device import CPU, Device, check_device
from arraylib.dispatch import call_function, call_ufunc
from arraylib.errors import ArgumentError, DtypeError, ShapeError, mistake, what_is
from arraylib.numpy import (
    creation,
    cumulative,
    elementwise as ew,
    inserting,
    layout,
    linear,
    reductions as rd,
    selection,
    sorting,
    views,
)
from arraylib.numpy.indexing import getitem
from arraylib.numpy.namespace import check_version
from arraylib.numpy.promotion import Array, is_operand
from arraylib.numpy.types import ndarray
from arraylib.numpy.updates import Updates

Binary = Callable[[Any, Any], Array]
Axis = Any


# Classes of Python's own that have no say in arithmetic with arrays.
_CONTAINERS = (list, tuple, dict, set, frozenset, str, bytes, type(None))
_REFLECTED = [f"__r{name}__" for name in (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "matmul", "and", "or",
    "xor", "lshift", "rshift")]


def _has_arithmetic(cls: type) -> bool:
    """Whether a class of containers has operators of its own, such as a named tuple may have."""
    own = [base for base in cls.__mro__ if base not in (*_CONTAINERS, object)]
    return any(name in vars(base) for base in own for name in _REFLECTED)


def _other_way(function: Callable[..., Any], other: Any) -> Any:
    """NotImplemented, so that the class of `other` is asked; an error if it has no answer."""
    if isinstance(other, _CONTAINERS) and not _has_arithmetic(type(other)):
        raise mistake(DtypeError, function.__name__, f"{what_is(other)} is neither an array nor a "
                      "number", hint="jnp.array(...) makes an array of a list" if other else
                      "pass an array or a number")
    return NotImplemented


def _operator(function: Callable[..., Any]) -> Binary:
    def method(self: Any, other: Any) -> Any:
        return function(self, other) if is_operand(other) else _other_way(function, other)
    method.__doc__ = function.__doc__
    return method


def _comparison(function: Callable[..., Any]) -> Binary:
    """Equality, which every class may be asked for: `x == None` is False."""
    def method(self: Any, other: Any) -> Any:
        return function(self, other) if is_operand(other) else NotImplemented
    method.__doc__ = function.__doc__
    return method


def _reflected(function: Callable[..., Any]) -> Binary:
    def method(self: Any, other: Any) -> Any:
        return function(other, self) if is_operand(other) else _other_way(function, other)
    method.__doc__ = function.__doc__
    return method


class Operators(ndarray):
    """Arithmetic, comparison, indexing and methods, for any class that has a `type`."""

    __slots__ = ()
    __array_priority__ = 100  # NumPy arrays leave `numpy_array + array` to us

    # Comparison is element by element, so equality cannot be what a dictionary asks for.
    __hash__ = object.__hash__

    __add__, __radd__ = _operator(ew.add), _reflected(ew.add)
    __sub__, __rsub__ = _operator(ew.subtract), _reflected(ew.subtract)
    __mul__, __rmul__ = _operator(ew.multiply), _reflected(ew.multiply)
    __truediv__, __rtruediv__ = _operator(ew.divide), _reflected(ew.divide)
    __floordiv__, __rfloordiv__ = _operator(ew.floor_divide), _reflected(ew.floor_divide)
    __mod__, __rmod__ = _operator(ew.mod), _reflected(ew.mod)
    __divmod__, __rdivmod__ = _operator(ew.divmod), _reflected(ew.divmod)
    __pow__, __rpow__ = _operator(ew.power), _reflected(ew.power)
    __matmul__, __rmatmul__ = _operator(linear.matmul), _reflected(linear.matmul)
    __and__, __rand__ = _operator(ew.bitwise_and), _reflected(ew.bitwise_and)
    __or__, __ror__ = _operator(ew.bitwise_or), _reflected(ew.bitwise_or)
    __xor__, __rxor__ = _operator(ew.bitwise_xor), _reflected(ew.bitwise_xor)
    __lshift__, __rlshift__ = _operator(ew.left_shift), _reflected(ew.left_shift)
    __rshift__, __rrshift__ = _operator(ew.right_shift), _reflected(ew.right_shift)
    __eq__, __ne__ = _comparison(ew.equal), _comparison(ew.not_equal)  # type: ignore[assignment]
    __lt__, __le__ = _operator(ew.less), _operator(ew.less_equal)
    __gt__, __ge__ = _operator(ew.greater), _operator(ew.greater_equal)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **words: Any) -> Any:
        return call_ufunc(ufunc, method, inputs, words)

    def __array_function__(self, function: Any, types: Any, args: Any, words: Any) -> Any:
        return call_function(function, types, args, words)

    def __neg__(self) -> Array:
        return ew.negative(self)

    def __pos__(self) -> Array:
        return ew.positive(self)

    def __abs__(self) -> Array:
        return ew.abs(self)

    def __invert__(self) -> Array:
        return ew.invert(self)

    def __round__(self, digits: int | None = None) -> Array:
        rounded = ew.round(self, digits or 0)
        return rounded.astype(int) if digits is None else rounded  # as of Python's numbers

    def __getitem__(self, index: Any) -> Array:
        return getitem(self, index)  # type: ignore[arg-type]

    def __len__(self) -> int:
        if not self.type.shape:
            raise mistake(ShapeError, "len", "an array without axes has no length",
                          operands=[self.type], hint="x.size is 1")
        return self.type.shape[0]  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[Array]:
        if not self.type.shape:
            raise mistake(ShapeError, "iteration", "an array without axes has no parts",
                          operands=[self.type], hint="use it as it is, or x[None]")
        return (self[i] for i in range(self.type.shape[0]))

    def __setitem__(self, index: Any, value: Any) -> None:
        raise mistake(ArgumentError, "index", "arrays cannot be changed", operands=[self.type],
                      hint="x = x.at[index].set(value), which jit does in place where it can")

    @property
    def at(self) -> Updates:
        """Arrays equal to this one but for what an index names: `x.at[0].add(1)`."""
        return Updates(self)

    type: Any  # given by the class that inherits

    # -- shape -------------------------------------------------------------------------------------

    @property
    def T(self) -> Array:
        """The axes in reverse order."""
        return layout.transpose(self)

    @property
    def mT(self) -> Array:
        """The last two axes exchanged."""
        return layout.matrix_transpose(self)

    def reshape(self, *shape: Any, order: str = "C") -> Array:
        """The same elements in another shape: `x.reshape(2, -1)` or `x.reshape((2, -1))`."""
        return layout.reshape(self, _one_or_many(shape), order)

    def transpose(self, *axes: Any) -> Array:
        """The axes in another order; reversed if none is given."""
        return layout.transpose(self, _one_or_many(axes) if axes else None)

    def ravel(self, order: str = "C") -> Array:
        """The elements in one axis."""
        return layout.ravel(self, order)

    def flatten(self, order: str = "C") -> Array:
        """The elements in one axis."""
        return layout.ravel(self, order)

    def squeeze(self, axis: Axis = None) -> Array:
        """Without axes of size 1."""
        return layout.squeeze(self, axis)

    def swapaxes(self, axis1: int, axis2: int) -> Array:
        """Two axes exchanged."""
        return layout.swapaxes(self, axis1, axis2)

    def repeat(self, repeats: Any, axis: int | None = None, *,
               total_repeat_length: int | None = None) -> Array:
        """Each element repeated."""
        return inserting.repeat(self, repeats, axis, total_repeat_length=total_repeat_length)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
        """The elements whose places on two axes differ by `offset`."""
        return linear.diagonal(self, offset, axis1, axis2)

    # -- dtype -------------------------------------------------------------------------------------

    def astype(self, dtype: Any, copy: bool = False, device: Device | None = None) -> Array:
        """As another dtype."""
        return creation.astype(self, dtype, copy=copy, device=device)

    def to_device(self, device: Device, /, *, stream: Any = None) -> Array:
        """The array itself, which is on that device."""
        if stream is not None:
            raise mistake(ArgumentError, "to_device", f"stream = {stream!r}, but the CPU has none",
                          hint="x.to_device(device)")
        check_device("to_device", device)
        if self.device != CPU:
            raise mistake(ArgumentError, "to_device", f"the array is on {self.device}",
                          operands=[self.type], hint="device_put(x, device), which moves it")
        return self  # type: ignore[return-value]

    @property
    def device(self) -> Any:
        """The device that the array is on; of a traced value the one where arrays are made."""
        return CPU

    def __array_namespace__(self, *, api_version: str | None = None) -> ModuleType:
        """`arraylib.numpy`, for programs written for any library of the array API standard."""
        check_version(api_version)
        return arraylib.numpy

    def view(self, dtype: Any = None) -> Array:
        """The bits read as another dtype; the last axis grows or shrinks with its width."""
        return views.view(self, dtype)  # type: ignore[arg-type]

    def byteswap(self) -> Array:
        """The bytes of each element in the opposite order."""
        return views.byteswap(self)

    def copy(self) -> Array:
        """An array equal to this one, in memory of its own."""
        return creation.array(self)

    @property
    def real(self) -> Array:
        """The real part."""
        return ew.real(self)

    @property
    def imag(self) -> Array:
        """The imaginary part."""
        return ew.imag(self)

    def conj(self) -> Array:
        """The complex conjugate."""
        return ew.conj(self)

    conjugate = conj

    # -- reductions --------------------------------------------------------------------------------

    def sum(self, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False,
            initial: Any = None, where: Any = None, promote_integers: bool = True) -> Array:
        """The sum over axes."""
        return rd.sum(self, axis, dtype, out, keepdims, initial, where, promote_integers)

    def prod(self, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False,
             initial: Any = None, where: Any = None, promote_integers: bool = True) -> Array:
        """The product over axes."""
        return rd.prod(self, axis, dtype, out, keepdims, initial, where, promote_integers)

    def mean(self, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False,
             *, where: Any = None) -> Array:
        """The mean over axes."""
        return rd.mean(self, axis, dtype, out, keepdims, where=where)

    def var(self, axis: Axis = None, dtype: Any = None, out: None = None, ddof: float = 0,
            keepdims: bool = False, *, where: Any = None, correction: float | None = None) -> Array:
        """The variance over axes."""
        return rd.var(self, axis, dtype, out, ddof, keepdims, where=where, correction=correction)

    def std(self, axis: Axis = None, dtype: Any = None, out: None = None, ddof: float = 0,
            keepdims: bool = False, *, where: Any = None, correction: float | None = None) -> Array:
        """The standard deviation over axes."""
        return rd.std(self, axis, dtype, out, ddof, keepdims, where=where, correction=correction)

    def max(self, axis: Axis = None, out: None = None, keepdims: bool = False,
            initial: Any = None, where: Any = None) -> Array:
        """The largest over axes."""
        return rd.max(self, axis, out, keepdims, initial, where)

    def min(self, axis: Axis = None, out: None = None, keepdims: bool = False,
            initial: Any = None, where: Any = None) -> Array:
        """The smallest over axes."""
        return rd.min(self, axis, out, keepdims, initial, where)

    def ptp(self, axis: Axis = None, out: None = None, keepdims: bool = False) -> Array:
        """The largest less the smallest over axes."""
        return rd.ptp(self, axis, out, keepdims)

    def any(self, axis: Axis = None, out: None = None, keepdims: bool = False, *,
            where: Any = None) -> Array:
        """Whether any element over axes differs from 0."""
        return rd.any(self, axis, out, keepdims, where=where)

    def all(self, axis: Axis = None, out: None = None, keepdims: bool = False, *,
            where: Any = None) -> Array:
        """Whether all elements over axes differ from 0."""
        return rd.all(self, axis, out, keepdims, where=where)

    def argmax(self, axis: int | None = None, out: None = None, keepdims: bool = False) -> Array:
        """The first place of the largest."""
        return rd.argmax(self, axis, out, keepdims)

    def argmin(self, axis: int | None = None, out: None = None, keepdims: bool = False) -> Array:
        """The first place of the smallest."""
        return rd.argmin(self, axis, out, keepdims)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None,
              out: None = None) -> Array:
        """The sum of a diagonal."""
        return linear.trace(self, offset, axis1, axis2, dtype, out)

    # -- along an axis -----------------------------------------------------------------------------

    def cumsum(self, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
        """The running sum."""
        return cumulative.cumsum(self, axis, dtype, out)

    def cumprod(self, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
        """The running product."""
        return cumulative.cumprod(self, axis, dtype, out)

    def sort(self, axis: int | None = -1, *, kind: None = None, order: None = None,
             stable: bool = True, descending: bool = False) -> Array:
        """A sorted array."""
        return sorting.sort(self, axis, stable=stable, descending=descending)

    def argsort(self, axis: int | None = -1, *, kind: None = None, order: None = None,
                stable: bool = True, descending: bool = False) -> Array:
        """The indices that sort."""
        return sorting.argsort(self, axis, stable=stable, descending=descending)

    def argpartition(self, kth: int, axis: int = -1) -> Array:
        """The indices that put the kth smallest in place."""
        return sorting.argpartition(self, kth, axis)

    def searchsorted(self, v: Any, side: str = "left", sorter: Any = None, *,
                     method: str = "scan") -> Array:
        """Where each of v would be inserted to keep this vector sorted."""
        return sorting.searchsorted(self, v, side, sorter, method=method)

    def compress(self, condition: Any, axis: int | None = None, *, out: None = None,
                 size: int | None = None, fill_value: Any = 0) -> Array:
        """The slices along an axis at which a condition holds."""
        return selection.compress(condition, self, axis, size=size, fill_value=fill_value, out=out)

    def nonzero(self, *, size: int | None = None, fill_value: Any = None) -> tuple[Array, ...]:
        """The places of the elements that are not 0."""
        return selection.nonzero(self, size=size, fill_value=fill_value)

    def take(self, indices: Any, axis: int | None = None, out: None = None,
             mode: str | None = None, fill_value: Any = None, unique_indices: bool = False,
             indices_are_sorted: bool = False) -> Array:
        """The slices at these indices."""
        return selection.take(self, indices, axis, out, mode, fill_value=fill_value)

    def choose(self, choices: Sequence[Any], out: None = None, mode: str = "raise") -> Array:
        """Element by element the choice of this number."""
        return selection.choose(self, choices, out, mode)

    # -- element by element ------------------------------------------------------------------------

    def clip(self, min: Any = None, max: Any = None) -> Array:
        """Limited to lie between `min` and `max`."""
        return ew.clip(self, min, max)

    def round(self, decimals: int = 0, out: None = None) -> Array:
        """Rounded to a number of decimals."""
        return ew.round(self, decimals, out)

    def dot(self, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Array:
        """The sum of products over the last axis and the last but one of b."""
        return linear.dot(self, b, precision=precision,
                          preferred_element_type=preferred_element_type)


def _one_or_many(given: Sequence[Any]) -> Any:
    """The arguments of `f(2, 3)` or of `f((2, 3))`."""
    return given[0] if len(given) == 1 else given

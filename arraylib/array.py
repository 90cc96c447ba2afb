"""Array: what a user holds. Immutable, dense, row-major, on the CPU.

An array's memory is a Block of the library's allocator or belongs to a NumPy array. NumPy sees it
without a copy, read-only. `Array.from_numpy` shares memory the other way, where the layout allows:
whoever writes to the NumPy array afterwards breaks the promise that arrays do not change, so
functions that take NumPy data from users (`jnp.array`, operands of operations) copy.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from html import escape
from typing import Any, Literal, NoReturn

import numpy as np

from arraylib import dtypes as dt
from arraylib.backends.cpu.block import address_of, view
from arraylib.backends.cpu.calls.layout import Storage
from arraylib.device import CPU, Device
from arraylib.errors import ArgumentError, DonatedError, Source, mistake, source_of
from arraylib.hlo.ir import Number, Type, weakened
from arraylib.numpy.exchange import exported, install_share
from arraylib.on_demand import module
from arraylib.operators import Operators
from arraylib.record import record
from arraylib.sharding.named import Sharding, SingleDeviceSharding
from arraylib.sharding.placed import Shard, placed, shards

new = object.__new__
_moving = threading.RLock()


class _Arrays(type):
    """The class of Array, which makes traced values instances of it for `isinstance`.

    A function that tests its argument behaves in the same way when it is traced. The library
    itself, which must tell them apart, compares `x.__class__`.
    """

    def __instancecheck__(cls, x: object) -> bool:
        return isinstance(x, Operators)


class Array(Operators, Storage, metaclass=_Arrays):
    """An immutable array of one dtype and shape."""

    # `place` is the address, or 0 where that is not known: before somebody asks for it where NumPy
    # owns the memory, and after the array is deleted. Compiled code reaches all memory through it.
    # `owner` keeps the memory: a Block, a NumPy array of this type, another Array, or None where
    # the array itself does; it is (why it is gone, number) of one that is deleted, and perhaps
    # (code, instruction) of the call that took it.
    __slots__ = ()
    type: Type
    place: int
    home: int
    owner: Any

    __array_priority__ = 1000
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, data: Any, dtype: Any = None) -> None:
        """A copy of anything NumPy takes; 64-bit data becomes 32-bit where no dtype is given."""
        given = _look(data) if data.__class__ is Array else np.asarray(data)
        # asarray would widen these
        number = data.__class__ is Array or isinstance(data, (bool, int, float, complex))
        wanted = dt.of(data if number else given, op="Array") if dtype is None else dt.dtype(dtype)
        self.owner = np.array(given, dtype=wanted, order="C")
        self.type = Type(wanted, self.owner.shape)
        self.place = 0

    @classmethod
    def from_numpy(cls, data: np.ndarray[Any, Any]) -> Array:
        """An array in the memory of `data` if that is dense, aligned and in native byte order.

        Otherwise, a copy. Shared memory must not be written to any more.
        """
        return share(data.view())

    @property
    def address(self) -> int:
        """Where the first element is; DonatedError once the array is deleted."""
        if not self.place:
            self.place = address_of(to_numpy(self))
        return self.place

    @property
    def dtype(self) -> dt.Dtype:
        """What its elements are."""
        return self.type.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of its axes."""
        return self.type.shape

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.type.shape)

    @property
    def size(self) -> int:
        """How many elements it has."""
        return self.type.size

    @property
    def nbytes(self) -> int:
        """How many bytes its elements take."""
        return self.type.nbytes

    @property
    def weak_type(self) -> bool:
        """Whether it is of Python numbers alone, and takes the dtype of what it meets."""
        return self.type.weak

    aval = property(lambda self: module("tracing.layouts").placed_type(self),
                    doc="Its type, as programs written for JAX call it.")

    @property
    def itemsize(self) -> int:
        """How many bytes an element takes."""
        return self.type.dtype.itemsize

    @property
    def sharding(self) -> Sharding:
        """Which device has which part of the array."""
        return placed(self) or SingleDeviceSharding(CPU)

    @property
    def device(self) -> Device | Sharding:
        """The device that the array is on; its sharding if that is a mesh."""
        found = self.sharding
        return found.device if isinstance(found, SingleDeviceSharding) else found

    def devices(self) -> set[Device]:
        """The devices that hold the elements."""
        return self.sharding.device_set

    is_fully_replicated = property(lambda self: self.sharding.is_fully_replicated)
    is_fully_addressable = property(lambda self: True)
    committed = property(lambda self: placed(self) is not None)

    @property
    def addressable_shards(self) -> list[Shard]:
        """The part of each device: its index in the array, and its elements."""
        elements = _look(self)
        return shards(self.sharding, self.type.shape, lambda index: wrap(elements[index].copy()))

    global_shards = addressable_shards

    def addressable_data(self, index: int) -> Array:
        """The elements of one of the addressable shards."""
        return self.addressable_shards[index].data  # type: ignore[no-any-return]

    # Numbers and NumPy

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        array = to_numpy(self)
        array.flags.writeable = False
        if dtype is not None and dtype != array.dtype:
            if copy is False:
                raise ValueError(f"conversion of {self.type} to {np.dtype(dtype)} needs a copy")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(self, *, stream: Any = None, max_version: tuple[int, int] | None = None,
                   dl_device: tuple[Any, int] | None = None, copy: bool | None = None) -> Any:
        """The memory for another library: read-only, if it knows the version that can say so."""
        if stream is not None:
            raise mistake(ArgumentError, "__dlpack__", f"stream = {stream!r}, but the CPU has none",
                          operands=[self.type], hint="leave stream= out")
        options = {"max_version": max_version, "dl_device": dl_device, "copy": copy}
        told = max_version is not None and max_version >= (1, 0)
        # NumPy refuses to export read-only memory otherwise; the consumer promises not to write.
        return exported(view(self.address, self.type, to_numpy(self), writable=not told), **options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0

    def __bool__(self) -> bool:
        return bool(_only(self, "a truth value", "x.any() or x.all()"))

    def __int__(self) -> int:
        return int(_only(self, "a number", "x.sum(), x[0] or another single element"))

    def __float__(self) -> float:
        return float(_only(self, "a number", "x.sum(), x[0] or another single element"))

    def __complex__(self) -> complex:
        return complex(_only(self, "a number", "x.sum(), x[0] or another single element"))

    def __index__(self) -> int:
        if self.type.shape or not dt.is_integer(self.type.dtype):
            raise TypeError(f"only a scalar integer can be an index, not {self.type}")
        return int(_only(self, "an index", ""))

    def __contains__(self, item: Any) -> bool:
        return bool(np.asarray(item) in _look(self))

    def item(self, *index: Any) -> Any:
        """One element as a Python number."""
        if not index:
            return _only(self, "a number", "x.tolist(), x.item(0) or x[0].item()")
        return _look(self).item(*index)

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return _look(self).tolist()

    def tobytes(self, order: Literal["C", "F", "A"] | None = "C") -> bytes:
        """The elements' bytes, row by row or, with "F", column by column."""
        return _look(self).tobytes(order)

    def __repr__(self) -> str:
        if self.is_deleted():
            return f"<deleted Array {self.type}>"
        body = np.array2string(_look(self), separator=", ", prefix="Array(", suffix=")")
        body += "" if self.type.size else f", shape={self.type.shape}"
        return f"Array({body}, dtype={dt.name(self.type.dtype)})"

    def _repr_html_(self) -> str:
        """What notebooks show."""
        if self.is_deleted():
            return escape(repr(self))
        sharding = placed(self)
        kind = str(self.type) if sharding is None else f"{self.type}, {sharding}"
        html: str = module("reports.portrait").portrait(_look(self), kind, repr(self))
        return html

    def __str__(self) -> str:
        return str(_look(self))

    def __format__(self, specification: str) -> str:
        return format(_look(self) if self.type.shape else self.item(), specification)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (np.array(_look(self)), self.type.weak)

    # Life and death

    def block_until_ready(self) -> Array:
        """The array itself, for computations are finished when they return."""
        return self

    def __copy__(self) -> Array:
        return adopt(_look(self).copy(), self.type)

    def __deepcopy__(self, memo: dict[int, Any]) -> Array:
        return adopt(_look(self).copy(), self.type)

    def is_deleted(self) -> bool:
        """Whether the memory has been given back or given away."""
        return self.owner.__class__ is tuple

    def delete(self) -> None:
        """Give the memory back now; any later use of the array raises."""
        if not self.is_deleted():
            bury(self, Gone(lambda number: "deleted by x.delete()"))


@record(slots=True)
class Gone:
    """Why arrays have no memory any more; their `owner` is the pair (this, their number)."""

    reason: Callable[[int], str]
    where: Source | None = None


def _restored(data: np.ndarray[Any, Any], weak: bool) -> Array:
    """An array from a file."""
    array = Array.from_numpy(data)
    return weakened(array) if weak else array  # type: ignore[no-any-return]


def bury(array: Array, gone: Gone, number: int = 0) -> None:
    """Take an array's memory from it; later uses raise DonatedError with the reason."""
    hold(array)
    array.place = 0
    array.owner = gone, number


def hold(array: Array) -> Any:
    """What keeps an array's memory, for others to share; DonatedError if the array is gone."""
    owner = array.owner
    if owner.__class__ is tuple:
        _refuse(array)
    return _moved(array) if owner is None else owner


def _moved(array: Array) -> Any:
    """The memory that an array keeps itself, in the hands of another, which becomes its owner."""
    with _moving:
        if array.owner is None:
            holder = new(Array)
            holder.type, holder.place, holder.owner = array.type, array.place, None
            holder.home, array.home = array.home, 0
            array.owner = holder
    return array.owner


def to_numpy(array: Array) -> np.ndarray[Any, Any]:
    """The array in NumPy's hands: no copy, the same object every time, not to be written to."""
    owner = array.owner
    if owner.__class__ is np.ndarray:
        return owner  # type: ignore[no-any-return]
    keeper = hold(array)
    array.owner = view(array.address, array.type, keeper)
    return array.owner  # type: ignore[no-any-return]


# What reads an element as a Python number, at a tenth of the price of a view by NumPy.
_READERS = {np.dtype(name): kind.from_address for name, kind in (
    ("bool", ctypes.c_bool), ("int8", ctypes.c_int8), ("int16", ctypes.c_int16),
    ("int32", ctypes.c_int32), ("int64", ctypes.c_int64), ("uint8", ctypes.c_uint8),
    ("uint16", ctypes.c_uint16), ("uint32", ctypes.c_uint32), ("uint64", ctypes.c_uint64),
    ("float32", ctypes.c_float), ("float64", ctypes.c_double))}


def _only(array: Array, what: str, hint: str) -> Any:
    """The single element of an array; ArgumentError if there are more or none."""
    if array.type.size == 1:
        read = _READERS.get(array.type.dtype)
        return read(array.place).value if read and array.place else _look(array).item()
    raise mistake(ArgumentError, "array", f"{what} of {array.type.size} elements",
                  operands=[array.type], hint=hint)


def _look(array: Array) -> np.ndarray[Any, Any]:
    """The same for a glance: nothing that shares the memory may outlive the caller.

    The array is not marked as seen by NumPy, which would cost a copy when it is donated.
    """
    if array.owner.__class__ is np.ndarray or array.is_deleted():
        return to_numpy(array)
    return view(array.place, array.type, None)


def share(data: np.ndarray[Any, Any]) -> Array:
    """An Array in the memory of a NumPy array, whose flags it may change; a copy if need be."""
    if data.__class__ is Number:
        return adopt(data, Type(data.dtype, ()).weakened)
    if not (data.flags.carray and data.dtype.isnative):
        dtype = dt.dtype(data.dtype.newbyteorder("="))
        data = np.require(data, dtype, ["C", "A"])
    return adopt(data, Type(data.dtype, data.shape))


def wrap(data: Any) -> Array:
    """A NumPy result as an Array that takes it over; copied only if it is not dense."""
    return adopt(data, Type(data.dtype, data.shape))


def adopt(data: Any, type: Type) -> Array:
    """The same for a result whose type is known."""
    if data.__class__ is not np.ndarray or not data.flags.c_contiguous:
        data = np.ascontiguousarray(data).reshape(type.shape)
    array = new(Array)
    array.type = type
    array.owner = data
    array.place = 0
    return array


def _refuse(array: Array) -> NoReturn:
    gone, number, *spot = array.owner
    where = gone.where or (source_of(*spot[0]) if spot and spot[0] else None)
    raise mistake(DonatedError, "deleted array", f"this {array.type} is gone: {gone.reason(number)}"
                  + (f" at {where}" if where else ""),
                  hint="use the result of the call that it was donated to, or pass a copy")


install_share(Array.from_numpy)

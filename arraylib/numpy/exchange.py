"""Memory shared with other libraries by DLPack, both ways, without a copy where the layout allows.

NumPy writes and reads DLPack's header, but refuses the dtypes it has no names for. Such arrays go
through it as integers of the same width, and the one byte of the header that names the kind of the
elements is set before the header is handed on.

https://dmlc.github.io/dlpack/latest/python_spec.html
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.device import Device, check_device
from arraylib.errors import ArgumentError, CopyError, mistake, what_is
from arraylib.hlo.ir import current
from arraylib.numpy.promotion import Array, own_type

_KINDS: dict[dt.Dtype, int] = {  # DLPack's numbers for what NumPy has no names for
    dt.bfloat16: 4, dt.float8_e3m4: 7, dt.float8_e4m3: 8, dt.float8_e4m3b11fnuz: 9,
    dt.float8_e4m3fn: 10, dt.float8_e4m3fnuz: 11, dt.float8_e5m2: 12, dt.float8_e5m2fnuz: 13,
    dt.float8_e8m0fnu: 14}
_BY_KIND = {kind: dtype for dtype, kind in _KINDS.items()}
_UNSIGNED = 1  # DLPack's number for integers without a sign
# Where in the header the kind of the elements is, in both versions of the header.
_KIND_AT = {b"dltensor": 20, b"dltensor_versioned": 52}

_share: list[Callable[[np.ndarray[Any, Any]], Array]] = []


def install_share(share: Callable[[np.ndarray[Any, Any]], Array]) -> None:
    """Make `share` the function that wraps NumPy's memory: arrays are defined above this."""
    _share[:] = [share]


def shared(x: np.ndarray[Any, Any], op: str) -> Array:
    """An array in the memory of `x`; CopyError if its elements would have to be moved."""
    if x.flags.c_contiguous and x.flags.aligned and x.dtype.isnative:
        return _share[0](x)
    raise mistake(CopyError, op, "copy=False, but the memory is not dense, row-major and aligned",
                  operands=[f"{x.dtype.name}[{','.join(map(str, x.shape))}], strides {x.strides}"],
                  hint="leave copy= out, and it is copied where it must be")


class _Capsule:
    """A header on its way, as the object that NumPy asks for it."""

    __slots__ = ("capsule", "device")

    def __init__(self, capsule: Any, device: tuple[int, int]) -> None:
        self.capsule, self.device = capsule, device

    def __dlpack__(self, **_: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device


def from_dlpack(x: Any, /, *, device: Device | None = None, copy: bool | None = None) -> Array:
    """An array in the memory of one of another library, in its dtype; a copy where it must be one.

    The memory must not be written to any more. It is copied if `copy` is True, or where the
    elements are not dense and row-major; CopyError (a BufferError) if `copy` is False then.

        jnp.from_dlpack(torch.ones(3, dtype=torch.bfloat16))     # bf16[3] in PyTorch's memory

    Raises ArgumentError for what does not speak DLPack, BufferError for memory that is not the
    CPU's. https://data-apis.org/array-api/latest/design_topics/data_interchange.html

    >>> import numpy as np
    >>> jnp.from_dlpack(np.arange(3.0, dtype="float32"))
    Array([0., 1., 2.], dtype=float32)
    """
    check_device("from_dlpack", device)
    if own_type(x) is not None:
        return current().own(x).copy() if copy else current().own(x)
    if not hasattr(x, "__dlpack__") or not hasattr(x, "__dlpack_device__"):
        raise mistake(ArgumentError, "from_dlpack", f"{what_is(x)} has no method __dlpack__",
                      hint="jnp.asarray(...) takes numbers, lists and what NumPy takes")
    found = _imported(_Capsule(_offered(x), x.__dlpack_device__()))
    if copy:
        found = found.copy()
    if copy is False:
        return shared(found, "from_dlpack")
    return _share[0](found)


def _offered(x: Any) -> Any:
    """The header that an array gives out: of the newer version if it knows that."""
    try:
        return x.__dlpack__(max_version=(1, 0))
    except TypeError:  # it was written before there were versions
        return x.__dlpack__()


def _imported(offer: _Capsule) -> np.ndarray[Any, Any]:
    try:
        return np.from_dlpack(offer)  # type: ignore[arg-type]
    except RuntimeError:  # NumPy has no name for the dtype, and has not taken the header
        kind = _kind_in(offer.capsule)
        dtype = _BY_KIND.get(kind.value)
        if dtype is None:
            raise
        kind.value = _UNSIGNED
        return np.from_dlpack(offer).view(dtype)  # type: ignore[arg-type]


def exported(x: np.ndarray[Any, Any], **options: Any) -> Any:
    """The DLPack header of an array for others: of those that NumPy has no names for, too."""
    kind = _KINDS.get(x.dtype)
    if kind is None:
        return x.__dlpack__(**options)
    capsule = x.view(f"u{x.dtype.itemsize}").__dlpack__(**options)
    _kind_in(capsule).value = kind
    return capsule


def _kind_in(capsule: Any) -> ctypes.c_uint8:
    """The byte of a header that says what kind of elements there are, to be read and set."""
    api = ctypes.pythonapi
    name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", api))
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", api))
    version = name(capsule)
    return ctypes.c_uint8.from_address(pointer(capsule, version) + _KIND_AT[version])

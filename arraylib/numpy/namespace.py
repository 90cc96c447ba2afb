"""What this namespace says of itself to programs written for any library of the array API standard.

    xp = x.__array_namespace__()          # arraylib.numpy, from an array or a traced value
    xp.__array_namespace_info__().default_dtypes()

https://data-apis.org/array-api/2025.12/API_specification/inspection.html
"""

from __future__ import annotations

from typing import Any

from arraylib import dtypes as dt
from arraylib.device import CPU, Device, check_device
from arraylib.errors import ArgumentError, mistake
from arraylib.numpy.types import isdtype

ARRAY_API_VERSION = "2025.12"
ARRAY_API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", ARRAY_API_VERSION)

# Those the standard speaks of; the library has others.
_DTYPES: dict[str, dt.Dtype] = {dt.name(d): d for d in (
    dt.bool_, dt.int8, dt.int16, dt.int32, dt.int64, dt.uint8, dt.uint16, dt.uint32, dt.uint64,
    dt.float32, dt.float64, dt.complex64, dt.complex128)}


class NamespaceInfo:
    """What `__array_namespace_info__()` gives: devices, dtypes, and what may depend on elements."""

    __slots__ = ()

    def capabilities(self) -> dict[str, Any]:
        """Outside of `jit`, masks may index and shapes may depend on elements; ranks go to 64."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> Device:
        """The device where arrays are made."""
        return CPU

    def default_dtypes(self, *, device: Device | None = None) -> dict[str, dt.Dtype]:
        """The dtypes of arrays made without one; `config.default_bits` decides their width."""
        check_device("default_dtypes", device)
        return {"real floating": dt.default_float(), "complex floating": dt.default_complex(),
                "integral": dt.default_int(), "indexing": dt.default_int()}

    def dtypes(self, *, device: Device | None = None,
               kind: str | tuple[str, ...] | None = None) -> dict[str, dt.Dtype]:
        """The standard's dtypes by name, of these kinds ("integral", ...) if any are given."""
        check_device("dtypes", device)
        kinds = kind if isinstance(kind, tuple) or kind is None else (kind,)
        return {name: d for name, d in _DTYPES.items() if kinds is None or isdtype(d, kinds)}

    def devices(self) -> tuple[Device, ...]:
        """The devices that functions take as `device=`; `device_put` knows of others."""
        return (CPU,)


def __array_namespace_info__() -> NamespaceInfo:
    """What this namespace can do, as the array API standard asks for it.

        >>> __array_namespace_info__().default_dtypes()["integral"]
        dtype('int32')
    """
    return NamespaceInfo()


def check_version(version: str | None) -> None:
    """ArgumentError unless this is a version of the standard that the namespace follows."""
    if version is not None and version not in ARRAY_API_VERSIONS:
        raise mistake(ArgumentError, "__array_namespace__", f"version {version!r} of the array API "
                      "is not supported", hint=f"one of {', '.join(ARRAY_API_VERSIONS)}")

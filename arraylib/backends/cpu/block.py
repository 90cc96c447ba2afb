"""Blocks of array memory, and NumPy's view of them.

A Block goes back to the allocator when nothing refers to it any more: arrays of the library and
NumPy views both keep it alive.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from arraylib.backends.cpu.memory import Home, allocate, home
from arraylib.hlo.ir import Type


class Block:
    """Memory of its own, 64-byte aligned, contents undefined."""

    __slots__ = ("address", "home")
    address: int
    home: Home

    def __init__(self, nbytes: int) -> None:
        self.home, self.address = [], 0  # in case there is no memory
        self.address = allocate(nbytes)
        self.home = home(nbytes)

    def __del__(self) -> None:
        try:
            self.home.append(self.address)
        except AttributeError:
            return  # there was not enough memory for it


class _Exporter:
    """What NumPy asks for an address; the views it makes keep `owner` alive through this."""

    __slots__ = ("__array_interface__", "owner")

    def __init__(self, interface: dict[str, Any], owner: object) -> None:
        self.__array_interface__ = interface
        self.owner = owner


def view(address: int, type: Type, owner: object, writable: bool = False) -> np.ndarray[Any, Any]:
    """The memory at `address` as a dense NumPy array that keeps `owner` alive; no copy."""
    dtype = type.dtype
    plain = dtype.isbuiltin == 1  # extension dtypes such as bfloat16 have no type string
    interface = {"data": (address, not writable), "shape": type.shape, "version": 3,
                 "typestr": dtype.str if plain else f"<u{dtype.itemsize}"}
    array = np.asarray(_Exporter(interface, owner))
    return array if plain else array.view(dtype)


def address_of(array: np.ndarray[Any, Any]) -> int:
    """Where the first element of a NumPy array is."""
    address: int = array.__array_interface__["data"][0]
    return address

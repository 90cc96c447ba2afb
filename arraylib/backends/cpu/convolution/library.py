"""The compiled library: one object file a dtype, made at its first use and kept on disk."""

from __future__ import annotations

import functools
import sys

from arraylib.backends.cpu import emitter, gemm, llvm_types, target
from arraylib.backends.cpu.convolution.driver import define_convolve, define_entry
from arraylib.backends.cpu.convolution.packing import define_channels, define_windows
from arraylib.backends.cpu.emitter import Module
from arraylib.backends.cpu.gemm.kernels import define_finish, define_kernels
from arraylib.backends.cpu.gemm.packing import define_packed
from arraylib.backends.cpu.gemm.tile import tile_for
from arraylib.backends.cpu.libraries import linked

DTYPES = ("f32", "f64", "i32", "i64")


def symbol(dtype: str) -> str:
    """Name of the entry for a dtype: `void (ptr descriptor, ptr scratch)`."""
    return f"arraylib_convolution_{dtype}"


def symbols(dtype: str) -> dict[str, int]:
    """The address to import when a program that calls `symbol(dtype)` is linked."""
    return {symbol(dtype): address(dtype)}


def address(dtype: str) -> int:
    """Where the entry for a dtype is, compiled and linked if need be."""
    return _address(dtype, target.current())


@functools.cache
def _address(dtype: str, machine: target.Target) -> int:
    name, sources = symbol(dtype), [sys.modules[__package__], gemm, emitter, llvm_types]
    return linked(name, [name], sources, lambda: module(dtype, machine).text())[name]


def module(dtype: str, machine: target.Target) -> Module:
    """All code for a dtype on a machine."""
    tile, empty = tile_for(dtype, machine), machine.new_module()
    define_kernels(empty, tile)
    define_finish(empty, tile, "finish", apart=False)
    define_packed(empty, "pack_a", tile, tile.a_width)
    define_packed(empty, "pack_b", tile, tile.columns)
    define_windows(empty, tile)
    define_channels(empty, tile)
    define_convolve(empty, tile)
    define_entry(empty, tile, symbol(dtype))
    return empty

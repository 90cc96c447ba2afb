"""The compiled library: an object file a function, made at its first use and kept on disk."""

from __future__ import annotations

import functools
import sys

from arraylib.backends.cpu import emitter, gemm, llvm_types, target
from arraylib.backends.cpu.convolution.descriptor import ENTRY, PREFIX
from arraylib.backends.cpu.convolution.driver import define_convolve, define_entry
from arraylib.backends.cpu.convolution.packing import define_channels, define_windows
from arraylib.backends.cpu.emitter import Module
from arraylib.backends.cpu.gemm.tile import tile_for
from arraylib.backends.cpu.libraries import linked

DTYPES = ("f32", "f64", "i32", "i64")


def is_symbol(name: str) -> bool:
    """Whether an imported symbol is a function of this library."""
    return name.startswith(PREFIX)


def symbols(name: str) -> dict[str, int]:
    """The address to import when a program that names a function is linked."""
    return {name: _address(name, target.current())}


@functools.cache
def _address(name: str, machine: target.Target) -> int:
    sources = [sys.modules[__package__], gemm, emitter, llvm_types]
    # What the entry does for each tile takes no time beside the tile.
    return linked(name, [name], sources, lambda: module(name, machine).text(),
                  quick=name.endswith(ENTRY))[name]


def module(name: str, machine: target.Target) -> Module:
    """The code of a function on a machine."""
    dtype, kind = name.removeprefix(PREFIX).split(".")
    tile, empty = tile_for(dtype, machine), machine.new_module()
    if kind == ENTRY:
        define_convolve(empty, tile)
        define_entry(empty, tile, name)
    else:
        {"windows": define_windows, "channels": define_channels}[kind](empty, tile, name)
    return empty

"""The compiled library: an object file a function, made at its first use and kept on disk."""

from __future__ import annotations

from collections.abc import Callable

from arraylib.backends.cpu import target
from arraylib.backends.cpu.convolution import direct
from arraylib.backends.cpu.convolution.descriptor import ENTRY, PREFIX
from arraylib.backends.cpu.convolution.direct_driver import define_windows_entry
from arraylib.backends.cpu.convolution.direct_kernels import define_kernel
from arraylib.backends.cpu.convolution.direct_packing import define_pack_lines
from arraylib.backends.cpu.convolution.direct_taps import define_taps_entry
from arraylib.backends.cpu.convolution.driver import define_convolve, define_entry
from arraylib.backends.cpu.convolution.packing import define_channels, define_windows
from arraylib.backends.cpu.emitter import Module
from arraylib.backends.cpu.gemm.tile import Tile, tile_for
from arraylib.backends.cpu.making import Piece

DTYPES = ("f32", "f64", "i32", "i64")


def is_symbol(name: str) -> bool:
    """Whether an imported symbol is a function of this library."""
    return name.startswith(PREFIX)


def piece(name: str) -> Piece:
    """What is made where a program names it."""
    # What the entry does for each tile takes no time beside the tile.
    return Piece(name, lambda: module(name, target.current()).text(),
                 quick=name.endswith((ENTRY, direct.WINDOWS, direct.TAPS)))


def module(name: str, machine: target.Target) -> Module:
    """The code of a function on a machine."""
    dtype, kind, *numbers = name.removeprefix(PREFIX).split(".")
    empty = machine.new_module()
    _DEFINE[kind](empty, tile_for(dtype, machine), name, *numbers)
    return empty


def _define_gathered(module: Module, tile: Tile, name: str) -> None:
    define_convolve(module, tile)
    define_entry(module, tile, name)


_DEFINE: dict[str, Callable[..., None]] = {
    ENTRY: _define_gathered, "windows": define_windows, "channels": define_channels,
    direct.WINDOWS: define_windows_entry, direct.TAPS: define_taps_entry,
    "pack_lines": define_pack_lines,
    "kernel": lambda module, tile, name, kind, rows, vectors: define_kernel(
        module, tile, name, kind, int(rows), int(vectors))}

"""The library's functions, each an object file of its own, and which of them a product needs.

A piece is named `arraylib_gemm.<dtype>.<kind>`: the entry, a way through the product, a way to pack
a strip, a micro-kernel of some rows by some vectors. Most products need six of them, and compiling
all takes a second; so a product's descriptor points to those it needs, and no others are made.

Pieces that run once for each block of a product are compiled as quickly as possible; those that run
for each tile or element, as well as possible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from arraylib.backends.cpu import target
from arraylib.backends.cpu.emitter import Module
from arraylib.backends.cpu.gemm.complex import define_complex_a, define_complex_b
from arraylib.backends.cpu.gemm.descriptor import Gemm, Path, Word
from arraylib.backends.cpu.gemm.driver import define_blocked, define_streamed, define_tiles
from arraylib.backends.cpu.gemm.kernels import IN_PLACE, PACKED, define_finish, define_kernel
from arraylib.backends.cpu.gemm.packing import define_pack, unchanged, unpaired, way_of
from arraylib.backends.cpu.gemm.shared import define_shared
from arraylib.backends.cpu.gemm.tasks import define_entry
from arraylib.backends.cpu.gemm.tile import COMPLEX, Tile, tile_for
from arraylib.backends.cpu.gemm.vector import define_dots, define_rows

PREFIX = "arraylib_gemm."
ENTRY = "entry"
_MULTIPLY = {Path.BLOCKED: "blocked", Path.SHARED: "shared", Path.STREAMED: "streamed",
             Path.VECTOR_ROWS: "vector_rows", Path.VECTOR_DOTS: "vector_dots"}


def symbol(dtype: str, kind: str = ENTRY) -> str:
    """The name of a piece; the entry is `void (ptr descriptor, ptr scratch)`."""
    return f"{PREFIX}{COMPLEX.get(dtype, dtype)}.{kind}"


def pieces(gemm: Gemm, words: np.ndarray) -> dict[int, str]:
    """The functions that a descriptor must point to: positions in it, and names."""
    tile = tile_for(gemm.dtype, target.current())
    found = _kinds(words, tile)
    return {place: symbol(gemm.dtype, kind) for place, kind in found.items()}


def _kinds(words: np.ndarray, tile: Tile) -> dict[int, str]:
    path, in_place = Path(words[Word.PATH]), bool(words[Word.IN_PLACE])
    makes = ".made" if words[Word.MAKE_A] or words[Word.MAKE_B] else ""
    found: dict[int, str] = {Word.MULTIPLY: "in_place" if in_place else _MULTIPLY[path] + makes}
    if path in (Path.VECTOR_ROWS, Path.VECTOR_DOTS):
        return found
    single = "_single" if in_place and tile.pairs else ""
    found |= {Word.TILES: "tiles",
              Word.PACK_A: f"pack_a{single}.{way_of(words[Word.A_ROW], words[Word.A_COL])}",
              Word.PACK_B: f"pack_b.{way_of(words[Word.B_COL], words[Word.B_ROW])}"}
    columns, apart = int(words[Word.N]), bool(words[Word.C_COL] != 1)
    if in_place:
        found[Word.PACK_B] = "copy_b"
    if tile.dtype in COMPLEX:
        found |= _complex_packs(words)
    if tile.converts or apart or columns % tile.columns:
        fresh = int(words[Word.ACCUMULATE]) == 0 and int(words[Word.BLOCKS]) == 1
        found[Word.FINISH] = f"finish.{'apart' if apart else 'together'}{'.fresh' * fresh}"
    return found | _kernels(words, tile)


def _complex_packs(words: np.ndarray) -> dict[int, str]:
    """Packing where two neighbours are a complex number."""
    a_row, a_col, b_col = (int(words[w]) for w in (Word.A_ROW, Word.A_COL, Word.B_COL))
    a = "pack_a.lines" if a_col == 1 else f"complex_a.{'rows' if a_row == 2 else 'strided'}"
    return {Word.PACK_A: a, Word.PACK_B: f"complex_b.{'rows' if b_col == 1 else 'strided'}"}


def _kernels(words: np.ndarray, tile: Tile) -> dict[int, str]:
    """Micro-kernels for the heights and widths of tiles that there are."""
    kind = IN_PLACE if words[Word.IN_PLACE] and tile.loads_b_in_place else PACKED
    panels, short, longer = (int(words[w]) for w in (
        Word.PANELS, Word.SHORT_ROWS, Word.LONG_PANELS))
    rows = {0: short} if longer < panels else {}
    rows |= {1: short + 1} if longer else {}
    columns = int(words[Word.N])
    narrow = 0 < columns % tile.columns <= tile.lanes
    widths = {0: tile.vectors} if columns >= tile.columns or not narrow else {}
    widths |= {2: 1} if narrow else {}
    return {Word.KERNEL + i + j: f"kernel.{kind}.{height}.{vectors}"
            for i, height in rows.items() for j, vectors in widths.items() if height}


def table_of(dtype: str, lengths: Iterable[int], columns: Iterable[int]) -> dict[int, str]:
    """Kernels for rows balanced over panels, and for columns in panels with what is left.

    By their places in a table for `call_kernel`, of TABLE_WORDS words.
    """
    tile = tile_for(dtype, target.current())
    heights = {rows for length in lengths if length for rows in _heights(length, tile.rows)}
    left = {count % tile.columns for count in columns}
    widths = {1} if any(0 < count <= tile.lanes for count in left) else set[int]()
    return {2 * rows + (vectors == 1): symbol(dtype, f"kernel.{PACKED}.{rows}.{vectors}")
            for rows in heights for vectors in {*widths, tile.vectors}}


def _heights(length: int, most: int) -> set[int]:
    """Of panels that a number of rows is balanced over."""
    panels = -(-length // most)
    return {length // panels, -(-length // panels)}


def define(module: Module, name: str, machine: target.Target) -> None:
    """Write the piece with this name."""
    dtype, kind, *numbers = name.removeprefix(PREFIX).split(".")
    _DEFINE[kind](module, name, tile_for(dtype, machine), *numbers)


def is_quick(name: str) -> bool:
    """Whether a piece runs so seldom that it is better compiled quickly than well."""
    return name.split(".")[2] in _QUICK


def is_tight(name: str) -> bool:
    """Whether a piece is a loop of few instructions that most of a product's time goes into."""
    return name.split(".")[2] == "kernel"


_QUICK = ENTRY, "blocked", "shared", "streamed", "in_place"


_DEFINE: dict[str, Callable[..., None]] = {
    ENTRY: lambda module, name, tile: define_entry(module, tile, name),
    "blocked": lambda module, name, tile, *made: define_blocked(
        module, tile, name, makes=bool(made)),
    "shared": lambda module, name, tile, *made: define_shared(
        module, tile, name, makes=bool(made)),
    "streamed": lambda module, name, tile: define_streamed(module, tile, name, in_place=False),
    "in_place": lambda module, name, tile: define_streamed(module, tile, name, in_place=True),
    "vector_rows": lambda module, name, tile: define_rows(module, tile, name),
    "vector_dots": lambda module, name, tile: define_dots(module, tile, name),
    "tiles": lambda module, name, tile: define_tiles(module, tile, name),
    "kernel": lambda module, name, tile, kind, rows, vectors: define_kernel(
        module, tile, name, int(rows), int(vectors), in_place=kind == IN_PLACE, internal=False),
    "finish": lambda module, name, tile, columns, *fresh: define_finish(
        module, tile, name, apart=columns == "apart", fresh=bool(fresh), internal=False),
    "pack_a": lambda module, name, tile, way: define_pack(
        module, name, tile, tile.a_width, way, internal=False),
    "pack_b": lambda module, name, tile, way: define_pack(
        module, name, tile, tile.columns, way, internal=False),
    "pack_a_single": lambda module, name, tile, way: define_pack(
        module, name, unpaired(tile), tile.a_width, way, internal=False),
    "complex_a": lambda module, name, tile, way: define_complex_a(
        module, name, tile, gathers=way == "strided"),
    "complex_b": lambda module, name, tile, way: define_complex_b(
        module, name, tile, gathers=way == "strided"),
    "copy_b": lambda module, name, tile: define_pack(
        module, name, unchanged(tile), tile.columns, "rows", internal=False),
}

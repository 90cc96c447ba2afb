"""Micro-kernels over packed lines: a tile of results stays in registers for a whole sum.

`kernel(x, offsets, chunks, steps, w, c, c_step, add)`: for each chunk of the sum, `steps` places
from `x + offset` on meet as many rows of the packed kernel; `add` is as for products of matrices.
In *windows* the rows of the tile are places, and a step goes along the side of each; in *taps* it
is the other way round.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from arraylib.backends.cpu.convolution.direct import PLACE_BYTES, UNROLL, WINDOWS
from arraylib.backends.cpu.emitter import Function, Module, Reg, vector
from arraylib.backends.cpu.gemm.kernels import store_sums
from arraylib.backends.cpu.gemm.tile import Tile, multiply_add

KERNEL = [("ptr noalias", "x"), ("ptr noalias", "offsets"), ("i64", "chunks"), ("i64", "steps"),
          ("ptr noalias", "w"), ("ptr noalias", "c"), ("i64", "c_step"), ("i64", "add")]


def define_kernel(module: Module, tile: Tile, name: str, kind: str, rows: int,
                  vectors: int) -> None:
    """A kernel for exactly `rows` by `vectors` vectors."""
    width, pitch = tile.columns, PLACE_BYTES // tile.word_bytes
    tile = replace(tile, rows=rows, vectors=vectors)
    across, along = (pitch, 1) if kind == WINDOWS else (1, pitch)
    f = Function(module, name, KERNEL, internal=False)
    x, offsets, chunks, steps, w, c, c_step, add = f.args

    def advance(place: Reg, step: Reg, turn: int, row: Reg, sums: list[Reg]) -> list[Reg]:
        start = f.gep(place, (step + turn) * along, tile.compute)
        line = f.gep(f.gep(row, step * width, tile.compute), turn * width, tile.compute)
        columns = [f.load(f.gep(line, j * tile.lanes, tile.compute),
                          vector(tile.compute, tile.lanes)) for j in range(vectors)]
        for i in range(rows):
            word = f.load(f.gep(start, i * across, tile.compute), tile.compute)
            left = f.splat(word, tile.lanes)
            for j, right in enumerate(columns):
                at = i * vectors + j
                sums[at] = multiply_add(f, tile, left, right, sums[at])
        return sums

    def several(place: Reg, row: Reg, turns: int) -> Callable[[Reg, list[Reg]], list[Reg]]:
        def run(step: Reg, sums: list[Reg]) -> list[Reg]:
            for turn in range(turns):
                sums = advance(place, step, turn, row, sums)
            return sums

        return run

    def chunk(number: Reg, sums: list[Reg]) -> list[Reg]:
        place = f.gep(x, f.load(f.gep(offsets, number, "i64"), "i64"), "i8")
        row = f.gep(w, number * steps * width, tile.compute)
        whole = steps & -UNROLL
        sums = f.loop(0, whole, UNROLL, sums, several(place, row, UNROLL))
        if kind != WINDOWS:
            sums = f.loop(whole, steps, 1, sums, several(place, row, 1))
        return sums

    for i in range(rows):
        f.prefetch(f.gep(c, c_step * i, tile.compute), write=True)
    zero = f.const(vector(tile.compute, tile.lanes), 0)
    sums = f.loop(0, chunks, 1, [zero] * (rows * vectors), chunk)
    store_sums(f, tile, sums, c, c_step, add)
    f.ret()

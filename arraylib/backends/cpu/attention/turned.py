"""A micro-kernel for sums over queries, whose first operand is a block as products leave it.

In a block of scores the queries of a key are side by side. Micro-kernels of matrix products want
the numbers of one step side by side, here the keys of one query, and so for them a block has to be
turned over first. This one reads the queries of a panel's keys from as many lines of the block.
"""

from __future__ import annotations

from arraylib.backends.cpu.attention.descriptor import panel_keys
from arraylib.backends.cpu.attention.sweep import unrolled
from arraylib.backends.cpu.emitter import Function, Module, Reg, vector
from arraylib.backends.cpu.gemm.tile import Tile

ADD_TURNED = "add_turned"


def define_turned(module: Module, tile: Tile) -> None:
    """`add_turned(block, lines, target, step, queries)`: target += block lines.

    The block has the keys of a whole panel, the lines are as wide as a tile, those of the target
    `step` apart.
    """
    f = Function(module, ADD_TURNED, [
        ("ptr noalias", "block"), ("ptr noalias", "lines"), ("ptr noalias", "target"),
        ("i64", "step"), ("i64", "queries")])
    block, lines, target, step, queries = f.args
    type, compute = vector(tile.compute, tile.lanes), tile.compute
    keys, groups = range(panel_keys(tile)), range(tile.vectors)
    places = [f.gep(f.gep(target, step * key, compute), group * tile.lanes, compute)
              for key in keys for group in groups]

    def add(query: Reg, sums: list[Reg]) -> list[Reg]:
        line = f.gep(lines, query * tile.columns, compute)
        right = [f.load(f.gep(line, group * tile.lanes, compute), type) for group in groups]
        column, found = f.gep(block, query, compute), []
        for key in keys:
            left = f.splat(f.load(f.gep(column, key * tile.columns, compute), compute), tile.lanes)
            found += [f.fma(left, x, sums[key * tile.vectors + j]) for j, x in enumerate(right)]
        return found

    # Sums of a block start from zero: one long sum over all queries would round more.
    sums = unrolled(f, queries, [f.const(type, 0.0)] * len(places), add)
    for total, place in zip(sums, places, strict=True):
        f.store(f.load(place, type) + total, place)
    f.ret()

"""Results on their way out: turned so that a query is a row, rounded, and stored by rows."""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Function, Module, Reg, vector
from arraylib.backends.cpu.gemm.packing import turn_square
from arraylib.backends.cpu.gemm.tile import Tile, store_result


def define_lines(module: Module, tile: Tile) -> None:
    """`store_rows` and `store_queries`."""
    _define_rows(module, tile)
    _define_queries(module, tile)


def _define_rows(module: Module, tile: Tile) -> None:
    """`store_rows(source, step, target, target_step, rows, columns)`."""
    f = Function(module, "store_rows", [
        ("ptr", "source"), ("i64", "step"), ("ptr", "target"), ("i64", "target_step"),
        ("i64", "rows"), ("i64", "columns")])
    source, step, target, target_step, rows, columns = f.args
    type = vector(tile.compute, tile.lanes)

    def row(number: Reg, _: list[Reg]) -> None:
        def some(column: Reg, _: list[Reg]) -> None:
            x = f.load(f.gep(source, number * step + column, tile.compute), type)
            place = f.gep(target, number * target_step + column, tile.kept)
            store_result(f, tile, x, place, f.first_lanes(columns - column, tile.lanes))

        f.loop(0, columns, tile.lanes, [], some)

    f.loop(0, rows, 1, [], row)
    f.ret()


def _define_queries(module: Module, tile: Tile) -> None:
    """`store_queries(source, room, room_step, target, target_step, queries, size)`.

    The source is [size][queries], with rows to read up to a whole vector.
    """
    f = Function(module, "store_queries", [
        ("ptr", "source"), ("ptr", "room"), ("i64", "room_step"), ("ptr", "target"),
        ("i64", "target_step"), ("i64", "queries"), ("i64", "size")])
    source, room, room_step, target, target_step, queries, size = f.args
    type = vector(tile.compute, tile.lanes)

    square = f.alloca(tile.compute, tile.lanes * tile.lanes, align=64)

    def block(row: Reg, first: Reg) -> None:
        def line(number: Reg, _: list[Reg]) -> None:
            place = f.gep(source, (row + number) * tile.columns + first, tile.compute)
            f.store(f.load(place, type), f.gep(square, number * tile.lanes, tile.compute))

        f.loop(0, tile.lanes, 1, [], line)
        turn_square(f, tile, square, f.gep(room, room_step * first + row, tile.compute), room_step)

    def blocks(row: Reg, _: list[Reg]) -> None:
        f.loop(0, tile.columns, tile.lanes, [], lambda first, _: block(row, first))

    f.loop(0, size, tile.lanes, [], blocks)
    f.call("store_rows", "void", [room, room_step, target, target_step, queries, size])
    f.ret()

"""From a descriptor to parts: `task(args, chunk)` runs a chunk's share, and the entry starts them.

Tasks are numbered product by product; within a product, row part by row part. A chunk runs
consecutive tasks with its own piece of scratch, so chunks share nothing that is written.
"""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.gemm.descriptor import BATCH_DIMENSIONS, Word
from arraylib.backends.cpu.gemm.driver import call_epilogue, first_row, load_pointer, load_word
from arraylib.backends.cpu.gemm.tile import Tile


def define_entry(module: Module, tile: Tile, name: str) -> None:
    """`name(descriptor, scratch)`: all chunks in parallel."""
    _define_part(module, tile)
    _define_task(module)
    f = Function(module, name, [("ptr", "descriptor"), ("ptr", "scratch")], internal=False)
    descriptor, scratch = f.args
    args = f.alloca("ptr", 2)
    f.store(descriptor, args)
    f.store(scratch, f.gep(args, 1, "ptr"))
    chunks = load_word(f, descriptor, Word.CHUNKS)
    f.call("arraylib_parfor", "void", [f.address("task"), args, chunks])
    f.branch(f.compare("ne", load_word(f, descriptor, Word.EPILOGUE_SPAN), 0),
             lambda: _run_between(f, descriptor))
    f.ret()


def _run_between(f: Function, descriptor: Reg) -> None:
    """Run the epilogue's chunks that no task completed alone."""
    def word(which: Word) -> Reg:
        return load_word(f, descriptor, which)

    def border(task: Reg, carried: list[Reg]) -> list[Reg]:
        product, part = _divided(task, word(Word.ROW_PARTS))
        panel = _share(word(Word.PANELS), part, word(Word.ROW_PARTS))
        row = first_row(f, descriptor, panel)
        start = (product * word(Word.M) + row) * word(Word.N)
        chunk, left = _divided(start, word(Word.EPILOGUE_SPAN))
        missing = f.compare("ne", left, 0) & f.compare("ne", chunk, carried[0])
        f.branch(missing, lambda: call_epilogue(f, descriptor, chunk))
        return [f.select(missing, chunk, carried[0])]

    f.loop(1, word(Word.TASKS), 1, [f.const("i64", -1)], border)


def _define_task(module: Module) -> None:
    f = Function(module, "task", [("ptr", "args"), ("i64", "chunk")])
    args, chunk = f.args
    descriptor = f.load(args, "ptr")
    scratch = f.gep(f.load(f.gep(args, 1, "ptr"), "ptr"),
                    chunk * load_word(f, descriptor, Word.CHUNK_BYTES), "i8")
    share = load_word(f, descriptor, Word.TASKS_PER_CHUNK)
    start = chunk * share
    stop = f.minimum(start + share, load_word(f, descriptor, Word.TASKS))

    def run(number: Reg, _: list[Reg]) -> None:
        f.call("part", "void", [descriptor, scratch, number])

    f.loop(start, stop, 1, [], run)
    f.ret()


def _define_part(module: Module, tile: Tile) -> None:
    """`part(descriptor, scratch, task)`: find a task's product and part, and compute it."""
    f = Function(module, "part", [("ptr", "descriptor"), ("ptr", "scratch"), ("i64", "task")])
    descriptor, scratch, task = f.args

    def word(which: Word) -> Reg:
        return load_word(f, descriptor, which)

    row_parts, column_parts = word(Word.ROW_PARTS), word(Word.COLUMN_PARTS)
    product, place = _divided(task, row_parts * column_parts)
    row_part, column_part = _divided(place, column_parts)
    low, high = (_share(word(Word.PANELS), row_part + i, row_parts) for i in range(2))
    wide = (word(Word.N) + (tile.columns - 1)).udiv(tile.columns)
    column, end = (_share(wide, column_part + i, column_parts) * tile.columns for i in range(2))
    a, b, c = _product_offsets(f, product)
    swapped = f.compare("ne", word(Word.SWAPPED), 0)
    first, second, result = (load_pointer(f, descriptor, which)
                             for which in (Word.A, Word.B, Word.C))
    f.call(load_pointer(f, descriptor, Word.MULTIPLY), "void", [
        descriptor, f.gep(f.select(swapped, second, first), a, tile.stored),
        f.gep(f.select(swapped, first, second), b + column * word(Word.B_COL), tile.stored),
        f.gep(result, c + column * word(Word.C_COL), tile.kept),
        low, high, f.minimum(end, word(Word.N)) - column, scratch])
    f.ret()


def _divided(number: Reg, by: Reg) -> tuple[Reg, Reg]:
    """Quotient and remainder."""
    quotient = number.udiv(by)
    return quotient, number - quotient * by


def _share(count: Reg, part: Reg, parts: Reg) -> Reg:
    """Where a part of `count` panels begins."""
    return (part * count).udiv(parts)


def _product_offsets(f: Function, product: Reg) -> list[Reg]:
    """Elements from the start of A, B and C to a product's matrices."""
    def dimension(number: Reg, found: list[Reg]) -> list[Reg]:
        place = f.gep(f.args[0], Word.BATCH + 4 * (BATCH_DIMENSIONS - 1), "i64")
        size, *strides = (f.load(f.gep(place, number * -4 + i, "i64"), "i64") for i in range(4))
        rest, index = _divided(found[0], size)
        return [rest, *(offset + index * stride
                        for offset, stride in zip(found[1:], strides, strict=True))]

    zero = f.const("i64", 0)
    return f.loop(0, BATCH_DIMENSIONS, 1, [product, zero, zero, zero], dimension)[1:]

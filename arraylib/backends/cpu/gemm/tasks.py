"""From a descriptor to parts: `task(args, chunk)` runs a chunk's share, and the entry starts them.

Tasks are numbered product by product; within a product, row part by row part. A chunk runs
consecutive tasks with its own piece of scratch, so chunks share nothing that is written.
"""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.gemm.descriptor import BATCH_DIMENSIONS, Path, Word
from arraylib.backends.cpu.gemm.driver import call_epilogue, first_row, load_pointer, load_word
from arraylib.backends.cpu.gemm.tile import Tile
from arraylib.backends.cpu.pool_code import PARFOR


def define_entry(module: Module, tile: Tile, name: str) -> None:
    """`name(descriptor, scratch)`: all chunks in parallel."""
    _define_part(module, tile)
    _define_task(module)
    f = Function(module, name, [("ptr", "descriptor"), ("ptr", "scratch")], internal=False)
    descriptor, scratch = f.args
    args = f.alloca("ptr", 2)
    f.store(descriptor, args)
    f.store(scratch, f.gep(args, 1, "ptr"))

    def together() -> None:
        f.call(load_pointer(f, descriptor, Word.MULTIPLY), "void", [descriptor, scratch])

    def apart() -> None:
        chunks = load_word(f, descriptor, Word.CHUNKS)
        f.call(PARFOR, "void", [f.address("task"), args, chunks])

    f.branch(f.compare("eq", load_word(f, descriptor, Word.PATH), Path.SHARED), together, apart)
    f.branch(f.compare("ne", load_word(f, descriptor, Word.EPILOGUE_SPAN), 0),
             lambda: _run_between(f, descriptor))
    f.ret()


def _run_between(f: Function, descriptor: Reg) -> None:
    """Run the epilogue's chunks that no task completed alone."""
    def word(which: Word) -> Reg:
        return load_word(f, descriptor, which)

    def border(task: Reg, carried: list[Reg]) -> list[Reg]:
        product, part = divided(task, word(Word.ROW_PARTS))
        panel = share(word(Word.PANELS), part, word(Word.ROW_PARTS))
        row = first_row(f, descriptor, panel)
        start = (product * word(Word.M) + row) * word(Word.N)
        chunk, left = divided(start, word(Word.EPILOGUE_SPAN))
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
    product, place = divided(task, row_parts * column_parts)
    row_part, column_part = divided(place, column_parts)
    low, high = (share(word(Word.PANELS), row_part + i, row_parts) for i in range(2))
    wide = (word(Word.N) + (tile.columns - 1)).udiv(tile.columns)
    column, end = (share(wide, column_part + i, column_parts) * tile.columns for i in range(2))
    a, b, c = product_operands(f, descriptor, product, tile)
    f.call(load_pointer(f, descriptor, Word.MULTIPLY), "void", [
        descriptor, a, f.gep(b, column * word(Word.B_COL), tile.stored),
        f.gep(c, column * word(Word.C_COL), tile.kept),
        low, high, f.minimum(end, word(Word.N)) - column, scratch])
    f.ret()


def product_operands(f: Function, descriptor: Reg, product: Reg, tile: Tile) -> list[Reg]:
    """Where a product's matrices are: A, B, and C, as the product is computed."""
    a, b, c = _product_offsets(f, descriptor, product)
    swapped = f.compare("ne", load_word(f, descriptor, Word.SWAPPED), 0)
    first, second, result = (load_pointer(f, descriptor, which)
                             for which in (Word.A, Word.B, Word.C))
    return [f.gep(f.select(swapped, second, first), a, tile.stored),
            f.gep(f.select(swapped, first, second), b, tile.stored),
            f.gep(result, c, tile.kept)]


def divided(number: Reg, by: Reg) -> tuple[Reg, Reg]:
    """Quotient and remainder."""
    quotient = number.udiv(by)
    return quotient, number - quotient * by


def share(count: Reg, part: Reg, parts: Reg) -> Reg:
    """Where a part of `count` panels begins."""
    return (part * count).udiv(parts)


def _product_offsets(f: Function, descriptor: Reg, product: Reg) -> list[Reg]:
    """Elements from the start of A, B and C to a product's matrices."""
    def dimension(number: Reg, found: list[Reg]) -> list[Reg]:
        place = f.gep(descriptor, Word.BATCH + 4 * (BATCH_DIMENSIONS - 1), "i64")
        size, *strides = (f.load(f.gep(place, number * -4 + i, "i64"), "i64") for i in range(4))
        rest, index = divided(found[0], size)
        return [rest, *(offset + index * stride
                        for offset, stride in zip(found[1:], strides, strict=True))]

    zero = f.const("i64", 0)
    return f.loop(0, BATCH_DIMENSIONS, 1, [product, zero, zero, zero], dimension)[1:]

"""From a descriptor to parts: `task(args, chunk)` runs a chunk's share, and the entry starts them.

Tasks are numbered product by product; within a product, row part by row part. A chunk runs
consecutive tasks with its own piece of scratch, so chunks share nothing that is written.
"""

from __future__ import annotations

from collections.abc import Callable

from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.gemm.descriptor import BATCH_DIMENSIONS, Path, Word
from arraylib.backends.cpu.gemm.driver import PART, call_epilogue, load_word
from arraylib.backends.cpu.gemm.tile import Tile

_FUNCTIONS = {Path.BLOCKED: "multiply_blocked", Path.STREAMED: "multiply_streamed",
              Path.VECTOR_ROWS: "vector_rows", Path.VECTOR_DOTS: "vector_dots"}


def define_entry(module: Module, tile: Tile, name: str) -> None:
    """`name(descriptor, scratch)`: all chunks in parallel."""
    _define_multiply(module)
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
             lambda: _run_between(f, tile, descriptor))
    f.ret()


def _run_between(f: Function, tile: Tile, descriptor: Reg) -> None:
    """Run the epilogue's chunks that no task completed alone."""
    def word(which: Word) -> Reg:
        return load_word(f, descriptor, which)

    def border(task: Reg, carried: list[Reg]) -> list[Reg]:
        product, part = _divided(task, word(Word.ROW_PARTS))
        row, _ = _share(f, word(Word.M), tile.rows, part, word(Word.ROW_PARTS))
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
    row, rows = _share(f, word(Word.M), tile.rows, row_part, row_parts)
    column, columns = _share(f, word(Word.N), tile.columns, column_part, column_parts)
    a, b, c = _product_offsets(f, word, product)
    a += row * word(Word.A_ROW)
    b += column * word(Word.B_COL)
    c += row * word(Word.C_ROW) + column * word(Word.C_COL)
    swapped = f.compare("ne", word(Word.SWAPPED), 0)
    first, second = (f.load(f.gep(descriptor, int(which), "ptr"), "ptr")
                     for which in (Word.A, Word.B))
    f.call("multiply", "void", [
        descriptor, f.gep(f.select(swapped, second, first), a, tile.stored),
        f.gep(f.select(swapped, first, second), b, tile.stored),
        f.gep(f.load(f.gep(descriptor, int(Word.C), "ptr"), "ptr"), c, tile.result),
        rows, columns, scratch])
    f.ret()


def _divided(number: Reg, by: Reg) -> tuple[Reg, Reg]:
    """Quotient and remainder."""
    quotient = number.udiv(by)
    return quotient, number - quotient * by


def _share(f: Function, length: Reg, panel: int, part: Reg, parts: Reg) -> tuple[Reg, Reg]:
    """First and number of the rows or columns of one part; parts are whole panels."""
    panels = (length + (panel - 1)).udiv(panel)
    start = (part * panels).udiv(parts) * panel
    stop = f.minimum(((part + 1) * panels).udiv(parts) * panel, length)
    return start, stop - start


def _product_offsets(f: Function, word: Callable[[Word], Reg], product: Reg) -> list[Reg]:
    """Elements from the start of A, B and C to a product's matrices."""
    offsets = [f.const("i64", 0)] * 3
    for dimension in reversed(range(BATCH_DIMENSIONS)):
        size, *strides = (
            f.load(f.gep(f.args[0], Word.BATCH + 4 * dimension + i, "i64"), "i64")
            for i in range(4))
        product, index = _divided(product, size)
        offsets = [offset + index * stride
                   for offset, stride in zip(offsets, strides, strict=True)]
    return offsets


def _define_multiply(module: Module) -> None:
    """`multiply`: a part by the way that the descriptor names."""
    f = Function(module, "multiply", PART)
    path = load_word(f, f.args[0], Word.PATH)
    in_place = f.compare("ne", load_word(f, f.args[0], Word.IN_PLACE), 0)

    def call(name: str) -> Callable[[], None]:
        def run() -> None:
            f.call(name, "void", f.args)
        return run

    for choice in (Path.BLOCKED, Path.VECTOR_ROWS, Path.VECTOR_DOTS):
        f.branch(f.compare("eq", path, choice), call(_FUNCTIONS[choice]))
    f.branch(f.compare("eq", path, Path.STREAMED), lambda: f.branch(
        in_place, call("multiply_in_place"), call(_FUNCTIONS[Path.STREAMED])))
    f.ret()

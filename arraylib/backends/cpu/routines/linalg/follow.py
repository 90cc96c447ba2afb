"""The code that follows a tape, and its simple steps: products, copies, what ends a triangle.

A step is a function `step(arrays, words)`: the addresses of the arrays of one matrix, and the words
of the step. One that divides its work has a second, `part(args, chunk)`, with both in `args`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from arraylib.backends.cpu.emitter import Function, Module, Reg, element_bytes
from arraylib.backends.cpu.gemm import Word
from arraylib.backends.cpu.gemm.tile import Tile
from arraylib.backends.cpu.pool_code import PARFOR
from arraylib.backends.cpu.routines.linalg.tape import HEAD_BYTES, MOST_ARRAYS, ROOMS, Step
from arraylib.backends.cpu.routines.vectors import define_entry

# Numbers of a call: how many matrices; arrays, scratch memory included; bytes of that for a chunk;
# words of the tape; chunks of matrices; where in the scratch memory an algorithm's own matrices
# are; from here on the bytes from a matrix of each array to the next, then the tape.
MATRICES, ARRAYS, SCRATCH, LENGTH, CHUNKS, OWN, STRIDES = range(7)
TAPE = STRIDES + MOST_ARRAYS

NAMES = {step: step.name.lower() for step in Step}


def do(f: Function, name: str, *args: Reg) -> None:
    """Call for the effect alone."""
    f.call(name, "void", args)


def number(f: Function, words: Reg, index: int) -> Reg:
    return f.load(f.gep(words, index, "i64"), "i64")


def place(f: Function, arrays: Reg, words: Reg, index: int, type: str) -> Reg:
    """The address that two words name: the number of an array, and an offset."""
    start = f.load(f.gep(arrays, number(f, words, index), "ptr"), "ptr")
    return f.gep(start, number(f, words, index + 1), type)


def scratch(f: Function, arrays: Reg) -> Reg:
    """The scratch memory, of which the first word says that there is no factor."""
    return f.load(f.gep(arrays, MOST_ARRAYS, "ptr"), "ptr")


def step_function(module: Module, step: Step) -> tuple[Function, Reg, Reg]:
    f = Function(module, NAMES[step], [("ptr", "arrays"), ("ptr", "words")])
    return f, f.args[0], f.args[1]


def define_divided(module: Module, step: Step, chunks_at: int,
                   body: Callable[[Function, Reg, Reg, Reg, Reg], None]) -> None:
    """A step in as many chunks as its word says: `body(f, arrays, words, chunk, chunks)`."""
    part = NAMES[step] + "_part"
    f, arrays, words = step_function(module, step)
    args = f.alloca("ptr", 2)
    for i, value in enumerate((arrays, words)):
        f.store(value, f.gep(args, i, "ptr"))
    f.call(PARFOR, "void", [f.address(part), args, number(f, words, chunks_at)])
    f.ret()
    f = Function(module, part, [("ptr", "args"), ("i64", "chunk")])
    arrays, words = (f.load(f.gep(f.args[0], i, "ptr"), "ptr") for i in range(2))
    body(f, arrays, words, f.args[1], number(f, words, chunks_at))
    f.ret()


def share(length: Reg, chunk: Reg, chunks: Reg) -> tuple[Reg, Reg]:
    """First and last but one of a chunk."""
    return (chunk * length).udiv(chunks), ((chunk + 1) * length).udiv(chunks)


def define_follow(module: Module, symbol: str, steps: Sequence[Step]) -> None:
    """The routine: the tape for each matrix, with the functions of the steps it may have."""
    entries = [f"ptr @{NAMES[step]}" if step in steps else "ptr null" for step in Step]
    module.add_global("steps", f"[{len(entries)} x ptr]", f"[{', '.join(entries)}]",
                      constant=True)
    _define_matrix(module)
    f = Function(module, "rows", [("ptr", "args"), ("i64", "chunk")])
    pointers, numbers, room = (f.load(f.gep(f.args[0], i, "ptr"), "ptr") for i in range(3))
    room = f.gep(room, f.args[1] * number(f, numbers, SCRATCH), "i8")
    first, last = share(number(f, numbers, MATRICES), f.args[1], number(f, numbers, CHUNKS))
    f.loop(first, last, 1, [],
           lambda matrix, _: do(f, "matrix", pointers, numbers, room, matrix))
    f.ret()
    define_entry(module, symbol)


def _define_matrix(module: Module) -> None:
    f = Function(module, "matrix", [("ptr", "pointers"), ("ptr", "numbers"), ("ptr", "room"),
                                    ("i64", "matrix")])
    pointers, numbers, room, matrix = f.args
    arrays = f.alloca("ptr", ROOMS + 1)

    def fill(i: Reg, _: list[Reg]) -> None:
        start = f.load(f.gep(pointers, i, "ptr"), "ptr")
        stride = f.load(f.gep(numbers, i + STRIDES, "i64"), "i64")
        f.store(f.gep(start, stride * matrix, "i8"), f.gep(arrays, i, "ptr"))

    f.loop(0, number(f, numbers, ARRAYS), 1, [], fill)
    f.store(room, f.gep(arrays, MOST_ARRAYS, "ptr"))
    f.store(f.gep(room, number(f, numbers, OWN), "i8"), f.gep(arrays, ROOMS, "ptr"))
    f.store(f.const("i64", 0), room)
    tape = f.gep(numbers, TAPE, "i64")
    length = number(f, numbers, LENGTH)

    def step(at: list[Reg]) -> list[Reg]:
        words = f.gep(tape, at[0], "i64")
        function = f.load(f.gep(f.address("steps"), number(f, words, 0), "ptr"), "ptr")
        f.call(function, "void", [arrays, f.gep(words, 2, "i64")])
        return [at[0] + number(f, words, 1) + 2]

    f.while_loop([f.const("i64", 0)], lambda at: at[0] < length, step)
    f.ret()


def define_product(module: Module, tile: Tile) -> None:
    """A product by the library: its descriptor is copied and given addresses."""
    f, arrays, words = step_function(module, Step.PRODUCT)
    descriptor = f.alloca("i64", Word.COUNT)
    nbytes = f.const("i64", 8 * Word.COUNT)
    f.call("llvm.memcpy.p0.p0.i64", "void",
           [descriptor, f.gep(words, 7, "i64"), nbytes, f.const("i1", 0)])
    for i, word in enumerate((Word.A, Word.B, Word.C)):
        address = place(f, arrays, words, 2 * i, tile.stored)
        f.store(address, f.gep(descriptor, int(word), "i64"))
    entry = f.load(f.gep(words, 6, "ptr"), "ptr")
    f.call(entry, "void", [descriptor, f.gep(scratch(f, arrays), HEAD_BYTES, "i8")])
    f.ret()


def define_copy(module: Module, tile: Tile) -> None:
    """All of an array, unless both are the same."""
    def body(f: Function, arrays: Reg, words: Reg, chunk: Reg, chunks: Reg) -> None:
        source, target = (f.load(f.gep(arrays, number(f, words, i), "ptr"), "ptr")
                          for i in range(2))
        first, last = share(number(f, words, 2), chunk, chunks)
        nbytes = (last - first) * element_bytes(tile.stored)
        f.branch(f.compare("ne", source, target), lambda: do(
            f, "llvm.memcpy.p0.p0.i64", f.gep(target, first, tile.stored),
            f.gep(source, first, tile.stored), nbytes, f.const("i1", 0)))

    define_divided(module, Step.COPY, 3, body)


def define_triangle(module: Module, tile: Tile) -> None:
    """Rows with zeros where the factor has none, and with nan for all the rest if it failed."""
    def body(f: Function, arrays: Reg, words: Reg, chunk: Reg, chunks: Reg) -> None:
        start = place(f, arrays, words, 0, tile.stored)
        stride, n = number(f, words, 2), number(f, words, 3)
        lower = f.compare("ne", number(f, words, 4), 0)
        failed = f.compare("ne", number(f, scratch(f, arrays), 0), 0)
        nan = f.const(tile.stored, float("nan"))

        def row(i: Reg, _: list[Reg]) -> None:
            line = f.gep(start, i * stride, tile.stored)
            first = f.select(lower, i + 1, f.const("i64", 0))
            count = f.select(lower, n - i - 1, i)
            nbytes = count * element_bytes(tile.stored)
            f.call("llvm.memset.p0.i64", "void", [f.gep(line, first, tile.stored),
                                                  f.const("i8", 0), nbytes, f.const("i1", 0)])
            low = f.select(lower, f.const("i64", 0), i)
            high = f.select(lower, i + 1, n)
            high = f.select(failed, high, low)
            f.loop(low, high, 1, [], lambda j, _: f.store(nan, f.gep(line, j, tile.stored)))

        first, last = share(n, chunk, chunks)
        f.loop(first, last, 1, [], row)

    define_divided(module, Step.TRIANGLE, 5, body)

"""The native code of transforms: sections and stages, as `words` describes them."""

from __future__ import annotations

from collections.abc import Callable

from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.fft.lines import BLOCKS, LOADS, STORES, define_lines
from arraylib.backends.cpu.fft.passes import (
    CORE,
    TO_ARRAY,
    call_numbered,
    define_cores,
    define_table,
)
from arraylib.backends.cpu.fft.rowwise import define_rowwise
from arraylib.backends.cpu.fft.stage import STAGE_PARAMETERS, Frame, number, pointer
from arraylib.backends.cpu.fft.vectors import lanes_of
from arraylib.backends.cpu.fft.words import (
    AREAS,
    HEAD_WORDS,
    HERE,
    NUMBERS,
    SECTION_WORDS,
    TABLE,
    WHOLE,
    Kind,
    Word,
)
from arraylib.backends.cpu.pool_code import PARFOR

# The arguments of a parallel call: areas, numbers, scratch memory, the words of what is done.
_SCRATCH, _WORDS = NUMBERS + 1, NUMBERS + 2
_THREADS, _SHARED_BYTES, _OWN_BYTES, _SHARED, _OWN = 1, 2, 3, 4, 4 + AREAS


def define(module: Module, symbol: str, dtype: str) -> None:
    """The routine for one dtype of real parts."""
    element = {"float32": "float", "float64": "double"}[dtype]
    define_cores(module, element)
    define_lines(module, element)
    _define_lanes(module, element)
    define_rowwise(module, element)
    define_table(module, "kinds", [f"stage_{kind.name.lower()}" for kind in Kind])
    _define_run_stage(module)
    _define_run_rows(module)
    _define_entry(module, symbol)


def _define_lanes(module: Module, element: str) -> None:
    """Lanes loaded, brought through the calls of cores, and stored.

    Where all lanes are there, the first and the last core may do that themselves.
    """
    f = Function(module, "stage_lanes", STAGE_PARAMETERS)
    frame = Frame(f)
    lanes = lanes_of(module, element)
    valid = f.minimum(frame.word(Word.LANES) - frame.item * lanes, f.const("i64", lanes))
    whole = f.compare("eq", valid, lanes)
    reads, writes = (whole & f.compare("ne", frame.word(w), 0)
                     for w in (Word.FIRST_READS, Word.LAST_WRITES))
    source = _Outside(frame, Word.FROM, reads, Word.SWAP_IN, Word.FROM_AHEAD)
    target = _Outside(frame, Word.TO, writes, Word.SWAP_OUT, Word.TO_AHEAD)
    f.branch(reads, lambda: None, lambda: call_numbered(f, LOADS, frame.word(Word.LOAD), [
        source.place, frame.own, source.step, frame.word(Word.SIZE), valid, source.swap]))
    scale = f.cast("fptrunc", f.bitcast(frame.word(Word.SCALE), "double"), element)
    found = _through_cores(frame, source, target, scale)
    table = pointer(f, frame.areas, TABLE)
    factors, turns = (f.gep(table, frame.word(start) + frame.item * frame.word(step), "i8")
                      for start, step in ((Word.TABLE, Word.TABLE_ITEM),
                                          (Word.TURNS, Word.TURNS_ITEM)))
    f.branch(writes, lambda: None, lambda: call_numbered(f, STORES, frame.word(Word.STORE), [
        found, target.place, target.step, frame.word(Word.STORED), valid, target.swap, scale,
        factors, turns]))
    f.ret()


class _Outside:
    """The array that lanes come from or go to; `direct` says whether a core touches it."""

    def __init__(self, frame: Frame, place: Word, direct: Reg, swap: Word, ahead: Word) -> None:
        self.place, self.direct = frame.place(place), direct
        self.step = frame.word(Word(place + 4))  # behind area, offset, row and item
        self.swap, self.ahead = frame.word(swap), frame.word(ahead)


def _through_cores(frame: Frame, source: _Outside, target: _Outside, scale: Reg) -> Reg:
    """Where the lanes are after all calls of cores, which go to and fro between two buffers."""
    f, first = frame.f, frame.own
    second = f.gep(first, frame.word(Word.BUFFER), "i8")
    table, count = pointer(f, frame.areas, TABLE), frame.word(Word.CORES)
    calls = f.gep(pointer(f, frame.areas, NUMBERS), frame.word(Word.CORE), "i64")
    to_array = f.const("i64", TO_ARRAY)

    def core(i: Reg, carried: list[Reg]) -> list[Reg]:
        here, there = carried
        call = f.gep(calls, i * 4, "i64")
        is_first = f.compare("eq", i, 0) & source.direct
        is_last = f.compare("eq", i, count - 1) & target.direct
        function = number(f, call, 0) + f.select(is_first | is_last, to_array, 0)
        call_numbered(f, CORE, function, [
            here, f.select(is_last, target.place, there), f.gep(table, number(f, call, 1), "i8"),
            number(f, call, 2), number(f, call, 3),
            *(f.select(is_first, a, b) for a, b in ((source.step, target.step),
                                                    (source.swap, target.swap))),
            scale, f.select(is_first, source.ahead, target.ahead)])
        return [there, f.select(f.compare("eq", there, first), second, first)]

    in_place = f.compare("eq", frame.word(Word.LOAD), BLOCKS) | source.direct
    found, _ = f.loop(0, count, 1, [f.select(in_place, source.place, first),
                                    f.select(in_place, first, second)], core)
    return found


def _each_taken(f: Function, scratch: Reg, count: Reg, grain: Reg,
                body: Callable[[Reg], None]) -> None:
    """`body` for the numbers below `count` that this thread gets from the counter."""
    def take() -> Reg:
        return f.value("i64", f"atomicrmw add {scratch}, {grain} monotonic, align 8")

    def some(carried: list[Reg]) -> list[Reg]:
        end = f.minimum(carried[0] + grain, count)
        f.loop(carried[0], end, 1, [], lambda i, _: body(i))
        return [take()]

    f.while_loop([take()], lambda carried: carried[0] < count, some)


def _own_memory(f: Function, args: Reg, chunk: Reg) -> Reg:
    numbers, scratch = pointer(f, args, NUMBERS), pointer(f, args, _SCRATCH)
    place = number(f, numbers, _SHARED_BYTES) + chunk * number(f, numbers, _OWN_BYTES)
    return f.gep(scratch, place, "i8")


def _define_run_stage(module: Module) -> None:
    """The items of all rows of a stage that this thread takes."""
    f = Function(module, "run_stage", [("ptr", "args"), ("i64", "chunk")])
    args, chunk = f.args
    words, own = pointer(f, args, _WORDS), _own_memory(f, args, chunk)
    items = number(f, words, Word.ITEMS)

    def one(i: Reg) -> None:
        row = i.udiv(items)
        call_numbered(f, "kinds", number(f, words, Word.KIND),
                      [args, words, own, row, i - row * items])

    _each_taken(f, pointer(f, args, _SCRATCH), number(f, words, Word.ROWS) * items,
                number(f, words, Word.GRAIN), one)
    f.ret()


def _define_run_rows(module: Module) -> None:
    """All stages of the rows of a section that this thread takes."""
    f = Function(module, "run_rows", [("ptr", "args"), ("i64", "chunk")])
    args, chunk = f.args
    section, own = pointer(f, args, _WORDS), _own_memory(f, args, chunk)
    numbers = pointer(f, args, NUMBERS)
    areas = f.alloca("ptr", AREAS + 1)
    for area in range(HERE):
        f.store(pointer(f, args, area), f.gep(areas, area, "ptr"))
    for area in range(HERE, AREAS):
        f.store(f.gep(own, number(f, numbers, _OWN + area), "i8"), f.gep(areas, area, "ptr"))
    f.store(numbers, f.gep(areas, NUMBERS, "ptr"))
    first = f.gep(numbers, number(f, section, 2), "i64")

    def row(i: Reg) -> None:
        def stage(k: Reg, _: list[Reg]) -> None:
            words = f.gep(first, k * len(Word), "i64")
            kind = number(f, words, Word.KIND)
            f.loop(0, number(f, words, Word.ITEMS), 1, [], lambda item, _: call_numbered(
                f, "kinds", kind, [areas, words, own, i, item]))

        f.loop(0, number(f, section, 1), 1, [], stage)

    _each_taken(f, pointer(f, args, _SCRATCH), number(f, section, 0), number(f, section, 3), row)
    f.ret()


def _define_entry(module: Module, symbol: str) -> None:
    """The routine: sections in order. The pointers are operand, result and table."""
    f = Function(module, symbol, [("ptr", "pointers"), ("ptr", "numbers"), ("ptr", "scratch")],
                 internal=False)
    pointers, numbers, scratch = f.args
    args = f.alloca("ptr", AREAS + 3)
    for area in range(AREAS):
        place = pointer(f, pointers, area) if area < WHOLE else f.gep(
            scratch, number(f, numbers, _SHARED + area), "i8")
        f.store(place, f.gep(args, area, "ptr"))
    f.store(numbers, f.gep(args, NUMBERS, "ptr"))
    f.store(scratch, f.gep(args, _SCRATCH, "ptr"))
    threads = number(f, numbers, _THREADS)

    def parallel(function: str, words: Reg) -> None:
        f.store(words, f.gep(args, _WORDS, "ptr"))
        f.store(f.const("i64", 0), scratch)
        f.branch(f.compare("eq", threads, 1),
                 lambda: _do(f, function, args, f.const("i64", 0)),
                 lambda: _do(f, PARFOR, f.address(function), args, threads))

    def section(i: Reg, _: list[Reg]) -> None:
        words = f.gep(numbers, i * SECTION_WORDS + HEAD_WORDS, "i64")
        first = number(f, words, 2)

        def stages() -> None:
            f.loop(0, number(f, words, 1), 1, [], lambda k, _: parallel(
                "run_stage", f.gep(numbers, first + k * len(Word), "i64")))

        f.branch(f.compare("ne", number(f, words, 0), 0),
                 lambda: parallel("run_rows", words), stages)

    f.loop(0, number(f, numbers, 0), 1, [], section)
    f.ret()


def _do(f: Function, callee: str, *args: Reg) -> None:
    f.call(callee, "void", args)

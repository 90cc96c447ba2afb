"""Running sums, products and extremes.

Along contiguous rows a vector is scanned in registers, by combining it with itself moved by 1, 2, 4
lanes and so on. A row is divided into blocks of one size, and each block scanned from its own
start; what came before is combined last:

    result = before(block) o (before(vector) o scan(vector))

So the numbers are the same for any number of threads, though they do the blocks in two ways. One
that finds that everything before its block is known writes the block in one pass; else it passes
over the block for its total, waits for what is before, makes known what is before the next, and
only then writes. Chunks are started in ascending order, so that what it waits for is under way.

Across rows whole vectors of columns are combined with what is above, kept in fast memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.backends.cpu import pool, representation
from arraylib.backends.cpu.emitter import Function, Module, Reg, bits, lanes, part, vector
from arraylib.backends.cpu.native import emit_elementwise
from arraylib.backends.cpu.pool_code import PARFOR
from arraylib.backends.cpu.routines.call import Call, symbol
from arraylib.dtypes import Dtype
from arraylib.hlo.ir import Type
from arraylib.record import record

BLOCK = 1 << 14        # elements of a block: it stays in the second cache between two passes
CHUNK = 1 << 15        # elements that are worth a chunk of their own, where rows are short
COLUMNS = 1 << 12      # at most so many columns go together: what is above them stays in a cache
FEWEST_COLUMNS = 64
STREAM_BYTES = 1 << 25  # results larger than this are written past the caches
AHEAD_BYTES = 4096     # asked for so long before its use: what looks ahead stops at pages
CARRY_BYTES = 32       # of scratch for each block: what is before it, and whether that is known
_FLAG = 16             # where in it the latter is

# -- what to call ----------------------------------------------------------------------------------


def call(attrs: dict[str, Any], operands: Sequence[Type], results: Sequence[Type]) -> Call | None:
    """The call for an array of numbers that registers hold."""
    (x,), axis = operands, attrs["dimension"]
    if representation.kind(x.dtype) is None or not x.size:
        return None
    outer, n, inner = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1:])
    name = ("cumulative", attrs["kind"], dt.name(x.dtype), int(attrs["reverse"]))
    streams = int(x.nbytes >= STREAM_BYTES and x.nbytes % 64 == 0)
    if inner > 1:
        width = _columns(outer, inner)
        pieces = -(-inner // width)
        streams = streams and int(inner * x.dtype.itemsize % 64 == 0)
        return Call(symbol(*name, "columns"), (n, inner, width, pieces, outer * pieces, streams),
                    0, 2 * x.size, in_place=((0, 0),))
    blocks = -(-n // BLOCK)
    rows = 1 if blocks > 1 else max(1, CHUNK // n)
    chunks = blocks * outer if blocks > 1 else -(-outer // rows)
    return Call(symbol(*name, "rows"), (n, outer, rows, blocks, chunks, streams),
                CARRY_BYTES * chunks if blocks > 1 else 0, 2 * x.size, in_place=((0, 0),))


def _columns(outer: int, inner: int) -> int:
    """How many columns go together: as many as a cache holds, if there are pieces enough."""
    pieces = -(-pool.threads() // outer)
    share = -(-inner // (pieces * FEWEST_COLUMNS)) * FEWEST_COLUMNS
    return min(COLUMNS, share)


# -- combining -------------------------------------------------------------------------------------


@record
class Scan:
    """One variant of the routine: how numbers are combined, and in what direction."""

    kind: str
    dtype: Dtype
    reverse: bool

    @property
    def work(self) -> Dtype:
        """The dtype in which numbers are combined."""
        if dt.is_bool(self.dtype):
            return dt.uint8
        if dt.bits(self.dtype) < 8 and dt.is_integer(self.dtype):
            return dt.int8 if dt.is_signed(self.dtype) else dt.uint8
        return dt.float32 if dt.is_narrow_float(self.dtype) else self.dtype

    @property
    def element(self) -> str:
        """The scalar type of a register."""
        return representation.register_type(self.work, 1)

    def lanes(self, f: Function) -> int:
        """Lanes of a vector: as many as moving between them is cheap for."""
        return min(16, f.module.vector_bits // bits(part(self.element) or self.element))

    def neutral(self) -> complex:
        """What changes nothing: of sums -0, which unlike 0 leaves a -0 as it is."""
        if self.kind == "add":
            return -0.0 if dt.is_float(self.work) else \
                complex(-0.0, -0.0) if dt.is_complex(self.work) else 0
        if self.kind == "multiply":
            return 1
        if dt.is_float(self.work):
            return -math.inf if self.kind == "maximum" else math.inf
        limits = dt.iinfo(self.work)
        return limits.min if self.kind == "maximum" else limits.max

    def combine(self, a: Reg, b: Reg) -> Reg:
        return emit_elementwise(a.function, self.kind, self.work, [a, b], {}, self.work)

    def load(self, f: Function, place: Reg, count: int, mask: Reg | None = None) -> Reg:
        """Numbers from memory, neutral ones outside the mask."""
        dtype = dt.uint8 if dt.is_bool(self.dtype) else self.dtype
        x = representation.load(f, place, dtype, count, mask)
        return x if mask is None else f.select(mask, x, self.neutral())

    def store(self, f: Function, place: Reg, x: Reg, count: int, mask: Reg | None = None,
              stream: bool = False) -> None:
        dtype = dt.uint8 if dt.is_bool(self.dtype) else self.dtype
        rounded = representation.round_to(x, dtype)
        representation.store(f, place, rounded, dtype, count, mask, nontemporal=stream)

    def gep(self, f: Function, base: Reg, index: Reg) -> Reg:
        return f.gep(base, index, f"i{8 * self.dtype.itemsize}")

    def within(self, x: Reg) -> Reg:
        """The running combination of the lanes of a vector."""
        f, count = x.function, lanes(x.type)
        neutral, step = f.const(x.type, self.neutral()), 1
        while step < count:
            if self.reverse:
                indices = [i + step if i + step < count else count for i in range(count)]
            else:
                indices = [i - step if i >= step else count for i in range(count)]
            x = self.combine(f.shuffle(x, neutral, indices), x)
            step *= 2
        return x


# -- the code --------------------------------------------------------------------------------------


def define(module: Module, symbol: str, kind: str, dtype: str, reverse: str, layout: str) -> None:
    """The routine and its parts."""
    scan = Scan(kind, dt.dtype(dtype), reverse == "1")
    if layout == "columns":
        _define_columns(module, scan)
    else:
        for name, writes, stream in (("total", False, False), ("write", True, False),
                                     ("stream", True, True)):
            _define_block(module, scan, name, writes=writes, stream=stream)
        _define_rows(module, scan)
        _define_link(module, scan)
    _define_entry(module, symbol, layout)


def _define_entry(module: Module, symbol: str, layout: str) -> None:
    """All chunks in parallel; before, nothing is known of what is before a block."""
    f = Function(module, symbol, [("ptr", "pointers"), ("ptr", "numbers"), ("ptr", "scratch")],
                 internal=False)
    pointers, numbers, scratch = f.args
    chunks = _number(f, numbers, 4)
    several = _number(f, numbers, 3) > 1
    if layout == "rows":
        f.branch(several, lambda: _clear(f, scratch, chunks * CARRY_BYTES))
    args = f.alloca("ptr", 4)
    for i, value in enumerate((f.load(pointers, "ptr"), f.load(f.gep(pointers, 1, "ptr"), "ptr"),
                               numbers, scratch)):
        f.store(value, f.gep(args, i, "ptr"))

    def run(name: str) -> None:
        f.call(PARFOR, "void", [f.address(name), args, chunks])

    if layout == "columns":
        run("columns")
    else:
        f.branch(several, lambda: run("link"), lambda: run("rows"))
    f.ret()


def _clear(f: Function, place: Reg, count: Reg) -> None:
    f.call("llvm.memset.p0.i64", "void", [place, f.const("i8", 0), count, f.const("i1", 0)])


def _number(f: Function, numbers: Reg, index: int) -> Reg:
    return f.load(f.gep(numbers, index, "i64"), "i64")


def _arguments(f: Function) -> list[Reg]:
    """Operand, result, numbers, scratch."""
    return [f.load(f.gep(f.args[0], i, "ptr"), "ptr") for i in range(4)]


def _define_block(module: Module, scan: Scan, name: str, *, writes: bool, stream: bool) -> None:
    """`name(x, out, count, before)`: the total of a block, its running combinations written."""
    f = Function(module, name, [("ptr", "x"), ("ptr", "out"), ("i64", "count"),
                                (scan.element, "before")], result=scan.element)
    x, out, count, before = f.args
    lanes = scan.lanes(f)
    wide = f.splat(before, lanes)
    whole = count.udiv(lanes) * lanes

    def vector(place: Reg, running: Reg, mask: Reg | None) -> Reg:
        found = scan.within(scan.load(f, scan.gep(f, x, place), lanes, mask))
        if writes:
            result = scan.combine(wide, scan.combine(running, found))
            scan.store(f, scan.gep(f, out, place), result, lanes, mask, stream and mask is None)
        last = f.shuffle(found, None, [0 if scan.reverse else lanes - 1] * lanes)
        return scan.combine(running, last)

    def step(index: Reg, carried: list[Reg]) -> list[Reg]:
        place = count - index - lanes if scan.reverse else index
        ahead = -AHEAD_BYTES if scan.reverse else AHEAD_BYTES
        f.prefetch(f.gep(scan.gep(f, x, place), ahead, "i8"))
        return [vector(place, carried[0], None)]

    neutral = f.const(wide.type, scan.neutral())
    (running,) = f.loop(0, whole, lanes, [neutral], step)
    rest = count - whole
    mask = f.first_lanes(rest, lanes)
    first = f.const("i64", 0) if scan.reverse else whole
    (running,) = f.conditional(f.compare("ne", rest, 0),
                               lambda: [vector(first, running, mask)], [running])
    f.ret(f.extract(running, 0))


def _define_rows(module: Module, scan: Scan) -> None:
    """A chunk is some rows, each shorter than a block."""
    f = Function(module, "rows", [("ptr", "args"), ("i64", "chunk")])
    x, out, numbers, _ = _arguments(f)
    n, outer, rows = (_number(f, numbers, i) for i in range(3))
    first = f.args[1] * rows
    before = f.const(scan.element, scan.neutral())

    def row(index: Reg, _: list[Reg]) -> None:
        place = index * n
        f.call("write", scan.element, [scan.gep(f, x, place), scan.gep(f, out, place), n, before])

    f.loop(first, f.minimum(first + rows, outer), 1, [], row)
    f.ret()


def _define_link(module: Module, scan: Scan) -> None:
    """A chunk is one block of a row."""
    f = Function(module, "link", [("ptr", "args"), ("i64", "chunk")])
    x, out, numbers, scratch = _arguments(f)
    n, blocks = _number(f, numbers, 0), _number(f, numbers, 3)
    row = f.args[1].udiv(blocks)
    number = f.args[1] - row * blocks
    low = number * BLOCK
    count = f.minimum(n - low, f.const("i64", BLOCK))
    start = n - low - count if scan.reverse else low
    place = row * n + start
    x, out = scan.gep(f, x, place), scan.gep(f, out, place)
    own = f.gep(scratch, f.args[1] * CARRY_BYTES, "i8")
    previous = f.gep(own, -CARRY_BYTES, "i8")
    begins = f.compare("eq", number, 0)
    streams = _streams(f, numbers, out)

    def write(before: Reg) -> Reg:
        """The block written; its total."""
        total = f.alloca(scan.element)

        def by(name: str) -> None:
            f.store(_value(f.call(name, scan.element, [x, out, count, before])), total)

        f.branch(streams, lambda: by("stream"), lambda: by("write"))
        return f.load(total, scan.element)

    def at_once(before: Reg) -> None:
        _publish(f, own, scan.combine(before, write(before)))

    def late() -> None:
        neutral = f.const(scan.element, scan.neutral())
        total = _value(f.call("total", scan.element, [x, out, count, neutral]))
        _wait(f, previous)
        before = f.load(previous, scan.element)
        _publish(f, own, scan.combine(before, total))
        write(before)

    def middle() -> None:
        f.branch(_is_known(f, previous), lambda: at_once(f.load(previous, scan.element)), late)

    f.branch(begins, lambda: at_once(f.const(scan.element, scan.neutral())), middle)
    f.ret()


def _streams(f: Function, numbers: Reg, out: Reg) -> Reg:
    """Whether results go past the caches: they are many, and fill whole lines."""
    aligned = f.compare("eq", f.value("i64", f"ptrtoint {out} to i64") & 63, 0)
    return f.compare("ne", _number(f, numbers, 5), 0) & aligned


def _value(found: Reg | None) -> Reg:
    assert found is not None
    return found


def _is_known(f: Function, place: Reg) -> Reg:
    flag = f.value("i64", f"load atomic i64, {f.gep(place, _FLAG, 'i8')} acquire, align 8")
    return f.compare("ne", flag, 0)


def _publish(f: Function, place: Reg, value: Reg) -> None:
    f.store(value, place)
    f.emit(f"store atomic i64 1, {f.gep(place, _FLAG, 'i8')} release, align 8")


def _wait(f: Function, place: Reg) -> None:
    """Until another thread has published."""
    def spin(carried: list[Reg]) -> list[Reg]:
        pool.pause(f, carried[0])
        return [carried[0] + 1]

    f.while_loop([f.const("i64", 0)], lambda _: ~_is_known(f, place), spin)


def _define_columns(module: Module, scan: Scan) -> None:
    """A chunk is some neighbouring columns; what is above them is kept on the stack."""
    f = Function(module, "columns", [("ptr", "args"), ("i64", "chunk")])
    x, out, numbers, _ = _arguments(f)
    n, inner, width, pieces = (_number(f, numbers, i) for i in range(4))
    part = f.args[1].udiv(pieces)
    low = (f.args[1] - part * pieces) * width
    count, lanes = f.minimum(inner - low, width), scan.lanes(f)
    above = f.alloca(scan.element, COLUMNS + lanes, align=64)
    row_type = vector(scan.element, lanes)
    start = part * n * inner + low

    def at(column: Reg) -> Reg:
        return f.gep(above, column, scan.element)

    def clear(column: Reg, _: list[Reg]) -> None:
        f.store(f.const(row_type, scan.neutral()), at(column))

    def columns(index: Reg, column: Reg, mask: Reg | None, stream: bool = False) -> None:
        place = start + (n - 1 - index if scan.reverse else index) * inner + column
        found = scan.combine(f.load(at(column), row_type),
                             scan.load(f, scan.gep(f, x, place), lanes, mask))
        f.store(found, at(column))
        scan.store(f, scan.gep(f, out, place), found, lanes, mask, stream)

    def row(index: Reg, _: list[Reg]) -> None:
        f.loop(0, whole, lanes, [], lambda column, _: columns(index, column, None))
        f.branch(f.compare("ne", rest, 0), lambda: columns(index, whole, mask))

    def streamed(index: Reg, _: list[Reg]) -> None:
        f.loop(0, count, lanes, [], lambda column, _: columns(index, column, None, stream=True))

    def rows(body: Callable[[Reg, list[Reg]], None]) -> Callable[[], None]:
        def run() -> None:
            f.loop(0, n, 1, [], body)
        return run

    whole = count.udiv(lanes) * lanes
    rest = count - whole
    mask = f.first_lanes(rest, lanes)
    f.loop(0, count, lanes, [], clear)
    f.branch(_streams(f, numbers, out), rows(streamed), rows(row))
    f.ret()

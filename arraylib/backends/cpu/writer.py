"""What the parts of a program's code generator share.

The steps of a plan become functions `i1 part(ptr frame, ptr arena, ptr context)`, true for failure.
The frame is an array of pointers, to the plan's inputs, its outputs and whatever else lies outside
the arena; so a function can be written without knowing where it is called from. A Scope is the
view from inside of one such function. An address is emitted anew at each use: a load and an
addition are cheaper than hundreds of addresses kept in registers across calls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from arraylib.backends.cpu.arena import Layout, Roomy
from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.host import HostCall
from arraylib.backends.cpu.parts import Parts
from arraylib.backends.lower.plan import Buffer, Plan, Step, View, row_major, whole
from arraylib.record import field, record

LEAST_ROWS = 3  # addresses that are worth a table
IN_ARENA = -1  # the word of a place in the arena
CONSTANT_BYTES = 1 << 12  # larger constants are not part of the code: the context points to them


@record(slots=True)
class Spot:
    """A place outside the arena: some bytes behind a pointer of the frame."""

    word: int
    offset: int = 0


@record(frozen=False, eq=False)
class Shared:
    """The module being written, and what its functions need from outside.

    parts: hands on what is complete, where the program is wanted in parts.
    """

    module: Module
    parts: Parts | None = None
    kernels: dict[str, str] = field(default_factory=dict)  # kernel key -> function name
    constants: dict[Buffer, np.ndarray] = field(default_factory=dict)  # context words 1, 2, ...
    host_calls: list[HostCall] = field(default_factory=list)
    helpers: set[str] = field(default_factory=set)  # functions that steps call, written so far
    plans: int = 0  # written so far
    waves: int = 0
    loops: int = 0
    _words: dict[Hashable, str] = field(default_factory=dict)

    @property
    def failures(self) -> int:
        """How many places there are so far where a program may end before its time."""
        return len(self.host_calls) + self.loops

    def offer(self) -> None:
        """Something has been written that others may go on with."""
        if self.parts:
            self.parts.offer()

    def data(self, content: bytes) -> str:
        """The name of a module constant with these bytes."""
        name = f"constant_{hashlib.blake2b(content, digest_size=8).hexdigest()}"
        text = "\\" + content.hex("\\") if content else ""
        self.module.add_global(name, f"[{len(content)} x i8]", f'c"{text}"', constant=True)
        return name

    def words(self, words: np.ndarray, functions: Mapping[int, str]) -> str:
        """The name of a module constant with these numbers, and addresses of functions that are
        imported in place of some of them."""
        key = words.tobytes(), tuple(functions.items())
        if key not in self._words:
            self._words[key] = self._add_words(words, functions)
        return self._words[key]

    def _add_words(self, words: np.ndarray, functions: Mapping[int, str]) -> str:
        fields = [f"ptr @{functions[i]}" if i in functions else f"i64 {word}"
                  for i, word in enumerate(words.tolist())]
        text = ", ".join(fields)
        name = f"words_{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"
        for function in functions.values():
            self.module.declare(function, "void", ["ptr"])
        types = ", ".join(field.split(" ")[0] for field in fields)
        self.module.add_global(name, f"{{ {types} }}", f"{{ {text} }}", constant=True)
        return name


@record(eq=False)
class Scope:
    """One function of a plan: where the plan's buffers are, seen from inside."""

    shared: Shared
    function: Function
    arguments: Reg  # room for the pointers of a call
    layout: Layout
    base: int  # where the plan's part of the arena begins
    spots: dict[Buffer, Spot]  # everything that is not in the arena
    rooms: dict[Step, Spot] = field(default_factory=dict)  # likewise
    outer: Scope | None = None  # whose places are behind the words of this one's frame

    @property
    def frame(self) -> Reg:
        return self.function.args[0]

    @property
    def arena(self) -> Reg:
        return self.function.args[1]

    @property
    def context(self) -> Reg:
        return self.function.args[2]

    def room(self, offset: int) -> Reg:
        """Emit the address at an offset of the plan's arena."""
        return self.function.gep(self.arena, self.base + offset, "i8")

    def room_of(self, step: Roomy) -> Reg:
        """Emit the address of a step's own memory."""
        spot = self.rooms.get(step)
        return self.room(self.layout.rooms[step][0]) if spot is None else self.spot(spot)

    def spot(self, spot: Spot) -> Reg:
        """Emit the address of a place outside the arena."""
        return self.function.gep(word(self.function, self.frame, spot.word), spot.offset, "i8")

    def place(self, buffer: Buffer) -> Reg:
        """Emit the address of a buffer."""
        if buffer.constant is not None:
            return self._constant(buffer)
        spot = self.spots.get(buffer)
        return self.room(self.layout.offsets[buffer]) if spot is None else self.spot(spot)

    def overlap(self, first: Buffer, second: Buffer) -> bool:
        """Whether two buffers may share memory."""
        if self.outer:
            return self.outer.overlap(first, second)
        return overlap(self.layout, self.spots, first, second)

    def address(self, view: View) -> Reg:
        """Emit the address of a view's first element."""
        return self.function.gep(self.place(view.buffer), view.offset * view.dtype.itemsize, "i8")

    def put(self, places: Sequence[View | Buffer], start: int = 0) -> Reg:
        """Write addresses to the arguments, from word `start` on; returns where that is.

        Long functions go through a table of them: to compile an instruction for each takes longer.
        """
        f = self.function
        target = f.gep(self.arguments, start, "ptr")
        spots = [self.spot_of(place) for place in places]
        by_table = f.plain and sum(spot is not None for spot in spots) >= LEAST_ROWS
        if by_table:
            rows = np.array([(spot.word, spot.offset) if spot else (IN_ARENA, 0)
                             for spot in spots], np.int64)
            self.put_rows(target, f.address(self.shared.data(rows.tobytes())), len(rows))
        for i, (place, spot) in enumerate(zip(places, spots)):
            if not (by_table and spot):
                address = self.address(place) if isinstance(place, View) else self.place(place)
                f.store(address, f.gep(target, i, "ptr"))
        return target

    def put_rows(self, target: Reg, rows: Reg, count: int) -> None:
        """Write the addresses of the places that so many rows of a table say."""
        f = self.function
        f.call(_table_reader(self.shared), "void", [
            target, rows, f.const("i64", count), self.frame, self.arena])

    def spot_of(self, place: View | Buffer) -> Spot | None:
        """Where a view or buffer begins; None for constants, which no frame points to."""
        view = whole(place) if isinstance(place, Buffer) else place
        if view.buffer.constant is not None:
            return None
        start = view.offset * view.dtype.itemsize
        spot = self.spots.get(view.buffer)
        if spot is None:
            return Spot(IN_ARENA, self.base + self.layout.offsets[view.buffer] + start)
        return Spot(spot.word, spot.offset + start)

    def dense(self, view: View) -> Reg:
        """The address of a view that has to be in row-major order."""
        assert view.strides == row_major(view.shape), f"a strided view where none can be: {view}"
        return self.address(view)

    def _constant(self, buffer: Buffer) -> Reg:
        """A constant is in the module if it is small, else behind a word of the context."""
        assert buffer.constant is not None
        if buffer.type.nbytes <= CONSTANT_BYTES:
            return self.function.address(self.shared.data(buffer.constant.tobytes()))
        constants = self.shared.constants
        if buffer not in constants:
            constants[buffer] = np.ascontiguousarray(buffer.constant)
        return word(self.function, self.context, 1 + list(constants).index(buffer))

    def copy_repeated(self, plan: Plan, outputs: Sequence[Spot]) -> None:
        """After the steps of the plan: an output listed again is copied to its other places."""
        for buffer, spot in zip(plan.outputs, outputs, strict=True):
            if self.spots[buffer] != spot and buffer.type.nbytes:
                copy(self.function, self.spot(spot), self.place(buffer), buffer.type.nbytes)


def overlap(layout: Layout, spots: Mapping[Buffer, Spot], first: Buffer, second: Buffer) -> bool:
    """Whether two buffers of a plan may share memory."""
    if first is second:
        return True
    if first.constant is not None or second.constant is not None:
        return False
    one, other = spots.get(first), spots.get(second)
    if (one is None) != (other is None):
        return False
    if one is not None and other is not None:
        if one.word != other.word:  # what a loop carries may be in one place for both
            return bool(layout.given)
        starts = [one.offset, other.offset]
    else:
        starts = [layout.offsets[buffer] for buffer in (first, second)]
    (low, end), (high, _) = sorted(
        (start, start + buffer.type.nbytes) for start, buffer in zip(starts, (first, second)))
    return high < end or low == high


def spots_of(plan: Plan, inputs: Sequence[Spot], outputs: Sequence[Spot]) -> dict[Buffer, Spot]:
    """Where a plan's inputs and outputs are; of an output listed twice, its first place."""
    spots = dict(zip(plan.inputs, inputs, strict=True))
    for buffer, spot in zip(plan.outputs, outputs, strict=True):
        spots.setdefault(buffer, spot)
    return spots


def _table_reader(shared: Shared) -> str:
    """The name of a function that writes as many addresses as a table has rows (word, offset)."""
    name = "put"
    if name not in shared.helpers:
        shared.helpers.add(name)
        f = Function(shared.module, name, [("ptr", "target"), ("ptr", "rows"), ("i64", "count"),
                                           ("ptr", "frame"), ("ptr", "arena")])
        target, rows, count, frame, arena = f.args
        own = f.alloca("ptr")
        f.store(arena, own)

        def put(index: Reg, _: list[Reg]) -> None:
            row = f.gep(rows, index + index, "i64")
            number, offset = f.load(row, "i64"), f.load(f.gep(row, 1, "i64"), "i64")
            base = f.select(number < 0, own, f.gep(frame, number, "ptr"))
            f.store(f.gep(f.load(base, "ptr"), offset, "i8"), f.gep(target, index, "ptr"))

        f.loop(0, count, 1, [], put)
        f.ret()
    return name


def word(function: Function, words: Reg, index: int) -> Reg:
    """A pointer out of an array of them."""
    return function.load(function.gep(words, index, "ptr"), "ptr")


def copy(function: Function, target: Reg, source: Reg, nbytes: int) -> None:
    """Copy memory that does not overlap."""
    function.call("llvm.memcpy.p0.p0.i64", "void", [
        target, source, function.const("i64", nbytes), function.const("i1", 0)])

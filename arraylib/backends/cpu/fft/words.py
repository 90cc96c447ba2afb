"""What the native code is told: stages, in sections, as numbers.

A program of a transform is a list of sections, each a list of stages. A stage does its `items` for
each of its `rows`. The items of a stage are independent of each other. A section is done stage by
stage, each by all threads, or row by row, a row by one thread with memory of its own.

The arrays that stages read and write lie in areas: operand, result, table, and scratch memory.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum, auto

from arraylib.record import field, record

SECTION_WORDS = 4
COUNTER_BYTES = 64
TURNS, MOST_AT_ONCE = 8, 64
# Areas: those after the table are in scratch memory. The last three belong to a thread where a
# section goes row by row.
OPERAND, RESULT, TABLE, WHOLE, HERE, THERE, FOLDED = range(7)
AREAS = NUMBERS = 7   # the areas are followed by the numbers of the program
HEAD_WORDS = 4 + 2 * AREAS


class Word(IntEnum):
    """Positions in the numbers of a stage."""

    KIND = 0          # a number of `KINDS`
    ROWS = auto()
    ITEMS = auto()
    FROM = auto()     # area, then bytes from its start to row 0, and from row to row, item to item
    FROM_OFFSET = auto()
    FROM_ROW = auto()
    FROM_ITEM = auto()
    FROM_STRIDE = auto()
    TO = auto()
    TO_OFFSET = auto()
    TO_ROW = auto()
    TO_ITEM = auto()
    TO_STRIDE = auto()
    LOAD = auto()     # numbers of functions, for lanes; for others whether it is real
    STORE = auto()
    SIZE = auto()     # elements that are read
    STORED = auto()   # elements that are written
    LANES = auto()    # columns or rows there are in all
    SWAP_IN = auto()
    SWAP_OUT = auto()
    SCALE = auto()    # the bits of a float64
    TABLE = auto()    # bytes from the start of the table, and from item to item
    TABLE_ITEM = auto()
    TURNS = auto()    # the same of a second table
    TURNS_ITEM = auto()
    CORE = auto()     # where the calls of cores begin, and how many there are
    CORES = auto()
    FIRST_READS = auto()  # whether the first core can read the array, the last write it
    LAST_WRITES = auto()
    FROM_AHEAD = auto()   # bytes to what is read next, and to what is written next
    TO_AHEAD = auto()
    BUFFER = auto()   # bytes of the first of the two buffers of a thread
    GRAIN = auto()    # items that a thread takes at once


class Kind(IntEnum):
    """What a stage does."""

    LANES = 0         # transforms side by side
    COPY = auto()     # elements of a row, zeros after them
    MULTIPLY = auto()  # these times a table
    UNFOLD = auto()   # half a transform of real numbers, of that of half as many complex ones
    FOLD = auto()     # the other way round
    MIRROR = auto()   # the second half of a transform of real numbers


@record
class Place:
    """Where a stage reads or writes."""

    area: int
    row: int = 0
    item: int = 0
    stride: int = 0
    offset: int = 0
    ahead: int = 0   # to what is next

    @property
    def numbers(self) -> tuple[int, ...]:
        return self.area, self.offset, self.row, self.item, self.stride


@record
class Stage:
    """One stage; `cores` are calls of core functions: number, bytes of the table, two numbers."""

    kind: Kind
    rows: int
    items: int
    source: Place
    target: Place
    size: int
    stored: int
    load: int = 0
    store: int = 0
    lanes: int = 0
    swap_in: bool = False
    swap_out: bool = False
    scale: float = 1.0
    table: int = 0
    table_item: int = 0
    turns: int = 0
    turns_item: int = 0
    cores: tuple[tuple[int, int, int, int], ...] = ()
    first_reads: bool = False
    last_writes: bool = False
    buffer: int = 0

    def numbers(self, core: int, threads: int) -> list[int]:
        """Its words, if its calls of cores begin at a word."""
        grain = grain_of(self.rows * self.items, threads)
        (scale,) = struct.unpack("<q", struct.pack("<d", self.scale))
        return [self.kind, self.rows, self.items, *self.source.numbers, *self.target.numbers,
                self.load, self.store, self.size, self.stored, self.lanes, self.swap_in,
                self.swap_out, scale, self.table, self.table_item,
                self.turns, self.turns_item, core, len(self.cores),
                self.first_reads, self.last_writes, self.source.ahead,
                self.target.ahead, self.buffer, grain]


def grain_of(count: int, threads: int) -> int:
    """How many of so many pieces of work a thread takes at once."""
    return max(1, min(MOST_AT_ONCE, count // (TURNS * threads)))


@record
class Section:
    """Stages for `rows` rows one by one; for 0, stage by stage."""

    stages: Sequence[Stage]
    rows: int = 0


@record
class Program:
    """Sections, threads to do them, and the scratch memory: shared, then each thread's own."""

    sections: Sequence[Section]
    threads: int
    shared: dict[int, int] = field(default_factory=dict)   # area -> offset
    own: dict[int, int] = field(default_factory=dict)      # area -> offset in a thread's memory
    shared_bytes: int = 0
    own_bytes: int = 0

    @property
    def scratch(self) -> int:
        """Bytes of scratch memory; the first line is a counter."""
        return COUNTER_BYTES + self.shared_bytes + self.threads * self.own_bytes

    def numbers(self) -> tuple[int, ...]:
        """All of it: a head, the sections, their stages, the calls of cores."""
        stages = [stage for section in self.sections for stage in section.stages]
        first = HEAD_WORDS + SECTION_WORDS * len(self.sections)
        core = first + len(Word) * len(stages)
        head = [len(self.sections), self.threads, COUNTER_BYTES + self.shared_bytes,
                self.own_bytes]
        head += [COUNTER_BYTES + self.shared.get(area, 0) for area in range(AREAS)]
        head += [self.own.get(area, 0) for area in range(AREAS)]
        sections: list[int] = []
        words: list[int] = []
        calls: list[int] = []
        for section in self.sections:
            sections += [section.rows, len(section.stages), first + len(words),
                         grain_of(section.rows, self.threads)]
            for stage in section.stages:
                words += stage.numbers(core + len(calls), self.threads)
                calls += [number for call in stage.cores for number in call]
        return tuple(map(int, [*head, *sections, *words, *calls]))

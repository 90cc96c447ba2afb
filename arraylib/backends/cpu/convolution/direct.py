"""Convolutions that read their array from packed lines, and the plan that the native code follows.

What is summed up is a tile of results from registers: factors of the array, one after another, each
with a row of the packed kernel. Blocks of lines are packed first, with the zeros round the array,
64 bytes of its innermost axis, the *side*, at each place; then every tap or window reads them from
an offset of its own (see `lines.py`). There are two kinds:

- *windows*: windows move; the rows of a tile are neighbouring windows, and sums go over the taps
  and the side, which are the features. All of the kernel is packed first, by all threads.
- *taps*: taps move, as in a kernel's gradient; the rows of a tile are neighbours on the side, and
  sums go along the lines. The other operand is packed block by block. Long sums are taken in parts,
  whose number depends on the shapes alone, and which are then added up in order.

Of the four axes (three of space, and the one that is the batch or the features), the last is the
line, the last but one counts lines, and the turns of the first two are *segments*.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from enum import IntEnum, auto
from typing import Any

import numpy as np

from arraylib.backends.cpu import gemm, target
from arraylib.backends.cpu.convolution.lines import Axis, Planes, planes
from arraylib.backends.cpu.gemm.kernels import TABLE_WORDS
from arraylib.backends.cpu.gemm.packing import way_of
from arraylib.backends.cpu.gemm.tile import Tile, tile_for

PREFIX = "arraylib_convolution."
ENTRY = "direct"
PLACE_BYTES = 64             # of a packed place: a line of the caches
UNROLL = 4                   # steps along the side
_BLOCK_BYTES = 192 << 10     # of packed lines: a part of the second cache
_INNER_BYTES = 24 << 10      # of the packed kernel that is used again and again: of the first
_LONGEST_TABLE = 4096
_MOST_BYTES = 2 << 20        # of a segment, if it is a single line
_FEW_ROWS = 4                # of a tile: too few for its factors to be worth loading
_TASKS_PER_THREAD = 4


def symbol(dtype: str, kind: str = ENTRY) -> str:
    """The name of a function; the entry is `void (ptr descriptor, ptr scratch)`."""
    return f"{PREFIX}{dtype}.{kind}"


class Word(IntEnum):
    """Positions in the descriptor; tables of any length follow."""

    X = 0
    W = auto()
    C = auto()
    PACK_X = auto()
    PACK_W = auto()
    FINISH = auto()
    COLUMNS = auto()        # of C and W
    W_COLUMN = auto()       # strides
    W_SIDE = auto()
    C_SIDE = auto()
    X_GROUP = auto()        # strides between groups
    W_GROUP = auto()
    C_GROUP = auto()
    GROUPS = auto()
    SIDE = auto()           # its size, the blocks it is divided into, and their size: some first
    SIDE_BLOCKS = auto()    # ones have one more
    SIDE_SHORT = auto()
    SIDE_LONGER = auto()
    STEPS = auto()          # of a chunk of a sum: room along the side, or the length of a line
    CHUNKS = auto()         # of a sum, each with an offset
    CHUNKS_AT_ONCE = auto()
    PANEL_STEPS = auto()    # of a panel of the packed kernel: packing may write some more
    SEGMENTS = auto()       # turns of the first two axes
    SEGMENTS_AT_ONCE = auto()
    LINES = auto()          # of a segment
    LINES_AT_ONCE = auto()
    BLOCKS = auto()         # of segments times blocks of lines
    LINE_BLOCKS = auto()
    LINE_BYTES = auto()     # of a packed line with all its planes, a block of the side
    SIDE_BYTES = auto()
    SEGMENT_BYTES = auto()
    ROW_PANELS = auto()     # of a line of windows, or of the side
    ROWS_SHORT = auto()
    ROWS_LONGER = auto()
    COLUMN_PARTS = auto()
    TASKS = auto()
    TASKS_AT_ONCE = auto()
    TASK_GROUPS = auto()
    TASK_BYTES = auto()     # of a task's own scratch, after that of all
    SHARED_BYTES = auto()
    OFFSETS = auto()        # tables: where in the descriptor they are
    W_OFFSETS = auto()
    LINE_PLANES = auto()    # how many, then three numbers for each
    PLACE_PLANES = auto()
    MOVING = 48             # of the axes, four numbers each
    CHOSEN = 52
    STEP = 56
    DILATION = 60
    LOW = 64
    SIZE = 68
    STRIDE = 72
    OF_MOVING = 76
    OF_CHOSEN = 80
    KERNELS = 84            # a table
    COUNT = 84 + TABLE_WORDS


@dataclass(frozen=True)
class Direct:
    """A convolution; see the module's docstring.

    `side` is the size of the innermost axis of the array, whose places are neighbours in memory,
    and `side_stride` its stride in the kernel (windows) or the result (taps). `group` is the number
    of groups and the strides between them in the array, the kernel and the result.
    """

    axes: tuple[Axis, Axis, Axis, Axis]
    side: int
    side_stride: int
    columns: int
    w_column: int
    group: tuple[int, int, int, int]
    dtype: str

    @classmethod
    def of(cls, other: Axis, space: tuple[Axis, Axis, Axis], *rest: Any) -> Direct:
        """With the axes in an order in which lines fill tiles: the last of space innermost, or else
        the other one."""
        if _rows_of(other.moving) > 1.3 * _rows_of(space[-1].moving):
            return cls((*space, other), *rest)
        return cls((other, *space), *rest)

    @property
    def is_worth_it(self) -> bool:
        """Whether tiles are not too low, packed lines not too long, and chunks not too many."""
        plan = plan_of(self, 1).numbers
        return (_rows_of(self.axes[3].moving) >= _FEW_ROWS
                and plan[Word.SEGMENT_BYTES] <= _MOST_BYTES
                and plan[Word.CHUNKS] <= _LONGEST_TABLE)

    @property
    def symbol(self) -> str:
        """The library's function."""
        return symbol(self.dtype)

    @property
    def work(self) -> int:
        """Multiplications."""
        return self.group[0] * self.columns * self.side * math.prod(
            axis.moving * axis.chosen for axis in self.axes)

    def words(self, threads: int) -> np.ndarray:
        """The descriptor, with the pointers still zero."""
        words = np.zeros(Word.COUNT, np.int64)
        plan = plan_of(self, threads)
        for word, value in plan.numbers.items():
            words[word] = value
        parts, length = [words], int(Word.COUNT)
        for word, table in plan.tables.items():
            words[word] = length
            parts.append(np.asarray(table, np.int64))
            length += len(table)
        for i, axis in enumerate(self.axes):
            for word, value in zip(_OF_AXES, (
                    axis.moving, axis.chosen, axis.step, axis.dilation, axis.low, axis.size,
                    axis.stride, axis.of_moving, axis.of_chosen), strict=True):
                words[word + i] = value
        return np.concatenate(parts)

    def scratch_bytes(self, threads: int) -> int:
        """Bytes of scratch memory that a call with `words(threads)` needs."""
        numbers = plan_of(self, threads).numbers
        return (numbers[Word.SHARED_BYTES]
                + numbers[Word.TASK_GROUPS] * numbers[Word.TASK_BYTES])

    def functions(self) -> dict[int, str]:
        """The functions that the descriptor must point to: positions in it, and names."""
        tile = tile_for(self.dtype, target.current())
        length, panels = self.axes[3].moving, -(-self.axes[3].moving // tile.rows)
        narrow = 0 < self.columns % tile.columns <= tile.lanes
        widths = ([tile.vectors] if self.columns >= tile.columns or not narrow else []) \
            + [1] * narrow
        return {Word.KERNELS + 2 * rows + (vectors == 1):
                symbol(self.dtype, f"kernel.windows.{rows}.{vectors}")
                for rows in {length // panels, -(-length // panels)} for vectors in widths} | {
            Word.PACK_X: symbol(self.dtype, "pack_lines"),
            Word.PACK_W: gemm.symbol(self.dtype, "pack_b."
                                     + way_of(self.w_column, self.side_stride)),
            Word.FINISH: gemm.symbol(self.dtype, "finish.together")}


_OF_AXES = (Word.MOVING, Word.CHOSEN, Word.STEP, Word.DILATION, Word.LOW, Word.SIZE, Word.STRIDE,
            Word.OF_MOVING, Word.OF_CHOSEN)


@dataclass(frozen=True)
class Plan:
    """The numbers and tables of a descriptor."""

    numbers: dict[Word, int]
    tables: dict[Word, list[int]]


@functools.lru_cache(maxsize=64)
def plan_of(c: Direct, threads: int) -> Plan:
    """How a convolution is divided; every decision about order is made here."""
    tile = tile_for(c.dtype, target.current())
    side = _side(c, tile)
    at_once = _at_once(c, tile, side, threads)
    packed = _packed(c, side, at_once)
    numbers = {
        Word.COLUMNS: c.columns, Word.W_COLUMN: c.w_column, Word.W_SIDE: c.side_stride,
        Word.GROUPS: c.group[0], Word.X_GROUP: c.group[1], Word.W_GROUP: c.group[2],
        Word.C_GROUP: c.group[3], Word.SIDE: c.side}
    numbers |= side | at_once | packed
    numbers |= _balanced(c.axes[3].moving, tile.rows, Word.ROW_PANELS)
    numbers |= _tasks(c, tile, numbers, threads)
    return Plan(numbers, _tables(c, numbers))


def _rows_of(length: int) -> float:
    """Rows of the tiles that so many are balanced over."""
    return length / -(-length // 13)


def _balanced(length: int, most: int, first: Word) -> dict[Word, int]:
    """Blocks of about equal length: how many, the shorter length, how many are longer by one."""
    count = -(-length // most)
    return {first: count, Word(first + 1): length // count, Word(first + 2): length % count}


def _side(c: Direct, tile: Tile) -> dict[Word, int]:
    """Blocks of the side, and the steps that each takes in a sum."""
    found = _balanced(c.side, PLACE_BYTES // tile.word_bytes, Word.SIDE_BLOCKS)
    longest = found[Word.SIDE_SHORT] + (found[Word.SIDE_LONGER] > 0)
    chunks = found[Word.SIDE_BLOCKS] * math.prod(axis.chosen for axis in c.axes)
    steps = -(-longest // UNROLL) * UNROLL
    inner = max(1, _INNER_BYTES // (steps * tile.columns * tile.word_bytes))
    # What is rounded to C's type is so once only.
    once = chunks if tile.converts else -(-chunks // -(-chunks // inner))
    return found | {Word.STEPS: steps, Word.CHUNKS: chunks, Word.CHUNKS_AT_ONCE: once}


def _at_once(c: Direct, tile: Tile, side: dict[Word, int], threads: int) -> dict[Word, int]:
    """Blocks of lines: all those of some segments, or some of one."""
    segments, lines = c.axes[0].moving * c.axes[1].moving, c.axes[2].moving
    most = max(1, segments * lines // (_TASKS_PER_THREAD * threads)) if threads > 1 else lines

    def room(count: int) -> int:
        return _packed(c, side, {Word.LINES_AT_ONCE: count})[Word.SEGMENT_BYTES]

    if lines <= most and room(lines) <= _BLOCK_BYTES:
        at_once = max(1, min(_BLOCK_BYTES // room(lines), most // lines, segments))
        return {Word.SEGMENTS: segments, Word.SEGMENTS_AT_ONCE: at_once, Word.LINES: lines,
                Word.LINES_AT_ONCE: lines, Word.LINE_BLOCKS: 1,
                Word.BLOCKS: -(-segments // at_once)}
    count = min(lines, most)
    while count > 1 and room(count) > _BLOCK_BYTES:
        count -= 1
    blocks = -(-lines // count)
    return {Word.SEGMENTS: segments, Word.SEGMENTS_AT_ONCE: 1, Word.LINES: lines,
            Word.LINES_AT_ONCE: -(-lines // blocks), Word.LINE_BLOCKS: blocks,
            Word.BLOCKS: segments * blocks}


def _packed(c: Direct, side: dict[Word, int], at_once: dict[Word, int]) -> dict[Word, int]:
    """Sizes of packed lines."""
    lines, places = _planes(c, at_once)
    line = places.length * PLACE_BYTES
    block = c.axes[0].chosen * c.axes[1].chosen * lines.length * line
    return {Word.LINE_BYTES: line, Word.SIDE_BYTES: block,
            Word.SEGMENT_BYTES: side[Word.SIDE_BLOCKS] * block}


def _planes(c: Direct, at_once: dict[Word, int]) -> tuple[Planes, Planes]:
    """Those that lines are in, and those of each line."""
    return planes(c.axes[2], at_once[Word.LINES_AT_ONCE]), planes(c.axes[3], c.axes[3].moving)


def _tasks(c: Direct, tile: Tile, plan: dict[Word, int], threads: int) -> dict[Word, int]:
    """A task is a block of lines times a range of columns, of one group."""
    panels = -(-c.columns // tile.columns)
    blocks = c.group[0] * plan[Word.BLOCKS]
    wanted = 1 if threads == 1 else _TASKS_PER_THREAD * threads
    parts = min(panels, -(-wanted // blocks))
    tasks = blocks * parts
    at_once = -(-tasks // wanted)
    steps = plan[Word.CHUNKS] * plan[Word.STEPS] + tile.lanes
    return {Word.PANEL_STEPS: steps, Word.COLUMN_PARTS: parts, Word.TASKS: tasks,
            Word.TASKS_AT_ONCE: at_once, Word.TASK_GROUPS: -(-tasks // at_once),
            Word.TASK_BYTES: plan[Word.SEGMENTS_AT_ONCE] * plan[Word.SEGMENT_BYTES],
            Word.SHARED_BYTES: c.group[0] * panels * steps * tile.columns * tile.word_bytes}


def _tables(c: Direct, plan: dict[Word, int]) -> dict[Word, list[int]]:
    """Offsets of the chunks of a sum in packed lines (in bytes) and in the kernel; planes."""
    lines, places = _planes(c, plan)
    x, w = [], []
    for block in range(plan[Word.SIDE_BLOCKS]):
        side = block * plan[Word.SIDE_SHORT] + min(block, plan[Word.SIDE_LONGER])
        for at in itertools.product(*(range(axis.chosen) for axis in c.axes)):
            line = (at[0] * c.axes[1].chosen + at[1]) * lines.length + lines.starts[at[2]]
            x.append(block * plan[Word.SIDE_BYTES] + line * plan[Word.LINE_BYTES]
                     + places.starts[at[3]] * PLACE_BYTES)
            w.append(side * c.side_stride
                     + sum(i * axis.of_chosen for i, axis in zip(at, c.axes, strict=True)))
    return {Word.OFFSETS: x, Word.W_OFFSETS: w, Word.LINE_PLANES: _listed(lines),
            Word.PLACE_PLANES: _listed(places)}


def _listed(planes: Planes) -> list[int]:
    return [len(planes.planes), *itertools.chain.from_iterable(
        (plane.first, plane.start, plane.length) for plane in planes.planes)]

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
from collections.abc import Callable
from enum import IntEnum, auto, unique
from typing import Any

import numpy as np

from arraylib.backends.cpu import gemm, target
from arraylib.backends.cpu.convolution.lines import Axis, Planes, planes
from arraylib.backends.cpu.gemm.kernels import TABLE_WORDS
from arraylib.backends.cpu.gemm.packing import way_of
from arraylib.backends.cpu.gemm.tile import Tile, tile_for
from arraylib.record import record

PREFIX = "arraylib_convolution."
WINDOWS, TAPS = "packed_windows", "packed_taps"   # kinds, and the names of entries
PLACE_BYTES = 64             # of a packed place: a line of the caches
UNROLL = 4                   # steps along the side
_BLOCK_BYTES = 192 << 10     # of packed lines: a part of the second cache
_INNER_BYTES = 24 << 10      # of the packed kernel that is used again and again: of the first
_LONGEST_TABLE = 4096
_MOST_BYTES = 2 << 20        # of a segment, if it is a single line
_FEW_ROWS = 4                # of a tile: too few for its factors to be worth loading
_TASKS_PER_THREAD = 8
_LONG_LINE = 32              # of steps
_SUM_STEPS = 400             # of a block, about
_PARTS, _PARTIAL_BYTES = 8, 256 << 10   # of long sums, if a part's results take no more
_OTHER_BYTES = 256 << 10     # of the other operand in a task's scratch


def symbol(dtype: str, kind: str) -> str:
    """The name of a function; the entry is `void (ptr descriptor, ptr scratch)`."""
    return f"{PREFIX}{dtype}.{kind}"


@unique
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
    ROW_PANELS = auto()     # of a line of windows
    ROWS_SHORT = auto()
    ROWS_LONGER = auto()
    PARTS = auto()          # of the kernel, as it is packed; of long sums
    PART_WORDS = auto()     # of the results of a part
    PARTIAL = auto()        # whether results of parts are kept apart and added up later
    PANEL_PARTS = auto()    # of tasks
    COLUMN_PARTS = auto()
    TASKS = auto()
    TASKS_AT_ONCE = auto()
    TASK_GROUPS = auto()
    TASK_BYTES = auto()     # of a task's own scratch, after that of all
    SHARED_BYTES = auto()
    W_BYTES = auto()        # where in a task's scratch the other operand is packed
    OFFSETS = auto()        # tables: where in the descriptor they are
    W_OFFSETS = auto()
    LINE_STARTS = auto()
    PLACE_STARTS = auto()
    LINE_PLANES = auto()    # how many, then three numbers for each
    PLACE_PLANES = auto()
    MOVING = 56             # of the axes, four numbers each
    CHOSEN = 60
    STEP = 64
    DILATION = 68
    LOW = 72
    SIZE = 76
    STRIDE = 80
    OF_MOVING = 84
    OF_CHOSEN = 88
    TARGET = 92             # strides of choices in the results of a part, or C; and of the side
    TARGET_SIDE = 96
    KERNELS = 97            # a table
    COUNT = 97 + TABLE_WORDS


@record
class Direct:
    """A convolution; see the module's docstring.

    `side` is the size of the innermost axis of the array, whose places are neighbours in memory,
    and `side_stride` its stride in the kernel (windows) or the result (taps). `group` is the number
    of groups and the strides between them in the array, the kernel and the result.
    """

    kind: str
    axes: tuple[Axis, Axis, Axis, Axis]
    side: int
    side_stride: int
    columns: int
    w_column: int
    group: tuple[int, int, int, int]
    dtype: str

    @classmethod
    def of(cls, kind: str, other: Axis, space: tuple[Axis, Axis, Axis], *rest: Any) -> Direct:
        """With the axes in an order in which lines are long: the last of space innermost, or else
        the other one."""
        filled = _rows_of if kind == WINDOWS else _steps_of
        if filled(other.moving) > 1.3 * filled(space[-1].moving):
            return cls(kind, (*space, other), *rest)
        return cls(kind, (other, *space), *rest)

    @property
    def is_worth_it(self) -> bool:
        """Whether tiles are not too low, packed lines not too long, and chunks not too many."""
        rows = _rows_of(self.axes[3].moving if self.kind == WINDOWS else self.side)
        if rows < _FEW_ROWS or self.axes[3].moving < _FEW_ROWS:
            return False
        # A plan has tables of all chunks: none is made of what is too long for one.
        tile = tile_for(self.dtype, target.current())
        if self.kind == WINDOWS and _side(self, tile)[Word.CHUNKS] > _LONGEST_TABLE:
            return False
        plan = plan_of(self, 1).numbers
        return (plan[Word.SEGMENT_BYTES] <= _MOST_BYTES
                and plan[Word.CHUNKS] <= _LONGEST_TABLE)

    @property
    def symbol(self) -> str:
        """The library's function."""
        return symbol(self.dtype, self.kind)

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
        tile, plan = tile_for(self.dtype, target.current()), plan_of(self, 1).numbers
        first = Word.ROW_PANELS if self.kind == WINDOWS else Word.SIDE_BLOCKS
        panels, short, longer = (plan[Word(first + i)] for i in range(3))
        heights = {short} if longer < panels else set()
        heights |= {short + 1} if longer else set()
        narrow = 0 < self.columns % tile.columns <= tile.lanes
        widths = {tile.vectors} if self.columns >= tile.columns or not narrow else set()
        widths |= {1} if narrow else set()
        along = self.side_stride if self.kind == WINDOWS else self.axes[3].of_moving
        pieces: dict[int, str] = {
            Word.PACK_X: symbol(self.dtype, "pack_lines"),
            Word.PACK_W: gemm.symbol(self.dtype, f"pack_b.{way_of(self.w_column, along)}"),
            Word.FINISH: gemm.symbol(self.dtype, "finish.together")}
        return {**pieces, **{
            Word.KERNELS + 2 * rows + (vectors == 1):
            symbol(self.dtype, f"kernel.{self.kind}.{rows}.{vectors}")
            for rows in heights for vectors in widths}}


_OF_AXES = (Word.MOVING, Word.CHOSEN, Word.STEP, Word.DILATION, Word.LOW, Word.SIZE, Word.STRIDE,
            Word.OF_MOVING, Word.OF_CHOSEN)


@record
class Plan:
    """The numbers and tables of a descriptor."""

    numbers: dict[int, int]
    tables: dict[Word, list[int]]


@functools.lru_cache(maxsize=64)
def plan_of(c: Direct, threads: int) -> Plan:
    """How a convolution is divided; every decision about order is made here."""
    tile = tile_for(c.dtype, target.current())
    numbers: dict[int, int] = {
        Word.COLUMNS: c.columns, Word.W_COLUMN: c.w_column, Word.GROUPS: c.group[0],
        Word.X_GROUP: c.group[1], Word.W_GROUP: c.group[2], Word.C_GROUP: c.group[3],
        Word.SIDE: c.side}
    return (_windows if c.kind == WINDOWS else _taps)(c, tile, threads, numbers)


def _rows_of(length: int) -> float:
    """Rows of the tiles that so many are balanced over."""
    return length / -(-length // 13)


def _steps_of(length: int) -> float:
    """How well a line of so many steps fills its loop: less if some are left over."""
    return min(length, _LONG_LINE) - length % UNROLL / 2


def _balanced(length: int, most: int, first: Word) -> dict[int, int]:
    """Blocks of about equal length: how many, the shorter length, how many are longer by one."""
    count = -(-length // most)
    return {first: count, Word(first + 1): length // count, Word(first + 2): length % count}


def _blocks(c: Direct, side_blocks: int, most: int,
            fits: Callable[[dict[int, int], int], bool]) -> dict[int, int]:
    """Blocks of at most so many lines: all those of some segments, or some of one; as many as fit,
    which is asked with the sizes of packed lines, and a number of segments."""
    segments, lines = c.axes[0].moving * c.axes[1].moving, c.axes[2].moving
    found = {Word.SEGMENTS: segments, Word.LINES: lines}
    all_lines = _packed(c, side_blocks, lines)
    if lines <= most and fits(all_lines, 1):
        at_once = 1
        while at_once < min(segments, most // lines) and fits(all_lines, at_once + 1):
            at_once += 1
        return found | all_lines | {
            Word.SEGMENTS_AT_ONCE: at_once, Word.LINES_AT_ONCE: lines, Word.LINE_BLOCKS: 1,
            Word.BLOCKS: -(-segments // at_once)}
    count = min(lines, most)
    while count > 1 and not fits(_packed(c, side_blocks, count), 1):
        count -= 1
    blocks = -(-lines // count)
    at_once = -(-lines // blocks)
    return found | _packed(c, side_blocks, at_once) | {
        Word.SEGMENTS_AT_ONCE: 1, Word.LINES_AT_ONCE: at_once, Word.LINE_BLOCKS: blocks,
        Word.BLOCKS: segments * blocks}


def _packed(c: Direct, side_blocks: int, lines_at_once: int) -> dict[int, int]:
    """Sizes of packed lines, so many of a segment."""
    lines, places = _planes(c, lines_at_once)
    line = places.length * PLACE_BYTES
    block = c.axes[0].chosen * c.axes[1].chosen * lines.length * line
    return {Word.LINE_BYTES: line, Word.SIDE_BYTES: block,
            Word.SEGMENT_BYTES: side_blocks * block}


def _planes(c: Direct, lines_at_once: int) -> tuple[Planes, Planes]:
    """Those that lines are in, and those of each line."""
    return planes(c.axes[2], lines_at_once), planes(c.axes[3], c.axes[3].moving)


def _shared_out(tasks: int, threads: int) -> dict[int, int]:
    """Tasks in groups, which have a piece of scratch each."""
    at_once = -(-tasks // _wanted(threads))
    return {Word.TASKS: tasks, Word.TASKS_AT_ONCE: at_once, Word.TASK_GROUPS: -(-tasks // at_once)}


def _wanted(threads: int) -> int:
    """How many tasks keep all threads busy to the end."""
    return 1 if threads == 1 else _TASKS_PER_THREAD * threads


# -- windows --------------------------------------------------------------------------------------


def _windows(c: Direct, tile: Tile, threads: int, plan: dict[int, int]) -> Plan:
    """A task is a block of lines times a range of columns, of one group."""
    plan |= _side(c, tile)
    lines = c.axes[0].moving * c.axes[1].moving * c.axes[2].moving
    plan |= _blocks(c, plan[Word.SIDE_BLOCKS], max(1, lines // _wanted(threads)),
                    lambda sizes, count: count * sizes[Word.SEGMENT_BYTES] <= _BLOCK_BYTES)
    plan |= _balanced(c.axes[3].moving, tile.rows, Word.ROW_PANELS)
    panels = -(-c.columns // tile.columns)
    blocks = c.group[0] * plan[Word.BLOCKS]
    parts = min(panels, -(-_wanted(threads) // blocks))
    steps = plan[Word.CHUNKS] * plan[Word.STEPS] + tile.lanes
    plan |= _shared_out(blocks * parts, threads)
    # Squares that are transposed may go beyond a shorter chunk, into the next one.
    apart = plan[Word.STEPS] % tile.lanes == 0
    plan |= {Word.PARTS: min(plan[Word.CHUNKS], _wanted(threads)) if apart else 1,
             Word.COLUMN_PARTS: parts, Word.PANEL_STEPS: steps, Word.W_SIDE: c.side_stride,
             Word.TASK_BYTES: plan[Word.SEGMENTS_AT_ONCE] * plan[Word.SEGMENT_BYTES],
             Word.SHARED_BYTES: c.group[0] * panels * steps * tile.columns * tile.word_bytes}
    return Plan(plan, _chunks(c, plan))


def _side(c: Direct, tile: Tile) -> dict[int, int]:
    """Blocks of the side, and the steps that each takes in a sum."""
    found = _balanced(c.side, PLACE_BYTES // tile.word_bytes, Word.SIDE_BLOCKS)
    longest = found[Word.SIDE_SHORT] + (found[Word.SIDE_LONGER] > 0)
    chunks = found[Word.SIDE_BLOCKS] * math.prod(axis.chosen for axis in c.axes)
    steps = -(-longest // UNROLL) * UNROLL
    inner = max(1, _INNER_BYTES // (steps * tile.columns * tile.word_bytes))
    return found | {Word.STEPS: steps, Word.CHUNKS: chunks,
                    Word.CHUNKS_AT_ONCE: -(-chunks // -(-chunks // inner))}


def _chunks(c: Direct, plan: dict[int, int]) -> dict[Word, list[int]]:
    """Offsets of the chunks of a sum in packed lines (in bytes) and in the kernel; planes."""
    lines, places = _planes(c, plan[Word.LINES_AT_ONCE])
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


# -- taps -----------------------------------------------------------------------------------------


def _taps(c: Direct, tile: Tile, threads: int, plan: dict[int, int]) -> Plan:
    """A task is a part of the sums times ranges of the side and of columns, of one group.

    Blocks and parts are the same for any number of threads, as they make the order of sums.
    """
    length, wide = c.axes[3].moving, -(-c.columns // tile.columns)
    plan |= _balanced(c.side, min(tile.rows, PLACE_BYTES // tile.word_bytes), Word.SIDE_BLOCKS)
    plan |= _blocks(c, 1, max(1, _SUM_STEPS // length),
                    lambda sizes, count: count * sizes[Word.SEGMENT_BYTES] <= _BLOCK_BYTES)
    choices = math.prod(axis.chosen for axis in c.axes)
    words = choices * c.side * wide * tile.columns
    few = words * tile.word_bytes <= _PARTIAL_BYTES
    parts = max(1, min(_PARTS, plan[Word.BLOCKS] // 2)) if few else 1
    chunks = plan[Word.SEGMENTS_AT_ONCE] * plan[Word.LINES_AT_ONCE]
    steps = chunks * length + tile.lanes
    panel_bytes = steps * tile.columns * tile.word_bytes
    panel_parts = min(plan[Word.SIDE_BLOCKS], -(-_wanted(threads) // (c.group[0] * parts)))
    column_parts = min(wide, max(
        -(-wide * panel_bytes // _OTHER_BYTES),
        -(-_wanted(threads) // (c.group[0] * parts * panel_parts))))
    plan |= _shared_out(c.group[0] * parts * panel_parts * column_parts, threads)
    partial = parts > 1
    lines = plan[Word.SEGMENTS_AT_ONCE] * plan[Word.SEGMENT_BYTES]
    plan |= {
        Word.STEPS: length, Word.CHUNKS: chunks, Word.PANEL_STEPS: steps, Word.PARTS: parts,
        Word.PARTIAL: partial, Word.PART_WORDS: words, Word.PANEL_PARTS: panel_parts,
        Word.COLUMN_PARTS: column_parts, Word.W_BYTES: lines, Word.C_SIDE: c.side_stride,
        Word.TASK_BYTES: lines + -(-wide // column_parts) * panel_bytes,
        Word.SHARED_BYTES: partial * c.group[0] * parts * words * tile.word_bytes}
    return Plan(plan | _target(c, partial, wide * tile.columns), _starts(c, plan))


def _target(c: Direct, partial: bool, row: int) -> dict[int, int]:
    """Strides of what kernels write to: choices, side and columns side by side, or C."""
    if not partial:
        steps = [axis.of_chosen for axis in c.axes]
        return {Word.TARGET_SIDE: c.side_stride} | {
            Word.TARGET + i: step for i, step in enumerate(steps)}
    found: dict[int, int] = {Word.TARGET_SIDE: row}
    step = row * c.side
    for i in reversed(range(4)):
        found[Word.TARGET + i] = step
        step *= c.axes[i].chosen
    return found


def _starts(c: Direct, plan: dict[int, int]) -> dict[Word, list[int]]:
    """Offsets, in bytes, of the lines of a block, and of choices."""
    lines, places = _planes(c, plan[Word.LINES_AT_ONCE])
    return {
        Word.OFFSETS: [i * plan[Word.SEGMENT_BYTES] + j * plan[Word.LINE_BYTES]
                       for i in range(plan[Word.SEGMENTS_AT_ONCE])
                       for j in range(plan[Word.LINES_AT_ONCE])],
        Word.LINE_STARTS: [start * plan[Word.LINE_BYTES] for start in lines.starts],
        Word.PLACE_STARTS: [start * PLACE_BYTES for start in places.starts],
        Word.LINE_PLANES: _listed(lines), Word.PLACE_PLANES: _listed(places)}


def _listed(found: Planes) -> list[int]:
    return [len(found.planes), *itertools.chain.from_iterable(
        (plane.first, plane.start, plane.length) for plane in found.planes)]

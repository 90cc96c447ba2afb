"""What a convolution is asked for, and the plan that the native code follows.

    C[i, o] = sum over k of X[i, k] * W[k, o]

i and k are four axes each, innermost last, and o is one. Element (i, k) of X lies at the sum of
index times stride. Three pairs of axes, one of i and one of k, move together along an axis of the
array: at `i * step + k * dilation - low`, which outside 0..size is a zero that is not read. The
pairs are given by what is innermost:

- *windows*: i = (batch, window, window, window), k = (tap, tap, tap, feature); features are
  neighbours in memory. A panel of X is made of transposed squares of them.
- *channels*: i = (window, window, window, batch), k = (feature, tap, tap, tap), with few windows
  and many taps: a kernel's gradient. What is called batch there lies side by side in memory.

The last axis of k is its *run*. Blocks of k are whole runs, or a part of one. Every decision about
order and division of work is made here; none of them changes the order of a sum.
"""

from __future__ import annotations

import math
from enum import IntEnum, auto

import numpy as np

from arraylib.backends.cpu import gemm, target
from arraylib.backends.cpu.gemm import table_of
from arraylib.backends.cpu.gemm.kernels import TABLE_WORDS
from arraylib.backends.cpu.gemm.packing import way_of
from arraylib.backends.cpu.gemm.tile import Tile, tile_for
from arraylib.record import record

_BLOCK_K_BYTES = 2048        # of one column of W: a panel of it stays in the caches near the core
_WHOLE_BYTES = 4 << 20       # W is packed once for all rows if that takes no more
_CHUNK_FLOPS = 2_000_000     # some ten microseconds
_CHUNKS_PER_THREAD = 2
PANELS_AT_ONCE = 8           # of X: a part of the second cache


PREFIX = "arraylib_convolution."
ENTRY = "entry"


def symbol(dtype: str, kind: str = ENTRY) -> str:
    """The name of a function; the entry is `void (ptr descriptor, ptr scratch)`."""
    return f"{PREFIX}{dtype}.{kind}"


class Word(IntEnum):
    """Positions in the descriptor."""

    X = 0
    W = auto()
    C = auto()
    CHANNELS = auto()      # whether batch is innermost, else features
    COLUMNS = auto()       # o
    W_COL = auto()
    C_ROW = auto()         # from row to row of a line
    LINE = auto()          # rows that are C_ROW apart
    LINE_PANELS = auto()
    LINES = auto()
    RUN_STEPS = auto()     # of a block
    RUN_BLOCKS = auto()
    OUTERS = auto()        # turns of the three outer axes of k
    BLOCK_OUTERS = auto()  # of a block
    OUTER_BLOCKS = auto()
    WHOLE = auto()         # whether all of W is packed at once
    PANEL_STEPS = auto()   # room for the steps of a block in a panel
    X_ORIGIN = auto()      # where index 0 of all axes is, outside of the array where it is padded
    X_GROUP = auto()
    W_GROUP = auto()
    C_GROUP = auto()
    ROW_PARTS = auto()
    COLUMN_PARTS = auto()
    TASKS = auto()
    TASKS_PER_CHUNK = auto()
    CHUNKS = auto()
    CHUNK_BYTES = auto()
    W_OFFSET = auto()      # in a chunk's scratch: panels of X, of W, zeros
    ZEROS_OFFSET = auto()
    ZEROS_BYTES = auto()
    I_SIZE = 32            # four numbers
    I_X = 36
    I_C = 40
    K_SIZE = 44
    K_X = 48
    K_W = 52
    STEP = 56              # three numbers
    DILATION = 59
    LOW = 62
    SIZE = 65
    PACK_X = 68            # functions: of this library, and of the one for matrix products
    PACK_W = 69
    FINISH = 70
    KERNELS = 71           # a table
    COUNT = 71 + TABLE_WORDS


@record
class Convolution:
    """A convolution; see the module's docstring. `line` says how many of the innermost axes of i
    have one stride in C. `group` is the number of groups and the strides between them."""

    channels: bool
    columns: int
    w_col: int
    i_size: tuple[int, ...]
    i_x: tuple[int, ...]
    i_c: tuple[int, ...]
    k_size: tuple[int, ...]
    k_x: tuple[int, ...]
    k_w: tuple[int, ...]
    step: tuple[int, ...]
    dilation: tuple[int, ...]
    low: tuple[int, ...]
    size: tuple[int, ...]
    origin: int = 0
    line: int = 1
    group: tuple[int, int, int, int] = (1, 0, 0, 0)
    dtype: str = "f32"

    def words(self, threads: int) -> np.ndarray:
        """The descriptor, i64[Word.COUNT], with the three pointers still zero."""
        return _words(self, threads)

    def functions(self) -> dict[int, str]:
        """The functions that the descriptor must point to: positions in it, and names."""
        line = math.prod(self.i_size[4 - self.line:])
        found = {Word.KERNELS + place: name
                 for place, name in table_of(self.dtype, [line], [self.columns]).items()}
        way = way_of(self.w_col, self.k_w[-1])
        return found | {
            Word.PACK_X: symbol(self.dtype, "channels" if self.channels else "windows"),
            Word.PACK_W: gemm.symbol(self.dtype, f"pack_b.{way}"),
            Word.FINISH: gemm.symbol(self.dtype, "finish.together")}

    @property
    def symbol(self) -> str:
        """The library's function."""
        return symbol(self.dtype)

    def scratch_bytes(self, threads: int) -> int:
        """Bytes of scratch memory that a call with `words(threads)` needs."""
        words = _words(self, threads)
        return int(words[Word.CHUNKS] * words[Word.CHUNK_BYTES])

    @property
    def work(self) -> int:
        """Multiplications."""
        return self.group[0] * self.columns * math.prod(self.i_size) * math.prod(self.k_size)


def _words(c: Convolution, threads: int) -> np.ndarray:
    tile = tile_for(c.dtype, target.current())
    line = math.prod(c.i_size[4 - c.line:])
    plan: dict[Word, int] = {
        Word.CHANNELS: c.channels, Word.COLUMNS: c.columns, Word.W_COL: c.w_col,
        Word.C_ROW: c.i_c[-1] if c.i_size[-1] > 1 else next(
            (s for n, s in zip(c.i_size[::-1], c.i_c[::-1]) if n > 1), 0),
        Word.LINE: line, Word.LINE_PANELS: -(-line // tile.rows),
        Word.LINES: math.prod(c.i_size[:4 - c.line]),
        Word.X_ORIGIN: c.origin, Word.X_GROUP: c.group[1], Word.W_GROUP: c.group[2],
        Word.C_GROUP: c.group[3]}
    plan |= _blocking(c, tile)
    plan |= _division(c, tile, plan[Word.LINES] * plan[Word.LINE_PANELS], threads)
    plan |= _layout(c, tile, plan)
    words = np.zeros(Word.COUNT, np.int64)
    for word, value in plan.items():
        words[word] = value
    for word, values in ((Word.I_SIZE, c.i_size), (Word.I_X, c.i_x), (Word.I_C, c.i_c),
                         (Word.K_SIZE, c.k_size), (Word.K_X, c.k_x), (Word.K_W, c.k_w),
                         (Word.STEP, c.step), (Word.DILATION, c.dilation), (Word.LOW, c.low),
                         (Word.SIZE, c.size)):
        words[word:word + len(values)] = values
    return words


def _blocking(c: Convolution, tile: Tile) -> dict[Word, int]:
    """Blocks of k of about equal length: some whole runs, or a part of one."""
    longest = _BLOCK_K_BYTES // tile.word_bytes
    *outer, run = c.k_size
    outers = math.prod(outer)
    run_blocks = -(-run // longest)
    steps = -(-run // run_blocks)
    blocks = -(-outers // max(1, longest // steps))
    block = -(-outers // blocks)
    panel_steps = -(-block * steps // tile.lanes) * tile.lanes + tile.lanes
    whole = _panel_bytes(c, tile, panel_steps) * blocks * run_blocks
    return {Word.RUN_STEPS: steps, Word.RUN_BLOCKS: run_blocks, Word.OUTERS: outers,
            Word.BLOCK_OUTERS: block, Word.OUTER_BLOCKS: -(-outers // block),
            Word.PANEL_STEPS: panel_steps,
            Word.WHOLE: not c.channels and whole <= _WHOLE_BYTES}


def _panel_bytes(c: Convolution, tile: Tile, steps: int) -> int:
    """Bytes of the panels of W for a block of k."""
    return -(-c.columns // tile.columns) * tile.columns * steps * tile.word_bytes


def _division(c: Convolution, tile: Tile, panels: int, threads: int) -> dict[Word, int]:
    """Tasks: a range of panels of rows times a range of panels of columns, of one group."""
    chunks = 1 if threads == 1 else max(
        1, min(_CHUNKS_PER_THREAD * threads, 2 * c.work // _CHUNK_FLOPS))
    groups = c.group[0]
    wanted = -(-chunks // groups)
    rows = min(wanted, max(1, panels // 2))
    columns = min(-(-wanted // rows), -(-c.columns // tile.columns))
    tasks = groups * rows * columns
    per_chunk = -(-tasks // chunks)
    return {Word.ROW_PARTS: rows, Word.COLUMN_PARTS: columns, Word.TASKS: tasks,
            Word.TASKS_PER_CHUNK: per_chunk, Word.CHUNKS: -(-tasks // per_chunk)}


def _layout(c: Convolution, tile: Tile, plan: dict[Word, int]) -> dict[Word, int]:
    """Scratch of a chunk: panels of X, panels of W, and zeros in the place of what is outside."""
    def aligned(nbytes: int) -> int:
        return -(-nbytes // 64) * 64

    x = aligned(PANELS_AT_ONCE * plan[Word.PANEL_STEPS] * tile.a_width * tile.word_bytes)
    w = _panel_bytes(c, tile, plan[Word.PANEL_STEPS])
    if plan[Word.WHOLE]:
        w *= plan[Word.OUTER_BLOCKS] * plan[Word.RUN_BLOCKS]
    zeros = aligned(plan[Word.RUN_STEPS] * tile.word_bytes)
    return {Word.W_OFFSET: x, Word.ZEROS_OFFSET: x + aligned(w), Word.ZEROS_BYTES: zeros,
            Word.CHUNK_BYTES: x + aligned(w) + zeros}

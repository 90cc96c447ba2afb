"""What attention is asked for, and the plan that the native code follows.

    a = Attention("f32", sizes, strides, has_bias, masks, window, scale, backward=False)
    words = a.words(threads)     # i64 array; the caller fills in the pointers, by Operand,
                                 # and the addresses of a.functions() in their places
    scratch = scratch_bytes(a, threads)
    entry(words, scratch)        # the function named a.symbol

Queries are taken a *block* at a time, one in each lane of a row of a register tile; keys as many at
a time as keep the block of scores in the first cache. A *unit* is a block of queries of one head.
Forwards, a task is a range of the units that share a key head; backwards, all of them, since they
add to the same gradients. How tasks are divided over threads never changes a result.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from enum import IntEnum, auto

import numpy as np

from arraylib.backends.cpu import target
from arraylib.backends.cpu.gemm.kernels import TABLE_WORDS
from arraylib.backends.cpu.gemm.pieces import table_of
from arraylib.backends.cpu.gemm.tile import Tile, tile_for
from arraylib.record import record

KEY_PANELS = 8  # of a block of keys, each as high as a register tile
_CHUNKS_PER_THREAD = 4
_PARTS_PER_THREAD = 4
_UNITS_PER_PART = 4  # at least: each part packs keys and values again


PREFIX = "arraylib_attention."


class Operand(IntEnum):
    """Operands and results, each with a pointer and the strides of four axes.

    Axes are [b, t, n, h], of keys and values [b, s, k, h], of bias and masks [b, n, t, s]; of the
    dense LARGEST and TOTAL [b, n, t] there are no strides.
    """

    QUERY = 0
    KEY = auto()
    VALUE = auto()
    BIAS = auto()
    MASK = auto()
    MASK_2 = auto()
    MASK_3 = auto()
    OUT = auto()
    LARGEST = auto()
    TOTAL = auto()
    COTANGENT = auto()
    TO_QUERY = auto()
    TO_KEY = auto()
    TO_VALUE = auto()


_STRIDES = len(Operand)


class Word(IntEnum):
    """Positions in the descriptor, behind the pointers and strides."""

    KERNELS = 5 * _STRIDES   # a table of micro-kernels: see gemm.pieces
    BATCH = 5 * _STRIDES + TABLE_WORDS
    ROWS = auto()        # t
    HEADS = auto()       # n
    COLUMNS = auto()     # s
    KEY_HEADS = auto()   # k
    GROUP = auto()       # n / k
    SIZE = auto()        # h
    VALUE_SIZE = auto()  # d
    HAS_BIAS = auto()
    MASKS = auto()
    LEFT = auto()
    RIGHT = auto()
    SCALE = auto()       # the bits of a double
    QUERY_BLOCKS = auto()
    UNITS = auto()
    PARTS = auto()       # of the units of a key head
    TASKS = auto()
    TASKS_PER_CHUNK = auto()
    CHUNKS = auto()
    CHUNK_BYTES = auto()
    SIZE_STEPS = auto()       # h and d up to whole vectors: packing writes so many
    VALUE_STEPS = auto()
    SIZE_ROOM = auto()        # h and d up to whole tiles
    VALUE_ROOM = auto()
    # Where in a chunk's scratch memory, in bytes:
    SCORES = auto()           # [keys of a block][queries]
    SLOPES = auto()           # the same, of the derivative
    SPREAD = auto()           # the same, of bias or mask
    LARGEST = auto()          # [queries]
    TOTAL = auto()
    PEAK = auto()
    QUERIES = auto()          # [h][queries], of each unit backwards
    COTANGENTS = auto()       # [d][queries] of each unit
    QUERY_LINES = auto()      # panels of [queries][h] of each unit
    COTANGENT_LINES = auto()  # panels of [queries][d] of each unit
    SUMS = auto()             # [d][queries]; backwards [h][queries] of each unit
    FACTS = auto()            # of each unit: largest, 1 / total, mean slope; a flag
    LINES = auto()            # [queries][h or d]: results on their way out
    KEYS = auto()             # panels of [h][keys], of each block forwards
    VALUES = auto()           # panels of [keys][d], of each block; backwards of [d][keys]
    KEYS_ACROSS = auto()      # panels of [keys][h]
    STRIP = auto()            # a panel of scores the other way round
    TO_KEYS = auto()          # [keys][h]
    TO_VALUES = auto()        # [keys][d]
    COUNT = auto()


@record
class Attention:
    """Attention over arrays of these sizes; see the module's docstring.

    `strides` count elements. `window` is how far before and behind its own place a row sees.
    """

    dtype: str
    batch: int
    rows: int
    heads: int
    columns: int
    key_heads: int
    size: int
    value_size: int
    strides: Mapping[Operand, tuple[int, ...]]
    masks: int
    window: tuple[int, int]
    scale: float
    backward: bool = False

    def words(self, threads: int) -> np.ndarray:
        """The descriptor, i64[Word.COUNT], with the pointers still zero."""
        tile = tile_of(self.dtype)
        plan = self._sizes(tile) | self._division(tile, threads)
        plan |= self._layout(tile)
        words = np.zeros(Word.COUNT, np.int64)
        for operand, strides in self.strides.items():
            first = stride_word(operand, 0)
            words[first:first + len(strides)] = strides
        for word, value in plan.items():
            words[word] = value
        return words

    @property
    def symbol(self) -> str:
        """The name of the entry: `void (ptr descriptor, ptr scratch)`."""
        plain = not self.masks and Operand.BIAS not in self.strides
        return ".".join([PREFIX + self.dtype, "backward" if self.backward else "forward",
                         "plain" if plain else "masked"])

    def functions(self) -> dict[int, str]:
        """The functions that the descriptor must point to: positions in it, and names."""
        keys = block_keys(tile_of(self.dtype))
        lengths = [min(keys, self.columns), self.columns % keys, self.size, self.value_size]
        columns = [self.size, self.value_size] if self.backward else [self.rows]
        table = table_of(self.computed, lengths, columns)
        return {Word.KERNELS + place: name for place, name in table.items()}

    @property
    def computed(self) -> str:
        """The dtype that is computed in."""
        return "f64" if self.dtype == "f64" else "f32"

    @property
    def work(self) -> int:
        """A rough number of elementary operations."""
        return 2 * self.batch * self.heads * self.rows * self.columns * self.size

    def _sizes(self, tile: Tile) -> dict[Word, int]:
        blocks = -(-self.rows // tile.columns)
        return {
            Word.BATCH: self.batch, Word.ROWS: self.rows, Word.HEADS: self.heads,
            Word.COLUMNS: self.columns, Word.KEY_HEADS: self.key_heads,
            Word.GROUP: self.heads // self.key_heads, Word.SIZE: self.size,
            Word.VALUE_SIZE: self.value_size, Word.HAS_BIAS: Operand.BIAS in self.strides,
            Word.MASKS: self.masks, Word.LEFT: self.window[0], Word.RIGHT: self.window[1],
            Word.SCALE: struct.unpack("q", struct.pack("d", self.scale))[0],
            Word.QUERY_BLOCKS: blocks, Word.UNITS: blocks * self.heads // self.key_heads}

    def _division(self, tile: Tile, threads: int) -> dict[Word, int]:
        units = -(-self.rows // tile.columns) * (self.heads // self.key_heads)
        together = self.batch * self.key_heads
        wanted = _PARTS_PER_THREAD * threads if threads > 1 and not self.backward else 1
        parts = max(1, min(-(-wanted // together), units // _UNITS_PER_PART))
        tasks = together * parts
        chunks = min(tasks, _CHUNKS_PER_THREAD * threads) if threads > 1 else 1
        share = -(-tasks // chunks)
        return {Word.PARTS: parts, Word.TASKS: tasks, Word.TASKS_PER_CHUNK: share,
                Word.CHUNKS: -(-tasks // share)}

    def _layout(self, tile: Tile) -> dict[Word, int]:
        """Places in a chunk's scratch memory."""
        width, keys = tile.columns, block_keys(tile)
        units = -(-self.rows // width) * (self.heads // self.key_heads) if self.backward else 1
        blocks = 1 if self.backward else -(-self.columns // keys)
        size, value = (_up(n, width) for n in (self.size, self.value_size))
        size_steps, value_steps = (_up(n, tile.lanes) for n in (self.size, self.value_size))
        both = self.backward
        across = -(-self.value_size // tile.rows) * tile.a_width * keys
        numbers = {
            Word.SCORES: keys * width, Word.SLOPES: keys * width * both,
            Word.SPREAD: max(keys, value) * width, Word.LARGEST: width, Word.TOTAL: width,
            Word.PEAK: width, Word.QUERIES: units * size_steps * width,
            Word.COTANGENTS: units * value_steps * width * both,
            Word.QUERY_LINES: units * width * size * both,
            Word.COTANGENT_LINES: units * width * value * both,
            Word.SUMS: units * (size if both else value) * width,
            Word.FACTS: units * 4 * width * both, Word.LINES: width * max(size, value),
            Word.KEYS: blocks * KEY_PANELS * tile.a_width * size_steps,
            Word.VALUES: KEY_PANELS * tile.a_width * value_steps if both else blocks * across,
            Word.KEYS_ACROSS: -(-self.size // tile.rows) * tile.a_width * keys * both,
            Word.STRIP: tile.a_width * width * both, Word.TO_KEYS: keys * size * both,
            Word.TO_VALUES: keys * value * both}
        places, end = {Word.SIZE_STEPS: size_steps, Word.VALUE_STEPS: value_steps,
                       Word.SIZE_ROOM: size, Word.VALUE_ROOM: value}, 0
        for word, count in numbers.items():
            places[word] = end
            end += _up(count * tile.word_bytes, 64)
        return places | {Word.CHUNK_BYTES: end}


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def scratch_bytes(attention: Attention, threads: int) -> int:
    """Bytes of scratch memory, aligned to 64, that a call with these words needs."""
    words = attention.words(threads)
    return int(words[Word.CHUNKS] * words[Word.CHUNK_BYTES])


def tile_of(dtype: str) -> Tile:
    """The register tile of a dtype; what is packed is widened, never in pairs."""
    return replace(tile_for(dtype, target.current()), pairs=False)


def block_keys(tile: Tile) -> int:
    """Keys in a block: whole vectors of them, which is what packing writes."""
    return KEY_PANELS * tile.rows // tile.lanes * tile.lanes


def panel_keys(tile: Tile) -> int:
    """Keys in each panel of a whole block."""
    panels = -(-block_keys(tile) // tile.rows)
    assert block_keys(tile) % panels == 0, "panels of a whole block are alike"
    return block_keys(tile) // panels


def stride_word(operand: Operand, axis: int) -> int:
    """The position of a stride in the descriptor."""
    return _STRIDES + 4 * operand + axis

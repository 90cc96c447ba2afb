"""What a matrix product is asked for, and the plan that the native code follows.

    g = Gemm(m, n, k, a_row, a_col, b_row, b_col, c_row, batch=((size, a, b, c), ...))
    words = g.words(threads)          # i64 array; the caller fills in words 0, 1, 2: A, B, C,
    pieces(g, words)                  # and the addresses of these functions in their places
    scratch = scratch_bytes(g, threads)
    entry(words, scratch)

C = A B, or C += A B or C -= A B where `accumulate` is 1 or -1: A is [m, k], B is [k, n], C is
[m, n] with columns side by side. Strides count elements. Every decision about order and division
of work is made here; the native code reads it from the words. What is decided from the thread count
never changes a result: sums always run along k in the same order.
"""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from enum import IntEnum, auto

import numpy as np

from arraylib.backends.cpu import target
from arraylib.backends.cpu.emitter import element_bytes
from arraylib.backends.cpu.gemm.tile import COMPLEX, Tile, tile_for
from arraylib.record import record

BATCH_DIMENSIONS = 4

# Sizes that keep a panel of B in the first cache, a block of A in the second, a block of B in the
# third. A row panel has as many rows as the register tile.
_BLOCK_K_BYTES = 2048        # of one column of B
_BLOCK_ROW_PANELS = 8
_BLOCK_A_BYTES = 8 << 20      # that are packed before they are used, by all threads
_BLOCK_B_BYTES = 4 << 20
_SMALL_BLOCK_B_BYTES = 512 << 10   # in the second cache, where few rows of A use it
_SMALL_BLOCK_ROWS = 128
_FEW_ROWS = 64               # below this B is used where it lies, if its rows are contiguous
_ROWS_IN_PLACE = 20          # up to here B may lie in long rows: its blocks along k are short then
_EPILOGUE_BYTES = 128 << 10  # of C that are done before what follows reads them
_PANEL_STEPS = 512           # along k of panels that B lies in
_NEAR_PAGES = 32             # that the processor finds without looking them up
_PAGE_BYTES = 4096

# Work worth a chunk of its own: about ten microseconds, by arithmetic or by memory.
_CHUNK_FLOPS = 2_000_000
_CHUNK_VECTOR_ELEMENTS = 50_000
_CHUNKS_PER_THREAD = 2
# Where all threads share what is packed, chunks may be shorter, and many.
_SHARED_FLOPS = 8_000_000
_SHARED_CHUNK_FLOPS = 3_000_000
_SHARED_CHUNK_BYTES = 64 << 10
_SHARED_CHUNKS_PER_THREAD = 8
_SHARED_PARTS_OF_ROWS = 4    # for each thread; so many need not be divided by columns


class Path(IntEnum):
    """How a product is computed."""

    BLOCKED = 0        # B packed a block at a time, for many rows of A
    STREAMED = 1       # few rows: A packed whole, B a panel at a time or in place
    VECTOR_ROWS = 2    # one row: sums of scaled rows of B
    VECTOR_DOTS = 3    # one row: dot products with columns of B, contiguous along k
    SHARED = 4         # as BLOCKED, but all threads pack a block together, and then use it


_VECTOR_PATHS = (Path.VECTOR_ROWS, Path.VECTOR_DOTS)
PACKING_PATHS = (Path.BLOCKED, Path.SHARED)   # in which operands may be computed meanwhile


class Word(IntEnum):
    """Positions in the descriptor."""

    A = 0
    B = auto()
    C = auto()
    M = auto()
    N = auto()
    K = auto()
    A_ROW = auto()
    A_COL = auto()
    B_ROW = auto()
    B_COL = auto()
    C_ROW = auto()
    C_COL = auto()
    ACCUMULATE = auto()
    SWAPPED = auto()           # the product is computed transposed: A and B change places
    BATCH = 14                 # BATCH_DIMENSIONS x (size, a, b, c)
    PATH = 14 + 4 * BATCH_DIMENSIONS
    IN_PLACE = auto()
    ROW_PARTS = auto()
    COLUMN_PARTS = auto()
    PARTS_AT_ONCE = auto()     # of rows, for which A is packed together: Path.SHARED only
    PACKING_CHUNKS = auto()    # of a block of B, for which the same holds
    BLOCKS_AT_ONCE = auto()    # along k, of B, packed before they are used: likewise
    B_BLOCK_BYTES = auto()     # from a packed block of B to the next
    TASKS = auto()             # products x parts
    TASKS_PER_CHUNK = auto()
    CHUNKS = auto()
    STEPS = auto()             # words along k
    BLOCK_STEPS = auto()
    BLOCKS = auto()            # along k, at least 1
    PANEL_STEPS = auto()       # room for the steps of a block in a panel
    BLOCK_COLUMNS = auto()
    CHUNK_BYTES = auto()       # scratch
    B_OFFSET = auto()
    SUMS_OFFSET = auto()
    # A function of (arguments, chunk) that is called once the elements before the chunk's end are
    # done, in row-major order; with a span of 0 there is none. For products by rows only.
    EPILOGUE = auto()
    EPILOGUE_ARGUMENTS = auto()
    EPILOGUE_SPAN = auto()     # elements of a chunk
    EPILOGUE_CHUNKS = auto()
    EPILOGUE_TOTAL = auto()    # elements of C
    ROW_PANELS = auto()        # of A, packed at once
    PANELS = auto()            # of rows; the first LONG_PANELS have one row more than SHORT_ROWS
    SHORT_ROWS = auto()
    LONG_PANELS = auto()
    # Functions that compute operands which are not in memory, or 0, and their arguments: see
    # prologue.py.
    MAKE_A = auto()
    MAKE_A_ARGUMENTS = auto()
    MAKE_B = auto()
    MAKE_B_ARGUMENTS = auto()
    # Functions: see pieces.py.
    MULTIPLY = auto()
    TILES = auto()
    PACK_A = auto()
    PACK_B = auto()
    FINISH = auto()
    KERNEL = auto()            # a short panel of rows by a panel of columns
    KERNEL_LONG = auto()
    KERNEL_NARROW = auto()     # a short panel of rows by columns that fit a vector
    KERNEL_LONG_NARROW = auto()
    COUNT = auto()


@record
class Gemm:
    """A batch of matrix products of one shape; see the module's docstring."""

    m: int
    n: int
    k: int
    a_row: int
    a_col: int
    b_row: int
    b_col: int
    c_row: int
    batch: tuple[tuple[int, int, int, int], ...] = ()
    accumulate: int = 0     # 1: added to C, -1: taken from C
    dtype: str = "f32"
    by_rows: bool = False   # parts have all columns
    panels: bool = False    # B lies in panels, as `panel_columns` says; its strides do not count
    makes_a: bool = False   # A is computed while it is packed: it is dense, and its address 0
    makes_b: bool = False

    def words(self, threads: int) -> np.ndarray:
        """The descriptor, i64[Word.COUNT], with the three pointers still zero."""
        return _words(self, threads)

    def words_with_epilogue(self, threads: int, span: int, chunks: int) -> np.ndarray:
        """The same for a product that `chunks` of `span` elements each follow, with 5 pointers."""
        assert self.by_rows, "chunks that follow are of whole rows"
        words = _words(self, threads)
        tile = tile_for(self.dtype, target.current())
        parts = 2 if self.is_complex else 1
        panel = tile.rows * self.n * parts * element_bytes(tile.result)
        words[Word.ROW_PANELS] = min(max(1, _EPILOGUE_BYTES // panel), _BLOCK_ROW_PANELS)
        words[Word.EPILOGUE_SPAN], words[Word.EPILOGUE_CHUNKS] = span * parts, chunks
        words[Word.EPILOGUE_TOTAL] = self.products * self.m * self.n * parts
        return words

    @property
    def is_complex(self) -> bool:
        """Whether elements are a real and an imaginary part, side by side."""
        return self.dtype in COMPLEX

    @property
    def products(self) -> int:
        """Number of matrices in the batch."""
        return math.prod(size for size, *_ in self.batch)


def scratch_bytes(gemm: Gemm, threads: int) -> int:
    """Bytes of scratch memory, aligned to 64, that a call with `gemm.words(threads)` needs."""
    words = _words(gemm, threads)
    return int(words[Word.CHUNKS] * words[Word.CHUNK_BYTES])


def _words(gemm: Gemm, threads: int) -> np.ndarray:
    return _planned(gemm, threads, target.current()).copy()


@functools.lru_cache(maxsize=1024)  # layers ask for the same products, and for each several times
def _planned(gemm: Gemm, threads: int, machine: target.Target) -> np.ndarray:
    assert len(gemm.batch) <= BATCH_DIMENSIONS, f"{len(gemm.batch)} batch dimensions"
    tile = tile_for(gemm.dtype, machine)
    gemm = _of_parts(gemm) if gemm.is_complex else gemm
    gemm = _of_panels(gemm, tile) if gemm.panels else gemm
    # A tile is wider than it is high, so a narrow product is better computed transposed.
    swapped = (gemm.m > 1 == gemm.n or gemm.m >= tile.columns >= 2 * gemm.n) \
        and not gemm.is_complex and not gemm.panels
    view = _transposed(gemm) if swapped else gemm
    path = _path(view, tile)
    if path == Path.BLOCKED and _shares(view, threads):
        path = Path.SHARED
    plan: dict[Word, int] = {
        Word.M: view.m, Word.N: view.n, Word.K: view.k, Word.A_ROW: view.a_row,
        Word.A_COL: view.a_col, Word.B_ROW: view.b_row, Word.B_COL: view.b_col,
        Word.C_ROW: view.c_row, Word.C_COL: gemm.c_row if swapped else 1,
        Word.ACCUMULATE: view.accumulate, Word.SWAPPED: swapped, Word.PATH: path,
        Word.MAKE_A: view.makes_a, Word.MAKE_B: view.makes_b}
    assert not (view.makes_a or view.makes_b) or path in PACKING_PATHS, f"not packed: {gemm}"
    plan |= _blocking(view, tile, path)
    plan |= _shared(view, tile, plan, threads) if path == Path.SHARED \
        else _division(view, tile, path, threads)
    plan |= _layout(plan, tile)
    words = np.zeros(Word.COUNT, np.int64)
    for word, value in plan.items():
        words[word] = value
    batch = [*view.batch, *[(1, 0, 0, 0)] * (BATCH_DIMENSIONS - len(view.batch))]
    words[Word.BATCH:Word.BATCH + 4 * BATCH_DIMENSIONS] = np.ravel(batch)
    return words


def _transposed(gemm: Gemm) -> Gemm:
    """The same product as C^T = B^T A^T; columns of C^T are `c_row` apart."""
    # A row stride of C^T is 1; a column stride is the words' business.
    return replace(
        gemm, m=gemm.n, n=gemm.m, a_row=gemm.b_col, a_col=gemm.b_row, b_row=gemm.a_col,
        b_col=gemm.a_row, c_row=1, batch=tuple((size, b, a, c) for size, a, b, c in gemm.batch),
        makes_a=gemm.makes_b, makes_b=gemm.makes_a)


def _of_parts(gemm: Gemm) -> Gemm:
    """A complex product as a real one: [re im] of A times [[re im] [-im re]] of B.

    C is what it is, seen as twice as many real columns. So are rows of A; only packing knows how
    elements lie: `complex.py`. A step along k or over the columns of B is half of an element's.
    """
    return replace(gemm, n=2 * gemm.n, k=2 * gemm.k, a_row=2 * gemm.a_row, c_row=2 * gemm.c_row,
                   batch=tuple((size, 2 * a, 2 * b, 2 * c) for size, a, b, c in gemm.batch))


def panel_columns(dtype: str) -> int:
    """How many columns of B may lie side by side in panels; 0 where B has to be packed.

    Each panel is an array [k, columns], and the panels follow one another. So B need not be packed
    for each product where several have the same B. All columns must be in whole panels.
    """
    tile = tile_for(dtype, target.current())
    packed = tile.stored != tile.word or tile.converts or dtype in COMPLEX
    return 0 if packed else tile.columns


def _of_panels(gemm: Gemm, tile: Tile) -> Gemm:
    """The strides of B from row to row, and, for the first column of each panel, to the others."""
    assert gemm.n % tile.columns == 0 and not gemm.batch, f"not in panels: {gemm}"
    return replace(gemm, b_row=tile.columns, b_col=gemm.k)


def _path(gemm: Gemm, tile: Tile) -> Path:
    if gemm.panels:
        return Path.STREAMED
    if gemm.is_complex:
        return Path.STREAMED if gemm.m <= _FEW_ROWS // 2 else Path.BLOCKED
    if gemm.m == 1 and gemm.b_row == 1 and (gemm.n == 1 or gemm.b_col != 1):
        return Path.VECTOR_DOTS
    if gemm.m == 1 and (gemm.n == 1 or gemm.b_col == 1):
        return Path.VECTOR_ROWS
    if gemm.makes_a or gemm.makes_b:  # which lies nowhere, though its rows seem near
        return Path.BLOCKED
    # Long rows are packed a few at a time; where they lie, each would be another page.
    far = gemm.b_col == 1 and _row_bytes(gemm, tile) >= _PAGE_BYTES
    return Path.STREAMED if gemm.m <= (_FEW_ROWS // 2 if far else _FEW_ROWS) else Path.BLOCKED


def _row_bytes(gemm: Gemm, tile: Tile) -> int:
    """From a row of B to the next."""
    return abs(gemm.b_row) * element_bytes(tile.stored)


def _shares(gemm: Gemm, threads: int) -> bool:
    """Whether threads work on one product together, as there are too few to share them out."""
    if threads == 1 or gemm.k == 0:   # nothing to pack
        return False
    flops = 2 * gemm.m * gemm.n * gemm.k
    return 0 < gemm.products < 2 * threads and flops >= _SHARED_FLOPS


def _shared(gemm: Gemm, tile: Tile, plan: dict[Word, int], threads: int) -> dict[Word, int]:
    """Parts of rows by columns of a block, and chunks of packing."""
    panels, width = -(-gemm.m // tile.rows), min(gemm.n, plan[Word.BLOCK_COLUMNS])
    most = _BLOCK_ROW_PANELS
    if gemm.by_rows:
        row_bytes = gemm.n * element_bytes(tile.result)
        most = min(max(1, _EPILOGUE_BYTES // (tile.rows * row_bytes)), most)
    rows = -(-panels // most)
    rows = min(-(-rows // threads) * threads, panels) if rows > threads else rows
    block_flops = 2 * gemm.m * width * plan[Word.BLOCK_STEPS] * tile.step
    chunks = min(_SHARED_CHUNKS_PER_THREAD * threads, block_flops // _SHARED_CHUNK_FLOPS)
    columns = min(max(1, -(-chunks // rows)), -(-width // tile.columns))
    columns = 1 if gemm.by_rows or rows >= _SHARED_PARTS_OF_ROWS * threads else columns
    part_bytes = -(-panels // rows) * tile.a_width * plan[Word.PANEL_STEPS] * tile.word_bytes
    b_bytes = width * plan[Word.PANEL_STEPS] * tile.word_bytes
    # Where A is shared too, so many blocks of it would only go out of the cache and come back.
    blocks = min(plan[Word.BLOCKS], _BLOCK_B_BYTES // max(1, b_bytes)) if columns == 1 else 1
    packing = min(max(1, b_bytes // _SHARED_CHUNK_BYTES), _SHARED_CHUNKS_PER_THREAD * threads)
    return {**_panels(gemm, tile), Word.ROW_PARTS: rows, Word.COLUMN_PARTS: columns,
            Word.TASKS: gemm.products * rows * columns, Word.TASKS_PER_CHUNK: 1, Word.CHUNKS: 1,
            Word.PARTS_AT_ONCE: max(1, _BLOCK_A_BYTES // part_bytes),
            Word.PACKING_CHUNKS: packing, Word.BLOCKS_AT_ONCE: max(1, blocks)}


def _panels(gemm: Gemm, tile: Tile) -> dict[Word, int]:
    """How rows are balanced over panels."""
    panels = -(-gemm.m // tile.rows)
    short, longer = divmod(gemm.m, max(1, panels))
    return {Word.PANELS: panels, Word.SHORT_ROWS: short, Word.LONG_PANELS: longer}


def _division(gemm: Gemm, tile: Tile, path: Path, threads: int) -> dict[Word, int]:
    """Chunks of tasks; a task is a part (rows by columns) of one product."""
    products = gemm.products if gemm.m * gemm.n else 0
    worth = _chunks_worth(gemm, path, threads)
    row_panels, column_panels = -(-gemm.m // tile.rows), -(-gemm.n // tile.columns)
    wanted = -(-worth // max(1, products)) if products < worth else 1
    rows, columns = _parts(row_panels, 1 if gemm.by_rows else column_panels, wanted)
    tasks = products * rows * columns
    per_chunk = max(1, -(-tasks // worth))
    return {**_panels(gemm, tile), Word.ROW_PARTS: rows, Word.COLUMN_PARTS: columns,
            Word.TASKS: tasks, Word.TASKS_PER_CHUNK: per_chunk, Word.CHUNKS: -(-tasks // per_chunk)}


def _chunks_worth(gemm: Gemm, path: Path, threads: int) -> int:
    """How many chunks the work is worth: none shorter than a fork and a join cost."""
    if threads == 1:
        return 1
    work = gemm.products * gemm.m * gemm.n * max(1, gemm.k)
    if path in _VECTOR_PATHS:
        chunks = work // _CHUNK_VECTOR_ELEMENTS
    else:
        chunks = 2 * work // _CHUNK_FLOPS
    generous = _CHUNKS_PER_THREAD * threads
    # A few long chunks a thread even out what other processes take; short ones are not split so.
    return max(1, generous if chunks >= 4 * generous else min(chunks, threads))


def _parts(row_panels: int, column_panels: int, wanted: int) -> tuple[int, int]:
    """Rows by columns of about `wanted` parts: the largest part small, then little packing."""
    def cost(rows: int) -> tuple[int, int]:
        columns = max(1, min(column_panels, wanted // rows))
        height, width = -(-row_panels // rows), -(-column_panels // columns)
        return height * width, height + width

    if row_panels == 0 or column_panels == 0:
        return 1, 1
    best = min(range(1, min(wanted, row_panels) + 1), key=cost)
    return best, max(1, min(column_panels, wanted // best))


def _blocking(gemm: Gemm, tile: Tile, path: Path) -> dict[Word, int]:
    """Blocks along k of equal length, and how many columns of B are packed at once."""
    may_lie = path == Path.STREAMED and not gemm.is_complex
    in_place_steps = _in_place_steps(gemm, tile) if may_lie else 0
    in_place = in_place_steps > 0
    step = 1 if in_place else tile.step
    steps = -(-gemm.k // step)
    longest = in_place_steps or _block_steps(tile)
    if tile.converts and steps <= 2 * longest or path == Path.STREAMED and not in_place:
        longest *= 2   # one long block costs less than sums that go to memory and come back
    blocks = max(1, -(-steps // longest))
    block = -(-steps // blocks)
    block += block % 2 if gemm.is_complex else 0   # whole numbers
    nbytes = _SMALL_BLOCK_B_BYTES if gemm.m <= _SMALL_BLOCK_ROWS else _BLOCK_B_BYTES
    width = nbytes // (max(1, block) * tile.word_bytes)
    return {Word.IN_PLACE: in_place, Word.STEPS: steps, Word.BLOCK_STEPS: max(1, block),
            Word.BLOCKS: blocks, Word.PANEL_STEPS: -(-block // tile.lanes) * tile.lanes,
            Word.BLOCK_COLUMNS: max(1, width // tile.columns) * tile.columns,
            Word.ROW_PANELS: _BLOCK_ROW_PANELS}


def _block_steps(tile: Tile) -> int:
    return _BLOCK_K_BYTES // tile.word_bytes


def longest_block(tile: Tile) -> int:
    """Words along k that are packed at once, at most."""
    return 2 * _block_steps(tile) if tile.converts else _block_steps(tile)


def _in_place_steps(gemm: Gemm, tile: Tile) -> int:
    """Block along k for kernels that read B where it is; 0 where packing it is better.

    A block is so short that its rows lie in few pages, so that the next panel finds them near; and
    prefetching follows a few rows that are read in full. Long blocks use each sum in registers for
    longer. Rows that are pages long are packed, unless fewer rows of A use them than that takes.
    """
    if gemm.panels:
        return _PANEL_STEPS
    if gemm.b_col != 1 or tile.pairs and gemm.m > 8:
        return 0
    near = _NEAR_PAGES * _PAGE_BYTES // max(1, _row_bytes(gemm, tile))
    if near < (0 if gemm.m <= 8 else 16 if gemm.m <= _ROWS_IN_PLACE else 64):
        return 0
    return 8 if gemm.m <= 4 else min(max(near, 8), 256)


def _layout(plan: dict[Word, int], tile: Tile) -> dict[Word, int]:
    """Scratch of a chunk: packed A, packed B, and sums that wait for the next block of k."""
    def aligned(words: int) -> int:
        return -(-words * tile.word_bytes // 64) * 64

    if plan[Word.PATH] in _VECTOR_PATHS:
        from_x = aligned(plan[Word.K] + tile.lanes)
        return {Word.B_OFFSET: from_x, Word.SUMS_OFFSET: from_x,
                Word.CHUNK_BYTES: from_x + aligned(VECTOR_BLOCK + tile.lanes)}
    shared = plan[Word.PATH] == Path.SHARED
    part = -(-plan[Word.PANELS] // plan[Word.ROW_PARTS])   # panels of rows
    rows = plan[Word.PANELS] if shared else part
    columns = -(-plan[Word.N] // tile.columns)
    columns = columns if shared else columns // plan[Word.COLUMN_PARTS] + 1
    b_panels = min(columns, plan[Word.BLOCK_COLUMNS] // tile.columns)
    if plan[Word.PATH] == Path.STREAMED:
        a_panels, b_panels = rows, 1
    else:
        a_panels = min(rows, part * plan[Word.PARTS_AT_ONCE] if shared else _BLOCK_ROW_PANELS)
    a = aligned(a_panels * tile.a_width * plan[Word.PANEL_STEPS])
    b_block = aligned(b_panels * tile.columns * plan[Word.PANEL_STEPS])
    b = b_block * plan.get(Word.BLOCKS_AT_ONCE, 1)
    keeps_sums = tile.converts and plan[Word.BLOCKS] > 1
    sums = aligned(rows * tile.rows * columns * tile.columns) if keeps_sums else 0
    return {Word.B_OFFSET: a, Word.SUMS_OFFSET: a + b, Word.CHUNK_BYTES: a + b + sums,
            Word.B_BLOCK_BYTES: b_block}


VECTOR_BLOCK = 2048   # sums of a one-row product that are kept in the first cache

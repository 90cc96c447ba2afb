"""Tapes: what is done to the parts of a matrix, as numbers that native code follows.

    tape = Tape("f32", threads)
    a = Matrix(0, 0, n, n, n, 1)           # of the first array: rows n apart, columns 1 apart
    tape.subtract(a[h:, h:], a[h:, :h], a[:h, h:])

An array is named by its place among the pointers that the code is given; the last two are scratch
memory: of the steps themselves, and of matrices that an algorithm keeps for itself (`rooms`). A
step is its kind, its length, and that many words. Offsets and strides count elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import IntEnum

from arraylib.backends.cpu.gemm import Gemm, pieces, scratch_bytes, symbol
from arraylib.record import record

BLOCK = 64  # rows of a triangle that is solved, or factored, by a leaf
# At the start of the scratch memory: whether the matrix was found to have no factor.
HEAD_BYTES = 64

MOST_ARRAYS = 8
ROOMS = MOST_ARRAYS + 1  # the array of an algorithm's own matrices

_SHARE = 4  # panels of columns that a thread should at least have


class Step(IntEnum):
    """Kinds of steps, by their places in the table of functions."""

    PRODUCT = 0
    COPY = 1
    SOLVE = 2
    CHOLESKY = 3
    TRIANGLE = 4
    LU = 5
    SWAP = 6
    SINGULAR = 7
    ORDER = 8
    REFLECT = 9
    UNIT = 10
    RECIPROCAL = 11
    IDENTITY = 12


@record
class Matrix:
    """Part of an array: element (i, j) is at `offset + i * row + j * column`."""

    array: int
    offset: int
    rows: int
    columns: int
    row: int
    column: int

    def __getitem__(self, part: tuple[slice, slice]) -> Matrix:
        (top, bottom, _), (left, right, _) = (
            which.indices(size) for which, size in zip(part, (self.rows, self.columns)))
        offset = self.offset + top * self.row + left * self.column
        return replace(self, offset=offset, rows=bottom - top, columns=right - left)

    @property
    def T(self) -> Matrix:
        """The transpose."""
        return Matrix(self.array, self.offset, self.columns, self.rows, self.column, self.row)

    @property
    def words(self) -> tuple[int, int, int, int]:
        """Where it is, and its strides."""
        return self.array, self.offset, self.row, self.column


class Tape:
    """Steps, in order; `scratch` is how many bytes of scratch memory they need.

    In place of some words are the addresses of `functions`, by their symbols.
    """

    def __init__(self, dtype: str, threads: int, width: int) -> None:
        self.dtype, self.threads, self.width = dtype, threads, width
        self.words: list[int] = []
        self.functions: dict[int, str] = {}
        self.scratch, self.kept = HEAD_BYTES, 0

    def add(self, step: Step, words: Sequence[int]) -> None:
        self.words += [int(step), len(words), *words]

    def rooms(self, *sizes: tuple[int, int]) -> list[Matrix]:
        """Matrices of an algorithm's own, until it asks again."""
        found, offset, line = [], 0, 64 // self.element_bytes
        for rows, columns in sizes:
            stride = -(-columns // line) * line
            found.append(Matrix(ROOMS, offset, rows, columns, stride, 1))
            offset += rows * stride
        self.kept = max(self.kept, offset * self.element_bytes)
        return found

    @property
    def element_bytes(self) -> int:
        return 8 if self.dtype == "f64" else 4

    def subtract(self, c: Matrix, a: Matrix, b: Matrix) -> None:
        """c -= a b."""
        self.product(c, a, b, -1)

    def product(self, c: Matrix, a: Matrix, b: Matrix, accumulate: int = 0) -> None:
        """c = a b, or that added to c or taken from it."""
        if c.column != 1:  # the library wants rows, so the transposed product
            c, a, b = c.T, b.T, a.T
        assert c.column == 1, "a product that is neither by rows nor by columns"
        gemm = Gemm(c.rows, c.columns, a.columns, a.row, a.column, b.row, b.column, c.row,
                    accumulate=accumulate, dtype=self.dtype)
        self.scratch = max(self.scratch, HEAD_BYTES + scratch_bytes(gemm, self.threads))
        places = [word for x in (a, b, c) for word in x.words[:2]]
        words, start = gemm.words(self.threads), len(self.words) + 2 + len(places)
        self.functions[start] = symbol(self.dtype)
        for place, name in pieces(gemm, words).items():
            self.functions[start + 1 + place] = name
        self.add(Step.PRODUCT, [*places, 0, *map(int, words)])

    def copy(self, source: int, target: int, elements: int) -> None:
        """All of an array."""
        self.add(Step.COPY, (source, target, elements, self._chunks(elements, 1 << 16)))

    def solve(self, t: Matrix, x: Matrix, *, backward: bool, unit: bool) -> None:
        """x = t^-1 x for a block; t is lower triangular, or upper with `backward`."""
        self.add(Step.SOLVE, (*t.words, t.rows, int(backward), int(unit), *x.words, x.columns,
                              self._chunks(x.columns, _SHARE * self.width)))

    def cholesky(self, a: Matrix) -> None:
        """The lower triangular factor of a block, in its place."""
        self.add(Step.CHOLESKY, (*a.words, a.rows))

    def lu(self, a: Matrix, first: int, pivots: Matrix) -> None:
        """The factors of a few columns; the first row is called `first` in the pivots."""
        panels = -(-a.rows // self.width)
        room = panels * self.width**2 * self.element_bytes
        self.scratch = max(self.scratch, HEAD_BYTES + room)
        self.add(Step.LU, (*a.words, a.rows, a.columns, first, *pivots.words[:2]))

    def swap(self, a: Matrix, first: int, pivots: Matrix) -> None:
        """Rows change places as pivots say, in which the first row is called `first`."""
        chunks = self._chunks(a.columns * pivots.columns, 1 << 14)
        self.add(Step.SWAP, (*a.words[:3], a.columns, first, *pivots.words[:2], pivots.columns,
                             chunks))

    def singular(self, a: Matrix, info: Matrix) -> None:
        """Which number on the diagonal is the first 0, counted from 1; 0 for none."""
        self.add(Step.SINGULAR, (*a.words, min(a.rows, a.columns), *info.words[:2]))

    def order(self, pivots: Matrix, order: Matrix) -> None:
        """0, 1, 2, ... after changing places as pivots say."""
        self.add(Step.ORDER, (*pivots.words[:2], pivots.columns, *order.words[:2], order.columns))

    def reflect(self, a: Matrix, tau: Matrix) -> None:
        """R of a few columns, below it the vectors of reflections, and their factors."""
        room = -(-a.rows // self.width) * self.width**2 * self.element_bytes
        self.scratch = max(self.scratch, HEAD_BYTES + room)
        self.add(Step.REFLECT, (*a.words[:3], a.rows, a.columns, *tau.words[:2]))

    def unit(self, v: Matrix, target: Matrix) -> None:
        """A copy with ones on the diagonal and zeros above it."""
        chunks = self._chunks(v.rows * v.columns, 1 << 15)
        self.add(Step.UNIT, (*v.words[:3], *target.words[:3], v.rows, v.columns, chunks))

    def reciprocal(self, x: Matrix, target: Matrix) -> None:
        """1 / x for each number of a row, on the diagonal of a matrix."""
        self.add(Step.RECIPROCAL, (*x.words[:2], *target.words[:3], x.columns))

    def identity(self, a: Matrix) -> None:
        """Ones on the diagonal, zeros elsewhere."""
        chunks = self._chunks(a.rows * a.columns, 1 << 15)
        self.add(Step.IDENTITY, (*a.words[:3], a.rows, a.columns, chunks))

    def triangle(self, a: Matrix, *, lower: bool) -> None:
        """Zeros in the other triangle; nan in this one if there is no factor."""
        self.add(Step.TRIANGLE, (*a.words[:3], a.rows, int(lower),
                                 self._chunks(a.rows, 128)))

    def _chunks(self, length: int, share: int) -> int:
        """A chunk a thread, if each has a share."""
        return max(1, min(self.threads, length // share))

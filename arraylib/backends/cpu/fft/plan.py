"""How a transform is done: its stages.

The last axis goes first (in a transform back to real numbers last), row by row; the other axes
after it, a vector of neighbouring columns at a time. Rows are

- side by side in lanes where they are short and many;
- split otherwise: a row of n = a b numbers is a matrix [a, b], whose columns are transformed,
  multiplied by roots of unity and transposed, and transformed again, lanes along the row;
- where the length has a large prime factor, convolved with a chirp (Bluestein).

Nothing that is computed depends on the number of threads: only who computes it does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.backends.cpu.fft import factors, lines, tables
from arraylib.backends.cpu.fft.passes import (
    FOLD,
    MIRROR,
    MULTIPLY,
    MULTIPLY_SWAPPED,
    UNFOLD,
    pass_number,
)
from arraylib.backends.cpu.fft.rowwise import PART
from arraylib.backends.cpu.fft.words import (
    FOLDED,
    HERE,
    OPERAND,
    RESULT,
    THERE,
    WHOLE,
    Kind,
    Place,
    Program,
    Section,
    Stage,
)
from arraylib.hlo.ir import Type
from arraylib.record import field, record

Core = tuple[int, int, int, int]
_ALIGNMENT = 64
_ROWS_AHEAD = 4
_SHORT_ROW = 1 << 16        # bytes of a row that a cache holds beside what it is needed for
_MOST_FACTORS = 1 << 18     # bytes of a table: larger ones are products of two
_LONGEST_BESIDE = 1 << 10   # of the convolution, where rows that need one go side by side


@record
class Rows:
    """Rows to transform: where, how many, whether real, in what direction."""

    n: int
    rows: int
    source: Place
    target: Place
    inverse: bool
    scale: float
    real_in: bool = False
    real_out: bool = False


@record(frozen=False)
class Planner:
    """The stages of one transform, and the tables that they need."""

    dtype: np.dtype[Any]   # of real parts
    lanes: int
    threads: int
    tables: tables.Tables = field(init=False)
    sections: list[Section] = field(default_factory=list)
    shared: dict[int, int] = field(default_factory=dict)   # area -> bytes
    own: dict[int, int] = field(default_factory=dict)
    buffer: int = 0   # elements of the longest transform in lanes
    alone: bool = False   # whether a thread does whole rows, with memory of its own

    def __post_init__(self) -> None:
        self.tables = tables.Tables(self.dtype)

    @property
    def number(self) -> int:
        """Bytes of a complex number."""
        return 2 * self.dtype.itemsize

    @property
    def block(self) -> int:
        """Bytes of an element with all its lanes."""
        return self.number * self.lanes

    def padded(self, count: int) -> int:
        """So many, in whole vectors."""
        return -(-count // self.lanes) * self.lanes

    # -- cores ------------------------------------------------------------------------------------

    def cores(self, n: int) -> tuple[Core, ...]:
        """The calls that transform n elements in a buffer."""
        self.buffer = max(self.buffer, self.padded(n))
        if factors.is_smooth(n):
            return self._passes(n)
        m = factors.convolution_length(n)
        self.buffer = max(self.buffer, self.padded(m))
        chirp, back = (self.tables.place((f, n)) for f in (tables.chirp, tables.chirp_back))
        middle = self.tables.place((tables.chirp_transform, n))
        return ((MULTIPLY, chirp, n, m), *self._passes(m), (MULTIPLY_SWAPPED, middle, m, m),
                *self._passes(m), (MULTIPLY_SWAPPED, back, n, n))

    def _passes(self, n: int) -> tuple[Core, ...]:
        found, stride = [], 1
        for radix in factors.radices(n):
            count = n // radix // stride
            table = self.tables.place((tables.pass_factors, radix, count)) if count > 1 else 0
            found.append((pass_number(radix, count == 1), table, count, stride))
            stride *= radix
        return tuple(found)

    # -- stages -----------------------------------------------------------------------------------

    def columns(self, rows: int, n: int, inner: int, source: int, target: int,
                inverse: bool) -> None:
        """The axis n of an array [rows, n, inner]."""
        place = Place(source, row=n * inner * self.number, item=self.block,
                      stride=inner * self.number, ahead=_ROWS_AHEAD * inner * self.number)
        self.sections.append(Section([Stage(
            Kind.LANES, rows, -(-inner // self.lanes), place, replace(place, area=target), n, n,
            lines.COLUMNS, lines.COLUMNS, inner, inverse, inverse, cores=self.cores(n))]))

    def beside(self, x: Rows, cores: tuple[Core, ...] = (), read: int = 0,
               stored: int = 0) -> list[Stage]:
        """Rows side by side in lanes; by these cores, and of other lengths, if they are given."""
        load = lines.REAL_ROWS if x.real_in else lines.ROWS
        store = lines.REAL_ROWS if x.real_out else lines.ROWS

        def place(where: Place) -> Place:
            return replace(where, row=0, item=where.row * self.lanes, stride=where.row)

        # Cores of their own exchange the parts themselves.
        return [Stage(Kind.LANES, 1, -(-x.rows // self.lanes), place(x.source), place(x.target),
                      read or x.n, stored or x.n, load, store, x.rows, x.inverse and not cores,
                      x.inverse, x.scale, cores=cores or self.cores(x.n))]

    def _real_beside(self, kind: str, x: Rows) -> list[Stage]:
        """Rows of real numbers, or back to such, side by side in lanes."""
        half = x.n // 2
        self.buffer = max(self.buffer, self.padded(half + 1))
        if kind == "RFFT" and x.n % 2:
            return self.beside(replace(x, real_in=True), stored=half + 1)
        if kind == "IRFFT" and x.n % 2:
            cores = ((MIRROR, 0, x.n, 0), *self.cores(x.n))
            return self.beside(replace(x, real_out=True), cores, read=half + 1)
        roots, cores = self.tables.place((tables.half_roots, half)), self.cores(half)
        if kind == "RFFT":
            return self.beside(replace(x, n=half), (*cores, (UNFOLD, roots, half, 0)),
                               stored=half + 1)
        return self.beside(replace(x, n=half, scale=2 * x.scale),
                           ((FOLD, roots, half, 0), *cores), read=half + 1)

    def split(self, x: Rows) -> list[Stage]:
        """Rows as matrices [first, second]."""
        parts = factors.split(x.n, self.lanes)
        assert parts is not None, "only what can be split is"
        first, second = parts
        wide = self.padded(second) * self.block
        size_in, size_out = (self.number // (2 if real else 1) for real in (x.real_in, x.real_out))
        load = lines.REAL_COLUMNS if x.real_in else lines.COLUMNS
        store = lines.REAL_COLUMNS if x.real_out else lines.COLUMNS
        row = self.take(HERE, x.rows, self.padded(first) // self.lanes * wide)
        shape = (first, second, self.lanes)
        elements = self.padded(first)
        between: dict[str, Any]
        if elements * self.padded(second) * self.number <= _MOST_FACTORS:
            between = {"store": lines.BLOCKS, "table_item": elements * self.block,
                       "table": self.tables.place((tables.between_factors, *shape))}
        else:
            between = {"store": lines.BLOCKS_TWICE, "turns_item": elements * self.number,
                       "table": self.tables.place((tables.lane_factors, *shape)),
                       "turns": self.tables.place((tables.item_factors, *shape))}
        return [
            Stage(Kind.LANES, x.rows, -(-second // self.lanes),
                  replace(x.source, item=self.lanes * size_in, stride=second * size_in,
                          ahead=self._ahead(x.source, second * size_in)),
                  Place(HERE, row, self.lanes * self.block, wide), first, first,
                  load, lanes=second, swap_in=x.inverse, cores=self.cores(first), **between),
            Stage(Kind.LANES, x.rows, -(-first // self.lanes), Place(HERE, row, wide),
                  replace(x.target, item=self.lanes * size_out, stride=first * size_out,
                          ahead=self._ahead(x.target, first * size_out)),
                  second, second, lines.BLOCKS, store, first, swap_out=x.inverse,
                  scale=x.scale, cores=self.cores(second))]

    def _ahead(self, rows: Place, stride: int) -> int:
        """Bytes to what should be on its way: the next row; in a long one, some rows of its matrix
        further on, since its next columns may lie in the same few places of a cache as these.
        """
        return rows.row if self.alone and rows.row <= _SHORT_ROW else _ROWS_AHEAD * stride

    def convolved(self, x: Rows) -> list[Stage]:
        """Rows of any length, by transforms of a longer one."""
        m = factors.convolution_length(x.n)
        there = Place(THERE, self.take(THERE, x.rows, m * self.number))
        whole = Rows(m, x.rows, there, there, False, 1.0)
        chirp = self.tables.place((tables.chirp, x.n))
        middle = self.tables.place((tables.chirp_transform, x.n))
        # Between the two transforms parts change places, which makes the second the inverse one.
        return [
            self.along(Kind.MULTIPLY, replace(x, target=there), x.n, m, swap_in=x.inverse,
                       load=x.real_in, table=chirp),
            *self.split(whole),
            self.along(Kind.MULTIPLY, whole, m, m, swap_out=True, table=middle),
            *self.split(whole),
            self.along(Kind.MULTIPLY, replace(x, source=there), x.n, x.n, swap_in=True,
                       swap_out=x.inverse, store=x.real_out, table=chirp, scale=x.scale)]

    def along(self, kind: Kind, x: Rows, size: int, stored: int, **more: Any) -> Stage:
        """A stage whose items are parts of a row."""
        numbers = stored if kind in (Kind.COPY, Kind.MULTIPLY) else size // 2 + 1
        return Stage(kind, x.rows, max(1, -(-numbers // PART)), x.source, x.target, size,
                     stored, **more)

    def take(self, area: int, rows: int, nbytes: int) -> int:
        """Room for rows in an area; bytes from one to the next."""
        nbytes = _aligned(nbytes)
        if self.alone:
            self.own[area] = max(self.own.get(area, 0), nbytes)
            return 0
        self.shared[area] = max(self.shared.get(area, 0), nbytes * rows)
        return nbytes

    # -- the last axis ----------------------------------------------------------------------------

    def last_axis(self, kind: str, x: Rows) -> None:
        """Rows of one of the four kinds of transform."""
        halved = kind in ("RFFT", "IRFFT") and x.n % 2 == 0
        way = self._way(x.n // 2 if halved else x.n, x.rows)
        # Threads do whole rows if there are enough for all.
        self.alone = x.rows >= 2 * self.threads and way != self.beside
        if self.alone:
            x = replace(x, source=replace(x.source, ahead=x.source.row),
                        target=replace(x.target, ahead=x.target.row))
        if kind not in ("RFFT", "IRFFT"):
            stages = way(x)
        elif way == self.beside:
            stages = self._real_beside(kind, x)
        else:
            stages = (self._half_of_real if kind == "RFFT" else self._real_of_half)(x, way)
        self.sections.append(Section(stages, x.rows if self.alone else 0))

    def _way(self, n: int, rows: int) -> Callable[[Rows], list[Stage]]:
        """What suits so many rows of complex numbers."""
        if factors.is_smooth(n):
            return self.split if factors.prefers_split(n, rows, self.lanes) else self.beside
        beside = factors.convolution_length(n) <= _LONGEST_BESIDE
        return self.beside if beside else self.convolved

    def _half_of_real(self, x: Rows, way: Callable[[Rows], list[Stage]]) -> list[Stage]:
        """The first half of the transform of rows of real numbers."""
        half = x.n // 2
        if x.n % 2:
            spare = Place(FOLDED, self.take(FOLDED, x.rows, x.n * self.number))
            return [*way(replace(x, target=spare, real_in=True)),
                    self.along(Kind.COPY, replace(x, source=spare), half + 1, half + 1)]
        roots = self.tables.place((tables.half_roots, half))
        spare = x.target
        if self.alone:  # in a cache, and in whole lines
            spare = Place(FOLDED, self.take(FOLDED, x.rows, (half + 1) * self.number))
        return [*way(replace(x, n=half, target=spare)),
                self.along(Kind.UNFOLD, replace(x, source=spare), half, half, table=roots)]

    def _real_of_half(self, x: Rows, way: Callable[[Rows], list[Stage]]) -> list[Stage]:
        """Rows of real numbers of the first halves of their transforms."""
        half = x.n // 2
        spare = Place(FOLDED, self.take(FOLDED, x.rows, x.n * self.number))
        if x.n % 2:
            return [self.along(Kind.MIRROR, replace(x, target=spare), x.n, x.n),
                    *way(replace(x, source=spare, real_out=True))]
        roots = self.tables.place((tables.half_roots, half))
        return [self.along(Kind.FOLD, replace(x, target=spare), half, half, table=roots),
                *way(replace(x, n=half, source=spare, scale=2 * x.scale))]

    # -- all of it --------------------------------------------------------------------------------

    def program(self) -> Program:
        """What was planned."""
        own: dict[int, int] = {}
        end = 2 * self.buffer * self.block
        for area, nbytes in self.own.items():
            own[area], end = end, end + nbytes
        shared: dict[int, int] = {}
        shared_end = 0
        for area, nbytes in self.shared.items():
            shared[area], shared_end = shared_end, shared_end + nbytes
        sections = [replace(section, stages=[self._finished(stage) for stage in section.stages])
                    for section in self.sections]
        return Program(sections, self.threads, shared, own, shared_end, end)

    def _finished(self, stage: Stage) -> Stage:
        """The stage with what is known at the end, and what follows from the rest."""
        passes = len(stage.cores) if all(core[0] > MIRROR for core in stage.cores) else 0
        return replace(stage, buffer=self.buffer * self.block,
                       first_reads=stage.load == lines.COLUMNS and passes > 1,
                       last_writes=stage.store == lines.COLUMNS and passes > 0)


def plan(kind: str, lengths: tuple[int, ...], x: Type, lanes: int,
         threads: int) -> tuple[Program, np.ndarray[Any, Any]]:
    """The program of a transform and its table; nothing of it is empty."""
    planner = Planner(dt.to_real(x.dtype), lanes, threads)
    inverse, rank = kind.startswith("I"), len(lengths)
    n, rows = lengths[-1], math.prod(x.shape[:-1])
    scale = 1 / math.prod(lengths) if inverse else 1.0
    bytes_in = x.shape[-1] * x.dtype.itemsize
    width = n // 2 + 1 if kind == "RFFT" else n
    bytes_out = width * planner.dtype.itemsize * (1 if kind == "IRFFT" else 2)
    source, target = Place(OPERAND, bytes_in), Place(RESULT, bytes_out)
    axes = range(x.rank - rank, x.rank - 1)
    if kind == "IRFFT" and axes:
        planner.shared[WHOLE] = _aligned(x.nbytes)
        for k, axis in enumerate(axes):
            planner.columns(math.prod(x.shape[:axis]), x.shape[axis],
                            math.prod(x.shape[axis + 1:]), WHOLE if k else OPERAND, WHOLE, inverse)
        source = replace(source, area=WHOLE)
    planner.last_axis(kind, Rows(n, rows, source, target, inverse, scale))
    if kind != "IRFFT":
        for axis in axes:
            planner.columns(math.prod(x.shape[:axis]), x.shape[axis],
                            math.prod(x.shape[axis + 1:-1]) * width, RESULT, RESULT, inverse)
    return planner.program(), planner.tables.joined()


def _aligned(nbytes: int) -> int:
    return -(-nbytes // _ALIGNMENT) * _ALIGNMENT

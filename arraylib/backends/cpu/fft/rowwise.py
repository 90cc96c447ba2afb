"""Stages that go along rows: factors, and what makes transforms of real numbers of complex ones.

Let z[j] = x[2 j] + i x[2 j + 1] for real x[0:2 h], Z and X the transforms of z and x, w the root
exp(-2 pi i / (2 h)). Then for 0 <= k <= h, with Z[h] = Z[0],

    X[k] = even + w^k odd       even = (Z[k] + conj Z[h - k]) / 2
    X[h - k] = conj(even - w^k odd)    odd = (Z[k] - conj Z[h - k]) / 2i

An item is a part of a row, PART numbers or pairs of them long.
"""

from __future__ import annotations

from collections.abc import Callable

from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.fft.butterfly import Complex
from arraylib.backends.cpu.fft.stage import STAGE_PARAMETERS, Frame, pointer
from arraylib.backends.cpu.fft.vectors import (
    ask,
    lanes_of,
    load_vector,
    store_vector,
    swap_mask,
    swapped_if,
)
from arraylib.backends.cpu.fft.words import TABLE, Word

PART = 1 << 12


def define_rowwise(module: Module, element: str) -> None:
    """The functions of these stages."""
    _define_copy(module, element, multiply=False)
    _define_copy(module, element, multiply=True)
    _define_pairs(module, element, folds=False)
    _define_pairs(module, element, folds=True)
    _define_mirror(module, element)


class _Row:
    """A stage under construction, and numbers of its row by place."""

    def __init__(self, module: Module, name: str, element: str) -> None:
        self.f = Function(module, name, STAGE_PARAMETERS)
        self.frame = Frame(self.f)
        self.element, self.lanes = element, lanes_of(module, element)
        self.source, self.target = self.frame.place(Word.FROM), self.frame.place(Word.TO)
        self.table = self.f.gep(pointer(self.f, self.frame.areas, TABLE),
                                self.frame.word(Word.TABLE), "i8")

    def at(self, base: Reg, k: Reg) -> Reg:
        """Where the k-th complex number is."""
        return self.f.gep(base, k * 2, self.element)

    def load(self, base: Reg, k: Reg, valid: Reg | None = None) -> Complex:
        return load_vector(self.f, self.at(base, k), self.element, valid)

    def one(self, base: Reg, k: Reg) -> tuple[Reg, Reg]:
        """A single number."""
        place = self.at(base, k)
        return (self.f.load(place, self.element),
                self.f.load(self.f.gep(place, 1, self.element), self.element))

    def put(self, re: Reg, im: Reg | float, base: Reg, k: Reg) -> None:
        """A single number, written."""
        place = self.at(base, k)
        im = im if isinstance(im, Reg) else self.f.const(self.element, im)
        self.f.store(re, place)
        self.f.store(im, self.f.gep(place, 1, self.element))

    def backwards(self, x: Complex) -> Complex:
        order = range(self.lanes - 1, -1, -1)
        return Complex(self.f.shuffle(x.re, None, order), self.f.shuffle(x.im, None, order))

    def _behind(self, valid: Reg) -> Reg:
        """A mask of the last numbers of a vector."""
        count = 2 * self.lanes
        type = f"<{count} x i64>"
        first = self.f.splat(-(valid * 2) + count, count)
        return self.f.compare("uge", self.f.iota(type), first)

    def load_backwards(self, base: Reg, k: Reg, valid: Reg | None) -> Complex:
        """The k-th number and those before it, as many as are valid."""
        f, place = self.f, self.at(base, k - (self.lanes - 1))
        if valid is None:
            return self.backwards(load_vector(f, place, self.element, None))
        count = 2 * self.lanes
        x = f.masked_load(place, f"<{count} x {self.element}>", self._behind(valid))
        return self.backwards(Complex(f.shuffle(x, None, range(0, count, 2)),
                                      f.shuffle(x, None, range(1, count, 2))))

    def store_backwards(self, x: Complex, base: Reg, k: Reg, valid: Reg | None) -> None:
        """The k-th number and those before it, written."""
        f, place, x = self.f, self.at(base, k - (self.lanes - 1)), self.backwards(x)
        if valid is None:
            store_vector(f, x, place, self.element, None)
            return
        joined = f.shuffle(x.re, x.im, [k // 2 + k % 2 * self.lanes
                                        for k in range(2 * self.lanes)])
        f.masked_store(joined, place, self._behind(valid))

    def part(self, low: int, end: Reg) -> tuple[Reg, Reg]:
        """The item's share of the places from `low` to `end`."""
        start = self.frame.item * PART + low
        return start, self.f.minimum(start + PART, end)


def _define_copy(module: Module, element: str, multiply: bool) -> None:
    """The numbers of a row, zeros after them: parts exchanged, times a table, scaled."""
    row = _Row(module, "stage_multiply" if multiply else "stage_copy", element)
    f, frame = row.f, row.frame

    def by_kind(word: Word, body: Callable[[bool], None]) -> None:
        f.branch(f.compare("ne", frame.word(word), 0), lambda: body(True), lambda: body(False))

    by_kind(Word.LOAD, lambda real_in: by_kind(
        Word.STORE, lambda real_out: _copy(row, multiply, real_in, real_out)))
    f.ret()


def _copy(row: _Row, multiply: bool, real_in: bool, real_out: bool) -> None:
    f, frame, lanes, element = row.f, row.frame, row.lanes, row.element
    count, total = frame.word(Word.SIZE), frame.word(Word.STORED)
    turn_in, turn_out = (swap_mask(f, element, frame.word(w))
                         for w in (Word.SWAP_IN, Word.SWAP_OUT))
    scale = f.cast("fptrunc", f.bitcast(frame.word(Word.SCALE), "double"), element)
    factor = f.splat(scale, lanes)

    def at(base: Reg, j: Reg, real: bool) -> Reg:
        return f.gep(base, j if real else j * 2, element)

    def vector(j: Reg, valid: Reg | None, stored: Reg | None) -> None:
        x = load_vector(f, at(row.source, j, real_in), element, valid, real_in)
        x = swapped_if(f, turn_in, x)
        if multiply:
            x = x * row.load(row.table, j, valid)
        x = swapped_if(f, turn_out, x.scaled(factor))
        store_vector(f, x, at(row.target, j, real_out), element, stored, real_out)

    def part_of_vector(j: Reg, _: list[Reg]) -> None:
        left = f.maximum(f.minimum(count - j, f.const("i64", lanes)), f.const("i64", 0))
        vector(j, left, f.minimum(total - j, f.const("i64", lanes)))

    low, end = row.part(0, total)
    full = f.maximum(f.minimum(count, end) - low, f.const("i64", 0)) & -lanes
    f.loop(low, low + full, lanes, [], lambda j, _: vector(j, None, None))
    f.loop(low + full, end, lanes, [], part_of_vector)


def _define_pairs(module: Module, element: str, folds: bool) -> None:
    """X of Z, or with `folds` Z of X; in place if need be. SIZE is h."""
    row = _Row(module, "stage_fold" if folds else "stage_unfold", element)
    f, h = row.f, row.frame.word(Word.SIZE)
    behind, ahead = row.frame.word(Word.FROM_AHEAD), row.frame.word(Word.TO_AHEAD)

    def pair(k: Reg, valid: Reg | None) -> None:
        a = row.load(row.source, k, valid)
        b = row.load_backwards(row.source, h - k, valid).conjugate()
        w = row.load(row.table, k, valid)
        even, odd = (a + b).scaled(0.5), (a - b).scaled(0.5)
        if folds:
            turned = odd * w.conjugate()
            odd = Complex(-turned.im, turned.re)
        else:
            odd = odd.times_minus_i() * w
        store_vector(f, even + odd, row.at(row.target, k), element, valid)
        row.store_backwards((even - odd).conjugate(), row.target, h - k, valid)
        for place in (k, h - k - row.lanes):
            ask(f, f.gep(row.at(row.target, place), ahead, "i8"), even.re.type, write=True)
            ask(f, f.gep(row.at(row.source, place), behind, "i8"), even.re.type)

    def ends() -> None:
        zero = f.const("i64", 0)
        if folds:
            (low, _), (high, _) = row.one(row.source, zero), row.one(row.source, h)
            row.put((low + high) * 0.5, (low - high) * 0.5, row.target, zero)
        else:
            re, im = row.one(row.source, zero)
            row.put(re - im, 0.0, row.target, h)
            row.put(re + im, 0.0, row.target, zero)

    f.branch(f.compare("eq", row.frame.item, 0), ends)
    low, end = row.part(1, h.lshr(1) + 1)
    whole = low + (f.maximum(end - low, f.const("i64", 0)) & -row.lanes)
    f.loop(low, whole, row.lanes, [], lambda k, _: pair(k, None))
    f.branch(end > whole, lambda: pair(whole, end - whole))
    f.ret()


def _define_mirror(module: Module, element: str) -> None:
    """A whole row of SIZE numbers of its first half; the number behind the middle is not there.

    What should be real, the first number, is taken as real.
    """
    row = _Row(module, "stage_mirror", element)
    f, n, lanes = row.f, row.frame.word(Word.SIZE), row.lanes

    def copy(k: Reg, valid: Reg | None) -> None:
        x = row.load(row.source, k, valid)
        store_vector(f, x, row.at(row.target, k), element, valid)
        row.store_backwards(x.conjugate(), row.target, n - k, valid)

    def first() -> None:
        re, _ = row.one(row.source, f.const("i64", 0))
        row.put(re, 0.0, row.target, f.const("i64", 0))

    f.branch(f.compare("eq", row.frame.item, 0), first)
    low, end = row.part(1, (n + 1).lshr(1))
    whole = low + (f.maximum(end - low, f.const("i64", 0)) & -lanes)
    f.loop(low, whole, lanes, [], lambda k, _: copy(k, None))
    f.branch(end > whole, lambda: copy(whole, end - whole))
    f.ret()

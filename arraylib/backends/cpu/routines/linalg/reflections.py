"""QR by reflections: a few columns of all rows at a time, and what goes with many at once.

The columns are packed in panels of as many rows as a tile has columns, each with one column after
the other, so that a vector is of different rows of one column. A pass over the panels takes a
reflection's multiples from the columns after it, and adds up the products of the next column with
all of these, from which the next reflection is known at once.

Where squares might overflow or underflow, or a product has, a reflection is found in passes of its
own, with a column that is scaled (as LAPACK's `larfg` does).
"""

from __future__ import annotations

from collections.abc import Callable

from arraylib.backends.cpu.emitter import Function, Module, Reg, bits, element_bytes, vector
from arraylib.backends.cpu.gemm.tile import Tile
from arraylib.backends.cpu.routines.linalg.follow import (
    define_divided,
    do,
    number,
    place,
    scratch,
    share,
    step_function,
)
from arraylib.backends.cpu.routines.linalg.tape import HEAD_BYTES, Step

# Powers of two by bits of a number: between which squares of lengths are well within range; beyond
# which a column is scaled, and by how much.
_USUAL = {32: 40, 64: 400}
_FAR = {32: 60, 64: 450}
_SCALE = {32: 100, 64: 800}

# -- a few columns ---------------------------------------------------------------------------------


def define_reflect(module: Module, tile: Tile) -> None:
    """The step `reflect`: R, vectors and factors of at most `tile.columns` columns."""
    _define_products(module, tile)
    _define_careful(module, tile)
    _define_pass(module, tile)
    _define_column(module, tile)
    width = tile.columns
    f, arrays, words = step_function(module, Step.REFLECT)
    start, row = place(f, arrays, words, 0, tile.stored), number(f, words, 2)
    m, n = number(f, words, 3), number(f, words, 4)
    tau = place(f, arrays, words, 5, tile.stored)
    room = f.gep(scratch(f, arrays), HEAD_BYTES, "i8")
    sums = f.alloca(tile.compute, width * tile.lanes, align=64)
    one, zero = f.const("i64", 1), f.const("i64", 0)

    def moved(name: str) -> None:
        f.loop(0, m, width, [], lambda i, _: do(
            f, name, f.gep(start, i * row, tile.stored), row, one,
            f.gep(room, i * width, tile.compute), m - i, n))

    moved("pack_panel")
    _clear_missing(f, tile, room, m, n)
    f.call("column_products", "void", [room, m, n, zero, sums])
    f.loop(0, f.minimum(m, n), 1, [], lambda j, _: do(
        f, "reflect_column", room, m, n, j, sums, f.gep(tau, j, tile.stored)))
    moved("unpack_panel")
    f.ret()


def _clear_missing(f: Function, tile: Tile, room: Reg, m: Reg, n: Reg) -> None:
    """Zeros for the rows that the last panel has too many."""
    last = (m - 1) & -tile.columns
    panel = f.gep(room, last * tile.columns, tile.compute)
    zero = f.const(vector(tile.compute, tile.lanes), 0.0)

    def column(k: Reg, _: list[Reg]) -> None:
        for at, spot in zip(_places(tile), _spots(f, tile, panel, k), strict=True):
            inside = f.first_lanes(f.maximum(m - last - at, 0), tile.lanes)
            f.store(f.select(inside, f.load(spot, zero.type), zero), spot)

    missing = f.compare("ne", m & (tile.columns - 1), 0)
    f.loop(0, f.select(missing, n, f.const("i64", 0)), 1, [], column)


def _places(tile: Tile) -> range:
    return range(0, tile.columns, tile.lanes)


def _spots(f: Function, tile: Tile, panel: Reg, column: Reg) -> list[Reg]:
    """Where the vectors of a panel's column are."""
    line = f.gep(panel, column * tile.columns, tile.compute)
    return [f.gep(line, at, tile.compute) for at in _places(tile)]


def _values(f: Function, tile: Tile, panel: Reg, column: Reg) -> list[Reg]:
    type = vector(tile.compute, tile.lanes)
    return [f.load(spot, type) for spot in _spots(f, tile, panel, column)]


def _after(f: Function, tile: Tile, j: Reg) -> list[Reg]:
    """Which rows of the first panel are below row j."""
    return [f.compare("sgt", f.iota(vector("i64", tile.lanes)) + at, f.splat(j, tile.lanes))
            for at in _places(tile)]


def _each_panel(f: Function, tile: Tile, room: Reg, m: Reg, carried: list[Reg],
                body: Callable[[Reg, bool, list[Reg]], list[Reg]]) -> list[Reg]:
    """`body(panel, first, carried)`: of the first panel only the rows below some row count."""
    carried = body(room, True, carried)
    return f.loop(tile.columns, m, tile.columns, carried, lambda i, found: body(
        f.gep(room, i * tile.columns, tile.compute), False, found))


def _add_products(f: Function, tile: Tile, xs: list[Reg], ys: list[Reg], spot: Reg, *,
                  first: bool) -> None:
    """The products of two columns of a panel are added to a vector in memory; or it begins."""
    type = vector(tile.compute, tile.lanes)
    total = f.const(type, 0.0) if first else f.load(spot, type)
    for x, y in zip(xs, ys, strict=True):
        total = f.fma(x, y, total)
    f.store(total, spot)


def _sum_at(f: Function, tile: Tile, sums: Reg, k: Reg) -> Reg:
    return f.gep(sums, k * tile.lanes, tile.compute)


def _sum(f: Function, tile: Tile, sums: Reg, k: Reg) -> Reg:
    type = vector(tile.compute, tile.lanes)
    return f.horizontal("add", f.load(_sum_at(f, tile, sums, k), type))


def _below(f: Function, tile: Tile, xs: list[Reg], after: list[Reg], *, first: bool) -> list[Reg]:
    """A panel's column, in the first one zero but for the rows below some row."""
    zero = f.const(vector(tile.compute, tile.lanes), 0.0)
    return [f.select(mask, x, zero) for mask, x in zip(after, xs, strict=True)] if first else xs


def _define_products(module: Module, tile: Tile) -> None:
    """`column_products(room, m, n, j, sums)`: column j, below row j, by the columns from j on."""
    f = Function(module, "column_products", [
        ("ptr noalias", "room"), ("i64", "m"), ("i64", "n"), ("i64", "j"),
        ("ptr noalias", "sums")])
    room, m, n, j, sums = f.args
    after = _after(f, tile, j)

    def panel(panel: Reg, first: bool, _: list[Reg]) -> list[Reg]:
        own = _below(f, tile, _values(f, tile, panel, j), after, first=first)
        f.loop(j, n, 1, [], lambda k, _: _add_products(
            f, tile, own, _values(f, tile, panel, k), _sum_at(f, tile, sums, k), first=first))
        return []

    _each_panel(f, tile, room, m, [], panel)
    f.ret()


def _define_pass(module: Module, tile: Tile) -> None:
    """`reflect_rows(room, m, n, j, scale, multiples, sums)`: rows less v by their multiples.

    Column j, from row j on, is given as scale v, and becomes v below its diagonal. The sums are
    those of the next column's products, below its diagonal.
    """
    f = Function(module, "reflect_rows", [
        ("ptr noalias", "room"), ("i64", "m"), ("i64", "n"), ("i64", "j"),
        (tile.compute, "scale"), ("ptr noalias", "multiples"), ("ptr noalias", "sums")])
    room, m, n, j, scale, multiples, sums = f.args
    after, following = _after(f, tile, j), _after(f, tile, j + 1)
    here = _after(f, tile, j - 1)
    wide, one = f.splat(scale, tile.lanes), f.const(vector(tile.compute, tile.lanes), 1.0)

    def panel(panel: Reg, first: bool, _: list[Reg]) -> list[Reg]:
        given = _values(f, tile, panel, j)
        scaled = [x * wide for x in given]
        v = scaled
        if first:
            v = [f.select(mask, x, one) for mask, x in zip(after, scaled, strict=True)]
            scaled = [f.select(mask, x, old)
                      for mask, x, old in zip(after, scaled, given, strict=True)]
        for x, spot in zip(scaled, _spots(f, tile, panel, j), strict=True):
            f.store(x, spot)
        negative = [-x for x in v]

        def less(k: Reg) -> list[Reg]:
            factor = f.splat(f.load(f.gep(multiples, k, tile.compute), tile.compute), tile.lanes)
            olds = _values(f, tile, panel, k)
            news = [f.fma(x, factor, old) for x, old in zip(negative, olds, strict=True)]
            if first:
                news = [f.select(mask, x, old)
                        for mask, x, old in zip(here, news, olds, strict=True)]
            for x, spot in zip(news, _spots(f, tile, panel, k), strict=True):
                f.store(x, spot)
            return news

        def later() -> None:
            found = less(j + 1)
            own = _below(f, tile, found, following, first=first)
            _add_products(f, tile, own, found, _sum_at(f, tile, sums, j + 1), first=first)
            f.loop(j + 2, n, 1, [], lambda k, _: _add_products(
                f, tile, own, less(k), _sum_at(f, tile, sums, k), first=first))

        f.branch(j + 1 < n, later)
        return []

    _each_panel(f, tile, room, m, [], panel)
    f.ret()


def _define_column(module: Module, tile: Tile) -> None:
    """`reflect_column(room, m, n, j, sums, tau)`: reflection j, and what it does to all rows."""
    f = Function(module, "reflect_column", [
        ("ptr", "room"), ("i64", "m"), ("i64", "n"), ("i64", "j"), ("ptr", "sums"),
        ("ptr", "tau")])
    room, m, n, j, sums, tau = f.args
    type = tile.compute
    multiples, found = f.alloca(type, tile.columns, align=64), f.alloca(type, 3)
    diagonal = f.gep(room, j * (tile.columns + 1), type)
    alpha, rest = f.load(diagonal, type), _sum(f, tile, sums, j)
    square = f.fma(alpha, alpha, rest)
    usual = 2.0**_USUAL[bits(type)]
    wide = vector(type, tile.lanes)
    (odd,) = f.loop(j + 1, n, 1, [f.const(wide, 0.0)], lambda k, odd: [  # nan if one is no number
        f.fma(f.load(_sum_at(f, tile, sums, k), wide), 0.0, odd[0])])
    fine = (f.compare("ogt", rest, 0.0) & f.compare("olt", square, usual)
            & f.compare("ogt", square, 1 / usual) & ~f.any(f.compare("uno", odd, odd)))

    def quick() -> None:
        beta = -f.copysign(f.intrinsic("llvm.sqrt", square), alpha)
        values = beta, (beta - alpha) / beta, f.const(type, 1.0) / (alpha - beta)
        for i, x in enumerate(values):
            f.store(x, f.gep(found, i, type))

    f.branch(fine, quick, lambda: do(f, "reflect_with_care", room, m, n, j, sums, found))
    beta, factor, scale = (f.load(f.gep(found, i, type), type) for i in range(3))
    some = f.compare("une", factor, 0.0)

    def multiple(k: Reg, _: list[Reg]) -> None:
        x = f.load(f.gep(room, k * tile.columns + j, type), type)
        found = factor * f.fma(_sum(f, tile, sums, k), scale, x)
        f.store(f.select(some, found, f.const(type, 0.0)), f.gep(multiples, k, type))

    f.loop(j + 1, n, 1, [], multiple)
    f.store(beta, diagonal)
    f.store(factor, tau)
    f.call("reflect_rows", "void", [room, m, n, j, scale, multiples, sums])
    f.ret()


def _define_careful(module: Module, tile: Tile) -> None:
    """`reflect_with_care(room, m, n, j, sums, found)`: v, its products, beta, tau and a scale of 1.

    Where there is nothing to eliminate tau is 0.
    """
    f = Function(module, "reflect_with_care", [
        ("ptr", "room"), ("i64", "m"), ("i64", "n"), ("i64", "j"), ("ptr", "sums"),
        ("ptr", "found")])
    room, m, n, j, sums, found = f.args
    type, wide = tile.compute, vector(tile.compute, tile.lanes)
    key, far, power = f"i{bits(type)}", _FAR[bits(type)], 2.0**_SCALE[bits(type)]
    after = _after(f, tile, j)

    def column(panel: Reg, first: bool) -> list[Reg]:
        return _below(f, tile, _values(f, tile, panel, j), after, first=first)

    def larger(panel: Reg, first: bool, most: list[Reg]) -> list[Reg]:  # nan is above all
        return [f.maximum(x, f.bitcast(f.absolute(y), x.type))
                for x, y in zip(most, column(panel, first), strict=True)]

    keys = [f.const(vector(key, tile.lanes), 0)] * tile.vectors
    most = _each_panel(f, tile, room, m, keys, larger)
    below = f.horizontal("max", f.maximum(most[0], most[-1]))
    given = f.load(f.gep(room, j * (tile.columns + 1), type), type)
    largest = f.bitcast(f.maximum(below, f.bitcast(f.absolute(given), key)), type)
    factor = f.select(f.compare("ogt", largest, 2.0**far), f.const(type, 1 / power), f.select(
        f.compare("olt", largest, 2.0**-far), f.const(type, power), f.const(type, 1.0)))
    factors = f.splat(factor, tile.lanes)

    def squares(panel: Reg, first: bool, totals: list[Reg]) -> list[Reg]:
        scaled = [x * factors for x in column(panel, first)]
        return [f.fma(x, x, total) for x, total in zip(scaled, totals, strict=True)]

    parts = _each_panel(f, tile, room, m, [f.const(wide, 0.0)] * tile.vectors, squares)
    rest = f.horizontal("add", parts[0] + parts[-1])
    alpha = given * factor
    beta = -f.copysign(f.intrinsic("llvm.sqrt", f.fma(alpha, alpha, rest)), alpha)
    nothing, one = f.compare("eq", below, 0), f.const(type, 1.0)
    divisors = f.splat(f.select(nothing, one, alpha - beta), tile.lanes)

    def divide(panel: Reg, first: bool, _: list[Reg]) -> list[Reg]:
        olds, spots = _values(f, tile, panel, j), _spots(f, tile, panel, j)
        for x, spot, mask in zip(olds, spots, after, strict=True):
            v = x * factors / divisors
            f.store(f.select(mask, v, x) if first else v, spot)
        return []

    _each_panel(f, tile, room, m, [], divide)
    values = (f.select(nothing, given, beta / factor),
              f.select(nothing, f.const(type, 0.0), (beta - alpha) / beta), one)
    for i, x in enumerate(values):
        f.store(x, f.gep(found, i, type))
    f.call("column_products", "void", [room, m, n, j, sums])
    f.ret()


# -- many together ---------------------------------------------------------------------------------


def define_unit(module: Module, tile: Tile) -> None:
    """The step `unit`: vectors of reflections, with their ones and zeros."""
    def body(f: Function, arrays: Reg, words: Reg, chunk: Reg, chunks: Reg) -> None:
        source, target = (place(f, arrays, words, i, tile.stored) for i in (0, 3))
        steps, rows, columns = [number(f, words, i) for i in (2, 5)], *(
            number(f, words, i) for i in (6, 7))
        type, one = vector(tile.stored, tile.lanes), f.const(tile.stored, 1.0)

        def row(i: Reg, _: list[Reg]) -> None:
            line, copy = (f.gep(x, i * step, tile.stored)
                          for x, step in zip((source, target), steps, strict=True))
            count = f.minimum(i, columns)

            def some(at: Reg, _: list[Reg]) -> None:
                known, whole = (f.first_lanes(f.maximum(n - at, 0), tile.lanes)
                                for n in (count, columns))
                x = f.masked_load(f.gep(line, at, tile.stored), type, known)
                f.masked_store(x, f.gep(copy, at, tile.stored), whole)

            f.loop(0, columns, tile.lanes, [], some)
            f.branch(i < columns, lambda: f.store(one, f.gep(copy, i, tile.stored)))

        first, last = share(rows, chunk, chunks)
        f.loop(first, last, 1, [], row)

    define_divided(module, Step.UNIT, 8, body)


def define_reciprocal(module: Module, tile: Tile) -> None:
    """The step `reciprocal`: on a diagonal 1 / x."""
    f, arrays, words = step_function(module, Step.RECIPROCAL)
    x, target = (place(f, arrays, words, i, tile.stored) for i in (0, 2))
    step, one = number(f, words, 4) + 1, f.const(tile.stored, 1.0)
    f.loop(0, number(f, words, 5), 1, [], lambda i, _: f.store(
        one / f.load(f.gep(x, i, tile.stored), tile.stored), f.gep(target, i * step, tile.stored)))
    f.ret()


def define_identity(module: Module, tile: Tile) -> None:
    """The step `identity`: ones on the diagonal, zeros elsewhere."""
    def body(f: Function, arrays: Reg, words: Reg, chunk: Reg, chunks: Reg) -> None:
        start = place(f, arrays, words, 0, tile.stored)
        step, rows, columns = (number(f, words, i) for i in (2, 3, 4))
        nbytes = columns * element_bytes(tile.stored)

        def row(i: Reg, _: list[Reg]) -> None:
            line = f.gep(start, i * step, tile.stored)
            do(f, "llvm.memset.p0.i64", line, f.const("i8", 0), nbytes, f.const("i1", 0))
            f.branch(i < columns, lambda: f.store(f.const(tile.stored, 1.0),
                                                  f.gep(line, i, tile.stored)))

        first, last = share(rows, chunk, chunks)
        f.loop(first, last, 1, [], row)

    define_divided(module, Step.IDENTITY, 5, body)

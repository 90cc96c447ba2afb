"""What is called for an operation: its tape, and the steps that its code must have."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.backends.cpu import pool, target
from arraylib.backends.cpu.emitter import Module
from arraylib.backends.cpu.gemm.tile import tile_for
from arraylib.backends.cpu.routines.call import Call, symbol
from arraylib.backends.cpu.routines.linalg import (
    algorithms,
    eigen,
    follow,
    lanes,
    leaves,
    lu,
    reflections,
    signatures,
    singular,
)
from arraylib.backends.cpu.routines.linalg.tape import Matrix, Step, Tape
from arraylib.hlo.ir import Type

_DTYPES = ("float32", "float64")
_SHORT = {"float32": "f32", "float64": "f64"}
_FEWEST = 8     # small matrices that are taken together
_DIVISIBLE = 4  # matrices for each thread, if each is to have some whole ones

_STEPS = {
    "cholesky": (Step.PRODUCT, Step.COPY, Step.SOLVE, Step.CHOLESKY, Step.TRIANGLE),
    "triangular_solve": (Step.PRODUCT, Step.COPY, Step.SOLVE),
    "getrf": (Step.PRODUCT, Step.COPY, Step.SOLVE, Step.LU, Step.SWAP, Step.SINGULAR),
    "gesv": (Step.PRODUCT, Step.COPY, Step.SOLVE, Step.LU, Step.SWAP, Step.SINGULAR),
    "permutation": (Step.ORDER,),
    "geqrf": (Step.PRODUCT, Step.COPY, Step.SOLVE, Step.REFLECT, Step.UNIT, Step.RECIPROCAL),
    "orgqr": (Step.PRODUCT, Step.SOLVE, Step.UNIT, Step.RECIPROCAL, Step.IDENTITY),
    "ormqr": (Step.PRODUCT, Step.COPY, Step.SOLVE, Step.UNIT, Step.RECIPROCAL),
}

# -- what to call ----------------------------------------------------------------------------------


def cholesky_call(attrs: dict[str, Any], operands: Sequence[Type], results: Sequence[Type]
                  ) -> Call | None:
    """The call for Cholesky factors; a failed one is nan."""
    (a,) = operands
    if dt.name(a.dtype) not in _DTYPES or not a.size:
        return None
    return _cholesky(a, attrs["lower"], pool.threads())


def solve_call(attrs: dict[str, Any], operands: Sequence[Type], results: Sequence[Type]
               ) -> Call | None:
    """The call for triangular systems."""
    a, b = operands
    if dt.name(a.dtype) not in _DTYPES or not a.size or not b.size:
        return None
    turned = attrs["transpose_a"] != "NO_TRANSPOSE"
    return _solve(a, b, attrs["left_side"], attrs["lower"], turned, attrs["unit_diagonal"],
                  pool.threads())


def lapack_call(attrs: dict[str, Any], operands: Sequence[Type], results: Sequence[Type]
                ) -> Call | None:
    """The call for a routine of LAPACK; None where types do not agree (NumPy refuses)."""
    name = attrs["routine"].name
    if not signatures.agree(attrs["routine"], operands, results):
        return None
    if name == "permutation":
        return _permutation(operands[0], results[0], pool.threads()) if results[0].size else None
    if not all(x.size for x in operands):
        return None
    return _LAPACK[name](*operands, pool.threads(), **_settings(attrs["routine"]))


def _settings(routine: Any) -> dict[str, Any]:
    """What of its settings tells calls of a routine apart."""
    if routine.name == "syevd":
        return {"lower": routine.choice("uplo") == "L"}
    return {name: bool(value) for name, value in routine.settings if routine.name == "ormqr"}


@functools.lru_cache(64)
def _getrf(a: Type, threads: int) -> Call:
    batch, inner = _threads(a, threads)
    tape, (m, n) = _tape(a, inner), a.shape[-2:]
    least, lead = min(m, n), a.shape[:-2]
    pivots, info = Type(dt.int32, (*lead, 1, least)), Type(dt.int32, (*lead, 1, 1))
    out = _whole(1, a)
    tape.copy(0, 1, m * n)
    algorithms.lu(tape, out, _whole(2, pivots))
    tape.singular(out, _whole(3, info))
    work = m * n * least
    return _call("lapack.getrf", tape, [a, a, pivots, info], batch, work, ((0, 0),))


@functools.lru_cache(64)
def _gesv(a: Type, b: Type, threads: int) -> Call:
    if _are_small(a) and b.shape[-1] <= lanes.LARGEST:
        return _small_gesv(a, b, threads)
    batch, inner = _threads(a, threads)
    tape, n, lead = _tape(a, inner), a.shape[-1], a.shape[:-2]
    types = [a, b, a, Type(dt.int32, (*lead, 1, n)), b, Type(dt.int32, (*lead, 1, 1))]
    _, _, out, pivots, x, info = map(_whole, range(6), types)
    tape.copy(0, 2, n * n)
    tape.copy(1, 4, n * b.shape[-1])
    algorithms.lu(tape, out, pivots)
    tape.singular(out, info)
    tape.swap(x, 0, pivots)
    algorithms.solve(tape, out, x, lower=True, unit=True)
    algorithms.solve(tape, out, x, lower=False, unit=False)
    work = 2 * n**3 / 3 + 2 * n * n * b.shape[-1]
    return _call("lapack.gesv", tape, types, batch, work, ((0, 0), (2, 1)))


@functools.lru_cache(64)
def _permutation(pivots: Type, order: Type, threads: int) -> Call:
    tape, lead = Tape("f32", 1, 1), order.shape[:-1]
    types = [Type(dt.int32, (*lead, 1, x.shape[-1])) for x in (pivots, order)]
    tape.order(*map(_whole, range(2), types))
    return _call("lapack.permutation", tape, types, 1, 4.0 * order.shape[-1], ())


@functools.lru_cache(64)
def _geqrf(a: Type, threads: int) -> Call:
    m, n = a.shape[-2:]
    least = min(m, n)
    batch, inner = _threads(a, threads)
    tape, factors = _tape(a, inner), a.with_shape((*a.shape[:-2], 1, least))
    tape.copy(0, 1, m * n)
    algorithms.qr(tape, _whole(1, a), _whole(2, factors))
    return _call("lapack.geqrf", tape, [a, a, factors], batch, 2.0 * m * n * least, ((0, 0),))


@functools.lru_cache(64)
def _orgqr(a: Type, tau: Type, threads: int) -> Call:
    m, n = a.shape[-2:]
    factors, (batch, inner) = _row_of(tau), _threads(a, threads)
    tape, out = _tape(a, inner), _whole(2, a)
    tape.identity(out)
    algorithms.reflect_all(tape, _whole(0, a), _whole(1, factors), out, turned=False,
                           identity=True)
    work = 2.0 * m * n * tau.shape[-1]
    return _call("lapack.orgqr", tape, [a, factors, a], batch, work, ())


@functools.lru_cache(64)
def _ormqr(a: Type, tau: Type, c: Type, threads: int, left: bool, transpose: bool) -> Call:
    """op(Q) c, or c op(Q) as the transpose of another product from the left."""
    factors, (batch, inner) = _row_of(tau), _threads(a, threads)
    tape, out, size = _tape(a, inner), _whole(3, c), math.prod(c.shape[-2:])
    tape.copy(2, 3, size)
    algorithms.reflect_all(tape, _whole(0, a), _whole(1, factors), out if left else out.T,
                           turned=transpose == left)
    work = 4.0 * size * tau.shape[-1]
    return _call("lapack.ormqr", tape, [a, factors, c, c], batch, work, ((0, 2),))


@functools.lru_cache(64)
def _syevd(a: Type, threads: int, lower: bool) -> Call | None:
    """The call for many small symmetric matrices, vectors included; None for others."""
    if not _are_small(a, eigen.LARGEST):
        return None
    n, matrices, square = a.shape[-1], math.prod(a.shape[:-2]), _packed_bytes(a)
    line = _packed_bytes(a.with_shape((1, n)))
    scratch = 2 * (square + line)
    work = 30.0 * matrices * n**3
    chunks = max(1, min(threads, int(work) >> 16))
    numbers = (matrices, n, int(lower), scratch, chunks, square, 2 * square, 2 * square + line)
    return Call(symbol("lapack", "eigen", _SHORT[dt.name(a.dtype)]), numbers, scratch * chunks,
                work, ((0, 0),))


@functools.lru_cache(64)
def _gesdd(a: Type, threads: int) -> Call | None:
    """The call for many small matrices and thin factors, vectors included; None for others."""
    *lead, m, n = a.shape
    long, short, matrices = max(m, n), min(m, n), math.prod(lead)
    if not _are_small(a, singular.LARGEST):
        return None
    sizes = ((m, n), (short, short), (1, short), (m, n), (short, short), (1, long))
    places = [0]
    for size in sizes:
        places.append(places[-1] + _packed_bytes(a.with_shape(size)))
    work = 30.0 * matrices * long * short**2
    chunks = max(1, min(threads, int(work) >> 16))
    numbers = matrices, long, short, places[-1], chunks, int(m < n), *places[1:-1]
    return Call(symbol("lapack", "singular", _SHORT[dt.name(a.dtype)]), numbers,
                places[-1] * chunks, work)


def _row_of(tau: Type) -> Type:
    """Vectors as matrices of one row."""
    return tau.with_shape((*tau.shape[:-1], 1, tau.shape[-1]))


_LAPACK: dict[str, Callable[..., Call | None]] = {
    "getrf": _getrf, "gesv": _gesv, "geqrf": _geqrf, "orgqr": _orgqr, "ormqr": _ormqr,
    "syevd": _syevd, "gesdd": _gesdd}


@functools.lru_cache(64)
def _cholesky(a: Type, lower: bool, threads: int) -> Call:
    if _are_small(a):
        return _small_cholesky(a, lower, threads)
    batch, inner = _threads(a, threads)
    tape, n = _tape(a, inner), a.shape[-1]
    out = _whole(1, a)
    tape.copy(0, 1, n * n)
    algorithms.cholesky(tape, out if lower else out.T)
    tape.triangle(out, lower=lower)
    work = n**3 / 3 + n * n
    return _call("cholesky", tape, [a, a], batch, work, ((0, 0),))


def _small_cholesky(a: Type, lower: bool, threads: int) -> Call:
    """The call for many small matrices."""
    n, matrices, scratch = a.shape[-1], math.prod(a.shape[:-2]), _packed_bytes(a)
    work = matrices * n**3 / 3
    chunks = max(1, min(threads, int(work) >> 16))
    numbers = matrices, n, n if lower else 1, scratch, chunks
    return Call(symbol("cholesky", "lanes", _SHORT[dt.name(a.dtype)]), numbers, scratch * chunks,
                work, ((0, 0),))


def _small_gesv(a: Type, b: Type, threads: int) -> Call:
    """The call for many small systems."""
    n, sides, matrices = a.shape[-1], b.shape[-1], math.prod(a.shape[:-2])
    second = _packed_bytes(a)
    scratch = second + _packed_bytes(b)
    work = matrices * (2 * n**3 / 3 + 2 * n * n * sides)
    chunks = max(1, min(threads, int(work) >> 16))
    numbers = matrices, n, sides, scratch, chunks, second
    return Call(symbol("lapack", "lanes", _SHORT[dt.name(a.dtype)]), numbers, scratch * chunks,
                work, ((0, 0), (2, 1)))


def _are_small(a: Type, largest: int = lanes.LARGEST) -> bool:
    """Whether there are many matrices, and each is small."""
    return max(a.shape[-2:]) <= largest and math.prod(a.shape[:-2]) >= _FEWEST


def _packed_bytes(type: Type) -> int:
    """Of a group of matrices, packed in squares as wide as a vector."""
    tile = tile_for(_SHORT[dt.name(type.dtype)], target.current())
    elements = -(-math.prod(type.shape[-2:]) // tile.lanes) * tile.lanes
    return elements * tile.columns * type.dtype.itemsize


@functools.lru_cache(64)
def _solve(a: Type, b: Type, left: bool, lower: bool, turned: bool, unit: bool,
           threads: int) -> Call:
    batch, inner = _threads(a, threads)
    tape, n = _tape(a, inner), a.shape[-1]
    t, x = _whole(0, a), _whole(2, b)
    tape.copy(1, 2, b.shape[-1] * b.shape[-2])
    if turned == left:  # once transposed, or x a = b as the transpose of a' x' = b'
        t, lower = t.T, not lower
    algorithms.solve(tape, t, x if left else x.T, lower=lower, unit=unit)
    work = n * b.shape[-1] * b.shape[-2]
    return _call("triangular_solve", tape, [a, b, b], batch, work, ((0, 1),))


def _threads(a: Type, threads: int) -> tuple[int, int]:
    """Chunks of matrices, and threads for each matrix: one of the two is 1."""
    matrices = math.prod(a.shape[:-2])
    worth = matrices * min(a.shape[-2:])**2 * max(a.shape[-2:]) >> 16
    if matrices >= _DIVISIBLE * threads:
        return max(1, min(worth, 4 * threads)) if threads > 1 else 1, 1
    return 1, threads


def _tape(a: Type, threads: int) -> Tape:
    short = _SHORT[dt.name(a.dtype)]
    return Tape(short, threads, tile_for(short, target.current()).columns)


def _whole(array: int, type: Type) -> Matrix:
    rows, columns = type.shape[-2:]
    return Matrix(array, 0, rows, columns, columns, 1)


def _call(op: str, tape: Tape, arrays: Sequence[Type], chunks: int, work: float,
          in_place: tuple[tuple[int, int], ...]) -> Call:
    """Numbers as `follow` reads them."""
    matrices = math.prod(arrays[0].shape[:-2])
    strides = [_matrix_bytes(type) for type in arrays]
    strides += [0] * (follow.MOST_ARRAYS - len(strides))
    own = -(-tape.scratch // 64) * 64
    scratch = own + tape.kept
    numbers = (matrices, len(arrays), scratch, len(tape.words), chunks, own, *strides,
               *tape.words)
    functions = tuple((follow.TAPE + i, name) for i, name in tape.functions.items())
    return Call(symbol(op, tape.dtype), numbers, scratch * chunks, matrices * work, in_place,
                functions=functions)


def _matrix_bytes(type: Type) -> int:
    return math.prod(type.shape[-2:]) * type.dtype.itemsize


# -- the code --------------------------------------------------------------------------------------


def define(module: Module, symbol: str, *words: str) -> None:
    """The routine of an operation, which the last word but one names, for a dtype."""
    *_, op, dtype = symbol.split(".")
    tile = tile_for(dtype, target.current())
    leaves.define_moves(module, tile)
    if op in ("eigen", "singular"):
        defined = eigen.define_eigen if op == "eigen" else singular.define_singular
        defined(module, symbol, tile)
        return
    if op == "lanes":
        small = lanes.define_solve if "lapack" in symbol else lanes.define_cholesky
        small(module, symbol, tile)
        return
    for step in _STEPS[op]:
        _DEFINE[step](module, tile)
    follow.define_follow(module, symbol, _STEPS[op])


_DEFINE = {
    Step.PRODUCT: follow.define_product,
    Step.COPY: follow.define_copy,
    Step.SOLVE: leaves.define_solve,
    Step.CHOLESKY: leaves.define_cholesky,
    Step.TRIANGLE: follow.define_triangle,
    Step.LU: lu.define_lu,
    Step.SWAP: lu.define_swap,
    Step.SINGULAR: lu.define_singular,
    Step.ORDER: lu.define_order,
    Step.REFLECT: reflections.define_reflect,
    Step.UNIT: reflections.define_unit,
    Step.RECIPROCAL: reflections.define_reciprocal,
    Step.IDENTITY: reflections.define_identity,
}

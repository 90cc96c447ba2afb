"""Linear algebra that is no sum of products: Cholesky factors, triangular systems, transforms."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError, Source, mistake
from arraylib.hlo.ir import Type, type_of
from arraylib.hlo.opdef import SAME, Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import full, full_like, iota
from arraylib.hlo.ops.reduction import dot_general
from arraylib.hlo.ops.shape import pad, repeat_leading
from arraylib.hlo.ops.structured import F32, broadcast_in_dim, transpose

Ints = tuple[int, ...]


def _check_inexact(op: str, types: Sequence[Type], where: Source | None) -> None:
    for i, type in enumerate(types):
        if not dt.is_inexact(type.dtype):
            raise mistake(DtypeError, op, f"operand {i} is {dt.name(type.dtype)}, not a float or "
                          "complex number", where=where, operands=types,
                          hint="convert with x.astype(...)")


def _check_square(op: str, types: Sequence[Type], where: Source | None) -> None:
    """The constraints on the first operand: a batch of square matrices of inexact numbers."""
    a = types[0]
    if a.rank < 2 or a.shape[-2] != a.shape[-1]:
        raise mistake(ShapeError, op, f"a has shape {a.shape}, which ends in no square matrix",
                      where=where, operands=types, hint="its last two axes must have one size")
    _check_inexact(op, types, where)


def _in_float32(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` on narrower floats computed in float32 and rounded once."""
    def wrapped(*arrays: Any, **attrs: Any) -> Any:
        dtype = arrays[0].dtype
        if dt.is_complex(dtype) or dt.bits(dtype) >= 32:
            return function(*arrays, **attrs)
        return function(*[a.astype(np.float32) for a in arrays], **attrs).astype(dtype)
    return wrapped


# -- matrices of the graph -------------------------------------------------------------------------


def swapped(x: Any) -> Any:
    """The transposes of a batch of matrices."""
    rank = type_of(x).rank
    return transpose(x, permutation=(*range(rank - 2), rank - 1, rank - 2))


def conjugate(x: Any) -> Any:
    """The complex conjugate; x itself where it is real."""
    if not dt.is_complex(type_of(x).dtype):
        return x
    return ew.complex_(ew.real(x), ew.negate(ew.imag(x)))


def matmul(x: Any, y: Any) -> Any:
    """The products of two batches of matrices."""
    rank = type_of(x).rank
    leading = tuple(range(rank - 2))
    return dot_general(x, y, lhs_batching=leading, rhs_batching=leading,
                       lhs_contracting=(rank - 1,), rhs_contracting=(rank - 2,), dtype=None)


def _where_rows(direction: str, x: Any) -> Any:
    """Where in the matrices of x the row's number stands so to the column's: GE, GT, EQ."""
    shape = type_of(x).shape
    rows, columns = (iota(shape=shape[-2:], dimension=d, dtype=dt.int32) for d in (0, 1))
    holds = ew.compare(rows, columns, direction=direction)
    return broadcast_in_dim(holds, shape=shape,
                            broadcast_dimensions=(len(shape) - 2, len(shape) - 1))


def masked(x: Any, direction: str) -> Any:
    return ew.select(_where_rows(direction, x), x, full_like(x, 0))


# -- cholesky --------------------------------------------------------------------------------------


def _cholesky_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    _check_square("cholesky", types, where)  # (C2), (C3)
    return (types[0],)


def _cholesky(a: Any, *, lower: bool) -> Any:
    """Reads one triangle only; nan, in that triangle, for a matrix that is not positive definite.

    NumPy refuses the whole batch for one such matrix: then they are taken one by one.
    """
    try:
        return np.linalg.cholesky(a, upper=not lower)
    except np.linalg.LinAlgError:
        pass
    if a.ndim > 2:
        parts = [_cholesky(x, lower=lower) for x in a.reshape(-1, *a.shape[-2:])]
        return np.stack(parts).reshape(a.shape)
    return (np.tril if lower else np.triu)(np.full_like(a, np.nan))


def cholesky_tangent(t: Any, out: Any, a: Any, *, lower: bool) -> Any:
    """L phi(L^-1 dA L^-H), where phi keeps the lower triangle and half the diagonal.

    dA is Hermitian: it is made from the triangle that is read, and its diagonal is real.
    """
    if not lower:
        t, out = swapped(conjugate(t)), swapped(conjugate(out))
    strict = masked(t, "GT")
    diagonal = masked(t, "EQ")
    if dt.is_complex(type_of(t).dtype):
        parts = ew.real(diagonal)
        diagonal = ew.complex_(parts, full_like(parts, 0))
    whole = ew.add(ew.add(strict, swapped(conjugate(strict))), diagonal)
    solve = partial(triangular_solve, out, lower=True, unit_diagonal=False)
    inner = solve(whole, left_side=True, transpose_a="NO_TRANSPOSE")
    inner = solve(inner, left_side=False, transpose_a="ADJOINT")
    kept, half = masked(inner, "GE"), full_like(inner, 0.5)
    phi = ew.select(_where_rows("EQ", inner), ew.multiply(inner, half), kept)
    tangent = matmul(out, phi)
    return tangent if lower else swapped(conjugate(tangent))


cholesky: OpDef = OpDef(
    "cholesky", "The lower (or upper) triangular factor L of L L^H = a (or L^H L = a), for each "
    "matrix of a batch. Only that triangle of a is read; the other one of the result is zero, and "
    "all of this one nan if a is not positive definite.",
    _in_float32(_cholesky), results=_cholesky_results, dtypes="fc", jvp=(cholesky_tangent,),
    batch=lambda xs, has, size, *, lower: cholesky(xs[0], lower=lower), expensive=True,
    domain=(0.5, 3.0), tolerance=5e-6,
    constraints=(
        "The last two axes of a have the same size.",
        "a is of floats or complex numbers.",
        "The result is of a's type."),
    # Whatever numbers are drawn, only matrices of one are certain to be positive definite.
    examples=(Example((Type(F32, (3, 1, 1)),), {"lower": True}),
              Example((Type(F32, (1, 1)),), {"lower": False}),
              Example((Type(F32, (0, 2, 2)),), {"lower": True})))

# -- triangular_solve ------------------------------------------------------------------------------

_ADJOINTS = ("NO_TRANSPOSE", "TRANSPOSE", "ADJOINT")


def _solve_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    op, (a, b) = "triangular_solve", types
    if attrs["transpose_a"] not in _ADJOINTS:
        raise mistake(ShapeError, op, f"transpose_a is {attrs['transpose_a']!r}", where=where,
                      hint=" or ".join(_ADJOINTS))
    if a.dtype != b.dtype:  # (C1)
        raise mistake(DtypeError, op, "operands have different dtypes: "
                      f"{dt.name(a.dtype)}, {dt.name(b.dtype)}", where=where, operands=types,
                      hint="convert one with x.astype(...)")
    _check_square(op, types, where)  # (C2), (C3)
    if a.rank != b.rank or a.shape[:-2] != b.shape[:-2]:
        raise mistake(ShapeError, op, f"batches of shapes {a.shape[:-2]} and {b.shape[:-2]}",
                      where=where, operands=types, hint="one matrix b for each matrix a")
    axis, side = (-2, "rows") if attrs["left_side"] else (-1, "columns")
    if b.shape[axis] != a.shape[-1]:
        raise mistake(ShapeError, op, f"a is of size {a.shape[-1]}, but b has {b.shape[axis]} "
                      f"{side}", where=where, operands=types, hint="the two must be equal")
    return (b,)


_BLOCK = 16  # below it row by row, above it by halves and products of matrices


def _substitute(a: Any, x: Any) -> None:
    """Replace x by the solution of a y = x, for lower triangular a."""
    n = a.shape[-1]
    if n > _BLOCK:
        half = n // 2
        _substitute(a[..., :half, :half], x[..., :half, :])
        x[..., half:, :] -= a[..., half:, :half] @ x[..., :half, :]
        _substitute(a[..., half:, half:], x[..., half:, :])
        return
    for i in range(n):
        row = x[..., i, :]
        if i:
            row -= (a[..., i:i + 1, :i] @ x[..., :i, :])[..., 0, :]
        row /= a[..., i, i, None]


def _triangular_solve(a: Any, b: Any, *, left_side: bool, lower: bool, unit_diagonal: bool,
                      transpose_a: str) -> Any:
    """Every case as a lower triangular system on the left: transposed, or its order reversed."""
    a = (np.tril if lower else np.triu)(a)
    if unit_diagonal:
        i = np.arange(a.shape[-1])
        a[..., i, i] = 1
    if transpose_a == "ADJOINT":
        a = a.conj()
    if transpose_a != "NO_TRANSPOSE":
        a, lower = np.swapaxes(a, -1, -2), not lower
    if not left_side:  # x a = b is the transpose of a' x' = b'
        a, b, lower = np.swapaxes(a, -1, -2), np.swapaxes(b, -1, -2), not lower
    if not lower:
        a, b = a[..., ::-1, ::-1], b[..., ::-1, :]
    x = np.array(b)
    _substitute(a, x)
    if not lower:
        x = x[..., ::-1, :]
    return np.ascontiguousarray(x if left_side else np.swapaxes(x, -1, -2))


def _solve_tangent_a(t: Any, out: Any, a: Any, b: Any, **attrs: Any) -> Any:
    """From op(a) x = b follows op(a) dx = -op(da) x, da being zero where a is not read."""
    direction = "GE" if attrs["lower"] else "LE"
    t = masked(t, direction.replace("E", "T") if attrs["unit_diagonal"] else direction)
    if attrs["transpose_a"] == "ADJOINT":
        t = conjugate(t)
    if attrs["transpose_a"] != "NO_TRANSPOSE":
        t = swapped(t)
    product = matmul(t, out) if attrs["left_side"] else matmul(out, t)
    return triangular_solve(a, ew.negate(product), **attrs)


def _solve_transpose_b(ct: Any, a: Any, b: Any, *, transpose_a: str, **attrs: Any) -> Any:
    """The transpose (without conjugation) of a linear map by op(a)^-1."""
    if transpose_a == "ADJOINT":  # the transpose of conj(a)' is conj(a)
        return triangular_solve(conjugate(a), ct, transpose_a="NO_TRANSPOSE", **attrs)
    turned = "TRANSPOSE" if transpose_a == "NO_TRANSPOSE" else "NO_TRANSPOSE"
    return triangular_solve(a, ct, transpose_a=turned, **attrs)


def _solve_batch(xs: Sequence[Any], has: Sequence[bool], size: int, **attrs: Any) -> Any:
    a, b = (x if h else repeat_leading(x, size) for x, h in zip(xs, has))
    return triangular_solve(a, b, **attrs)


def _solve_examples() -> tuple[Example, ...]:
    """All of: either side, either triangle, the three transposes, complex numbers."""
    small, c64 = Type(F32, (3, 3)), Type(dt.complex64, (2, 2))
    rows = [
        ((small, Type(F32, (3, 2))), (True, True, False, "NO_TRANSPOSE")),
        ((small, Type(F32, (2, 3))), (False, False, True, "TRANSPOSE")),
        ((Type(F32, (2, 2, 2)), Type(F32, (2, 2, 1))), (True, False, False, "TRANSPOSE")),
        ((c64, Type(dt.complex64, (1, 2))), (False, True, False, "ADJOINT"))]
    names = "left_side", "lower", "unit_diagonal", "transpose_a"
    return tuple(Example(types, dict(zip(names, values))) for types, values in rows)


triangular_solve: OpDef = OpDef(
    "triangular_solve", "x of op(a) x = b (or x op(a) = b), where a is triangular and op(a) is a, "
    "its transpose or its adjoint. Only the named triangle of a is read.",
    _in_float32(_triangular_solve), results=_solve_results, dtypes="fc",
    jvp=(_solve_tangent_a, SAME), transpose=(None, _solve_transpose_b), batch=_solve_batch,
    expensive=True, domain=(0.5, 2.0), tolerance=1e-5, examples=_solve_examples(),
    constraints=(
        "`transpose_a` is NO_TRANSPOSE, TRANSPOSE or ADJOINT.",
        "a and b are of one dtype.",
        "They are of floats or complex numbers.",
        "The last two axes of a have the same size.",
        "b has as many axes as a, and the same sizes but for the last two.",
        "b has as many rows (with `left_side`; otherwise columns) as a.",
        "The result is of b's type."))

# -- fft -------------------------------------------------------------------------------------------

_TRANSFORMS: dict[str, Callable[..., Any]] = {
    "FFT": np.fft.fftn, "IFFT": np.fft.ifftn, "RFFT": np.fft.rfftn, "IRFFT": np.fft.irfftn}


def _fft_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    (x,), kind, length = types, attrs["fft_type"], tuple(attrs["fft_length"])
    if kind not in _TRANSFORMS:
        raise mistake(ShapeError, "fft", f"fft_type is {kind!r}", where=where,
                      hint=" or ".join(_TRANSFORMS))
    _check_inexact("fft", types, where)
    if dt.is_complex(x.dtype) == (kind == "RFFT") or dt.bits(x.dtype) < 32:  # (C2)
        wanted = "float32 or float64" if kind == "RFFT" else "complex64 or complex128"
        raise mistake(DtypeError, "fft", f"{kind} takes {wanted}, not {dt.name(x.dtype)}",
                      where=where, operands=types,
                      hint="x.astype(...), or the transform for its dtype")
    if not 1 <= len(length) <= min(3, x.rank):  # (C1), (C3)
        raise mistake(ShapeError, "fft", f"{len(length)} lengths for {x.rank} axes", where=where,
                      operands=types, hint="one to three, of the last axes")
    given = (*length[:-1], _half(length[-1])) if kind == "IRFFT" else length
    if x.shape[x.rank - len(length):] != given:  # (C4), (C5)
        raise mistake(ShapeError, "fft", f"{kind} of lengths {length} takes last axes of {given}, "
                      f"not {x.shape[x.rank - len(length):]}", where=where, operands=types,
                      hint="lengths of the axes themselves; for IRFFT those of the result")
    if kind == "RFFT":
        return (Type(dt.to_complex(x.dtype), (*x.shape[:-1], _half(length[-1]))),)
    if kind == "IRFFT":
        return (Type(dt.to_real(x.dtype), (*x.shape[:-1], length[-1])),)
    return (x,)


def _half(n: int) -> int:
    """How many of the n numbers of a real sequence's transform determine it."""
    return n // 2 + 1 if n else 0


def _fft(x: Any, *, fft_type: str, fft_length: Ints) -> Any:
    (result,) = _fft_results([type_of(x)], {"fft_type": fft_type, "fft_length": fft_length}, None)
    if not result.size:
        return np.zeros(result.shape, result.dtype)
    axes = tuple(range(x.ndim - len(fft_length), x.ndim))
    return _TRANSFORMS[fft_type](x, s=fft_length, axes=axes).astype(result.dtype, copy=False)


def _fft_transpose(ct: Any, x: Any, *, fft_type: str, fft_length: Ints) -> Any:
    """The matrix of a whole transform is symmetric; the half ones are read off their sums."""
    if fft_type == "RFFT":  # the real part of the transform of the cotangent, zeros after it
        missing = fft_length[-1] - type_of(ct).shape[-1]
        rank = type_of(ct).rank
        none = (0,) * rank
        whole = pad(ct, full((), 0, type_of(ct).dtype), low=none,
                    high=(*none[:-1], missing), interior=none)
        return ew.real(fft(whole, fft_type="FFT", fft_length=fft_length))
    if fft_type == "IRFFT":
        half = fft(ct, fft_type="RFFT", fft_length=fft_length)
        return ew.multiply(conjugate(half), _multiplicity(type_of(half), fft_length))
    return fft(ct, fft_type=fft_type, fft_length=fft_length)


def _multiplicity(type: Type, fft_length: Ints) -> Any:
    """How often each number of a half transform counts in the whole one, over the whole's size."""
    n, length = type.shape[-1], fft_length[-1]
    k = iota(shape=(n,), dimension=0, dtype=dt.to_real(type.dtype))
    inner = ew.and_(ew.compare(k, full_like(k, 0), direction="GT"),
                    ew.compare(k, full_like(k, length / 2), direction="LT"))
    scale = 1 / max(1, math.prod(fft_length))
    counts = ew.select(inner, full_like(k, 2 * scale), full_like(k, scale))
    counts = ew.complex_(counts, full_like(counts, 0))
    return broadcast_in_dim(counts, shape=type.shape, broadcast_dimensions=(type.rank - 1,))


def _fft_example(kind: str, dtype: np.dtype[Any], shape: Ints, *length: int) -> Example:
    return Example((Type(dtype, shape),), {"fft_type": kind, "fft_length": length})


fft: OpDef = OpDef(
    "fft", "The discrete Fourier transform along the last axes, as many as there are lengths: "
    "complex to complex (FFT and its inverse IFFT), real to the first half of the complex one "
    "(RFFT) or back (IRFFT); the inverses divide by the number of elements.",
    _fft, results=_fft_results, dtypes="fc", jvp=(SAME,), transpose=(_fft_transpose,),
    batch=lambda xs, has, size, **attrs: fft(xs[0], **attrs), expensive=True, tolerance=5e-6,
    constraints=(
        "`fft_type` is FFT, IFFT, RFFT or IRFFT.",
        "x is of float32 or float64 for RFFT, of complex64 or complex128 for the others.",
        "`fft_length` has one to three lengths, not more than x has axes.",
        "The last axes of x have these sizes; for IRFFT the very last has half of it, rounded "
        "down, plus 1.",
        "The result is of x's type; for RFFT it is complex, and the last axis has half of its "
        "length plus 1; for IRFFT it is real and has the lengths themselves."),
    examples=(_fft_example("FFT", dt.complex64, (2, 5), 5),
              _fft_example("IFFT", dt.complex64, (3, 2, 4), 2, 4),
              _fft_example("RFFT", F32, (2, 5), 5), _fft_example("RFFT", F32, (3, 4), 3, 4),
              _fft_example("IRFFT", dt.complex64, (2, 3), 4),
              _fft_example("IRFFT", dt.complex64, (3, 3), 3, 5)))

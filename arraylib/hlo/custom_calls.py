"""What custom calls mean whose targets JAX prints: a function of NumPy arrays for each name.

A function takes the operands, the attributes of the call (or of its `backend_config` alone) and the
types of its results, and returns a tuple of arrays. Those of LAPACK take batches of matrices, and
give what LAPACK documents: factors in place of the matrix, pivots counted from 1, and an `info`
that is 0 unless the matrix has no such factors.
"""

from __future__ import annotations

import functools
import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.checks import CHECKS
from arraylib.hlo.ir import Type
from arraylib.hlo.mlir.routines import ORDER_OF_PIVOTS
from arraylib.hlo.ops.lapack import PERMUTATION
from arraylib.hlo.ops.linalg import triangular_solve
from arraylib.hlo.ops.top_k import top_k
from arraylib.hlo.schur import eigenvalues, reflection, schur

Settings = dict[str, Any]
Arrays = tuple[Any, ...]


def _config(settings: Settings) -> Settings:
    """The attributes that are the callee's own."""
    for name in ("mhlo.backend_config", "backend_config"):
        if isinstance(settings.get(name), dict):
            return settings[name]  # type: ignore[no-any-return]
    return settings


def _letter(settings: Settings, name: str) -> str:
    """A choice of LAPACK's, which is written as the number of a letter."""
    value = _config(settings)[name]
    return value if isinstance(value, str) else chr(int(value))


def _adjoint(x: Any) -> Any:
    return np.swapaxes(x, -1, -2).conj()


def _one_by_one(function: Callable[..., Arrays]) -> Callable[..., Arrays]:
    """`function` of one matrix on each of a batch; the other operands have the same batch."""
    @functools.wraps(function)
    def each(operands: Sequence[Any], settings: Settings, results: Sequence[Type]) -> Arrays:
        outs = tuple(np.zeros(t.shape, t.dtype) for t in results)
        for place in np.ndindex(operands[0].shape[:-2]):
            found = function([x[place] for x in operands], settings)
            for out, value in zip(outs, found):
                out[place] = value
        return outs
    return each


# -- factors that NumPy has ------------------------------------------------------------------------


@_one_by_one
def _potrf(operands: Sequence[Any], settings: Settings) -> Arrays:
    """The factor in its triangle, the other triangle as it was."""
    (a,), upper = operands, _letter(settings, "uplo") == "U"
    def fails(n: int) -> bool:
        try:
            return bool(np.isnan(np.linalg.cholesky(a[:n, :n], upper=upper)).any())
        except np.linalg.LinAlgError:
            return True
    if fails(len(a)):
        return a, bisect_left(range(1, len(a) + 1), True, key=fails) + 1
    factor = np.linalg.cholesky(a, upper=upper)
    return factor + (np.tril(a, -1) if upper else np.triu(a, 1)), 0


def _geqrf(operands: Sequence[Any], settings: Settings, results: Sequence[Type]) -> Arrays:
    reflectors, tau = np.linalg.qr(operands[0], mode="raw")
    return np.swapaxes(reflectors, -1, -2), tau


def _at_once(function: Callable[..., Arrays]) -> Callable[..., Arrays]:
    """`function` on a batch; where NumPy refuses a matrix, on each alone, and nan for those."""
    @functools.wraps(function)
    def each(operands: Sequence[Any], settings: Settings, results: Sequence[Type]) -> Arrays:
        outs = tuple(np.zeros(t.shape, t.dtype) for t in results)

        def put(place: tuple[int, ...]) -> None:
            found = function([x[place] for x in operands], settings)
            for out, value in zip(outs, found, strict=True):
                out[place] = value

        try:
            put(())
        except np.linalg.LinAlgError:
            for place in np.ndindex(operands[0].shape[:-2]):
                try:
                    put(place)
                except np.linalg.LinAlgError:
                    for out in outs:
                        out[place] = np.nan if out.dtype.kind in "fc" else 1
        return outs
    return each


@_at_once
def _svd(operands: Sequence[Any], settings: Settings) -> Arrays:
    (a,), mode = operands, _letter(settings, "mode")
    if mode == "N":
        return a, np.linalg.svd(a, compute_uv=False), 0, 0, 0
    u, s, v = np.linalg.svd(a, full_matrices=mode == "A")
    return a, s, u, v, 0


@_at_once
def _syevd(operands: Sequence[Any], settings: Settings) -> Arrays:
    uplo: Any = _letter(settings, "uplo")
    if operands[0].shape[-2:-1] != operands[0].shape[-1:]:
        raise mistake(ShapeError, "syevd", f"a has shape {operands[0].shape}, which ends in no "
                      "square matrix", hint="its last two axes must have one size")
    if _letter(settings, "mode") != "V":
        return 0, np.linalg.eigvalsh(operands[0], UPLO=uplo), 0
    w, v = np.linalg.eigh(operands[0], UPLO=uplo)
    return v, w, 0


def _geev(operands: Sequence[Any], settings: Settings, results: Sequence[Type]) -> Arrays:
    """Eigenvalues (real and imaginary parts apart, of a real matrix), left and right vectors."""
    is_real = operands[0].dtype.kind == "f"
    left, right = (_letter(settings, f"compute_{side}") == "V" for side in ("left", "right"))
    outs = tuple(np.zeros(t.shape, t.dtype) for t in results)
    for place in np.ndindex(operands[0].shape[:-2]):
        w, vl, vr, info = _eigen(operands[0][place], left)
        values = (w.real, w.imag) if is_real else (w,)
        for out, value in zip(outs, (*values, vl if left else 0, vr if right else 0, info)):
            out[place] = value
    return outs


def _eigen(a: Any, left: bool) -> Arrays:
    try:
        w, vr = np.linalg.eig(a)
        vl = _matching(w, *np.linalg.eig(a.conj().T)) if left else vr
        return w, vl, vr, 0
    except np.linalg.LinAlgError:
        nothing = np.full_like(a, np.nan)
        return nothing[0], nothing, nothing, 1


def _matching(w: Any, others: Any, vectors: Any) -> Any:
    """The eigenvectors of the adjoint, whose eigenvalues are the conjugates, in the order of w."""
    distance = np.abs(w.conj()[:, None] - others)
    order = []
    for row in distance:
        order.append(int(np.argmin(row)))
        distance[:, order[-1]] = np.inf
    return vectors[:, order]


@_one_by_one
def _gees(operands: Sequence[Any], settings: Settings) -> Arrays:
    """Schur's form and vectors, eigenvalues as `_geev` has them; nan and 1 where there are none."""
    (a,), is_real = operands, operands[0].dtype.kind == "f"
    if _letter(settings, "sort") != "N":
        raise mistake(ArgumentError, "gees", "eigenvalues that are to come first are not supported")
    t, z, ended = schur(a) if np.isfinite(a).all() else (a, a, False)
    if not ended:
        return (*[np.nan] * (3 + is_real), 0, 1)
    values = eigenvalues(t)
    return t, z, *((values.real, values.imag) if is_real else (values,)), 0, 0


# -- lu --------------------------------------------------------------------------------------------

_PANEL = 16  # columns factored one by one; more by halves


def _getrf(operands: Sequence[Any], settings: Settings, results: Sequence[Type]) -> Arrays:
    (a,) = operands
    lu = np.array(a.reshape(math.prod(a.shape[:-2]), *a.shape[-2:]))
    pivots = _factor(lu)
    n = min(a.shape[-2:])
    zero = np.diagonal(lu, axis1=-2, axis2=-1) == 0
    info = np.where(zero.any(-1), np.argmax(zero, axis=-1) + 1 if n else 0, 0)
    batch = a.shape[:-2]
    return (lu.reshape(a.shape), (pivots + 1).astype(np.int32).reshape(*batch, n),
            info.astype(np.int32).reshape(batch))


def _gesv(operands: Sequence[Any], settings: Settings, results: Sequence[Type]) -> Arrays:
    """The factors of a, their pivots, the solution of a x = b, and whether there was a pivot 0."""
    a, b = operands
    lu, pivots, info = _getrf([a], settings, results)
    x = np.array(b.reshape(math.prod(b.shape[:-2]), *b.shape[-2:]))
    _swap(x, pivots.reshape(len(x), a.shape[-1]) - 1, 0)
    x = x.reshape(b.shape)
    for lower in (True, False):
        x = triangular_solve.numpy(lu, x, left_side=True, lower=lower, unit_diagonal=lower,
                                   transpose_a="NO_TRANSPOSE")
    return lu, pivots, x, info


def _factor(a: Any) -> Any:
    """LU with partial pivoting of a batch, in place; the rows that were swapped, step by step."""
    n, wide = min(a.shape[-2:]), a.shape[-1]
    if n <= _PANEL:
        pivots = _factor_panel(a[..., :n])
        left = n
    else:
        left = n // 2
        pivots = _factor(a[..., :left])
    rest = a[..., left:]
    if left < wide:
        _swap(rest, pivots, 0)
        rest[:, :left] = triangular_solve.numpy(
            a[:, :left, :left], rest[:, :left], left_side=True, lower=True, unit_diagonal=True,
            transpose_a="NO_TRANSPOSE")
    if left < n:
        rest[:, left:] -= a[:, left:, :left] @ rest[:, :left]
        below = _factor(rest[:, left:])
        _swap(a[:, left:, :left], below, 0)
        pivots = np.concatenate([pivots, below + left], axis=-1)
    return pivots


def _factor_panel(a: Any) -> Any:
    """All rows of a few columns, one column after the other."""
    pivots = np.zeros((len(a), a.shape[-1]), np.int64)
    for j in range(a.shape[-1]):
        column = a[:, j:, j]
        size = np.abs(column.real) + np.abs(column.imag)  # LAPACK's measure of complex numbers
        pivots[:, j] = j + np.argmax(size, axis=-1)
        _swap(a, pivots[:, j:j + 1], j)
        pivot = a[:, j, j, None]
        a[:, j + 1:, j] /= np.where(pivot == 0, 1, pivot)
        a[:, j + 1:, j + 1:] -= a[:, j + 1:, j, None] * a[:, j, None, j + 1:]
    return pivots


def _swap(a: Any, pivots: Any, first: int) -> None:
    """Swap row first + i with row pivots[i], for each i in turn."""
    batch = np.arange(len(a))
    for i in range(pivots.shape[-1]):
        rows = a[batch, pivots[:, i]]
        a[batch, pivots[:, i]] = a[:, first + i]
        a[:, first + i] = rows


# -- reflections -----------------------------------------------------------------------------------


def _reflect(v: Any, tau: Any, x: Any) -> None:
    """x becomes (1 - tau v v^H) x, for each of a batch."""
    x -= tau[..., None, None] * v[..., :, None] * (v.conj()[..., None, :] @ x)


def _reflect_all(a: Any, tau: Any, x: Any, *, adjoint: bool) -> None:
    """x becomes Q x, or Q^H x: some reflections at a time, whose product is 1 - V T V^H.

    T is from Schreiber and Van Loan, "A Storage-Efficient WY Representation for Products of
    Householder Transformations", SIAM J. Sci. Stat. Comput. 10, 1989.
    """
    count, most = tau.shape[-1], min(a.shape[-2:])
    if tau.shape[:-1] != a.shape[:-2] or count > most or x.shape[:-1] != a.shape[:-1]:
        raise mistake(ShapeError, "reflections", f"vectors of shape {a.shape}, factors of shape "
                      f"{tau.shape}, for a matrix of shape {x.shape}",
                      hint=f"the same leading axes, {most} factors at most, {a.shape[-2]} rows")
    starts = range(0, count, _TOGETHER)
    for first in starts if adjoint else reversed(starts):
        last = min(first + _TOGETHER, count)
        v = np.tril(a[..., first:, first:last], -1) + np.eye(a.shape[-2] - first, last - first,
                                                            dtype=a.dtype)
        t = _together(v, tau[..., first:last])
        rows = x[..., first:, :]
        rows -= v @ ((_adjoint(t) if adjoint else t) @ (_adjoint(v) @ rows))


_TOGETHER = 32  # reflections


def _together(v: Any, tau: Any) -> Any:
    """The matrix T of reflections, column by column."""
    count = tau.shape[-1]
    t, inner = np.zeros((*tau.shape, count), tau.dtype), _adjoint(v) @ v
    for i in range(count):
        before = t[..., :i, :i] @ inner[..., :i, i, None]
        t[..., :i, i] = -tau[..., i, None] * before[..., 0]
        t[..., i, i] = tau[..., i]
    return t


def _orgqr(operands: Sequence[Any], settings: Settings, results: Sequence[Type]) -> Arrays:
    a, tau = operands
    q = np.zeros(a.shape, a.dtype)
    q[..., :] = np.eye(*a.shape[-2:], dtype=a.dtype)
    _reflect_all(a, tau, q, adjoint=False)
    return (q,)


def _ormqr(operands: Sequence[Any], settings: Settings, results: Sequence[Type]) -> Arrays:
    """op(Q) c, or c op(Q) as the adjoint of the adjoints' product."""
    a, tau, c = operands
    config = _config(settings)
    x = np.array(c if config["left"] else _adjoint(c))
    _reflect_all(a, tau, x, adjoint=bool(config["transpose"]) == bool(config["left"]))
    return (x if config["left"] else _adjoint(x),)


@_one_by_one
def _geqp3(operands: Sequence[Any], settings: Settings) -> Arrays:
    """QR with the largest remaining column first."""
    a, given = np.array(operands[0]), operands[1]
    if np.any(given):
        raise mistake(ArgumentError, "geqp3", "columns that are to come first are not supported")
    n = min(a.shape)
    order, tau = np.arange(a.shape[1]), np.zeros(n, a.dtype)
    for i in range(n):
        largest = i + int(np.argmax(np.linalg.norm(a[i:, i:], axis=0)))
        a[:, [i, largest]], order[[i, largest]] = a[:, [largest, i]], order[[largest, i]]
        v, tau[i], beta = reflection(a[i:, i])
        _reflect(v, np.conj(tau[i]), a[i:, i + 1:])
        a[i, i], a[i + 1:, i] = beta, v[1:]
    return a, order + 1, tau


@_one_by_one
def _gehrd(operands: Sequence[Any], settings: Settings) -> Arrays:
    """The Hessenberg form, and the reflections below it."""
    a, config = np.array(operands[0]), _config(settings)
    tau = np.zeros(max(len(a) - 1, 0), a.dtype)
    for i in range(int(config["low"]) - 1, int(config["high"]) - 1):
        end = int(config["high"])
        v, tau[i], beta = reflection(a[i + 1:end, i])
        a[i + 1:end, i] = [beta, *v[1:]]
        right = _adjoint(a[:end, i + 1:end])
        _reflect(v, np.conj(tau[i]), right)
        a[:end, i + 1:end] = _adjoint(right)
        _reflect(v, np.conj(tau[i]), a[i + 1:end, i + 1:])
    return a, tau, 0


@_one_by_one
def _sytrd(operands: Sequence[Any], settings: Settings) -> Arrays:
    """Tridiagonal: the upper triangle is the lower one of the matrix turned upside down."""
    upper = _letter(settings, "uplo") == "U"
    a = np.array(operands[0][::-1, ::-1] if upper else operands[0])
    full = np.tril(a, -1) + _adjoint(np.tril(a, -1)) + np.diag(np.diagonal(a).real)
    n = len(a)
    e, tau = np.zeros(max(n - 1, 0), a.real.dtype), np.zeros(max(n - 1, 0), a.dtype)
    for i in range(n - 1):
        v, tau[i], beta = reflection(full[i + 1:, i])
        e[i], a[i + 1, i], a[i + 2:, i] = beta.real, beta, v[1:]
        _reflect(v, np.conj(tau[i]), full[i + 1:, i + 1:])
        right = _adjoint(full[i + 1:, i + 1:])
        _reflect(v, np.conj(tau[i]), right)
        full[i + 1:, i + 1:] = _adjoint(right)
    d = np.diagonal(full).real
    np.fill_diagonal(a, d)
    return (a[::-1, ::-1], d[::-1], e[::-1], tau[::-1], 0) if upper else (a, d, e, tau, 0)


# -- systems of equations --------------------------------------------------------------------------

_TRANSPOSES = {"N": "NO_TRANSPOSE", "T": "TRANSPOSE", "C": "ADJOINT"}


def _trsm(operands: Sequence[Any], settings: Settings, results: Sequence[Type]) -> Arrays:
    return (triangular_solve.numpy(
        *operands, left_side=_letter(settings, "side") == "L",
        lower=_letter(settings, "uplo") == "L", unit_diagonal=_letter(settings, "diag") == "U",
        transpose_a=_TRANSPOSES[_letter(settings, "trans_x")]),)


@_one_by_one
def _tridiagonal(operands: Sequence[Any], settings: Settings) -> Arrays:
    """Elimination in which a row may be swapped with the next, then substitution."""
    n = len(operands[3])
    rows = np.zeros((n, 3), operands[1].dtype)  # what is left of each row, from its diagonal on
    rows[:, 0], rows[:, 1] = operands[1][:, 0], operands[2][:, 0]
    b = np.array(operands[3])
    for i in range(n - 1):
        below = np.array([operands[0][i + 1, 0], rows[i + 1, 0], rows[i + 1, 1]])
        if abs(below[0]) > abs(rows[i, 0]):
            rows[i], below = below, rows[i].copy()
            b[[i, i + 1]] = b[[i + 1, i]]
        factor = below[0] / rows[i, 0]
        rows[i + 1] = [*(below - factor * rows[i])[1:], 0]
        b[i + 1] -= factor * b[i]
    for i in reversed(range(n)):
        b[i] -= rows[i, 1:3][:n - 1 - i] @ b[i + 1:i + 3]
        b[i] /= rows[i, 0]
    singular = np.flatnonzero(rows[:, 0] == 0)
    info = singular[0] + 1 if singular.size else 0
    return operands[0], rows[:, :1], rows[:, 1:2], b, info


def _gtsv(operands: Sequence[Any], settings: Settings, results: Sequence[Type]) -> Arrays:
    """Diagonals as columns, so that all operands are matrices of one batch."""
    *diagonals, b = operands
    columns = [Type(t.dtype, (*t.shape, 1)) for t in results[:3]]
    with np.errstate(all="ignore"):
        outs = _tridiagonal([*(d[..., None] for d in diagonals), b], settings,
                            [*columns, *results[3:]])
    return (*(x[..., 0] for x in outs[:3]), *outs[3:])


# -- calls of other kinds --------------------------------------------------------------------------


def _itself(operands: Sequence[Any], settings: Settings, results: Sequence[Type]) -> Arrays:
    """A mark for the partitioner, which on one device changes nothing."""
    return tuple(operands)


def _approximate_top_k(operands: Sequence[Any], settings: Settings, results: Sequence[Type]
                       ) -> Arrays:
    """Exactly the first elements and what comes with them; the comparator's name says the order."""
    x, places = operands[:2]
    axis = int(_config(settings)["reduction_dim"])
    descending = "_lt_" not in str(settings.get("called_computations", ""))
    keys = np.moveaxis(x, axis, -1)
    if not descending:
        keys = -keys if keys.dtype.kind in "fV" else ~keys
    _, order = top_k.numpy(keys, k=results[0].shape[axis])
    order = np.moveaxis(order, -1, axis)
    return tuple(np.take_along_axis(v, order, axis=axis) for v in (x, places))


def _shape_assertion(operands: Sequence[Any], settings: Settings, results: Sequence[Type]
                     ) -> Arrays:
    """A check that a program with open sizes makes of those it is given."""
    if not operands[0]:
        message = str(settings.get("error_message", "the sizes of the inputs do not fit"))
        for i, value in enumerate(operands[1:]):
            message = message.replace(f"{{{i}}}", str(value))
        raise mistake(ArgumentError, "shape_assertion", message)
    return ()


_REAL, _COMPLEX, _ALL = "sd", "cz", "sdcz"
_LAPACK: tuple[tuple[str, str, Callable[..., Arrays]], ...] = (
    ("potrf", _ALL, _potrf), ("getrf", _ALL, _getrf), ("geqrf", _ALL, _geqrf),
    ("geqp3", _ALL, _geqp3), ("gesdd", _ALL, _svd), ("gesvd", _ALL, _svd), ("geev", _ALL, _geev),
    ("gees", _ALL, _gees), ("gehrd", _ALL, _gehrd), ("trsm", _ALL, _trsm), ("gtsv", _ALL, _gtsv),
    ("gesv", _ALL, _gesv),
    ("orgqr", _REAL, _orgqr), ("ungqr", _COMPLEX, _orgqr),
    ("ormqr", _REAL, _ormqr), ("unmqr", _COMPLEX, _ormqr),
    ("syevd", _REAL, _syevd), ("heevd", _COMPLEX, _syevd),
    ("sytrd", _REAL, _sytrd), ("hetrd", _COMPLEX, _sytrd))

CUSTOM_CALLS: dict[str, Callable[..., Arrays]] = {
    **{f"lapack_{letter}{name}_ffi": function
       for name, letters, function in _LAPACK for letter in letters},
    ORDER_OF_PIVOTS: lambda operands, settings, results: PERMUTATION(results, *operands),
    "Sharding": _itself,
    "SPMDFullToShardShape": _itself,
    "SPMDShardToFullShape": _itself,
    "LayoutConstraint": _itself,
    "annotate_device_placement": _itself,
    "xla.sdy.FuncResultSharding": _itself,
    "ApproxTopK": _approximate_top_k,
    "shape_assertion": _shape_assertion,
    **CHECKS,
}

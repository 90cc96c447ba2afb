"""Factors of matrices, emitted where operations go now: calls of LAPACK's routines by their names.

HLO has no operation for them; JAX's programs have custom calls, and so have ours, so that a program
of either is differentiated, batched and compiled in the same way. All take batches of matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError, mistake
from arraylib.hlo.ir import Type, type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import full_like, zeros
from arraylib.hlo.ops.lapack import lapack, permutation, resized, solved, take_rows
from arraylib.on_demand import module

__all__ = ["applied", "column_order", "eig", "eigh", "hessenberg", "lu", "order_of", "product",
           "qr", "reflections", "schur", "solve", "solved", "svd", "take_rows", "tridiagonal"]

_LETTERS = {"float32": "s", "float64": "d", "complex64": "c", "complex128": "z"}


def _call(name: str, operands: Sequence[Any], results: Sequence[Type], **settings: Any
          ) -> tuple[Any, ...]:
    type = type_of(operands[0])
    if dt.name(type.dtype) not in _LETTERS:
        raise mistake(DtypeError, name, f"no factors of {dt.name(type.dtype)}", operands=[type],
                      hint="convert with x.astype('float32')")
    letter = _LETTERS[dt.name(type.dtype)]
    if letter in "cz":
        name = {"orgqr": "ungqr", "ormqr": "unmqr", "syevd": "heevd",
                "sytrd": "hetrd"}.get(name, name)
    found = module("hlo.passes.lapack").routine(
        f"lapack_{letter}{name}_ffi", tuple(settings.items()))
    return tuple(lapack(*operands, routine=found, results=tuple(results)))


def lu(a: Any) -> tuple[Any, Any, Any]:
    """L and U in one matrix; the pivots, from 0; and which row of a each row of L U is."""
    type = type_of(a)
    *batch, m, n = type.shape
    results = type, Type(dt.int32, (*batch, min(m, n))), Type(dt.int32, tuple(batch))
    factors, pivots, _ = _call("getrf", [a], results)
    from_zero = ew.subtract(pivots, full_like(pivots, 1))
    return factors, from_zero, permutation(pivots, m)


def order_of(pivots: Any, rows: int) -> Any:
    """Which row each row was, once rows have changed places as pivots, from 0, say.

    Pivots that are no rows are limited to the first and the last.
    """
    op, type = "lu_pivots_to_permutation", type_of(pivots)
    if not dt.is_integer(type.dtype):
        raise mistake(DtypeError, op, f"pivots of {dt.name(type.dtype)}", operands=[type],
                      hint="integers, as `lu` gives them")
    if not type.rank or type.shape[-1] > rows:
        raise mistake(ShapeError, op, f"{rows} rows, but pivots of shape {type.shape}",
                      operands=[type], hint="as many rows as pivots, or more")
    last = min(max(rows - 1, 0), dt.iinfo(type.dtype).max)
    limited = ew.clamp(full_like(pivots, 0), pivots, full_like(pivots, last))
    if type.dtype != dt.int32:  # before 1 is added, for which small integers have no room
        limited = ew.convert(limited, dtype=dt.int32)
    return permutation(ew.add(limited, full_like(limited, 1)), rows)


def solve(a: Any, b: Any) -> Any:
    """x of a x = b; inf and nan where a is singular."""
    type = type_of(a)
    *batch, n, _ = type.shape
    integers = Type(dt.int32, (*batch, n)), Type(dt.int32, tuple(batch))
    return _call("gesv", [a, b], (type, integers[0], type_of(b), integers[1]))[2]


def qr(a: Any, *, complete: bool) -> tuple[Any, Any]:
    """Q, with as many columns as rows if `complete`, and what geqrf gives: R is its triangle."""
    rows, columns = type_of(a).shape[-2:]
    factored, tau = reflections(a)
    vectors = resized(factored, rows, rows if complete else min(rows, columns))
    return product(vectors, tau), factored


def product(vectors: Any, tau: Any) -> Any:
    """The first columns of the product of reflections, as many as the vectors have."""
    m, n = type_of(vectors).shape[-2:]
    if m < n:
        raise mistake(ShapeError, "householder_product", f"a has {m} rows, fewer than its {n} "
                      "columns", operands=[type_of(vectors), type_of(tau)],
                      hint="as many rows as columns, or more")
    _check_reflections("householder_product", type_of(vectors), type_of(tau))
    return _call("orgqr", [vectors, tau], (type_of(vectors),))[0]


def applied(vectors: Any, tau: Any, c: Any, *, left: bool, turned: bool) -> Any:
    """Q c or c Q for the product of reflections Q, or with Q^H."""
    a, type = type_of(vectors), type_of(c)
    _check_reflections("ormqr", a, type_of(tau))
    lead, rows = a.shape[:-2], a.shape[-2]
    if type.shape[:-2] != lead or type.shape[-2 if left else -1] != rows:
        wanted = f"{rows}, k" if left else f"k, {rows}"
        raise mistake(ShapeError, "ormqr", f"a has shape {a.shape}, but c has shape {type.shape}",
                      operands=[a, type_of(tau), type],
                      hint=f"c[{', '.join(map(str, lead))}{', ' if lead else ''}{wanted}] with "
                      f"left={left}")
    return _call("ormqr", [vectors, tau, c], (type_of(c),), left=left, transpose=turned)[0]


def _check_reflections(op: str, a: Type, tau: Type) -> None:
    """Each vector has one factor at most."""
    lead, most = a.shape[:-2], min(a.shape[-2:])
    if tau.rank != a.rank - 1 or tau.shape[:-1] != lead or tau.shape[-1] > most:
        raise mistake(ShapeError, op, f"a has shape {a.shape}, but taus have shape {tau.shape}",
                      operands=[a, tau],
                      hint=f"taus with the leading axes {lead} of a, then {most} at most")


def reflections(a: Any) -> tuple[Any, Any]:
    """R, with Householder's vectors below its diagonal, and their factors."""
    type = type_of(a)
    *batch, m, n = type.shape
    found = _call("geqrf", [a], (type, type.with_shape((*batch, min(m, n)))))
    return found[0], found[1]


def column_order(a: Any) -> Any:
    """The columns in the order that QR takes them in: the largest remaining one first, from 0."""
    type = type_of(a)
    *batch, m, n = type.shape
    order = Type(dt.int32, (*batch, n))
    found = _call("geqp3", [a, zeros(order)],
                  (type, order, type.with_shape((*batch, min(m, n)))))
    return ew.subtract(found[1], full_like(found[1], 1))


def tridiagonal(a: Any, *, lower: bool) -> tuple[Any, Any, Any, Any]:
    """A matrix of three diagonals and reflections, its diagonal, the one beside it, and taus."""
    type = type_of(a)
    *batch, n, _ = type.shape
    beside = (*batch, max(n - 1, 0))
    real = dt.to_real(type.dtype)
    results = (type, Type(real, (*batch, n)), Type(real, beside), type.with_shape(beside),
               Type(dt.int32, tuple(batch)))
    form, d, e, taus, _ = _call("sytrd", [a], results, uplo="L" if lower else "U")
    return form, d, e, taus


def eigh(a: Any, *, lower: bool, vectors: bool) -> tuple[Any, Any]:
    """Eigenvectors as columns, and eigenvalues in ascending order; one triangle is read.

    Without `vectors` the first of the two is anything.
    """
    type = type_of(a)
    *batch, n, _ = type.shape
    values = Type(dt.to_real(type.dtype), (*batch, n))
    v, w, _ = _call("syevd", [a], (type, values, Type(dt.int32, tuple(batch))),
                    mode="V" if vectors else "N", uplo="L" if lower else "U")
    return v, w


def eig(a: Any, *, left: bool = False, right: bool = False) -> tuple[Any, Any, Any]:
    """Eigenvalues, in any order, left and right eigenvectors as columns, all complex.

    Vectors that are not asked for are anything.
    """
    type = type_of(a)
    *batch, n, _ = type.shape
    vectors, own = type.with_dtype(dt.to_complex(type.dtype)), type.with_shape((*batch, n))
    values = [own] if dt.is_complex(type.dtype) else [own, own]
    *w, vl, vr, _ = _call("geev", [a], (*values, vectors, vectors, Type(dt.int32, tuple(batch))),
                          compute_left="V" if left else "N", compute_right="V" if right else "N")
    return w[0] if len(w) == 1 else ew.complex_(*w), vl, vr


def hessenberg(a: Any) -> tuple[Any, Any]:
    """A matrix of the same eigenvalues that is 0 below the diagonal under its own, and reflections.

    Their vectors are where those zeros are to be, and their factors come second.
    """
    type = type_of(a)
    *batch, n, _ = type.shape
    taus = type.with_shape((*batch, max(n - 1, 0)))
    found = _call("gehrd", [a], (type, taus, Type(dt.int32, tuple(batch))), low=1, high=n)
    return found[0], found[1]


def schur(a: Any, *, vectors: bool) -> tuple[Any, Any]:
    """T and Z of a = Z T Z^H, nan where there are none; Z is anything without `vectors`."""
    type = type_of(a)
    *batch, n, _ = type.shape
    values = [type.with_shape((*batch, n))] * (1 if dt.is_complex(type.dtype) else 2)
    integers = [Type(dt.int32, tuple(batch))] * 2
    found = _call("gees", [a], (type, type, *values, *integers), mode="V" if vectors else "N",
                  sort="N")
    return found[0], found[1]


def svd(a: Any, *, full: bool, vectors: bool) -> tuple[Any, Any, Any]:
    """U, singular values in descending order, V^H; thin unless `full`.

    Without `vectors` the first and last are anything.
    """
    type = type_of(a)
    *batch, m, n = type.shape
    k = min(m, n)
    mode = "N" if not vectors else "A" if full else "S"
    rows, columns = (m, n) if full else (k, k)
    results = (type, Type(dt.to_real(type.dtype), (*batch, k)),
               type.with_shape((*batch, m, rows)), type.with_shape((*batch, columns, n)),
               Type(dt.int32, tuple(batch)))
    _, s, u, vh, _ = _call("gesdd", [a], results, mode=mode)
    return u, s, vh

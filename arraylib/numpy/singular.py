"""What singular values tell: pseudo-inverses, ranks, least squares, norms."""

from __future__ import annotations

from typing import Any

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo import factors
from arraylib.hlo.ir import trace_graph, type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.derivative import Drawn, Rule, custom_jvp
from arraylib.numpy import elementwise, reductions as rd
from arraylib.numpy.creation import asarray, zeros
from arraylib.numpy.factors import adjoint, matrices, squares, svd, svdvals, symmetrized
from arraylib.numpy.layout import expand_dims, squeeze
from arraylib.numpy.linear import matmul
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import Array, ArrayLike, convert, promote_inexact, shape_of
from arraylib.numpy.selection import where


@one_program()
def pinv(a: ArrayLike, rcond: ArrayLike | None = None, hermitian: bool = False, *,
         rtol: ArrayLike | None = None) -> Array:
    """Moore and Penrose's inverse; singular values below `rtol` times the largest count as 0.

    `rtol`, a number or one for each matrix, is 10 max(m, n) times the dtype's resolution unless
    given; `rcond` is its older name. With `hermitian` it is of (a + a^H) / 2. The derivative is
    that for a constant rank (Golub and Pereyra 1973), whichever singular values are equal.

    >>> pinv(jnp.array([[2.0, 0.0], [0.0, 0.0]]))
    Array([[0.5, 0. ],
           [0. , 0. ]], dtype=float32)
    """
    a = matrices("pinv", a)
    if hermitian:
        a = symmetrized("pinv", squares("pinv", a))
    if rcond is not None and rtol is not None:
        raise mistake(ArgumentError, "pinv", "rcond and rtol are both given",
                      operands=[type_of(a)], hint="rtol alone, which is the same")
    given = rcond if rtol is None else rtol
    resolution = 10.0 * max(shape_of(a)[-2:]) * float(dt.finfo(type_of(a).dtype).eps)
    part = convert(asarray(resolution if given is None else given), dt.to_real(type_of(a).dtype))
    types = [type_of(a), type_of(part)]
    body = trace_graph(types, lambda x, part: [_pinv(x, part, hermitian)])

    def draw() -> Drawn:
        def rule(x: Array, part: Array, t: Array) -> list[Array]:
            p = _pinv(x, part, hermitian)
            return [p, _pinv_tangent(x, p, t)]
        return trace_graph([*types, types[0]], rule), ()

    return custom_jvp(a, part, body=body, rule=Rule(draw), wrt=1, closed=0, name="pinv")[0]


def _pinv(a: Array, part: Array, hermitian: bool) -> Array:
    u, s, vh = svd(a, False, True, hermitian)
    weights = convert(_inverse(s, _kept(s, part)), type_of(a).dtype)
    return matmul(elementwise.multiply(adjoint(vh), expand_dims(weights, -2)), adjoint(u))


def _pinv_tangent(a: Array, p: Array, t: Array) -> Array:
    """-p t p + p p^H t^H (1 - a p) + (1 - p a) t^H p^H p, without large products."""
    turned, back = adjoint(t), adjoint(p)
    product = lambda x, y, z: (matmul(matmul(x, y), z) if shape_of(a)[-2] >= shape_of(a)[-1]
                               else matmul(x, matmul(y, z)))
    left, right = product(p, back, turned), product(turned, back, p)
    terms = ew.subtract(left, product(left, a, p)), ew.subtract(right, product(p, a, right))
    return ew.subtract(ew.add(*terms), product(p, t, p))


def _inverse(s: Array, kept: Array) -> Array:
    """1 / s where it is kept, and 0 elsewhere, in the derivative too."""
    one = elementwise.like(s, 1.0)
    return ew.select(kept, ew.divide(one, ew.select(kept, s, one)), elementwise.like(s, 0.0))


def _kept(s: Array, factor: ArrayLike) -> Array:
    """Which singular values are more than a part of the largest: one part, or one a matrix."""
    if shape_of(factor):
        factor = expand_dims(factor, -1)
    if not shape_of(s)[-1]:
        return elementwise.greater(s, 0)
    return elementwise.greater(s, elementwise.multiply(rd.max(s, -1, keepdims=True), factor))


def _resolution(s: Array) -> float:
    return float(dt.finfo(type_of(s).dtype).eps)


@one_program()
def matrix_rank(M: ArrayLike, rtol: ArrayLike | None = None, *, hermitian: bool = False,
                tol: ArrayLike | None = None) -> Array:
    """How many singular values are more than `rtol` times the largest, or more than `tol`.

    `rtol` is max(m, n) times the dtype's resolution unless one of them is given; a number or one
    for each matrix. With `hermitian` it is of (M + M^H) / 2. A vector has rank 1, or 0 where it is
    of zeros. Raises ArgumentError if both are given.

    >>> matrix_rank(jnp.array([[1.0, 1.0], [1.0, 1.0]]))
    Array(1, dtype=int32)
    """
    (m,) = promote_inexact("matrix_rank", M)
    if rtol is not None and tol is not None:
        raise mistake(ArgumentError, "matrix_rank", "rtol and tol are both given",
                      operands=[type_of(m)], hint="rtol is relative to the largest, tol is not")
    if len(shape_of(m)) < 2:
        return convert(rd.any(elementwise.not_equal(m, 0)), dt.int32)
    s = svd(m, False, False, hermitian)
    if tol is not None:
        kept = elementwise.greater(s, expand_dims(tol, -1) if shape_of(tol) else tol)
    else:
        kept = _kept(s, max(shape_of(m)[-2:]) * _resolution(s) if rtol is None else rtol)
    return rd.sum(convert(kept, dt.int32), -1)


def lstsq(a: ArrayLike, b: ArrayLike, rcond: float | None = None, *, numpy_resid: bool = False
          ) -> tuple[Array, Array, Array, Array]:
    """x of the least |a x - b|, and of those the least |x|; residuals, rank, singular values.

    a is [m, n], b [m] or [m, k]. Singular values below `rcond` times the largest count as 0; unless
    given it is max(m, n) times the dtype's resolution, which a negative one stands for. The
    residuals are |a x - b|^2, [k]; with `numpy_resid`, which cannot be traced, none where the rank
    is less than n or m no more than n. Raises ShapeError where a and b have not the same number of
    rows.

    >>> lstsq(jnp.array([[1.0], [1.0]]), jnp.array([1.0, 3.0]))[0]
    Array([1.9999999], dtype=float32)
    """
    x, residuals, rank, s = _lstsq(a, b, rcond)
    m, n = shape_of(a)
    if numpy_resid and (int(rank) < n or m <= n):
        residuals = zeros((0,), dtype=type_of(residuals).dtype)
    return x, residuals, rank, s


@one_program(2)
def _lstsq(a: ArrayLike, b: ArrayLike, rcond: float | None
           ) -> tuple[Array, Array, Array, Array]:
    a, b = promote_inexact("lstsq", a, b)
    a, vector = matrices("lstsq", a), len(shape_of(b)) == 1
    b = expand_dims(b, -1) if vector else b
    if len(shape_of(a)) != 2 or len(shape_of(b)) != 2 or shape_of(b)[0] != shape_of(a)[0]:
        raise mistake(ShapeError, "lstsq", f"a has {shape_of(a)[-2]} rows, but b has shape "
                      f"{shape_of(b)}", operands=[type_of(a), type_of(b)],
                      hint="a[m, n] and b[m] or b[m, k]")
    u, s, vh = factors.svd(a, full=False, vectors=True)
    kept = _kept(s, _least_part(s, max(shape_of(a)), rcond))
    weights = convert(_inverse(s, kept), type_of(a).dtype)
    inner = elementwise.multiply(matmul(adjoint(u), b), expand_dims(weights, -1))
    x = matmul(adjoint(vh), inner)
    rank = rd.sum(convert(kept, dt.int32), -1)
    error = elementwise.abs(ew.subtract(b, matmul(a, x)))
    residuals = rd.sum(elementwise.square(error), 0)
    return (squeeze(x, -1) if vector else x), residuals, rank, s


def _least_part(s: Array, size: int, rcond: Any) -> ArrayLike:
    """Of the largest singular value, what counts as 0."""
    if rcond is None:
        return size * _resolution(s)
    return where(elementwise.less(rcond, 0), _resolution(s), rcond)


# -- norms -----------------------------------------------------------------------------------------


def is_spectral(ord: Any) -> bool:
    """Whether a norm is of singular values."""
    return ord in (2, -2, "nuc")


def spectral_norm(x: Array, ord: Any) -> Array:
    """The largest (2) or least (-2) singular value, or the sum of all ("nuc")."""
    s = svdvals(x)
    if ord == "nuc":
        return rd.sum(s, -1)
    if ord == 2:
        return rd.max(s, -1, **({} if shape_of(s)[-1] else {"initial": 0}))
    return rd.min(s, -1)

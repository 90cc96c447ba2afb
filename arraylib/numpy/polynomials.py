"""Polynomials as vectors of coefficients, highest power first."""

from __future__ import annotations

from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import known, type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.numpy import linalg, reductions as rd
from arraylib.numpy.creation import counting, eye, ones, zeros
from arraylib.numpy.elementwise import abs, divide, like, multiply, sqrt, square, subtract
from arraylib.numpy.indexing import getitem
from arraylib.numpy.inserting import trim_zeros
from arraylib.numpy.layout import (
    concatenate,
    cut,
    expand_dims,
    matrix_transpose,
    reshape,
    squeeze,
)
from arraylib.numpy.linear import matmul, outer
from arraylib.numpy.padding import pad
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    broadcast,
    convert,
    converted,
    operand,
    promote,
    promote_inexact,
    shape_of,
)
from arraylib.numpy.statistics import convolve
from arraylib.numpy.triangles import vander

# -- arithmetic ------------------------------------------------------------------------------------


@one_program(2)
def polyval(p: ArrayLike, x: ArrayLike) -> Array:
    """The polynomial with coefficients p, highest power first, at x.

    >>> jnp.polyval(jnp.array([1, 0, -1]), jnp.array([2.0, 3.0]))
    Array([3., 8.], dtype=float32)
    """
    p, x = promote("polyval", p, x)
    result = like(x, 0)
    for i in range(shape_of(p)[0]):
        term = broadcast("polyval", getitem(p, i), shape_of(x))
        result = ew.add(ew.multiply(result, x), term)
    return result


def polyadd(a1: ArrayLike, a2: ArrayLike) -> Array:
    """The coefficients of a sum of polynomials.

    >>> jnp.polyadd(jnp.array([1, 2]), jnp.array([1, 0, 0]))
    Array([1, 1, 2], dtype=int32)
    """
    a, b = promote("polyadd", a1, a2)
    n = np.maximum(shape_of(a)[0], shape_of(b)[0]).item()
    return ew.add(*[pad(v, (n - shape_of(v)[0], 0)) for v in (a, b)])


def polysub(a1: ArrayLike, a2: ArrayLike) -> Array:
    """The coefficients of a difference of polynomials.

    >>> jnp.polysub(jnp.array([1, 2]), jnp.array([1, 0]))
    Array([0, 2], dtype=int32)
    """
    a, b = promote("polysub", a1, a2)
    return polyadd(a, ew.negate(b))


def polyint(p: ArrayLike, m: int = 1, k: ArrayLike | None = None) -> Array:
    """The coefficients of the m-th integral of a polynomial that is 0 at 0, or that is `k` there.

    `k` is one constant, or one for each integration from the first on. Raises ShapeError if there
    are others.

    >>> jnp.polyint(jnp.array([2, 2]))
    Array([1., 2., 0.], dtype=float32)
    """
    p, constants = promote_inexact("polyint", p, 0 if k is None else k)
    if shape_of(constants) not in ((), (1,), (m,)):
        raise mistake(ShapeError, "polyint", f"constants of shape {shape_of(constants)} for "
                      f"{m} integrations", hint="one for all, or one for each")
    constants = broadcast("polyint", reshape(constants, shape_of(constants) or (1,)), (m,))
    for i in range(m):
        n = shape_of(p)[0]
        powers = convert(counting((n,), 0, dt.int32), type_of(p).dtype)
        p = ew.divide(p, ew.subtract(like(powers, n), powers))
        p = concatenate([p, cut(constants, 0, i, i + 1)])
    return p


def polymul(a1: ArrayLike, a2: ArrayLike, *, trim_leading_zeros: bool = False) -> Array:
    """The coefficients of a product of polynomials, of known ones without zeros in front if asked.

    >>> jnp.polymul(jnp.array([1, 1]), jnp.array([1, -1]))
    Array([ 1,  0, -1], dtype=int32)
    """
    factors = promote("polymul", a1, a2)
    if trim_leading_zeros:
        factors = [trim_zeros(x, "f") for x in factors]
    first, second = (x if shape_of(x)[0] else zeros(1, type_of(x).dtype) for x in factors)
    return convolve(first, second)


def polyder(p: ArrayLike, m: int = 1) -> Array:
    """The coefficients of the m-th derivative of a polynomial.

    >>> jnp.polyder(jnp.array([1, 2, 3]))
    Array([2., 2.], dtype=float32)
    """
    (p,) = promote_inexact("polyder", p)
    for _ in range(m):
        n = shape_of(p)[0]
        powers = convert(counting((np.maximum(n - 1, 0).item(),), 0, dt.int32), type_of(p).dtype)
        factors = ew.subtract(like(powers, n - 1), powers)
        p = ew.multiply(getitem(p, slice(0, n - 1)), factors)
    return p

def polydiv(u: ArrayLike, v: ArrayLike, *, trim_leading_zeros: bool = False
            ) -> tuple[Array, Array]:
    """Quotient and remainder of polynomials: u = quotient v + remainder.

    The remainder has as many coefficients as u, so that its size does not depend on the elements;
    `trim_leading_zeros` leaves the first out as long as they are 0, and needs known elements.
    Raises ShapeError for what are not vectors.

    >>> polydiv(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 1.0]))
    (Array([1., 1.], dtype=float32), Array([0., 0., 2.], dtype=float32))
    """
    rest, v = promote_inexact("polydiv", u, v)
    if len(shape_of(rest)) != 1 or len(shape_of(v)) != 1 or not shape_of(v)[0]:
        raise mistake(ShapeError, "polydiv", "two vectors are needed, the second not empty",
                      operands=[type_of(rest), type_of(v)], hint="coefficients, highest first")
    quotient, rest = _divided(rest, v)
    return quotient, trim_zeros(rest, "f") if trim_leading_zeros else rest


@one_program(2)
def _divided(u: Array, v: Array) -> tuple[Array, Array]:
    """Long division."""
    size, n = shape_of(u)[0], shape_of(v)[0]
    steps = size - n + 1
    if steps < 1:
        return zeros((1,), type_of(u).dtype), u
    found = []
    for k in range(steps):
        factor = ew.divide(getitem(u, k), getitem(v, 0))
        product = ew.multiply(broadcast("polydiv", factor, (n - 1,)), cut(v, 0, 1, n))
        gone = like(cut(u, 0, k, k + 1), 0)  # exactly, whatever the division rounds to
        u = concatenate([cut(u, 0, 0, k), gone, ew.subtract(cut(u, 0, k + 1, k + n), product),
                         cut(u, 0, k + n, size)])
        found.append(reshape(factor, (1,)))
    return concatenate(found), u


# -- roots -----------------------------------------------------------------------------------------


def poly(seq_of_zeros: ArrayLike) -> Array:
    """The polynomial with these roots, or the characteristic polynomial of a square matrix.

    The first coefficient is 1. Of a real matrix it is real. Raises ShapeError for other shapes.

    >>> poly(jnp.array([1.0, 2.0]))
    Array([ 1., -3.,  2.], dtype=float32)
    """
    (given,) = promote_inexact("poly", seq_of_zeros)
    shape = shape_of(given)
    if len(shape) != 1 and (len(shape) != 2 or shape[0] != shape[1]):
        raise mistake(ShapeError, "poly", f"shape {shape}", operands=[type_of(given)],
                      hint="a vector of roots, or a square matrix")
    return _poly(given)


@one_program()
def _poly(given: Array) -> Array:
    roots_ = linalg.eigvals(given) if len(shape_of(given)) == 2 else given
    dtype = type_of(roots_).dtype
    found = ones((1,), dtype)
    for k in range(shape_of(roots_)[0]):
        shifted = ew.multiply(found, broadcast("poly", getitem(roots_, k), shape_of(found)))
        found = ew.subtract(pad(found, (0, 1)), pad(shifted, (1, 0)))
    real = dt.is_complex(dtype) and not dt.is_complex(type_of(given).dtype)
    return ew.real(found) if real else found


def roots(p: ArrayLike, *, strip_zeros: bool = True) -> Array:
    """The roots of a polynomial, complex and in any order: eigenvalues of its companion matrix.

    Leading zeros are left out, which needs known elements; without `strip_zeros`, as under jit, the
    first coefficient must not be 0, or the roots are nan. Edelman and Murakami (1995) on how exact
    they are. Raises ShapeError for what is no vector.

    >>> roots(jnp.array([1.0, -3.0, 2.0]))
    Array([2.+0.j, 1.+0.j], dtype=complex64)
    """
    (p,) = promote_inexact("roots", p)
    if len(shape_of(p)) != 1:
        raise mistake(ShapeError, "roots", f"shape {shape_of(p)} is no vector",
                      operands=[type_of(p)], hint="coefficients, highest first")
    if not strip_zeros:
        return _roots(p)
    if known(p) is None:
        raise mistake(ArgumentError, "roots", "how many coefficients lead with 0 is not known "
                      "while tracing", operands=[type_of(p)], hint="strip_zeros=False")
    inner = trim_zeros(p, "f")
    short = trim_zeros(inner, "b")
    at_zero = zeros((shape_of(inner)[0] - shape_of(short)[0],), dt.to_complex(type_of(p).dtype))
    return concatenate([_roots(short), at_zero])


@one_program()
def _roots(p: Array) -> Array:
    n = shape_of(p)[0] - 1
    dtype = type_of(p).dtype
    if n < 1:
        return zeros((0,), dt.to_complex(dtype))
    first = ew.negate(ew.divide(cut(p, 0, 1, n + 1), broadcast("roots", getitem(p, 0), (n,))))
    below = eye(n - 1, n, dtype=dtype)
    return linalg.eigvals(concatenate([reshape(first, (1, n)), below]))


# -- least squares ---------------------------------------------------------------------------------


def polyfit(x: ArrayLike, y: ArrayLike, deg: int, rcond: float | None = None, full: bool = False,
            w: ArrayLike | None = None, cov: bool | str = False) -> Any:
    """The polynomial of degree `deg` that is nearest to the points (x, y) in squared distance.

    x is [n], y [n] or [n, k], `w` [n] weights of the distances. The columns of powers are scaled to
    length 1 before the singular values below `rcond` times the largest are left out.

    Also, with `full`: residuals, rank, singular values and rcond; with `cov` the covariances of
    the coefficients, scaled by the residuals unless it is "unscaled".
    Raises ShapeError where sizes do not fit, ArgumentError for a negative degree.

    >>> polyfit(jnp.array([0.0, 1.0, 2.0]), jnp.array([1.0, 3.0, 5.0]), 1)
    Array([1.9999998, 1.0000001], dtype=float32)
    """
    x, y = promote_inexact("polyfit", x, y)
    if int(deg) < 0:
        raise mistake(ArgumentError, "polyfit", f"deg = {deg}", hint="a degree from 0 up")
    shape = shape_of(x)
    if len(shape) != 1 or not shape[0] or len(shape_of(y)) not in (1, 2) \
            or shape_of(y)[0] != shape[0]:
        raise mistake(ShapeError, "polyfit", "x is no vector, or y has not as many rows",
                      operands=[type_of(x), type_of(y)], hint="x[n], and y[n] or y[n, k]")
    if w is not None:
        w = converted("polyfit", w, type_of(y).dtype)
        if shape_of(w) != shape:
            raise mistake(ShapeError, "polyfit", f"weights of shape {shape_of(w)} for {shape[0]} "
                          "points", operands=[type_of(x)], hint="w[n], one for each point")
    return _fitted(x, y, w, int(deg) + 1, rcond, full, cov)


def _fitted(x: Array, y: Array, w: Array | None, order: int, rcond: float | None, full: bool,
            cov: bool | str) -> Any:
    left, vector = vander(x, order), len(shape_of(y)) == 1
    right = expand_dims(y, 1) if vector else y
    if w is not None:
        left, right = (multiply(m, expand_dims(w, 1)) for m in (left, right))
    scale = sqrt(rd.sum(square(abs(left)), 0))
    scale = ew.select(ew.compare(scale, like(scale, 0), direction="EQ"), like(scale, 1), scale)
    limits = dt.finfo(type_of(x).dtype)
    least = shape_of(x)[0] * float(limits.eps) if rcond is None else rcond
    c, residuals, rank, s = linalg.lstsq(divide(left, expand_dims(scale, 0)), right, least)
    c = divide(c, expand_dims(scale, 1))
    found = squeeze(c, 1) if vector else c
    if full:
        return found, residuals, rank, s, operand("polyfit", least)
    if not cov:
        return found
    spread = divide(linalg.inv(_gram(left, scale)), outer(scale, scale))
    if cov == "unscaled":
        return found, spread
    free = shape_of(x)[0] - order
    if free < 1:
        raise mistake(ArgumentError, "polyfit", f"{shape_of(x)[0]} points are too few to scale "
                      f"the covariances of {order} coefficients", hint="cov='unscaled'")
    error = rd.sum(square(abs(subtract(right, matmul(left, c)))), 0)
    spread = multiply(expand_dims(spread, 2), divide(error, float(free)))
    return found, squeeze(spread, 2) if vector else spread


def _gram(left: Array, scale: Array) -> Array:
    """The products of the scaled columns with each other."""
    scaled = divide(left, expand_dims(scale, 0))
    return matmul(matrix_transpose(scaled), scaled)

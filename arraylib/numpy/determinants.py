"""Determinants, with a derivative that is right where a matrix is singular too.

The derivative of det(a) along t is the trace of adj(a) t, and adj(a), the cofactors transposed, is
det(a) a^-1 where there is an inverse. Where one pivot is 0 it is as good as a small number in its
place: that is another matrix, but no further away than rounding is. Where more are, adj(a) is of
singular values.
"""

from __future__ import annotations

from typing import NamedTuple

from arraylib import dtypes as dt
from arraylib.hlo import factors
from arraylib.hlo.ir import trace_graph, type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.control import case
from arraylib.hlo.ops.derivative import Drawn, Rule, custom_jvp
from arraylib.numpy import elementwise, reductions as rd
from arraylib.numpy.creation import arange, eye, ones
from arraylib.numpy.layout import cut, expand_dims, matrix_transpose, squeeze
from arraylib.numpy.linear import diagonal, matmul, trace
from arraylib.numpy.promotion import Array, broadcast, convert, shape_of
from arraylib.numpy.selection import where


class Elimination(NamedTuple):
    """LU of matrices: whether the determinants are less the products of pivots."""

    lu: Array
    order: Array
    odd: Array
    pivots: Array


def elimination(a: Array) -> Elimination:
    """LU of square matrices."""
    lu, places, order = factors.lu(a)
    own = broadcast("det", arange(shape_of(places)[-1], dtype="int32"), shape_of(places))
    moved = convert(elementwise.not_equal(places, own), dt.int32)
    odd = elementwise.not_equal(elementwise.remainder(rd.sum(moved, -1), 2), 0)
    return Elimination(lu, order, odd, diagonal(lu, axis1=-2, axis2=-1))


def determinant(a: Array) -> Array:
    """The determinants of square matrices."""
    if shape_of(a)[-1] <= 3:
        return _by_first_row(a)
    type = type_of(a)
    body = trace_graph([type], lambda x: [_by_pivots(x)])

    def draw() -> Drawn:
        return trace_graph([type, type], lambda x, t: [_by_pivots(x), _tangent(x, t)]), ()

    return custom_jvp(a, body=body, rule=Rule(draw), wrt=1, closed=0, name="det")[0]


def _by_first_row(a: Array) -> Array:
    """Laplace's expansion, for three rows at most."""
    n = shape_of(a)[-1]
    if n == 0:
        return ones(shape_of(a)[:-2], dtype=type_of(a).dtype)
    if n == 1:
        return _entry(a, 0, 0)
    if n == 2:
        return _minor(a, 0, 0, 1)
    terms = [ew.multiply(_entry(a, 0, k), _minor(a, 1, *others))
             for k, others in enumerate(((1, 2), (0, 2), (0, 1)))]
    return ew.add(ew.subtract(terms[0], terms[1]), terms[2])


def _entry(a: Array, i: int, j: int) -> Array:
    row = len(shape_of(a)) - 2
    return squeeze(cut(cut(a, row, i, i + 1), row + 1, j, j + 1), (row, row + 1))


def _minor(a: Array, row: int, i: int, j: int) -> Array:
    """The determinant of two rows from `row` on, and two columns."""
    return ew.subtract(ew.multiply(_entry(a, row, i), _entry(a, row + 1, j)),
                       ew.multiply(_entry(a, row, j), _entry(a, row + 1, i)))


def _by_pivots(a: Array) -> Array:
    found = elimination(a)
    return _signed(found.odd, rd.prod(found.pivots, -1))


def _signed(odd: Array, x: Array) -> Array:
    return ew.select(odd, ew.negate(x), x)


# -- the derivative --------------------------------------------------------------------------------


def _tangent(a: Array, t: Array) -> Array:
    """The traces of adj(a) t."""
    found = elimination(a)
    zero = elementwise.equal(found.pivots, 0)
    several = elementwise.greater(rd.sum(convert(zero, dt.int32), -1), 1)
    lu, before, after = _without_zeros(found, zero, several)
    scaled = elementwise.multiply(t, expand_dims(before, (-1, -2)))
    solved = factors.solved(lu, factors.take_rows(scaled, found.order))
    product = elementwise.multiply(after, trace(solved, axis1=-2, axis2=-1))
    plain = _signed(found.odd, product)
    types = [type_of(x) for x in (a, t, plain, several)]
    branches = (
        trace_graph(types, lambda a, t, plain, several: [plain]),
        trace_graph(types, lambda a, t, plain, several: [
            ew.select(several, _by_singular_values(a, t), plain)]))
    index = convert(rd.any(several), dt.int32)
    return case(index, a, t, plain, several, branches=branches)[0]


def _without_zeros(found: Elimination, zero: Array, several: Array
                   ) -> tuple[Array, Array, Array]:
    """The factors with the square of the resolution, times the largest pivot, for a zero; and the
    product of the pivots in two: what to multiply by before a system is solved, and after it.

    Where there are several zeros those of 1, so that no numbers are infinite that are not used.
    """
    sizes = elementwise.abs(found.pivots)
    small = float(dt.finfo(type_of(sizes).dtype).eps) ** 2
    least = elementwise.multiply(rd.max(sizes, -1, keepdims=True), small)
    least = where(zero, broadcast("det", least, shape_of(zero)), 1)
    least = where(expand_dims(several, -1), 1, least)
    others = where(elementwise.logical_or(zero, expand_dims(several, -1)), 1, found.pivots)
    pivots = where(zero, convert(least, type_of(others).dtype), others)
    lu = where(expand_dims(several, (-1, -2)), 0, found.lu)
    on_diagonal = eye(shape_of(zero)[-1], dtype="bool")
    return (where(on_diagonal, expand_dims(pivots, -1), lu),
            *_shared_out(rd.prod(others, -1), rd.prod(least, -1)))


def _shared_out(product: Array, least: Array) -> tuple[Array, Array]:
    """What to multiply by before and after a system is solved, which divides by `least`.

    Where the product is small, times `least` it would be 0; where it is large, divided by it
    infinite.
    """
    large = elementwise.greater(elementwise.abs(product), 1)
    before = convert(where(large, least, 1), type_of(product).dtype)
    return elementwise.multiply(product, before), convert(where(large, 1, least),
                                                          type_of(product).dtype)


def _by_singular_values(a: Array, t: Array) -> Array:
    """det(U V^H) times the sum of (U^H t V)_ii, each by all other singular values."""
    u, s, vh = factors.svd(a, full=True, vectors=True)
    adjoint = lambda x: elementwise.conj(matrix_transpose(x))
    inner = diagonal(matmul(matmul(adjoint(u), t), adjoint(vh)), axis1=-2, axis2=-1)
    n = shape_of(s)[-1]
    square = (*shape_of(s), n)
    others = ew.select(broadcast("det", eye(n, dtype="bool"), square), ones(square, dtype=(
        type_of(s).dtype)), broadcast("det", expand_dims(s, -2), square))
    products = convert(rd.prod(others, -1), type_of(a).dtype)
    return elementwise.multiply(_by_pivots(matmul(u, vh)),
                                rd.sum(elementwise.multiply(inner, products), -1))

"""Sums of products: matmul, dot, einsum and their relatives, all by way of axis labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo import axes as ax
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import (
    elementwise as ew,
    reduction as rd,
    shape as sh,
    structured as st,
)
from arraylib.numpy.elementwise import conj, multiply
from arraylib.numpy.layout import expand_dims, moveaxis, ravel, reshape, transpose
from arraylib.numpy.placing import laid_out
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    as_axes,
    as_axis,
    broadcast,
    convert,
    joint_shape,
    operand,
    promote,
    shape_of,
)
from arraylib.numpy.reductions import sum
from arraylib.numpy.tables import named

LETTERS = ax.LETTERS


def _result_dtype(op: str, preferred: Any) -> dt.Dtype | None:
    return None if preferred is None else dt.dtype(preferred, op=op)


def _contract(axes: str, x: Array, y: Array, preferred: dt.Dtype | None) -> Array:
    own = type_of(x).dtype
    return rd.contract(axes, x, y, None if preferred == own else preferred)


# -- products of two arrays ------------------------------------------------------------------------


@one_program(2)
def matmul(a: ArrayLike, b: ArrayLike, *, precision: Any = None,
           preferred_element_type: Any = None, out_sharding: Any = None) -> Array:
    """The matrix product of [..., m, k] and [..., k, n]; leading axes broadcast, vectors are k.

    Half types are summed in float32. `preferred_element_type` is the dtype of the result, and
    `out_sharding` how it lies on a mesh. Raises ShapeError where the axes k, or the leading axes,
    do not fit.

    >>> jnp.matmul(jnp.array([[1, 2], [3, 4]]), jnp.array([1, 1]))
    Array([3, 7], dtype=int32)
    """
    if out_sharding is not None:
        return laid_out("matmul", out_sharding, matmul, a, b, precision=precision,
                        preferred_element_type=preferred_element_type)
    a, b = promote("matmul", a, b)
    _check_matmul(a, b)
    x, y = shape_of(a), shape_of(b)
    wanted = _result_dtype("matmul", preferred_element_type)
    if len(y) <= 2:  # nothing to go along with: the axes come out in order
        return _dot_axes(a, b, (len(x) - 1,), (0,), wanted)
    rank = max(len(x), len(y), 2)
    lead = LETTERS[: rank - 2]
    left = (lead[rank - len(x):] + "YX") if len(x) > 1 else "X"
    right = (lead[rank - len(y):] + "XW") if len(y) > 1 else "X"
    a, left = _without_repeats(a, left, right, y)
    b, right = _without_repeats(b, right, left, shape_of(a))
    out = "".join(c for c in lead if c in left or c in right)
    out += "Y" * (len(x) > 1) + "W" * (len(y) > 1)
    result = _contract(f"{left},{right}->{out}", a, b, wanted)
    full = joint_shape("matmul", [x[:-2], y[:-2]]) + (x[-2:-1] if len(x) > 1 else ()) + (
        y[-1:] if len(y) > 1 else ())
    return reshape(result, full)


def _check_matmul(a: Array, b: Array) -> None:
    x, y, types = shape_of(a), shape_of(b), [type_of(a), type_of(b)]
    for i, sizes in enumerate((x, y)):
        if not sizes:
            raise mistake(ShapeError, "matmul", f"operand {i} is a scalar", operands=types,
                          hint="x * y multiplies by a scalar")
    k = max(len(y) - 2, 0)
    if x[-1] != y[k]:
        hint = "the last axis of the first operand is summed with the last but one of the second"
        raise mistake(ShapeError, "matmul", f"axis {len(x) - 1} of operand 0 is {x[-1]} but axis "
                      f"{k} of operand 1 is {y[k]}", operands=types,
                      hint="transpose one: x.mT" if x[-1] in y else hint)
    joint_shape("matmul", [x[:-2], y[:-2]], types)


def _without_repeats(x: Array, own: str, other: str, sizes: Sequence[int]) -> tuple[Array, str]:
    """x without leading axes of size 1 that would be repeated along those of the other operand."""
    there = dict(zip(other, sizes))
    keep = [i for i, (c, n) in enumerate(zip(own, shape_of(x)))
            if not (c in ax.LETTERS[:24] and n == 1 and c in there)]
    if len(keep) == len(own):
        return x, own
    shape = tuple(shape_of(x)[i] for i in keep)
    return st.reshape(x, shape=shape), "".join(own[i] for i in keep)


@one_program(2)
def dot(a: ArrayLike, b: ArrayLike, *, precision: Any = None,
        preferred_element_type: Any = None, out_sharding: Any = None) -> Array:
    """The sum of products over the last axis of `a` and the last but one (or only) axis of b.

    >>> jnp.dot(jnp.array([1, 2]), jnp.array([3, 4]))
    Array(11, dtype=int32)
    """
    if out_sharding is not None:
        return laid_out("dot", out_sharding, dot, a, b, precision=precision,
                        preferred_element_type=preferred_element_type)
    a, b = promote("dot", a, b)
    x, y = shape_of(a), shape_of(b)
    if not x or not y:
        return multiply(a, b)
    k = max(len(y) - 2, 0)
    if x[-1] != y[k]:
        raise mistake(ShapeError, "dot", f"axis {len(x) - 1} of operand 0 is {x[-1]} but axis {k} "
                      f"of operand 1 is {y[k]}", operands=[type_of(a), type_of(b)],
                      hint="transpose one of them, or reshape")
    return _dot_axes(a, b, (len(x) - 1,), (k,), _result_dtype("dot", preferred_element_type))


def _dot_axes(a: Array, b: Array, left: Sequence[int], right: Sequence[int],
              dtype: dt.Dtype | None = None) -> Array:
    """The sum of products over pairs of axes; the other axes in order."""
    own = type_of(a).dtype
    return rd.dot_general(a, b, lhs_batching=(), rhs_batching=(), lhs_contracting=tuple(left),
                          rhs_contracting=tuple(right), dtype=None if dtype == own else dtype)


@one_program(2)
def vdot(a: ArrayLike, b: ArrayLike, *, precision: Any = None,
         preferred_element_type: Any = None) -> Array:
    """The sum of conj(a) * b over all elements, in order, of two arrays of one size.

    >>> jnp.vdot(jnp.array([1j]), jnp.array([1j]))
    Array(1.+0.j, dtype=complex64)
    """
    return dot(ravel(conj(a)), ravel(b), preferred_element_type=preferred_element_type)


@one_program(2)
def vecdot(x1: ArrayLike, x2: ArrayLike, /, *, axis: int = -1, precision: Any = None,
           preferred_element_type: Any = None) -> Array:
    """The sum of conj(x1) * x2 along an axis; the others broadcast. Keywords as for `matmul`.

    >>> jnp.vecdot(jnp.ones((5, 3)), jnp.ones((5, 3)))
    Array([3., 3., 3., 3., 3.], dtype=float32)
    """
    x1, x2 = promote("vecdot", x1, x2)
    x, y = (moveaxis(v, axis, -1) for v in (conj(x1), x2))
    if shape_of(x)[-1] != shape_of(y)[-1]:
        raise mistake(ShapeError, "vecdot", f"axis {axis} is {shape_of(x)[-1]} in operand 0 but "
                      f"{shape_of(y)[-1]} in operand 1", operands=[type_of(x1), type_of(x2)],
                      hint="transpose one of them, or reshape")
    row, column = expand_dims(x, -2), expand_dims(y, -1)
    product = matmul(row, column, preferred_element_type=preferred_element_type)
    return reshape(product, shape_of(product)[:-2])


def matvec(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """The product of matrices [..., m, k] and vectors [..., k].

    >>> jnp.matvec(jnp.array([[1, 2], [3, 4]]), jnp.array([1, 1]))
    Array([3, 7], dtype=int32)
    """
    product = matmul(x1, expand_dims(x2, -1))
    return reshape(product, shape_of(product)[:-1])


def vecmat(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """The product of vectors [..., k], conjugated, and matrices [..., k, n].

    >>> jnp.vecmat(jnp.array([1, 1]), jnp.array([[1, 2], [3, 4]]))
    Array([4, 6], dtype=int32)
    """
    product = matmul(expand_dims(conj(x1), -2), x2)
    return reshape(product, (*shape_of(product)[:-2], shape_of(product)[-1]))


@one_program(2)
def inner(a: ArrayLike, b: ArrayLike, *, precision: Any = None,
          preferred_element_type: Any = None) -> Array:
    """The sum of products over the last axes.

    >>> jnp.inner(jnp.array([1, 2]), jnp.array([3, 4]))
    Array(11, dtype=int32)
    """
    a, b = promote("inner", a, b)
    if not shape_of(a) or not shape_of(b):
        return multiply(a, b)
    if shape_of(a)[-1] != shape_of(b)[-1]:
        raise mistake(ShapeError, "inner", f"the last axis is {shape_of(a)[-1]} in operand 0 but "
                      f"{shape_of(b)[-1]} in operand 1", operands=[type_of(a), type_of(b)],
                      hint="transpose one of them, or reshape")
    return _dot_axes(a, b, (len(shape_of(a)) - 1,), (len(shape_of(b)) - 1,),
                     _result_dtype("inner", preferred_element_type))


@one_program(2)
def outer(a: ArrayLike, b: ArrayLike, out: None = None) -> Array:
    """All products of an element of `a` and one of b, as a matrix.

    >>> jnp.outer(jnp.array([1, 2]), jnp.array([3, 4]))
    Array([[3, 4],
           [6, 8]], dtype=int32)
    """
    a, b = (ravel(x) for x in promote("outer", a, b))
    return multiply(reshape(a, (-1, 1) if shape_of(a)[0] else (0, 1)), b)


@one_program(2)
def kron(a: ArrayLike, b: ArrayLike) -> Array:
    """The Kronecker product: `a` with each element replaced by its product with b.

    >>> jnp.kron(jnp.array([1, 10]), jnp.array([1, 2]))
    Array([ 1,  2, 10, 20], dtype=int32)
    """
    a, b = promote("kron", a, b)
    rank = max(len(shape_of(a)), len(shape_of(b)))
    x, y = ((1,) * (rank - len(shape_of(v))) + shape_of(v) for v in (a, b))
    wide = tuple(n for pair in zip(x, (1,) * rank) for n in pair)
    thin = tuple(n for pair in zip((1,) * rank, y) for n in pair)
    return reshape(multiply(reshape(a, wide), reshape(b, thin)),
                   tuple(n * m for n, m in zip(x, y)))


@one_program(2)
def cross(a: ArrayLike, b: ArrayLike, axisa: int = -1, axisb: int = -1, axisc: int = -1,
          axis: int | None = None) -> Array:
    """The cross product of vectors of 3 (or 2: then its third component) along an axis.

    >>> jnp.cross(jnp.array([1, 0, 0]), jnp.array([0, 1, 0]))
    Array([0, 0, 1], dtype=int32)
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = promote("cross", a, b)
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    sizes = shape_of(a)[-1], shape_of(b)[-1]
    if not set(sizes) <= {2, 3}:
        raise mistake(ShapeError, "cross", f"vectors of {sizes[0]} and {sizes[1]} components",
                      operands=[type_of(a), type_of(b)], hint="2 or 3 components")
    x, y = (_components(v) for v in (a, b))
    term = lambda i, j: _difference(x, y, i, j)
    if sizes == (2, 2):
        return term(0, 1)
    parts = [expand_dims(p, -1) for p in (term(1, 2), term(2, 0), term(0, 1))]
    return moveaxis(sh.concatenate(*parts, dimension=len(shape_of(parts[0])) - 1), -1, axisc)


def _difference(x: Sequence[Array], y: Sequence[Array], i: int, j: int) -> Array:
    left, right = multiply(x[i], y[j]), multiply(x[j], y[i])
    shape = joint_shape("cross", [shape_of(left), shape_of(right)])
    return ew.subtract(broadcast("cross", left, shape), broadcast("cross", right, shape))


def _components(v: Array) -> list[Array]:
    """The components along the last axis; zero for a third that is missing."""
    *lead, n = shape_of(v)
    none = (0,) * len(lead)
    parts = [st.reshape(sh.slice_(v, start=(*none, i), limit=(*lead, i + 1),
                                  strides=(1,) * (len(lead) + 1)), shape=tuple(lead))
             for i in range(n)]
    return parts if n == 3 else [*parts, ew.subtract(parts[0], parts[0])]


@one_program(2)
def tensordot(a: ArrayLike, b: ArrayLike, axes: Any = 2, *, precision: Any = None,
              preferred_element_type: Any = None) -> Array:
    """The sum of products over pairs of axes: the last and first `axes`, or two lists of axes.

    >>> jnp.tensordot(jnp.ones((2, 3)), jnp.ones((3, 4)), axes=1).shape
    (2, 4)
    """
    a, b = promote("tensordot", a, b)
    x, y = len(shape_of(a)), len(shape_of(b))
    if isinstance(axes, int):
        left, right = tuple(range(x - axes, x)), tuple(range(axes))
        if axes > min(x, y):
            raise mistake(ShapeError, "tensordot", f"{axes} axes of arrays with {x} and {y}",
                          operands=[type_of(a), type_of(b)], hint="a number of axes that both have")
    else:
        left, right = as_axes("tensordot", axes[0], x), as_axes("tensordot", axes[1], y)
    pairs = list(zip(left, right))
    if len(left) != len(right) or any(shape_of(a)[i] != shape_of(b)[j] for i, j in pairs):
        raise mistake(ShapeError, "tensordot", f"axes {left} of sizes "
                      f"{tuple(shape_of(a)[i] for i in left)} are paired with axes {right} of "
                      f"sizes {tuple(shape_of(b)[j] for j in right)}",
                      operands=[type_of(a), type_of(b)],
                      hint="axes=([of the first], [of the second]) pairs axes of one size")
    return _dot_axes(a, b, left, right, _result_dtype("tensordot", preferred_element_type))


# -- einsum ----------------------------------------------------------------------------------------


def einsum(subscripts: str, /, *operands: ArrayLike, out: None = None, optimize: Any = "optimal",
           precision: Any = None, preferred_element_type: Any = None,
           out_sharding: Any = None) -> Array:
    """The sum of products that the subscripts describe, as NumPy's einsum; from left to right.

        jnp.einsum("bik,bkj->bij", x, y)      # a batch of matrix products
        jnp.einsum("ii", x)                   # the trace

    Raises ArgumentError for subscripts that are not well formed, ShapeError where an axis has two
    sizes.

    >>> jnp.einsum("ij,j->i", jnp.array([[1, 2], [3, 4]]), jnp.array([1, 1]))
    Array([3, 7], dtype=int32)
    """
    if not isinstance(subscripts, str):
        raise mistake(ArgumentError, "einsum", f"the subscripts are {subscripts!r}",
                      hint="a string such as 'ij,jk->ik' comes first")
    if not operands:
        raise mistake(ArgumentError, "einsum", f"{subscripts!r} stands alone",
                      hint="after it an array for each group of letters")
    if out_sharding is not None:
        return laid_out("einsum", out_sharding, einsum, subscripts, *operands,
                        preferred_element_type=preferred_element_type)
    return _einsum_of(len(operands))(*operands, subscripts, preferred_element_type)


@lru_cache(maxsize=64)
def _einsum_of(count: int) -> Callable[..., Array]:
    """The einsum of so many operands, which come first."""
    def function(*given: Any) -> Array:
        return _einsum(given[count], given[:count], given[count + 1])

    return one_program(count)(named(function, "einsum", "The sum of products."))


def _einsum(subscripts: str, operands: Sequence[ArrayLike], preferred_element_type: Any) -> Array:
    xs = promote("einsum", *operands)
    types = [type_of(x) for x in xs]
    labels, result = _subscripts(subscripts, tuple(t.rank for t in types))
    sizes = _sizes(subscripts, labels, types)
    preferred = _result_dtype("einsum", preferred_element_type)
    xs, labels = _stretched(xs, labels, sizes)
    terms = [_diagonals(x, a) for x, a in zip(xs, labels)]
    while len(terms) > 1:
        first, second, *rest = terms
        wanted = set(result).union(*[a for _, a in rest])
        terms = [_pair(first, second, wanted, preferred), *rest]
    x, own = _sum_out(*terms[0], set(result))
    x = x if preferred is None else convert(x, preferred)
    missing = "".join(c for c in result if c not in own)
    if missing:  # only axes of size 1, which were left out
        x, own = reshape(x, (*shape_of(x), *(sizes[c] for c in missing))), own + missing
    return transpose(x, [own.index(c) for c in result])


def einsum_path(subscripts: str, /, *operands: ArrayLike, optimize: Any = "greedy"
                ) -> tuple[list[Any], str]:
    """NumPy's plan for an einsum: which operands to multiply in what order, and what that costs.

    The first item of the list is a word, the others are positions of operands. `optimize` is
    "greedy" or "optimal", true or false. `einsum` itself goes from left to right.

    >>> einsum_path("ij,jk,k->i", ones((2, 3)), ones((3, 4)), ones(4))[0]
    ['einsum_path', (1, 2), (0, 1)]
    """
    shapes = [np.broadcast_to(np.float32(0), shape_of(x)) for x in operands]
    how = "greedy" if optimize == "auto" else optimize
    path, report = np.einsum_path(subscripts, *shapes, optimize=how)
    return list(path), report


@lru_cache(maxsize=512)
def _subscripts(text: str, ranks: tuple[int, ...]) -> tuple[list[str], str]:
    """The labels of each operand and of the result, an ellipsis written out in capital letters."""
    left, arrow, right = text.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(ranks):
        raise mistake(ArgumentError, "einsum", f"{text!r} has {len(parts)} operands but "
                      f"{len(ranks)} are given",
                      hint="one group of letters an operand, with commas between")
    spare = [c for c in LETTERS[::-1] if c not in text]
    widest = max((rank - len(p.replace("...", "")) for p, rank in zip(parts, ranks)
                  if "..." in p), default=0)
    dots = "".join(spare[:widest])
    labels = [_written_out(text, p, rank, dots) for p, rank in zip(parts, ranks)]
    for c in "".join(labels) + right.replace("...", ""):
        if not c.isalpha():
            raise mistake(ArgumentError, "einsum", f"{c!r} in {text!r} is no label",
                          hint="letters, commas, '...' and one '->'")
    if not arrow:
        joined = "".join(p.replace("...", "") for p in parts)
        right = "..." * ("..." in left) + "".join(
            c for c in sorted(set(joined)) if joined.count(c) == 1)
    result = right.replace("...", dots)
    strange = [c for c in result if not any(c in a for a in labels)]
    if strange or len(set(result)) != len(result):
        what = f"{strange[0]!r} is in no operand" if strange else "a label is named twice"
        raise mistake(ArgumentError, "einsum", f"the result of {text!r}: {what}",
                      hint="after -> use letters of the operands, each once")
    return labels, result


def _written_out(text: str, part: str, rank: int, dots: str) -> str:
    named = len(part.replace("...", ""))
    if named > rank or (named < rank and "..." not in part):
        raise mistake(ShapeError, "einsum", f"{part!r} in {text!r} names {named} axes of an array "
                      f"with {rank}", hint="one letter an axis; ... stands for any number of axes")
    return part.replace("...", dots[len(dots) - (rank - named):])


def _sizes(text: str, labels: Sequence[str], types: Sequence[Any]) -> dict[str, int]:
    """The size of each label; sizes of 1 give way."""
    found: dict[str, int] = {}
    for own, type in zip(labels, types):
        for c, n in zip(own, type.shape):
            if found.get(c, 1) == 1:
                found[c] = n
            elif n not in (1, found[c]):
                shown = [f"{t}  axes {' '.join(a)}" for t, a in zip(types, labels)]
                raise mistake(ShapeError, "einsum", f"axis {c} of {text!r} is {found[c]} in one "
                              f"operand but {n} in another", operands=shown,
                              hint="a letter stands for one size; another letter would be "
                                   "another axis")
    return found


def _stretched(xs: Sequence[Array], labels: Sequence[str],
               sizes: dict[str, int]) -> tuple[list[Array], list[str]]:
    """The operands without axes of size 1 that have another size elsewhere: products broadcast."""
    arrays, owns = [], []
    for x, own in zip(xs, labels):
        keep = [i for i, (c, n) in enumerate(zip(own, shape_of(x))) if n == sizes[c]]
        arrays.append(reshape(x, [shape_of(x)[i] for i in keep]) if len(keep) < len(own) else x)
        owns.append("".join(own[i] for i in keep))
    return arrays, owns


def _diagonals(x: Array, own: str) -> tuple[Array, str]:
    """x with each label once: a repeated one stands for the diagonal of its two axes."""
    for c in dict.fromkeys(own):
        while own.count(c) > 1:
            i = own.index(c)
            j = own.index(c, i + 1)
            x = diagonal(x, 0, i, j)
            own = own[:i] + own[i + 1:j] + own[j + 1:] + c
    return x, own


def _sum_out(x: Array, own: str, wanted: set[str]) -> tuple[Array, str]:
    """x summed over the labels that nothing wants any more."""
    gone = tuple(i for i, c in enumerate(own) if c not in wanted)
    if not gone:
        return x, own
    return st.reduce_add(x, dimensions=gone), "".join(c for c in own if c in wanted)


def _pair(first: tuple[Array, str], second: tuple[Array, str], wanted: set[str],
          preferred: dt.Dtype | None) -> tuple[Array, str]:
    """The product of two terms, summed over the labels that nothing wants any more."""
    x, left = _sum_out(*first, wanted | set(second[1]))
    y, right = _sum_out(*second, wanted | set(first[1]))
    out = "".join(c for c in dict.fromkeys(left + right) if c in wanted)
    if set(out) >= set(left) | set(right):
        return _multiplied(x, left, y, right, out), out
    x_type = type_of(x).dtype
    if type_of(y).dtype != x_type:
        y = convert(y, x_type)
    return _contract(f"{left},{right}->{out}", x, y, preferred), out


def _multiplied(x: Array, left: str, y: Array, right: str, out: str) -> Array:
    """A product without a sum: element by element."""
    sizes = dict(zip(left + right, shape_of(x) + shape_of(y)))
    shape = tuple(sizes[c] for c in out)
    spread = lambda v, own: v if own == out else st.broadcast_in_dim(
        v, shape=shape, broadcast_dimensions=tuple(out.index(c) for c in own))
    return multiply(spread(x, left), spread(y, right))


# -- diagonals -------------------------------------------------------------------------------------


def diagonal(a: ArrayLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The elements whose places on two axes differ by `offset`, along a new last axis.

    >>> jnp.diagonal(jnp.array([[1, 2], [3, 4]]))
    Array([1, 4], dtype=int32)
    """
    a = operand("diagonal", a)
    rank = len(shape_of(a))
    if rank < 2:
        raise mistake(ShapeError, "diagonal", f"{rank} axes, but a diagonal takes 2",
                      operands=[type_of(a)], hint="jnp.diag makes a matrix of a vector")
    i, j = as_axis("diagonal", axis1, rank), as_axis("diagonal", axis2, rank)
    if i == j:
        raise mistake(ShapeError, "diagonal", f"axis {i} is named twice", operands=[type_of(a)],
                      hint="axis1 and axis2 are different")
    x = moveaxis(a, (i, j), (-2, -1))
    *lead, rows, columns = shape_of(x)
    first = offset if offset >= 0 else -offset * columns
    n = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    # elements of the diagonal are one row and one column apart in the flattened matrix
    flat = reshape(x, (*lead, rows * columns))
    none = (0,) * len(lead)
    if n == 0:
        first = 0
    return sh.slice_(flat, start=(*none, first), strides=(*(1,) * len(lead), columns + 1),
                     limit=(*lead, first + (n - 1) * (columns + 1) + 1 if n else first))


@one_program()
def trace(a: ArrayLike, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None,
          out: None = None) -> Array:
    """The sum of a diagonal.

    >>> jnp.trace(jnp.array([[1, 2], [3, 4]]))
    Array(5, dtype=int32)
    """
    return sum(diagonal(a, offset, axis1, axis2), -1, dtype)


def diag(v: ArrayLike, k: int = 0) -> Array:
    """A matrix with the vector v on its k-th diagonal; of a matrix, that diagonal.

    >>> jnp.diag(jnp.array([1, 2]))
    Array([[1, 0],
           [0, 2]], dtype=int32)
    >>> jnp.diag(jnp.array([[1, 2], [3, 4]]))
    Array([1, 4], dtype=int32)
    """
    v = operand("diag", v)
    if len(shape_of(v)) == 2:
        return diagonal(v, k)
    if len(shape_of(v)) != 1:
        raise mistake(ShapeError, "diag", f"{len(shape_of(v))} axes; 1 or 2 are needed",
                      operands=[type_of(v)], hint="jnp.diagonal takes any number of axes")
    # n elements, n zeros after each but the last: rows of n + 1 fold into the matrix
    n = shape_of(v)[0]
    size = n + abs(k)
    first = k if k >= 0 else -k * size
    reach = (n - 1) * (size + 1) + 1 if n else 0
    flat = sh.pad(v, np.zeros((), type_of(v).dtype), low=(first,), interior=(size,),
                  high=(size * size - first - reach,))
    return reshape(flat, (size, size))


def diagflat(v: ArrayLike, k: int = 0) -> Array:
    """A matrix with the elements of v, flattened, on its k-th diagonal.

    >>> jnp.diagflat(jnp.array([[1, 2]]))
    Array([[1, 0],
           [0, 2]], dtype=int32)
    """
    return diag(ravel(v), k)

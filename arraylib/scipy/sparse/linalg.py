"""Systems of equations solved step by step, by products with their matrix alone.

Vectors are arrays or containers of arrays. Derivatives are those of the solution: they solve such a
system once more (`lax.custom_linear_solve`), whatever steps led to it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import arraylib.numpy as jnp
from arraylib import dtypes as dt, tree
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.flatten_util import ravel_pytree
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.numpy.creation import arrays
from arraylib.numpy.promotion import Array, inexact, is_operand, shape_of
from arraylib.tracing.control import fori_loop, while_loop
from arraylib.tracing.implicit import custom_linear_solve

__all__ = ["bicgstab", "cg", "gmres"]

Map = Callable[[Any], Any]


def _dot(x: Any, y: Any) -> Array:
    """The inner product, of all arrays in a container."""
    parts = [jnp.vdot(a, b) for a, b in zip(tree.leaves(x), tree.leaves(y))]
    return sum(parts[1:], start=parts[0])


def _size(x: Any) -> Array:
    """The squared length."""
    found = _dot(x, x)
    return ew.real(found) if dt.is_complex(type_of(found).dtype) else found


def _plus(x: Any, factor: Any, y: Any) -> Any:
    """x + factor y."""
    return tree.map(lambda a, b: a + factor.astype(type_of(a).dtype) * b, x, y)


def _minus(x: Any, y: Any) -> Any:
    return tree.map(lambda a, b: a - b, x, y)


def _conjugate_gradients(A: Map, b: Any, x0: Any, M: Map, least: Array, most: int) -> Any:
    """Hestenes and Stiefel (1952), with a preconditioner."""
    def step(state: Any) -> Any:
        k, x, r, p, old = state
        ap = A(p)
        alpha = old / _dot(p, ap)
        x, r = _plus(x, alpha, p), _plus(r, -alpha, ap)
        z = M(r)
        new = _dot(r, z)
        return k + 1, x, r, _plus(z, new / old, p), new

    r = _minus(b, A(x0))
    z = M(r)
    start = jnp.zeros((), dt.int32), x0, r, z, _dot(r, z)
    found = while_loop(lambda s: (_size(s[2]) > least) & (s[0] < most), step, start)
    return _if_finite(found[1], found[2])


def _stabilized(A: Map, b: Any, x0: Any, M: Map, least: Array, most: int) -> Any:
    """Van der Vorst's Bi-CGSTAB (1992); it stops where a step is 0 or has no direction."""
    def step(state: Any) -> Any:
        k, x, r, p, v, (rho, alpha, omega), _ = state
        new = _dot(first, r)
        beta = new / rho * (alpha / omega)
        p = _plus(r, beta, _plus(p, -omega, v))
        direction = M(p)
        v = A(direction)
        alpha = new / _dot(first, v)
        half = _plus(r, -alpha, v)
        turned = M(half)
        t = A(turned)
        close = _size(half) <= least
        omega = _dot(t, half) / _dot(t, t)
        omega = jnp.where(close, 0, omega).astype(type_of(omega).dtype)
        t = tree.map(lambda a: jnp.where(close, 0, a).astype(type_of(a).dtype), t)
        x = _plus(_plus(x, alpha, direction), omega, turned)
        go_on = (new != 0) & (alpha != 0) & (omega != 0)
        return k + 1, x, _plus(half, -omega, t), p, v, (new, alpha, omega), go_on

    first = _minus(b, A(x0))
    zero = tree.map(jnp.zeros_like, first)
    one = jnp.ones_like(_dot(first, first))
    start = (jnp.zeros((), dt.int32), x0, first, zero, zero, (one, one, one),
             jnp.ones((), dt.bool_))
    found = while_loop(lambda s: (_size(s[2]) > least) & (s[0] < most) & s[6], step, start)
    return _if_finite(found[1], found[2])


def _restarted(A: Map, b: Any, x0: Any, M: Map, least: Array, most: int, *, restart: int) -> Any:
    """Saad and Schultz's GMRES (1986), preconditioned from the right: what is left is b - A x.

    It also stops after a cycle that makes what is left no smaller.
    """
    _, unravel = ravel_pytree(b)
    flat = lambda x: ravel_pytree(x)[0]
    turned = lambda v: flat(M(unravel(v)))

    def step(state: Any) -> Any:
        k, x, r, _ = state
        basis, small = _arnoldi(lambda v: flat(A(unravel(turned(v)))), r, restart)
        right = jnp.zeros(restart + 1, type_of(r).dtype).at[0].set(jnp.linalg.norm(r))
        weights = jnp.linalg.lstsq(small, right)[0]
        moved = x + turned(weights @ basis[:-1])
        left = flat(_minus(b, A(unravel(moved))))
        better = _size(left) < _size(r)
        return k + 1, jnp.where(better, moved, x), jnp.where(better, left, r), better

    x, r = flat(x0), flat(_minus(b, A(x0)))
    start = jnp.zeros((), dt.int32), x, r, jnp.ones((), dt.bool_)
    found = while_loop(lambda s: (_size(s[2]) > least) & (s[0] < most) & s[3], step, start)
    return _if_finite(unravel(found[1]), found[2])


def _arnoldi(product: Map, r: Array, count: int) -> tuple[Array, Array]:
    """Orthonormal rows that span r, A r, A A r, .., and A's columns in terms of them.

    Each is made orthogonal to the others twice. Rows behind the last new direction are 0.
    """
    dtype, n = type_of(r).dtype, shape_of(r)[0]
    eps = float(dt.finfo(dtype).eps)

    def unit(v: Array, size: Array, small: Array) -> Array:
        return jnp.where(small, 0, v / jnp.where(small, 1, size)).astype(dtype)

    def step(j: Array, both: tuple[Array, Array]) -> tuple[Array, Array]:
        basis, columns = both
        w = product(basis[j])
        whole = jnp.linalg.norm(w)
        first = jnp.conj(basis) @ w
        w = w - first @ basis
        second = jnp.conj(basis) @ w
        w = w - second @ basis
        size = jnp.linalg.norm(w)
        small = size <= eps * whole
        column = (first + second).at[j + 1].set(jnp.where(small, 0, size).astype(dtype))
        return basis.at[j + 1].set(unit(w, size, small)), columns.at[:, j].set(column)

    size = jnp.linalg.norm(r)
    basis = jnp.zeros((count + 1, n), dtype).at[0].set(unit(r, size, size == 0))
    return fori_loop(  # type: ignore[no-any-return]
        0, count, step, (basis, jnp.zeros((count + 1, count), dtype)))


def _if_finite(x: Any, r: Any) -> Any:
    """x; nan where the size of what is left is no number, which ends the steps too early."""
    known = jnp.isfinite(_size(r))
    return tree.map(lambda a: jnp.where(known, a, jnp.nan).astype(type_of(a).dtype), x)


def _solve(op: str, method: Callable[..., Any], A: Any, b: Any, x0: Any, tol: Any, atol: Any,
           maxiter: int | None, M: Any, symmetric: bool) -> tuple[Any, None]:
    if not callable(A) and is_operand(b):
        A, b = arrays(op, A, b)
    b = tree.map(_vector, b)
    x0 = tree.map(jnp.zeros_like, b) if x0 is None else tree.map(_vector, x0)
    if tree.structure(x0) != tree.structure(b) or any(
            type_of(x) != type_of(y) for x, y in zip(tree.leaves(x0), tree.leaves(b))):
        raise mistake(ShapeError, op, "x0 is not like b", hint="arrays of the shapes and dtypes of "
                      "b's, in such a container")
    product, precondition = _map(op, A), (lambda x: x) if M is None else _map(op, M)
    most = 10 * sum(type_of(x).size for x in tree.leaves(b)) if maxiter is None else int(maxiter)

    def solver(transposed: bool) -> Callable[[Map, Any], Any]:
        def solve(matvec: Map, target: Any) -> Any:
            least = jnp.maximum(jnp.square(tol) * _size(target), jnp.square(atol))
            start = tree.map(jnp.zeros_like, x0) if transposed else x0
            return method(matvec, target, start, precondition, least, most)
        return solve

    return custom_linear_solve(product, b, solve=solver(False), transpose_solve=solver(True),
                               symmetric=symmetric), None


def _vector(x: Any) -> Array:
    x = jnp.asarray(x)
    return x.astype(inexact(type_of(x).dtype))


def _map(op: str, A: Any) -> Map:
    """A function, or the product with a matrix."""
    if callable(A):
        return A  # type: ignore[no-any-return]
    matrix = jnp.asarray(A)
    if len(shape_of(matrix)) != 2 or shape_of(matrix)[0] != shape_of(matrix)[1]:
        raise mistake(ArgumentError, op, f"shape {shape_of(matrix)} is no square matrix",
                      operands=[type_of(matrix)], hint="a matrix, or a function of vectors")
    return partial(jnp.matmul, matrix)


def cg(A: Any, b: Any, x0: Any = None, *, tol: Any = 1e-5, atol: Any = 0.0,
       maxiter: int | None = None, M: Any = None) -> tuple[Any, None]:
    """x of A x = b for a symmetric (Hermitian) positive definite A, by conjugate gradients; None.

    A is a matrix or a linear function of vectors like b; M, near its inverse, preconditions. Until
    |b - A x| <= max(tol |b|, atol), `maxiter` steps (10 times b's size) at most; nan where |b|^2
    overflows or is nan.
    Raises ShapeError where x0 is not like b.

    >>> cg(jnp.array([[2.0, 0.0], [0.0, 4.0]]), jnp.array([2.0, 2.0]))[0]
    Array([1. , 0.5], dtype=float32)
    """
    return _solve("cg", _conjugate_gradients, A, b, x0, tol, atol, maxiter, M, symmetric=True)


def bicgstab(A: Any, b: Any, x0: Any = None, *, tol: Any = 1e-5, atol: Any = 0.0,
             maxiter: int | None = None, M: Any = None) -> tuple[Any, None]:
    """x of A x = b for any A that has an inverse, by stabilized biconjugate gradients; None.

    The arguments are those of `cg`. It may stop before the tolerance is reached.

    >>> bicgstab(jnp.array([[2.0, 1.0], [0.0, 4.0]]), jnp.array([3.0, 4.0]))[0].round(4)
    Array([1., 1.], dtype=float32)
    """
    return _solve("bicgstab", _stabilized, A, b, x0, tol, atol, maxiter, M, symmetric=False)


def gmres(A: Any, b: Any, x0: Any = None, *, tol: Any = 1e-5, atol: Any = 0.0, restart: int = 20,
          maxiter: int | None = None, M: Any = None, solve_method: str = "batched"
          ) -> tuple[Any, None]:
    """x of A x = b for any A that has an inverse, by generalized minimal residuals; None.

    Each of `maxiter` cycles takes `restart` steps, which keep as many vectors. `solve_method`
    ("batched" or "incremental") changes nothing; the other arguments are those of `cg`.

    >>> gmres(jnp.array([[2.0, 1.0], [0.0, 4.0]]), jnp.array([3.0, 4.0]))[0].round(4)
    Array([1., 1.], dtype=float32)
    """
    if solve_method not in ("batched", "incremental") or int(restart) < 1:
        raise mistake(ArgumentError, "gmres", f"solve_method = {solve_method!r}, restart = "
                      f"{restart}", hint="'batched' or 'incremental', and at least 1 step")
    size = sum(type_of(jnp.asarray(x)).size for x in tree.leaves(b))
    method = partial(_restarted, restart=max(1, min(int(restart), size)))
    return _solve("gmres", method, A, b, x0, tol, atol, maxiter, M, symmetric=False)

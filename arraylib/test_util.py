"""Checks that derivatives are right: against finite differences, in both modes, of any order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

import arraylib.numpy as jnp
from arraylib import dtypes as dt, tree
from arraylib.errors import ArgumentError, mistake
from arraylib.tracing.derivatives import jvp
from arraylib.tracing.pullback import vjp

Function = Callable[..., Any]
Tolerance = float | Mapping[Any, float] | None
_STEP = {32: 1e-2, 64: 1e-4}  # steps of differences by the bits of the inputs
_TOLERANCE = {16: 1e-1, 32: 1e-2, 64: 1e-5}


def check_grads(f: Function, args: Sequence[Any], order: int,
                modes: str | Sequence[str] = ("fwd", "rev"), atol: Tolerance = None,
                rtol: Tolerance = None, eps: float | None = None) -> None:
    """Compare derivatives of `f` at `args` with central differences along random directions.

    Args:
        f: a function of floats or complex numbers in nested containers, smooth near `args`.
        args: its positional arguments.
        order: up to which order derivatives are checked: those of derivatives, too.
        modes: "fwd" for jvp, "rev" for vjp.
        atol, rtol: tolerances; without them 1e-5 for 64 bits, 1e-2 for 32, 1e-1 for 16. As
            dictionaries those for dtypes: {np.float32: 1e-3}.
        eps: the step of differences; without it 1e-4 for 64 bits, 1e-2 for others.

    Raises: AssertionError with the mode, the path of the result, both numbers; ArgumentError for
    an unknown mode or an order below 1.

        >>> check_grads(jnp.sin, (jnp.float64(1.0),), order=2)
    """
    modes = (modes,) if isinstance(modes, str) else tuple(modes)
    if not modes or set(modes) - {"fwd", "rev"}:
        raise mistake(ArgumentError, "check_grads", f"modes is {modes}", hint="'fwd', 'rev'")
    if order < 1:
        raise mistake(ArgumentError, "check_grads", f"order is {order}, not 1 or more",
                      hint="order=1 for first derivatives, 2 for second ones as well")
    random = np.random.default_rng(0)
    _check(f, tree.map(jnp.asarray, tuple(args)), order, modes, (atol, rtol, eps), random, "")


def _check(f: Function, args: tuple[Any, ...], order: int, modes: tuple[str, ...],
           settings: tuple[Any, ...], random: np.random.Generator, path: str) -> None:
    for mode in modes:
        check = check_jvp if mode == "fwd" else check_vjp
        derivative: Function = partial(jvp, f) if mode == "fwd" else partial(vjp, f)
        where = f"{path}{'jvp' if mode == 'fwd' else 'vjp'} of "
        check(f, derivative, args, *settings, random=random, err_msg=where + "f")
        if order > 1:
            _check(_directional(f, args, mode, random), args, order - 1, modes, settings, random,
                   where)


def _directional(f: Function, args: tuple[Any, ...], mode: str,
                 random: np.random.Generator) -> Function:
    """The derivative along one direction, a function of the same arguments."""
    if mode == "fwd":
        tangents = _directions(args, random)
        return lambda *xs: jvp(f, xs, tangents)
    cotangent = _directions(f(*args), random)

    def pulled(*xs: Any) -> Any:
        out, back = vjp(f, *xs)
        return out, back(cotangent)
    return pulled


def check_jvp(f: Function, f_jvp: Function, args: Sequence[Any], atol: Tolerance = None,
              rtol: Tolerance = None, eps: float | None = None, *,
              random: np.random.Generator | None = None, err_msg: str = "jvp of f") -> None:
    """Compare `f_jvp(args, tangents)` with `f(*args)` and its differences along a direction.

        >>> check_jvp(jnp.sin, partial(jvp, jnp.sin), (jnp.float64(1.0),))
    """
    args = tree.map(jnp.asarray, tuple(args))
    tangents = _directions(args, random or np.random.default_rng(0))
    out, moved = f_jvp(args, tangents)
    tolerances = _tolerances((args, out), atol, rtol)
    _compare(f"value in {err_msg}", out, f(*args), *tolerances)
    _compare(err_msg, moved, _difference(f, args, tangents, eps), *tolerances)


def check_vjp(f: Function, f_vjp: Function, args: Sequence[Any], atol: Tolerance = None,
              rtol: Tolerance = None, eps: float | None = None, *,
              random: np.random.Generator | None = None, err_msg: str = "vjp of f") -> None:
    """Compare what `f_vjp(*args)` pulls back with differences of `f`, by their inner products.

        >>> check_vjp(jnp.sin, partial(vjp, jnp.sin), (jnp.float64(1.0),))
    """
    args, random = tree.map(jnp.asarray, tuple(args)), random or np.random.default_rng(0)
    out, back = f_vjp(*args)
    tolerances = _tolerances((args, out), atol, rtol)
    _compare(f"value in {err_msg}", out, f(*args), *tolerances)
    tangents, cotangent = _directions(args, random), _directions(out, random)
    moved = _difference(f, args, tangents, eps)
    _compare(err_msg, _inner(tangents, back(cotangent)), _inner(moved, cotangent), *tolerances)


def _is_moved(x: Any) -> bool:
    dtype = np.asarray(x).dtype
    return dtype != dt.float0 and dt.is_inexact(dtype)


def _directions(container: Any, random: np.random.Generator) -> Any:
    """A random direction; zeros where there are no derivatives."""
    def direction(x: Any) -> Any:
        x = np.asarray(x)
        if not _is_moved(x):
            return np.zeros(x.shape, dt.float0)
        found = random.normal(size=x.shape)
        if np.iscomplexobj(x):
            found = found + 1j * random.normal(size=x.shape)
        return jnp.asarray(found, dtype=x.dtype)
    return tree.map(direction, container)


def _difference(f: Function, args: Sequence[Any], tangents: Any, eps: float | None) -> Any:
    """(f(args + h t) - f(args - h t)) / 2 h, in double precision where numbers are subtracted."""
    step = eps or _STEP.get(_least_bits(args), _STEP[32])

    def moved(sign: float) -> Any:
        return f(*tree.map(lambda x, t: x + jnp.asarray(sign * step, dtype=x.dtype) * t
                           if _is_moved(x) else x, args, tangents))
    return tree.map(lambda a, b: (_wide(a) - _wide(b)) / (2 * step), moved(1), moved(-1))


def _bits(x: Any) -> int:
    """The bits of a real number of x's dtype."""
    dtype = np.asarray(x).dtype
    return 8 * dtype.itemsize // (2 if dtype.kind == "c" else 1)


def _least_bits(container: Any) -> int:
    """The bits of the shortest floats in it."""
    return min([_bits(x) for x in tree.leaves(container) if _is_moved(x)], default=64)


def _wide(x: Any) -> np.ndarray[Any, Any]:
    x = np.asarray(x)
    if not _is_moved(x):
        return np.zeros(x.shape)
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


def _inner(a: Any, b: Any) -> Any:
    """The real inner product that the convention for complex cotangents goes with."""
    pairs = zip(tree.leaves(a), tree.leaves(b), strict=True)
    return sum((np.sum(_wide(x) * _wide(y)).real for x, y in pairs if _is_moved(y)), 0.0)


def _tolerances(container: Any, atol: Tolerance, rtol: Tolerance) -> tuple[float, float]:
    """Those given, by dtype where they differ, or what the shortest floats in it allow."""
    default = _TOLERANCE.get(_least_bits(container), _TOLERANCE[16])
    atol, rtol = (_by_dtype(container, x) if isinstance(x, Mapping) else x for x in (atol, rtol))
    return default if atol is None else atol, default if rtol is None else rtol


def _by_dtype(container: Any, given: Mapping[Any, float]) -> float | None:
    """The largest tolerance that is given for a dtype in the container."""
    own = {np.asarray(x).dtype for x in tree.leaves(container) if _is_moved(x)}
    return max([tolerance for d, tolerance in given.items() if np.dtype(d) in own], default=None)


def _compare(what: str, found: Any, expected: Any, atol: float, rtol: float) -> None:
    for (path, a), b in zip(tree.flatten_with_path(found)[0], tree.leaves(expected), strict=True):
        if _is_moved(a):
            np.testing.assert_allclose(_wide(a), _wide(b), rtol=rtol, atol=atol,
                                       err_msg=f"{what}{tree.keystr(path)}")

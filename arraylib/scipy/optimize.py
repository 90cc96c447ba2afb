"""Where functions are smallest: `from arraylib.scipy import optimize`.

Descent along directions of quasi-Newton methods, with steps that satisfy Wolfe's conditions
(Nocedal and Wright, "Numerical Optimization", 2006, 3.1 and 6.1). All of it is one loop, which may
stand in `jit` and `vmap`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.numpy.promotion import Array, ArrayLike, inexact, shape_of
from arraylib.record import record
from arraylib.tracing.control import fori_loop, while_loop
from arraylib.tracing.derivatives import value_and_grad

__all__ = ["OptimizeResults", "minimize"]

_DECREASE, _FLATTER = 1e-4, 0.9  # Wolfe's constants: of values, and of slopes

Evaluate = Callable[[Array], tuple[Array, Array]]


class OptimizeResults(NamedTuple):
    """What `minimize` found; each is an array.

    `x`, `fun` and `jac` are the place, the value and the gradient there; `success` is whether the
    gradient is small enough, or the value no longer falls. `status` 0: the gradient is small, 1:
    the steps were used up, 2: the evaluations were, 3: no step made the value smaller, 4: it fell
    by too little. `hess_inv` is near the inverse of the second derivatives, or None; `nfev` and
    `njev` count evaluations of the function and its gradient, `nit` steps.
    """

    x: Array
    success: Array
    status: Array
    fun: Array
    jac: Array
    hess_inv: Array | None
    nfev: Array
    njev: Array
    nit: Array


@record
class _Method:
    """How directions come about, and when to stop."""

    memory: Callable[[Array], Any]  # of the first place
    direction: Callable[[Any, Array], Array]  # from what is remembered and the gradient
    learn: Callable[[Any, Array, Array], Any]  # from a step and the change of the gradient
    most: int
    most_evaluations: int
    most_trials: int
    norm: Any
    least_gradient: float
    least_change: float


class _State(NamedTuple):
    status: Array  # -1 while it goes on
    steps: Array
    evaluations: Array
    x: Array
    value: Array
    gradient: Array
    memory: Any


# -- steps -----------------------------------------------------------------------------------------


class _Point(NamedTuple):
    """A step along the direction: how far, the value, the slope, the gradient."""

    far: Array
    value: Array
    slope: Array
    gradient: Array


class _Search(NamedTuple):
    found: Array
    trials: Array
    far: Array  # to be tried next
    low: _Point  # the value fell, and falls on
    high: _Point  # too far; at first infinitely


def _search(evaluate: Evaluate, x: Array, direction: Array, start: _Point, first: Array, most: int
            ) -> tuple[_Point, Array, Array]:
    """A step that satisfies Wolfe's strong conditions, whether there is one, evaluations.

    The interval that has one is found by longer steps, then made smaller. Where rounding hides a
    change of the value, its slope alone decides (Hager and Zhang 2005).
    """
    dtype = type_of(start.value).dtype
    noise = 2 * float(dt.finfo(dtype).eps) * jnp.abs(start.value)

    def step(s: _Search) -> _Search:
        value, gradient = evaluate(x + s.far * direction)
        point = _Point(s.far, value.astype(dtype), jnp.vdot(gradient, direction), gradient)
        falls = (value <= start.value + _DECREASE * s.far * start.slope) \
            | (value <= start.value + noise)
        steep = point.slope > -_FLATTER * start.slope
        found = falls & (jnp.abs(point.slope) <= -_FLATTER * start.slope)
        on = falls & ~steep
        low = _chosen(on | found, point, s.low)
        high = _chosen(on | found, s.high, point)
        return _Search(found, s.trials + 1, _between(low, high), low, high)

    far = jnp.full_like(first, jnp.inf)
    state = _Search(jnp.asarray(False), jnp.zeros((), dt.int32), first, start,
                    start._replace(far=far))
    end = while_loop(lambda s: ~s.found & (s.trials < most), step, state)
    return end.low, end.low.far > 0, end.trials


def _chosen(which: Array, one: _Point, other: _Point) -> _Point:
    return _Point(*[jnp.where(which, a, b) for a, b in zip(one, other, strict=True)])


def _between(low: _Point, high: _Point) -> Array:
    """Where a parabola through both is smallest, but not near the ends; twice as far before."""
    width = high.far - low.far
    bend = high.value - low.value - low.slope * width
    place = low.far - low.slope * width * width / (2 * bend)
    inside = jnp.clip(place, low.far + 0.1 * width, high.far - 0.1 * width)
    inside = jnp.where(jnp.isfinite(place), inside, low.far + 0.5 * width)
    return jnp.where(jnp.isinf(high.far), jnp.where(low.far > 0, 4 * low.far, 1), inside)


def _descend(evaluate: Evaluate, x: Array, method: _Method) -> _State:
    """Step after step, until the gradient is small or nothing helps."""
    dtype = type_of(x).dtype
    size = lambda g: jnp.linalg.norm(g, method.norm)

    def step(s: _State) -> _State:
        direction = method.direction(s.memory, s.gradient)
        slope = jnp.vdot(s.gradient, direction)
        down = slope < 0
        direction = jnp.where(down, direction, -s.gradient)
        slope = jnp.where(down, slope, -jnp.vdot(s.gradient, s.gradient))
        first = jnp.where(s.steps == 0, jnp.minimum(1, 1 / jnp.sqrt(jnp.abs(slope))), 1)
        start = _Point(jnp.zeros((), dtype), s.value, slope, s.gradient)
        end, moved, count = _search(evaluate, s.x, direction, start, first.astype(dtype),
                                    method.most_trials)
        x = jnp.where(moved, s.x + end.far * direction, s.x)
        value, gradient = (jnp.where(moved, a, b) for a, b in ((end.value, s.value),
                                                               (end.gradient, s.gradient)))
        done = s.steps + 1
        evaluations = s.evaluations + count
        scale = jnp.maximum(jnp.maximum(jnp.abs(s.value), jnp.abs(value)), 1)
        status = jnp.select(
            [size(gradient) <= method.least_gradient, ~moved,
             (s.value - value) / scale <= method.least_change, done >= method.most,
             evaluations >= method.most_evaluations], [0, 3, 4, 1, 2], -1).astype(dt.int32)
        memory = method.learn(s.memory, x - s.x, gradient - s.gradient)
        return _State(status, done, evaluations, x, value, gradient, memory)

    value, gradient = evaluate(x)
    status = jnp.where(size(gradient) <= method.least_gradient, 0, -1)
    if method.most <= 0:
        status = jnp.where(status < 0, 1, status)
    zero = jnp.zeros((), dt.int32)
    start = _State(status.astype(dt.int32), zero, zero + 1, x, value.astype(dtype), gradient,
                   method.memory(x))
    return while_loop(lambda s: s.status < 0, step, start)  # type: ignore[no-any-return]


# -- methods ---------------------------------------------------------------------------------------


def _bfgs(op: str, n: int, maxiter: int | None = None, norm: Any = jnp.inf, gtol: float = 1e-5,
          line_search_maxiter: int = 20) -> _Method:
    """Broyden, Fletcher, Goldfarb and Shanno (1970): an estimate of the second derivatives."""
    def learn(inverse: Array, step: Array, change: Array) -> Array:
        product = jnp.vdot(step, change)
        known = product > 0
        rho = 1 / jnp.where(known, product, 1)
        turned = inverse @ change
        both = jnp.outer(step, turned)
        more = rho * (1 + rho * jnp.vdot(change, turned)) * jnp.outer(step, step)
        return jnp.where(known, inverse + more - rho * (both + both.T), inverse)

    most = 200 * n if maxiter is None else int(maxiter)
    return _Method(lambda x: jnp.eye(n, dtype=type_of(x).dtype), lambda h, g: -(h @ g), learn, most,
                   2 ** 30, int(line_search_maxiter), norm, gtol, -jnp.inf)


class _History(NamedTuple):
    """The last steps, the newest one last: rows of zeros where there is none yet."""

    steps: Array
    changes: Array
    rho: Array  # 1 / (step change)


def _lbfgs(op: str, n: int, maxiter: int | None = None, norm: Any = 2, maxcor: int = 10,
           ftol: float = 2.220446049250313e-09, gtol: float = 1e-05, maxfun: int | None = None,
           maxgrad: int | None = None, maxls: int = 20) -> _Method:
    """Nocedal (1980): the last `maxcor` steps in place of a matrix."""
    def memory(x: Array) -> _History:
        rows = jnp.zeros((maxcor, n), type_of(x).dtype)
        return _History(rows, rows, rows[:, 0])

    def learn(own: _History, step: Array, change: Array) -> _History:
        product = jnp.vdot(step, change)
        known = product > 0
        newer = [jnp.concatenate([old[1:], new[None]]) for old, new in zip(
            own, (step, change, 1 / jnp.where(known, product, 1)), strict=True)]
        return _History(*[jnp.where(known, a, b) for a, b in zip(newer, own, strict=True)])

    def direction(own: _History, gradient: Array) -> Array:
        def back(i: Array, both: tuple[Array, Array]) -> tuple[Array, Array]:
            q, factors = both
            k = maxcor - 1 - i
            factor = own.rho[k] * jnp.vdot(own.steps[k], q)
            return q - factor * own.changes[k], factors.at[k].set(factor)

        def forth(k: Array, q: Array) -> Array:
            return q + (factors[k] - own.rho[k] * jnp.vdot(own.changes[k], q)) * own.steps[k]

        q, factors = fori_loop(0, maxcor, back, (gradient, jnp.zeros_like(own.rho)))
        last = own.changes[-1]
        length = own.rho[-1] * jnp.vdot(last, last)
        scale = jnp.where(length > 0, 1 / jnp.where(length > 0, length, 1), 1)
        return -fori_loop(0, maxcor, forth, q * scale)  # type: ignore[no-any-return]

    evaluations = min(2 ** 30, *[int(m) for m in (maxfun, maxgrad) if m is not None], 2 ** 30)
    most = 200 * n if maxiter is None else int(maxiter)
    return _Method(memory, direction, learn, most, evaluations, int(maxls), norm, gtol, ftol)


_METHODS: dict[str, Callable[..., _Method]] = {
    "bfgs": _bfgs, "l-bfgs": _lbfgs, "l-bfgs-experimental-do-not-rely-on-this": _lbfgs}


def minimize(fun: Callable[..., Any], x0: ArrayLike, args: tuple[Any, ...] = (), *, method: str,
             tol: float | None = None, options: Mapping[str, Any] | None = None) -> OptimizeResults:
    """Where fun(x, *args), a number, is smallest near x0, f[n].

    `method` "BFGS" has the `options` maxiter (200 n), norm (inf), gtol (1e-5: the gradient is small
    enough), line_search_maxiter (20). "l-bfgs" needs less memory: maxiter, norm (2), maxcor (10
    steps that it remembers), ftol (2.2e-9: the value falls by too little), gtol, maxfun, maxgrad,
    maxls. `tol` is gtol. Derivatives of the result are those of the last step only; solve for those
    of the minimum with `lax.custom_root`. Raises ArgumentError for other methods and options,
    ShapeError where x0 is no vector. See `OptimizeResults` for what it returns.

    >>> found = minimize(lambda x: ((x - jnp.array([1.0, 2.0])) ** 2).sum(), jnp.zeros(2),
    ...                  method="BFGS")
    >>> found.x, found.success
    (Array([1., 2.], dtype=float32), Array(True, dtype=bool))
    """
    x = jnp.asarray(x0)
    x = x.astype(inexact(type_of(x).dtype))
    if len(shape_of(x)) != 1 or dt.is_complex(type_of(x).dtype):
        raise mistake(ShapeError, "minimize", "x0 is no vector of real numbers",
                      operands=[type_of(x)], hint="x0[n]")
    known = _METHODS.get(str(method).lower())
    if known is None or not isinstance(args, tuple):
        raise mistake(ArgumentError, "minimize", f"method = {method!r}, args = {args!r}",
                      hint="'BFGS' or 'l-bfgs', and a tuple of arguments")
    chosen = dict(options or {}) | ({} if tol is None else {"gtol": tol})
    try:
        how = known("minimize", shape_of(x)[0], **chosen)
    except TypeError:
        raise mistake(ArgumentError, "minimize", f"options {sorted(chosen)}",
                      hint=f"those of {method}, which its documentation lists") from None
    end = _descend(value_and_grad(lambda x: fun(x, *args)), x, how)
    inverse = None if isinstance(end.memory, _History) else end.memory
    success = (end.status == 0) | (end.status == 4)
    return OptimizeResults(end.x, success, end.status, end.value, end.gradient, inverse,
                           end.evaluations, end.evaluations, end.steps)

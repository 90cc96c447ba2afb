"""The parts of optimisers: from a gradient, and those before it, to a direction and a size.

Each is a transformation for `chain`. Floats of 16 bits and fewer are computed in float32; states
and updates are kept in the dtype of the gradient unless a `dtype` says otherwise.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import arraylib.numpy as jnp
from arraylib import dtypes as dt, tree
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.optim.schedules import ScalarOrSchedule, Schedule
from arraylib.optim.transformation import (
    GradientTransformation,
    Mask,
    Params,
    Updates,
    masked,
    needed,
    next_count,
    rounded,
    stateless,
    wide,
    zeros,
)


class TraceState(NamedTuple):
    """The decaying sum of gradients."""

    trace: Updates


class ScaleByScheduleState(NamedTuple):
    """How many updates there have been."""

    count: Array  # type: ignore[assignment]


class ScaleByAdamState(NamedTuple):
    """The number of updates, and the running means of gradients and of their squares."""

    count: Array  # type: ignore[assignment]
    mu: Updates
    nu: Updates


class ScaleByAmsgradState(NamedTuple):
    """As Adam's, and the largest mean of squares so far."""

    count: Array  # type: ignore[assignment]
    mu: Updates
    nu: Updates
    nu_max: Updates


class ScaleByRssState(NamedTuple):
    """The sums of squares."""

    sum_of_squares: Updates


class ScaleByRmsState(NamedTuple):
    """The running means of squares."""

    nu: Updates


class ScaleByStdDevState(NamedTuple):
    """The running means of gradients and of their squares."""

    mu: Updates
    nu: Updates


class ScaleByLionState(NamedTuple):
    """The number of updates, and the running mean of gradients."""

    count: Array  # type: ignore[assignment]
    mu: Updates


# -- sizes -----------------------------------------------------------------------------------------


def scale(step_size: ArrayLike) -> GradientTransformation:
    """Updates times a number, which may be traced.

    >>> optimiser = optim.scale(-0.1)
    >>> optimiser.update(jnp.array([3.0]), optimiser.init(jnp.zeros(1)))[0].round(4)
    Array([-0.3], dtype=float32)
    """
    def scaled(updates: Updates, params: Params) -> Updates:
        return tree.map(lambda g: rounded(step_size * wide(g), g), updates)

    return stateless(scaled)


def scale_by_schedule(step_size_fn: Schedule) -> GradientTransformation:
    """Updates times the number that the schedule has for the step; the first step is 0.

    >>> optimiser = optim.scale_by_schedule(lambda count: 0.5**count)
    >>> state = optimiser.init(jnp.zeros(1))
    >>> _, state = optimiser.update(jnp.ones(1), state)
    >>> optimiser.update(jnp.ones(1), state)[0]
    Array([0.5], dtype=float32)
    """
    def init(params: Params) -> ScaleByScheduleState:
        return ScaleByScheduleState(jnp.zeros((), jnp.int32))

    def update(updates: Updates, state: ScaleByScheduleState, params: Params = None) -> Any:
        size = step_size_fn(state.count)
        after = tree.map(lambda g: rounded(size * wide(g), g), updates)
        return after, ScaleByScheduleState(next_count(state.count))

    return GradientTransformation(init, update)


def scale_by_learning_rate(learning_rate: ScalarOrSchedule, *,
                           flip_sign: bool = True) -> GradientTransformation:
    """Updates times minus the rate, a number or a schedule: the last part of most optimisers.

    >>> optimiser = optim.scale_by_learning_rate(0.5)
    >>> optimiser.update(jnp.array([3.0]), optimiser.init(jnp.zeros(1)))[0]
    Array([-1.5], dtype=float32)
    """
    sign = -1 if flip_sign else 1
    if callable(learning_rate):
        rate: Schedule = learning_rate
        return scale_by_schedule(lambda count: sign * rate(count))
    return scale(sign * learning_rate)


def add_decayed_weights(weight_decay: ArrayLike = 0.0,
                        mask: Mask | None = None) -> GradientTransformation:
    """Adds `weight_decay` times the parameters to the updates, where `mask` (see `masked`) is true.

    After an adaptive part this is weight decay (Loshchilov and Hutter, 2017), before it an L2 term.

    Raises: ArgumentError if `update` is called without parameters.

    >>> optimiser = optim.add_decayed_weights(0.5)
    >>> params = jnp.array([2.0])
    >>> optimiser.update(jnp.array([3.0]), optimiser.init(params), params)[0]
    Array([4.], dtype=float32)
    """
    def decayed(updates: Updates, params: Params) -> Updates:
        params = needed("add_decayed_weights", params)
        return tree.map(lambda g, p: rounded(wide(g) + weight_decay * wide(p), g), updates, params)

    inner = stateless(decayed)
    return inner if mask is None else masked(inner, mask)


# -- directions ------------------------------------------------------------------------------------


def trace(decay: ArrayLike, nesterov: bool = False,
          accumulator_dtype: Any = None) -> GradientTransformation:
    """Momentum: t' = g + decay · t, and the update is t', or g + decay · t' with `nesterov`.

    >>> optimiser = optim.trace(0.5)
    >>> state = optimiser.init(jnp.zeros(1))
    >>> _, state = optimiser.update(jnp.ones(1), state)
    >>> optimiser.update(jnp.ones(1), state)[0]
    Array([1.5], dtype=float32)
    """
    def init(params: Params) -> TraceState:
        return TraceState(zeros(params, accumulator_dtype))

    def update(updates: Updates, state: TraceState, params: Params = None) -> Any:
        held = tree.map(lambda g, t: wide(g) + decay * wide(t), updates, state.trace)
        after = held
        if nesterov:
            after = tree.map(lambda g, t: wide(g) + decay * t, updates, held)
        return (tree.map(rounded, after, updates), TraceState(tree.map(rounded, held, state.trace)))

    return GradientTransformation(init, update)


def scale_by_adam(b1: ArrayLike = 0.9, b2: ArrayLike = 0.999, eps: ArrayLike = 1e-8,
                  eps_root: ArrayLike = 0.0, mu_dtype: Any = None, *,
                  nesterov: bool = False) -> GradientTransformation:
    """Adam's direction: m' / (sqrt(v' + eps_root) + eps) (Kingma and Ba, 2014).

    m = b1 · m + (1 - b1) g, v = b2 · v + (1 - b2) |g|²; m' = m / (1 - b1^t), v' = v / (1 - b2^t).
    With `nesterov` m' is looked up one step ahead (Dozat, 2016). `mu_dtype` is the dtype of m.

    >>> optimiser = optim.scale_by_adam()
    >>> optimiser.update(jnp.array([3.0, -0.5]), optimiser.init(jnp.zeros(2)))[0].round(4)
    Array([ 1., -1.], dtype=float32)
    """
    def init(params: Params) -> ScaleByAdamState:
        return ScaleByAdamState(jnp.zeros((), jnp.int32), zeros(params, mu_dtype), _sizes(params))

    def update(updates: Updates, state: ScaleByAdamState, params: Params = None) -> Any:
        count = next_count(state.count)
        mu, nu = _mean(updates, state.mu, b1), _mean_square(updates, state.nu, b2)

        def direction(g: Array, m: Array, v: Array) -> Array:
            m = _ahead(g, m, b1, count) if nesterov else m * _inverse_weight(b1, count, m)
            size = jnp.sqrt(v * _inverse_weight(b2, count, v) + eps_root) + eps
            return rounded(m / size, g)

        after = tree.map(direction, updates, mu, nu)
        kept = tree.map(rounded, mu, state.mu), tree.map(rounded, nu, state.nu)
        return after, ScaleByAdamState(count, *kept)

    return GradientTransformation(init, update)


def scale_by_amsgrad(b1: ArrayLike = 0.9, b2: ArrayLike = 0.999, eps: ArrayLike = 1e-8,
                     eps_root: ArrayLike = 0.0, mu_dtype: Any = None) -> GradientTransformation:
    """As Adam's direction, with the largest v' so far for v' (Reddi and others, 2018).

    >>> optimiser = optim.scale_by_amsgrad()
    >>> optimiser.update(jnp.array([3.0, -0.5]), optimiser.init(jnp.zeros(2)))[0].round(4)
    Array([ 1., -1.], dtype=float32)
    """
    def init(params: Params) -> ScaleByAmsgradState:
        return ScaleByAmsgradState(jnp.zeros((), jnp.int32), zeros(params, mu_dtype),
                                   _sizes(params), _sizes(params))

    def update(updates: Updates, state: ScaleByAmsgradState, params: Params = None) -> Any:
        count = next_count(state.count)
        mu, nu = _mean(updates, state.mu, b1), _mean_square(updates, state.nu, b2)
        largest = tree.map(lambda v, top: jnp.maximum(v * _inverse_weight(b2, count, v),
                                                     wide(top)),
                           nu, state.nu_max)

        def direction(g: Array, m: Array, top: Array) -> Array:
            m = m * _inverse_weight(b1, count, m)
            return rounded(m / (jnp.sqrt(top + eps_root) + eps), g)

        after = tree.map(direction, updates, mu, largest)
        kept = [tree.map(rounded, new, old) for new, old in zip((mu, nu, largest), state[1:])]
        return after, ScaleByAmsgradState(count, *kept)

    return GradientTransformation(init, update)


def scale_by_rss(initial_accumulator_value: float = 0.1,
                 eps: ArrayLike = 1e-7) -> GradientTransformation:
    """Adagrad's direction: g / sqrt(s + eps), s the sum of |g|² so far (Duchi and others, 2011).

    Where s is 0, so is the update.

    >>> optimiser = optim.scale_by_rss(0.0)
    >>> optimiser.update(jnp.array([3.0]), optimiser.init(jnp.zeros(1)))[0].round(4)
    Array([1.], dtype=float32)
    """
    def init(params: Params) -> ScaleByRssState:
        start = tree.map(lambda v: jnp.full_like(v, initial_accumulator_value), _sizes(params))
        return ScaleByRssState(start)

    def update(updates: Updates, state: ScaleByRssState, params: Params = None) -> Any:
        total = tree.map(lambda g, s: square(wide(g)) + wide(s), updates, state.sum_of_squares)

        def direction(g: Array, s: Array) -> Array:
            size = jnp.sqrt(s + eps)
            return rounded(jnp.where(s > 0, wide(g) / jnp.where(s > 0, size, 1), 0), g)

        after = tree.map(direction, updates, total)
        return after, ScaleByRssState(tree.map(rounded, total, state.sum_of_squares))

    return GradientTransformation(init, update)


def scale_by_rms(decay: ArrayLike = 0.9, eps: ArrayLike = 1e-8, initial_scale: float = 0.0,
                 eps_in_sqrt: bool = True) -> GradientTransformation:
    """RMSProp's direction: g / sqrt(v + eps), or g / (sqrt(v) + eps) without `eps_in_sqrt`.

    v = decay · v + (1 - decay) |g|², from `initial_scale` (Hinton, 2012).

    >>> optimiser = optim.scale_by_rms(decay=0.75)
    >>> optimiser.update(jnp.array([3.0]), optimiser.init(jnp.zeros(1)))[0].round(4)
    Array([2.], dtype=float32)
    """
    def init(params: Params) -> ScaleByRmsState:
        return ScaleByRmsState(_sizes(params, initial_scale))

    def update(updates: Updates, state: ScaleByRmsState, params: Params = None) -> Any:
        nu = _mean_square(updates, state.nu, decay)
        after = tree.map(lambda g, v: rounded(wide(g) / _root(v, eps, eps_in_sqrt), g), updates, nu)
        return after, ScaleByRmsState(tree.map(rounded, nu, state.nu))

    return GradientTransformation(init, update)


def scale_by_stddev(decay: ArrayLike = 0.9, eps: ArrayLike = 1e-8, initial_scale: float = 0.0,
                    eps_in_sqrt: bool = True) -> GradientTransformation:
    """As `scale_by_rms` with the variance v - |m|² for v, m the running mean of gradients.

    >>> optimiser = optim.scale_by_stddev(decay=0.5)
    >>> optimiser.update(jnp.array([3.0]), optimiser.init(jnp.zeros(1)))[0].round(4)
    Array([2.], dtype=float32)
    """
    def init(params: Params) -> ScaleByStdDevState:
        return ScaleByStdDevState(zeros(params), _sizes(params, initial_scale))

    def update(updates: Updates, state: ScaleByStdDevState, params: Params = None) -> Any:
        mu, nu = _mean(updates, state.mu, decay), _mean_square(updates, state.nu, decay)

        def direction(g: Array, m: Array, v: Array) -> Array:
            variance = jnp.maximum(v - square(m), 0)  # rounding may leave less than nothing
            return rounded(wide(g) / _root(variance, eps, eps_in_sqrt), g)

        kept = tree.map(rounded, mu, state.mu), tree.map(rounded, nu, state.nu)
        return tree.map(direction, updates, mu, nu), ScaleByStdDevState(*kept)

    return GradientTransformation(init, update)


def scale_by_lion(b1: ArrayLike = 0.9, b2: ArrayLike = 0.99,
                  mu_dtype: Any = None) -> GradientTransformation:
    """Lion's direction: the sign of b1 · m + (1 - b1) g; m = b2 · m + (1 - b2) g (Chen, 2023).

    >>> optimiser = optim.scale_by_lion()
    >>> optimiser.update(jnp.array([3.0, -0.5]), optimiser.init(jnp.zeros(2)))[0]
    Array([ 1., -1.], dtype=float32)
    """
    def init(params: Params) -> ScaleByLionState:
        return ScaleByLionState(jnp.zeros((), jnp.int32), zeros(params, mu_dtype))

    def update(updates: Updates, state: ScaleByLionState, params: Params = None) -> Any:
        between, mu = _mean(updates, state.mu, b1), _mean(updates, state.mu, b2)
        after = tree.map(lambda g, m: rounded(jnp.sign(m), g), updates, between)
        kept = tree.map(rounded, mu, state.mu)
        return after, ScaleByLionState(next_count(state.count), kept)

    return GradientTransformation(init, update)


# -- what they are made of -------------------------------------------------------------------------


def square(g: Array) -> Array:
    """|g|², which is real."""
    return g.real * g.real + g.imag * g.imag if dt.is_complex(g.dtype) else g * g


def _sizes(params: Params, value: float = 0.0) -> Params:
    """Arrays for |g|²: real, and full of `value`."""
    return tree.map(lambda p: jnp.full_like(p, value, dtype=dt.to_real(jnp.asarray(p).dtype)),
                    params)


def _mean(updates: Updates, means: Updates, decay: ArrayLike) -> Updates:
    return tree.map(lambda g, m: decay * wide(m) + (1 - decay) * wide(g), updates, means)


def _mean_square(updates: Updates, means: Updates, decay: ArrayLike) -> Updates:
    return tree.map(lambda g, v: decay * wide(v) + (1 - decay) * square(wide(g)), updates, means)


def _inverse_weight(decay: ArrayLike, count: Array, like: Array) -> Array:
    """1 / (1 - decay^count): the gradients so far have that weight in a mean that began at 0.

    By expm1: the difference itself would lose most of its digits in the first steps. Inverse, as
    a division for each step costs less than one for each element.
    """
    kind = dt.to_real(like.dtype)
    if isinstance(decay, (int, float)):
        logarithm = math.log(decay) if decay > 0 else -math.inf
    else:
        logarithm = jnp.log(decay)  # type: ignore[assignment]
    return -1 / jnp.expm1(count.astype(kind) * logarithm)


def _ahead(g: Array, m: Array, decay: ArrayLike, count: Array) -> Array:
    """Nesterov's mean: the next step's, as far as this step's gradient foretells it."""
    return (decay * _inverse_weight(decay, count + 1, m) * m
            + (1 - decay) * _inverse_weight(decay, count, m) * wide(g))


def _root(v: Array, eps: ArrayLike, inside: bool) -> Array:
    return jnp.sqrt(v + eps) if inside else jnp.sqrt(v) + eps

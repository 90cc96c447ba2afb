"""Learning rates and other numbers that change with the steps: functions of the step's number.

    rate = warmup_cosine_decay_schedule(0.0, 3e-4, warmup_steps=100, decay_steps=2000)
    optimiser = adamw(rate)

Steps count from 0; a number or an array of them, known or traced, will do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import arraylib.numpy as jnp
from arraylib.errors import ArgumentError, mistake
from arraylib.numpy.promotion import Array, ArrayLike

Schedule: TypeAlias = Callable[[ArrayLike], Array]
ScalarOrSchedule: TypeAlias = "ArrayLike | Schedule"


def _some_steps(op: str, name: str, steps: float) -> None:
    if steps <= 0:
        raise mistake(ArgumentError, op, f"{name} = {steps}", hint="one step or more")


def constant_schedule(value: ArrayLike) -> Schedule:
    """The same value at every step.

    >>> optim.constant_schedule(0.1)(1000)
    Array(0.1, dtype=float32)
    """
    return lambda count: jnp.asarray(value)


def polynomial_schedule(init_value: float, end_value: float, power: float, transition_steps: int,
                        transition_begin: int = 0) -> Schedule:
    """From `init_value` to `end_value`, by the power of what is left of the steps.

    (init_value - end_value) (1 - t)^power + end_value, where t goes from 0 to 1 in
    `transition_steps`, after `transition_begin` steps at the first value.

    Raises: ArgumentError for no steps.

        >>> polynomial_schedule(1.0, 0.0, 2, transition_steps=4)(jnp.arange(6))
        Array([1.    , 0.5625, 0.25  , 0.0625, 0.    , 0.    ], dtype=float32)
    """
    _some_steps("polynomial_schedule", "transition_steps", transition_steps)

    def schedule(count: ArrayLike) -> Array:
        done = jnp.clip(jnp.asarray(count) - transition_begin, 0, transition_steps)
        left = 1 - done / transition_steps
        return (init_value - end_value) * (left if power == 1 else left**power) + end_value

    return schedule


def linear_schedule(init_value: float, end_value: float, transition_steps: int,
                    transition_begin: int = 0) -> Schedule:
    """In a straight line from `init_value` to `end_value`, where it stays.

        >>> linear_schedule(0.0, 1.0, transition_steps=2)(jnp.arange(4))
        Array([0. , 0.5, 1. , 1. ], dtype=float32)
    """
    return polynomial_schedule(init_value, end_value, 1, transition_steps, transition_begin)


def exponential_decay(init_value: float, transition_steps: int, decay_rate: float,
                      transition_begin: int = 0, staircase: bool = False,
                      end_value: float | None = None) -> Schedule:
    """init_value · decay_rate^(t / transition_steps), t counted from `transition_begin`.

    With `staircase` once every `transition_steps`; `end_value` is where it stops, from above if
    the rate is below 1 and from below otherwise.

    Raises: ArgumentError for no steps, or a rate that is not positive.

        >>> exponential_decay(1.0, 2, 0.25)(jnp.arange(4))
        Array([1.   , 0.5  , 0.25 , 0.125], dtype=float32)
    """
    _some_steps("exponential_decay", "transition_steps", transition_steps)
    if decay_rate <= 0:
        raise mistake(ArgumentError, "exponential_decay", f"decay_rate = {decay_rate}",
                      hint="a positive factor, such as 0.5")

    def schedule(count: ArrayLike) -> Array:
        done = jnp.maximum(jnp.asarray(count) - transition_begin, 0) / transition_steps
        value = init_value * jnp.power(decay_rate, jnp.floor(done) if staircase else done)
        if end_value is None:
            return value
        return (jnp.maximum if decay_rate < 1 else jnp.minimum)(value, end_value)

    return schedule


def cosine_decay_schedule(init_value: float, decay_steps: int, alpha: float = 0.0,
                          exponent: float = 1.0) -> Schedule:
    """Down half a wave of the cosine, from `init_value` to `alpha` times it (SGDR, 2016).

    init_value · ((1 - alpha) ((1 + cos(π t)) / 2)^exponent + alpha), t from 0 to 1.

    Raises: ArgumentError for no steps.

        >>> cosine_decay_schedule(1.0, 4)(jnp.arange(5)).round(3)
        Array([1.   , 0.854, 0.5  , 0.146, 0.   ], dtype=float32)
    """
    _some_steps("cosine_decay_schedule", "decay_steps", decay_steps)

    def schedule(count: ArrayLike) -> Array:
        done = jnp.clip(jnp.asarray(count), 0, decay_steps) / decay_steps
        wave = 0.5 * (1 + jnp.cos(math.pi * done))
        return init_value * ((1 - alpha) * (wave if exponent == 1 else wave**exponent) + alpha)

    return schedule


def piecewise_constant_schedule(init_value: float,
                                boundaries_and_scales: Mapping[int, float] | None = None
                                ) -> Schedule:
    """`init_value`, multiplied by a factor from each of some steps on.

        >>> piecewise_constant_schedule(1.0, {2: 0.5, 3: 0.1})(jnp.arange(4))
        Array([1.  , 1.  , 0.5 , 0.05], dtype=float32)
    """
    factors = sorted((boundaries_and_scales or {}).items())

    def schedule(count: ArrayLike) -> Array:
        count, value, found = jnp.asarray(count), init_value, jnp.asarray(init_value)
        for boundary, factor in factors:
            value = value * factor
            found = jnp.where(count < boundary, found, value)
        return jnp.broadcast_to(found, count.shape)

    return schedule


def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[int]) -> Schedule:
    """One schedule after another, each counting its steps from where it begins.

    Raises: ArgumentError if there is not one boundary between any two, in order.

        >>> both = join_schedules([linear_schedule(0, 1, 2), constant_schedule(9.0)], [2])
        >>> [float(both(step)) for step in range(4)]
        [0.0, 0.5, 9.0, 9.0]
    """
    if len(boundaries) != len(schedules) - 1 or list(boundaries) != sorted(boundaries):
        raise mistake(ArgumentError, "join_schedules", f"{len(schedules)} schedules and boundaries "
                      f"{list(boundaries)}", hint="one boundary between any two, in order")

    def schedule(count: ArrayLike) -> Array:
        count = jnp.asarray(count)
        value = schedules[0](count)
        for boundary, later in zip(boundaries, schedules[1:], strict=True):
            value = jnp.where(count < boundary, value, later(count - boundary))
        return value

    return schedule


# -- with a warmup ---------------------------------------------------------------------------------


def warmup_constant_schedule(init_value: float, peak_value: float, warmup_steps: int) -> Schedule:
    """Straight up to `peak_value`, where it stays.

    >>> optim.warmup_constant_schedule(0.0, 1.0, warmup_steps=4)(jnp.array(2))
    Array(0.5, dtype=float32)
    """
    return linear_schedule(init_value, peak_value, warmup_steps)


def warmup_cosine_decay_schedule(init_value: float, peak_value: float, warmup_steps: int,
                                 decay_steps: int, end_value: float = 0.0,
                                 exponent: float = 1.0) -> Schedule:
    """Straight up to `peak_value`, then down half a wave of the cosine to `end_value`.

    `decay_steps` counts all steps, those of the warmup too.

    Raises: ArgumentError if no steps are left after the warmup.

        >>> warmup_cosine_decay_schedule(0.0, 1.0, 2, 6)(jnp.arange(7)).round(3)
        Array([0.   , 0.5  , 1.   , 0.854, 0.5  , 0.146, 0.   ], dtype=float32)
    """
    alpha = end_value / peak_value if peak_value else 0.0
    fall = cosine_decay_schedule(peak_value, decay_steps - warmup_steps, alpha, exponent)
    return _after_warmup(init_value, peak_value, warmup_steps, fall)


def warmup_exponential_decay_schedule(init_value: float, peak_value: float, warmup_steps: int,
                                      transition_steps: int, decay_rate: float,
                                      transition_begin: int = 0, staircase: bool = False,
                                      end_value: float | None = None) -> Schedule:
    """Straight up to `peak_value`, then as `exponential_decay` with steps counted from there.

    >>> optim.warmup_exponential_decay_schedule(0.0, 1.0, 4, 10, 0.5)(jnp.array(14))
    Array(0.5, dtype=float32)
    """
    fall = exponential_decay(peak_value, transition_steps, decay_rate, transition_begin, staircase,
                             end_value)
    return _after_warmup(init_value, peak_value, warmup_steps, fall)


def _after_warmup(init_value: float, peak_value: float, steps: int, then: Schedule) -> Schedule:
    if steps == 0:
        return then
    return join_schedules([linear_schedule(init_value, peak_value, steps), then], [steps])


def rate_at(rate: Any, count: ArrayLike) -> ArrayLike:
    """The number at a step, of a schedule or of what is a number already."""
    return rate(count) if callable(rate) else rate

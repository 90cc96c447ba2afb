"""What looks at several steps: gradients added up before one is taken, averages, broken steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import arraylib.numpy as jnp
from arraylib import lax, tree
from arraylib.errors import ArgumentError, mistake
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.optim.schedules import rate_at
from arraylib.optim.transformation import (
    GradientTransformation,
    OptState,
    Params,
    Updates,
    next_count,
    rounded,
    wide,
    wide_dtype,
    zeros,
)


class MultiStepsState(NamedTuple):
    """How far the current sum is, how many steps were taken, the inner state, the sum so far."""

    mini_step: Array
    gradient_step: Array
    inner_opt_state: OptState
    acc_grads: Updates


class MultiSteps:
    """An optimiser that takes one step in every `every_k_schedule` updates, of their mean.

    In between the updates are zeros, which leave parameters as they are. The number may be a
    schedule, asked with the number of steps taken. `use_grad_mean=False` takes the sum.

    Raises: ArgumentError for a number below 1.

        >>> optimiser = MultiSteps(sgd(1.0), 2)
        >>> state = optimiser.init(jnp.zeros(1))
        >>> for g in (1.0, 3.0):
        ...     updates, state = optimiser.update(jnp.full(1, g), state)
        ...     print(updates, optimiser.has_updated(state))
        [0.] False
        [-2.] True
    """

    def __init__(self, opt: GradientTransformation,
                 every_k_schedule: int | Callable[[ArrayLike], ArrayLike],
                 use_grad_mean: bool = True) -> None:
        if not callable(every_k_schedule) and every_k_schedule < 1:
            raise mistake(ArgumentError, "MultiSteps", f"every_k_schedule = {every_k_schedule}",
                          hint="1 or more updates a step")
        self.inner_opt = opt
        self._every = every_k_schedule
        self._mean = use_grad_mean

    def init(self, params: Params) -> MultiStepsState:
        """The first state."""
        first = jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)
        held = tree.map(lambda p: jnp.zeros_like(p, dtype=wide_dtype(p)), params)
        return MultiStepsState(*first, self.inner_opt.init(params), held)

    def update(self, updates: Updates, state: MultiStepsState,
               params: Params = None) -> tuple[Updates, MultiStepsState]:
        """The updates, zeros but for every last of the number, and the next state."""
        mini, taken, inner, held = state
        if self._mean:
            total = tree.map(lambda g, a: rounded(a + (wide(g) - a) / (mini + 1), a), updates, held)
        else:
            total = tree.map(lambda g, a: rounded(a + g, a), updates, held)
        last = mini + 1 >= rate_at(self._every, taken)

        def step() -> Any:
            given = tree.map(rounded, total, updates)
            after, state = self.inner_opt.update(given, inner, params)
            state = MultiStepsState(jnp.zeros_like(mini), next_count(taken), state, zeros(held))
            return tree.map(rounded, after, updates), state

        def wait() -> Any:
            return zeros(updates), MultiStepsState(mini + 1, taken, inner, total)

        return lax.cond(last, step, wait)

    def has_updated(self, state: MultiStepsState) -> Array:
        """Whether the update that led to this state was a step."""
        return (state.mini_step == 0) & (state.gradient_step > 0)

    def gradient_transformation(self) -> GradientTransformation:
        """The pair of functions, for `chain` and the others."""
        return GradientTransformation(self.init, self.update)


class ApplyIfFiniteState(NamedTuple):
    """Failures in a row, whether the last update was finite, failures in all, the inner state."""

    notfinite_count: Array
    last_finite: Array
    total_notfinite: Array
    inner_state: OptState


def apply_if_finite(inner: GradientTransformation,
                    max_consecutive_errors: int) -> GradientTransformation:
    """`inner`, but updates with inf or nan in them are skipped: zeros, and the state as before.

    More than `max_consecutive_errors` in a row are no longer skipped: then something is wrong.

    >>> optimiser = optim.apply_if_finite(optim.sgd(0.1), max_consecutive_errors=3)
    >>> state = optimiser.init(jnp.ones(2))
    >>> optimiser.update(jnp.array([jnp.nan, 1.0]), state, jnp.ones(2))[0]
    Array([0., 0.], dtype=float32)
    """
    def init(params: Params) -> ApplyIfFiniteState:
        return ApplyIfFiniteState(jnp.zeros((), jnp.int32), jnp.ones((), bool),
                                  jnp.zeros((), jnp.int32), inner.init(params))

    def update(updates: Updates, state: ApplyIfFiniteState, params: Params = None) -> Any:
        after, kept = inner.update(updates, state.inner_state, params)
        found = [jnp.isfinite(g).all() for g in tree.leaves((updates, after))]
        finite = jnp.stack(found).all() if found else jnp.ones((), bool)
        failed = jnp.where(finite, 0, next_count(state.notfinite_count))
        taken = finite | (failed > max_consecutive_errors)
        choose = lambda new, old: jnp.where(taken, new, old)
        after = tree.map(lambda g: choose(g, jnp.zeros_like(g)), after)
        total = jnp.where(finite, state.total_notfinite, next_count(state.total_notfinite))
        kept = tree.map(choose, kept, state.inner_state)
        return after, ApplyIfFiniteState(failed, finite, total, kept)

    return GradientTransformation(init, update)


def incremental_update(new_tensors: Params, old_tensors: Params, step_size: ArrayLike) -> Params:
    """Every array some way from the old to the new one: step_size · new + (1 - step_size) · old.

    Averages of parameters over a run, and targets that follow (Polyak and Juditsky, 1992).

        >>> incremental_update(jnp.ones(2), jnp.zeros(2), 0.25)
        Array([0.25, 0.25], dtype=float32)
    """
    def between(new: Array, old: Array) -> Array:
        return rounded(step_size * wide(new) + (1 - step_size) * wide(old), old)

    return tree.map(between, new_tensors, old_tensors)

"""jax.example_libraries.optimizers: minimisers as three functions.

    start, update, parameters = optimizers.momentum(0.1, mass=0.9)
    state = start(initial)
    state = update(step, gradients, state)
    parameters(state)

Each is written for one array and made one for containers of them by `optimizer`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce, wraps
from typing import Any, NamedTuple

from arraylib import numpy as jnp, tree
from arraylib.errors import ArgumentError, mistake
from arraylib.tree_util import register_pytree_node

Schedule = Callable[[Any], Any]


class Optimizer(NamedTuple):
    init_fn: Callable[..., Any]
    update_fn: Callable[..., Any]
    params_fn: Callable[..., Any]


class OptimizerState(NamedTuple):
    """The states of all arrays, flat, and how they belong together."""

    packed_state: Any
    tree_def: Any
    subtree_defs: Any


register_pytree_node(
    OptimizerState, lambda state: ((state.packed_state,), (state.tree_def, state.subtree_defs)),
    lambda trees, children: OptimizerState(*children, *trees))


def _packed(states: list[Any], structure: Any) -> OptimizerState:
    flat = [tree.flatten(state) for state in states]
    return OptimizerState([leaves for leaves, _ in flat], structure,
                          tuple([subtree for _, subtree in flat]))


def _states(state: OptimizerState) -> list[Any]:
    """The states of the arrays one by one."""
    return [tree.unflatten(subtree, leaves)
            for subtree, leaves in zip(state.subtree_defs, state.packed_state)]


def optimizer(opt_maker: Callable[..., Any]) -> Callable[..., Optimizer]:
    """A minimiser of containers of arrays, from one of arrays.

    `opt_maker` gives three functions: of an array, its state; of a step's number, a gradient and a
    state, the next; of a state, the array.
    """
    @wraps(opt_maker)
    def made(*args: Any, **kwargs: Any) -> Optimizer:
        init, update, get_params = opt_maker(*args, **kwargs)

        def start(params: Any) -> OptimizerState:
            leaves, structure = tree.flatten(params)
            return _packed([init(x) for x in leaves], structure)

        def step(i: Any, grads: Any, state: OptimizerState) -> OptimizerState:
            leaves, structure = tree.flatten(grads)
            if structure != state.tree_def:
                raise mistake(ArgumentError, "optimizer", f"gradients are {structure}, but "
                              f"parameters {state.tree_def}")
            found = _packed([update(i, g, s) for g, s in zip(leaves, _states(state))], structure)
            if found.subtree_defs != state.subtree_defs:
                raise mistake(ArgumentError, "optimizer", f"states are {found.subtree_defs} after "
                              f"a step, but {state.subtree_defs} before")
            return found

        def params(state: OptimizerState) -> Any:
            return tree.unflatten(state.tree_def, [get_params(s) for s in _states(state)])
        return Optimizer(start, step, params)
    return made


# -- minimisers ------------------------------------------------------------------------------------


def _moments(count: int) -> Callable[[Any], Any]:
    """The start of a state: the array, and this many of zeros."""
    return lambda x: (x, *[jnp.zeros_like(x) for _ in range(count)])


def _first(state: Any) -> Any:
    return state[0]


@optimizer
def sgd(step_size: Any) -> Any:
    """Against the gradient."""
    step = make_schedule(step_size)
    return lambda x: x, lambda i, g, x: x - step(i) * g, lambda x: x


@optimizer
def momentum(step_size: Any, mass: float) -> Any:
    """Against a sum of gradients in which older ones fade."""
    step = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, velocity = state
        velocity = mass * velocity + g
        return x - step(i) * velocity, velocity
    return _moments(1), update, _first


@optimizer
def nesterov(step_size: Any, mass: float) -> Any:
    """Momentum that looks ahead by a step."""
    step = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, velocity = state
        velocity = mass * velocity + g
        return x - step(i) * (mass * velocity + g), velocity
    return _moments(1), update, _first


def _inverse_root(x: Any) -> Any:
    """1 / sqrt(x), and 0 for 0."""
    return jnp.where(x > 0, 1.0 / jnp.sqrt(x), 0.0)


@optimizer
def adagrad(step_size: Any, momentum: float = 0.9) -> Any:
    """Gradients over the root of the sum of their squares (Duchi, Hazan and Singer, 2011)."""
    step = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, squares, mean = state
        squares = squares + jnp.square(g)
        mean = (1.0 - momentum) * (g * _inverse_root(squares)) + momentum * mean
        return x - step(i) * mean, squares, mean
    return _moments(2), update, _first


@optimizer
def rmsprop(step_size: Any, gamma: float = 0.9, eps: float = 1e-8) -> Any:
    """Gradients over the root of the mean of their squares."""
    step = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, squares = state
        squares = squares * gamma + jnp.square(g) * (1.0 - gamma)
        return x - step(i) * g / jnp.sqrt(squares + eps), squares
    return _moments(1), update, _first


@optimizer
def rmsprop_momentum(step_size: Any, gamma: float = 0.9, eps: float = 1e-8,
                     momentum: float = 0.9) -> Any:
    """`rmsprop` with momentum."""
    step = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, squares, velocity = state
        squares = squares * gamma + jnp.square(g) * (1.0 - gamma)
        velocity = momentum * velocity + step(i) * g / jnp.sqrt(squares + eps)
        return x - velocity, squares, velocity
    return _moments(2), update, _first


@optimizer
def adam(step_size: Any, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Any:
    """Mean gradients over the root of mean squares, both without bias (Kingma and Ba, 2015)."""
    step = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, m, v = state
        m = (1 - b1) * g + b1 * m
        v = (1 - b2) * jnp.square(g) + b2 * v
        mean = m / (1 - jnp.asarray(b1, m.dtype) ** (i + 1))
        squares = v / (1 - jnp.asarray(b2, m.dtype) ** (i + 1))
        return x - step(i) * mean / (jnp.sqrt(squares) + eps), m, v
    return _moments(2), update, _first


@optimizer
def adamax(step_size: Any, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Any:
    """`adam` with the largest magnitude in place of the mean of squares."""
    step = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, m, u = state
        m = (1 - b1) * g + b1 * m
        u = jnp.maximum(b2 * u, jnp.abs(g))
        bias = 1 - jnp.asarray(b1, m.dtype) ** (i + 1)
        return x - (step(i) / bias) * m / (u + eps), m, u
    return _moments(2), update, _first


@optimizer
def sm3(step_size: Any, momentum: float = 0.9) -> Any:
    """`adagrad` with a sum for each index of each axis (Anil and others, 2019)."""
    step = make_schedule(step_size)

    def init(x: Any) -> Any:
        full = jnp.atleast_1d(x)
        return full, jnp.zeros_like(full), [jnp.zeros(n, x.dtype) for n in full.shape], x.shape

    def update(i: Any, g: Any, state: Any) -> Any:
        x, mean, sums, shape = state
        places = [tuple([None] * a + [slice(None)] + [None] * (g.ndim - a - 1))
                  for a in range(g.ndim)]
        squares = reduce(jnp.minimum, [v[p] for v, p in zip(sums, places)]) + jnp.square(g)
        mean = (1.0 - momentum) * (g * _inverse_root(squares)) + momentum * mean
        axes = range(x.ndim)
        sums = [squares.max([b for b in axes if b != a]) for a in axes]
        return x - step(i) * mean, mean, sums, shape
    return init, update, lambda state: state[0].reshape(state[3])


# -- step sizes ------------------------------------------------------------------------------------


def constant(step_size: Any) -> Schedule:
    """The same at every step."""
    return lambda i: step_size


def exponential_decay(step_size: Any, decay_steps: Any, decay_rate: Any) -> Schedule:
    """Multiplied by `decay_rate` every `decay_steps`."""
    return lambda i: step_size * decay_rate ** (i / decay_steps)


def inverse_time_decay(step_size: Any, decay_steps: Any, decay_rate: Any,
                       staircase: bool = False) -> Schedule:
    """Over 1 + decay_rate * i / decay_steps, or its whole part."""
    if staircase:
        return lambda i: step_size / (1 + decay_rate * jnp.floor(i / decay_steps))
    return lambda i: step_size / (1 + decay_rate * i / decay_steps)


def polynomial_decay(step_size: Any, decay_steps: Any, final_step_size: Any,
                     power: float = 1.0) -> Schedule:
    """From one size to another in `decay_steps`, and that one from then on."""
    def schedule(i: Any) -> Any:
        left = (1 - jnp.minimum(i, decay_steps) / decay_steps) ** power
        return left * (step_size - final_step_size) + final_step_size
    return schedule


def piecewise_constant(boundaries: Any, values: Any) -> Schedule:
    """The first value up to the first boundary, and so on."""
    ends, sizes = jnp.array(boundaries), jnp.array(values)
    if not (ends.ndim == sizes.ndim == 1 and len(ends) == len(sizes) - 1):
        raise mistake(ArgumentError, "piecewise_constant", f"{ends.shape} boundaries and "
                      f"{sizes.shape} values", hint="sequences, with one value more")
    return lambda i: sizes[jnp.sum(i > ends)]


def make_schedule(scalar_or_schedule: Any) -> Schedule:
    """A function of the step's number, from one or from a number."""
    if callable(scalar_or_schedule):
        return scalar_or_schedule
    if jnp.ndim(scalar_or_schedule):
        raise mistake(ArgumentError, "make_schedule", f"{scalar_or_schedule!r} is neither a "
                      "number nor a function of the step")
    return constant(scalar_or_schedule)


# -- gradients and states --------------------------------------------------------------------------


def l2_norm(values: Any) -> Any:
    """The root of the sum of the squares of all numbers in a container."""
    return jnp.sqrt(sum([jnp.vdot(x, x) for x in tree.leaves(values)]))


def clip_grads(grad_tree: Any, max_norm: Any) -> Any:
    """Gradients made smaller, so that their norm is `max_norm` at most."""
    norm = l2_norm(grad_tree)
    return tree.map(lambda g: jnp.where(norm < max_norm, g, g * (max_norm / norm)), grad_tree)


class JoinPoint:
    """The state of one array, as a leaf of a container like that of the parameters."""

    def __init__(self, subtree: Any) -> None:
        self.subtree = subtree

    def __iter__(self) -> Any:
        yield self.subtree


def unpack_optimizer_state(opt_state: OptimizerState) -> Any:
    """A container like that of the parameters, of JoinPoints: to be written to a file."""
    return tree.unflatten(opt_state.tree_def, [JoinPoint(s) for s in _states(opt_state)])


def pack_optimizer_state(marked_pytree: Any) -> OptimizerState:
    """The inverse of `unpack_optimizer_state`."""
    points, structure = tree.flatten(marked_pytree)
    return _packed([point.subtree for point in points], structure)

"""What an optimiser is: a pair of functions, and the ways to put several together.

`init(params)` makes a state, `update(gradients, state, params)` gives what to add to the parameters
and the next state. States are named tuples of arrays, so they go through `jit`, `scan`, `vmap` and
into files like any other container.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import arraylib.numpy as jnp
from arraylib import dtypes as dt, tree
from arraylib.errors import ArgumentError, mistake
from arraylib.numpy.promotion import Array

Params: TypeAlias = Any  # a container of arrays
Updates: TypeAlias = Any  # as the parameters: gradients, and what becomes of them
OptState: TypeAlias = Any
Mask: TypeAlias = "Any | Callable[[Params], Any]"  # a container of bools, or what makes one


class GradientTransformation(NamedTuple):
    """A step on the way from gradients to updates of the parameters.

    `init(params)` gives the first state; `update(updates, state, params=None)` gives the
    transformed updates and the next state. Any pair of such functions will do.
    """

    init: Callable[[Params], OptState]
    update: Callable[..., tuple[Updates, OptState]]


class EmptyState(NamedTuple):
    """The state of what needs none."""


class MaskedNode(NamedTuple):
    """Stands in the state for a parameter that is left out."""


class MaskedState(NamedTuple):
    """The state of a transformation of some of the parameters."""

    inner_state: OptState


def apply_updates(params: Params, updates: Updates) -> Params:
    """The parameters with the updates added, each in its own dtype.

        >>> apply_updates({"w": jnp.ones(2)}, {"w": jnp.array([0.5, -1.0])})
        {'w': Array([1.5, 0. ], dtype=float32)}
    """
    def add(p: Array, u: Array) -> Array:
        p = jnp.asarray(p)
        return (p + u).astype(p.dtype)

    return tree.map(add, params, updates)


def stateless(f: Callable[[Updates, Params], Updates]) -> GradientTransformation:
    """The transformation that does `f(updates, params)` and remembers nothing.

    >>> halve = optim.stateless(lambda updates, params: updates / 2)
    >>> halve.update(jnp.array([3.0]), halve.init(jnp.zeros(1)))[0]
    Array([1.5], dtype=float32)
    """
    def update(updates: Updates, state: OptState, params: Params = None) -> Any:
        return f(updates, params), state

    return GradientTransformation(lambda params: EmptyState(), update)


def identity() -> GradientTransformation:
    """Leaves updates as they are.

    >>> optimiser = optim.identity()
    >>> optimiser.update(jnp.array([3.0]), optimiser.init(jnp.zeros(1)))[0]
    Array([3.], dtype=float32)
    """
    return stateless(lambda updates, params: updates)


def set_to_zero() -> GradientTransformation:
    """Makes all updates zero, which keeps parameters as they are.

    >>> optimiser = optim.set_to_zero()
    >>> optimiser.update(jnp.array([3.0]), optimiser.init(jnp.zeros(1)))[0]
    Array([0.], dtype=float32)
    """
    return stateless(lambda updates, params: tree.map(jnp.zeros_like, updates))


def chain(*transformations: GradientTransformation) -> GradientTransformation:
    """One transformation after another; the state is the tuple of their states.

    The last one is to give what `apply_updates` adds: descent ends in `scale(-rate)`.

        >>> clipped = chain(clip(1.0), scale(-0.5))
        >>> clipped.update(jnp.array([0.5, 4.0]), clipped.init(jnp.zeros(2)))[0]
        Array([-0.25, -0.5 ], dtype=float32)
    """
    def init(params: Params) -> OptState:
        return tuple([t.init(params) for t in transformations])

    def update(updates: Updates, state: OptState, params: Params = None) -> Any:
        if len(state) != len(transformations):
            raise mistake(ArgumentError, "chain", f"a state of {len(state)} parts for "
                          f"{len(transformations)} transformations",
                          hint="the state that init of this very chain made")
        after = []
        for transformation, part in zip(transformations, state):
            updates, part = transformation.update(updates, part, params)
            after.append(part)
        return updates, tuple(after)

    return GradientTransformation(init, update)


def masked(inner: GradientTransformation, mask: Mask) -> GradientTransformation:
    """`inner` on the parameters where `mask` is true; updates of the others pass unchanged.

    `mask` is a container of Python bools, like the parameters or a part of it from the root, or a
    function that makes one from the parameters (or from whatever has their structure).

        >>> matrices = lambda params: tree.map(lambda p: p.ndim > 1, params)
        >>> decay = masked(add_decayed_weights(0.1), matrices)
    """
    def chosen(keep: Any, given: Any) -> Any:
        return tree.map(lambda k, part: part if k else MaskedNode(), keep, given)

    def of(given: Any) -> Any:
        return mask(given) if callable(mask) else mask

    def init(params: Params) -> MaskedState:
        return MaskedState(inner.init(chosen(of(params), params)))

    def update(updates: Updates, state: MaskedState, params: Params = None) -> Any:
        keep = of(updates if params is None else params)
        some = None if params is None else chosen(keep, params)
        inside, after = inner.update(chosen(keep, updates), state.inner_state, some)
        merged = tree.map(lambda k, new, old: new if k else old, keep, inside, updates)
        return merged, MaskedState(after)

    return GradientTransformation(init, update)


def partition(transformations: dict[Any, GradientTransformation],
              labels: Any | Callable[[Params], Any]) -> GradientTransformation:
    """Another transformation for each group of parameters.

    `labels` is a container like the parameters, or a part of it from the root, with a key of
    `transformations` at each place, or a function that makes one from the parameters. The state is
    a dict with the groups' states.

    Raises: ArgumentError where a label has no transformation.

        >>> groups = partition({"fast": sgd(0.1), "slow": sgd(0.01)}, {"w": "fast", "b": "slow"})
        >>> grads = {"w": jnp.ones(1), "b": jnp.ones(1)}
        >>> groups.update(grads, groups.init(grads))[0]
        {'b': Array([-0.01], dtype=float32), 'w': Array([-0.1], dtype=float32)}
    """
    def group(label: Any) -> Callable[[Any], Any]:
        return lambda given: tree.map(lambda found: found == label, labels_of(given))

    def labels_of(given: Any) -> Any:
        found = labels(given) if callable(labels) else labels
        unknown = [label for label in tree.leaves(found) if label not in transformations]
        if unknown:
            raise mistake(ArgumentError, "partition", f"no transformation for {unknown[0]!r}",
                          hint=f"labels are {', '.join(map(repr, transformations))}")
        return found

    groups = {label: masked(t, group(label)) for label, t in transformations.items()}

    def init(params: Params) -> OptState:
        return {label: t.init(params) for label, t in groups.items()}

    def update(updates: Updates, state: OptState, params: Params = None) -> Any:
        after = {}
        for label, transformation in groups.items():
            updates, after[label] = transformation.update(updates, state[label], params)
        return updates, after

    return GradientTransformation(init, update)


# -- what the transformations share ----------------------------------------------------------------


def needed(op: str, params: Params) -> Params:
    """The parameters; ArgumentError if `update` was called without them."""
    if params is None:
        raise mistake(ArgumentError, op, "update was called without the parameters",
                      hint="update(gradients, state, params)")
    return params


def wide_dtype(x: Any) -> dt.Dtype:
    """The dtype of `x`, or float32 for shorter floats."""
    found = jnp.asarray(x).dtype
    return dt.float32 if dt.is_float(found) and dt.bits(found) < 32 else found


def wide(x: Any) -> Array:
    """`x` in 32 bits at least: updates of shorter floats are computed there and rounded once."""
    return jnp.asarray(x).astype(wide_dtype(x))


def rounded(value: Any, like: Any) -> Array:
    """`value` in the dtype of `like`."""
    return jnp.asarray(value).astype(jnp.asarray(like).dtype)


def zeros(params: Params, dtype: Any = None) -> Params:
    """Zeros like the parameters, each array its own, so that states can be donated."""
    return tree.map(lambda p: jnp.zeros_like(p, dtype=dtype), params)


def next_count(count: Array) -> Array:
    """The number of updates so far; it stays where int32 ends."""
    return jnp.minimum(count, 2**31 - 2) + 1

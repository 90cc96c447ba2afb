"""A generator of random numbers with a state, under the names of jax.experimental.random."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib import random
from arraylib.errors import ArgumentError, TraceError, mistake
from arraylib.hlo.ir import is_tracing
from arraylib.numpy.creation import asarray, zeros
from arraylib.record import record
from arraylib.ref import Ref, addupdate, new_ref
from arraylib.tree import register_dataclass

Size = int | Sequence[int] | None


@register_dataclass
@record
class StatefulPRNG:
    """A key, and a ref that counts what was drawn; made by `stateful_rng`.

    Each draw is that of `arraylib.random` for the key folded with the count. A container of the
    two: functions under `jit` and loops take it and close over it, as they do refs.
    """

    _base_key: Any
    _counter: Ref

    def key(self, shape: int | Sequence[int] = ()) -> Any:
        """A new key, or an array of keys of this shape."""
        if self._counter.ndim:
            raise mistake(ArgumentError, "StatefulPRNG", "cannot operate on split generators",
                          hint="map over them: vmap(f)(rng.split(n))")
        key = random.fold_in(self._base_key, self._counter[...])
        addupdate(self._counter, ..., 1)
        wanted = _shape(shape)
        return random.split(key, wanted) if wanted else key

    def random(self, size: Size = None, dtype: Any = float) -> Any:
        """Floats from 0 up to 1, as `random.uniform`."""
        return random.uniform(self.key(), _shape(size), dtype)

    def uniform(self, low: Any = 0, high: Any = 1, size: Size = None, *, dtype: Any = float) -> Any:
        """Floats from `low` up to `high`."""
        return random.uniform(self.key(), _shape(size, low, high), dtype, low, high)

    def normal(self, loc: Any = 0, scale: Any = 1, size: Size = None, *, dtype: Any = float) -> Any:
        """Normally distributed floats of mean `loc` and standard deviation `scale`."""
        drawn = random.normal(self.key(), _shape(size, loc, scale), dtype)
        return (asarray(loc) + asarray(scale) * drawn).astype(dtype)

    def integers(self, low: Any, high: Any = None, size: Size = None, *, dtype: Any = int) -> Any:
        """Integers from `low` up to `high`, or from 0 up to `low`; the end is not among them."""
        if high is None:
            low, high = 0, low
        return random.randint(self.key(), _shape(size, low, high), low, high, dtype)

    def split(self, num: int | Sequence[int]) -> StatefulPRNG:
        """Generators for the examples of `vmap`, as one with axes of this shape."""
        return StatefulPRNG(self.key(num), new_ref(zeros(_shape(num), int)))

    def spawn(self, n_children: int) -> list[StatefulPRNG]:
        """A list of so many generators."""
        return [StatefulPRNG(key, new_ref(0)) for key in self.key(n_children)]


def _shape(size: Size, *parameters: Any) -> tuple[int, ...]:
    """The shape of a draw: what is asked for, or that of the parameters."""
    if size is None:
        return np.broadcast_shapes(*map(np.shape, parameters))
    if isinstance(size, (int, np.integer)):
        return (operator.index(size),)
    return tuple(map(operator.index, size))


def stateful_rng(seed: Any = None, *, impl: Any = None) -> StatefulPRNG:
    """A random generator whose draws differ from call to call, in compiled functions too.

    Without a seed it is one of the system's; raises TraceError for that inside a trace. `impl` is
    that of `random.key`.

        >>> rng = stateful_rng(1701)
        >>> rng.random(3), rng.random(3)
    """
    if seed is None:
        if is_tracing():
            raise mistake(TraceError, "stateful_rng", "a seed of the system's inside a trace would "
                          "be the same at each call", hint="pass a seed")
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    key = random.key(seed) if impl is None else random.key(seed, impl=impl)
    return StatefulPRNG(key, new_ref(0))

"""Whole optimisers: chains of the parts, from gradients to what `apply_updates` adds.

    optimiser = adamw(3e-4, weight_decay=0.1)
    state = optimiser.init(params)

    @jit
    def step(params, state, batch):
        updates, state = optimiser.update(grad(loss)(params, batch), state, params)
        return apply_updates(params, updates), state

`learning_rate` is a number, known or traced, or a schedule (see `schedules`). Below, g is the
gradient, p the parameter and t the number of the step, from 1.
"""

from __future__ import annotations

from typing import Any

from arraylib.numpy.promotion import ArrayLike
from arraylib.optim.moments import (
    add_decayed_weights,
    scale_by_adam,
    scale_by_amsgrad,
    scale_by_learning_rate,
    scale_by_lion,
    scale_by_rms,
    scale_by_rss,
    scale_by_stddev,
    trace,
)
from arraylib.optim.schedules import ScalarOrSchedule
from arraylib.optim.transformation import GradientTransformation, Mask, chain, identity


def sgd(learning_rate: ScalarOrSchedule, momentum: ArrayLike | None = None, nesterov: bool = False,
        accumulator_dtype: Any = None) -> GradientTransformation:
    """Gradient descent: p - rate · g; with momentum p - rate · m, where m = momentum · m + g.

    With `nesterov` p - rate · (g + momentum · m) (Sutskever and others, 2013).

        >>> optimiser = sgd(0.1, momentum=0.9)
        >>> optimiser.update(jnp.ones(2), optimiser.init(jnp.zeros(2)))[0]
        Array([-0.1, -0.1], dtype=float32)
    """
    moved = identity() if momentum is None else trace(momentum, nesterov, accumulator_dtype)
    return chain(moved, scale_by_learning_rate(learning_rate))


def adam(learning_rate: ScalarOrSchedule, b1: ArrayLike = 0.9, b2: ArrayLike = 0.999,
         eps: ArrayLike = 1e-8, eps_root: ArrayLike = 0.0, mu_dtype: Any = None, *,
         nesterov: bool = False) -> GradientTransformation:
    """Adam: p - rate · m' / (sqrt(v') + eps) (Kingma and Ba, 2014; see `scale_by_adam`).

    >>> optimiser = optim.adam(0.1)
    >>> optimiser.update(jnp.array([3.0, -0.5]), optimiser.init(jnp.zeros(2)))[0].round(4)
    Array([-0.1,  0.1], dtype=float32)
    """
    return chain(scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
                 scale_by_learning_rate(learning_rate))


def nadam(learning_rate: ScalarOrSchedule, b1: ArrayLike = 0.9, b2: ArrayLike = 0.999,
          eps: ArrayLike = 1e-8, eps_root: ArrayLike = 0.0,
          mu_dtype: Any = None) -> GradientTransformation:
    """Adam with Nesterov's momentum (Dozat, 2016).

    >>> optimiser = optim.nadam(0.1)
    >>> optimiser.update(jnp.array([3.0, -0.5]), optimiser.init(jnp.zeros(2)))[0].round(4)
    Array([-0.1474,  0.1474], dtype=float32)
    """
    return adam(learning_rate, b1, b2, eps, eps_root, mu_dtype, nesterov=True)


def adamw(learning_rate: ScalarOrSchedule, b1: ArrayLike = 0.9, b2: ArrayLike = 0.999,
          eps: ArrayLike = 1e-8, eps_root: ArrayLike = 0.0, mu_dtype: Any = None,
          weight_decay: ArrayLike = 1e-4, mask: Mask | None = None, *,
          nesterov: bool = False) -> GradientTransformation:
    """Adam with weight decay: p - rate · (m' / (sqrt(v') + eps) + weight_decay · p).

    The decay is where `mask` is true: a container of bools, or a function of the parameters that
    makes one (see `masked`). Its `update` needs the parameters (Loshchilov and Hutter, 2017).

        >>> matrices = lambda params: tree.map(lambda p: p.ndim > 1, params)
        >>> optimiser = adamw(1e-3, weight_decay=0.1, mask=matrices)
    """
    return chain(scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
                 add_decayed_weights(weight_decay, mask), scale_by_learning_rate(learning_rate))


def amsgrad(learning_rate: ScalarOrSchedule, b1: ArrayLike = 0.9, b2: ArrayLike = 0.999,
            eps: ArrayLike = 1e-8, eps_root: ArrayLike = 0.0,
            mu_dtype: Any = None) -> GradientTransformation:
    """Adam with the largest v' so far for v' (Reddi, Kale and Kumar, 2018).

    >>> optimiser = optim.amsgrad(0.1)
    >>> optimiser.update(jnp.array([3.0, -0.5]), optimiser.init(jnp.zeros(2)))[0].round(4)
    Array([-0.1,  0.1], dtype=float32)
    """
    return chain(scale_by_amsgrad(b1, b2, eps, eps_root, mu_dtype),
                 scale_by_learning_rate(learning_rate))


def adagrad(learning_rate: ScalarOrSchedule, initial_accumulator_value: float = 0.1,
            eps: ArrayLike = 1e-7) -> GradientTransformation:
    """Adagrad: p - rate · g / sqrt(s + eps), s the sum of |g|² so far (Duchi and others, 2011).

    >>> optimiser = optim.adagrad(0.1, initial_accumulator_value=0.0)
    >>> optimiser.update(jnp.array([3.0, -0.5]), optimiser.init(jnp.zeros(2)))[0].round(4)
    Array([-0.1,  0.1], dtype=float32)
    """
    return chain(scale_by_rss(initial_accumulator_value, eps),
                 scale_by_learning_rate(learning_rate))


def rmsprop(learning_rate: ScalarOrSchedule, decay: ArrayLike = 0.9, eps: ArrayLike = 1e-8,
            initial_scale: float = 0.0, eps_in_sqrt: bool = True, centered: bool = False,
            momentum: ArrayLike | None = None, nesterov: bool = False) -> GradientTransformation:
    """RMSProp: p - rate · g / sqrt(v + eps), v = decay · v + (1 - decay) |g|² (Hinton, 2012).

    `centered` takes the variance for v (Graves, 2013), `eps_in_sqrt=False` sqrt(v) + eps for the
    root. With `momentum` these steps are summed up as in `sgd`.

    >>> optimiser = optim.rmsprop(0.1, decay=0.75)
    >>> optimiser.update(jnp.array([3.0, -0.5]), optimiser.init(jnp.zeros(2)))[0].round(4)
    Array([-0.2,  0.2], dtype=float32)
    """
    size = scale_by_stddev if centered else scale_by_rms
    moved = identity() if momentum is None else trace(momentum, nesterov)
    return chain(size(decay, eps, initial_scale, eps_in_sqrt),
                 scale_by_learning_rate(learning_rate), moved)


def lion(learning_rate: ScalarOrSchedule, b1: ArrayLike = 0.9, b2: ArrayLike = 0.99,
         mu_dtype: Any = None, weight_decay: ArrayLike = 1e-3,
         mask: Mask | None = None) -> GradientTransformation:
    """Lion: p - rate · (sign(b1 · m + (1 - b1) g) + weight_decay · p) (Chen and others, 2023).

    m = b2 · m + (1 - b2) g afterwards. `mask` as in `adamw`; `update` needs the parameters.

    >>> optimiser = optim.lion(0.1)
    >>> params = jnp.zeros(2)
    >>> optimiser.update(jnp.array([3.0, -0.5]), optimiser.init(params), params)[0].round(4)
    Array([-0.1,  0.1], dtype=float32)
    """
    return chain(scale_by_lion(b1, b2, mu_dtype), add_decayed_weights(weight_decay, mask),
                 scale_by_learning_rate(learning_rate))

"""jax.example_libraries.stax: layers as pairs of functions.

    start, apply = stax.serial(stax.Dense(100), stax.Relu, stax.Dense(10))
    shape, parameters = start(key, (-1, 784))
    logits = apply(parameters, images)

The first function takes a key and the shape of the inputs (-1 where it does not matter), and gives
the shape of the outputs and parameters; the second is the layer. For the same key the parameters
are JAX's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from arraylib import lax, numpy as jnp, random
from arraylib.errors import ArgumentError, mistake
from arraylib.nn import (
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    relu,
    selu,
    sigmoid,
    softmax,
    softplus,
    standardize,
)
from arraylib.nn.initializers import glorot_normal, normal, ones, zeros
from arraylib.tracing.core import ShapeDtypeStruct
from arraylib.tracing.program import eval_shape

Layer = tuple[Callable[..., Any], Callable[..., Any]]
Shape = tuple[int, ...]

glorot, randn, logsoftmax = glorot_normal, normal, log_softmax
_GLOROT, _NORMAL, _SMALL = glorot_normal(), normal(), normal(1e-6)


# -- layers with parameters ------------------------------------------------------------------------


def Dense(out_dim: int, W_init: Any = _GLOROT, b_init: Any = _NORMAL) -> Layer:
    """inputs @ W + b."""
    def start(rng: Any, input_shape: Shape) -> tuple[Shape, Any]:
        first, second = random.split(rng)
        parameters = W_init(first, (input_shape[-1], out_dim)), b_init(second, (out_dim,))
        return (*input_shape[:-1], out_dim), parameters

    def apply(params: Any, inputs: Any, **options: Any) -> Any:
        W, b = params
        return jnp.dot(inputs, W) + b
    return start, apply


def _convolution(convolve: Callable[..., Any], dimension_numbers: Sequence[str], out_chan: int,
                 filter_shape: Shape, strides: Shape | None, padding: Any, W_init: Any,
                 b_init: Any) -> Layer:
    inputs_spec, filter_spec, out_spec = dimension_numbers
    steps = strides or (1,) * len(filter_shape)
    W_init = W_init or glorot_normal(filter_spec.index("I"), filter_spec.index("O"))

    def apply(params: Any, inputs: Any, **options: Any) -> Any:
        W, b = params
        return convolve(inputs, W, steps, padding, dimension_numbers=dimension_numbers) + b

    def start(rng: Any, input_shape: Shape) -> tuple[Shape, Any]:
        sizes = iter(filter_shape)
        channels = {"O": out_chan, "I": input_shape[inputs_spec.index("C")]}
        kernel = tuple([channels[c] if c in channels else next(sizes) for c in filter_spec])
        bias = tuple([out_chan if c == "C" else 1 for c in out_spec])
        first, second = random.split(rng)
        parameters = W_init(first, kernel), b_init(second, bias)
        return _shape_after(partial(apply, parameters), input_shape), parameters
    return start, apply


def _shape_after(function: Callable[[Any], Any], shape: Shape) -> Shape:
    """The shape of what a function gives; the first axis may be -1."""
    out = eval_shape(function, ShapeDtypeStruct((max(shape[0], 1), *shape[1:]), "float32")).shape
    return (shape[0], *out[1:]) if shape[0] < 0 else tuple(out)


def GeneralConv(dimension_numbers: Sequence[str], out_chan: int, filter_shape: Shape,
                strides: Shape | None = None, padding: Any = "VALID", W_init: Any = None,
                b_init: Any = _SMALL) -> Layer:
    """A convolution with a bias for each channel."""
    def convolve(inputs: Any, W: Any, steps: Shape, padding: Any, **numbers: Any) -> Any:
        return lax.conv_general_dilated(inputs, W, steps, padding, **numbers)
    return _convolution(convolve, dimension_numbers, out_chan, filter_shape, strides, padding,
                        W_init, b_init)


def GeneralConvTranspose(dimension_numbers: Sequence[str], out_chan: int, filter_shape: Shape,
                         strides: Shape | None = None, padding: Any = "VALID", W_init: Any = None,
                         b_init: Any = _SMALL) -> Layer:
    """A transposed convolution with a bias for each channel."""
    return _convolution(lax.conv_transpose, dimension_numbers, out_chan, filter_shape, strides,
                        padding, W_init, b_init)


Conv = partial(GeneralConv, ("NHWC", "HWIO", "NHWC"))
Conv1DTranspose = partial(GeneralConvTranspose, ("NHC", "HIO", "NHC"))
ConvTranspose = partial(GeneralConvTranspose, ("NHWC", "HWIO", "NHWC"))


def BatchNorm(axis: Any = (0, 1, 2), epsilon: float = 1e-5, center: bool = True,
              scale: bool = True, beta_init: Any = zeros, gamma_init: Any = ones) -> Layer:
    """Inputs of mean 0 and variance 1 along the axes, then scaled and moved."""
    axes = (axis,) if jnp.isscalar(axis) else tuple(axis)

    def start(rng: Any, input_shape: Shape) -> tuple[Shape, Any]:
        shape = tuple([n for i, n in enumerate(input_shape) if i not in axes])
        first, second = random.split(rng)
        return input_shape, (beta_init(first, shape) if center else (),
                             gamma_init(second, shape) if scale else ())

    def apply(params: Any, x: Any, **options: Any) -> Any:
        beta, gamma = params
        place = tuple([None if i in axes else slice(None) for i in range(jnp.ndim(x))])
        z = standardize(x, axes, epsilon=epsilon)
        z = gamma[place] * z if scale else z
        return z + beta[place] if center else z
    return start, apply


# -- layers without --------------------------------------------------------------------------------


def _keeps(rng: Any, input_shape: Any) -> tuple[Any, Any]:
    return input_shape, ()


def elementwise(fun: Callable[..., Any], **fun_kwargs: Any) -> Layer:
    """A function of each element."""
    return _keeps, lambda params, inputs, **options: fun(inputs, **fun_kwargs)


Tanh = elementwise(jnp.tanh)
Relu = elementwise(relu)
Exp = elementwise(jnp.exp)
LogSoftmax = elementwise(log_softmax, axis=-1)
Softmax = elementwise(softmax, axis=-1)
Softplus = elementwise(softplus)
Sigmoid = elementwise(sigmoid)
Elu = elementwise(elu)
LeakyRelu = elementwise(leaky_relu)
Selu = elementwise(selu)
Gelu = elementwise(gelu)
Identity: Layer = _keeps, lambda params, inputs, **options: inputs


def _pooling(reducer: Callable[..., Any], first: float, average: bool,
             window_shape: Shape, strides: Shape | None = None, padding: Any = "VALID",
             spec: str | None = None) -> Layer:
    """Windows over all axes but those of examples and channels."""
    others = (0, len(window_shape) + 1) if spec is None else (spec.index("N"), spec.index("C"))
    window, steps = list(window_shape), list(strides or (1,) * len(window_shape))
    for i in sorted(others):
        window.insert(i, 1)
        steps.insert(i, 1)
    pool = partial(lax.reduce_window, window_dimensions=tuple(window),
                   window_strides=tuple(steps), padding=padding)

    def apply(params: Any, inputs: Any, **options: Any) -> Any:
        out = pool(inputs, first, reducer)
        if not average:
            return out
        shape = tuple([1 if i in others else n for i, n in enumerate(inputs.shape)])
        return out / pool(jnp.ones(shape, inputs.dtype), 0.0, lax.add)

    def start(rng: Any, input_shape: Shape) -> tuple[Shape, Any]:
        return _shape_after(partial(apply, ()), input_shape), ()
    return start, apply


MaxPool = partial(_pooling, lax.max, -jnp.inf, False)
SumPool = partial(_pooling, lax.add, 0.0, False)
AvgPool = partial(_pooling, lax.add, 0.0, True)

Flatten: Layer = (lambda rng, shape: ((shape[0], math.prod(shape[1:])), ()),
                  lambda params, inputs, **options: jnp.reshape(inputs, (inputs.shape[0], -1)))


def Dropout(rate: float, mode: str = "train") -> Layer:
    """Keeps elements with this probability and makes up for the others, if `mode` is "train"."""
    def apply(params: Any, inputs: Any, **options: Any) -> Any:
        if options.get("rng") is None:
            raise mistake(ArgumentError, "Dropout", "no key",
                          hint="call the layer as apply(parameters, inputs, rng=key)")
        if mode != "train":
            return inputs
        return jnp.where(random.bernoulli(options["rng"], rate, inputs.shape), inputs / rate, 0)
    return _keeps, apply


# -- compositions ----------------------------------------------------------------------------------


def FanOut(num: int) -> Layer:
    """Its input, as many times."""
    return (lambda rng, shape: ([shape] * num, ()),
            lambda params, inputs, **options: [inputs] * num)


FanInSum: Layer = (lambda rng, shapes: (shapes[0], ()),
                   lambda params, inputs, **options: sum(inputs))


def FanInConcat(axis: int = -1) -> Layer:
    """Its inputs, next to one another."""
    def start(rng: Any, shapes: Sequence[Shape]) -> tuple[Shape, Any]:
        out = list(shapes[0])
        out[axis] = sum([shape[axis] for shape in shapes])
        return tuple(out), ()
    return start, lambda params, inputs, **options: jnp.concatenate(inputs, axis)


def _keys(options: dict[str, Any], count: int) -> Any:
    """A key for each layer, if there is one for all."""
    rng = options.pop("rng", None)
    return (None,) * count if rng is None else random.split(rng, count)


def serial(*layers: Layer) -> Layer:
    """Layers one after another."""
    def start(rng: Any, input_shape: Shape) -> tuple[Shape, Any]:
        params = []
        for layer, _ in layers:
            rng, own = random.split(rng)
            input_shape, param = layer(own, input_shape)
            params.append(param)
        return input_shape, params

    def apply(params: Any, inputs: Any, **options: Any) -> Any:
        for (_, layer), param, rng in zip(layers, params, _keys(options, len(layers))):
            inputs = layer(param, inputs, rng=rng, **options)
        return inputs
    return start, apply


def parallel(*layers: Layer) -> Layer:
    """Layers side by side, each with an input and an output of its own."""
    def start(rng: Any, input_shape: Sequence[Shape]) -> tuple[Any, Any]:
        found = [layer(own, shape) for (layer, _), own, shape
                 in zip(layers, random.split(rng, len(layers)), input_shape)]
        return tuple([shape for shape, _ in found]), tuple([param for _, param in found])

    def apply(params: Any, inputs: Any, **options: Any) -> Any:
        keys = _keys(options, len(layers))
        return [layer(param, x, rng=rng, **options)
                for (_, layer), param, x, rng in zip(layers, params, inputs, keys)]
    return start, apply


def shape_dependent(make_layer: Callable[[Shape], Layer]) -> Layer:
    """A layer that is made when the shape of its inputs is known."""
    return (lambda rng, shape: make_layer(shape)[0](rng, shape),
            lambda params, inputs, **options: make_layer(inputs.shape)[1](
                params, inputs, **options))

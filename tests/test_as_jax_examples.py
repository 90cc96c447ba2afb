"""The small libraries beside JAX, stax and optimizers: JAX's numbers, names and mistakes."""

import inspect

import jax
import numpy as np
import pytest
from jax.example_libraries import optimizers as their_optimizers, stax as their_stax

import arraylib
from arraylib import tree
from arraylib.as_jax import optimizers, stax
from arraylib.config import config
from arraylib.errors import ArgumentError

LAYERS = {
    "convolutions": (lambda s: s.serial(
        s.Conv(4, (3, 3), (2, 2), "SAME"), s.BatchNorm(), s.Relu, s.MaxPool((2, 2), (2, 2)),
        s.Flatten, s.Dense(5), s.LogSoftmax), (2, 9, 8, 3)),
    "transposed": (lambda s: s.serial(
        s.ConvTranspose(2, (3, 3), (2, 2)), s.AvgPool((2, 2), padding="SAME"), s.Gelu,
        s.SumPool((2, 3), (1, 2))), (2, 4, 3, 2)),
    "side by side": (lambda s: s.serial(
        s.FanOut(3), s.parallel(s.Dense(4), s.serial(s.Dense(4), s.Tanh), s.Identity),
        s.FanInConcat(-1), s.shape_dependent(lambda shape: s.Dense(shape[-1])),
        s.Dropout(0.6), s.FanOut(2), s.FanInSum, s.Softplus), (3, 6)),
}


def test_names_are_theirs():
    def public(module):
        return {name for name, value in vars(module).items()
                if not name.startswith("_") and not inspect.ismodule(value)
                and "typing" not in getattr(value, "__module__", "")}
    assert public(their_stax) <= public(stax)
    assert public(their_optimizers) - public(optimizers) <= {
        "Array", "InitFn", "Params", "ParamsFn", "State", "Step", "UpdateFn", "Updates",
        "map", "namedtuple", "partial", "safe_map", "safe_zip", "unzip2", "zip"}


def _layers(library, module, make, x):
    """The shape, the parameters and the result, as one program."""
    shapes = []

    def run(key, x):
        start, apply = make(module)
        shape, parameters = start(key, x.shape)
        shapes.append(tuple(shape))
        return parameters, apply(parameters, x, rng=library.random.fold_in(key, 1))
    return shapes, library.tree.leaves(library.jit(run)(library.random.key(3), x))


@pytest.fixture(autouse=True)
def quickly():
    """Neither library compiles for long."""
    with config.using(backend="reference"):
        jax.config.update("jax_disable_most_optimizations", True)
        yield


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_theirs(name):
    make, shape = LAYERS[name]
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    wanted_shapes, wanted = _layers(jax, their_stax, make, x)
    found_shapes, found = _layers(arraylib, stax, make, x)
    assert found_shapes == wanted_shapes
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_the_number_of_examples_may_be_left_open():
    start, _ = stax.serial(stax.Conv(4, (3, 3)), stax.MaxPool((2, 2)), stax.Flatten)
    assert start(arraylib.random.key(0), (-1, 8, 8, 3))[0] == (-1, 100)


RULES = {
    "sgd": (0.1,), "momentum": (0.1, 0.9), "nesterov": (0.1, 0.9), "adagrad": (0.1,),
    "rmsprop": (0.1,), "rmsprop_momentum": (0.1,), "adam": (0.1,), "adamax": (0.1,),
    "sm3": (0.1,)}


def _steps(library, xp, rule, arguments):
    start, update, parameters = getattr(library, rule)(*arguments)
    state = start({"w": xp.asarray([[1.0, -2.0]]), "b": [xp.asarray([0.5])]})
    for i in range(3):
        w = parameters(state)
        grads = {"w": w["w"] * 2, "b": [xp.sin(w["b"][0])]}
        state = update(i, library.clip_grads(grads, 3.0), state)
    return parameters(library.pack_optimizer_state(library.unpack_optimizer_state(state)))


@pytest.mark.parametrize("rule", RULES)
def test_minimisers_are_theirs(rule):
    found = _steps(optimizers, arraylib.numpy, rule, RULES[rule])
    wanted = _steps(their_optimizers, jax.numpy, rule, RULES[rule])
    for a, b in zip(tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("make", [
    lambda m: m.exponential_decay(0.1, 3, 0.5), lambda m: m.inverse_time_decay(0.1, 3, 0.5),
    lambda m: m.inverse_time_decay(0.1, 3, 0.5, staircase=True),
    lambda m: m.polynomial_decay(0.1, 5, 0.01, 2.0), lambda m: m.constant(0.3),
    lambda m: m.piecewise_constant([1, 4], [0.3, 0.2, 0.1]), lambda m: m.make_schedule(0.5)])
def test_step_sizes_are_theirs(make):
    for i in range(0, 8, 3):
        np.testing.assert_allclose(make(optimizers)(i), make(their_optimizers)(i), rtol=1e-6)


def test_states_go_through_jit():
    start, update, parameters = optimizers.adam(0.1)
    state = arraylib.jit(update)(0, [np.float32(2)], start([np.float32(1)]))
    np.testing.assert_allclose(parameters(state)[0], 0.9, rtol=1e-6)


@pytest.mark.parametrize("mistake, said", [
    (lambda: stax.Dropout(0.5)[1]((), np.ones(3)), "rng=key"),
    (lambda: optimizers.make_schedule([1, 2]), "number nor a function"),
    (lambda: optimizers.piecewise_constant([1, 2], [0.1]), "one value more"),
    (lambda: optimizers.sgd(0.1).update_fn(0, [1.0], optimizers.sgd(0.1).init_fn((1.0,))),
     "but parameters"),
    (lambda: optimizers.optimizer(lambda: (lambda x: x, lambda i, g, x: (x, g), lambda x: x))()
     .update_fn(0, 1.0, optimizers.sgd(0.1).init_fn(1.0)), "after a step"),
])
def test_mistakes_are_told(mistake, said):
    with pytest.raises(ArgumentError, match=said):
        mistake()

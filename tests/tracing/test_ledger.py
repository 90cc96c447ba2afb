"""What `compiles()` says of each compilation, and what `max_compiles` refuses."""

from collections import namedtuple

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import jit
from arraylib.config import config
from arraylib.errors import ArgumentError, CompileLimitError

X = jnp.arange(3.0)


def kinds(function):
    return [[change.kind for change in line.changes] for line in function.compiles()]


def test_each_line_says_what_has_changed():
    @jit(static_argnames="scale")
    def step(params, x, scale=1):
        return params["w"] * x * scale

    calls = [({"w": X}, X), ({"w": X.astype("int32")}, X), ({"w": X[:2]}, X[:2]),
             ({"w": X, "b": X}, X)]
    for params, x in calls:
        step(params, x)
    step({"w": X}, X, scale=2)
    with config.using(default_bits=64):
        step({"w": X}, X)
    assert kinds(step) == [
        [], ["dtype"], ["shape", "shape"], ["structure"], ["static value"], ["config"]]
    text = str(step.compiles())
    assert "dtype of argument 'params'['w'] of step: i32[3] now, f32[3] before" in text
    assert "shape of argument 'x' of step: f32[2] now, f32[3] before" in text
    assert "structure of argument 'params'['b'] of step: f32[3] now, none before" in text
    assert "static value of argument 'scale' of step: 2 now, not given before" in text
    assert "config of config.default_bits: 64 now, 32 before" in text
    assert "try: convert it before the call: x.astype('float32')" in text
    assert "try: make it an ordinary argument" in text
    assert text.count(" ms  step(") == 6 and step.compiles()[1].milliseconds > 0


def test_the_nearest_of_those_before_is_compared_with():
    f = jit(lambda x, y, n: x, static_argnums=2)
    f(X, X, 1)
    f(X[:2], X[:2], 2)
    f(X[:2], X[:2], 3)
    assert kinds(f) == [[], ["static value", "shape", "shape"], ["static value"]]


def test_arguments_in_other_containers_or_by_name():
    Pair = namedtuple("Pair", "a b")
    f = jit(lambda x: x[0])
    f((X, X))
    f(Pair(X, X))
    g = jit(lambda x: x)
    g(X)
    g(x=X)
    assert kinds(g) == [[], ["structure"]]
    assert "by position or by name" in g.compiles()[1].advice
    assert all(change.kind == "structure" for change in f.compiles()[1].changes)


def test_values_without_equality_are_named():
    class Options:
        pass

    f = jit(lambda x, options: x, static_argnums=1)
    f(X, Options())
    f(X, Options())
    assert "give Options an __eq__ and a __hash__" in f.compiles()[1].advice


def test_a_function_that_is_jitted_again_and_again():
    def call():
        return jit(lambda x: x + 1)

    for count, said in enumerate(["", "was compiled once", "was compiled 2 times"]):
        f = call()
        f(X)
        changes = f.compiles()[0].changes
        assert (said in str(changes[0])) if count else not changes
    assert "call jit once" in str(f.compiles())


def test_a_cleared_cache():
    f = jit(lambda x: x, max_compiles=1)
    f(X)
    f.clear_cache()
    f(X)
    assert kinds(f) == [[], ["cleared"]] and f.compiles()[1].found == "process"
    assert str(jit(lambda x: x).compiles()) == "nothing has been compiled yet"


def test_a_limit_names_what_has_changed():
    @jit(max_compiles=2)
    def f(x):
        return x + 1

    for _ in range(2):
        f(X)
        f(np.ones(2, np.float32))
    with pytest.raises(CompileLimitError, match=(
            r"jit: f would be compiled for the 3rd time, but max_compiles=2\n(.|\n)*"
            r"operand 1: shape of argument 'x' of f: f32\[4\] now, f32\[2\] before\n"
            r"  try: .*axis 0")):
        f(jnp.ones(4))
    assert f(X).tolist() == [1, 2, 3] and len(f.compiles()) == 2
    assert jit(lambda x: f(x))(jnp.ones(4)).tolist() == [2] * 4  # a part of another program


@pytest.mark.parametrize("limit", [0, True, "3"])
def test_a_limit_is_a_number_from_1_on(limit):
    with pytest.raises(ArgumentError, match=f"max_compiles is {limit!r}"):
        jit(lambda x: x, max_compiles=limit)


def test_no_line_is_left_by_a_failure():
    @jit(max_compiles=1)
    def f(x):
        if x.shape == (3,):
            raise RuntimeError("no")
        return x

    for _ in range(2):
        with pytest.raises(RuntimeError, match="no"):
            f(X)
    f(X[:1])
    assert len(f.compiles()) == 1

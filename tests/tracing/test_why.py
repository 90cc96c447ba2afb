"""`compiled.why(a, b)`: the rule that keeps two operations apart, each met by a program."""

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import lax
from arraylib.config import config
from arraylib.errors import ArgumentError

X = np.ones((300, 400), np.float32)


def why(f, one, other, *args):
    return arraylib.jit(f).lower(*(args or (X,))).compile().why(one, other)


def test_together():
    text = why(lambda x: jnp.tanh(x) * jnp.cos(x), "tanh", "cosine")
    assert "tanh (test_why.py:" in text and "are together in kernel 0" in text
    assert "is in kernel 0" in why(lambda x: jnp.tanh(x) * jnp.cos(x), "tanh", "tanh")


RULES = {
    "matrix product, which the library": (lambda x: jnp.tanh(x @ x.T), "tanh", "dot_general"),
    "computed in matrix product 0, while": (
        lambda x: jnp.cos(jnp.tanh(x).T @ x), "tanh", "cosine"),
    "the host computes it": (lambda x: arraylib.pure_callback(np.sin, x, x) + x,
                             "host_call", "add"),
    "between: a step between them": (
        lambda x: (y := jnp.tanh(x), jnp.exp(y.T @ x)), "tanh", "exponential"),
    "dot_general (test_why.py:": (
        lambda x: (y := jnp.tanh(x), jnp.exp(y.T @ x)), "tanh", "exponential"),
    "sizes: one computes": (lambda x: (jnp.tanh(x), jnp.sin(x.reshape(-1)[:500])), "tanh", "sine"),
    "shapes: [300,400] and [400,300]": (lambda x: jnp.cosh(jnp.sinh(x).T), "sinh", "cosh"),
    "order: the second reads the first's result in another order": (
        lambda x: (jnp.cosh(jnp.sinh(x).T)), "sinh", "cosh"),
    "nothing in common": (lambda x, y: (jnp.sin(x), jnp.cos(y)), "sine", "cosine"),
    "small: neither needs": (lambda x, y: (jnp.sin(x[:5]), jnp.cos(x[5:])), "sine", "cosine"),
    "stages: reduce_add": (lambda x: x - x.mean(), "reduce_add", "subtract"),
    "loop: one is inside a loop": (
        lambda x: lax.scan(lambda c, r: (jnp.tanh(c) + r, None), jnp.sin(x[0]), x)[0],
        "tanh", "sine"),
}
ARGUMENTS = {"nothing in common": (X, X), "small: neither needs": (X[0], X),
             "order: the second reads the first's result in another order": (X[:, :300],)}


@pytest.mark.parametrize("rule", RULES)
def test_rules_are_named(rule):
    f, one, other = RULES[rule]
    assert rule in why(f, one, other, *ARGUMENTS.get(rule, ())), \
        why(f, one, other, *ARGUMENTS.get(rule, ()))


def test_operations_are_named_by_lines():
    def f(x):
        y = jnp.tanh(x)
        return jnp.exp(y @ y.T)
    line = f.__code__.co_firstlineno
    assert why(f, line + 1, f"test_why.py:{line + 2}").startswith(f"tanh (test_why.py:{line + 1})")
    with pytest.raises(ArgumentError, match="is called 'sort'(.|\n)*tanh"):
        why(f, "tanh", "sort")
    with pytest.raises(ArgumentError, match="'transpose' is in no kernel"):
        why(f, "tanh", "transpose")


def test_the_reference_backend_has_no_kernels():
    with config.using(backend="reference"), pytest.raises(ArgumentError, match="interprets"):
        why(jnp.sin, "sine", "sine")

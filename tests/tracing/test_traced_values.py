"""What stands for an array inside a trace: copies, pickles, and recursion that does not end."""

import copy

import pytest

import arraylib.numpy as jnp
from arraylib import eval_shape, jit, make_graph
from arraylib.hlo.ops.constant import constant


def test_a_traced_value_is_its_own_copy():
    @jit
    def f(x):
        return copy.copy(x) + copy.deepcopy({"x": x})["x"]
    assert f(2.0) == 4.0


def test_endless_recursion_leaves_everything_usable():
    def f(x):
        return jit(f)(x)
    with pytest.raises(RecursionError, match=r"lax\.while_loop"):
        f(1.0)
    assert jit(lambda x: x + 1)(1.0) == 2.0


def constants(function, *args):
    """The numbers that are written in the graph of a function."""
    return [str(node.attrs["value"].flat[0]) for node in make_graph(function)(*args).graph.nodes
            if node.op is constant]


def test_a_number_is_written_once():
    x = jnp.ones(3)
    assert constants(lambda x: (x * 2 + 1) * 2.0 - 1, x) == ["2.0", "1.0"]
    assert constants(lambda x: x * 0.0 + jnp.where(x > 0, -0.0, x) + 0.0 * x, x) == ["0.0", "-0.0"]
    assert constants(lambda x: x * 2 + x[:2].sum() * 2, x) == ["2.0", "2.0"]
    assert constants(lambda x: jnp.tanh(jnp.tanh(x)), x) == []


def test_a_weak_number_is_not_written_for_others():
    def f(x):
        weak, strong = x * 2, jnp.full((), 2.0, jnp.float32)
        return weak, strong, x + 2, strong + jnp.ones(2, jnp.bfloat16), weak * jnp.ones(
            2, jnp.bfloat16)

    found = [(str(y.dtype), y.weak_type) for y in eval_shape(f, 1.0)]
    assert found == [("float32", True), ("float32", False), ("float32", True),
                     ("float32", False), ("bfloat16", False)]

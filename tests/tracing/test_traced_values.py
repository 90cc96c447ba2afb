"""What stands for an array inside a trace: copies, pickles, and recursion that does not end."""

import copy

import pytest

from arraylib import jit


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

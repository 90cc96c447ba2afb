"""Dicts as arguments and results of native calls: tables of every shape, copies that are filled."""

import gc
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import arraylib.numpy as jnp
from arraylib import jit, tree
from arraylib.backends.cpu.calls import templates
from arraylib.backends.cpu.calls.layout import RAW
from arraylib.tracing.jit import Jitted

pytestmark = pytest.mark.skipif(not RAW, reason="calls stay in Python here")
keys = st.sampled_from("abcdefgh") | st.integers(-3, 20).map(str)


@pytest.fixture
def plus(monkeypatch):
    """A jitted function whose calls, from the second on, must not go through Python."""
    def make(example):
        f = jit(lambda d: tree.map(lambda v: v + 1, d))
        f(example), f(example)

        def refuse(*args, **kwargs):
            raise AssertionError("the call went through Python")
        monkeypatch.setattr(Jitted, "_call_seen", refuse)
        monkeypatch.setattr(Jitted, "_slow", refuse)
        f._last = -1, None, None, None
        return f
    return make


def check(f, given):
    result = f(given)
    assert list(result) == sorted(given) and type(result) is dict and gc.is_tracked(result)
    for key, value in given.items():
        assert float(result[key]) == float(value) + 1


def arrays(names):
    found = {name: jnp.asarray(float(i)) for i, name in enumerate(names)}
    for value in found.values():
        assert value.address
    return found


@pytest.mark.parametrize("count", [1, 5, 6, 10, 11, 100, 700])
def test_dicts_of_many_sizes(count, plus):
    example = arrays([f"key{i:04}" for i in range(count)])
    f = plus(example)
    for _ in range(3):
        check(f, example)
    check(f, arrays(["".join(list(key)) for key in example]))  # other strings


@pytest.mark.parametrize("names", [[3, 1, 2], [2.5, 1], [(1, 2), (0, 1)], list(range(200))])
def test_keys_that_are_no_strings(names, plus):
    example = arrays(names)
    f = plus(example)
    for _ in range(3):
        check(f, example)


def test_tables_of_another_shape(plus):
    """Dicts that have grown, lost keys, or share their table with others' attributes."""
    example = arrays("abc")
    f = plus(example)
    grown = arrays([*"abc", *map(str, range(50))])
    for name in map(str, range(50)):
        del grown[name]
    holder = type("Holder", (), {})()
    for name, value in example.items():
        setattr(holder, name, value)
    mixed = {0: None, **example}
    del mixed[0]
    for other in (grown, vars(holder), mixed, dict(example), {**example}):
        check(f, other)
    for wrong in ({}, arrays("abd"), arrays("ab"), arrays("abcd"), arrays([1, 2, 3])):
        with pytest.raises(AssertionError, match="went through Python"):
            f(wrong)


@given(st.lists(keys, min_size=1, max_size=12, unique=True), st.data())
@settings(deadline=None, max_examples=15)
def test_dicts_after_any_history(names, data):
    f = jit(lambda d: {k: v + 1 for k, v in d.items()})
    example = arrays(names)
    for _ in range(3):
        check(f, example)
    for name in data.draw(st.lists(st.sampled_from(names), max_size=20)):
        value = example.pop(name)
        check(f, example) if example else None
        example[name] = value
        check(f, example)


def test_results_are_dicts_of_their_own(plus):
    example = arrays("abc")
    f = plus(example)
    first, second = f(example), f(example)
    first["a"] = None
    first["z"] = 1
    del first["b"]
    assert list(second) == ["a", "b", "c"] and float(second["b"]) == 2
    assert list(f(example)) == ["a", "b", "c"]


def test_values_of_templates_lose_what_copies_take():
    f, x = jit(lambda a: {"b": a, "a": (a, {"c": a})}), jnp.arange(4.0)
    f(x), f(x)
    gc.collect()
    values = [each for each in gc.get_objects() if type(each) is templates._Nothing]
    before = [sys.getrefcount(each) for each in values]
    for _ in range(1000):
        found = f(x)
    np.testing.assert_array_equal(np.asarray(found["a"][1]["c"]), np.asarray(x))
    assert values and [sys.getrefcount(each) for each in values] == before


def test_shapes_that_are_not_known():
    assert templates.shape({}) == 0
    with_hole = {"a": 1, "b": 2}
    del with_hole["a"]
    assert templates.shape(with_hole) == 0
    assert templates.shape({"a": 1}) != templates.shape({1: 1}) != 0
    assert templates.template(()) is None

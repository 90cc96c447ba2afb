"""Registered classes as arguments and results of native calls."""

import dataclasses
import gc
import sys

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import jit, tree
from arraylib.backends.cpu.calls.layout import RAW
from arraylib.errors import DonatedError
from arraylib.tree_util import Partial

pytestmark = pytest.mark.skipif(not RAW, reason="calls stay in Python here")
x, y = jnp.arange(4.0), jnp.ones((2, 2))
for each in (x, y):
    assert each.address


@tree.register_dataclass
@dataclasses.dataclass
class Layer:
    w: object
    b: object
    name: str = dataclasses.field(default="layer", metadata={"static": True})


@tree.register_dataclass
@dataclasses.dataclass(frozen=True, slots=True)
class Slim:
    inner: object
    rest: dict


@tree.register_dataclass
@dataclasses.dataclass
class Counted:
    """Whose `value` is read by Python code."""

    start: object

    reads = 0

    @property
    def start(self):
        Counted.reads += 1
        return self.hidden

    @start.setter
    def start(self, value):
        self.hidden = value


class Open:
    def __init__(self, *items):
        self.items = items


tree.register_node(Open, lambda o: (o.items, None), lambda _, items: Open(*items))


def same(found, expected):
    assert tree.structure(found) is tree.structure(expected)
    for a, b in zip(tree.leaves(found), tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def double(t):
    return tree.map(lambda v: v * 2, t)


@pytest.mark.parametrize("given", [
    Layer(x, y), Layer([x, None], {"a": y}), Layer(x, y, "other"), [Layer(x, y), Layer(y, x)],
    Slim(Layer(x, y), {"p": (x, y)}), Partial(jnp.where, x, {"k": y}, more=x)],
    ids=lambda given: type(given).__name__)
def test_classes(given, no_python):
    f = jit(double)
    expected = tree.map(lambda v: np.asarray(v) * 2, given)
    same(f(given), expected), f(given)
    no_python(f)
    for _ in range(3):
        found = f(given)
        same(found, expected)
        assert type(found) is type(given)


def test_a_function_with_arguments(no_python):
    f = jit(lambda g, a: g(a))
    add, less = Partial(jnp.add, x), Partial(jnp.subtract, x)
    for _ in range(2):
        same(f(add, x), x + x)
        same(f(less, x), x - x)
    no_python(f)
    same(f(add, x), x + x)
    same(f(less, x), x - x)


def test_what_differs_is_seen():
    f = jit(lambda t: t.w + len(t.name))
    given = Layer(x, y)
    for name in ("layer", "four", "layer", "other"):
        given.name = "".join(list(name))
        for _ in range(3):
            same(f(given), x + len(name))
    given.w = x + 1
    same(f(given), x + 1 + 5)
    del given.b
    with pytest.raises(AttributeError):
        f(given)


def test_attributes_that_are_code_run_it():
    f = jit(lambda t: t.start + 1)
    given = Counted(x)
    f(given), f(given)
    before = Counted.reads
    same(f(given), x + 1)
    assert Counted.reads > before


def test_classes_with_functions_to_take_them_apart():
    f = jit(lambda o: Open(*[v + 1 for v in o.items]))
    for _ in range(3):
        same(f(Open(x, y)).items, (x + 1, y + 1))


def test_donated_classes():
    f, make = jit(double, donate_argnums=0), jit(lambda a: Layer(a + 1, (a, a * 2)))
    for _ in range(4):
        given = make(x)
        same(f(given), Layer((x + 1) * 2, (x * 2, x * 4)))
        with pytest.raises(DonatedError, match=r"argument 't'\.w of double"):
            given.w + 1


def test_references():
    f, given = jit(double), Layer(x, {"a": y})
    f(given), f(given)
    gc.collect()
    watched = (given, given.w, given.b, Layer, "layer")
    before = [sys.getrefcount(each) for each in watched]
    for _ in range(500):
        f(given)
    gc.collect()
    after = [sys.getrefcount(each) for each in watched]
    assert all(abs(a - b) < 50 for a, b in zip(after, before, strict=True))

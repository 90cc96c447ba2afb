"""Traced values that outlive their function: what keeps them, by name."""

from types import ModuleType

import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import grad, jit, lax, vmap
from arraylib.errors import TraceError

x = jnp.arange(3.0)
GLOBALS = """
kept = []
single = None

def keep_global(x):
    global single
    single = 2 * x
    return x
"""


@pytest.fixture
def module():
    """Made after the suite has hidden what it is made of from the garbage collector."""
    made = ModuleType("leaky")
    exec(GLOBALS, made.__dict__)
    return made


class Model:
    def __init__(self):
        self.state = {"hidden": [0]}

    def keep(self, x):
        self.state["hidden"][0] = 2 * x
        return x

    def plain(self, x):
        self.last = 2 * x
        return x


def use(make, get):
    make()
    with pytest.raises(TraceError) as caught:
        get() + 1
    return str(caught.value).split("\n")[0].partition("; it was kept as ")[2]


@pytest.mark.parametrize("transform", [jit, vmap, lambda f: jit(lambda x: lax.map(f, x))])
def test_the_name_of_the_container(transform, module):
    assert use(lambda: transform(lambda x: (module.kept.append(x), x)[1])(x),
               lambda: module.kept[0]) == "the global kept[0] of leaky"
    assert use(lambda: transform(module.keep_global)(x), lambda: module.single) == (
        "the global single of leaky")
    own = {}
    found = use(lambda: transform(lambda x: (own.update(y=x), x)[1])(x), lambda: own["y"])
    assert found.startswith("the variable own['y'], which test_the_name_of_the_container")
    model = Model()
    assert ".state['hidden'][0]" in use(lambda: transform(model.keep)(x),
                                        lambda: model.state["hidden"][0])
    assert ".last" in use(lambda: transform(model.plain)(x), lambda: model.last)


def test_as_soon_as_it_happens(module):
    with arraylib.checking_leaks():
        for transform in (jit, vmap, lambda f: jit(lambda x: lax.map(f, x))):
            with pytest.raises(TraceError, match=r"made at test_leaks.py:.*, is kept as the global "
                                                 r"kept\[0\]"):
                transform(lambda x: (module.kept.append(2 * x), x)[1])(x)
            module.kept.clear()
        with pytest.raises(TraceError, match=r"an argument, is kept as the global kept\[0\]"):
            jit(lambda x: (module.kept.append(x), x)[1])(x)
        module.kept.clear()


def test_what_is_no_leak():
    step = jit(lambda p, x: {"w": p["w"] - 0.1 * grad(lambda w: (w * x).sum())(p["w"])})
    with arraylib.checking_leaks():
        assert step({"w": x}, x)["w"].shape == (3,)
        assert vmap(lambda x: lax.cond(x > 1, lambda: x, lambda: 2 * x))(x).shape == (3,)
        assert lax.scan(lambda c, x: (c + x, [c, x]), 0.0, x)[0] == 3

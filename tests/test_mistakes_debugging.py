"""What is said of values that went wrong in a program: held in tests/golden/mistakes/."""

import pytest
from mistakes import said

import arraylib
import arraylib.numpy as jnp
from arraylib import checkify, debug, export, grad, jit, lax, random, vmap
from arraylib.config import config

x3 = jnp.arange(3.0)
rows = jnp.stack([x3 + 1, x3 - 1])


def watched(scope, function, *args):
    with scope:
        return function(*args)


def checked(x):
    debug.check(x >= 0, "x is {x:.1f}, in {0}", jnp.stack([x, 2 * x]), x=x)
    return x


def total(function):
    return lambda x: lax.scan(lambda sum, x: (sum + function(x), None), 0.0, x)[0]


def reuse():
    key = random.key(0)
    return random.normal(key), random.split(key)


def kept():
    model = type("Model", (), {})()

    def call(x):
        model.hidden = 2 * x
        return x

    return jit(call)(x3)


MISTAKES = {
    "check": lambda: checked(-1.0),
    "check_jit": lambda: jit(checked)(-1.0),
    "check_scan_vmap": lambda: jit(vmap(total(checked)))(rows),
    "check_array": lambda: jit(lambda x: debug.check(x < 2, "too large"))(x3),
    "check_number": lambda: debug.check(1, "one"),
    "check_message": lambda: debug.check(True, "{y}", x=1.0),
    "check_export": lambda: export.export(checked)(1.0),
    "checkify_throw": lambda: checkify.checkify(checked)(-1.0)[0].throw(),
    "checkify_divide": lambda: checkify.checkify(
        lambda x: 1 / x, errors=checkify.all_checks)(x3)[0].throw(),
    "nans_eager": lambda: watched(debug.nans(), jnp.log, x3 - 1),
    "nans_jit": lambda: watched(debug.nans(), jit(lambda x: jnp.log(x) + 1), x3 - 1),
    "nans_backward": lambda: watched(debug.nans(), jit(grad(lambda x: jnp.sqrt(x) * x)), 0.0),
    "nans_scan_vmap": lambda: watched(debug.nans(), jit(vmap(total(jnp.log))), rows),
    "nans_argument": lambda: watched(
        debug.nans(), jit(lambda params, scale: scale * params["w"]), {"w": x3 * jnp.nan}, 2.0),
    "infs_jit": lambda: watched(debug.infs(), jit(lambda x: 1 / x), x3),
    "index_traced": lambda: watched(
        config.using(index_mode="raise"), jit(vmap(lambda x, i: x[i])), rows, jnp.array([1, 5])),
    "key_reuse": lambda: watched(debug.key_reuse(), reuse),
    "key_reuse_jit": lambda: watched(debug.key_reuse(), jit(reuse)),
    "leak_attribute": lambda: watched(arraylib.checking_leaks(), kept),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name, golden):
    golden(f"mistakes/{name}.txt", said(MISTAKES[name]))

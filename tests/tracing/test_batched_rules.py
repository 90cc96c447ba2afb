"""What stays without an axis of examples under vmap, where not everything varies."""

import jax
import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import lax, pure_callback
from arraylib.errors import ArgumentError

X = np.arange(1.0, 4.0, dtype=np.float32)


def _counted(seen, count):
    """count + 1, by a Python function that notes what it is called with."""
    def call(n):
        seen.append(np.shape(n))
        return np.asarray(n + 1, np.int32)
    return pure_callback(call, arraylib.ShapeDtypeStruct((), "int32"), count)


def test_branches_do_not_repeat_what_all_examples_share():
    seen: list[tuple[int, ...]] = []

    def f(x, n):
        n, y = lax.cond(n > 0, lambda n, x: (n + 1, x), lambda n, x: (n, x * n), n, x)
        return _counted(seen, n), y
    counts, values = arraylib.vmap(f, (0, None))(X, 1)
    assert counts.tolist() == [3, 3, 3] and values.tolist() == X.tolist() and seen == [()]
    flags, _ = arraylib.vmap(lambda x: lax.cond(x > 1, lambda: (1, x), lambda: (2, x)))(X)
    assert flags.tolist() == [2, 1, 1]
    one, _ = arraylib.vmap(lambda x: lax.cond(True, lambda: (1.0, x), lambda: (x, x)))(X)
    assert one.tolist() == [1, 1, 1]


def _ruled(lib, kind):
    """x n and n + 1, with a rule of its own."""
    f = getattr(lib, kind)(lambda x, n: (x * n, n + 1))
    if kind == "custom_jvp":
        f.defjvp(lambda p, t: (f(*p), (t[0] * p[1] * 2, np.zeros((), arraylib.float0))))
    else:
        f.defvjp(lambda x, n: (f(x, n), n), lambda n, ct: (ct[0] * n * 2, None))
    return f


def test_integers_beside_what_varies_stay_as_they_are():
    for kind in ("custom_jvp", "custom_vjp"):
        seen: list[tuple[int, ...]] = []

        def whole(x, n, f, seen=seen):
            y, n = f(x, n)
            return y, _counted(seen, n)
        f = _ruled(arraylib, kind)
        values, counts = arraylib.vmap(lambda x, f=f: whole(x, 2, f))(X)
        assert counts.tolist() == [4, 4, 4] and seen == [()] and values.tolist() == [2, 4, 6]
        np.testing.assert_allclose(_slopes(arraylib, kind), _slopes(jax, kind))


def _slopes(lib, kind):
    f = _ruled(lib, kind)
    return lib.grad(lambda x: lib.vmap(lambda x: f(x, 2)[0] * f(x, 2)[1])(x).sum())(
        lib.numpy.asarray(X))


def test_an_operand_by_its_name():
    assert lax.cond(True, lambda x: x["a"] + 1, lambda x: x["a"], operand={"a": 2}) == 3
    assert lax.switch(1, [lambda x: 0, lambda x: 5], operand=None) == 5
    with pytest.raises(ArgumentError, match="besides 1 operands"):
        lax.cond(True, jnp.sin, jnp.cos, 1.0, operand=2.0)


def test_shapes_of_shapes():
    one = arraylib.ShapeDtypeStruct((2,), "float32")
    assert arraylib.eval_shape(lambda x: {"a": one, "b": x}, one) == {"a": one, "b": one}


def test_transposes_take_types():
    t = arraylib.typeof(jnp.ones(3))
    assert arraylib.linear_transpose(lambda x: 2 * x, t)(jnp.ones(3))[0].tolist() == [2, 2, 2]

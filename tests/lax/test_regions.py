"""Operations with a Python function in them: reductions, composites, scatter_apply."""

import jax
import jax.lax as theirs
import numpy as np
import pytest
from agreement import BFLOAT16, assert_same, numbers

import arraylib.numpy as jnp
from arraylib import grad, jit, lax, vmap
from arraylib.errors import ArgumentError, DtypeError, ShapeError, StructureError, TraceError

X, M = numbers((3, 4)), numbers((2, 3, 4))


def both(call):
    """What `call(lax, jnp)` gives with our modules and with JAX's."""
    return call(lax, jnp), call(theirs, jax.numpy)


REDUCTIONS = {
    "add": (lambda m: m.add, np.float32(2)), "mul": (lambda m: m.mul, 1.0),
    "max": (lambda m: m.max, np.float32(0.5)), "min": (lambda m: m.min, 9.0),
    "any": (lambda m: lambda a, b: a + b + a * b, 0.0)}


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axes", [(0,), (2, 1), (0, 1, 2)])
def test_reduce(name, axes):
    computation, start = REDUCTIONS[name]
    assert_same(*both(lambda m, _: m.reduce(M, start, computation(m), axes)), 1e-4, 1e-5)


def test_reduce_over_no_axes():
    assert_same(*both(lambda m, _: m.reduce(M, 1.0, m.mul, ())))
    assert_same(lax.reduce(M, 2.0, lax.add, ()), M + np.float32(2))


@pytest.mark.parametrize("name", ["max", "any"])
def test_transforms_of_reduce(name):
    computation, start = REDUCTIONS[name]
    mine, expected = both(lambda m, _: lambda x: (m.reduce(x, start, computation(m), (1,)) ** 2
                                                  ).sum())
    assert_same(jit(grad(mine))(X), jax.grad(expected)(X), 1e-4)
    one = lambda x: lax.reduce(x, start, computation(lax), (0,))
    assert_same(vmap(one)(M), jnp.stack([one(x) for x in M]), 1e-5)


def test_reduce_of_containers():
    """The largest and where it is; and the running product and sum that a recurrence has."""
    def largest(jnp):
        def choose(old, new):
            keep = old[0] >= new[0]
            return [jnp.where(keep, a, b) for a, b in zip(old, new)]
        return choose
    places = np.arange(12, dtype=np.int32).reshape(3, 4)
    start = [np.float32(-np.inf), np.int32(99)]
    assert_same(*both(lambda m, n: m.reduce([X, places], start, largest(n), (1,))))
    affine = lambda a, b: {"k": a["k"] * b["k"], "d": a["d"] * b["k"] + b["d"]}
    mine, expected = both(lambda m, _: m.reduce(
        {"k": X, "d": X + 1}, {"k": np.float32(1), "d": np.float32(0)}, affine, (1,)))
    assert_same([mine["k"], mine["d"]], [expected["k"], expected["d"]], 1e-4, 1e-5)


@pytest.mark.parametrize("dtype", [BFLOAT16, np.int32, np.bool_])
def test_dtypes(dtype):
    x = numbers((3, 4), dtype)
    name = "bitwise_or" if dtype is np.bool_ else "add"
    start = np.zeros((), dtype)
    assert_same(*both(lambda m, _: m.reduce(x, start, getattr(m, name), (1,))))
    if dtype is not BFLOAT16:
        assert_same(*both(lambda m, _: m.reduce_xor(x, (0,))))


def test_a_function_is_traced_once():
    seen = []

    def add(x, y):
        seen.append(x)
        return x + y

    for _ in range(3):
        assert_same(lax.reduce(jnp.asarray(X), 0.0, add, (1,)), X.sum(1), 1e-5)
    assert len(seen) == 1
    unhashable = type("Add", (), {"__hash__": None, "__call__": lambda self, x, y: x + y})()
    assert_same(lax.reduce(X, 0.0, unhashable, (1,)), X.sum(1), 1e-5)
    scale = jnp.float32(3)
    assert_same(lax.reduce(X[0], 0.0, lambda x, y: x + y + scale * x * y, (0,)),
                theirs.reduce(X[0], 0.0, lambda x, y: x + y + 3 * x * y, (0,)), 1e-4)


def test_mistakes():
    with pytest.raises(TraceError, match=r"reduce: the function uses a traced f32\[\] from outs"):
        jit(lambda s: lax.reduce(X, 0.0, lambda x, y: x + s * y, (0,)))(2.0)
    with pytest.raises(TraceError, match="through its arguments"):
        grad(lambda s: lax.reduce(X, 0.0, lambda x, y: x + s * y, (0, 1)))(2.0)
    with pytest.raises(StructureError, match="reduce: .*what the computation returns"):
        lax.reduce(X, 0.0, lambda x, y: (x, y), (0,))
    with pytest.raises(StructureError, match="reduce: .*the initial values"):
        lax.reduce([X], 0.0, lax.add, (0,))
    with pytest.raises(DtypeError, match=r"takes f32\[\] and f32\[\] but returns i32\[\]"):
        lax.reduce(X, 0.0, lambda x, y: lax.convert_element_type(x, int), (0,))
    with pytest.raises(ShapeError, match=r"reduce: the computation .* but returns f32\[1\]"):
        lax.reduce(X, 0.0, lambda x, y: jnp.stack([x + y]), (0,))
    with pytest.raises(ShapeError, match="reduce: axis 2 of an array with 2 axes"):
        lax.reduce(X, 0.0, lax.add, (2,))
    with pytest.raises(ArgumentError, match="reduce: no arrays are given"):
        lax.reduce([], [], lambda x, y: x, (0,))


# -- composite -------------------------------------------------------------------------------------


def scaled(module, jnp):
    return module.composite(lambda x, y, *, by, mode=None: {"z": jnp.sin(x) * by + y}, "our.scaled",
                            version=2)


def test_composite():
    mine, expected = both(lambda m, n: scaled(m, n)(X, 2 * X, by=3.0)["z"])
    assert_same(mine, expected, 1e-5)
    f = lambda x: scaled(lax, jnp)(x, x * x, by=3.0)["z"]
    assert_same(jit(grad(lambda x: f(x).sum()))(X), 3 * np.cos(X) + 2 * X, 1e-4)
    assert_same(vmap(f)(M), f(M), 1e-5)


def test_composites_are_printed_as_one_operation():
    f = lambda x: scaled(lax, jnp)(x, x, by=3.0, mode=None)["z"]
    text = jit(f).lower(jnp.asarray(X)).as_text()
    assert 'stablehlo.composite "our.scaled"' in text and "version = 2 : i32" in text
    assert "composite_attributes = {by = 3.000000e+00 : f64}" in text


def test_settings_of_composites():
    f = lax.composite(lambda x, **settings: x, "our.same")
    settings = {"n": 3, "half": np.float32(0.5), "word": "a", "yes": True, "no": np.False_,
                "list": [1, 2.5], "array": np.arange(3)}
    text = jit(lambda x: f(x, **settings)).lower(jnp.asarray(X)).as_text()
    for part in ("n = 3 : i64", "half = 5.000000e-01 : f32", 'word = "a"', "yes = true",
                 "no = false", "list = [1 : i64, 2.500000e+00 : f64]",
                 "array = dense<[0, 1, 2]> : tensor<3xi64>"):
        assert part in text
    with pytest.raises(ArgumentError, match="composite: the setting key is an object"):
        f(X, key=object())
    with pytest.raises(TraceError, match="composite: the function uses a traced"):
        jit(lambda s: lax.composite(lambda x: x * s, "our.scaled")(X))(2.0)


# -- scatter_apply and scatter_sub -----------------------------------------------------------------


@pytest.mark.parametrize("mode", ["clip", "drop"])
def test_scatters(mode):
    indices = np.int32([[2], [0], [9], [2]])
    def apply(m, _):
        numbers_ = m.ScatterDimensionNumbers((1,), (0,), (0,))
        return m.scatter_apply(X, indices, lambda x: x * 2 + 1, numbers_, update_shape=(4, 4),
                               mode=mode)
    assert_same(*both(apply), 1e-5)
    def subtract(m, _):
        numbers_ = m.ScatterDimensionNumbers((1,), (0,), (0,))
        return m.scatter_sub(X, indices, numbers((4, 4), seed=3), numbers_, mode=mode)
    assert_same(*both(subtract), 1e-5)

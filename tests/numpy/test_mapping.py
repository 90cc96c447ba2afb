"""vectorize and its kin against NumPy's; files and text."""

import io

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib.errors import ArgumentError, ShapeError

RNG = np.random.default_rng(0)


def data(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def equal(found, wanted):
    np.testing.assert_allclose(np.asarray(found), wanted, 1e-5)
    assert np.shape(found) == np.shape(wanted)


@pytest.mark.parametrize("signature, function, shapes", [
    ("(n),(n)->()", lambda x, y: (x * y).sum(), [(4, 3), (5, 1, 3)]),
    ("(m,n),(n)->(m)", lambda a, x: a @ x, [(2, 3), (1, 4, 3)]),
    ("(m,n),(n,p)->(m,p)", lambda a, b: a @ b, [(5, 1, 2, 3), (4, 3, 6)]),
    ("(),()->()", lambda x, y: x - y, [(3, 1), (1, 2)]),
    ("(n)->(n),()", lambda x: (2 * x, x.sum()), [(2, 1, 3)]),
    ("(n)->(k)", lambda x: x[:2], [(1, 1, 3)]),
    ("(n)->()", lambda x: x.sum(), [(3,)])], ids=lambda x: x if isinstance(x, str) else "")
def test_vectorize_with_a_signature(signature, function, shapes):
    args = [data(*shape) for shape in shapes]
    wanted = np.vectorize(function, signature=signature)(*args)
    for f in (lambda g: g, arraylib.jit):
        found = f(jnp.vectorize(function, signature=signature))(*args)
        several = isinstance(wanted, tuple)
        for x, y in zip(found, wanted, strict=True) if several else [(found, wanted)]:
            equal(x, y)


def test_vectorize_without_a_signature():
    clipped = jnp.vectorize(lambda x, low, mode="hard": jnp.maximum(x, low), excluded={"mode"})
    x, low = data(3, 1), data(2)
    equal(clipped(x, low, mode="hard"), np.maximum(x, low))
    equal(clipped(x, low=low), np.maximum(x, low))
    power = jnp.vectorize(lambda x, n: x ** n, excluded={1})
    equal(power(x, 3), x ** 3)
    assert clipped.__name__ == "<lambda>"


def test_vectorize_refuses():
    dot = jnp.vectorize(jnp.dot, signature="(n),(n)->()")
    with pytest.raises(ShapeError, match="axis n is 4 in argument 1 but 3 before"):
        dot(data(2, 3), data(4))
    with pytest.raises(ShapeError, match="argument 1 has 0 axes, but the signature names 1"):
        dot(data(3), 1.0)
    with pytest.raises(ArgumentError, match="has 2 arguments, the call 1"):
        dot(data(3))
    with pytest.raises(ShapeError, match=r"result 0 has shape \(\), but the signature says \(n\)"):
        jnp.vectorize(jnp.sum, signature="(n)->(n)")(data(3))
    with pytest.raises(ArgumentError, match="is not a signature"):
        jnp.vectorize(jnp.sum, signature="(n->()")


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_apply_along_axis(axis):
    x = data(2, 3, 4)
    for function in (np.sum, lambda v: v[:2], lambda v: v[:, None] * v[None, :2]):
        equal(jnp.apply_along_axis(lambda v, f=function: f(v) if f is not np.sum else v.sum(),
                                   axis, x), np.apply_along_axis(function, axis, x))
    with pytest.raises(ShapeError, match="apply_along_axis"):
        jnp.apply_along_axis(jnp.sum, 3, x)


def test_apply_over_axes():
    x = data(2, 3, 4)
    equal(jnp.apply_over_axes(jnp.sum, x, [0, 2]), np.apply_over_axes(np.sum, x, [0, 2]))
    equal(jnp.apply_over_axes(jnp.cumsum, x, 1), np.cumsum(x, 1))


def test_piecewise():
    x = np.linspace(-2, 2, 9, dtype=np.float32)
    cases = [([x < 0, x > 1], [lambda v: -v, 10, lambda v: v + 1]), ([x < 0], [5.0]),
             ([x < 1, x < 0], [1, lambda v, a: v * a]), (x > 0, [lambda v: 2 * v])]
    for conditions, functions in cases[:2] + cases[3:]:
        equal(jnp.piecewise(x, conditions, functions), np.piecewise(x, conditions, functions))
    equal(jnp.piecewise(x, *[cases[2][0], [1, lambda v, a: v * a]], a=3),
          np.piecewise(x, cases[2][0], [lambda v, a: 1, lambda v, a: v * a], a=3))
    with pytest.raises(ArgumentError, match="3 functions for 1 conditions"):
        jnp.piecewise(x, [x < 0], [1, 2, 3])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "bool", "complex64", "int8"])
def test_files(dtype):
    x, file = jnp.array([[0, 1], [2, 3]], dtype), io.BytesIO()
    jnp.save(file, x)
    file.seek(0)
    found = jnp.load(file)
    assert isinstance(found, arraylib.Array) and found.dtype == x.dtype
    np.testing.assert_array_equal(np.asarray(found), np.asarray(x))


def test_files_of_several():
    file = io.BytesIO()
    jnp.savez(file, jnp.arange(3), w=jnp.ones(2))
    file.seek(0)
    found = jnp.load(file)
    assert found["arr_0"].tolist() == [0, 1, 2] and found["w"].tolist() == [1, 1]


def test_text():
    x = jnp.array([1.23456789, 2])
    assert jnp.array_repr(x) == repr(x) and jnp.array_str(x, precision=2) == "[1.23 2.  ]"
    with jnp.printoptions(precision=1):
        assert repr(x) == "Array([1.2, 2. ], dtype=float32)"

"""Functions of arrays outside of jit: native code gives the same bits at every call."""

import inspect
import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import arraylib
import arraylib.numpy as jnp
from arraylib import grad, jit, vmap
from arraylib.backends.cpu.calls.layout import RAW
from arraylib.config import config
from arraylib.errors import ArraylibError, DonatedError
from arraylib.tracing.operation import Operation
from arraylib.tracing.operations import EXACT, INEXACT

UNARY = ("sqrt", "square", "absolute", "floor", "ceil", "trunc", "rint", "negative", "reciprocal",
         "isnan", "isinf", "isfinite", "logical_not", "invert")
SPECIAL = [0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e-42, 3e38, 7.0, 2.5, -3.0, 0.3, -0.7]
DTYPES = ["float32", "float64", "int32", "uint8", "bool", "float16", "bfloat16", "complex64"]
SHAPES = [(), (1,), (5,), (0, 3), (3, 50), (2100,)]


def values(dtype, shape):
    with np.errstate(all="ignore"):
        return jnp.array(np.resize(SPECIAL, shape).astype(jnp.dtype(dtype)), dtype)


def bits(x):
    data = np.asarray(x)
    return np.where(data != data, np.ones_like(data), data).tobytes()


def outcome(function, *args):
    """The result, or the class of the error."""
    try:
        return function(*args)
    except (TypeError, ArraylibError) as error:
        return type(error)


@pytest.mark.parametrize("name", INEXACT)
def test_every_call_gives_the_bits_of_compiled_code(name):
    function = getattr(jnp, name)
    for dtype in ("float32", "int32"):
        for shape in SHAPES[1:]:
            x = values(dtype, shape)
            first = function(x)
            assert first.dtype == np.float32 and first.shape == shape
            for _ in range(20):
                assert bits(function(x)) == bits(first)
            assert bits(function(np.asarray(x))) == bits(first)
            parts = [function(x.reshape(-1)[i:i + 1]) for i in range(min(x.size, 9))]
            assert b"".join(map(bits, parts)) == bits(first.reshape(-1)[:9])
        x = values("float32", (14,))
        with np.errstate(all="ignore"):
            true = getattr(np, name)(np.asarray(x).astype(np.float64))
        np.testing.assert_allclose(np.asarray(function(x)), true.astype(np.float32), 1e-6, 1e-7)


@given(st.sampled_from(INEXACT), st.sampled_from(DTYPES), st.sampled_from(SHAPES))
@settings(deadline=None, max_examples=40)
def test_dtypes_and_shapes(name, dtype, shape):
    function, x = getattr(jnp, name), values(dtype, shape)
    with config.using(backend="reference"):
        expected = outcome(function, x)
    found = outcome(function, x)
    if isinstance(expected, type):
        assert found is expected
        return
    assert found.dtype == expected.dtype and found.shape == expected.shape
    wide = np.complex128 if dtype == "complex64" else np.float64
    tolerance = {"float16": 2e-3, "bfloat16": 2e-2, "float64": 1e-12}.get(dtype, 2e-6)
    np.testing.assert_allclose(np.asarray(found).astype(wide), np.asarray(expected).astype(wide),
                               tolerance, tolerance)


@given(st.sampled_from(UNARY), st.sampled_from(DTYPES), st.sampled_from(SHAPES))
@settings(deadline=None, max_examples=60)
def test_functions_that_are_rounded_correctly(name, dtype, shape):
    function, x = getattr(jnp, name), values(dtype, shape)
    with config.using(jit=False):
        expected = outcome(function, x)
    for _ in range(18):
        found = outcome(function, x)
    if isinstance(expected, type):
        assert found is expected
    else:
        assert found.dtype == expected.dtype and bits(found) == bits(expected)


@given(st.sampled_from(sorted({*EXACT} - {*UNARY})), st.sampled_from(DTYPES),
       st.sampled_from([(), (5,), (3, 50)]), st.sampled_from([None, 2, 2.5, True, -1]),
       st.booleans())
@settings(deadline=None, max_examples=60)
def test_functions_of_two(name, dtype, shape, number, turned):
    function, x = getattr(jnp, name), values(dtype, shape)
    other = values(dtype, shape[::-1] if turned and number is None else shape) \
        if number is None else number
    args = (other, x) if turned else (x, other)
    with config.using(jit=False):
        expected = outcome(function, *args)
    for _ in range(18):
        found = outcome(function, *args)
    if isinstance(expected, type):
        assert found is expected
    else:
        assert found.dtype == expected.dtype and found.shape == expected.shape
        assert bits(found) == bits(expected)


def test_operands_of_different_dtypes():
    for a, b in (("int32", "float32"), ("float32", "int32"), ("float16", "float32"),
                 ("bool", "int32"), ("uint8", "int32")):
        x, y = values(a, (6,)), values(b, (6,))
        with config.using(jit=False):
            expected = jnp.add(x, y)
        for _ in range(18):
            found = jnp.add(x, y)
        assert found.dtype == expected.dtype and bits(found) == bits(expected)


def test_functions_in_transforms_and_under_settings():
    x = jnp.arange(4.0)
    for _ in range(3):
        assert bits(jit(jnp.exp)(x)) == bits(jnp.exp(x))
        np.testing.assert_allclose(np.asarray(vmap(jnp.exp)(x)), np.asarray(jnp.exp(x)), 3e-7)
        assert float(grad(jnp.exp)(0.0)) == 1 and float(jnp.exp(0.0)) == 1
        with config.using(backend="reference"):
            assert bits(jnp.exp(x)) == bits(np.exp(np.asarray(x)))
        with config.using(default_bits=64):
            assert jnp.exp(jnp.arange(3)).dtype == np.float64
        with config.using(native_calls=False):
            assert bits(jnp.exp(x)) == bits(jit(jnp.exp)(x))
    assert str(arraylib.make_graph(jnp.exp)(x)).count("exponential") == 1


def test_functions_are_like_functions():
    operations = {each for each in vars(jnp).values() if isinstance(each, Operation)}
    assert len(operations) >= len(INEXACT)
    for each in operations:
        assert pickle.loads(pickle.dumps(each)) is each
    assert list(inspect.signature(jnp.exp).parameters) == ["x", "out"]
    assert "e to the x" in inspect.getdoc(jnp.exp) and jnp.exp.__name__ == "exp"
    assert jnp.acos is jnp.arccos
    for wrong in (lambda: jnp.exp(), lambda: jnp.exp(1.0, 2.0, 3.0), lambda: jnp.exp("text"),
                  lambda: jnp.exp(jnp.ones(2), out=jnp.ones(2)), lambda: jnp.exp([1.0, 2.0])):
        with pytest.raises(TypeError):
            wrong()


def test_deleted_arrays_are_refused():
    for _ in range(3):
        x = jnp.arange(3.0) + 1
        jnp.exp(x)
        x.delete()
        with pytest.raises(DonatedError):
            jnp.exp(x)


@pytest.mark.skipif(not RAW, reason="calls stay in Python here")
def test_native_code_serves_them(monkeypatch):
    x = jnp.arange(7.0)
    jnp.exp(x)
    monkeypatch.setattr(Operation, "_compiled", lambda self, *args: 1 / 0)
    monkeypatch.setattr(Operation, "_count", lambda self, *args: 1 / 0)
    assert float(jnp.exp(x)[0]) == 1

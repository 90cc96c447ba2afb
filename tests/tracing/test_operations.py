"""Operators outside of jit: native code gives what Python gives, for all operands and lengths."""

import operator

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import arraylib
import arraylib.numpy as jnp
from arraylib import jit, lax
from arraylib.backends.cpu.calls.layout import RAW
from arraylib.backends.cpu.spans import BIG, SMALL
from arraylib.config import config
from arraylib.tracing import eager as eager_module
from arraylib.tracing.operation import Operation

BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.eq, operator.ne,
          operator.lt, operator.le, operator.gt, operator.ge]
BITS = [operator.and_, operator.or_, operator.xor]
DTYPES = ["float32", "float64", "int32", "int64", "int8", "uint16", "uint32", "bool", "float16",
          "bfloat16", "complex64"]
SPECIAL = [0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e-42, 3e38, 7.0, 2.5, -3.0]
LENGTHS = [0, 1, 3, SMALL - 1, SMALL, SMALL + 1, BIG, BIG + SMALL + 5, 3 * BIG - 1]


def values(dtype, shape, seed=0):
    size = int(np.prod(shape))
    with np.errstate(all="ignore"):
        return jnp.array(np.resize(np.roll(SPECIAL, seed), size).reshape(shape)
                         .astype(jnp.dtype(dtype)), dtype)


def same(found, expected):
    """Equal to the last bit, but for the bits of a nan."""
    assert found.dtype == expected.dtype and found.shape == expected.shape
    a, b = np.asarray(found), np.asarray(expected)
    nan = a != a
    np.testing.assert_array_equal(nan, b != b)
    assert np.where(nan, np.ones_like(a), a).tobytes() == np.where(nan, np.ones_like(b),
                                                                   b).tobytes()


def expected_of(op, *operands):
    with config.using(native_calls=False):
        return op(*operands)


def often(op, *operands):
    """The result after so many uses that native code gives it, if it ever does."""
    for _ in range(18):
        found = op(*operands)
    return found


@given(st.sampled_from(BINARY), st.sampled_from(DTYPES), st.sampled_from([(3,), (2, 5), ()]),
       st.sampled_from([0, 1, 2]), st.integers(0, 11))
@settings(deadline=None, max_examples=60)
def test_operators_on_arrays(op, dtype, shape, scalar, seed):
    x, y = values(dtype, shape), values(dtype, shape, seed)
    x, y = (values(dtype, ()) if scalar == 1 else x), (values(dtype, ()) if scalar == 2 else y)
    try:
        expected = expected_of(op, x, y)
    except TypeError as error:
        with pytest.raises(type(error)):
            often(op, x, y)
        return
    same(often(op, x, y), expected)


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@given(st.sampled_from(BINARY + BITS), st.sampled_from(DTYPES), st.booleans(),
       st.sampled_from([1, 0, -3, True, 2**24 + 1, 2**31 - 1, -2**31, 2**31, 2**53 + 1, 2**70,
                        0.5, -0.0, 1e-45, 1e39, float("nan"), float("inf"), 1j]))
@settings(deadline=None, max_examples=150)
def test_operators_on_numbers(op, dtype, reflected, number):
    x = values(dtype, (5,))
    operands = (number, x) if reflected else (x, number)
    try:
        expected = expected_of(op, *operands)
    except (TypeError, OverflowError) as error:
        with pytest.raises(type(error)):
            often(op, *operands)
        return
    same(often(op, *operands), expected)


def test_another_number_of_the_same_class():
    x = jnp.arange(4, dtype="int32")
    often(operator.add, x, 1)
    same(x + 5, jnp.array([5, 6, 7, 8]))
    with pytest.raises(OverflowError):
        x + 2**31
    same(x + True, jnp.array([1, 2, 3, 4]))
    same(x + 0.5, jnp.array([0.5, 1.5, 2.5, 3.5]))


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("dtype", ["float32", "int32", "float64", "bool", "uint16"])
def test_all_lengths(length, dtype):
    x, y = values(dtype, (length,)), values(dtype, (length,), 5)
    same(often(operator.eq, x, y), expected_of(operator.eq, x, y))
    same(often(operator.truediv, x, y), expected_of(operator.truediv, x, y))


@pytest.mark.skipif(not RAW, reason="calls stay in Python here")
def test_operators_leave_python(monkeypatch):
    x, y = jnp.arange(4.0), jnp.ones((3, 2))
    often(operator.add, x, 1), often(operator.add, x, x), often(operator.mul, 2.0, x)
    often(operator.neg, y)

    def refuse(*args):
        raise AssertionError("the operator went through Python")

    for operation in ("add", "mul", "rmul", "neg"):
        monkeypatch.setattr(arraylib.Array.__dict__[f"__{operation}__"], "otherwise", refuse)
    same(x + 1, jnp.array([1.0, 2.0, 3.0, 4.0]))
    same(x + 3, jnp.array([3.0, 4.0, 5.0, 6.0]))
    same(x + x, jnp.array([0.0, 2.0, 4.0, 6.0]))
    same(4.0 * x, jnp.array([0.0, 4.0, 8.0, 12.0]))
    same(-y, -np.asarray(y))
    with pytest.raises(AssertionError, match="went through Python"):
        x + y[0, 0]


def test_tracers_and_strangers():
    x = jnp.arange(3.0)
    often(operator.add, x, x)
    same(jit(lambda y: x + y)(x), x + x)
    same(jit(lambda y: (x + x) + y)(x), x + x + x)
    same(arraylib.vmap(lambda y: x + y)(jnp.ones((2, 3)))[1], x + 1)
    assert float(arraylib.grad(lambda y: (x * y).sum())(x)[2]) == 2.0
    with pytest.raises(TypeError):
        x + "text"
    with pytest.raises(TypeError):
        x + None

    class Stranger:
        def __radd__(self, other):
            return "mine"

    assert x + Stranger() == "mine"
    same(np.arange(3.0, dtype="float32") + x, x + x)
    assert {"add": 1}.get("add") == 1 and (x == x).all()
    gone = x + 1
    gone.delete()
    with pytest.raises(arraylib.errors.DonatedError):
        gone + 1


def test_settings_are_seen():
    x = jnp.arange(3.0)
    often(operator.add, x, 2)
    with config.using(backend="reference"):
        same(often(operator.add, x, 2), jnp.array([2.0, 3.0, 4.0]))
    same(often(operator.add, x, 2), jnp.array([2.0, 3.0, 4.0]))


@pytest.mark.skipif(not RAW, reason="operators are plain functions here")
def test_operators_are_methods():
    assert isinstance(arraylib.Array.__add__, Operation)
    x = jnp.arange(2.0)
    assert x.__add__(1).tolist() == [1.0, 2.0] == arraylib.Array.__add__(x, 1).tolist()
    assert arraylib.Array.__add__.__name__ == "method" or "add" in arraylib.Array.__add__.__name__


LARGE = (3, 50_021)  # on several threads, with a rest
MANY = {
    "exp": lambda x: jnp.exp(x), "number": lambda x: 2.5 - x, "compare": lambda x: x < 0.5,
    "convert": lambda x: x.astype("int32"), "clip": lambda x: lax.clamp(-0.5, x, 0.5),
    "select": lambda x: jnp.where(x > 0, x, -x), "integers": lambda x: x.astype("int8") // 3,
    "scalar": lambda x: x * x[0, 0], "complex": lambda x: x + 1j,
}


@pytest.mark.parametrize("name", MANY)
def test_large_arrays_of_any_shape_share_a_program(name, monkeypatch):
    x = jnp.array(np.random.default_rng(0).normal(size=LARGE), "float32")
    with config.using(backend="reference"):
        expected = MANY[name](x)
    found, other = MANY[name](x), jnp.array(np.asarray(x)[:, 1:40_000])
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=2e-6)

    def refuse(graph, *_):
        raise AssertionError(f"compiled for one shape: {graph.input_types}")

    monkeypatch.setattr(eager_module, "compile_graph", refuse)
    if name not in ("scalar", "clip", "complex"):  # they do something of their shape as well
        found = MANY[name](other)
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected)[:, 1:40_000], rtol=2e-6)


def test_memory_of_numpy_at_any_address():
    data = np.arange(200_001, dtype=np.float32)
    for start in (0, 1, 3):
        x = arraylib.Array.from_numpy(data[start:])
        np.testing.assert_array_equal(np.asarray(often(operator.add, x, x)), 2 * data[start:])

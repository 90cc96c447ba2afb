"""Elementwise functions agree with JAX's in value and dtype."""

import math

import numpy as np
import pytest
from agreement import BFLOAT16, agree, assert_same, numbers

import arraylib
import arraylib.numpy as jnp
from arraylib import jit
from arraylib.config import config
from arraylib.errors import ArgumentError, DtypeError, IntegerOverflowError, ShapeError
from arraylib.test_util import check_grads

UNARY = {  # name: (dtypes, low, high)
    "abs": ("?bBihfe,bf,F", -3, 3), "negative": ("biBfF", -3, 3), "sign": ("bif", -3, 3),
    "square": ("ifF", -3, 3), "reciprocal": ("if", 1, 3), "fabs": ("if", -3, 3),
    "positive": ("if", -3, 3),
    "exp": ("?ife,bf,F", -3, 3), "exp2": ("if", -3, 3), "expm1": ("if", -3, 3),
    "log": ("ife,bf", 1, 5), "log2": ("if", 1, 5), "log10": ("if", 1, 5), "log1p": ("if", 0, 5),
    "sqrt": ("?if", 0, 5), "cbrt": ("if", -5, 5), "sin": ("ife", -3, 3), "cos": ("if", -3, 3),
    "tan": ("f", -1, 1), "arcsin": ("f", -0.9, 0.9), "arccos": ("f", -0.9, 0.9),
    "arctan": ("if", -3, 3), "sinh": ("f", -3, 3), "cosh": ("f", -3, 3), "tanh": ("ife", -3, 3),
    "arcsinh": ("f", -3, 3), "arccosh": ("f", 1.1, 3), "arctanh": ("f", -0.9, 0.9),
    "deg2rad": ("if", -90, 90), "rad2deg": ("if", -3, 3), "sinc": ("if", -3, 3),
    "floor": ("if,bf", -3, 3), "ceil": ("if", -3, 3), "rint": ("if", -3, 3),
    "trunc": ("if", -3, 3), "round": ("ifF", -3, 3),
    "logical_not": ("?if", -1, 1), "invert": ("?iB", -3, 3), "bitwise_count": ("iB", -9, 9),
    "isnan": ("ifF", -3, 3), "isinf": ("ifF", -3, 3), "isfinite": ("ifF", -3, 3),
    "signbit": ("fe", -3, 3), "nan_to_num": ("ifF", -3, 3), "real": ("ifF", -3, 3),
    "imag": ("ifF", -3, 3), "conj": ("fF", -3, 3), "angle": ("fF", -3, 3),
    "isreal": ("fF", -1, 1), "iscomplex": ("fF", -1, 1),
}
BINARY = {
    "add": "?ifF", "subtract": "ifF", "multiply": "?ifF", "divide": "iBf", "maximum": "?if",
    "minimum": "?if", "floor_divide": "iBf", "mod": "iBf", "fmod": "if", "divmod": "if",
    "logaddexp": "if", "logaddexp2": "f", "arctan2": "if", "hypot": "if",
    "equal": "?ifF", "not_equal": "ifF", "less": "?if", "less_equal": "if", "greater": "if",
    "greater_equal": "if", "logical_and": "?if", "logical_or": "if", "logical_xor": "if",
    "bitwise_and": "?iB", "bitwise_or": "iB", "bitwise_xor": "iB", "copysign": "if",
    "nextafter": "f", "fmax": "f", "fmin": "f", "heaviside": "f", "float_power": "B",
}


def _codes(spec):
    for part in spec.split(","):
        if part == "bf":
            yield BFLOAT16
        else:
            yield from map(np.dtype, part)


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    spec, low, high = UNARY[name]
    for dtype in _codes(spec):
        agree(name, numbers((3, 4), dtype, low=low, high=high))


@pytest.mark.parametrize("name", BINARY)
def test_binary(name):
    for dtype in _codes(BINARY[name]):
        x, y = numbers((3, 4), dtype, 1), numbers((4,), dtype, 2)
        if name in ("divide", "floor_divide", "mod", "fmod", "divmod") and dtype.kind in "iu":
            y = np.where(y == 0, 2, y).astype(dtype)
        agree(name, x, y)
        agree(name, x, x)


SPECIAL = np.float32([0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 2.5, -2.5])


@pytest.mark.parametrize("name", ["isnan", "isinf", "isfinite", "isposinf", "isneginf", "signbit",
                                  "nan_to_num", "sign", "round", "trunc", "floor", "ceil", "abs"])
def test_special_values(name):
    agree(name, SPECIAL)


@pytest.mark.parametrize("name", ["maximum", "minimum", "fmax", "fmin", "logaddexp", "nextafter",
                                  "copysign", "heaviside", "less", "equal", "hypot"])
def test_special_pairs(name):
    agree(name, SPECIAL[:, None], SPECIAL[None, :])


SCALARS = [2, -1, 0, 0.5, True, 1.5 + 2j]


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.uint8, np.int32, np.float16, BFLOAT16,
                                   np.float32, np.complex64])
def test_python_numbers_are_weak(dtype):
    x = numbers((5,), dtype)
    for scalar in SCALARS:
        if np.dtype(dtype) == np.uint8 and scalar == -1:
            continue
        agree("add", x, scalar)
        agree("multiply", scalar, x)


def test_copysign_is_no_weaker_than_its_signs():
    weak, strong = jnp.asarray(2.0), jnp.float32([-1.0])
    assert jnp.copysign(weak, weak).weak_type and not jnp.copysign(weak, strong).weak_type
    assert (jnp.copysign(2.0, strong) * jnp.float16(1)).dtype == "float32"


def test_zero_keeps_its_sign():
    x = np.float32([1.0])
    assert np.signbit(np.asarray(jnp.multiply(x, -0.0)))
    assert not np.signbit(np.asarray(jnp.multiply(x, 0.0)))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 8, -1, -2, 0.5, 2.0, -1.5])
def test_power(n):
    agree("power", numbers((6,), low=0.5), n, rtol=1e-5)


def test_power_of_arrays():
    agree("power", numbers((6,), np.int32, low=-3), 3)
    agree("power", numbers((6,), low=0.5), numbers((6,), np.int32, 1), rtol=1e-5)
    agree("power", 2, numbers((6,)), rtol=1e-5)
    with pytest.raises(ArgumentError, match="power -1 is a fraction"):
        jnp.power(np.int32([1, 2]), -1)


@pytest.mark.parametrize("decimals", [1, 2, -1])
def test_round_to_decimals(decimals):
    agree("round", numbers((9,), low=-30, high=30), decimals)


def test_clip_isclose():
    x = numbers((9,))
    agree("clip", x, -1, 1.5)
    agree("clip", x, None, numbers((9,), seed=4))
    agree("clip", numbers((9,), np.int32), 0, 2)
    agree("isclose", SPECIAL, SPECIAL + np.float32(1e-7))
    agree("isclose", SPECIAL, SPECIAL, equal_nan=True)
    agree("isclose", np.int32([1, 2]), np.int32([1, 3]))


def test_modf():
    assert_same(jnp.modf(SPECIAL), list(np.modf(SPECIAL)))


def test_shifts():
    x, n = np.int32([-9, 5, 1 << 30]), np.int32([1, 2, 3])
    agree("left_shift", x, n)
    agree("right_shift", x, n)
    agree("right_shift", x.astype(np.uint32), n.astype(np.uint32))


def test_derivatives_of_sinc_at_0():
    f = jnp.sinc
    for value in (0, -math.pi ** 2 / 3, 0, math.pi ** 4 / 5):
        f = arraylib.grad(f)
        assert math.isclose(float(f(0.0)), value, rel_tol=1e-5)


def test_hypot_does_not_overflow():
    assert math.isclose(float(jnp.hypot(3e30, 4e30)), 5e30, rel_tol=1e-6)


def test_mistakes():
    x = np.zeros((3, 4), np.float32)
    with pytest.raises(ShapeError, match=r"add: shapes do not broadcast: axis -1 is 4 in operand 0 "
                                         r"but 5 in operand 1\n  at test_elementwise.py"):
        jnp.add(x, np.zeros((3, 5), np.float32))
    with pytest.raises(DtypeError, match="bitwise_and: takes bool, signed integers, unsigned "
                                         "integers, not float32"):
        jnp.bitwise_and(x, x)
    with pytest.raises(DtypeError, match="add: a list is neither an array nor a number"):
        jnp.add(x, [1, 2])
    with pytest.raises(IntegerOverflowError, match="300 does not fit int8"):
        jnp.add(np.int8([1]), 300)
    with pytest.raises(IntegerOverflowError, match="does not fit int32"):
        jnp.add(2 ** 40, 1)
    with pytest.raises(ArgumentError, match="out= is given"):
        jnp.exp(x, out=x)

# Zeros of both signs, infinities and nan in both operands: what C, Python and NumPy say of them.
_ODD = np.array([0.0, -0.0, 1, -1, 2.5, -6, np.inf, -np.inf, np.nan, 1e-40, 3e38], np.float32)


@pytest.mark.parametrize("name", ["floor_divide", "mod", "fmod"])
def test_quotients_and_remainders_keep_the_signs_of_zero(name):
    x, y = (v.ravel() for v in np.meshgrid(_ODD, _ODD))
    with np.errstate(all="ignore"):
        wanted = getattr(np, name)(x, y)
        if name == "floor_divide":  # the array API standard has more to say of infinities
            wanted = np.where(np.isinf(x) | np.isinf(y), x / y, wanted)
    function = getattr(jnp, name)
    for found in map(np.asarray, (function(x, y), arraylib.jit(lambda x, y: function(x, y))(x, y))):
        assert np.array_equal(found, wanted, equal_nan=True)
        numbers = ~np.isnan(wanted)
        assert np.array_equal(np.signbit(found[numbers]), np.signbit(wanted[numbers]))


def test_remainders_have_derivatives_where_they_are_zero():
    assert arraylib.grad(lambda x: jnp.mod(x, -2.0))(4.0) == 1
    assert arraylib.grad(lambda y: jnp.mod(4.0, y))(2.0) == -2
    assert arraylib.grad(lambda x: x // 2.0)(4.0) == 0


@pytest.mark.parametrize("x, y", [(np.inf, 2), (1, np.inf), (1, -np.inf), (1, 0), (7, 2), (-7, 2)])
def test_the_slope_of_a_quotient_rounded_down_is_0(x, y):
    slopes = arraylib.jit(arraylib.grad(jnp.floor_divide, (0, 1)))(jnp.float32(x), jnp.float32(y))
    assert slopes == (0, 0)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_rounding_to_more_decimals_than_numbers_have(dtype):
    """10 ** decimals is no number of the dtype, or of Python: what is rounded stays one."""
    with config.using(default_bits=64):
        x = jnp.array([1.5, -2.25, 0.0, np.inf, np.nan], dtype)
        for decimals in (309, 400):
            np.testing.assert_array_equal(jnp.round(x, decimals), x)
            found = np.asarray(jnp.round(x, -decimals))
            np.testing.assert_array_equal(found, [0, 0, 0, np.inf, np.nan])
            assert np.signbit(found[1])


def test_logarithms_of_sums_of_complex_powers():
    rng = np.random.default_rng(3)
    x, y = (rng.normal(size=9) * 2 + 1j * rng.normal(size=9) * 2 for _ in range(2))
    for name, power, log in (("logaddexp", np.exp, np.log), ("logaddexp2", np.exp2, np.log2)):
        found = jit(getattr(jnp, name))(jnp.array(x, "complex128"), jnp.array(y, "complex128"))
        np.testing.assert_allclose(found, log(power(x) + power(y)), rtol=1e-12)
    far = jnp.logaddexp(jnp.array([800 + 3j, -np.inf]), jnp.array([1 + 2j, 1 + 1j]))
    np.testing.assert_allclose(far, [800 + 3j, 1 + 1j], rtol=1e-6)
    check_grads(jnp.logaddexp, (jnp.array(x, "complex128"), jnp.array(y, "complex128")), 1)


def test_extremes_of_complex_numbers_but_nan():
    x = np.array([1j, np.nan, 2 + 1j, 1 - 1j], np.complex64)
    y = np.array([2, 3j, complex(0, np.nan), 1], np.complex64)
    for name in ("fmax", "fmin"):
        np.testing.assert_array_equal(getattr(jnp, name)(x, y), getattr(np, name)(x, y))

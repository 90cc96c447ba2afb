"""Special numbers: nan, infinities, -0, denormals, integers at their limits, division by 0."""

import jax
import jax.numpy as theirs
import ml_dtypes
import numpy as np
import pytest

import arraylib
import arraylib.numpy as ours
from arraylib.config import config

FLOATS = (0, -0.0, 1, -1, 0.5, 1.5, -2.5, 3, 7.5, 100, -100, 3e4, 1e30, -1e30, np.inf, -np.inf,
          np.nan)
DTYPES = ("bool", "int8", "uint8", "int32", "uint32", "int64", "uint64", "float16", "bfloat16",
          "float32", "float64")
TOLERANCE = {"float16": 2e-3, "bfloat16": 1.6e-2, "float64": 1e-12}

UNARY = ("abs negative sign floor ceil trunc rint sqrt cbrt exp expm1 log log1p sin tan arcsin "
         "arctan cosh tanh arccosh arctanh reciprocal isnan signbit nan_to_num invert logical_not "
         "bitwise_count").split()
BINARY = ("add subtract multiply divide floor_divide mod fmod maximum minimum fmax arctan2 hypot "
          "logaddexp copysign equal less greater_equal logical_xor bitwise_and left_shift "
          "right_shift").split()
ORDERS = ("sort", "argsort", "max", "argmax", "min", "argmin", "nanmax", "nanargmin", "any")
# JAX takes -0 for 0, or refuses.
DIFFERENT = {("fmax", "float16"), ("invert", "float16"), ("negative", "bool"),
             ("subtract", "bool"), ("fmod", "bool"), ("bitwise_count", "bool")}


def special(dtype):
    """Every number worth a look."""
    if dtype == "bool":
        return np.array([True, False])
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        wanted = {limits.min, limits.min + 1, -7, -1, 0, 1, 2, 7, 31, 64, limits.max - 1,
                  limits.max}
        return np.array(sorted(n for n in wanted if limits.min <= n <= limits.max), kind)
    with np.errstate(over="ignore"):
        return np.array(FLOATS).astype(kind)


def wide(x):
    x = np.asarray(x)
    return x.astype(np.float64) if x.dtype.kind in "fV" else x


def assert_agree(program, *arrays, bits=32):
    """`program`, of jnp and arrays, gives the same compiled, at once, interpreted and by JAX."""
    with config.using(default_bits=bits, cache=False):
        xs = [arraylib.Array(x, x.dtype) for x in arrays]
        compiled = arraylib.jit(lambda *xs: program(ours, *xs))(*xs)
        eager = program(ours, *xs)
        with config.using(backend="reference"):
            interpreted = arraylib.jit(lambda *xs: program(ours, *xs))(*xs)
    with jax.enable_x64(bits == 64):
        expected = jax.jit(lambda *xs: program(theirs, *xs))(*map(theirs.asarray, arrays))
    for i, wanted in enumerate(expected):
        for found in (compiled[i], eager[i], interpreted[i]):
            assert str(found.dtype) == str(wanted.dtype), i
            np.testing.assert_allclose(wide(found), wide(wanted), err_msg=f"result {i}",
                                       rtol=TOLERANCE.get(str(wanted.dtype), 4e-6), atol=1e-37)


def taken(names, dtype, count):
    """The functions that JAX has for this dtype."""
    struct = jax.ShapeDtypeStruct((3,), dtype)
    found = []
    for name in names:
        try:
            with jax.enable_x64(True):
                jax.eval_shape(getattr(theirs, name), *[struct] * count)
        except TypeError:
            continue
        if (name, dtype) not in DIFFERENT:
            found.append(name)
    return found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_elementwise(dtype):
    x, bits = special(dtype), 64 if "64" in dtype else 32
    pairs = [np.ascontiguousarray(a.ravel()) for a in np.meshgrid(x, x)]
    unary, binary = taken(UNARY, dtype, 1), taken(BINARY, dtype, 2)
    assert len(unary) > 5 and len(binary) > 10
    whole = np.dtype(x.dtype).kind in "biu"
    if "floor_divide" in binary:  # what x // 0 is of integers, nobody says; inf // x JAX says alone
        binary.remove("floor_divide")
        some = pairs[1] != 0 if whole else ~(np.isinf(wide(pairs[0])) | np.isinf(wide(pairs[1])))
        assert_agree(lambda m, x, y: [m.floor_divide(x, y)], *[a[some] for a in pairs], bits=bits)
    assert_agree(lambda m, x: [getattr(m, name)(x) for name in unary], x, bits=bits)
    assert_agree(lambda m, x, y: [getattr(m, name)(x, y) for name in binary], *pairs, bits=bits)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_conversion(dtype):
    assert_agree(lambda m, x: [x.astype(to) for to in DTYPES], special(dtype), bits=64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_order(dtype):
    """nan is largest to sort and last; max and argmax give the first nan."""
    x = special(dtype)
    rng = np.random.default_rng(0)
    rows = np.stack([rng.permutation(np.concatenate([x, x])) for _ in range(3)])
    bits = 64 if "64" in dtype else 32
    assert_agree(lambda m, x: [getattr(m, name)(x, axis=a) for name in ORDERS for a in (0, 1)],
                 rows, bits=bits)
    if dtype != "bool":
        assert_agree(lambda m, x: [m.clip(x, x[:, :1], x[:, 1:2]),
                                   m.searchsorted(m.sort(x[0]), x).astype("int32")],
                     rows, bits=bits)

"""Functions that take axes away agree with JAX's."""

import numpy as np
import pytest
from agreement import BFLOAT16, agree, numbers

import arraylib.numpy as jnp
from arraylib.config import config
from arraylib.errors import DtypeError, ShapeError

DTYPES = [np.bool_, np.int8, np.uint8, np.int32, np.float16, BFLOAT16, np.float32, np.complex64]
AXES = [None, 0, -1, (0, 2), ()]


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "var", "std", "max", "min", "any", "all",
                                  "count_nonzero", "ptp"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(name, dtype):
    if dtype == np.complex64 and name in ("max", "min", "ptp"):
        return
    if name == "ptp" and dtype == np.bool_:
        return
    x = numbers((2, 3, 4), dtype, low=-1.5, high=1.5)
    agree(name, x, rtol=1e-2 if dtype in (BFLOAT16, np.float16) else 1e-5)
    agree(name, x, -1, rtol=1e-2 if dtype in (BFLOAT16, np.float16) else 1e-5)


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "var", "std", "max", "min", "any", "all",
                                  "nansum", "nanmean", "nanmax", "nanvar"])
@pytest.mark.parametrize("axis", AXES)
def test_axes(name, axis):
    x = numbers((2, 3, 4))
    agree(name, x, axis, rtol=1e-5)
    agree(name, x, axis=axis, keepdims=True, rtol=1e-5)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_places(name, axis):
    for dtype in (np.int32, np.float32, np.bool_):
        x = numbers((3, 4), dtype)
        agree(name, x, axis)
        agree(name, x, axis, keepdims=True)
    agree(name, np.float32([1, np.nan, 3, np.nan]))


def test_where_initial_dtype():
    x, mask = numbers((3, 4)), numbers((4,), np.bool_, 3)
    for name in ("sum", "prod", "mean", "var", "std"):
        agree(name, x, 0, where=mask[None], rtol=1e-5)
        agree(name, x, where=mask, rtol=1e-5)
    agree("max", x, 0, where=mask, initial=-9.0)
    agree("sum", x, initial=2.0, rtol=1e-5)
    agree("sum", numbers((3,), np.int32), dtype=np.float32)
    agree("mean", x, dtype=np.float16, rtol=1e-2)
    agree("var", x, ddof=1, rtol=1e-5)
    agree("std", x, 0, correction=1, rtol=1e-5)
    agree("any", x, 0, where=mask)
    agree("max", np.zeros((0, 3), np.float32), 0, initial=1.0)


def test_nan():
    x = numbers((3, 4))
    x[0, 1] = x[2] = np.nan
    for name in ("nansum", "nanprod", "nanmean", "nanmax", "nanmin", "nanvar", "nanstd"):
        agree(name, x, 1, rtol=1e-5)
        agree(name, x, rtol=1e-5)
    agree("nanargmax", x, 1)
    agree("nanargmin", x, 1)
    agree("max", x, 1)
    agree("nansum", numbers((3,), np.int32))


def test_average():
    x, w = numbers((3, 4)), numbers((4,), low=0.1)
    agree("average", x, rtol=1e-5)
    agree("average", x, 1, weights=w, rtol=1e-5)
    agree("average", x, 1, weights=w, returned=True, rtol=1e-5, atol=1e-5)


def test_equality():
    x = numbers((3,))
    agree("array_equal", x, x)
    agree("array_equal", x, x[:2])
    agree("allclose", x, x + np.float32(1e-7))
    agree("array_equiv", x, np.stack([x, x]))
    agree("array_equal", np.float32([np.nan]), np.float32([np.nan]), equal_nan=True)


def test_half_types_are_averaged_in_float32():
    x = np.full(70000, 1.0, np.float16)
    assert float(jnp.mean(x)) == 1.0


def test_default_width():
    with config.using(default_bits=64):
        assert np.asarray(jnp.sum(np.int64([1 << 40, 1]))) == (1 << 40) + 1
        assert np.asarray(jnp.mean(np.float64([0.1, 0.2]))).dtype == np.float64
    assert np.asarray(jnp.mean(np.float64([0.1, 0.2]))).dtype == np.float32


def test_mistakes():
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(ShapeError, match=r"sum: axis 2 of an array with 2 axes\n  at .*\n  try: an "
                                         r"axis from -2 to 1"):
        jnp.sum(x, 2)
    with pytest.raises(ShapeError, match="an axis is named twice"):
        jnp.sum(x, (0, -2))
    with pytest.raises(ShapeError, match="max: no elements are left"):
        jnp.max(np.zeros((0,), np.float32))
    with pytest.raises(DtypeError, match="max: takes bool"):
        jnp.max(np.complex64([1]))
    with pytest.raises(ShapeError, match="weights of shape"):
        jnp.average(x, 0, weights=np.ones(5, np.float32))

"""Functions that take axes away agree with JAX's."""

import numpy as np
import pytest
from agreement import BFLOAT16, agree, numbers

import arraylib.numpy as jnp
from arraylib import grad, jit
from arraylib.config import config
from arraylib.errors import ArgumentError, DtypeError, ShapeError

DTYPES = [np.bool_, np.int8, np.uint8, np.int32, np.float16, BFLOAT16, np.float32, np.complex64]
AXES = [None, 0, -1, (0, 2), ()]


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "var", "std", "max", "min", "any", "all",
                                  "count_nonzero", "ptp"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(name, dtype):
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


def test_complex_numbers_have_the_order_of_their_parts():
    x = np.complex64([[1 + 2j, 1 - 3j, 1 + 2j], [-1, -1 - 0.5j, complex(0, -np.inf)]])
    for name in ("max", "min"):
        agree(name, x)
        agree(name, x, 1, keepdims=True)
        agree(name, x, 0, where=np.abs(x) < 3, initial=np.complex64(0.5))
    assert np.isnan(jnp.max(np.complex64([1, complex(0, np.nan)])))
    assert np.isnan(jnp.maximum(np.complex64(1), np.complex64(complex(0, np.nan))))
    for name in ("less", "less_equal", "greater", "greater_equal", "maximum", "minimum"):
        agree(name, x, x[:, ::-1].copy())
        agree(name, x, np.float32(1))
    agree("rint", np.complex64([1.5 - 2.5j, 0.75 + 0.5j]))


def test_weights_for_several_axes():
    x, w = numbers((2, 3, 4)), numbers((4, 2), seed=1, low=0.5, high=2)
    np.testing.assert_allclose(jnp.average(x, (2, 0), w), np.average(x, (2, 0), w), rtol=1e-5)
    counts, importance = np.int32([1, 3, 0, 2]), np.float32([0.5, 1, 2, 0.25])
    for options in ({"fweights": counts}, {"aweights": importance},
                    {"fweights": counts, "aweights": importance, "ddof": 2}):
        np.testing.assert_allclose(jnp.cov(x[0], **options), np.cov(x[0], **options), rtol=1e-4)
    assert np.isnan(jnp.cov(x[0, :, :0])).all() and np.isnan(jnp.cov(x[0, :, :1])).all()
    assert jnp.cov(x[0], dtype=BFLOAT16).dtype == BFLOAT16
    with pytest.raises(ShapeError, match="fweights are i32"):
        jnp.cov(x[0], fweights=counts[:2])
    with pytest.raises(DtypeError, match="fweights are integers"):
        jnp.cov(x[0], fweights=importance)


def test_variance_of_fewer_elements_than_the_divisor_needs():
    for size in range(3):
        for ddof in (size, size + 1):
            assert np.isnan(jnp.var(np.arange(size, dtype=np.float32), ddof=ddof))
            assert np.isnan(jnp.std(np.ones(3, np.float32), ddof=ddof, where=np.arange(3) < size))
    x = numbers((3, 4))
    agree("var", x, 1, mean=x.mean(1, keepdims=True), rtol=1e-5)
    by_less = jit(lambda less, where: jnp.var(x, 1, correction=less, where=where))
    np.testing.assert_allclose(by_less(1, None), np.var(x, 1, ddof=1), 1e-5)
    assert np.isnan(by_less(4.0, x < 9)).all()


def test_what_is_left_out_has_no_derivative():
    x = np.float32([np.nan, 1, 2, 3, 4])
    np.testing.assert_allclose(grad(jnp.nanvar)(x), [0, -0.75, -0.25, 0.25, 0.75], rtol=1e-6)
    assert np.isfinite(grad(jnp.nanstd)(x)).all()
    for name in ("nanmax", "nanmin"):
        agree(name, x, initial=2.5)
        agree(name, x, initial=2.5, where=np.arange(5) < 2)


def test_integers_that_keep_their_dtype():
    x = np.uint8([200, 100])
    assert jnp.sum(x, promote_integers=False) == 44
    assert jnp.prod(x, promote_integers=False).dtype == np.uint8
    assert jnp.sum(x > 150, promote_integers=False).dtype == np.int32


def test_mistakes():
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(ShapeError, match=r"sum: axis 2 of an array with 2 axes\n  at .*\n  try: an "
                                         r"axis from -2 to 1"):
        jnp.sum(x, 2)
    with pytest.raises(ShapeError, match="an axis is named twice"):
        jnp.sum(x, (0, -2))
    with pytest.raises(ShapeError, match="max: no elements are left"):
        jnp.max(np.zeros((0,), np.float32))
    with pytest.raises(ShapeError, match=r"sum: initial= has the shape \(3,\)"):
        jnp.sum(x, initial=np.ones(3, np.float32))
    with pytest.raises(ArgumentError, match="max: where= has int32, not truth values"):
        jnp.max(x, where=np.ones(3, np.int32), initial=0)
    with pytest.raises(ArgumentError, match="one thing by two names"):
        jnp.std(x, ddof=1, correction=0)
    with pytest.raises(ShapeError, match="weights of shape"):
        jnp.average(x, 0, weights=np.ones(5, np.float32))


def test_reductions_in_truth_values():
    x = np.array([[True, False], [True, True], [False, False]])
    for name in ("sum", "prod"):
        for function in (getattr(jnp, name), jit(getattr(jnp, name), static_argnames=("dtype",
                                                                                     "axis"))):
            found = function(jnp.array(x), axis=1, dtype="bool")
            assert found.dtype == "bool"
            np.testing.assert_array_equal(found, getattr(np, name)(x, axis=1, dtype=bool))
    for name, initial in (("max", 1), ("min", 0), ("max", False)):
        found = getattr(jnp, name)(jnp.array(x), axis=1, initial=initial)
        assert found.dtype == "bool"
        np.testing.assert_array_equal(found, getattr(np, name)(x, axis=1, initial=initial))

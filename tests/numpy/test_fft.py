"""Fourier transforms agree with JAX's and NumPy's, and so do their derivatives."""

import jax
import jax.numpy as theirs
import numpy as np
import pytest
from agreement import BFLOAT16, agree, assert_same, numbers

import arraylib.numpy as jnp
from arraylib import grad, jit, vmap
from arraylib.errors import ArgumentError, DtypeError, ShapeError

REAL, COMPLEX = numbers((3, 4, 5)), numbers((3, 4, 5), np.complex64)
ONE = ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]
SEVERAL = ["fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn"]


def data(name):
    return REAL if name.startswith(("rfft", "ihfft")) else COMPLEX


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("n, axis, norm", [
    (None, -1, None), (7, 1, "ortho"), (3, -1, "forward"), (6, 0, "backward"), (1, 2, None)])
def test_one_axis(name, n, axis, norm):
    agree(f"fft.{name}", data(name), n, axis, norm, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("options", [
    {}, {"s": (3, 6), "axes": (2, 0)}, {"s": (4, 3), "norm": "ortho", "axes": (-1, 1)},
    {"norm": "forward", "axes": (1, 2)}], ids=["plain", "sizes", "ortho", "forward"])
def test_several_axes(name, options):
    agree(f"fft.{name}", data(name), rtol=1e-5, atol=1e-4, **options)


@pytest.mark.parametrize("dtype", [np.int32, np.bool_, np.float32, np.complex64])
def test_dtypes(dtype):
    for name in ("fft", "irfft", "hfft", *(["rfft", "ihfft"] if dtype != np.complex64 else [])):
        agree(f"fft.{name}", numbers((4, 5), dtype), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float16, BFLOAT16])
def test_halves_are_transformed_in_float32(dtype):
    x = numbers((4, 6), dtype)
    for name in ("fft", "rfft", "irfft"):
        assert_same(getattr(jnp.fft, name)(x), getattr(jnp.fft, name)(x.astype(np.float32)))


def test_doubles():
    x = jnp.array(REAL, "float64")
    for name in ("fft", "rfft", "ihfft", "fftn", "rfft2"):
        expected = getattr(np.fft, name)(REAL.astype(np.float64))
        assert_same(getattr(jnp.fft, name)(x), expected, 1e-12, 1e-12)


@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn"])
def test_more_than_three_axes(name):
    """More than one operation transforms."""
    x = numbers((2, 3, 4, 2, 3), np.float32 if name == "rfftn" else np.complex64)
    for options in ({}, {"axes": (4, 0, 1, 2), "s": (4, 3, 2, 5), "norm": "ortho"}):
        expected = getattr(np.fft, name)(x, **options)
        assert_same(getattr(jnp.fft, name)(x, **options), expected, 1e-4, 1e-4, dtype=False)


def test_frequencies_and_shifts():
    for n in (1, 6, 7):
        agree("fft.fftfreq", n)
        agree("fft.fftfreq", n, 0.1, dtype=np.float16)
        agree("fft.rfftfreq", n, d=np.float32(2.5))
    for axes in (None, 1, (0, -1)):
        agree("fft.fftshift", REAL, axes)
        agree("fft.ifftshift", REAL, axes)
    assert_same(jnp.fft.ifftshift(jnp.fft.fftshift(jnp.asarray(REAL))), REAL)


FUNCTIONS = {
    "fft": lambda m, x: m.abs(m.fft.fft(x, 7)) ** 2,
    "rfft": lambda m, x: m.fft.rfft(x, axis=1, norm="ortho").imag ** 3,
    "irfft": lambda m, x: m.fft.irfft(x + 1j * x ** 2, 6) ** 2,
    "hfft": lambda m, x: m.fft.hfft(x * (2 + 1j)) ** 2,
    "convolution": lambda m, x: m.fft.irfft2(m.fft.rfft2(x) * m.fft.rfft2(x[::-1]), (4, 5)) ** 2,
    "shift": lambda m, x: m.fft.fftshift(m.fft.ifftn(x)).real ** 2}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_transforms(name):
    mine, expected = (lambda x, m=m: FUNCTIONS[name](m, x).sum() for m in (jnp, theirs))
    x = REAL[0]
    assert_same(jit(grad(mine))(x), jax.grad(expected)(x), 1e-4, 1e-4)
    rows = np.stack([np.asarray(mine(v)) for v in REAL])
    assert_same(jit(vmap(mine))(REAL), rows, 1e-4)


@pytest.mark.parametrize("call, error, message", [
    (lambda: jnp.fft.rfft(COMPLEX), DtypeError, "rfft: takes real numbers, not complex64"),
    (lambda: jnp.fft.fft(REAL, axis=3), ShapeError, "fft: axis 3 of an array with 3 axes"),
    (lambda: jnp.fft.fft(REAL, 0), ShapeError, r"fft: lengths \(0,\) must be positive"),
    (lambda: jnp.fft.irfft(COMPLEX[..., :1]), ShapeError, r"irfft: lengths \(0,\)"),
    (lambda: jnp.fft.fft2(REAL, (4,)), ShapeError, "fft2: 1 lengths for 2 axes"),
    (lambda: jnp.fft.fftn(REAL, (4,) * 4), ShapeError, "fftn: 4 lengths for 3 axes"),
    (lambda: jnp.fft.fftn(REAL, axes=(1, 1)), ShapeError, "fftn: an axis is named twice"),
    (lambda: jnp.fft.fftn(REAL, axes=()), ShapeError, "fftn: no axes to transform"),
    (lambda: jnp.fft.ihfft(REAL, norm="half"), ArgumentError, "ihfft: norm = 'half'"),
    (lambda: jnp.fft.fftfreq(0), ArgumentError, "fftfreq: n = 0"),
    (lambda: jnp.fft.fftfreq(4, [1.0, 2.0]), ArgumentError, "fftfreq: d ="),
    (lambda: jnp.fft.rfftfreq(2.5), ArgumentError, r"rfftfreq: n = 2\.5")])
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_no_elements_have_no_spectrum():
    for x in (jnp.zeros(0), jnp.zeros((3, 0), "complex64")):
        for function in (jnp.fft.fft, jit(jnp.fft.fftn)):
            assert function(x).shape == x.shape and function(x).dtype == "complex64"
    with pytest.raises(ArgumentError, match="norm"):
        jnp.fft.fft(jnp.zeros(0), norm="half")

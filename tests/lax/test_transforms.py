"""Fourier transforms, random bits and linear algebra of lax agree with JAX's."""

import jax
import jax.lax as theirs
import numpy as np
import pytest
from agreement import BFLOAT16, assert_same, numbers

import arraylib.numpy as jnp
from arraylib import grad, jit, lax, vmap
from arraylib.errors import ArgumentError, DtypeError, ShapeError

X, COMPLEX = numbers((2, 3, 4)), numbers((2, 3, 4), np.complex64)


@pytest.mark.parametrize("x, kind, lengths", [
    (X, "FFT", (4,)), (COMPLEX, "ifft", (3, 4)), (X, "RFFT", (2, 3, 4)), (COMPLEX, "IRFFT", (3, 6)),
    (np.int32(X), "RFFT", (4,)), (np.int32(X), "IFFT", ()), (COMPLEX, "IRFFT", (7,))])
def test_fft(x, kind, lengths):
    expected = theirs.fft(x, kind.upper(), lengths)
    assert_same(lax.fft(x, kind, lengths), expected, 1e-5, 1e-5)
    assert_same(lax.fft(x, lax.FftType[kind.upper()], lengths), expected, 1e-5, 1e-5)


def test_mistakes_with_fft():
    with pytest.raises(ArgumentError, match="fft: fft_type = 'DCT'"):
        lax.fft(X, "DCT", (4,))
    with pytest.raises(DtypeError, match="fft: takes real numbers, not complex64"):
        lax.fft(COMPLEX, "RFFT", (4,))
    with pytest.raises(ShapeError, match=r"fft: FFT of lengths \(5,\) takes last axes"):
        lax.fft(X, "FFT", (5,))


@pytest.mark.parametrize("algorithm", theirs.RandomAlgorithm)
@pytest.mark.parametrize("shape, dtype", [((3, 5), np.uint32), ((), np.uint8), ((7,), np.uint16)])
def test_bits(algorithm, shape, dtype):
    key = np.uint32([1, 2, 2**32 - 1, 4])
    mine = lax.rng_bit_generator(key, shape, dtype, lax.RandomAlgorithm[algorithm.name])
    assert_same(mine, theirs.rng_bit_generator(key, shape, dtype, algorithm))


def test_keys_of_bits():
    wide = jnp.array([7, 2**40], "uint64")
    after, bits = lax.rng_bit_generator(wide, (5,), "uint64")
    narrow = np.asarray(wide).view(np.uint32)
    after32, bits32 = lax.rng_bit_generator(narrow, (5,), "uint64")
    assert_same(bits, bits32)
    assert_same(np.asarray(after).view(np.uint32), after32)
    keys = np.arange(12, dtype=np.uint32).reshape(3, 4)
    rows = [lax.rng_bit_generator(k, (3,))[1] for k in keys]
    assert_same(jit(vmap(lambda k: lax.rng_bit_generator(k, (3,))[1]))(keys), jnp.stack(rows))
    for key, options, error, message in (
            (narrow, {"dtype": np.int32}, DtypeError, "there are no bits as int32"),
            (narrow, {"algorithm": 7}, ArgumentError, "algorithm = 7"),
            (narrow[:3], {}, ShapeError, r"a key of shape \(3,\) in uint32"),
            (X, {}, DtypeError, "the state is float32")):
        with pytest.raises(error, match=f"rng_bit_generator: {message}"):
            lax.rng_bit_generator(key, (3,), **options)


# -- linear algebra --------------------------------------------------------------------------------


def positive(shape, dtype=np.float32):
    a = numbers(shape, dtype)
    return (a @ a.conj().swapaxes(-1, -2) + 2 * np.eye(shape[-1])).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
@pytest.mark.parametrize("symmetrize", [True, False])
def test_cholesky(dtype, symmetrize):
    a = positive((2, 3, 3), dtype)
    a[0, 0, 2] += 0.25
    assert_same(lax.linalg.cholesky(a, symmetrize_input=symmetrize),
                theirs.linalg.cholesky(a, symmetrize_input=symmetrize), 1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
@pytest.mark.parametrize("left_side", [True, False])
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("transpose_a, conjugate_a, unit_diagonal", [
    (False, False, False), (True, False, True), (True, True, False), (False, True, False)])
def test_triangular_solve(dtype, left_side, lower, transpose_a, conjugate_a, unit_diagonal):
    a = positive((2, 3, 3), dtype) / 8
    options = {"left_side": left_side, "lower": lower, "transpose_a": transpose_a,
               "conjugate_a": conjugate_a, "unit_diagonal": unit_diagonal}
    for b in (numbers((2, 3, 4) if left_side else (2, 4, 3), dtype), numbers((2, 3), dtype)):
        assert_same(lax.linalg.triangular_solve(a, b, **options),
                    theirs.linalg.triangular_solve(a, b, **options), 1e-4, 1e-4)


def test_transforms_of_linear_algebra():
    a, b = positive((3, 3)), numbers((3, 2))

    def loss(module):
        def f(a, b):
            factor = module.linalg.cholesky(a)
            x = module.linalg.triangular_solve(factor, b, left_side=True, lower=True)
            return (x ** 3).sum() + factor[1, 0] ** 2
        return f

    assert_same(jit(grad(loss(lax), (0, 1)))(a, b), jax.grad(loss(theirs), (0, 1))(a, b), 1e-4)
    many = np.stack([a, a * 2, a + np.eye(3, dtype=np.float32)])
    assert_same(vmap(loss(lax), (0, None))(many, b), jnp.stack([loss(lax)(m, b) for m in many]),
                1e-5)


def test_mistakes_with_matrices():
    with pytest.raises(ShapeError, match="cholesky: .*ends in no square matrix"):
        lax.linalg.cholesky(X)
    with pytest.raises(DtypeError, match="cholesky: operand 0 is int32"):
        lax.linalg.cholesky(np.eye(3, dtype=np.int32), symmetrize_input=False)
    with pytest.raises(ShapeError, match="triangular_solve: a is of size 3, but b has 2 rows"):
        lax.linalg.triangular_solve(positive((3, 3)), numbers((2, 3)), left_side=True)


# -- bits, order and special functions -------------------------------------------------------------


@pytest.mark.parametrize("x, dtype", [
    (X, np.uint8), (X, np.int32), (np.uint8([[1, 2, 3, 4], [5, 6, 7, 8]]), np.float32),
    (np.uint16([1, 2]), np.uint32), (X.astype(BFLOAT16), np.uint8)])
def test_bitcast(x, dtype):
    assert_same(lax.bitcast_convert_type(x, dtype), theirs.bitcast_convert_type(x, dtype))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint8, BFLOAT16, np.bool_])
def test_top_k(axis, dtype):
    x = numbers((3, 5, 4), dtype)
    mine = lax.top_k(x, 2, axis=axis)
    assert_same(mine, theirs.top_k(x, 2, axis=axis))
    assert_same(jit(lambda x: lax.top_k(x, 2, axis=axis))(x), mine)


def test_transforms_of_top_k():
    x = np.float32([[3, np.nan, 1, 3], [-0.0, 0.0, -np.inf, np.inf]])
    assert_same(lax.top_k(x, 3), theirs.top_k(x, 3))
    assert_same(vmap(lambda v: lax.top_k(v, 3))(x), theirs.top_k(x, 3))
    f = lambda module: lambda x: (module.top_k(x, 2, axis=1)[0] ** 3).sum()
    assert_same(grad(f(lax))(jnp.asarray(X)), jax.grad(f(theirs))(X))


POSITIVE, HALVES = numbers((3, 4), low=0.5) + 1, X.astype(BFLOAT16)


@pytest.mark.parametrize("name, args", [
    ("polygamma", (np.floor(POSITIVE), POSITIVE)), ("zeta", (POSITIVE + 1, POSITIVE)),
    ("bessel_i0e", (X,)), ("bessel_i1e", (X,)), ("nextafter", (X, -X)),
    ("mulhi", (np.int32([2**30, -7]), np.int32([9, 2**31 - 1]))),
    ("bessel_i1e", (HALVES,)), ("nextafter", (HALVES, -HALVES))])
def test_elementwise(name, args):
    assert_same(getattr(lax, name)(*args), getattr(theirs, name)(*args),
                None if args[0].dtype == BFLOAT16 else 1e-4)

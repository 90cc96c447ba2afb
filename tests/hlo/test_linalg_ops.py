"""Cholesky factors, triangular systems and Fourier transforms, against XLA and SciPy."""

import itertools

import jax
import numpy as np
import pytest
import scipy.linalg
from xla_text import run_op, tensor

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError
from arraylib.hlo.batch import batch
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Builder, Type, trace_graph, type_of
from arraylib.hlo.ops.linalg import cholesky, fft, triangular_solve
from arraylib.hlo.split import split
from arraylib.tracing.jvp import jvp
from arraylib.tracing.transpose import transpose

INEXACT = [dt.float32, dt.float64, dt.complex64, dt.complex128]


def numbers(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape) if dt.is_complex(dtype) else x).astype(dtype)


def positive(shape, dtype, seed=0):
    """A batch of positive definite matrices."""
    x = numbers(shape, dtype, seed)
    return (x @ np.swapaxes(x, -1, -2).conj() + 2 * np.eye(shape[-1])).astype(dtype)


def run(op, *arrays, **attrs):
    op.result_types([type_of(x) for x in arrays], attrs)
    return op.evaluate(arrays, attrs)[0]


# -- derivatives and batches of a function of arrays -----------------------------------------------


def differentiate(graph, xs, ts):
    """Check tangents by finite differences, and cotangents by the identity of the transpose."""
    with Builder() as builder:
        operands, tangents = builder.inputs_like(graph.inputs), builder.inputs_like(graph.inputs)
        ((out, t_out),) = jvp(graph, operands, tangents)
        forward, _ = builder.build([out, t_out])
    tangent, step = interpret(forward, [*xs, *ts])[1], 1e-6
    ahead, behind = (interpret(graph, [x + s * t for x, t in zip(xs, ts)])[0]
                     for s in (step, -step))
    np.testing.assert_allclose(tangent, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-8)
    part = split(forward, [True] * len(xs) + [False] * len(ts))
    residuals = interpret(part.known, xs)[1:]
    ct = numbers(tangent.shape, tangent.dtype, 9)
    with Builder() as builder:
        known = builder.inputs_like(part.residuals)
        results = transpose(part.unknown, [False] * len(known) + [True] * len(ts),
                            [*known, *[None] * len(ts)], [builder.input(type_of(ct))])
        backward, _ = builder.build(results)
    back = interpret(backward, [*residuals, ct])
    np.testing.assert_allclose(np.real(np.sum(ct * tangent)),
                               np.real(sum(np.sum(b * t) for b, t in zip(back, ts))), rtol=1e-9)


def batches(graph, xs, has, tolerance=1e-12):
    with Builder() as builder:
        pairs = [(builder.input(type_of(x)), h) for x, h in zip(xs, has)]
        ((out, varies),) = batch(graph, pairs, 3)
        assert varies
        whole, _ = builder.build([out])
    (results,) = interpret(whole, xs)
    for i in range(3):
        (one,) = interpret(graph, [x[i] if h else x for x, h in zip(xs, has)])
        np.testing.assert_allclose(results[i], one, rtol=tolerance, atol=tolerance)


# -- cholesky --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("dtype", INEXACT, ids=str)
def test_cholesky_is_that_of_xla(dtype, lower):
    a = positive((2, 5, 5), dtype)
    name = dt.hlo_name(dtype)
    (wanted,) = run_op("stablehlo.cholesky", f"lower = {str(lower).lower()}", [(name, a)],
                       [tensor(name, a.shape)])
    found = run(cholesky, a, lower=lower)
    np.testing.assert_allclose(found, wanted, rtol=100 * dt.finfo(dtype).eps,
                               atol=100 * dt.finfo(dtype).eps)
    assert found.dtype == dtype
    assert np.all((np.triu(found, 1) if lower else np.tril(found, -1)) == 0)


@pytest.mark.parametrize("lower", [True, False])
def test_cholesky_reads_one_triangle(lower):
    a = positive((4, 4), dt.float64)
    spoilt = (np.tril if lower else np.triu)(a) + (np.triu if lower else np.tril)(
        np.full((4, 4), np.nan), 1 if lower else -1)
    assert np.array_equal(run(cholesky, spoilt, lower=lower), run(cholesky, a, lower=lower))


@pytest.mark.parametrize("lower", [True, False])
def test_cholesky_of_what_has_none_is_nan(lower):
    a = positive((3, 2, 2), dt.float32)
    a[1] = [[1, 2], [2, 1]]
    found = run(cholesky, a, lower=lower)
    kept = np.tril(np.ones((2, 2), bool)) if lower else np.triu(np.ones((2, 2), bool))
    assert np.all(np.isnan(found[1][kept])) and np.all(found[1][~kept] == 0)
    assert np.array_equal(found[[0, 2]], run(cholesky, a[[0, 2]], lower=lower))
    assert np.all(np.isnan(run(cholesky, a[1], lower=lower)[kept]))


def test_cholesky_of_halves_and_of_nothing():
    a = positive((3, 3), dt.float32).astype(dt.bfloat16)
    found = run(cholesky, a, lower=True)
    wide = run(cholesky, a.astype(np.float32), lower=True)
    assert np.array_equal(found, wide.astype(dt.bfloat16))
    assert run(cholesky, np.zeros((0, 3, 3)), lower=True).shape == (0, 3, 3)
    assert run(cholesky, np.zeros((2, 0, 0)), lower=True).shape == (2, 0, 0)


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("dtype", [dt.float64, dt.complex128], ids=str)
def test_derivatives_and_batches_of_cholesky(dtype, lower):
    a = positive((2, 3, 3), dtype)
    graph = trace_graph([type_of(a)], lambda x: [cholesky(x, lower=lower)])
    differentiate(graph, [a], [numbers(a.shape, dtype, 1)])
    batches(graph, [positive((3, 2, 3, 3), dtype)], [True])


# -- triangular_solve ------------------------------------------------------------------------------

CHOICES = list(itertools.product([True, False], [True, False], [True, False],
                                 ["NO_TRANSPOSE", "TRANSPOSE", "ADJOINT"]))
NAMES = "left_side", "lower", "unit_diagonal", "transpose_a"


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_triangular_systems_are_those_of_scipy(choice):
    attrs = dict(zip(NAMES, choice))
    for dtype, n in itertools.product(INEXACT, (1, 4, 37)):
        a = numbers((n, n), dtype) + (3 + n) * np.eye(n).astype(dtype)
        b = numbers((n, 3) if attrs["left_side"] else (3, n), dtype, 1)
        found = run(triangular_solve, a, b, **attrs)
        assert found.dtype == dtype and found.flags.c_contiguous
        np.testing.assert_allclose(found, _scipy(a, b, *choice), rtol=1e-4 if n > 4 else 1e-5,
                                   atol=20 * n * dt.finfo(dtype).eps)


def _scipy(a, b, left_side, lower, unit_diagonal, transpose_a):
    """x a = b is solved as a' x' = b'; SciPy has all else."""
    matrix = {"NO_TRANSPOSE": a, "TRANSPOSE": a.T, "ADJOINT": a.conj().T}[transpose_a]
    lower ^= transpose_a != "NO_TRANSPOSE"
    if left_side:
        return scipy.linalg.solve_triangular(matrix, b, lower=lower, unit_diagonal=unit_diagonal)
    return scipy.linalg.solve_triangular(matrix.T, b.T, lower=not lower,
                                         unit_diagonal=unit_diagonal).T


def test_a_singular_triangular_system_is_not_refused():
    a, b = np.array([[2.0, 0.0], [1.0, 0.0]]), np.array([[2.0], [3.0]])
    attrs = dict(zip(NAMES, (True, True, False, "NO_TRANSPOSE")))
    assert np.array_equal(run(triangular_solve, a, b, **attrs), [[1.0], [np.inf]])


@pytest.mark.parametrize("dtype", [dt.float64, dt.complex128], ids=str)
@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_derivatives_and_batches_of_triangular_solve(choice, dtype):
    attrs = dict(zip(NAMES, choice))
    a = numbers((3, 2, 3, 3), dtype) + 4 * np.eye(3)
    b = numbers((3, 2, 3, 2) if attrs["left_side"] else (3, 2, 2, 3), dtype, 1)
    graph = trace_graph([type_of(a[0]), type_of(b[0])],
                        lambda x, y: [triangular_solve(x, y, **attrs)])
    differentiate(graph, [a[0], b[0]],
                  [numbers(a[0].shape, dtype, 2), numbers(b[0].shape, dtype, 3)])
    for has in ((True, True), (False, True), (True, False)):
        batches(graph, [x if h else x[0] for x, h in zip((a, b), has)], has)


# -- fft -------------------------------------------------------------------------------------------

TRANSFORMS = [
    ("FFT", (3, 5), (5,)), ("FFT", (2, 4, 3), (4, 3)), ("FFT", (2, 3, 4), (2, 3, 4)),
    ("IFFT", (3, 5), (5,)), ("IFFT", (2, 4, 3), (4, 3)), ("RFFT", (3, 5), (5,)),
    ("RFFT", (2, 4, 6), (4, 6)), ("IRFFT", (3, 3), (4,)), ("IRFFT", (3, 3), (5,)),
    ("IRFFT", (2, 4, 3), (4, 5)), ("FFT", (2, 0, 3), (3,)), ("RFFT", (0, 4), (4,)),
    ("FFT", (1,), (1,)), ("IRFFT", (2, 1), (1,))]


@pytest.mark.parametrize("wide", [False, True], ids=["single", "double"])
@pytest.mark.parametrize("kind, shape, length", TRANSFORMS, ids=str)
def test_transforms_are_those_of_xla(kind, shape, length, wide):
    dtype = {False: [dt.complex64, dt.float32], True: [dt.complex128, dt.float64]}[wide][
        kind == "RFFT"]
    x = numbers(shape, dtype)
    with jax.enable_x64(True):
        wanted = np.asarray(jax.lax.fft(x, jax.lax.FftType[kind], length))
    found = run(fft, x, fft_type=kind, fft_length=length)
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    assert fft.result_types([type_of(x)], {"fft_type": kind, "fft_length": length}) == (
        type_of(found),)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=20 * dt.finfo(dtype).eps)


def test_a_transform_of_no_numbers():
    x = np.zeros((2, 0), np.complex64)
    assert run(fft, x, fft_type="FFT", fft_length=(0,)).shape == (2, 0)
    assert run(fft, x.real.copy(), fft_type="RFFT", fft_length=(0,)).shape == (2, 0)
    assert run(fft, x, fft_type="IRFFT", fft_length=(0,)).dtype == dt.float32


@pytest.mark.parametrize("kind, shape, length", [t for t in TRANSFORMS if 0 not in t[1]], ids=str)
def test_derivatives_and_batches_of_transforms(kind, shape, length):
    dtype = dt.float64 if kind == "RFFT" else dt.complex128
    x = numbers((3, *shape), dtype)
    graph = trace_graph([type_of(x[0])], lambda v: [fft(v, fft_type=kind, fft_length=length)])
    differentiate(graph, [x[0]], [numbers(shape, dtype, 1)])
    batches(graph, [x], [True])


# -- mistakes --------------------------------------------------------------------------------------

F32, C64, I32 = dt.float32, dt.complex64, dt.int32
SOLVE = dict(zip(NAMES, (True, True, False, "NO_TRANSPOSE")))


@pytest.mark.parametrize("op, types, attrs, error, message", [
    (cholesky, [Type(F32, (3,))], {"lower": True}, ShapeError, r"\(3,\), which ends in no square"),
    (cholesky, [Type(F32, (2, 3))], {"lower": True}, ShapeError, r"\(2, 3\), which ends in no sq"),
    (cholesky, [Type(I32, (3, 3))], {"lower": True}, DtypeError, "operand 0 is int32"),
    (triangular_solve, [Type(F32, (3, 3)), Type(C64, (3, 3))], SOLVE, DtypeError,
     "different dtypes: float32, complex64"),
    (triangular_solve, [Type(F32, (2, 3, 3)), Type(F32, (4, 3, 1))], SOLVE, ShapeError,
     r"batches of shapes \(2,\) and \(4,\)"),
    (triangular_solve, [Type(F32, (3, 3)), Type(F32, (2, 3))], SOLVE, ShapeError,
     "a is of size 3, but b has 2 rows"),
    (triangular_solve, [Type(F32, (3, 3)), Type(F32, (3, 2))], {**SOLVE, "left_side": False},
     ShapeError, "a is of size 3, but b has 2 columns"),
    (triangular_solve, [Type(F32, (3, 3)), Type(F32, (3, 2))], {**SOLVE, "transpose_a": "T"},
     ShapeError, "transpose_a is 'T'"),
    (fft, [Type(F32, (4,))], {"fft_type": "FFT", "fft_length": (4,)}, DtypeError,
     "FFT takes complex64 or complex128, not float32"),
    (fft, [Type(C64, (4,))], {"fft_type": "RFFT", "fft_length": (4,)}, DtypeError,
     "RFFT takes float32 or float64, not complex64"),
    (fft, [Type(C64, (4,))], {"fft_type": "IRFFT", "fft_length": (4,)}, ShapeError,
     r"IRFFT of lengths \(4,\) takes last axes of \(3,\), not \(4,\)"),
    (fft, [Type(C64, (4,))], {"fft_type": "FFT", "fft_length": (2, 2)}, ShapeError,
     "2 lengths for 1 axes"),
    (fft, [Type(C64, (4,))], {"fft_type": "DCT", "fft_length": (4,)}, ShapeError, "'DCT'"),
])
def test_mistakes_are_refused(op, types, attrs, error, message):
    with pytest.raises(error, match=f"{op.name}: .*{message}"):
        op.result_types(types, attrs)

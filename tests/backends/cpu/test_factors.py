"""Factors and systems by native code: against SciPy in float64, for sizes round the blocks'."""

import ctypes
import itertools
from functools import partial

import numpy as np
import pytest
import scipy.linalg

from arraylib import dtypes as dt
from arraylib.backends.cpu import backend, pool, target
from arraylib.backends.cpu.emitter import Function
from arraylib.backends.cpu.gemm.tile import tile_for
from arraylib.backends.cpu.program import write_program
from arraylib.backends.cpu.routines.linalg import (
    eigen as small_eigen,
    rotations,
    singular as small_singular,
)
from arraylib.backends.lower.plan import HostStep
from arraylib.hlo import factors
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops.lapack import PERMUTATION, lapack
from arraylib.hlo.ops.linalg import cholesky, triangular_solve
from arraylib.hlo.passes.lapack import named

DTYPES = ["float32", "float64"]
ACCURACY = {"float32": 1e-5, "float64": 1e-13}
SIZES = [1, 2, 7, 63, 64, 65, 260]


def compiled(op, *arrays, **attrs):
    """What an operation gives when none of it is left to NumPy."""
    types = [Type(x.dtype, x.shape) for x in arrays]
    graph = trace_graph(types, lambda *xs: op(*xs, **attrs) if op.multiple else [op(*xs, **attrs)])
    plan = backend.lowered(graph)
    assert not any(isinstance(step, HostStep) for step in plan.steps)
    found = [np.array(x) for x in backend.build(write_program(plan)).run(arrays)]
    return found if op.multiple else found[0]


@pytest.fixture
def threads():
    """More threads than there may be processors."""
    before = pool.threads()
    pool.set_threads(3)
    yield
    pool.set_threads(before)


def normal(dtype, *shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def positive(dtype, *shape):
    a = normal("float64", *shape, shape[-1])
    return (a @ np.swapaxes(a, -1, -2) / shape[-1] + np.eye(shape[-1])).astype(dtype)


def triangle(dtype, lower, *shape):
    """A triangular matrix that is far from singular, nan in its other half."""
    factor = np.linalg.cholesky(positive("float64", *shape))
    whole = factor if lower else np.swapaxes(factor, -1, -2)
    holds = np.tri(shape[-1], dtype=bool)
    return np.where(holds if lower else holds.T, whole, np.nan).astype(dtype)


def close(found, wanted, dtype):
    assert found.dtype == dt.dtype(dtype)
    np.testing.assert_allclose(found, wanted, rtol=0,
                               atol=ACCURACY[dtype] * max(1.0, np.abs(wanted).max(initial=0)))


# -- cholesky --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_cholesky(dtype, n, threads):
    a = positive(dtype, n)
    for lower in (True, False):
        wanted = scipy.linalg.cholesky(a.astype("float64"), lower=lower)
        half = (np.tril if lower else np.triu)(a) + (np.triu if lower else np.tril)(
            np.full_like(a, np.nan), 1 if lower else -1)
        found = compiled(cholesky, half, lower=lower)
        close(found, wanted, dtype)
        assert not found[~np.tri(n, dtype=bool) if lower else np.tri(n, k=-1, dtype=bool)].any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 9, 64, 130])
@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, -np.inf])
def test_cholesky_of_what_has_none_is_nan(dtype, n, bad):
    """The last pivot decides of one matrix of three, the others are as if alone."""
    a = positive(dtype, 3, n)
    a[1, -1, -1] = bad
    found = compiled(cholesky, a, lower=True)
    assert np.isnan(found[1][np.tri(n, dtype=bool)]).all()
    assert not found[1][~np.tri(n, dtype=bool)].any()
    for i in (0, 2):
        close(found[i], np.linalg.cholesky(a[i].astype("float64")), dtype)


def test_a_pivot_that_is_infinite_is_a_pivot():
    a = np.float32([[np.inf]])
    assert np.array_equal(compiled(cholesky, a, lower=True), a)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(7, 8), (40, 3), (3, 2, 70), (200, 1), (33, 24), (9, 25)])
def test_batches_of_cholesky(dtype, shape, threads):
    """Small ones one in each lane, larger ones one after the other."""
    a = positive(dtype, *shape)
    for lower in (True, False):
        spoilt = np.where(np.tri(shape[-1], dtype=bool).T if lower
                          else np.tri(shape[-1], dtype=bool), np.nan, a).astype(dtype)
        i = np.arange(shape[-1])
        spoilt[..., i, i] = a[..., i, i]
        wanted = np.linalg.cholesky(a.astype("float64"), upper=not lower)
        close(compiled(cholesky, spoilt, lower=lower), wanted, dtype)


def test_one_of_many_small_matrices_has_no_factor():
    a = positive("float32", 40, 6)
    a[17, 3, 3] = -1
    found = compiled(cholesky, a, lower=True)
    assert np.isnan(found[17][np.tri(6, dtype=bool)]).all()
    assert not found[17][~np.tri(6, dtype=bool)].any()
    others = np.arange(40) != 17
    close(found[others], np.linalg.cholesky(a[others].astype("float64")), "float32")


def test_cholesky_does_not_depend_on_the_number_of_threads():
    a, found = positive("float32", 300), []
    before = pool.threads()
    for count in (1, 2, 4):
        pool.set_threads(count)
        found.append(compiled(cholesky, a, lower=True).tobytes())
    pool.set_threads(before)
    assert found[0] == found[1] == found[2]


# -- triangular systems ----------------------------------------------------------------------------

CHOICES = list(itertools.product([True, False], repeat=4))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 17, 64, 140])
def test_triangular_systems(dtype, n, threads):
    """Either side, either triangle, as it is or transposed, with and without a diagonal."""
    for (left, lower, turned, unit), columns in zip(CHOICES, itertools.cycle([1, 3, 33, 70])):
        a = triangle(dtype, lower, n)
        if unit:
            a = a / dt.dtype(dtype).type(n)
            np.fill_diagonal(a, np.nan)
        b = normal(dtype, *((n, columns) if left else (columns, n)))
        found = compiled(triangular_solve, a, b, left_side=left, lower=lower, unit_diagonal=unit,
                         transpose_a="ADJOINT" if turned else "NO_TRANSPOSE")
        close(found, reference(a, b, left, lower, turned, unit), dtype)


def reference(a, b, left, lower, turned, unit):
    a, b = np.nan_to_num(a.astype("float64")), b.astype("float64")
    if left:
        return scipy.linalg.solve_triangular(a, b, trans=int(turned), lower=lower,
                                             unit_diagonal=unit)
    return scipy.linalg.solve_triangular(a.T, b.T, trans=int(turned), lower=not lower,
                                         unit_diagonal=unit).T


@pytest.mark.parametrize("left", [True, False])
def test_batches_of_triangular_systems(left, threads):
    a, b = triangle("float32", True, 6, 20), normal("float32", 6, 20, 20)
    found = compiled(triangular_solve, a, b, left_side=left, lower=True, unit_diagonal=False,
                     transpose_a="NO_TRANSPOSE")
    for x, y, z in zip(a, b, found, strict=True):
        close(z, reference(x, y, left, True, False, False), "float32")


def test_a_zero_on_the_diagonal_divides():
    a, b = np.float32([[1, 0], [1, 0]]), np.float32([[1, 1], [2, 1]])
    found = compiled(triangular_solve, a, b, left_side=True, lower=True, unit_diagonal=False,
                     transpose_a="NO_TRANSPOSE")
    assert np.array_equal(found, [[1, 1], [np.inf, np.nan]], equal_nan=True)


# -- LU --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (33, 33), (64, 64), (140, 140), (150, 40),
                                   (40, 150)])
def test_lu(dtype, shape, threads):
    a, k = normal(dtype, *shape), min(shape)
    factored, pivots, order = compiled(Emitted(factors.lu), a)
    wanted, rows = scipy.linalg.lu_factor(a.astype("float64"))
    assert np.array_equal(pivots, rows)
    low, up = np.tril(factored[:, :k].astype("float64"), -1), np.triu(factored[:k])
    np.fill_diagonal(low, 1)
    assert np.abs(low).max() <= 1
    close((low @ up).astype(dtype), a[order].astype("float64"), dtype)
    assert np.abs(factored - wanted).max() < 1e4 * ACCURACY[dtype]


class Emitted:
    """A function that emits operations, as `compiled` takes it."""

    multiple = True

    def __init__(self, function):
        self.function = function

    def __call__(self, *xs):
        return self.function(*xs)


def test_of_equals_the_first_is_the_pivot_and_nan_is_larger_than_all():
    a = np.float32([[1, 2, 0], [-1, 1, 0], [1, 0, 5]])
    assert compiled(Emitted(factors.lu), a)[1].tolist() == [0, 1, 2]
    a[2, 0] = np.nan
    assert compiled(Emitted(factors.lu), a)[1][0] == 2


def test_a_singular_matrix_has_factors_and_an_infinite_solution():
    a = np.float32([[1, 2], [2, 4]])
    factored, pivots, _ = compiled(Emitted(factors.lu), a)
    assert np.array_equal(factored, [[2, 4], [0.5, 0]]) and pivots.tolist() == [1, 1]
    (x,) = compiled(Emitted(lambda *xs: [factors.solve(*xs)]), a, np.float32([[1], [1]]))
    assert np.array_equal(x, [[-np.inf], [np.inf]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_many_small_systems_are_those_of_one_each(dtype):
    """Factors, pivots, solutions and what is singular, in lanes and alone."""
    a, b = normal(dtype, 37, 6, 6), normal(dtype, 37, 6, 2, seed=1)
    a[5, 3], a[20] = a[5, 1], 0
    gesv = Emitted(lambda a, b: factors._call("gesv", [a, b], (
        Type(a.type.dtype, a.type.shape), Type(dt.int32, a.type.shape[:-1]),
        Type(b.type.dtype, b.type.shape), Type(dt.int32, a.type.shape[:-2]))))
    lu, pivots, x, info = compiled(gesv, a, b)
    assert info[20] == 1 and np.isnan(x[20, :-1]).all()
    for i in [0, 1, 4, 31, 32, 36]:
        alone = compiled(gesv, a[i], b[i])
        assert np.array_equal(alone[1], pivots[i]) and info[i] == alone[3] == 0
        close(lu[i], alone[0].astype("float64"), dtype)
        np.testing.assert_allclose(x[i], alone[2], rtol=1e3 * ACCURACY[dtype], atol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (3, 40, 2), (9, 5, 1), (41, 24, 3), (33, 1, 24),
                                   (70, 130)])
def test_systems(dtype, shape, threads):
    *batch, n, _ = shape
    a, b = normal(dtype, *batch, n, n), normal(dtype, *shape, seed=1)
    a = a + (4 + n) * np.eye(n, dtype=dtype)
    (x,) = compiled(Emitted(lambda *xs: [factors.solve(*xs)]), a, b)
    close(x, np.linalg.solve(a.astype("float64"), b), dtype)


# -- types that a routine does not have -----------------------------------------------------------

f32, i32 = dt.float32, dt.int32


def _typed(dtype, *shape):
    return Type(dtype, shape)


@pytest.mark.parametrize("name, operands, results, settings", [
    ("permutation", [(i32, 4)], [(i32, 3)], {}),
    ("permutation", [(dt.int8, 3)], [(dt.int8, 3)], {}),
    ("permutation", [(f32, 3)], [(i32, 3)], {}),
    ("permutation", [(i32, 3, 3)], [(i32, 2, 3)], {}),
    ("permutation", [(i32,)], [(i32, 3)], {}),
    ("getrf", [(f32, 5, 5)], [(f32, 5, 5), (i32, 4), (i32,)], {}),
    ("getrf", [(f32, 5, 5)], [(f32, 4, 4), (i32, 5), (i32,)], {}),
    ("getrf", [(f32, 5, 5)], [(f32, 5, 5), (dt.int8, 5), (i32,)], {}),
    ("geqrf", [(f32, 5, 3)], [(f32, 5, 3), (f32, 2)], {}),
    ("gesv", [(f32, 5, 5), (f32, 4, 2)], [(f32, 5, 5), (i32, 5), (f32, 4, 2), (i32,)], {}),
    ("gesv", [(f32, 5, 4), (f32, 5, 2)], [(f32, 5, 4), (i32, 5), (f32, 5, 2), (i32,)], {}),
    ("gesv", [(f32, 2, 5, 5), (f32, 1, 5, 2)],
     [(f32, 2, 5, 5), (i32, 2, 5), (f32, 1, 5, 2), (i32, 2)], {}),
    ("orgqr", [(f32, 5, 3), (f32, 4)], [(f32, 5, 3)], {}),
    ("orgqr", [(f32, 5, 1), (f32, 4)], [(f32, 5, 1)], {}),
    ("orgqr", [(f32, 2, 5, 3), (f32, 1, 3)], [(f32, 2, 5, 3)], {}),
    ("orgqr", [(f32, 5, 3), (f32, 3)], [(f32, 5, 2)], {}),
    ("ormqr", [(f32, 5, 3), (f32, 3), (f32, 4, 2)], [(f32, 4, 2)], {"left": 1, "transpose": 0}),
    ("ormqr", [(f32, 5, 3), (f32, 3), (f32, 5, 2)], [(f32, 5, 2)], {"left": 0, "transpose": 0}),
    ("ormqr", [(f32, 2, 5, 3), (f32, 2, 3), (f32, 1, 5, 2)], [(f32, 1, 5, 2)],
     {"left": 1, "transpose": 0}),
    ("syevd", [(f32, 9, 4, 3)], [(f32, 9, 4, 3), (f32, 9, 4), (i32, 9)],
     {"mode": "V", "uplo": "L"}),
    ("syevd", [(f32, 9, 4, 4)], [(f32, 9, 4, 4), (f32, 8, 4), (i32, 9)],
     {"mode": "V", "uplo": "L"}),
    ("gesdd", [(f32, 9, 4, 3)],
     [(f32, 9, 4, 3), (f32, 9, 2), (f32, 9, 4, 3), (f32, 9, 3, 3), (i32, 9)], {"mode": "S"}),
    ("gesdd", [(f32, 9, 4, 3)],
     [(f32, 9, 4, 3), (f32, 9, 3), (f32, 9, 3, 3), (f32, 9, 3, 3), (i32, 9)], {"mode": "S"})],
    ids=str)
def test_a_call_whose_types_do_not_agree_is_an_error(name, operands, results, settings):
    """Programs from elsewhere may state any; native code would read or write past the arrays."""
    operands = [_typed(*x) for x in operands]
    attrs = {"routine": named(name, tuple(settings.items())),
             "results": tuple(_typed(*x) for x in results)}
    plan = backend.lowered(trace_graph(operands, lambda *xs: lapack(*xs, **attrs)))
    assert any(isinstance(step, HostStep) for step in plan.steps)
    program = backend.build(write_program(plan))
    with pytest.raises((AssertionError, IndexError, TypeError, ValueError, np.linalg.LinAlgError)):
        program.run([np.ones(x.shape, x.dtype) for x in operands])


def test_pivots_in_a_program_are_limited_to_rows():
    pivots = np.int32([[8, -2, 3], [0, 2**31 - 1, -2**31]])
    attrs = {"routine": PERMUTATION, "results": (_typed(i32, 2, 5),)}
    wanted = PERMUTATION(attrs["results"], np.int32([[5, 1, 3], [1, 5, 1]]))[0]
    assert np.array_equal(compiled(lapack, pivots, **attrs)[0], wanted)
    assert np.array_equal(PERMUTATION(attrs["results"], pivots)[0], wanted)


# -- QR --------------------------------------------------------------------------------------------

QR_SHAPES = [(1, 1), (5, 5), (1, 7), (7, 1), (33, 33), (64, 64), (65, 40), (40, 150), (300, 17),
             (260, 140), (3, 6, 4), (2, 50, 70)]


def reflected(vectors, tau, c, turned=False):
    """Q c by one reflection after the other, in float64."""
    c = np.array(c, "float64")
    steps = range(tau.shape[-1])
    for i in steps if turned else reversed(steps):
        v = np.where(np.arange(len(c)) > i, vectors[:, i], 0.0)
        v[i] = 1
        c -= float(tau[i]) * np.outer(v, v @ c)
    return c


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", QR_SHAPES)
def test_qr(dtype, shape, threads):
    """The signs are LAPACK's; the product of the reflections is Q."""
    a, k = normal(dtype, *shape), min(shape[-2:])
    factored, tau = compiled(Emitted(factors.reflections), a)
    wanted = np.linalg.qr(a.astype("float64"), mode="raw")
    close(np.triu(factored), np.triu(np.swapaxes(wanted[0], -1, -2)), dtype)
    close(tau, wanted[1], dtype)
    for complete in (False, True):
        q, _ = compiled(Emitted(partial(factors.qr, complete=complete)), a)
        close(q, np.linalg.qr(a.astype("float64"), "complete" if complete else "reduced")[0], dtype)
    if a.ndim == 2:
        close(reflected(factored, tau, np.eye(*shape)[:, :k]).astype(dtype),
              np.linalg.qr(a.astype("float64"))[0], dtype)


def _applied(vectors, tau, c, *, left, turned):
    return factors._call("ormqr", [vectors, tau, c], [c.type], left=left, transpose=turned)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape, columns", [((70, 70), 33), ((9, 4), 1), ((150, 80), 70)])
def test_products_with_reflections(dtype, shape, columns, threads):
    vectors, tau = compiled(Emitted(factors.reflections), normal(dtype, *shape))
    for left, turned in itertools.product([True, False], repeat=2):
        c = normal(dtype, *((shape[0], columns) if left else (columns, shape[0])))
        (found,) = compiled(Emitted(partial(_applied, left=left, turned=turned)), vectors, tau, c)
        wanted = (reflected(vectors, tau, c, turned) if left
                  else reflected(vectors, tau, c.T, not turned).T)
        close(found, wanted, dtype)


@pytest.mark.parametrize("dtype, powers", [
    ("float32", [-126, -80, -30, 40, 63, 120]), ("float64", [-1020, -600, 500, 1010])])
def test_qr_of_columns_whose_squares_are_no_numbers(dtype, powers):
    """A power of two changes R alone; columns of other sizes keep their own accuracy."""
    a = normal(dtype, 20, 6)
    factored, tau = compiled(Emitted(factors.reflections), a)
    for power in powers:
        scaled, factors_of = compiled(Emitted(factors.reflections), np.ldexp(a, power))
        np.testing.assert_allclose(factors_of, tau, rtol=1e-5)
        np.testing.assert_allclose(np.ldexp(np.triu(scaled), -power)[:6], np.triu(factored)[:6],
                                   rtol=1e-4, atol=1e-6)
    sizes = np.resize(powers, 6)
    q = compiled(Emitted(lambda x: factors.qr(x, complete=False)), np.ldexp(a, sizes))[0]
    close(np.abs(q), np.abs(np.linalg.qr(a.astype("float64"))[0]), dtype)


def test_qr_where_there_is_nothing_to_eliminate():
    """Zeros, triangles and tiny rests: factors of 0, as LAPACK has them."""
    for a in (np.zeros((4, 3)), np.triu(normal("float64", 5, 5)), np.eye(40, 33), np.eye(1) * -2,
              np.float64([[1, 1], [1e-30, 1]]), np.float64([[0, 1], [0, 2], [0, 3]])):
        factored, tau = compiled(Emitted(factors.reflections), a.astype("float32"))
        wanted = np.linalg.qr(a.astype("float32"), mode="raw")
        np.testing.assert_allclose(tau, wanted[1], atol=1e-6)
        np.testing.assert_allclose(factored, wanted[0].T, atol=1e-5)
    a = np.eye(3, dtype="float32")
    a[0, 2] = np.inf   # no multiple of it is taken
    assert np.array_equal(compiled(Emitted(factors.reflections), a)[0], a)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_qr_of_what_is_no_number_is_nan(bad):
    a = normal("float32", 3, 50, 40)
    a[1, 3, 0] = bad
    factored, tau = compiled(Emitted(factors.reflections), a)
    assert np.isnan(tau[1]).all() and np.isnan(factored[1, 1:, 1:]).all()
    for i in (0, 2):
        assert np.isfinite(factored[i]).all()


def test_qr_does_not_depend_on_the_number_of_threads():
    a, found = normal("float32", 300, 300), []
    before = pool.threads()
    for count in (1, 2, 4):
        pool.set_threads(count)
        q, r = compiled(Emitted(lambda x: factors.qr(x, complete=False)), a)
        found.append(q.tobytes() + r.tobytes())
    pool.set_threads(before)
    assert found[0] == found[1] == found[2]


# -- eigenvalues -----------------------------------------------------------------------------------


def eigen(a, lower=True):
    v, w = compiled(Emitted(lambda x: factors.eigh(x, lower=lower, vectors=True)), a)
    return w, v


def symmetric(dtype, *shape):
    a = normal("float64", *shape)
    return ((a + np.swapaxes(a, -1, -2)) / 2).astype(dtype)


def has_eigenvalues(a, w, v, dtype):
    """Orthonormal vectors, ascending values, those of NumPy in float64."""
    wide, size = a.astype("float64"), max(1.0, np.abs(a).max(initial=0))
    tolerance = 10 * ACCURACY[dtype] * size
    np.testing.assert_allclose(w, np.linalg.eigvalsh(wide), atol=tolerance, rtol=0)
    np.testing.assert_allclose(wide @ v, v * w[..., None, :].astype("float64"), atol=tolerance,
                               rtol=0)
    eye = np.broadcast_to(np.eye(a.shape[-1]), a.shape)
    np.testing.assert_allclose(np.swapaxes(v, -1, -2) @ v, eye, atol=10 * ACCURACY[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(8, 1), (9, 2), (40, 3), (3, 5, 8), (33, 17), (70, 32)])
def test_eigenvalues_of_many_small_matrices(dtype, shape, threads):
    a = symmetric(dtype, *shape, shape[-1])
    for lower in (True, False):
        given = (np.tril if lower else np.triu)(a)
        other = (np.triu if lower else np.tril)(np.full_like(a, np.nan), 1 if lower else -1)
        w, v = eigen(given + other, lower)
        has_eigenvalues(a, w, v, dtype)


@pytest.mark.parametrize("dtype, powers", [("float32", [-149, -130, -60, 60, 120]),
                                           ("float64", [-1060, -500, 500, 1010])])
def test_eigenvalues_of_matrices_of_every_size(dtype, powers):
    """Zeros, multiples of one, of rank 1, diagonal, with equal values; large and tiny numbers."""
    n, line = 6, normal(dtype, 6)
    a = np.stack([np.zeros((n, n)), np.eye(n) * -3, np.outer(line, line), np.diag(line),
                  np.ones((n, n)), np.kron(np.eye(3), [[0, 1], [1, 0]]), symmetric(dtype, n, n),
                  np.diag([1.0, 1e-12, 1e12, 0, 1, 1]) + 1e-14]).astype(dtype)
    w, v = eigen(a)
    for i in range(len(a)):
        has_eigenvalues(a[i], w[i], v[i], dtype)
    for power in powers:
        scaled, wide = np.ldexp(a[:7], power), np.ldexp(a[:7].astype("float64"), power)
        found = eigen(np.concatenate([scaled, scaled[:1]]))[0][:7]
        smallest = np.finfo(dtype).smallest_subnormal
        np.testing.assert_allclose(found, np.linalg.eigvalsh(wide), rtol=0, atol=max(
            10 * ACCURACY[dtype] * np.abs(wide).max(), 8 * float(smallest)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_eigenvalues_of_what_is_no_number_are_nan(bad):
    a = symmetric("float32", 20, 5, 5)
    a[7, 3, 1] = bad
    w, v = eigen(a)
    assert np.isnan(w[7]).all() and np.isnan(v[7]).all()
    others = np.arange(20) != 7
    has_eigenvalues(np.tril(a[others]) + np.swapaxes(np.tril(a[others], -1), -1, -2), w[others],
                    v[others], "float32")


# -- singular values -------------------------------------------------------------------------------


def singular(a):
    return compiled(Emitted(lambda x: factors.svd(x, full=False, vectors=True)), a)


def has_singular_values(a, u, s, vh, dtype):
    """Orthonormal vectors, descending values, those of NumPy in float64."""
    wide, size = a.astype("float64"), max(1.0, np.abs(a).max(initial=0))
    tolerance = 10 * ACCURACY[dtype] * size
    np.testing.assert_allclose(s, np.linalg.svd(wide, compute_uv=False), atol=tolerance, rtol=0)
    np.testing.assert_allclose(u * s[..., None, :].astype("float64") @ vh, wide, atol=tolerance,
                               rtol=0)
    eye = np.broadcast_to(np.eye(s.shape[-1]), (*s.shape, s.shape[-1]))
    for x in (u, np.swapaxes(vh, -1, -2)):
        np.testing.assert_allclose(np.swapaxes(x, -1, -2).astype("float64") @ x, eye,
                                   atol=10 * ACCURACY[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(8, 1, 1), (9, 2, 2), (40, 5, 3), (3, 5, 3, 8), (33, 17, 17),
                                   (70, 24, 24), (8, 1, 7), (50, 20, 1)])
def test_singular_values_of_many_small_matrices(dtype, shape, threads):
    a = normal(dtype, *shape)
    has_singular_values(a, *singular(a), dtype)


@pytest.mark.parametrize("dtype, powers", [("float32", [-149, -130, -60, 60, 120]),
                                           ("float64", [-1060, -500, 500, 1010])])
@pytest.mark.parametrize("m, n", [(6, 6), (6, 4), (4, 6)])
def test_singular_values_of_matrices_of_every_size(dtype, powers, m, n):
    """Zeros, of every rank, with zero rows and columns, with equal values; large and tiny."""
    some = normal("float64", m, n)
    a = [np.zeros((m, n)), np.eye(m, n) * -3, np.ones((m, n)), np.eye(m, n, k=1),
         some * ([0] + [1] * (n - 1)), some[[0] * m], some[:, :2] @ some[:2],
         np.diag([1e12, 1, 1e-12, 0, 1, 1])[:m, :n]]
    a = np.stack(a).astype(dtype)
    found = singular(a)
    for i in range(len(a)):
        has_singular_values(a[i], *(x[i] for x in found), dtype)
    for power in powers:
        scaled = np.ldexp(a[:7], power).astype(dtype)
        s = singular(np.concatenate([scaled, scaled[:1]]))[1][:7]
        wanted = np.linalg.svd(scaled.astype("float64"), compute_uv=False)
        smallest = float(np.finfo(dtype).smallest_subnormal)
        np.testing.assert_allclose(s, wanted, rtol=0, atol=max(
            10 * ACCURACY[dtype] * wanted.max(), 8 * smallest))


def ill_conditioned(n, dtype):
    """Columns far from one another in size or direction, of low rank, and of tiny numbers."""
    some, line = normal("float64", n, n), np.arange(1, n + 1)
    sizes = [np.float64([1] + [part] * (n - 1)) for part in (1e-6, 1e-8, 1e-10, 1e-12)]
    return {
        "Hilbert": 1 / (line[:, None] + line - 1), "Vandermonde": np.vander(line / n, n),
        **{f"graded {size[-1]}": some * size for size in sizes},
        "graded by steps": some * 10.0 ** -line, "rows": some * sizes[2][:, None],
        "rank 1": np.outer(some[0], some[1]), "rank 2": some[:, :2] @ some[:2],
        "ones": np.ones((n, n)), "tiny": some * (1e-42 if dtype == "float32" else 1e-320)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [5, 6, 12, 24])
def test_singular_vectors_of_small_values_are_orthonormal(dtype, n):
    """Each many times, as matrices side by side are rotated together."""
    matrices = ill_conditioned(n, dtype)
    a = np.stack(list(matrices.values())).astype(dtype)
    found = singular(np.repeat(a[:, None], 64, 1))
    smallest = float(np.finfo(dtype).smallest_subnormal)
    for i, (name, wide) in enumerate(zip(matrices, a.astype("float64"), strict=True)):
        u, s, vh = (x[i, 5].astype("float64") for x in found)
        for x in (u, vh.T):
            np.testing.assert_allclose(x.T @ x, np.eye(n), rtol=0, atol=ACCURACY[dtype],
                                       err_msg=name)
        np.testing.assert_allclose(u * s @ vh, wide, rtol=0, err_msg=name, atol=max(
            ACCURACY[dtype] * np.linalg.norm(wide), 8 * smallest))


def run_lanes(module, tile, name, a, outputs, numbers):
    """Call a function on lanes; its arrays, and which matrices have no result."""
    f = Function(module, "probe", [("ptr", f"p{i}") for i in range(outputs + 2)], internal=False)
    words = [f.const("i64", x) for x in numbers]
    f.call(name, "void", [*f.args[:-1], *words, f.args[-1], f.const("i64", tile.columns)])
    f.ret()
    address = target.link([target.compile_object(module.text())], ["probe"])["probe"]
    arrays = [np.array(a, order="C"), *(np.zeros(a.shape, a.dtype) for _ in range(outputs))]
    info = np.zeros(tile.columns, np.int32)
    pointers = [x.ctypes.data for x in (*arrays, info)]
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(pointers))(address)(*pointers)
    return arrays, info


@pytest.mark.parametrize("module, outputs, values, numbers", [
    (small_eigen, 3, 3, (5, 1)), (small_singular, 5, 2, (5, 5, 0))], ids=["eigen", "singular"])
def test_what_takes_too_many_rounds_is_reported(module, outputs, values, numbers, monkeypatch):
    """Every other matrix is diagonal, so that there is nothing to do."""
    monkeypatch.setattr(rotations, "ROUNDS", 1)
    tile, code = tile_for("f32", target.current()), target.new_module()
    module._define_lanes(code, tile)
    a = np.stack([np.diag(np.float32([5, 4, 3, 2, 1])), symmetric("float32", 5, 5)] * (
        tile.columns // 2))
    arrays, info = run_lanes(code, tile, module.__name__.rpartition(".")[2] + "_lanes",
                             a.reshape(-1, 25).T, outputs, numbers)
    np.testing.assert_array_equal(info, [0, 1] * (tile.columns // 2))
    found = np.sort(arrays[values][:5], 0)
    assert np.isnan(found[:, 1::2]).all()
    np.testing.assert_allclose(found[:, ::2], np.arange(1.0, 6)[:, None] + 0 * found[:, ::2])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_singular_values_of_what_is_no_number_are_nan(bad):
    a = normal("float32", 20, 5, 4)
    a[7, 3, 1] = bad
    found, others = singular(a), np.arange(20) != 7
    assert all(np.isnan(x[7]).all() for x in found)
    has_singular_values(a[others], *(x[others] for x in found), "float32")

"""Transforms by native code, against NumPy's in float64, and what the plan makes of them."""

import platform

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import arraylib
import arraylib.numpy as jnp
from arraylib import dtypes as dt, lax
from arraylib.backends.cpu import backend, libraries, making, pool, target
from arraylib.backends.cpu.fft import factors, tables
from arraylib.backends.cpu.program import write_program
from arraylib.backends.cpu.routines import library
from arraylib.backends.lower.plan import RoutineStep
from arraylib.config import config
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops.linalg import fft

KINDS = {"FFT": np.fft.fftn, "IFFT": np.fft.ifftn, "RFFT": np.fft.rfftn, "IRFFT": np.fft.irfftn}
# Allowed error of a transform of n numbers, over the root mean square of the result: eps log2(n).
EPSILON = {"complex64": 6e-8, "complex128": 1.2e-16}


def numbers(kind, batch, lengths, dtype="complex64", seed=0):
    """An operand of a transform."""
    random = np.random.default_rng(seed)
    last = lengths[-1] // 2 + 1 if kind == "IRFFT" else lengths[-1]
    shape = (*batch, *lengths[:-1], last)
    x = random.standard_normal(shape) + 1j * random.standard_normal(shape)
    return (x.real if kind == "RFFT" else x).astype(
        dt.to_real(dt.dtype(dtype)) if kind == "RFFT" else dtype)


def program(x, kind, lengths, donated=frozenset()):
    """The compiled transform of arrays like x, none of it left to NumPy."""
    graph = trace_graph([Type(x.dtype, x.shape)],
                        lambda v: [fft(v, fft_type=kind, fft_length=lengths)])
    plan = backend.lowered(graph)
    assert [type(step) for step in plan.steps] == [RoutineStep]
    compiled = backend.build(write_program(plan, donated))
    return lambda: np.asarray(compiled.run([x])[0])


def exact(x, kind, lengths):
    """The transform in float64."""
    wide = x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)
    return KINDS[kind](wide, s=lengths, axes=tuple(range(x.ndim - len(lengths), x.ndim)))


def check(kind, batch, lengths, dtype="complex64", seed=0):
    x = numbers(kind, batch, lengths, dtype, seed)
    found, wanted = program(x, kind, lengths)(), exact(x, kind, lengths)
    assert found.shape == wanted.shape
    assert found.dtype == (dt.to_real(dt.dtype(dtype)) if kind == "IRFFT" else dtype)
    scale = np.sqrt(np.mean(np.abs(wanted) ** 2))
    steps = 2 + np.log2(np.prod(lengths))
    error = np.sqrt(np.mean(np.abs(found - wanted) ** 2)) / scale
    assert error <= EPSILON[dtype] * steps
    assert np.abs(found - wanted).max() <= 8 * EPSILON[dtype] * steps * scale


@pytest.fixture
def threads():
    """Set the number of threads; it is put back."""
    before = pool.threads()
    yield pool.set_threads
    pool.set_threads(before)


# -- values ----------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.integers(1, 3000),
       st.sampled_from([(), (1,), (3,), (40,)]), st.sampled_from(sorted(EPSILON)),
       st.integers(0, 99))
def test_a_transform_of_any_length(kind, n, batch, dtype, seed):
    check(kind, batch, (n,), dtype, seed)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.integers(1, 40), st.integers(1, 70),
       st.sampled_from(sorted(EPSILON)))
def test_many_short_rows(kind, n, rows, dtype):
    check(kind, (rows,), (n,), dtype)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.lists(st.integers(1, 40), min_size=2, max_size=3),
       st.sampled_from([(), (2,), (2, 3)]), st.sampled_from(sorted(EPSILON)))
def test_a_transform_along_several_axes(kind, lengths, batch, dtype):
    check(kind, batch, tuple(lengths), dtype)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("n", [1, 2, 3, 31, 61, 127, 251, 509, 997, 1999, 2003, 2 * 1009, 10007])
def test_lengths_with_large_prime_factors(kind, n):
    check(kind, (2,), (n,))
    check(kind, (20,), (n,), "complex128")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_long_rows_are_shared_by_threads(kind):
    check(kind, (), (1 << 17,))
    check(kind, (2,), (3 * 5 * 7 * 11 * 13,))


@pytest.mark.parametrize("n", [1, 7, 16, 64, 1000, 4096, 10007])
@pytest.mark.parametrize("dtype", sorted(EPSILON))
def test_the_inverse_is_the_inverse(n, dtype):
    x = numbers("FFT", (3,), (n,), dtype)
    back = program(program(x, "FFT", (n,))(), "IFFT", (n,))()
    np.testing.assert_allclose(back, x, atol=40 * EPSILON[dtype])


def test_a_real_transform_ignores_what_is_real_anyway():
    x = numbers("IRFFT", (2,), (8,))
    y = x.copy()
    y[:, [0, -1]] = y[:, [0, -1]].real
    np.testing.assert_array_equal(program(x, "IRFFT", (8,))(), program(y, "IRFFT", (8,))())
    x, odd = x[:, :4], y[:, :4]
    np.testing.assert_array_equal(program(x, "IRFFT", (7,))(), program(odd, "IRFFT", (7,))())


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("n", [12, 100, 1024, 2003])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_with_a_number_that_is_none_has_no_numbers(n, bad):
    x = numbers("FFT", (40,), (n,))
    x[7, n // 3] = bad
    found, wanted = program(x, "FFT", (n,))(), exact(x, "FFT", (n,))
    assert not np.isfinite(found[7]).any()
    np.testing.assert_allclose(np.delete(found, 7, 0), np.delete(wanted, 7, 0), atol=1e-3)


def test_the_result_may_be_where_the_operand_was():
    for shape, lengths in (((5, 12), (12,)), ((3, 1024), (1024,)), ((1 << 16,), (1 << 16,)),
                           ((40, 16, 24), (16, 24)), ((2, 2003), (2003,))):
        x = numbers("FFT", shape[:len(shape) - len(lengths)], lengths)
        wanted = program(x, "FFT", lengths)()
        found = program(x.copy(), "FFT", lengths, frozenset({0}))()
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("batch, lengths", [
    ((), (1 << 16,)), ((64,), (1024,)), ((500,), (60,)), ((3,), (10007,)), ((64, 128), (128,)),
    ((), (240, 256)), ((), (100003,))])
def test_results_do_not_depend_on_the_number_of_threads(kind, batch, lengths, threads):
    x = numbers(kind, batch, lengths)
    found = []
    for count in (1, 2, 3, 7):
        threads(count)
        found.append(program(x, kind, lengths)())
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


# -- in programs -----------------------------------------------------------------------------------


def test_a_loop_may_transform_with_large_tables():
    x = numbers("FFT", (), (5003,))

    def turn(carry, _):
        return jnp.fft.ifft(jnp.fft.fft(carry) * 2) * 0.5, jnp.abs(carry).sum()

    found, _ = arraylib.jit(lambda v: lax.scan(turn, v, None, length=3))(x)
    np.testing.assert_allclose(np.asarray(found), x, atol=2e-5)


@pytest.mark.parametrize("n", [12, 100, 37])
def test_derivatives_and_batches(n):
    x = numbers("RFFT", (5,), (n,))
    power = lambda v: (jnp.abs(jnp.fft.rfft(v)) ** 2).sum()
    found = arraylib.jit(arraylib.vmap(arraylib.grad(power)))(x)
    half = np.fft.rfft(np.eye(n))
    np.testing.assert_allclose(np.asarray(found), x @ (2 * (half @ half.conj().T).real),
                               rtol=1e-4, atol=1e-3)
    smooth = lambda v: jnp.fft.irfft(jnp.fft.rfft(v) * 0.5, n)
    tangent = arraylib.jit(lambda v, t: arraylib.jvp(smooth, (v,), (t,))[1])(x[0], x[1])
    np.testing.assert_allclose(np.asarray(tangent), x[1] / 2, atol=1e-5)
    back = arraylib.jit(arraylib.grad(lambda v: (smooth(v) * x[1]).sum()))(x[0])
    np.testing.assert_allclose(np.asarray(back), x[1] / 2, atol=1e-5)


def test_the_profile_and_the_cost_name_the_transform():
    x = numbers("FFT", (8,), (512,))
    f = arraylib.jit(jnp.fft.fft)
    assert "routine 0  fft" in str(f.profile(x))
    assert "fft" in str(f.lower(x).compile().cost())


# -- the plan --------------------------------------------------------------------------------------


def test_radices_multiply_to_the_length():
    for n in range(1, 3000):
        if factors.is_smooth(n):
            assert np.prod(factors.radices(n)) == n
        m = factors.convolution_length(n)
        assert m >= 2 * n - 1 and factors.is_smooth(m)


def test_roots_of_unity_are_exact_to_rounding():
    for n in (1, 2, 3, 4, 5, 8, 12, 97, 1000, 1 << 12):
        turns = np.arange(-n, 2 * n)
        angle = 2 * np.pi * (turns % n).astype(np.longdouble) / n
        found = tables.roots(turns, n)
        assert np.abs(found.real - np.cos(angle)).max() < 3e-16
        assert np.abs(found.imag + np.sin(angle)).max() < 3e-16
    assert list(tables.roots([0, 1, 2, 3], 4)) == [1, -1j, -1, 1j]


@pytest.mark.parametrize("machine", ["sse2", "avx2", "avx512", "neon"])
def test_the_routine_is_code_for_every_machine(machine):
    found = target.find(machine)
    image = target.compile_object(library.module("arraylib_routine.fft.float64", found).text(),
                                  found)
    assert len(image) > 1000


@pytest.mark.parametrize("machine", ["sse2", "avx2"])
def test_registers_of_any_width_do(machine):
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("these are its instructions")
    with config.using(cpu_target=machine):
        for kind in KINDS:
            check(kind, (3,), (600,))
            check(kind, (20,), (37,), "complex128")
            check(kind, (), (5, 1 << 12))


def test_code_is_read_from_disk(monkeypatch):
    piece = library.piece("arraylib_routine.fft.float32")
    making.addresses([piece])
    monkeypatch.setattr(libraries, "places", {})

    def refuse(*args):
        raise AssertionError("written again")

    monkeypatch.setattr(library, "module", refuse)
    assert making.addresses([piece])

"""Operations by routines, against their meaning in NumPy, and what the plan makes of them."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from arraylib import dtypes as dt
from arraylib.backends.cpu import backend, pool, target
from arraylib.backends.cpu.program import write_program
from arraylib.backends.cpu.routines import cumulative as running, library
from arraylib.backends.lower.plan import HostStep, RoutineStep
from arraylib.hlo.ir import Type, run, trace_graph
from arraylib.hlo.ops.cumulative import cumulative

DTYPES = ["float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8",
          "uint16", "uint32", "uint64", "bool"]


def numbers(dtype, shape, seed=0):
    """Numbers of a dtype, small so that sums are exact or nearly so."""
    random = np.random.default_rng(seed)
    if dtype == "bool":
        return random.random(shape) < 0.1
    return (random.standard_normal(shape) * 4).astype(dt.dtype(dtype))


def program(op, arrays, **attrs):
    """The function of an operation compiled for arrays like these, none of it left to NumPy."""
    types = [Type(x.dtype, x.shape) for x in arrays]
    graph = trace_graph(types, lambda *xs: op(*xs, **attrs) if op.multiple else [op(*xs, **attrs)])
    plan = backend.lowered(graph)
    assert any(isinstance(step, RoutineStep) for step in plan.steps)
    assert not any(isinstance(step, HostStep) for step in plan.steps)
    compiled = backend.build(write_program(plan))
    return lambda: compiled.run(arrays)


@pytest.fixture
def threads():
    """Set the number of threads; it is put back."""
    before = pool.threads()
    yield pool.set_threads
    pool.set_threads(before)


# -- running sums and the like ---------------------------------------------------------------------

KINDS = ["add", "multiply", "maximum", "minimum"]
EXACT = {"add": np.cumsum, "multiply": np.cumprod}
LONG = 2 * running.BLOCK + 5


def check_running(x, **attrs):
    (found,) = program(cumulative, [x], **attrs)()
    (meaning,) = cumulative.evaluate([x], attrs)
    if dt.is_float(x.dtype) and attrs["kind"] in ("add", "multiply"):
        wide = np.longdouble if x.dtype.itemsize > 2 else np.float32
        y, d = x.astype(wide), attrs["dimension"]
        exact = EXACT[attrs["kind"]](np.flip(y, d) if attrs["reverse"] else y, axis=d)
        exact = np.flip(exact, d) if attrs["reverse"] else exact
        scale = np.abs(exact).max()
        np.testing.assert_allclose(found.astype(wide), exact, rtol=4 * dt.finfo(x.dtype).eps,
                                   atol=scale * 8 * float(dt.finfo(x.dtype).eps))
    else:
        np.testing.assert_array_equal(found, meaning)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape, axis", [((3, 37), 1), ((37, 21), 0), ((LONG,), 0)])
def test_running_combinations(dtype, shape, axis):
    for kind in KINDS[2:] if dtype == "bool" else KINDS:
        x = numbers(dtype, shape)
        if kind == "multiply":
            x = np.sign(x)
        check_running(x, kind=kind, dimension=axis, reverse=axis == 1)


@given(st.tuples(st.integers(1, 4), st.integers(1, 70), st.sampled_from([1, 2, 3, 16, 50])),
       st.sampled_from(["float32", "int32"]), st.booleans())
def test_running_sums_of_any_shape(shape, dtype, reverse):
    x = numbers(dtype, shape)
    check_running(x, kind="add", dimension=1, reverse=reverse)


@pytest.mark.parametrize("shape, axis", [((3 * LONG,), 0), ((2, LONG), 1), ((50, 5000), 0)])
def test_running_sums_are_the_same_for_any_number_of_threads(threads, shape, axis):
    x, results = numbers("float32", shape), []
    for count in (1, 2, 5):
        threads(count)
        for _ in range(5):
            results.append(program(cumulative, [x], kind="add", dimension=axis, reverse=False)()[0])
    for result in results[1:]:
        np.testing.assert_array_equal(result.view(np.int32), results[0].view(np.int32))


@pytest.mark.parametrize("kind", KINDS)
def test_nan_and_infinity_run_on(kind):
    x = np.array([1, -0.0, np.inf, 2, -np.inf, 3, np.nan, 4] * 3, np.float32)[:, None] * [1, 1]
    x = np.ascontiguousarray(x.astype(np.float32))
    for axis, y in ((0, x), (0, x[:, 0].copy()), (0, x[:6, 0].copy())):
        check_special(y, kind=kind, dimension=axis, reverse=False)


def check_special(x, **attrs):
    np.testing.assert_array_equal(program(cumulative, [x], **attrs)()[0],
                                  cumulative.evaluate([x], attrs)[0])


def test_a_sum_of_negative_zeros_is_one():
    x = np.full(40, -0.0, np.float32)
    assert np.signbit(program(cumulative, [x], kind="add", dimension=0, reverse=False)()[0]).all()


def test_large_results_go_past_the_caches():
    """Whole lines of memory, in blocks and in columns."""
    for shape in ((1 << 23,), (1 << 7, 1 << 16)):
        x = np.ones(shape, np.float32)
        assert x.nbytes >= running.STREAM_BYTES
        (found,) = program(cumulative, [x], kind="add", dimension=0, reverse=False)()
        expected = np.arange(1, shape[0] + 1, dtype=np.float32)
        np.testing.assert_array_equal(found, expected.reshape(-1, *[1] * (len(shape) - 1))
                                      * np.ones(shape, np.float32))


def test_nothing_to_run_over():
    x = np.zeros((3, 0), np.float32)
    graph = trace_graph([Type(x.dtype, x.shape)],
                        lambda x: [cumulative(x, kind="add", dimension=1, reverse=False)])
    assert run(graph, [x])[0].shape == (3, 0)
    assert backend.compile(graph, frozenset(), None).run([x])[0].shape == (3, 0)


# -- code ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x86-64", "x86-64-v3", "generic-arm"])
def test_code_for_other_processors(name):
    machine = target.find(name, "aarch64-unknown-linux-gnu" if "arm" in name else None)
    for variant in ("rows", "columns"):
        symbol = f"arraylib_routine.cumulative.add.float32.0.{variant}"
        assert symbol in library.module(symbol, machine).text()

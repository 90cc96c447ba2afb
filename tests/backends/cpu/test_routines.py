"""Operations by routines, against their meaning in NumPy, and what the plan makes of them."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from arraylib import dtypes as dt
from arraylib.backends.cpu import backend, libraries, making, pool, target
from arraylib.backends.cpu.program import write_program
from arraylib.backends.cpu.routines import (
    cumulative as running,
    library,
    quick,
    scatter as many,
    sort as sorting,
    top_k as largest,
    wide,
)
from arraylib.backends.lower.plan import HostStep, RoutineStep
from arraylib.hlo.ir import Type, run, trace_graph
from arraylib.hlo.ops.constant import iota
from arraylib.hlo.ops.cumulative import cumulative
from arraylib.hlo.ops.indexed import scatter
from arraylib.hlo.ops.sort import sort
from arraylib.hlo.ops.structured import broadcast_in_dim
from arraylib.hlo.ops.top_k import top_k

F32 = dt.float32
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


@settings(deadline=None, max_examples=30)  # the first of a kind is compiled
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


# -- sorting ---------------------------------------------------------------------------------------


def mixed(dtype, shape, seed=0):
    """Numbers with ties, and of floats all that is special."""
    x, random = numbers(dtype, shape, seed), np.random.default_rng(seed + 1)
    if dt.is_float(x.dtype):
        for value in (np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0):
            x[random.random(shape) < 0.06] = np.array(value).astype(x.dtype)
    return x


def check_sort(*xs, **attrs):
    """Bit for bit as it is meant: the order of equals, of -0 and 0 and of nans included."""
    for found, meant in zip(program(sort, xs, **attrs)(), sort.evaluate(xs, attrs), strict=True):
        np.testing.assert_array_equal(found.view(np.uint8),
                                      np.ascontiguousarray(meant).view(np.uint8))


FEW = quick.few("i64")
SIZES = [1, 7, 8, 9, 130, FEW, FEW + 1, 3000]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [9, 3000])
def test_sort_and_argsort(dtype, n):
    x = mixed(dtype, (3, n))
    places = np.broadcast_to(np.arange(n, dtype=np.int32), x.shape).copy()
    check_sort(x, dimension=1, num_keys=1)
    check_sort(x, places, dimension=1, num_keys=1)


@pytest.mark.parametrize("n", SIZES)
def test_sort_by_several_keys_along_any_axis(n):
    first, second = mixed("int8", (n, 2)) // 4, mixed("float32", (n, 2))
    third, payload = mixed("float64", (n, 2)), mixed("bool", (n, 2))
    for count in (1, 2, 3):
        check_sort(first, second, third, payload, dimension=0, num_keys=count)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "int32", "float64", "uint64"])
def test_sort_numbers_alone(dtype, n):
    x = np.abs(numbers(dtype, (2, n))) + numbers(dtype, (2, n), 1) * 1000 + 1
    check_sort(x, dimension=1, num_keys=1)
    check_sort(np.sort(x)[:, ::-1].copy(), dimension=1, num_keys=1)
    check_sort(np.full_like(x, 3), dimension=1, num_keys=1)


@pytest.mark.parametrize("dtype", ["float32", "int32", "float64", "uint64"])
def test_sort_numbers_that_are_hard_to_divide(dtype):
    """Few different ones, all but one equal, up and down, and those that begin with a saw."""
    n = 4 * quick.few("i32") + 3
    up = np.arange(n)
    for x in (up % 2, up == 7, up, -up, np.minimum(up, n - up), up % 16 * n + up, up // 400):
        check_sort(x.astype(dtype), dimension=0, num_keys=1)
    if dtype != "uint64":
        limits = dt.finfo(dtype) if dt.is_float(dt.dtype(dtype)) else dt.iinfo(dtype)
        ends = np.where(up % 3, limits.max, limits.min).astype(dtype)
        check_sort(ends, dimension=0, num_keys=1)


def test_sort_by_digits_where_pivots_are_bad(monkeypatch):
    monkeypatch.setattr(quick, "_DIVISIONS", 0)
    key = making.Piece.key
    monkeypatch.setattr(making.Piece, "key", lambda piece: key(piece)[::-1])
    monkeypatch.setattr(libraries, "places", {})
    for dtype in ("float32", "int64"):
        check_sort(numbers(dtype, (2, 3 * quick.few("i32"))), dimension=1, num_keys=1)


@settings(deadline=None, max_examples=30)  # the first of a kind is compiled
@given(st.lists(st.sampled_from([0.0, -0.0, 1.0, -1.0, np.nan, np.inf, 1e-40]), min_size=1,
                max_size=40))
def test_sort_equals(values):
    x = np.array(values, np.float32)
    check_sort(x, np.arange(len(x), dtype=np.int32), dimension=0, num_keys=1)


def test_sort_is_the_same_for_any_number_of_threads(threads):
    x = mixed("float32", (37, 700))
    for count in (1, 3):
        threads(count)
        check_sort(x, dimension=1, num_keys=1)
        check_sort(x, x[::-1].copy(), dimension=0, num_keys=2)


@pytest.fixture
def long_rows(monkeypatch):
    """Rows of a few thousand numbers are sorted by all threads, in blocks and buckets."""
    monkeypatch.setattr(sorting, "LONG", 1000)
    monkeypatch.setattr(wide, "_BUCKET", 1 << 9)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "float16", "uint64"])
def test_sort_long_rows(long_rows, dtype):
    for n in (1000, wide.BLOCK - 1, wide.BLOCK, 2 * wide.BLOCK + 77):
        x = mixed(dtype, (2, n))
        check_sort(x, dimension=1, num_keys=1)
        check_sort(x, x[:, ::-1].copy(), dimension=1, num_keys=1)
        check_sort(x, x[:, ::-1].copy(), x, dimension=1, num_keys=2)


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_sort_long_rows_that_are_hard_to_divide(long_rows, dtype):
    """Buckets of nothing, of all, and of what a regular sample does not see."""
    up = np.arange(2 * wide.BLOCK + 5)
    for x in (up * 0, up == 7, -up, up % 2, up % 16 * len(up) + up):
        check_sort(x.astype(dtype), dimension=0, num_keys=1)


def test_sort_long_rows_with_any_number_of_threads(long_rows, threads):
    x = mixed("float32", (wide.BLOCK * 3,))
    for count in (1, 2, 5):
        threads(count)
        check_sort(x, dimension=0, num_keys=1)
        check_sort(x, x[::-1].copy(), dimension=0, num_keys=1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("places", ["int32", "int64", "int16"])
def test_sort_with_places_that_need_not_be_read(dtype, places):
    x = mixed(dtype, (3, 300))
    attrs = {"dimension": 1, "num_keys": 1}
    types = [Type(x.dtype, x.shape)]
    graph = trace_graph(types, lambda x: sort(x, broadcast_in_dim(
        iota(shape=(300,), dimension=0, dtype=dt.dtype(places)), shape=x.type.shape,
        broadcast_dimensions=(1,)), **attrs))
    plan = backend.lowered(graph)
    (step,) = (step for step in plan.steps if isinstance(step, RoutineStep))
    assert step.attrs["counters"] == (1,)
    found = backend.build(write_program(plan)).run([x])
    meant = sort.evaluate([x, np.broadcast_to(np.arange(300, dtype=places), x.shape)], attrs)
    for one, other in zip(found, meant, strict=True):
        np.testing.assert_array_equal(one.view(np.uint8),
                                      np.ascontiguousarray(other).view(np.uint8))


# -- the largest -----------------------------------------------------------------------------------


def check_top_k(x, k):
    for found, meant in zip(program(top_k, [x], k=k)(), top_k.evaluate([x], {"k": k}), strict=True):
        np.testing.assert_array_equal(found.view(np.uint8),
                                      np.ascontiguousarray(meant).view(np.uint8))


@pytest.mark.parametrize("dtype", [name for name in DTYPES if dt.dtype(name).itemsize <= 4])
def test_top_k(dtype):
    for n, k in ((40, 40), (3000, 7), (3000, 600)):
        check_top_k(mixed(dtype, (2, n)), k)


@pytest.mark.parametrize("n", [1, 9, largest.FEW, largest.FEW + 1, 1040, 5003])
def test_top_k_of_any_size(n):
    for k in (1, 2, 50, largest.MOST, largest.MOST + 1, n):
        if k <= n:
            check_top_k(mixed("float32", (n,)), k)


def test_top_k_of_what_ascends_and_of_equals():
    x = np.arange(20000, dtype=np.float32)
    lowest = np.uint32(0xFFFFFFFF).view(np.float32)  # the nan that is last of all
    for y in (x, x[::-1].copy(), x * 0, x // 100, np.full(2000, lowest)):
        check_top_k(y, 30)


# -- many updates ----------------------------------------------------------------------------------

SINGLE = {"update_window_dims": (), "inserted_window_dims": (0,), "input_batching_dims": (),
          "scatter_indices_batching_dims": (), "scatter_dims_to_operand_dims": (0,),
          "unique_indices": False}


def check_scatter(x, places, updates, kind):
    """As it is meant, in the order of the updates; some places are outside."""
    attrs = {**SINGLE, "kind": kind, "index_vector_dim": updates.ndim}
    (found,) = program(scatter, [x, places, updates], **attrs)()
    meant = scatter.evaluate([x, places, updates], attrs)[0]
    if not (dt.is_half(x.dtype) and kind in ("add", "multiply")):
        np.testing.assert_array_equal(found, meant)
    else:
        np.testing.assert_allclose(found.astype(float), meant.astype(float), rtol=0.05, atol=0.1)


def drawn(size, count, index="int32", seed=0):
    """Places of a vector, most of them inside."""
    random = np.random.default_rng(seed)
    low = 0 if index.startswith("u") else -size // 20
    return random.integers(low, size + size // 20, count).astype(index)


@pytest.mark.parametrize("dtype", DTYPES)
def test_scatter_of_any_dtype(dtype):
    n = many.FEWEST + 5
    for kind in ("set", "add", "maximum", "minimum", "multiply"):
        check_scatter(numbers(dtype, (900,)), drawn(900, n), numbers(dtype, (n,), 1), kind)


@pytest.mark.parametrize("size", [1, 63, 64, 65, 129, 100_003])
@pytest.mark.parametrize("index", ["int32", "int64", "uint32"])
def test_scatter_of_any_size(size, index):
    x, updates = numbers("float32", (size,)), numbers("float32", (3, 2 * many.BLOCK + 7), 1)
    check_scatter(x, drawn(size, (*updates.shape, 1), index), updates, "add")


def test_scatter_is_the_same_for_any_number_of_threads(threads):
    x, updates = numbers("float32", (5000,)), numbers("float32", (20_000,), 1)
    for count in (1, 2, 7):
        threads(count)
        check_scatter(x, drawn(50, 20_000), updates, "add")
        check_scatter(x, drawn(5000, 20_000), updates, "set")


def test_a_place_beyond_the_indices_dtype_is_left_to_a_kernel():
    types = [Type(F32, (1000,)), Type(dt.int8, (5000, 1)), Type(F32, (5000,))]
    attrs = {**SINGLE, "kind": "add", "index_vector_dim": 1}
    assert many.call(attrs, types, types[:1]) is None
    assert many.call(attrs, [Type(F32, (100,)), *types[1:]], types[:1]) is not None


# -- code ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x86-64", "x86-64-v3", "generic-arm"])
def test_code_for_other_processors(name):
    machine = target.find(name, "aarch64-unknown-linux-gnu" if "arm" in name else None)
    for variant in ("cumulative.add.float32.0.rows", "cumulative.add.float32.0.columns",
                    "sort.float32.4.", "sort.int8_float64.1_8_2.", "sort.float32.4_4.1",
                    "top_k.float32", "scatter.add.float32.int32", "scatter.set.bfloat16.int64"):
        symbol = f"arraylib_routine.{variant}"
        assert symbol in library.module(symbol, machine).text()

"""Kernels as machine code do what the kernel IR's interpreter does, and touch nothing else."""

import ml_dtypes
import numpy as np
import pytest
from kernels import lanes_kernel, run_both

from arraylib import dtypes as dt
from arraylib.backends.cpu import target
from arraylib.backends.cpu.kernel import emit_kernel
from arraylib.tile.build import Builder
from arraylib.tile.ir import READ, WRITE, Index, index

F32, I32 = "float32", "int32"
MOVED = ["bool", "int8", "uint16", I32, "int64", "float16", ml_dtypes.bfloat16, F32, "float64"]


def numbers(count, dtype, seed=0):
    found = np.random.default_rng(seed).integers(-9, 9, count) / 2
    return (found > 0 if dtype == "bool" else found).astype(dtype)


def assert_same(found):
    for want, got in zip(*found, strict=True):
        np.testing.assert_array_equal(got.view(f"u{got.itemsize}"), want.view(f"u{want.itemsize}"))


@pytest.mark.parametrize("dtype", MOVED)
@pytest.mark.parametrize("count", [2, 3, 16, 17, 100])
def test_copy_stops_at_the_end(dtype, count):
    kernel = lanes_kernel([dtype], count, lambda b, i, x: [(b.load(x, i), i)], [dtype])
    x, guard = numbers(count, dtype), numbers(count + 64, dtype, 1)
    interpreted, native = run_both(kernel, [x], [guard])
    assert_same((interpreted, native))
    np.testing.assert_array_equal(native[0][count:], guard[count:])


@pytest.mark.parametrize("stride", [-1, 0, 1, 2, 3, 4, 5, -2, 17])
@pytest.mark.parametrize("dtype", ["int8", F32, "float64", dt.bfloat16])
@pytest.mark.parametrize("count", [4, 16, 33, 64])
def test_strided_reads_and_writes(stride, dtype, count):
    first = -min(stride, 0) * (count - 1)
    read = lanes_kernel([dtype], count, lambda b, i, x: [(b.load(x, i * stride + first), i)],
                        [dtype])
    reach = abs(stride) * (count - 1) + 1
    assert_same(run_both(read, [numbers(reach, dtype)], [np.zeros(count, dtype)]))
    if stride:
        write = lanes_kernel([dtype], count, lambda b, i, x: [(b.load(x, i), i * stride + first)],
                             [dtype])
        assert_same(run_both(write, [numbers(count, dtype)], [numbers(reach, dtype, 1)]))


@pytest.mark.parametrize("dtype", [F32, I32, "bool", "float16"])
def test_places_that_are_data(dtype):
    def body(b, i, x, at):
        place = b.apply("convert", [b.load(at, i)], dt.int64, dtype=dt.int64)
        return [(b.load(x, index(place, 2) + 1), i)]

    kernel = lanes_kernel([dtype, I32], 37, body, [dtype])
    at = np.random.default_rng(0).integers(0, 20, 37).astype(I32)
    assert_same(run_both(kernel, [numbers(41, dtype), at], [np.zeros(37, dtype)]))


@pytest.mark.parametrize("dtype", ["int8", "uint8", I32, "int64", F32, "float64", "float16"])
def test_counting(dtype):
    kernel = lanes_kernel([], 40, lambda b, i: [(b.count(i * 3 + 5, np.dtype(dtype)), i)], [dtype])
    assert_same(run_both(kernel, [], [np.zeros(40, dtype)]))


def fold(op, dtype, shape, lanes_fold, registers=2):
    """Rows folded into one number each, with lanes along or across the rows."""
    rows, columns = shape
    b = Builder()
    x, y = b.pointer(np.dtype(dtype), READ), b.pointer(np.dtype(dtype), WRITE)
    (row,) = b.open(1)
    (column,) = b.open(1)
    value = b.load(x, index(row, columns) + index(column))
    ((total,),) = b.close([Index()], [Index(columns)], [(op, [value])], lanes=lanes_fold,
                          multiple=columns, registers=registers)
    b.store(y, index(row), total)
    b.close([Index()], [Index(rows)], lanes=not lanes_fold, multiple=rows, registers=registers)
    return b.kernel()


FOLDS = [("add", F32), ("add", I32), ("add", "bool"), ("multiply", "float64"), ("maximum", F32),
         ("minimum", "int8"), ("maximum", "uint32"), ("and", "bool"), ("or", "uint8"),
         ("maximum", "bool"), ("minimum", "float16"), ("and", I32)]


@pytest.mark.parametrize("op, dtype", FOLDS)
@pytest.mark.parametrize("columns", [1 + 1, 16, 21, 64, 131])
@pytest.mark.parametrize("lanes_fold", [True, False])
def test_reductions(op, dtype, columns, lanes_fold):
    x = numbers(5 * columns, dtype)
    interpreted, native = run_both(fold(op, dtype, (5, columns), lanes_fold), [x],
                                   [np.zeros(5, dtype)])
    np.testing.assert_allclose(native[0].astype("f8"), interpreted[0].astype("f8"), rtol=1e-5)


@pytest.mark.parametrize("op", ["argmax", "argmin"])
@pytest.mark.parametrize("special", [[], [np.nan], [np.inf, np.nan, -np.inf]])
@pytest.mark.parametrize("count", [5, 64, 150])
@pytest.mark.parametrize("dtype", [F32, I32])
def test_places_of_extremes(op, special, count, dtype):
    b = Builder()
    x, y = b.pointer(np.dtype(dtype), READ), b.pointer(dt.int32, WRITE)
    (i,) = b.open(1)
    pair = [b.load(x, index(i)), b.count(index(i), dt.int32)]
    ((_, place),) = b.close([Index()], [Index(count)], [(op, pair)], lanes=True, multiple=count,
                            registers=2)
    b.store(y, Index(), place)
    data = numbers(count, dtype)
    if dtype == F32:
        for number in special:
            data[np.random.default_rng(1).integers(0, count, 3)] = number
    interpreted, native = run_both(b.kernel(), [data], [np.zeros(1, I32)])
    assert native[0][0] == interpreted[0][0] == getattr(np, op)(data)


@pytest.mark.parametrize("rows, columns", [(16, 16), (32, 48), (35, 16), (16, 19), (64, 70)])
@pytest.mark.parametrize("writes_turned", [False, True])
@pytest.mark.parametrize("dtype", [F32, "float64", "float16"])
def test_squares_are_turned_over(rows, columns, writes_turned, dtype):
    b = Builder()
    x, y = b.pointer(np.dtype(dtype), READ), b.pointer(np.dtype(dtype), WRITE)
    (lane,) = b.open(1)
    (turn,) = b.open(1)
    along, across = index(lane, columns) + index(turn), index(turn, rows) + index(lane)
    place, target_place = (across, along) if writes_turned else (along, across)
    b.store(y, target_place, b.apply("negate", [b.load(x, place)], np.dtype(dtype)))
    b.close([Index()], [Index(columns)], independent=True)
    b.close([Index()], [Index(rows)], lanes=True, multiple=rows)
    x, y = numbers(rows * columns, dtype), np.zeros(rows * columns, dtype)
    assert_same(run_both(b.kernel(), [x], [y]))


def test_chunks_with_a_short_last_one():
    b = Builder()
    x, y = b.pointer(dt.float32, READ), b.pointer(dt.float32, WRITE)
    low = index(b.chunk, 48)
    high = b.limit(low + 48, 133)
    (lane,) = b.open(1)
    b.store(y, index(lane), b.load(x, index(lane)))
    b.close([low], [high], lanes=True, multiple=1)
    assert_same(run_both(b.kernel(), [numbers(133, F32)], [np.zeros(140, F32)], chunks=3))


def test_a_block_that_runs_where_a_condition_holds():
    b = Builder()
    at, y = b.pointer(dt.int32, READ), b.pointer(dt.int32, WRITE)
    (row,) = b.open(1)
    place = b.load(at, index(row))
    fits = b.apply("compare", [place, b.constant(4, dt.int32)], dt.bool_, direction="LT")
    b.open(0)
    b.store(y, index(b.apply("convert", [place], dt.int64, dtype=dt.int64)), place)
    b.close_when(fits)
    b.close([Index()], [Index(3)])
    interpreted, native = run_both(b.kernel(), [np.array([1, 9, 3], I32)], [np.zeros(4, I32)])
    assert native[0].tolist() == interpreted[0].tolist() == [0, 1, 0, 3]


def test_local_arrays():
    b = Builder()
    x, y = b.pointer(dt.float32, READ), b.pointer(dt.float32, WRITE)
    room = b.local(dt.float32, 50)
    (i,) = b.open(1)
    b.store(room, index(i), b.load(x, index(i)))
    b.close([Index()], [Index(50)], lanes=True, multiple=50)
    (i,) = b.open(1)
    b.store(y, index(i), b.load(room, index(i, -1) + 49))
    b.close([Index()], [Index(50)], lanes=True, multiple=50)
    assert_same(run_both(b.kernel(), [numbers(50, F32)], [np.zeros(50, F32)]))


def test_half_types_are_rounded_after_each_operation():
    def body(b, i, x):
        product = b.apply("multiply", [b.load(x, i)] * 2, dt.bfloat16)
        return [(b.apply("add", [product, b.load(x, i)], dt.bfloat16), i)]

    kernel = lanes_kernel([dt.bfloat16], 40, body, [dt.bfloat16])
    x = np.linspace(0.1, 3, 40).astype(dt.bfloat16)
    assert_same(run_both(kernel, [x], [np.zeros(40, dt.bfloat16)]))


def test_a_copy_laid_over_its_operand_is_left_out():
    b = Builder()
    x, y = b.pointer(dt.float32, READ), b.pointer(dt.float32, WRITE)
    (i,) = b.open(1)
    b.store(y, index(i), b.load(x, index(i)))
    b.close([Index()], [Index(8)], lanes=True, multiple=8)
    module = target.new_module()
    emit_kernel(module, b.kernel(copies=True), "kernel", internal=False)
    assert "icmp eq ptr" in module.text()


def assembly(kernel, name):
    found = target.find(name)
    module = found.new_module()
    emit_kernel(module, kernel, "kernel", internal=False)
    return target.assembly(module.text(), found)


@pytest.mark.parametrize("name, register", [("avx512", "%zmm"), ("avx2", "%ymm")])
def test_vectors_are_as_wide_as_the_target(name, register):
    def body(b, i, x):
        return [(b.apply("add", [b.load(x, i)] * 2, dt.float32), i)]

    text = assembly(lanes_kernel([F32], 1 << 10, body, [F32]), name)
    assert register in text and "call" not in text


def test_streams_bypass_the_caches_where_they_are_aligned():
    def kernel(place):
        b = Builder()
        x, y = b.pointer(dt.float32, READ), b.pointer(dt.float32, WRITE)
        (i,) = b.open(1)
        b.store(y, place(index(i)), b.load(x, index(i)), stream=True)
        b.close([Index()], [Index(64)], lanes=True, multiple=64)
        return b.kernel()

    x, y = numbers(64, F32), np.zeros(64 + 16, F32)
    for start in range(3):  # wherever the memory begins
        assert_same(run_both(kernel(lambda i: i), [x], [y[start:start + 64]]))
    assert "vmovntps" in assembly(kernel(lambda i: i), "avx512")
    assert "vmovntps" not in assembly(kernel(lambda i: i + 1), "avx512")


def test_many_expensive_operations_are_calls_of_one_function():
    def body(b, lane, read):
        value = b.load(read, lane)
        for _ in range(20):
            value = b.apply("sine", [value], np.dtype("f4"))
        return [(value, lane)]

    kernel = lanes_kernel(["f4"], 37, body, ["f4"])
    module = target.new_module()
    emit_kernel(module, kernel, "kernel")
    names = [function.name for function in module.functions if function.name.startswith("op_")]
    assert 1 <= len(names) == len(set(names)) <= 2  # of whole vectors, and of what is left
    x = np.linspace(-3, 1e6, 37, dtype="f4")
    (interpreted,), (native,) = run_both(kernel, [x], [np.zeros(37, "f4")])
    np.testing.assert_allclose(native, interpreted, rtol=1e-5)

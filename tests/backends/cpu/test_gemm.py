"""Matrix products against NumPy in float64: shapes, strides, batches, dtypes, callers, edges."""

import ctypes
import itertools
import threading

import ml_dtypes
import numpy as np
import pytest

from arraylib.backends.cpu import gemm, making, memory, pool, target
from arraylib.backends.cpu.gemm import descriptor, library
from arraylib.backends.cpu.gemm.descriptor import Path
from arraylib.backends.cpu.gemm.pieces import is_quick
from arraylib.config import config

DTYPES = {"f32": np.float32, "f64": np.float64, "bf16": ml_dtypes.bfloat16, "f16": np.float16,
          "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64,
          "u8": np.uint8, "u32": np.uint32, "c64": np.complex64, "c128": np.complex128}
FLOATS = ["f32", "f64", "bf16", "f16", "c64", "c128"]
ROUNDING = {"f32": 2.0**-24, "f64": 2.0**-53, "bf16": 2.0**-8, "f16": 2.0**-11,
            "c64": 2.0**-24, "c128": 2.0**-53}


def strides_of(array: np.ndarray, axis: int) -> int:
    return array.strides[axis] // array.itemsize


def describe(a, b, c, dtype, accumulate) -> gemm.Gemm:
    """The product of the last two axes of three views of the same leading shape."""
    batch = tuple((size, *(strides_of(x, axis) for x in (a, b, c)))
                  for axis, size in enumerate(c.shape[:-2]))
    assert c.shape[-1] <= 1 or strides_of(c, -1) == 1
    return gemm.Gemm(
        c.shape[-2], c.shape[-1], a.shape[-1], strides_of(a, -2), strides_of(a, -1),
        strides_of(b, -2), strides_of(b, -1), strides_of(c, -2), batch, accumulate, dtype)


def address(name: str) -> int:
    return making.addresses([gemm.piece(name)])[name]


def multiply(a: np.ndarray, b: np.ndarray, c: np.ndarray, dtype: str, *,
             accumulate: int = 0, threads: int = 1) -> gemm.Gemm:
    """C = A B by the library, with scratch that is checked for overruns."""
    g = describe(a, b, c, dtype, accumulate)
    words, size = g.words(threads), gemm.scratch_bytes(g, threads)
    words[:3] = [x.ctypes.data for x in (a, b, c)]
    for place, piece in gemm.pieces(g, words).items():
        words[place] = address(piece)
    scratch = memory.allocate(size + 64)
    ctypes.memset(scratch, 0xFF, size + 64)   # NaN: what is read before it is written shows
    entry = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(address(gemm.symbol(dtype)))
    entry(words.ctypes.data, scratch)
    assert ctypes.string_at(scratch + size, 64) == b"\xff" * 64, "scratch overrun"
    memory.release(scratch, size + 64)
    return g


def random(rng, shape, dtype):
    if dtype[0] in "iu":
        return rng.integers(-100, 100, shape).astype(DTYPES[dtype])
    if dtype[0] == "c":
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(DTYPES[dtype])
    return rng.standard_normal(shape).astype(DTYPES[dtype])


def strided(rng, shape, dtype, layout):
    """A matrix stored by rows, by columns, or with gaps both ways."""
    rows, columns = shape
    if layout == "row":
        return random(rng, (rows, columns + 3), dtype)[:, :columns]
    if layout == "column":
        return random(rng, (columns, rows + 1), dtype).T[:rows]
    return random(rng, (2 * rows, 3 * columns), dtype)[::2, ::3]


def check(a, b, c, dtype, before=None, sign=1):
    """C against the product in float64, within the rounding of the sums and of the result."""
    if dtype[0] in "iu":
        expected = sign * np.matmul(a.astype(np.int64), b.astype(np.int64))
        expected = expected + (0 if before is None else before.astype(np.int64))
        np.testing.assert_array_equal(c, expected.astype(c.dtype))
        return
    widest = np.complex128 if dtype[0] == "c" else np.float64
    wide = [sign * a.astype(widest), b.astype(widest)]
    expected, size = wide[0] @ wide[1], np.abs(wide[0]) @ np.abs(wide[1])
    if before is not None:
        expected, size = expected + before, size + np.abs(before.astype(widest))
    sums = ROUNDING["f64" if dtype in ("f64", "c128") else "f32"] * (2 * a.shape[-1] + 2)
    allowed = size * sums + np.abs(expected) * ROUNDING[dtype] + 1e-30
    error = np.abs(c.astype(widest) - expected)
    assert (error <= allowed).all(), (a.shape, b.shape, dtype, a.strides, b.strides)


def run(rng, m, n, k, dtype, layouts=("row", "row"), accumulate=0, threads=1):
    a, b = strided(rng, (m, k), dtype, layouts[0]), strided(rng, (k, n), dtype, layouts[1])
    room = random(rng, (m + 1, n + 5), dtype)
    c, around = room[:m, :n], room.copy()
    before = c.copy()
    multiply(a, b, c, dtype, accumulate=accumulate, threads=threads)
    check(a, b, c, dtype, before if accumulate else None, accumulate or 1)
    assert room[:, n:].tobytes() == around[:, n:].tobytes(), "columns beyond C"
    assert room[m:].tobytes() == around[m:].tobytes(), "rows beyond C"


LAYOUTS = list(itertools.product(("row", "column", "gaps"), repeat=2))


@pytest.mark.parametrize("dtype", DTYPES)
def test_small_shapes(dtype):
    rng = np.random.default_rng(0)
    for _ in range(300 if dtype == "f32" else 80):
        m, n, k = rng.integers(1, 41, 3)
        run(rng, m, n, k, dtype, LAYOUTS[rng.integers(9)], accumulate=int(rng.integers(-1, 2)))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("layouts", LAYOUTS, ids="-".join)
@pytest.mark.parametrize("m, n, k", [
    (1, 100, 70), (100, 1, 70), (1, 1, 1000), (2, 3000, 5), (1, 5000, 17), (3, 33, 1100),
    (15, 65, 515), (64, 31, 300), (65, 31, 300), (150, 70, 1100), (300, 40, 30)])
def test_larger_shapes(dtype, layouts, m, n, k):
    run(np.random.default_rng(m + n + k), m, n, k, dtype, layouts)


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("m, n, k", [(70, 40, 3000), (8, 40, 5000), (3, 40, 5000)])
def test_many_blocks_of_k(dtype, m, n, k):
    for accumulate in (0, 1, -1):
        run(np.random.default_rng(0), m, n, k, dtype, accumulate=accumulate, threads=4)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_more_columns_than_a_block_of_b(dtype):
    run(np.random.default_rng(0), 66, 5000, 520, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m, n, k", list(itertools.product((0, 1, 20), repeat=3)))
def test_sizes_of_zero(dtype, m, n, k):
    for accumulate in (0, 1, -1):
        run(np.random.default_rng(0), m, n, k, dtype, accumulate=accumulate)


@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16", "f16"])
@pytest.mark.parametrize("m, n", [(1, 40), (40, 1), (20, 40), (70, 40)])
def test_nan_and_infinity_go_where_they_belong(dtype, m, n):
    rng = np.random.default_rng(0)
    a, b = random(rng, (m, 50), dtype), random(rng, (50, n), dtype)
    a[0, 3], a[m - 1, 7], b[49, n - 1] = np.inf, np.nan, -np.inf
    c = np.zeros((m, n), DTYPES[dtype])
    multiply(a, b, c, dtype)
    with np.errstate(invalid="ignore"):
        expected = a.astype(np.float64) @ b.astype(np.float64)
    got = c.astype(np.float64)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_array_equal(got[np.isinf(expected)], expected[np.isinf(expected)])


def test_a_sum_of_nan_before_is_overwritten():
    """Without `accumulate` nothing of C is read, and nothing of scratch."""
    for m, dtype in itertools.product((1, 3, 20, 70), FLOATS):
        a, b = np.ones((m, 2000), DTYPES[dtype]), np.ones((2000, 40), DTYPES[dtype])
        c = np.full((m, 40), np.nan, DTYPES[dtype])
        multiply(a, b, c, dtype)
        assert (c.astype(np.float64) == 2000).all()


@pytest.mark.parametrize("dtype", ["f32", "bf16", "i32"])
@pytest.mark.parametrize("m, n, k", [(5, 7, 9), (1, 40, 30), (40, 1, 30), (70, 40, 33)])
@pytest.mark.parametrize("threads", [1, 3])
def test_batches(dtype, m, n, k, threads):
    rng = np.random.default_rng(0)
    a = np.broadcast_to(random(rng, (3, 1, 1, m, k), dtype), (3, 2, 4, m, k))
    b = random(rng, (4, k, 3, n), dtype).transpose(2, 0, 1, 3)[:, None]
    b = np.broadcast_to(b, (3, 2, 4, k, n))
    c = random(rng, (4, 3, 2, m, n), dtype).transpose(1, 2, 0, 3, 4)
    multiply(a, b, c, dtype, threads=threads)
    check(a, b, c, dtype)


def test_four_batch_dimensions():
    rng = np.random.default_rng(0)
    a, b = random(rng, (2, 3, 1, 5, 4, 6), "f32"), random(rng, (2, 1, 4, 5, 6, 7), "f32")
    shape = (2, 3, 4, 5)
    a, b = (np.broadcast_to(x, (*shape, *x.shape[-2:])) for x in (a, b))
    c = np.zeros((*shape, 4, 7), np.float32)
    multiply(a, b, c, "f32", threads=2)
    check(a, b, c, "f32")


F8 = {"f8_e5m2": ml_dtypes.float8_e5m2, "f8_e4m3fn": ml_dtypes.float8_e4m3fn}
WIDER = {
    **{f"{a}_{b}": (getattr(np, x), getattr(np, y)) for a, b, x, y in (
        ("i8", "i32", "int8", "int32"), ("i16", "i32", "int16", "int32"),
        ("i32", "i64", "int32", "int64"), ("u8", "i32", "uint8", "int32"),
        ("u8", "u32", "uint8", "uint32"), ("u16", "u32", "uint16", "uint32"),
        ("u32", "u64", "uint32", "uint64"), ("f16", "f32", "float16", "float32"),
        ("f32", "f64", "float32", "float64"))},
    "bf16_f32": (ml_dtypes.bfloat16, np.float32),
    **{f"{a}_{b}": (F8[a], DTYPES[b]) for a in F8 for b in ("f32", "f16", "bf16")}}


def any_numbers(rng, shape, dtype):
    """Integers of all sizes, finite 8-bit floats of all kinds."""
    if dtype in F8.values():
        found = rng.integers(0, 256, shape).astype(np.uint8).view(dtype)
        return np.where(np.isfinite(found.astype(np.float32)), found, dtype(1))
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return rng.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("name", WIDER)
@pytest.mark.parametrize("m, n, k", [(70, 50, 30), (1, 50, 30), (30, 1, 70), (9, 70, 1100)])
def test_wider_results(name, m, n, k):
    operand, result = WIDER[name]
    rng = np.random.default_rng(0)
    a, b = any_numbers(rng, (m, k), operand), any_numbers(rng, (k, n), operand)
    if operand in F8.values():   # no sum beyond a result's range
        a, b = (np.where(np.abs(x.astype(np.float32)) < 16, x, operand(1)) for x in (a, b))
    for right in (b, np.asfortranarray(b)):
        c = np.zeros((m, n), result)
        multiply(a, right, c, name)
        if np.issubdtype(result, np.integer):
            np.testing.assert_array_equal(c, a.astype(result) @ b.astype(result))
        else:
            check(a, b, c, name.rsplit("_")[-1])


@pytest.mark.parametrize("name", F8)
def test_each_8_bit_float(name):
    """One row times one column each: nan, infinity and zeros with their signs, subnormals."""
    every = np.arange(256, dtype=np.uint8).view(F8[name]).reshape(256, 1)
    c = np.zeros((256, 3), np.float32)
    multiply(every, np.ones((1, 3), F8[name]), c, f"{name}_f32")
    np.testing.assert_array_equal(c, np.repeat(every.astype(np.float32), 3, 1))


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("m, n, k", [
    (400, 300, 700), (1, 3000, 500), (3000, 1, 500), (20, 2000, 700), (2000, 20, 700)])
def test_results_do_not_depend_on_the_thread_count(dtype, m, n, k):
    rng = np.random.default_rng(0)
    for layout in ("row", "column"):
        a, b = random(rng, (m, k), dtype), strided(rng, (k, n), dtype, layout)
        results, tasks = set(), set()
        for threads in (1, 2, 3, 8):
            pool.set_threads(threads)
            c = np.zeros((m, n), DTYPES[dtype])
            g = multiply(a, b, c, dtype, threads=threads)
            results.add(c.tobytes())
            tasks.add(int(g.words(threads)[gemm.Word.TASKS]))
        pool.set_threads(pool.available_cpus())
        assert len(results) == 1 and len(tasks) > 1


@pytest.mark.parametrize("dtype", ["f32", "bf16", "f16", "i8", "c64"])
@pytest.mark.parametrize("layouts", LAYOUTS, ids="-".join)
def test_threads_share_what_they_pack(dtype, layouts, monkeypatch):
    # Blocks so small that each way through the loops is taken.
    monkeypatch.setattr(descriptor, "_SHARED_FLOPS", 0)
    monkeypatch.setattr(descriptor, "_SHARED_CHUNK_FLOPS", 20_000)
    monkeypatch.setattr(descriptor, "_SHARED_CHUNK_BYTES", 1 << 10)
    monkeypatch.setattr(descriptor, "_BLOCK_A_BYTES", 16 << 10)
    monkeypatch.setattr(descriptor, "_BLOCK_B_BYTES", 64 << 10)
    monkeypatch.setattr(descriptor, "_SMALL_BLOCK_B_BYTES", 32 << 10)
    monkeypatch.setattr(descriptor, "_BLOCK_ROW_PANELS", 2)
    descriptor._planned.cache_clear()
    rng = np.random.default_rng(0)
    try:
        sizes = (65, 33, 1030), (450, 17, 1030), (150, 170, 65), (131, 100, 3), (65, 70, 2), \
            (65, 70, 0)
        for m, n, k in sizes:
            for accumulate in (0, 1, -1):
                run(rng, m, n, k, dtype, layouts, accumulate=accumulate, threads=4)
    finally:
        descriptor._planned.cache_clear()


def test_large_products_of_nothing_are_not_shared():
    words = gemm.Gemm(2048, 2048, 0, 0, 1, 2048, 1, 2048).words(2)
    assert words[gemm.Word.PATH] == Path.BLOCKED


def test_small_second_operands_are_packed_whole():
    words = gemm.Gemm(2048, 256, 1024, 1024, 1, 256, 1, 256).words(2)
    assert words[gemm.Word.BLOCKS_AT_ONCE] == words[gemm.Word.BLOCKS] == 2
    words = gemm.Gemm(2048, 2048, 2048, 2048, 1, 2048, 1, 2048).words(2)
    assert words[gemm.Word.BLOCKS_AT_ONCE] == 1 < words[gemm.Word.BLOCKS]


def test_huge_products_pack_some_rows_at_a_time():
    g = gemm.Gemm(1 << 20, 512, 512, 512, 1, 512, 1, 512)
    words = g.words(2)
    assert words[gemm.Word.PATH] == Path.SHARED
    assert words[gemm.Word.PARTS_AT_ONCE] < words[gemm.Word.ROW_PARTS]
    assert gemm.scratch_bytes(g, 2) < 1 << 24


def test_two_python_threads_at_once():
    rng = np.random.default_rng(0)
    wrong = []

    def caller(seed):
        a, b = random(rng, (150 + seed, 200), "f32"), random(rng, (200, 170), "f32")
        for _ in range(30):
            c = np.full((150 + seed, 170), np.nan, np.float32)
            multiply(a, b, c, "f32", threads=4)
            if not np.allclose(c, a @ b, atol=1e-3):
                wrong.append(seed)

    pool.set_threads(3)
    callers = [threading.Thread(target=caller, args=(seed,)) for seed in range(3)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    pool.set_threads(pool.available_cpus())
    assert not wrong


@pytest.mark.parametrize("m, n, b_row, b_col, path", [
    (100, 50, 50, 1, Path.BLOCKED), (100, 3, 3, 1, Path.STREAMED), (8, 50, 50, 1, Path.STREAMED),
    (1, 50, 50, 1, Path.VECTOR_ROWS), (1, 50, 1, 9, Path.VECTOR_DOTS),
    (1, 50, 7, 9, Path.STREAMED), (100, 1, 1, 1, Path.VECTOR_DOTS)])
def test_ways_are_chosen_by_shape(m, n, b_row, b_col, path):
    words = gemm.Gemm(m, n, 9, 9, 1, b_row, b_col, n).words(1)
    assert words[gemm.Word.PATH] == path


SHAPES = (5, 7, 9), (1, 70, 40), (70, 1, 40), (36, 50, 60), (96, 33, 31)


def compiled_pieces(dtype: str, machine: target.Target) -> str:
    """The text of all that products of some shapes and strides need, each compiled."""
    names = set()
    for m, n, k in SHAPES:
        for (a, a_col), (b, b_col) in zip([(k, 1), (1, m), (2 * k, 2)],
                                          [(n, 1), (1, k), (2 * n, 2)]):
            g = gemm.Gemm(m, n, k, a, a_col, b, b_col, n, dtype=dtype)
            names |= {gemm.symbol(dtype), *gemm.pieces(g, g.words(1)).values()}
    texts = {name: library.module(name, machine).text() for name in sorted(names)}
    for name, text in texts.items():
        assert len(target.compile_object(text, machine, quick=is_quick(name))) > 500
    return "\n".join(texts.values())


@pytest.mark.parametrize("name", ["sse2", "avx2", "avx512"])
@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16", "f16", "i8", "c64", "f8_e4m3fn_f32"])
def test_code_for_older_processors(dtype, name):
    """Every x86-64 machine that can run the level runs it; others only compile it."""
    machine = target.find(name)
    with config.using(cpu_target=name):
        compiled_pieces(dtype, machine)
        if machine.features <= target.find("").features:
            rng = np.random.default_rng(0)
            for m, n, k in SHAPES if dtype in DTYPES else ():
                for layouts in LAYOUTS:
                    run(rng, m, n, k, dtype, layouts)


@pytest.mark.parametrize("dtype", ["f32", "f16", "i32"])
def test_code_for_arm_compiles_with_wide_tiles(dtype):
    with config.using(cpu_target="apple-m1"):
        text = compiled_pieces(dtype, target.current())
    assert f"@{gemm.symbol(dtype, 'kernel.packed.12.2')}(" in text and "<4 x" in text


@pytest.mark.skipif(target.vector_bytes() < 64, reason="tiles are of registers of 512 bits")
def test_a_product_needs_few_functions():
    """All tiles of full width have one of two heights."""
    g = gemm.Gemm(128, 512, 784, 784, 1, 512, 1, 512)
    kinds = sorted(name.split(".", 2)[2] for name in gemm.pieces(g, g.words(2)).values())
    assert kinds == ["kernel.packed.12.2", "kernel.packed.13.2", "pack_a.lines",
                     "pack_b.rows", "shared", "tiles"]


@pytest.mark.parametrize("kind", ["pack_a.rows", "pack_b.rows"])
def test_rows_are_asked_for_before_they_are_packed(kind):
    text = library.module(gemm.symbol("f32", kind), target.current()).text()
    assert "call void @llvm.prefetch" in text

"""reduce_window and select_and_scatter: random windows against XLA, corners against loops."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from jax import lax
from jax._src.lax.windowed_reductions import _select_and_scatter
from random_windows import windows

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Builder, Type, trace_graph
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.shape import pad
from arraylib.hlo.ops.window import reduce_window, select_and_scatter
from arraylib.tracing.jvp import jvp
from arraylib.tracing.transpose import transpose

F32 = Type(dt.float32, ())


def region(function, *dtypes):
    return trace_graph([Type(d, ()) for d in dtypes] * 2, lambda *xs: function(*xs))


def binary(op, dtype):
    return region(lambda x, y: [op(x, y)], dtype)


def both_ways(op, arrays, attrs):
    """What the NumPy meaning gives, once the expansion is seen to give nearly the same."""
    found = op.evaluate(arrays, attrs)
    types = [Type(x.dtype, x.shape) for x in arrays]
    def written(*xs):
        outs = op.expand(*xs, **attrs)
        return outs if op.multiple else [outs]
    graph = trace_graph(types, written)
    assert tuple(Type(x.dtype, x.shape) for x in found) == graph.output_types \
        == op.result_types(types, attrs)
    for x, y in zip(found, interpret(graph, arrays)):
        close(x, y)
    return found


def close(x, y, times=8):
    wide = np.complex128 if dt.is_complex(x.dtype) else np.float64
    rounding = times * float(dt.finfo(x.dtype).eps) if dt.is_inexact(x.dtype) else 0
    np.testing.assert_allclose(x.astype(wide), np.asarray(y).astype(wide), rtol=rounding,
                               atol=rounding)


# -- reduce_window ---------------------------------------------------------------------------------


BODIES = {
    "sum": (ew.add, lax.add, 0, (dt.int8, dt.uint32, dt.bfloat16, dt.float32, dt.complex64)),
    "product": (ew.multiply, lax.mul, 1, (dt.float64,)),
    "largest": (ew.maximum, lax.max, -np.inf, (dt.float16, dt.float32)),
    "smallest": (ew.minimum, lax.min, 127, (dt.int8,)),
    "any": (ew.or_, lax.bitwise_or, False, (dt.bool_,))}


@settings(deadline=None, max_examples=10)
@given(windows(), st.sampled_from([(name, d) for name, body in BODIES.items() for d in body[3]]))
def test_reduce_window_is_that_of_xla(case, which):
    (shape, attrs), (name, dtype) = case, which
    op, theirs, init, _ = BODIES[name]
    x = np.random.default_rng(0).integers(-3 if dtype != dt.uint32 else 0, 4, shape).astype(dtype)
    init = np.asarray(init).astype(dtype)
    with jax.enable_x64(True):
        wanted = np.asarray(lax.reduce_window(
            x, init, theirs, attrs["window_dimensions"], attrs["window_strides"],
            attrs["padding"], attrs["base_dilations"], attrs["window_dilations"]))
    (found,) = both_ways(reduce_window, [x, init], {**attrs, "body": binary(op, dtype)})
    assert found.dtype == wanted.dtype
    close(found, wanted)


def affine(a, b, c, d):
    """x -> a x + b, then x -> c x + d: associative, not commutative."""
    return [ew.multiply(a, c), ew.add(ew.multiply(b, c), d)]


@settings(deadline=None, max_examples=40)
@given(windows())
def test_windows_are_folded_in_order(case):
    """Padding is with the initial values, which come once more in front."""
    shape, attrs = case
    rng = np.random.default_rng(0)
    xs = [rng.integers(-2, 3, shape).astype(np.int32) for _ in range(2)]
    inits = np.int32(-1), np.int32(3)
    body = region(affine, dt.int32, dt.int32)
    found = both_ways(reduce_window, [*xs, *inits], {**attrs, "body": body})
    low, high = zip(*attrs["padding"])
    interior = tuple(d - 1 for d in attrs["base_dilations"])
    padded = [pad.evaluate([x, init], {"low": low, "high": high, "interior": interior})[0]
              for x, init in zip(xs, inits)]
    for place in np.ndindex(found[0].shape):
        a, b = inits
        for offset in np.ndindex(attrs["window_dimensions"]):
            there = tuple(p * s + o * d for p, s, o, d in zip(
                place, attrs["window_strides"], offset, attrs["window_dilations"]))
            c, d = (v[there] for v in padded)
            a, b = a * c, b * c + d
        assert (found[0][place], found[1][place]) == (a, b)


RUNNING = {"window_strides": (1, 1), "base_dilations": (1, 1), "window_dilations": (1, 1)}


@pytest.mark.parametrize("n", [1, 2, 5, 64, 100, 127])
def test_long_windows_are_running_sums(n):
    x = np.random.default_rng(0).integers(-9, 9, (n, 3)).astype(np.int32)
    (found,) = both_ways(reduce_window, [x, np.int32(0)], {
        "body": binary(ew.add, dt.int32), **RUNNING, "window_dimensions": (n, 1),
        "padding": ((n - 1, 0), (0, 0))})
    np.testing.assert_array_equal(found, np.cumsum(x, 0))


@pytest.mark.parametrize("size, stride", [(1000, 1), (3000, 1), (100, 100), (17, 400), (8, 8)])
def test_any_window_is_few_nodes(size, stride):
    x = np.random.default_rng(0).integers(-9, 9, 3000).astype(np.int32)
    attrs = {"body": binary(ew.add, dt.int32), "window_dimensions": (size,),
             "window_strides": (stride,), "padding": ((0, 0),), "base_dilations": (1,),
             "window_dilations": (1,)}
    (found,) = both_ways(reduce_window, [x, np.int32(0)], attrs)
    windows = np.lib.stride_tricks.sliding_window_view(x, size)[::stride]
    np.testing.assert_array_equal(found, windows.sum(1))
    types = [Type(dt.int32, (3000,)), Type(dt.int32, ())]
    assert len(trace_graph(types, lambda *xs: reduce_window.expand(*xs, **attrs)).nodes) < 60


def test_where_no_window_fits_there_is_none():
    body = binary(ew.add, dt.float32)
    for shape, padding, sizes in (((2, 3), ((0, 0), (-2, -2)), (1, 1)), ((0, 3), ((0, 0),) * 2,
                                  (1, 1)), ((2, 3), ((0, 0),) * 2, (5, 1))):
        (found,) = both_ways(reduce_window, [np.ones(shape, np.float32), np.float32(0)], {
            "body": body, **RUNNING, "window_dimensions": sizes, "padding": padding})
        assert found.size == 0


def test_windows_of_padding_only_and_of_scalars():
    (found,) = both_ways(reduce_window, [np.ones((0, 1), np.float32), np.float32(3)], {
        "body": binary(ew.maximum, dt.float32), **RUNNING, "window_dimensions": (2, 1),
        "padding": ((2, 1), (0, 0))})
    np.testing.assert_array_equal(found, [[3], [3]])
    none = {name: () for name in ("window_dimensions", "padding", *RUNNING)}
    (found,) = both_ways(reduce_window, [np.float32(2), np.float32(5)],
                         {"body": binary(ew.add, dt.float32), **none})
    assert found == 7


def test_a_window_may_be_summed_in_a_wider_dtype():
    x = np.full((300, 1), 1, dt.bfloat16)
    (found,) = both_ways(reduce_window, [x, x[0, 0]], {
        "body": binary(ew.add, dt.float32), **RUNNING, "window_dimensions": (300, 1),
        "padding": ((0, 0), (0, 0))})
    assert found.dtype == np.float32 and found == 301


def pullback(op, attrs, arrays, ct, wrt=0):
    """The cotangent of one operand."""
    types = [Type(x.dtype, x.shape) for x in arrays]
    def forward(*xs):
        out = op(*xs, **attrs)
        return out if op.multiple else [out]
    graph = trace_graph(types, forward)
    with Builder() as builder:
        t = builder.input(types[wrt])
        xs = [builder.own(np.asarray(x)) for x in arrays]
        ts = [t if i == wrt else None for i in range(len(xs))]
        linear, outer = builder.build([jvp(graph, xs, ts)[0][1]])
    known = [None, *map(np.asarray, outer)]
    types = [Type(ct.dtype, ct.shape), *(Type(x.dtype, x.shape) for x in known[1:])]
    backward = trace_graph(types, lambda ct, *xs: transpose(
        linear, [True] + [False] * len(xs), [None, *xs], [ct]))
    return interpret(backward, [ct, *known[1:]])[0]


@settings(deadline=None, max_examples=6)
@given(windows(dilations=False), st.sampled_from(["largest", "smallest", "sum"]))
def test_derivatives_of_pooling_are_those_of_jax(case, name):
    """Of equal elements the first has it, as when XLA selects and scatters."""
    shape, attrs = case
    op, theirs, init, _ = BODIES[name]
    init = np.float32(np.inf if name == "smallest" else init)
    x = np.random.default_rng(0).integers(-2, 2, shape).astype(np.float32)
    def pool(x):
        return lax.reduce_window(x, init, theirs, attrs["window_dimensions"],
                                 attrs["window_strides"], attrs["padding"])
    out, vjp = jax.vjp(pool, x)
    ct = np.random.default_rng(1).integers(-3, 4, out.shape).astype(np.float32)
    ones = (1,) * len(shape)
    found = pullback(reduce_window, {**attrs, "body": binary(op, dt.float32),
                                     "base_dilations": ones, "window_dilations": ones},
                     [x, init], ct)
    np.testing.assert_array_equal(found, vjp(ct)[0])


@settings(deadline=None, max_examples=30)
@given(windows())
def test_the_transpose_of_window_sums(case):
    """<ct, sums of t> == <transpose of ct, t>, for any dilations and negative padding."""
    shape, attrs = case
    rng = np.random.default_rng(0)
    t, zero = rng.integers(-9, 9, shape).astype(np.float64), np.float64(0)
    attrs = {**attrs, "body": binary(ew.add, dt.float64)}
    (out,) = reduce_window.evaluate([t, zero], attrs)
    ct = rng.integers(-9, 9, out.shape).astype(np.float64)
    found = pullback(reduce_window, attrs, [t, zero], ct)
    assert found.shape == t.shape
    assert np.sum(ct * out) == np.sum(found * t)


def test_the_initial_value_of_a_sum_has_a_derivative():
    attrs = {"body": binary(ew.add, dt.float32), **RUNNING, "window_dimensions": (2, 1),
             "padding": ((1, 0), (0, 0))}
    arrays = [np.ones((3, 2), np.float32), np.float32(0)]
    found = pullback(reduce_window, attrs, arrays, np.ones((3, 2), np.float32), wrt=1)
    assert found == 6 + 2  # once for each window, and once for each place of padding


def test_an_extreme_that_is_the_initial_value_has_no_derivative():
    attrs = {"body": binary(ew.maximum, dt.float32), **RUNNING, "window_dimensions": (1, 2),
             "padding": ((0, 0), (0, 0))}
    x = np.array([[1, 2, 5, 3]], np.float32)
    found = pullback(reduce_window, attrs, [x, np.float32(4)], np.ones((1, 3), np.float32))
    np.testing.assert_array_equal(found, [[0, 0, 2, 0]])


def test_reduce_window_refuses():
    x, add = Type(dt.float32, (3, 4)), binary(ew.add, dt.float32)
    attrs = {"body": add, **RUNNING, "window_dimensions": (2, 2), "padding": ((0, 0), (0, 0))}
    def check(message, types, error=ShapeError, **changed):
        with pytest.raises(error, match=message):
            reduce_window.result_types(types, {**attrs, **changed})
    check("reduce_window: 0 operands", [])
    check("reduce_window: 1 operands, but there must be one initial value", [x])
    check("operand 1 has shape", [x, Type(dt.float32, (4,)), F32, F32])
    check("initial value 0 is f32.3,4., not a scalar", [x, x])
    for name in ("window_dimensions", "window_strides", "base_dilations", "window_dilations"):
        check(rf"{name} \(2,\) for 2 axes", [x, F32], **{name: (2,)})
        check(rf"{name} \(2, 0\) for 2 axes", [x, F32], **{name: (2, 0)})
    check(r"padding \(\(0, 0\),\) for 2 axes", [x, F32], padding=((0, 0),))
    check(r"padding \(\(0, 0\), \(1,\)\) for 2 axes", [x, F32], padding=((0, 0), (1,)))
    check("the body gives 1 results for 2 operands", [x, x, F32, F32])
    check("the body combines int32 but operand 0 is float32", [x, F32], DtypeError,
          body=binary(ew.add, dt.int32))


# -- select_and_scatter ----------------------------------------------------------------------------


def chooses(direction, dtype):
    return region(lambda x, y: [ew.compare(x, y, direction=direction)], dtype)


@settings(deadline=None, max_examples=6)
@given(windows(dilations=False), st.sampled_from([
    ("GE", lax.ge, dt.float32), ("LE", lax.le, dt.int8), ("GT", lax.gt, dt.bfloat16),
    ("GE", lax.ge, dt.uint32)]))
def test_select_and_scatter_is_that_of_xla(case, which):
    """Without equal elements: XLA is not always for the first of them."""
    (shape, attrs), (direction, theirs, dtype) = case, which
    rng = np.random.default_rng(0)
    x = rng.permutation(np.arange(np.prod(shape)) - 100 * (dtype == dt.int8)).reshape(shape).astype(
        dtype)
    ones = (1,) * len(shape)
    sums = {**attrs, "body": binary(ew.add, dtype), "base_dilations": ones,
            "window_dilations": ones}
    (type,) = reduce_window.result_types([Type(dtype, shape), Type(dtype, ())], sums)
    source, init = rng.integers(0, 9, type.shape).astype(dtype), np.asarray(0).astype(dtype)
    (found,) = both_ways(select_and_scatter, [x, source, init], {
        **attrs, "select": chooses(direction, dtype), "scatter": binary(ew.add, dtype)})
    wanted = _select_and_scatter(
        x, theirs, attrs["window_dimensions"], attrs["window_strides"], attrs["padding"],
        source, init, lax.add)
    np.testing.assert_array_equal(found, np.asarray(wanted))


ROW = {"window_dimensions": (2,), "window_strides": (2,), "padding": ((0, 0),)}


def test_any_body_may_select_and_scatter():
    """Select what is nearer to 3; scatter by 2 * there + arriving, in the order of windows."""
    nearer = region(lambda x, y: [ew.compare(ew.abs(ew.subtract(x, np.float32(3))),
                                             ew.abs(ew.subtract(y, np.float32(3))),
                                             direction="LE")], dt.float32)
    doubled = region(lambda x, y: [ew.add(ew.add(x, x), y)], dt.float32)
    x, source = np.array([9, 3, 5, 1], np.float32), np.array([1, 10, 100], np.float32)
    (found,) = both_ways(select_and_scatter, [x, source, np.float32(1)], {
        **ROW, "window_strides": (1,), "select": nearer, "scatter": doubled})
    np.testing.assert_array_equal(found, [1, 2 * (2 * 1 + 1) + 10, 2 * 1 + 100, 1])


@pytest.mark.parametrize("direction, place", [("GE", 1), ("GT", 4)])
def test_among_equal_elements_the_region_decides(direction, place):
    x = np.array([[0, 7, 2], [7, 7, 1]], np.float32)
    (found,) = both_ways(select_and_scatter, [x, np.ones((1, 1), np.float32), np.float32(0)], {
        "window_dimensions": (2, 3), "window_strides": (1, 1), "padding": ((0, 0), (0, 0)),
        "select": chooses(direction, dt.float32), "scatter": binary(ew.add, dt.float32)})
    assert found.ravel()[place] == found.sum() == 1


def test_a_window_of_padding_scatters_nothing():
    (found,) = both_ways(select_and_scatter, [
        np.array([-1, -2], np.float32), np.array([5, 7], np.float32), np.float32(0)], {
        **ROW, "padding": ((2, 0),), "select": chooses("GE", dt.float32),
        "scatter": binary(ew.add, dt.float32)})
    np.testing.assert_array_equal(found, [7, 0])


def test_scattered_sums_may_be_wider():
    x, source = np.ones(2, np.float16), np.ones(1, np.float16)
    (found,) = both_ways(select_and_scatter, [x, source, np.float16(2)], {
        **ROW, "select": chooses("GE", dt.float16), "scatter": binary(ew.add, dt.float32)})
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [3, 2])


def test_select_and_scatter_refuses():
    x, source = Type(dt.float32, (4,)), Type(dt.float32, (2,))
    attrs = {**ROW, "select": chooses("GE", dt.float32), "scatter": binary(ew.add, dt.float32)}
    def check(message, types, error=ShapeError, **changed):
        with pytest.raises(error, match=message):
            select_and_scatter.result_types(types, {**attrs, **changed})
    check(r"the source is f32\[4\], but the windows of the operand are f32\[2\]", [x, x, F32])
    check(r"the source is i32\[2\], but", [x, source.with_dtype(dt.int32), F32])
    check(r"the initial value is f32\[4\], not a scalar of float32", [x, source, x])
    check(r"window_strides \(0,\) for 1 axes", [x, source, F32], window_strides=(0,))
    check(r"padding \(\) for 1 axes", [x, source, F32], padding=())
    check(r"`select` is .* but must be \(f32\[\], f32\[\]\) -> \(bool\[\]\)", [x, source, F32],
          select=binary(ew.add, dt.float32))
    check("`scatter` combines int32 but operand 0 is float32", [x, source, F32], DtypeError,
          scatter=binary(ew.add, dt.int32))

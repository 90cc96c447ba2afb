"""Convolutions as native programs: random ones against the interpreter, larger ones against JAX."""

import jax
import numpy as np
import pytest
from convolutions import convolutions, numbers
from hypothesis import example, given, settings, strategies as st
from run_plan import SUPPORTS, run_plan

from arraylib import config, jit, lax, vjp
from arraylib.backends.cpu import backend
from arraylib.backends.cpu.convolution import direct
from arraylib.backends.cpu.convolution.lines import Axis, planes
from arraylib.backends.cpu.program import write_program
from arraylib.backends.lower import convolution_few, convolution_groups, lower
from arraylib.backends.lower.plan import ConvolutionStep, GemmStep, HostStep, LoopStep
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops.convolution import convolution

NHWC, NCHW = ("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW")


def graph_of(case, dtype):
    shape, window, attrs = case
    return trace_graph([Type(dtype, shape), Type(dtype, window)],
                       lambda x, w: [convolution(x, w, **attrs)])


DTYPES = ["float32", "float64", "float16", "bfloat16", "int8", "uint8", "int32", "int64", "uint32"]


@settings(deadline=None, max_examples=30)
@given(convolutions(empty=True), st.sampled_from(DTYPES))
def test_programs_agree_with_the_interpreter(case, dtype):
    graph = graph_of(case, np.dtype(dtype) if dtype != "bfloat16" else jax.numpy.bfloat16.dtype)
    arrays = [numbers(t.shape, t.dtype, i) for i, t in enumerate(graph.input_types)]
    plan = backend.lowered(graph)
    assert not any(isinstance(step, HostStep) for step in plan.steps)
    (found,) = backend.build(write_program(plan)).run(arrays)
    (expected,) = interpret(graph, arrays)
    np.testing.assert_array_equal(np.asarray(found), expected)  # small integers: sums are exact


@settings(deadline=None, max_examples=15)
@given(convolutions(empty=True))
@example(((1, 2, 2), (1, 2, 1), {  # its sums over an empty range are what they start from
    "lhs_spec": (0, 1, 2), "rhs_spec": (0, 1, 2), "out_spec": (0, 1, 2), "window_strides": (1,),
    "padding": ((0, 1),), "lhs_dilation": (1,), "rhs_dilation": (1,), "window_reversal": (False,),
    "feature_group_count": 1, "batch_group_count": 1, "dtype": None}))
def test_plans_agree_with_the_interpreter(case):
    graph = graph_of(case, np.float64)
    arrays = [numbers(t.shape, t.dtype, i) for i, t in enumerate(graph.input_types)]
    (found,) = run_plan(lower(graph, SUPPORTS), arrays)
    np.testing.assert_array_equal(found, interpret(graph, arrays)[0])


# One part of one feature and one tap: there is nothing to add up, in a kernel of sums.
ONE_PART = ((1, 2, 2), (2, 1, 2), {
    **dict.fromkeys(["lhs_spec", "rhs_spec", "out_spec"], (0, 1, 2)), "window_strides": (1,),
    "padding": ((0, 0),), "lhs_dilation": (1,), "rhs_dilation": (1,), "window_reversal": (False,),
    "feature_group_count": 2, "batch_group_count": 1, "dtype": None})


@settings(deadline=None, max_examples=25)
@example(ONE_PART, "float32", True)
@given(convolutions(), st.sampled_from(["float32", "int64"]), st.booleans())
def test_forms_for_large_convolutions_hold_for_any(case, dtype, parts):
    """Lanes along the groups or the last axis, sums in parts, products of all taps first."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"MANY_GROUPS": 2, "LONG_LINE": 1, "PART": 8,
                            "MANY_TAPS": 1 if parts else 1 << 10}.items():
            patch.setattr(convolution_groups, name, value)
        patch.setattr(convolution_few, "MOST_WASTE", 100)
        patch.setattr(convolution_few, "PIECE_BYTES", 64)
        check(graph_of(case, np.dtype(dtype)))


@settings(deadline=None, max_examples=25)
@given(convolutions(), st.sampled_from(["float32", "float64", "int32"]), st.integers(1, 4096),
       st.integers(1, 4096), st.integers(1, 40), st.booleans())
def test_packed_lines_hold_for_any(case, dtype, block, inner, steps, parts):
    """Tiles of any height; blocks of lines, and parts of sums, of any size."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"_FEW_ROWS": 1, "_BLOCK_BYTES": block, "_INNER_BYTES": inner,
                            "_SUM_STEPS": steps, "_PARTIAL_BYTES": parts << 20,
                            "_OTHER_BYTES": inner}.items():
            patch.setattr(direct, name, value)
        direct.plan_of.cache_clear()
        check(graph_of(case, np.dtype(dtype)))
    direct.plan_of.cache_clear()


@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 4), st.integers(1, 9),
       st.integers(-3, 3))
def test_choices_find_their_places_in_packed_lines(moving, chosen, step, dilation, low):
    axis = Axis(moving, chosen, step, dilation, low, 0, 1, 1, 1)
    found = planes(axis, moving)
    packed = [plane.first + i * step for plane in found.planes for i in range(plane.length)]
    assert len(packed) == found.length <= moving * chosen
    assert [plane.start for plane in found.planes] == [
        sum(p.length for p in found.planes[:i]) for i in range(len(found.planes))]
    for choice, start in enumerate(found.starts):
        assert packed[start:start + moving] == [
            m * step + choice * dilation - low for m in range(moving)]


def test_no_plan_is_made_of_more_chunks_than_a_table_may_have(monkeypatch):
    monkeypatch.setattr(direct, "plan_of", None)
    one, side = Axis(1, 1, 1, 1, 0, 1, 1, 1, 0), Axis(512, 1024, 1, 1, 512, 1024, 3, 8, 24)
    huge = direct.Direct(direct.WINDOWS, (one, one, side, side), 3, 8, 8, 1, (1, 0, 0, 0), "f32")
    assert not huge.is_worth_it


def check(graph):
    """Against the interpreter; small integers, so that sums are exact."""
    arrays = [numbers(t.shape, t.dtype, i) for i, t in enumerate(graph.input_types)]
    plan = backend.lowered(graph)
    (found,) = backend.build(write_program(plan)).run(arrays)
    np.testing.assert_array_equal(np.asarray(found), interpret(graph, arrays)[0])


def test_products_of_all_taps_are_shared_by_phases_and_the_same_for_parts_of_the_batch(monkeypatch):
    # The gradient of an image that windows went over in steps of two lines.
    graph = graph_of(((3, 13, 12, 40), (7, 7, 40, 3), {
        "lhs_spec": (0, 3, 1, 2), "rhs_spec": (3, 2, 0, 1), "out_spec": (0, 3, 1, 2),
        "window_strides": (1, 1), "padding": ((5, 4), (3, 5)), "lhs_dilation": (2, 1),
        "rhs_dilation": (1, 1), "window_reversal": (True, False), "feature_group_count": 1,
        "batch_group_count": 1, "dtype": None}), np.dtype(np.float32))
    rng, found, counts = np.random.default_rng(0), [], []
    arrays = [rng.standard_normal(t.shape, np.float32) for t in graph.input_types]
    for nbytes in (1 << 30, 1 << 12):
        monkeypatch.setattr(convolution_few, "PIECE_BYTES", nbytes)
        plan = backend.lowered(graph)
        counts.append(sum(isinstance(step, GemmStep) for step in plan.steps))
        found.append(np.asarray(backend.build(write_program(plan)).run(arrays)[0]))
    assert counts == [1, 3]
    np.testing.assert_array_equal(*found)
    expected = interpret(graph, arrays)[0]
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_infinities_stay_in_their_group():
    for features, out in ((1, 1), (2, 2), (4, 4), (8, 8)):
        x, w = numbers((1, 20, 20, 16 * features)), numbers((3, 3, features, 16 * out))
        x = x.astype(np.float32)
        x[0, 7, 8, 3 * features] = np.inf
        function = jit(lambda x, w: lax.conv_general_dilated(
            x, w, (1, 1), "SAME", dimension_numbers=NHWC, feature_group_count=16))
        found = np.isfinite(np.asarray(function(x, w.astype(np.float32)))).all((0, 1, 2))
        assert list(np.flatnonzero(~found)) == [
            o for o in range(3 * out, 4 * out)]


def forward_and_backward(module, vjp, case):
    """A function that gives a convolution's result and both gradients for a cotangent."""
    *_, strides, padding, names, options = case
    def both(x, w, c):
        out, back = vjp(lambda x, w: module.conv_general_dilated(
            x, w, strides, padding, dimension_numbers=names, **options), x, w)
        return out, *back(c)
    return both


def operands(case, dtype=np.float32):
    """Random x, w and cotangent."""
    shape, window, strides, padding, names, options = case
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(s).astype(dtype) for s in (shape, window))
    out = jax.eval_shape(lambda x, w: jax.lax.conv_general_dilated(
        x, w, strides, padding, dimension_numbers=names, **options), x, w)
    return x, w, rng.standard_normal(out.shape).astype(dtype)


# Several blocks along each loop: rows, columns, runs of features, taps; and remainders of each.
CASES = {
    "many rows": ((3, 23, 17, 16), (3, 3, 16, 33), (1, 1), "SAME", NHWC, {}),
    "long runs": ((1, 4, 5, 1100), (2, 2, 1100, 40), (1, 1), "SAME", NHWC, {}),
    "many taps": ((1, 12, 12, 40), (7, 7, 40, 70), (1, 1), "SAME", NHWC, {}),
    "strided": ((2, 15, 16, 20), (3, 3, 20, 24), (2, 2), "SAME", NHWC, {}),
    "strided, one tap": ((2, 15, 16, 20), (1, 1, 20, 24), (2, 2), "VALID", NHWC, {}),
    "strided, many results": ((2, 9, 12, 20), (1, 1, 20, 136), (2, 3), "VALID", NHWC, {}),
    "one tap": ((2, 9, 8, 20), (1, 1, 20, 24), (1, 1), "VALID", NHWC, {}),
    "first layer": ((2, 33, 32, 3), (7, 7, 3, 40), (2, 2), "SAME", NHWC, {}),
    "one feature": ((3, 14, 15, 1), (5, 5, 1, 32), (1, 1), "SAME", NHWC, {}),
    "dilated": ((2, 15, 16, 20), (3, 3, 20, 24), (1, 1), "SAME", NHWC, {"rhs_dilation": (2, 3)}),
    "enlarging": ((2, 7, 6, 20), (3, 3, 20, 24), (1, 1), ((2, 1), (1, 2)), NHWC,
                  {"lhs_dilation": (2, 3)}),
    "channels first": ((2, 20, 13, 11), (24, 20, 3, 3), (2, 1), "SAME", NCHW, {}),
    "channels first, few": ((2, 3, 13, 11), (24, 3, 5, 5), (2, 2), "SAME", NCHW, {}),
    "groups": ((2, 9, 10, 24), (3, 3, 6, 40), (1, 1), "SAME", NHWC, {"feature_group_count": 4}),
    "depthwise": ((2, 9, 10, 24), (3, 3, 1, 48), (2, 2), "SAME", NHWC,
                  {"feature_group_count": 24}),
    "small groups": ((2, 9, 20, 24), (3, 3, 3, 32), (1, 1), "SAME", NHWC,
                     {"feature_group_count": 8}),
    "small groups, strided": ((2, 9, 40, 16), (3, 3, 2, 24), (2, 2), "SAME", NHWC,
                              {"feature_group_count": 8}),
    "depthwise, long": ((3, 45, 30, 24), (3, 3, 1, 24), (1, 1), "SAME", NHWC,
                        {"feature_group_count": 24}),
    "patches": ((2, 24, 16, 3), (8, 8, 3, 40), (8, 8), "VALID", NHWC, {}),
    "batch groups": ((6, 9, 10, 24), (3, 3, 24, 40), (1, 1), "SAME", NHWC,
                     {"batch_group_count": 2}),
    "less than a window": ((2, 2, 3, 8), (5, 5, 8, 8), (1, 1), ((2, 1), (2, 2)), NHWC, {}),
    "outside": ((2, 9, 10, 24), (3, 3, 24, 8), (1, 1), ((-2, -1), (4, -3)), NHWC, {}),
    "volume": ((2, 5, 6, 7, 4), (3, 2, 3, 4, 8), (1, 2, 1), "SAME",
               ("NDHWC", "DHWIO", "NDHWC"), {}),
    "line": ((3, 50, 8), (5, 8, 12), (2,), "SAME", ("NWC", "WIO", "NWC"), {}),
}


@pytest.mark.parametrize("name", CASES)
def test_convolutions_and_gradients_are_those_of_jax(name):
    case, arrays = CASES[name], operands(CASES[name])
    with jax.enable_x64(True):
        expected = jax.jit(forward_and_backward(jax.lax, jax.vjp, case))(
            *(v.astype(np.float64) for v in arrays))
    found = jit(forward_and_backward(lax, vjp, case))(*arrays)
    for value, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(value), other, rtol=0,
                                   atol=2e-6 * max(1.0, np.abs(np.asarray(other)).max()))


@pytest.mark.parametrize("name", ["many rows", "long runs", "groups", "enlarging", "first layer",
                                  "small groups", "depthwise, long"])
def test_results_do_not_depend_on_the_number_of_threads(name):
    both, arrays, found = forward_and_backward(lax, vjp, CASES[name]), operands(CASES[name]), []
    for threads in (1, 2, 5):
        with config.using(cpu_threads=threads):
            found.append([np.asarray(v) for v in jit(both)(*arrays)])
    for values in found[1:]:
        for one, other in zip(found[0], values, strict=True):
            np.testing.assert_array_equal(one, other)


def steps(shape, window, function):
    graph = trace_graph([Type(np.float32, shape), Type(np.float32, window)], function)
    return [type(step) for step in backend.lowered(graph).steps]


def conv(x, w, strides=(1, 1), **options):
    attrs = {"lhs_spec": (0, 3, 1, 2), "rhs_spec": (3, 2, 0, 1), "out_spec": (0, 3, 1, 2),
             "window_strides": strides, "padding": ((0, 0),) * 2, "lhs_dilation": (1, 1),
             "rhs_dilation": (1, 1), "window_reversal": (False,) * 2, "feature_group_count": 1,
             "batch_group_count": 1, "dtype": None, **options}
    return [convolution(x, w, **attrs)]


def test_one_tap_is_a_matrix_product_and_nothing_is_copied():
    assert steps((2, 8, 8, 32), (1, 1, 32, 16), conv) == [GemmStep]
    assert steps((2, 8, 8, 32), (3, 3, 32, 16), conv) == [ConvolutionStep]
    assert steps((2, 8, 8, 32), (1, 1, 32, 16), lambda x, w: conv(x, w, (2, 2))) \
        == [ConvolutionStep]


def test_strided_places_of_one_tap_are_copied_for_the_product_of_many_results():
    def gradient(x, cotangent):
        return conv(x, cotangent, lhs_spec=(3, 0, 1, 2), rhs_spec=(3, 0, 1, 2),
                    out_spec=(2, 3, 0, 1), rhs_dilation=(2, 2), padding=((0, -1),) * 2)

    assert steps((2, 8, 8, 32), (1, 1, 32, 136), lambda x, w: conv(x, w, (2, 2))) \
        == [LoopStep, GemmStep]
    assert steps((2, 8, 8, 32), (2, 4, 4, 136), gradient) == [LoopStep, GemmStep]


def test_zeros_between_elements_are_not_multiplied():
    found = steps((2, 8, 8, 32), (3, 3, 32, 16), lambda x, w: conv(
        x, w, lhs_dilation=(2, 2), padding=((1, 2), (1, 2))))
    assert found == [ConvolutionStep] * 4

"""convolution: random axes, windows and groups, against XLA; its transposes and batches."""

import jax
import numpy as np
import pytest
from convolutions import convolutions, numbers, permuted
from hypothesis import given, settings, strategies as st
from jax import lax

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops.convolution import convolution

PLAIN = {"lhs_spec": (0, 1, 2), "rhs_spec": (0, 1, 2), "out_spec": (0, 1, 2),
         "window_strides": (1,), "padding": ((0, 0),), "lhs_dilation": (1,), "rhs_dilation": (1,),
         "window_reversal": (False,), "feature_group_count": 1, "batch_group_count": 1,
         "dtype": None}


def theirs(x, kernel, attrs):
    """XLA's convolution; it has no name for a kernel turned round, so that we do it."""
    turned = [d for d, turn in zip(attrs["rhs_spec"][2:], attrs["window_reversal"]) if turn]
    specs = lax.ConvDimensionNumbers(attrs["lhs_spec"], attrs["rhs_spec"], attrs["out_spec"])
    names = ("window_strides", "padding", "lhs_dilation", "rhs_dilation", "feature_group_count",
             "batch_group_count")
    with jax.enable_x64(True):
        return np.asarray(lax.conv_general_dilated(
            x, np.flip(kernel, turned), dimension_numbers=specs,
            preferred_element_type=attrs["dtype"], **{name: attrs[name] for name in names}))


def fits(x, kernel, attrs):
    """XLA refuses padding that takes away more than there is."""
    return all(max(n - 1, -1) * base + 1 + sum(pair) >= 0 for n, base, pair in zip(
        [x[d] for d in attrs["lhs_spec"][2:]], attrs["lhs_dilation"], attrs["padding"]))


@settings(deadline=None, max_examples=12)
@given(convolutions(), st.sampled_from([np.float32, np.float64, np.int32, np.complex64]))
def test_convolution_is_that_of_xla(case, dtype):
    shape, window, attrs = case
    x, kernel = numbers(shape, dtype), numbers(window, dtype, 1)
    (found,) = convolution.evaluate([x, kernel], attrs)
    (type,) = convolution.result_types([Type(dtype, shape), Type(dtype, window)], attrs)
    assert Type(found.dtype, found.shape) is type
    if fits(shape, window, attrs):
        np.testing.assert_array_equal(found, theirs(x, kernel, attrs))


def by_definition(x, kernel, attrs):
    """Every product once, from the definition."""
    x, kernel = np.transpose(x, attrs["lhs_spec"]), np.transpose(kernel, attrs["rhs_spec"])
    features, batches = attrs["feature_group_count"], attrs["batch_group_count"]
    (type,) = convolution.result_types(
        [Type(v.dtype, permuted(v.shape, attrs[s])) for v, s in ((x, "lhs_spec"),
                                                                 (kernel, "rhs_spec"))], attrs)
    out = np.transpose(np.zeros(type.shape), attrs["out_spec"])
    for b, o, *place in np.ndindex(out.shape):
        feature = o // (kernel.shape[0] // features) * kernel.shape[1]
        batch = o // (kernel.shape[0] // batches) * out.shape[0] + b
        for i, *offset in np.ndindex(kernel.shape[1:]):
            there = [p * s + w * d - low for p, s, w, d, (low, _) in zip(
                place, attrs["window_strides"], offset, attrs["rhs_dilation"], attrs["padding"])]
            base = attrs["lhs_dilation"]
            if all(t % d == 0 and 0 <= t // d < n for t, d, n in zip(there, base, x.shape[2:])):
                turned = [n - 1 - w if turn else w for w, n, turn in zip(
                    offset, kernel.shape[2:], attrs["window_reversal"])]
                element = x[(batch, feature + i, *(t // d for t, d in zip(there, base)))]
                out[(b, o, *place)] += element * kernel[(o, i, *turned)]
    return np.transpose(out, np.argsort(attrs["out_spec"]))


@settings(deadline=None, max_examples=25)
@given(convolutions(empty=True))
def test_convolution_is_what_its_definition_says(case):
    shape, window, attrs = case
    x, kernel = numbers(shape), numbers(window, seed=1)
    (found,) = convolution.evaluate([x, kernel], attrs)
    np.testing.assert_array_equal(found, by_definition(x, kernel, attrs))


@pytest.mark.parametrize("dtype", [dt.int8, dt.uint32, dt.bfloat16, dt.float16], ids=str)
def test_other_dtypes_are_those_of_xla(dtype):
    x, kernel = numbers((2, 3, 6), dtype), numbers((4, 3, 3), dtype, 1)
    (found,) = convolution.evaluate([x, kernel], PLAIN)
    wanted = theirs(x, kernel, PLAIN)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found.astype(np.float64), wanted.astype(np.float64))


@pytest.mark.parametrize("narrow, wide", [(dt.bfloat16, dt.float32), (dt.int8, dt.int32),
                                          (dt.float16, dt.float64)], ids=str)
def test_a_result_may_be_wider(narrow, wide):
    x, kernel = numbers((1, 300, 1), narrow), numbers((1, 300, 1), narrow, 1)
    (found,) = convolution.evaluate([x, kernel], {**PLAIN, "dtype": wide})
    assert found.dtype == wide
    assert found == np.sum(x.astype(np.float64) * kernel.astype(np.float64).reshape(x.shape))


def test_halves_are_summed_in_float32_and_rounded_once():
    x = np.full((1, 4097, 1), 1, dt.bfloat16)
    (found,) = convolution.evaluate([x, x], PLAIN)
    assert found == np.float32(4097).astype(dt.bfloat16)


def test_integers_wrap_and_truth_values_meet():
    x = np.full((1, 2, 1), 100, np.int8)
    (found,) = convolution.evaluate([x, x], PLAIN)
    assert found == np.int64(20000).astype(np.int8)
    x = np.full((1, 2, 1), 5, dt.int4)
    (found,) = convolution.evaluate([x, x], PLAIN)
    assert found.dtype == dt.int4 and int(found[0, 0, 0]) == 50 - 48
    x = np.array([True, False, True]).reshape(1, 1, 3)
    kernel = np.array([True, True]).reshape(1, 1, 2)
    (found,) = convolution.evaluate([x, kernel], {**PLAIN, "padding": ((2, 2),)})
    np.testing.assert_array_equal(found.ravel(), [False, True, True, True, True, False])


def test_large_ones_are_done_in_pieces():
    """Beyond the size of a piece; features next to each other, and in planes; depthwise."""
    square = {**PLAIN, **{s: (0, 3, 1, 2) for s in ("lhs_spec", "out_spec")},
              "rhs_spec": (3, 2, 0, 1), "window_strides": (1, 1), "padding": ((1, 1),) * 2,
              "lhs_dilation": (1, 1), "rhs_dilation": (1, 1), "window_reversal": (False,) * 2}
    for shape, window, groups in (
            ((9, 40, 40, 32), (3, 3, 32, 4), 1), ((9, 64, 64, 3), (5, 5, 3, 4), 1),
            ((2, 200, 90, 16), (3, 3, 16, 4), 1), ((2, 9, 9, 8), (3, 3, 1, 16), 8)):
        x, kernel = numbers(shape, np.float32), numbers(window, np.float32, 1)
        attrs = {**square, "feature_group_count": groups}
        (found,) = convolution.evaluate([x, kernel], attrs)
        np.testing.assert_array_equal(found, theirs(x, kernel, attrs))


# -- transposes and batches ------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(convolutions(empty=True))
def test_transposes(case):
    """<ct, x * kernel> == <transpose of ct, x> == <other transpose of ct, kernel>"""
    shape, window, attrs = case
    x, kernel = numbers(shape), numbers(window, seed=1)
    (out,) = convolution.evaluate([x, kernel], attrs)
    ct = numbers(out.shape, seed=2)
    types = [Type(v.dtype, v.shape) for v in (ct, x, kernel)]
    graph = trace_graph(types, lambda *xs: [rule(*xs, **attrs) for rule in convolution.transpose])
    assert graph.output_types == tuple(types[1:])
    back = interpret(graph, [ct, x, kernel])
    assert np.sum(ct * out) == np.sum(back[0] * x) == np.sum(back[1] * kernel)


def test_transposes_of_a_wider_result():
    x, kernel = numbers((1, 2, 5), dt.bfloat16), numbers((3, 2, 2), dt.bfloat16, 1)
    attrs = {**PLAIN, "dtype": dt.float32}
    (out,) = convolution.evaluate([x, kernel], attrs)
    types = [Type(v.dtype, v.shape) for v in (out, x, kernel)]
    graph = trace_graph(types, lambda *xs: [rule(*xs, **attrs) for rule in convolution.transpose])
    assert graph.output_types == tuple(types[1:])


@settings(deadline=None, max_examples=40)
@given(convolutions(), st.sampled_from([(True, True), (True, False), (False, True)]))
def test_batches(case, has):
    shape, window, attrs = case
    size, types = 2, [Type(np.float64, shape), Type(np.float64, window)]
    arrays = [numbers((size, *t.shape) if h else t.shape, seed=i)
              for i, (t, h) in enumerate(zip(types, has))]
    graph = trace_graph([Type(x.dtype, x.shape) for x in arrays],
                        lambda *xs: [convolution.batch(xs, has, size, **attrs)])
    (found,) = interpret(graph, arrays)
    for i in range(size):
        alone = [x[i] if h else x for x, h in zip(arrays, has)]
        np.testing.assert_array_equal(found[i], convolution.evaluate(alone, attrs)[0])


# -- mistakes --------------------------------------------------------------------------------------


def test_convolution_refuses():
    x, kernel = Type(dt.float32, (2, 4, 5)), Type(dt.float32, (6, 4, 3))
    def check(message, types=(x, kernel), error=ShapeError, **changed):
        with pytest.raises(error, match=f"convolution: {message}"):
            convolution.result_types(types, {**PLAIN, **changed})
    check("the array is float32 but the kernel is int32", (x, kernel.with_dtype(dt.int32)),
          DtypeError)
    check("a result of float16 from operands of float32", error=DtypeError, dtype=dt.float16)
    check("a result of float32 from operands of int8", [t.with_dtype(dt.int8) for t in (x, kernel)],
          DtypeError, dtype=dt.float32)
    check("an array of 3 axes with a kernel of 4", (x, Type(dt.float32, (6, 4, 3, 1))))
    check("an array of 1 axes with a kernel of 1", (Type(dt.float32, (3,)),) * 2)
    for name in ("lhs_spec", "rhs_spec", "out_spec"):
        check(rf"{name} \(0, 1, 1\) does not name each of 3 axes once", **{name: (0, 1, 1)})
    for name in ("window_strides", "lhs_dilation", "rhs_dilation"):
        check(rf"{name} \(1, 1\) for 1 spatial axes", **{name: (1, 1)})
        check(rf"{name} \(0,\), but they must be positive", **{name: (0,)})
    check(r"window_reversal \(\) for 1 spatial axes", window_reversal=())
    check(r"padding \(\) for 1 spatial axes", padding=())
    check(r"padding \(\(1,\),\), but it must be pairs", padding=((1,),))
    check("2 feature groups and 2 batch groups: one must be 1", feature_group_count=2,
          batch_group_count=2)
    check("0 feature groups and 1 batch groups", feature_group_count=0)
    check("the batch size, 2, is no multiple of the 3 batch groups", batch_group_count=3)
    check("the number of features, 4, is no multiple of the 3 feature groups",
          feature_group_count=3)
    check("the array has 4 features in 2 groups, but the kernel takes 4", feature_group_count=2)
    check("the array has 4 features, but the kernel takes 3", (x, Type(dt.float32, (6, 3, 3))))
    check("the number of output features, 5, is no multiple of the 2 batch groups",
          (x, Type(dt.float32, (5, 4, 3))), batch_group_count=2)
    check("the number of output features, 5, is no multiple of the 2 feature groups",
          (x, Type(dt.float32, (5, 2, 3))), feature_group_count=2)

"""Quantized arrays: what is done to them is done to the numbers for which they stand."""

import numpy as np
import pytest

from arraylib import hlo
from arraylib.errors import TraceError
from arraylib.hlo.ops.foreign import foreign

A = (0.1, -30)  # scale, and the integer that stands for 0
B = (0.5, -20)


def quantized(x, scale, zero, low=-128, high=127, dtype=np.int8):
    x, scale, zero = np.asarray(x, np.float32), np.float32(scale), np.float32(zero)
    return np.rint(np.clip(x / scale + zero, low, high)).astype(dtype)


def numbers(q, scale, zero):
    return (q.astype(np.int64) - zero).astype(np.float32) * np.float32(scale)


def type_text(shape, scheme, storage="i8"):
    sizes = "".join(f"{n}x" for n in shape)
    if isinstance(scheme[0], tuple):  # one scale for each place along an axis
        axis, *pairs = scheme[1], *scheme[0]
        shown = ", ".join(f"{scale}:{zero}" for scale, zero in pairs)
        return f"tensor<{sizes}!quant.uniform<{storage}:f32:{axis}, {{{shown}}}>>"
    return f"tensor<{sizes}!quant.uniform<{storage}:f32, {scheme[0]}:{scheme[1]}>>"


def program(line, types, result):
    arguments = ", ".join(f"%a{i}: {t}" for i, t in enumerate(types))
    return (f"func.func @main({arguments}) -> {result} {{\n  {line}\n  return %r : {result}\n}}")


def run(line, types, result, *arrays):
    """What the program gives; in our terms it takes and gives integers, and prints."""
    module = hlo.parse(program(line, types, result))
    (found,) = hlo.evaluate(module, *arrays)
    core = hlo.legalize(module)
    assert not any(node.op is foreign for node in core.graph.nodes)
    (again,) = hlo.evaluate(hlo.parse(hlo.text(core)), *arrays)
    np.testing.assert_array_equal(found, again)
    return found


def apply(name, types, result, *arrays, attributes=""):
    names = ", ".join(f"%a{i}" for i in range(len(types)))
    return run(f'%r = "{name}"({names}) {{{attributes}}} : ({", ".join(types)}) -> {result}',
               types, result, *arrays)


X = np.array([[-9.7, 0, 0.26], [4, 15.9, 1e6]], np.float32)


@pytest.mark.parametrize("storage, dtype, limits", [
    ("i8", np.int8, (-128, 127)), ("ui8", np.uint8, (0, 255)),
    ("i16", np.int16, (-2**15, 2**15 - 1)), ("i8<-100:90>", np.int8, (-100, 90))])
def test_to_integers_and_back(storage, dtype, limits):
    scheme = (0.25, 7)
    wanted = quantized(X, *scheme, *limits, dtype)
    there = type_text(X.shape, scheme, storage)
    found = apply("stablehlo.uniform_quantize", ["tensor<2x3xf32>"], there, X)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, wanted)
    back = apply("stablehlo.uniform_dequantize", [there], "tensor<2x3xf32>", found)
    np.testing.assert_allclose(back, numbers(wanted, *scheme), rtol=1e-6)


def test_a_scale_for_each_place_along_an_axis():
    there = type_text(X.shape, ((A, B, (2.0, 1)), 1))
    wanted = np.stack([quantized(X[:, i], *s) for i, s in enumerate((A, B, (2.0, 1)))], 1)
    found = apply("stablehlo.uniform_quantize", ["tensor<2x3xf32>"], there, X)
    np.testing.assert_array_equal(found, wanted)
    other = type_text(X.shape, B)
    again = apply("stablehlo.uniform_quantize", [there], other, found)
    floats = np.stack([numbers(wanted[:, i], *s) for i, s in enumerate((A, B, (2.0, 1)))], 1)
    np.testing.assert_array_equal(again, quantized(floats, *B))


def test_the_integers_themselves():
    q = np.array([10, -7], np.int8)
    line = (f'%0 = "stablehlo.bitcast_convert"(%a0) : (tensor<2xi8>) -> {type_text((2,), A)}\n'
            f'  %r = "stablehlo.bitcast_convert"(%0) : ({type_text((2,), A)}) -> tensor<2xui8>')
    found = run(line, ["tensor<2xi8>"], "tensor<2xui8>", q)
    np.testing.assert_array_equal(found, q.view(np.uint8))


@pytest.mark.parametrize("name, function", [
    ("add", np.add), ("multiply", np.multiply), ("maximum", np.maximum), ("subtract", np.subtract)])
def test_arithmetic_on_different_scales(name, function):
    x, y = np.array([10, 20, -5], np.int8), np.array([-14, 0, 100], np.int8)
    found = apply(f"stablehlo.{name}", [type_text((3,), A), type_text((3,), B)],
                  type_text((3,), B), x, y)
    np.testing.assert_array_equal(found, quantized(function(numbers(x, *A), numbers(y, *B)), *B))


def test_comparisons_give_truth_values():
    x, y = np.array([10, 20, -5], np.int8), np.array([-14, -10, -40], np.int8)
    found = apply("stablehlo.compare", [type_text((3,), A), type_text((3,), B)], "tensor<3xi1>",
                  x, y, attributes="comparison_direction = #stablehlo<comparison_direction LT>")
    np.testing.assert_array_equal(found, numbers(x, *A) < numbers(y, *B))


@pytest.mark.parametrize("weights", ["quantized", "only"])
def test_products(weights):
    x = np.arange(6, dtype=np.int8).reshape(2, 3)
    y = np.arange(12, dtype=np.int8).reshape(3, 4)
    left = (numbers(x, *A), type_text(x.shape, A), x)
    if weights == "only":
        left = (left[0], "tensor<2x3xf32>", left[0])
    result = type_text((2, 4), (4.0, 0)) if weights == "quantized" else "tensor<2x4xf32>"
    found = apply("stablehlo.dot_general", [left[1], type_text(y.shape, B)], result, left[2], y,
                  attributes="dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = "
                             "[1], rhs_contracting_dimensions = [0]>")
    expected = left[0] @ numbers(y, *B)
    np.testing.assert_allclose(found, quantized(expected, 4.0, 0) if weights == "quantized"
                               else expected, rtol=1e-6)


def test_moving_integers_does_not_round_them():
    x = np.array([[2**31 - 1, -2**31 + 1], [123456789, 5]], np.int32)
    type = type_text((2, 2), (0.1, 3), "i32")
    found = apply("stablehlo.transpose", [type], type, x,
                  attributes="permutation = array<i64: 1, 0>")
    np.testing.assert_array_equal(found, x.T)


def test_a_region_on_quantized_elements():
    x, zero = np.array([[10, 20, -5], [3, 4, 100]], np.int8), np.array(-30, np.int8)
    scalar = type_text((), A)
    line = f"""%r = "stablehlo.reduce"(%a0, %a1) ({{
      ^bb0(%x: {scalar}, %y: {scalar}):
        %0 = stablehlo.add %x, %y : {scalar}
        stablehlo.return %0 : {scalar}
      }}) {{dimensions = array<i64: 1>}} : ({type_text((2, 3), A)}, {scalar}) -> """
    result = type_text((2,), A)
    found = run(line + result, [type_text((2, 3), A), scalar], result, x, zero)
    np.testing.assert_array_equal(found, quantized(numbers(x, *A).sum(1), *A))


def test_a_loop_that_carries_quantized_numbers():
    type = type_text((2,), A)
    line = f"""%n = stablehlo.constant dense<3> : tensor<i32>
  %one = stablehlo.constant dense<1> : tensor<i32>
  %0:2 = stablehlo.while(%i = %n, %x = %a0) : tensor<i32>, {type}
  cond {{
    %1 = stablehlo.compare GE, %i, %one, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.return %1 : tensor<i1>
  }} do {{
    %1 = stablehlo.add %x, %x : {type}
    %2 = stablehlo.subtract %i, %one : tensor<i32>
    stablehlo.return %2, %1 : tensor<i32>, {type}
  }}
  %r = "stablehlo.optimization_barrier"(%0#1) : ({type}) -> {type}"""
    x = np.array([-29, -31], np.int8)
    np.testing.assert_array_equal(run(line, [type], type, x), np.array([-22, -38], np.int8))


def test_a_constant_of_integers():
    type = type_text((2,), A)
    line = f'%r = "stablehlo.constant"() {{value = dense<[1, 2]> : tensor<2xi8>}} : () -> {type}'
    np.testing.assert_array_equal(run(line, [], type), [1, 2])


def test_what_is_refused():
    axis = type_text((2, 3), ((A, B, B), 1))
    scalar = type_text((), A)
    text = program(f"""%r = "stablehlo.reduce"(%a0, %a1) ({{
      ^bb0(%x: {scalar}, %y: {scalar}):
        stablehlo.return %x : {scalar}
      }}) {{dimensions = array<i64: 1>}} : ({axis}, {scalar}) -> """ + axis.replace("2x3x", "2x"),
        [axis, scalar], axis.replace("2x3x", "2x"))
    with pytest.raises(TraceError, match="(?s)stablehlo.reduce: has a region, and a scale for each "
                       "place along an axis.*program.mlir:2"):
        hlo.evaluate(hlo.parse(text, "program.mlir"), np.zeros((2, 3), np.int8), np.int8(0))

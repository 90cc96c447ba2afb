"""What passes do, text in and text out; and that the interpreter sees no difference."""

import textwrap

import numpy as np
import pytest

from arraylib import dtypes as dt, hlo
from arraylib.hlo.interpret import interpret
from arraylib.hlo.passes.cse import cse
from arraylib.hlo.passes.dce import dce
from arraylib.hlo.passes.expand import expand
from arraylib.hlo.passes.fold import fold
from arraylib.hlo.passes.hoist import hoist
from arraylib.hlo.passes.inline import inline
from arraylib.hlo.passes.rewrite import everywhere
from arraylib.hlo.passes.simplify import simplify
from arraylib.hlo.verify import verify

PASSES = {
    "cse": everywhere(cse), "dce": everywhere(dce), "fold": everywhere(fold),
    "hoist": everywhere(hoist), "inline": everywhere(inline), "simplify": everywhere(simplify),
    "expand": everywhere(lambda g: expand(g, lambda op, node: op.name != "tan")),
    "legalize": hlo.legalize,
}


def module(body, arguments="%arg0: tensor<3xf32>", results="tensor<3xf32>", rest=""):
    inner = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    return (f"module {{\n  func.func public @main({arguments}) -> {results} {{\n{inner}\n  }}\n"
            f"{rest}}}\n")


CASES = {
    "cse merges what is written twice": ("cse", module("""
        %0 = stablehlo.sine %arg0 : tensor<3xf32>
        %1 = stablehlo.sine %arg0 : tensor<3xf32>
        %2 = stablehlo.add %0, %1 : tensor<3xf32>
        return %2 : tensor<3xf32>"""), module("""
        %0 = stablehlo.sine %arg0 : tensor<3xf32>
        %1 = stablehlo.add %0, %0 : tensor<3xf32>
        return %1 : tensor<3xf32>""")),
    "cse keeps -0 and 0 apart": ("cse", module("""
        %cst = stablehlo.constant dense<0.000000e+00> : tensor<3xf32>
        %cst_0 = stablehlo.constant dense<-0.000000e+00> : tensor<3xf32>
        %0 = stablehlo.divide %arg0, %cst : tensor<3xf32>
        %1 = stablehlo.divide %arg0, %cst_0 : tensor<3xf32>
        %2 = stablehlo.add %0, %1 : tensor<3xf32>
        return %2 : tensor<3xf32>"""), None),
    "dce drops what nobody reads": ("dce", module("""
        %0 = stablehlo.sine %arg0 : tensor<3xf32>
        %1 = stablehlo.negate %arg0 : tensor<3xf32>
        return %1 : tensor<3xf32>"""), module("""
        %0 = stablehlo.negate %arg0 : tensor<3xf32>
        return %0 : tensor<3xf32>""")),
    "dce prunes the carry of a loop": ("dce", module("""
        %c = stablehlo.constant dense<0> : tensor<i32>
        %0:3 = stablehlo.while(%iterArg = %c, %iterArg_0 = %arg0, %iterArg_1 = %arg0) : \
tensor<i32>, tensor<3xf32>, tensor<3xf32>
        cond {
          %c_2 = stablehlo.constant dense<2> : tensor<i32>
          %1 = stablehlo.compare LT, %iterArg, %c_2, SIGNED : (tensor<i32>, tensor<i32>) -> \
tensor<i1>
          stablehlo.return %1 : tensor<i1>
        } do {
          %c_2 = stablehlo.constant dense<1> : tensor<i32>
          %1 = stablehlo.add %iterArg, %c_2 : tensor<i32>
          %2 = stablehlo.sine %iterArg_0 : tensor<3xf32>
          %3 = stablehlo.cosine %iterArg_1 : tensor<3xf32>
          stablehlo.return %1, %2, %3 : tensor<i32>, tensor<3xf32>, tensor<3xf32>
        }
        return %0#1 : tensor<3xf32>"""), module("""
        %c = stablehlo.constant dense<0> : tensor<i32>
        %0:2 = stablehlo.while(%iterArg = %c, %iterArg_0 = %arg0) : tensor<i32>, tensor<3xf32>
        cond {
          %c_1 = stablehlo.constant dense<2> : tensor<i32>
          %1 = stablehlo.compare LT, %iterArg, %c_1, SIGNED : (tensor<i32>, tensor<i32>) -> \
tensor<i1>
          stablehlo.return %1 : tensor<i1>
        } do {
          %c_1 = stablehlo.constant dense<1> : tensor<i32>
          %1 = stablehlo.add %iterArg, %c_1 : tensor<i32>
          %2 = stablehlo.sine %iterArg_0 : tensor<3xf32>
          stablehlo.return %1, %2 : tensor<i32>, tensor<3xf32>
        }
        return %0#1 : tensor<3xf32>""")),
    "fold computes what is constant": ("fold", module("""
        %cst = stablehlo.constant dense<[1.000000e+00, 2.000000e+00, 3.000000e+00]> : tensor<3xf32>
        %cst_0 = stablehlo.constant dense<2.000000e+00> : tensor<3xf32>
        %0 = stablehlo.multiply %cst, %cst_0 : tensor<3xf32>
        %1 = stablehlo.add %arg0, %0 : tensor<3xf32>
        return %1 : tensor<3xf32>"""), module("""
        %cst = stablehlo.constant dense<[1.000000e+00, 2.000000e+00, 3.000000e+00]> : tensor<3xf32>
        %cst_0 = stablehlo.constant dense<2.000000e+00> : tensor<3xf32>
        %cst_1 = stablehlo.constant dense<[2.000000e+00, 4.000000e+00, 6.000000e+00]> : \
tensor<3xf32>
        %0 = stablehlo.add %arg0, %cst_1 : tensor<3xf32>
        return %0 : tensor<3xf32>""")),
    "simplify undoes what is undone": ("simplify", module("""
        %0 = stablehlo.negate %arg0 : tensor<3xf32>
        %1 = stablehlo.negate %0 : tensor<3xf32>
        return %1 : tensor<3xf32>"""), module("""
        %0 = stablehlo.negate %arg0 : tensor<3xf32>
        return %arg0 : tensor<3xf32>""")),
    "simplify keeps x + 0, which is not x for -0": ("simplify", module("""
        %cst = stablehlo.constant dense<0.000000e+00> : tensor<3xf32>
        %0 = stablehlo.add %arg0, %cst : tensor<3xf32>
        return %0 : tensor<3xf32>"""), None),
    "inline writes functions out": ("inline", module("""
        %0 = call @square(%arg0) : (tensor<3xf32>) -> tensor<3xf32>
        return %0 : tensor<3xf32>""", rest="""\
  func.func private @square(%arg0: tensor<3xf32>) -> tensor<3xf32> {
    %0 = stablehlo.multiply %arg0, %arg0 : tensor<3xf32>
    return %0 : tensor<3xf32>
  }
"""), module("""
        %0 = stablehlo.multiply %arg0, %arg0 : tensor<3xf32>
        return %0 : tensor<3xf32>""")),
    "expand writes out what a backend lacks": ("expand", module("""
        %0 = stablehlo.tan %arg0 : tensor<3xf32>
        return %0 : tensor<3xf32>"""), module("""
        %0 = stablehlo.sine %arg0 : tensor<3xf32>
        %1 = stablehlo.cosine %arg0 : tensor<3xf32>
        %2 = stablehlo.divide %0, %1 : tensor<3xf32>
        return %2 : tensor<3xf32>""")),
    "hoist takes out what every step would compute": ("hoist", module("""
        %0 = "arraylib.scan"(%arg0, %arg0) ({
        ^bb0(%arg1: tensor<3xf32>, %arg2: tensor<3xf32>):
          %1 = stablehlo.sine %arg1 : tensor<3xf32>
          %2 = stablehlo.add %arg2, %1 : tensor<3xf32>
          "arraylib.return"(%2) : (tensor<3xf32>) -> ()
        }) {carry = 1 : i64, consts = 1 : i64, length = 4 : i64, reverse = false} : \
(tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
        return %0 : tensor<3xf32>"""), module("""
        %0 = stablehlo.sine %arg0 : tensor<3xf32>
        %1 = "arraylib.scan"(%arg0, %0, %arg0) ({
        ^bb0(%arg1: tensor<3xf32>, %arg2: tensor<3xf32>, %arg3: tensor<3xf32>):
          %2 = stablehlo.add %arg3, %arg2 : tensor<3xf32>
          "arraylib.return"(%2) : (tensor<3xf32>) -> ()
        }) {carry = 1 : i64, consts = 2 : i64, length = 4 : i64, reverse = false} : \
(tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
        return %1 : tensor<3xf32>""")),
    "legalize writes other dialects in the core": ("legalize", module("""
        %0 = "stablehlo.dot"(%arg0, %arg0) : (tensor<3xf32>, tensor<3xf32>) -> tensor<f32>
        %1 = "stablehlo.broadcast"(%0) <{broadcast_sizes = array<i64: 3>}> : \
(tensor<f32>) -> tensor<3xf32>
        return %1 : tensor<3xf32>"""), module("""
        %0 = stablehlo.dot_general %arg0, %arg0, contracting_dims = [0] x [0] : \
(tensor<3xf32>, tensor<3xf32>) -> tensor<f32>
        %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<3xf32>
        return %1 : tensor<3xf32>""")),
    "legalize writes a reduction with its region": ("legalize", module("""
        %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
        %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [0] : \
(tensor<3xf32>, tensor<f32>) -> tensor<f32>
        return %0 : tensor<f32>""", results="tensor<f32>"), None),
    "legalize writes a checkpoint out": ("legalize", module("""
        %0 = "arraylib.checkpoint"(%arg0) ({
        ^bb0(%arg1: tensor<3xf32>):
          %1 = stablehlo.sine %arg1 : tensor<3xf32>
          "arraylib.return"(%1) : (tensor<3xf32>) -> ()
        }) : (tensor<3xf32>) -> tensor<3xf32>
        return %0 : tensor<3xf32>"""), module("""
        %0 = stablehlo.optimization_barrier %arg0 : tensor<3xf32>
        %1 = stablehlo.sine %0 : tensor<3xf32>
        return %1 : tensor<3xf32>""")),
}


@pytest.mark.parametrize("name", CASES)
def test_text_in_text_out(name):
    change, before, after = CASES[name]
    program = hlo.parse(before)
    changed = PASSES[change](program.graph)
    verify(changed)
    assert hlo.text(changed) == (before if after is None else after)
    assert hlo.parse(hlo.text(changed)) == changed
    if after is None and change != "legalize":
        assert changed is program.graph  # nothing to do makes no new graph
    arrays = [np.array([0.5, -0.0, 3], t.dtype) for t in program.graph.input_types]
    ready = hlo.legalize(program.graph)
    for x, y in zip(interpret(ready, arrays), interpret(hlo.legalize(changed), arrays)):
        np.testing.assert_array_equal(x, y)
        assert dt.is_float(x.dtype) and np.array_equal(np.signbit(x), np.signbit(y))


def test_every_pass_has_a_text():
    assert {change for change, _, _ in CASES.values()} == set(PASSES)

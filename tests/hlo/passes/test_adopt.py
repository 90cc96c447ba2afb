"""Programs of other dialects, in terms of our operations: each rule against NumPy or XLA."""

import numpy as np
import pytest
import scipy.special
from xla_text import run_op, run_text, tensor

from arraylib import hlo
from arraylib.errors import ArgumentError, ShapeError, TraceError
from arraylib.hlo.mlir.kept import KEPT
from arraylib.hlo.mlir.spelling import is_ours
from arraylib.hlo.ops.foreign import foreign
from arraylib.hlo.passes.adopt import forms_for
from arraylib.hlo.passes.dialects import REFUSED, RULES

rng = np.random.default_rng(0)


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


NAMES = {"float32": "f32", "float64": "f64", "int32": "i32", "int64": "i64", "bool": "i1",
         "uint32": "ui32", "complex64": "complex<f32>", "uint8": "ui8", "int8": "i8"}


def type_text(x):
    return tensor(NAMES[np.asarray(x).dtype.name], np.shape(x))


def program(line, operands, results, types=None):
    """A function of one line, which reads %a0, %a1, ... and defines %r0, %r1, ..."""
    types = types or [type_text(x) for x in operands]
    arguments = ", ".join(f"%a{i}: {t}" for i, t in enumerate(types))
    outs = ", ".join(f"%r{i}" for i in range(len(results)))
    return (f"func.func @main({arguments}) -> ({', '.join(results)}) {{\n  {line}\n"
            f"  return {outs} : {', '.join(results)}\n}}")


def op_text(name, attributes, operands, results, regions="", types=None):
    """The program of one operation in the generic form."""
    types = types or [type_text(x) for x in operands]
    names = ", ".join(f"%a{i}" for i in range(len(types)))
    outs = ", ".join(f"%r{i}" for i in range(len(results)))
    line = (f'{outs} = "{name}"({names}) {regions}{{{attributes}}} : ({", ".join(types)}) -> '
            f"({', '.join(results)})")
    return program(line, operands, results, types)


def adopted(text, arrays):
    """What the program gives; written in our terms it prints, parses and gives the same."""
    module = hlo.parse(text)
    found = hlo.evaluate(module, *arrays)
    core = hlo.legalize(module, forms_for(module.graph, [np.asarray(x) for x in arrays]))
    assert not any(node.op is foreign for node in core.graph.nodes)
    hlo.verify(core)
    shown = hlo.text(core)
    assert hlo.text(hlo.legalize(core)) == shown
    for x, y in zip(found, hlo.evaluate(hlo.parse(shown), *arrays), strict=True):
        np.testing.assert_array_equal(x, y)
    return found


def assert_gives(text, arrays, expected, rtol=1e-5):
    found = adopted(text, arrays)
    for x, y in zip(found, expected, strict=True):
        assert x.shape == np.shape(y)
        np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-6)


def refused(text, *arrays, error=TraceError):
    """The message with which a program is refused, which names a line of it."""
    with pytest.raises(error) as caught:
        hlo.evaluate(hlo.parse(text, "program.mlir"), *arrays)
    assert "program.mlir:" in str(caught.value)
    return str(caught.value)


# -- products --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4))])
def test_dot(shapes):
    x, y = (normal(*shape) for shape in shapes)
    text = op_text("stablehlo.dot", "", [x, y], [type_text(x @ y)])
    assert_gives(text, [x, y], [x @ y])


def test_a_dot_may_have_another_dtype():
    x, y = np.arange(6, dtype=np.int8).reshape(2, 3), np.full(3, 100, np.int8)
    text = op_text("stablehlo.dot", "", [x, y], ["tensor<2xi32>"])
    assert_gives(text, [x, y], [x.astype(np.int32) @ y.astype(np.int32)])


@pytest.mark.parametrize("config, shapes", [
    ("ab,bc->ac", ((2, 3), (3, 4))), ("ab,bc->ca", ((2, 3), (3, 4))), ("ab,ab->", ((2, 3), (2, 3))),
    ("abc,acd->abd", ((5, 2, 3), (5, 3, 4))), ("ab,cd->adbc", ((2, 3), (4, 5))),
    ("aab,bc->ac", ((2, 2, 3), (3, 4))), ("ab,c->c", ((2, 3), (4,))), ("ab,bc", ((2, 3), (3, 4))),
    ("...ab,...bc->...ac", ((5, 2, 3), (5, 3, 4))), ("ab,ab->ba", ((2, 3), (2, 3)))])
def test_einsum(config, shapes):
    x, y = (normal(*shape) for shape in shapes)
    expected = np.einsum(config, x, y)
    text = op_text("stablehlo.einsum", f'einsum_config = "{config}"', [x, y],
                   [type_text(expected)])
    assert_gives(text, [x, y], [expected])


@pytest.mark.parametrize("config, shape", [
    ("ab->a", (2, 3)), ("ab->ba", (2, 3)), ("aa->a", (3, 3)), ("aa->", (3, 3)),
    ("abab->ba", (2, 3, 2, 3)), ("...a->...", (2, 3, 4))])
def test_unary_einsum(config, shape):
    x = normal(*shape)
    expected = np.einsum(config, x)
    text = op_text("stablehlo.unary_einsum", f'einsum_config = "{config}"', [x],
                   [type_text(expected)])
    assert_gives(text, [x], [expected])


def test_what_einsum_refuses():
    x = normal(2, 3)
    def message(config):
        return refused(op_text("stablehlo.unary_einsum", f'einsum_config = "{config}"', [x],
                               ["tensor<2xf32>"]), x, error=ShapeError)
    assert "does not name the 2 axes of operand 0" in message("abc->a")
    assert "are not each once among 'ab'" in message("ab->c")
    assert "is for 2 operands, not 1" in message("a,b->a")


@pytest.mark.parametrize("axis, batch, index", [
    (0, 0, [2, 0]), (1, 0, [[1, 1], [0, 3]]), (2, 1, [[0, 1, 2], [2, 2, 4], [1, 0, 3]])])
def test_index_select(axis, batch, index):
    x, index = normal(3, 4, 5), np.array(index, np.int32)
    expected = (np.take(x, index, axis) if not batch else
                np.stack([np.take(row, places, axis - 1) for row, places in zip(x, index)]))
    attributes = f"dim = {axis} : i64, batch_dims = {batch} : i64"
    text = op_text("stablehlo.torch_index_select", attributes,
                   [x, index], [type_text(expected)])
    assert_gives(text, [x, index], [expected])


def test_ragged_dot():
    x, sizes = normal(7, 3), np.array([2, 0, 5])
    groups = [slice(0, 2), slice(2, 2), slice(2, 7)]
    y = normal(3, 3, 4)
    rows = np.concatenate([x[g] @ w for g, w in zip(groups, y)])
    def text(operands, expected, numbers):
        numbers = ", ".join(f"{k}_dimensions = [{v}]" for k, v in numbers.items())
        return op_text("chlo.ragged_dot",
                       f"ragged_dot_dimension_numbers = #chlo.ragged_dot<{numbers}>",
                       operands, [type_text(expected)])
    assert_gives(text([x, y, sizes], rows, {
        "lhs_contracting": 1, "rhs_contracting": 1, "lhs_ragged": 0, "rhs_group": 0}),
        [x, y, sizes], [rows])
    z = normal(7, 4)
    products = np.stack([x[g].T @ z[g] for g in groups])
    assert_gives(text([x, z, sizes], products, {
        "lhs_contracting": 0, "rhs_contracting": 0, "lhs_ragged": 0}), [x, z, sizes], [products])
    a, b = normal(7, 2, 3), normal(7, 3, 2)
    batches = a @ b
    assert_gives(text([a, b, sizes], batches, {
        "lhs_batching": 0, "rhs_batching": 0, "lhs_contracting": 2, "rhs_contracting": 1,
        "lhs_ragged": 0}), [a, b, sizes], [batches])


def test_the_groups_of_a_ragged_dot_may_differ_from_batch_to_batch():
    x, y, sizes = normal(2, 5, 3), normal(2, 2, 3, 4), np.array([[1, 4], [3, 2]])
    expected = np.stack([
        np.concatenate([x[b, :n] @ y[0, b], x[b, n:] @ y[1, b]])
        for b, n in enumerate(sizes[:, 0])])
    text = op_text("chlo.ragged_dot", "ragged_dot_dimension_numbers = #chlo.ragged_dot<"
                   "lhs_batching_dimensions = [0], rhs_batching_dimensions = [1], "
                   "lhs_contracting_dimensions = [2], rhs_contracting_dimensions = [2], "
                   "lhs_ragged_dimensions = [1], rhs_group_dimensions = [0]>",
                   [x, y, sizes], [type_text(expected)])
    assert_gives(text, [x, y, sizes], [expected])


# -- batch norms -----------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("name, count", [("inference", 1), ("training", 3), ("grad", 3)])
def test_batch_norms_are_those_of_xla(name, count, axis):
    x = normal(3, 4, 5)
    each = [normal(x.shape[axis]) for _ in range(3)] + [rng.random(x.shape[axis], np.float32) + 1]
    operands = {"inference": [x, *each], "training": [x, *each[:2]],
                "grad": [x, each[0], each[1], each[3], normal(3, 4, 5)]}[name]
    results = [type_text(x)] + [type_text(each[0])] * (count - 1)
    attributes = f"epsilon = 0.125 : f32, feature_index = {axis} : i64"
    op = f"stablehlo.batch_norm_{name}"
    expected = run_op(op, attributes, [("f32", v) for v in operands], results)
    assert_gives(op_text(op, attributes, operands, results), operands, expected, rtol=1e-4)


def test_a_norm_whose_features_do_not_fit():
    x, scale = normal(3, 4), normal(3)
    text = op_text("stablehlo.batch_norm_training", "epsilon = 0.1 : f32, feature_index = 1 : i64",
                   [x, scale, scale], [type_text(x), "tensor<4xf32>", "tensor<4xf32>"])
    assert "operand 1 is f32[3], not f32[4]" in refused(text, x, scale, scale, error=ShapeError)
    text = text.replace("feature_index = 1", "feature_index = 2")
    assert "feature_index = 2 is none of 2 axes" in refused(text, x, scale, scale, error=ShapeError)


# -- CHLO ------------------------------------------------------------------------------------------

INTEGERS = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
            "shift_left": np.left_shift, "shift_right_arithmetic": np.right_shift,
            "shift_right_logical": np.right_shift}
FLOATS = {"add": np.add, "atan2": np.arctan2, "divide": np.divide, "maximum": np.maximum,
          "minimum": np.minimum, "multiply": np.multiply, "power": np.power,
          "remainder": np.fmod, "subtract": np.subtract, "next_after": np.nextafter,
          "complex": lambda x, y: (x + 1j * y).astype(np.complex64),
          "polygamma": lambda n, x: scipy.special.polygamma(n.astype(int), x),
          "zeta": lambda s, q: scipy.special.zeta(s + 1, q)}


@pytest.mark.parametrize("name", [*INTEGERS, *FLOATS])
def test_operations_that_repeat_their_operands(name):
    if name in INTEGERS:
        x, y = rng.integers(1, 9, (2, 1, 3), np.int32), rng.integers(1, 9, (4, 1), np.int32)
    else:
        x, y = (rng.integers(1, 9, shape).astype(np.float32) for shape in ((2, 1, 3), (4, 1)))
    expected = {**INTEGERS, **FLOATS}[name](x, y)
    if name == "zeta":
        x = x + 1
    assert expected.shape == (2, 4, 3)
    kind = "complex<f32>" if name == "complex" else NAMES[x.dtype.name]
    text = op_text(f"chlo.broadcast_{name}", "", [x, y], [tensor(kind, expected.shape)])
    assert_gives(text, [x, y], [expected], rtol=1e-4)


def test_a_vector_along_the_axis_that_is_named():
    x, y = normal(3, 4), normal(3)
    line = ("%r0 = chlo.broadcast_add %a0, %a1 {broadcast_dimensions = array<i64: 0>} : "
            "(tensor<3x4xf32>, tensor<3xf32>) -> tensor<3x4xf32>")
    assert_gives(program(line, [x, y], ["tensor<3x4xf32>"]), [x, y], [x + y[:, None]])
    assert_gives(program(line.replace("%a0, %a1", "%a1, %a0").replace(
        "(tensor<3x4xf32>, tensor<3xf32>)", "(tensor<3xf32>, tensor<3x4xf32>)"), [x, y],
        ["tensor<3x4xf32>"]), [x, y], [x + y[:, None]])


def test_comparisons_and_choices_repeat_their_operands():
    x, y = normal(3, 1), normal(4)
    text = op_text("chlo.broadcast_compare", "comparison_direction = #chlo<comparison_direction "
                   "LT>, compare_type = #chlo<comparison_type FLOAT>", [x, y], ["tensor<3x4xi1>"])
    assert_gives(text, [x, y], [x < y])
    p = np.array([True, False, True])[:, None]
    line = ("%r0 = chlo.broadcast_select %a0, %a1, %a2 : (tensor<3x1xi1>, tensor<f32>, "
            "tensor<4xf32>) -> tensor<3x4xf32>")
    scalar = np.float32(7)
    assert_gives(program(line, [p, scalar, y], ["tensor<3x4xf32>"]), [p, scalar, y],
                 [np.where(p, scalar, y)])


def test_shapes_that_have_no_common_one():
    x, y = normal(2, 3), normal(4)
    text = op_text("chlo.broadcast_add", "", [x, y], ["tensor<2x3xf32>"])
    assert "axis 1 has 3 elements and 4" in refused(text, x, y, error=ShapeError)


@pytest.mark.parametrize("value, number", [("2.5 : f32", 2.5), ("0xFF800000 : f32", -np.inf),
                                           ("dense<3.0> : tensor<f32>", 3)])
def test_constant_like(value, number):
    x = normal(2, 3)
    text = op_text("chlo.constant_like", f"value = {value}", [x], [type_text(x)])
    assert_gives(text, [x], [np.full((2, 3), number)])


def test_scan_along_an_axis():
    x, first = normal(3, 4), normal(3)
    line = """%r0, %r1 = chlo.scan(%a0) inits(%a1) dimension=1 attributes {is_reverse = true} {
      ^bb0(%x: tensor<3xf32>, %sum: tensor<3xf32>):
        %y = stablehlo.add %x, %sum : tensor<3xf32>
        %z = stablehlo.multiply %y, %y : tensor<3xf32>
        stablehlo.return %z, %y : tensor<3xf32>, tensor<3xf32>
      } : (tensor<3x4xf32>, tensor<3xf32>) -> (tensor<3x4xf32>, tensor<3xf32>)"""
    sums = np.cumsum(x[:, ::-1], 1)[:, ::-1] + first[:, None]
    assert_gives(program(line, [x, first], ["tensor<3x4xf32>", "tensor<3xf32>"]), [x, first],
                 [sums ** 2, sums[:, 0]])


# -- control flow, tuples and tokens ---------------------------------------------------------------

IF = """func.func @main(%p: tensor<i1>, %x: tensor<3xf32>) -> tensor<3xf32> {
  %t = stablehlo.create_token : !stablehlo.token
  %0:2 = "stablehlo.if"(%p) ({
    %1 = stablehlo.add %x, %x : tensor<3xf32>
    stablehlo.return %1, %t : tensor<3xf32>, !stablehlo.token
  }, {
    %2 = "chlo.broadcast_multiply"(%x, %x) : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
    %3 = stablehlo.after_all %t, %t : !stablehlo.token
    stablehlo.return %2, %3 : tensor<3xf32>, !stablehlo.token
  }) : (tensor<i1>) -> (tensor<3xf32>, !stablehlo.token)
  return %0#0 : tensor<3xf32>
}"""


@pytest.mark.parametrize("p", [True, False])
def test_if(p):
    x = normal(3)
    assert_gives(IF, [np.array(p), x], [x + x if p else x * x])


@pytest.mark.parametrize("i", [-1, 0, 1, 2, 7])
def test_a_case_with_tokens(i):
    text = """func.func @main(%i: tensor<i32>, %t: !stablehlo.token, %x: tensor<f32>)
        -> (!stablehlo.token, tensor<f32>) {
      %0:2 = "stablehlo.case"(%i) ({
        stablehlo.return %t, %x : !stablehlo.token, tensor<f32>
      }, {
        %1 = stablehlo.negate %x : tensor<f32>
        stablehlo.return %t, %1 : !stablehlo.token, tensor<f32>
      }, {
        %1 = "stablehlo.tuple"(%x, %t) : (tensor<f32>, !stablehlo.token)
            -> tuple<tensor<f32>, !stablehlo.token>
        %2 = stablehlo.get_tuple_element %1[0]
            : (tuple<tensor<f32>, !stablehlo.token>) -> tensor<f32>
        %3 = stablehlo.add %2, %2 : tensor<f32>
        stablehlo.return %t, %3 : !stablehlo.token, tensor<f32>
      }) : (tensor<i32>) -> (!stablehlo.token, tensor<f32>)
      return %0#0, %0#1 : !stablehlo.token, tensor<f32>
    }"""
    assert_gives(text, [np.int32(i), np.float32(3)], [{0: 3, 1: -3}.get(i, 6)])


def test_a_token_in_the_carry_of_a_loop():
    text = """func.func @main(%n: tensor<i32>, %t: !stablehlo.token) -> tensor<i32> {
      %c = stablehlo.constant dense<1> : tensor<i32>
      %0:3 = stablehlo.while(%i = %c, %u = %t, %x = %c)
          : tensor<i32>, !stablehlo.token, tensor<i32>
      cond {
        %1 = stablehlo.compare LE, %i, %n, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
        stablehlo.return %1 : tensor<i1>
      } do {
        %1 = stablehlo.multiply %x, %i : tensor<i32>
        %2 = stablehlo.add %i, %c : tensor<i32>
        %3 = stablehlo.after_all %u, %t : !stablehlo.token
        stablehlo.return %2, %3, %1 : tensor<i32>, !stablehlo.token, tensor<i32>
      }
      return %0#2 : tensor<i32>
    }"""
    assert_gives(text, [np.int32(5)], [120])
    graph = hlo.legalize(hlo.parse(text)).graph
    assert len(graph.inputs) == 1
    assert len(graph.nodes[-1].outputs) == 2


def test_functions_of_tokens_and_tuples():
    text = """func.func private @f(%t: !stablehlo.token, %x: tuple<tensor<2xf32>, tensor<i32>>)
        -> (tuple<tensor<i32>, tensor<2xf32>>, !stablehlo.token) {
      %0 = stablehlo.get_tuple_element %x[1] : (tuple<tensor<2xf32>, tensor<i32>>) -> tensor<i32>
      %1 = stablehlo.get_tuple_element %x[0] : (tuple<tensor<2xf32>, tensor<i32>>) -> tensor<2xf32>
      %2 = stablehlo.tuple %0, %1 : tuple<tensor<i32>, tensor<2xf32>>
      return %2, %t : tuple<tensor<i32>, tensor<2xf32>>, !stablehlo.token
    }
    func.func @main(%x: tuple<tensor<2xf32>, tensor<i32>>, %t: !stablehlo.token)
        -> (tuple<tensor<i32>, tensor<2xf32>>, !stablehlo.token) {
      %0:2 = call @f(%t, %x) : (!stablehlo.token, tuple<tensor<2xf32>, tensor<i32>>)
          -> (tuple<tensor<i32>, tensor<2xf32>>, !stablehlo.token)
      return %0#0, %0#1 : tuple<tensor<i32>, tensor<2xf32>>, !stablehlo.token
    }"""
    x = normal(2)
    assert_gives(text, [x, np.int32(4)], [4, x])
    with pytest.raises(ArgumentError, match="1 arrays for 2 inputs"):
        hlo.evaluate(hlo.parse(text), x)


MAP = """({{
    ^bb0(%x: tensor<f32>, %y: tensor<f32>):
      %0 = stablehlo.multiply %x, {factor} : tensor<f32>
      %1 = stablehlo.add %0, %y : tensor<f32>
      stablehlo.return %1 : tensor<f32>
    }}) """


def test_map():
    x, y = normal(2, 3), normal(2, 3)
    text = op_text("stablehlo.map", "dimensions = array<i64: 0, 1>", [x, y], [type_text(x)],
                   MAP.format(factor="%x"))
    assert_gives(text, [x, y], [x * x + y])
    text = program('%c = stablehlo.constant dense<2.0> : tensor<f32>\n  %r0 = "stablehlo.map"'
                   f'(%a0, %a1) {MAP.format(factor="%c")} {{dimensions = array<i64: 0, 1>}} : '
                   "(tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>", [x, y],
                   ["tensor<2x3xf32>"])
    assert_gives(text, [x, y], [2 * x + y])


def test_map_goes_over_all_axes():
    x = normal(2, 3)
    text = op_text("stablehlo.map", "dimensions = array<i64: 1>", [x, x], [type_text(x)],
                   MAP.format(factor="%x"))
    assert "dimensions (1,) are not all axes of (2, 3)" in refused(text, x, x, error=ShapeError)


def test_what_starts_apart_is_done_at_once():
    text = """func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      %0 = "stablehlo.async_start"(%x) ({
      ^bb0(%y: tensor<4xf32>):
        %1 = "stablehlo.all_gather"(%y) {all_gather_dim = 0 : i64,
          replica_groups = dense<0> : tensor<1x1xi64>} : (tensor<4xf32>) -> tensor<4xf32>
        stablehlo.return %1 : tensor<4xf32>
      }) : (tensor<4xf32>) -> !stablehlo.future<tensor<4xf32>>
      %2 = "stablehlo.async_done"(%0) : (!stablehlo.future<tensor<4xf32>>) -> tensor<4xf32>
      return %2 : tensor<4xf32>
    }"""
    x = normal(4)
    assert_gives(text, [x], [x])


def test_the_sum_over_replicas():
    x = normal(2, 2)
    text = op_text("stablehlo.cross-replica-sum", "replica_groups = dense<[[0, 1]]> : "
                   "tensor<1x2xi64>", [x[0]], ["tensor<2xf32>"])
    found = hlo.evaluate_parallel(hlo.parse(text), [[row] for row in x], num_replicas=2)
    for (total,) in found:
        np.testing.assert_allclose(total, x.sum(0), rtol=1e-6)


MANUAL = """sdy.mesh @mesh = <["x"={n}]>
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {{
  %0 = sdy.sharding_constraint %x <@mesh, [{{"x"}}]> : tensor<4xf32>
  %1 = sdy.manual_computation(%0) in_shardings=[<@mesh, [{{"x"}}]>]
      out_shardings=[<@mesh, [{{"x"}}]>] manual_axes={{"x"}} (%y: tensor<{part}xf32>) {{
    %2 = stablehlo.negate %y : tensor<{part}xf32>
    sdy.return %2 : tensor<{part}xf32>
  }} : (tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}}"""


def test_a_program_for_each_device():
    x = normal(4)
    assert_gives(MANUAL.format(n=1, part=4), [x], [-x])
    message = refused(MANUAL.format(n=2, part=2), x)
    assert "argument 0 is f32[2] on each device, a part of f32[4]" in message
    assert "program.mlir:4" in message
    assert "evaluate_parallel" in message


# -- calls by name ---------------------------------------------------------------------------------


def call_text(target, attributes, operands, results):
    names = ", ".join(f"%a{i}" for i in range(len(operands)))
    outs = ", ".join(f"%r{i}" for i in range(len(results)))
    types = ", ".join(map(type_text, operands))
    return program(f"{outs} = stablehlo.custom_call @{target}({names}) {{{attributes}}} : "
                   f"({types}) -> ({', '.join(results)})", operands, results)


@pytest.mark.parametrize("name, function", [
    ("erf", scipy.special.erf), ("asin", np.arcsin), ("sinh", np.sinh), ("tan", np.tan),
    ("atanh", np.arctanh)])
def test_operations_under_the_names_that_exports_use(name, function):
    x = rng.uniform(-0.9, 0.9, 5).astype(np.float32)
    text = call_text(f"mhlo.{name}", "mhlo.attributes = {}, mhlo.version = 1 : i64", [x],
                     [type_text(x)])
    assert_gives(text, [x], [function(x)])


def test_top_k_under_the_name_that_exports_use():
    x = normal(2, 5)
    text = call_text("mhlo.topk", "mhlo.attributes = {k = 3 : i64, largest = true}, "
                     "mhlo.version = 1 : i64", [x], ["tensor<2x3xf32>", "tensor<2x3xi32>"])
    order = np.argsort(-x, axis=1)[:, :3]
    assert_gives(text, [x], [np.take_along_axis(x, order, 1), order])
    assert "smallest" in refused(text.replace("largest = true", "largest = false"), x)


def test_a_composite_is_the_operation_it_is_named_after():
    text = """func.func private @impl(%x: tensor<3xf32>) -> tensor<3xf32> {
      return %x : tensor<3xf32>
    }
    func.func @main(%x: tensor<3xf32>) -> tensor<3xf32> {
      %0 = stablehlo.composite "chlo.erf" %x {decomposition = @impl, version = VERSION : i32} :
          (tensor<3xf32>) -> tensor<3xf32>
      return %0 : tensor<3xf32>
    }"""
    x = normal(3)
    assert_gives(text.replace("VERSION", "1"), [x], [scipy.special.erf(x)])
    assert_gives(text.replace("VERSION", "2"), [x], [x])  # whose meaning only the body says


def test_marks_for_the_partitioner_go():
    x = normal(4)
    text = call_text("Sharding", 'mhlo.sharding = "{devices=[2]<=[2]}"', [x], [type_text(x)])
    assert_gives(text, [x], [x])
    assert hlo.legalize(hlo.parse(text)).graph.nodes == ()
    text = call_text("SPMDFullToShardShape", 'mhlo.sharding = "{manual}"', [x], ["tensor<2xf32>"])
    assert "for several devices" in refused(text, x)


def test_a_call_may_take_and_give_tokens():
    text = """func.func @main(%t: !stablehlo.token, %x: tensor<2xf32>) -> tensor<2xf32> {
      %0:2 = stablehlo.custom_call @twice(%t, %x) {has_side_effect = true} :
          (!stablehlo.token, tensor<2xf32>) -> (!stablehlo.token, tensor<2xf32>)
      return %0#1 : tensor<2xf32>
    }"""
    seen = []
    def twice(x):
        seen.append(x)
        return 2 * x
    x = normal(2)
    (found,) = hlo.evaluate(hlo.parse(text), x, custom_calls={"twice": twice})
    np.testing.assert_array_equal(found, 2 * x)
    assert len(seen) == 1


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("line, reason, hint", [
    ("%0 = stablehlo.rng %x, %x, %s, distribution = UNIFORM : (tensor<f32>, tensor<f32>, "
     "tensor<1xi64>) -> tensor<3xf32>", "a state that the program does not hold",
     "stablehlo.rng_bit_generator"),
    ('%0:2 = "stablehlo.infeed"(%t) : (!stablehlo.token) -> (tensor<f32>, !stablehlo.token)',
     "waits for arrays from outside", "as an input of the function"),
    ('%0 = "stablehlo.outfeed"(%x, %t) : (tensor<f32>, !stablehlo.token) -> !stablehlo.token',
     "hands arrays to somebody", "return what it would take"),
    ('%0 = "stablehlo.send"(%x, %t) : (tensor<f32>, !stablehlo.token) -> !stablehlo.token',
     "to another program", "return what it would take"),
    ('%0:2 = "stablehlo.recv"(%t) : (!stablehlo.token) -> (tensor<f32>, !stablehlo.token)',
     "from another program", "as an input of the function"),
    ('%0 = "tosa.add"(%x, %x) : (tensor<f32>, tensor<f32>) -> tensor<f32>',
     "is not an operation of arraylib, nor is there a rule", ""),
    ('%0 = "stablehlo.uniform_quantize"(%x) : (tensor<f32>) -> '
     "tensor<!quant.uniform<i8:f32:{0:1}, {{1.0}}>>", "no kind of quantized array", "one scale"),
    ('%0 = "stablehlo.set_dimension_size"(%s, %i) {dimension = 0 : i64} : (tensor<1xi64>, '
     "tensor<i32>) -> tensor<?xi64>", "makes axis 0 of i64[1] 0 long", "stablehlo.slice")])
def test_refusals(line, reason, hint):
    text = ("func.func @main(%t: !stablehlo.token, %x: tensor<f32>, %s: tensor<1xi64>) {\n"
            f"  %i = stablehlo.constant dense<0> : tensor<i32>\n  {line}\n  return\n}}")
    message = refused(text, np.float32(1), np.zeros(1, np.int64))
    assert "program.mlir:3 in main" in message
    assert line.split("=")[1].split("(")[0].replace('"', "").split()[0] in message.splitlines()[0]
    assert reason in message
    assert hint in message


def test_a_program_of_core_operations_is_left_as_it_is():
    module = hlo.parse(program("%r0 = stablehlo.add %a0, %a0 : tensor<3xf32>", [normal(3)],
                               ["tensor<3xf32>"]))
    assert hlo.legalize(module).graph is module.graph


def test_xla_agrees_on_what_names_mean():
    x, y = normal(3, 1), normal(4)
    text = op_text("chlo.broadcast_next_after", "", [x, y], ["tensor<3x4xf32>"])
    assert_gives(text, [x, y], run_text(text, [x, y]), rtol=0)


def test_calls_that_others_understand_stay():
    x = normal(3)
    text = call_text("somebodys", 'mhlo.backend_config = {depth = 2 : i32}', [x], [type_text(x)])
    shown = hlo.text(hlo.legalize(hlo.parse(text)))
    assert "custom_call @somebodys(%arg0) {mhlo.backend_config = {depth = 2 : i32}}" in shown
    (found,) = hlo.evaluate(hlo.parse(shown), x, custom_calls={"somebodys": np.sin})
    np.testing.assert_allclose(found, np.sin(x), rtol=1e-6)
    assert "nobody has said what @somebodys does" in refused(text, x, error=ArgumentError)


def test_a_function_that_is_called_twice_stays_one_function():
    text = """func.func private @f(%x: tensor<3xf32>) -> tensor<3xf32> {
      %0 = chlo.broadcast_add %x, %x : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
      return %0 : tensor<3xf32>
    }
    func.func @main(%x: tensor<3xf32>) -> tensor<3xf32> {
      %0 = call @f(%x) : (tensor<3xf32>) -> tensor<3xf32>
      %1 = call @f(%0) {note = "kept"} : (tensor<3xf32>) -> tensor<3xf32>
      return %1 : tensor<3xf32>
    }"""
    x = normal(3)
    assert_gives(text, [x], [4 * x])
    shown = hlo.text(hlo.legalize(hlo.parse(text)))
    assert shown.count("func.func private") == 1
    assert shown.count("call @f(") == 2
    assert 'note = "kept"' in shown


def test_text_keeps_what_there_are_rules_for():
    """The parser refuses other names of these dialects, as mistyped."""
    known = {name for name in (*RULES, *REFUSED) if name.startswith(("stablehlo.", "chlo."))}
    quantized = {"stablehlo.uniform_quantize", "stablehlo.uniform_dequantize"}
    assert KEPT == {name for name in known if not is_ours(name)} | quantized


def test_regions_and_results_that_do_not_fit_are_refused():
    x = normal(3)
    one = """({
    ^bb0(%a: tensor<f32>):
      stablehlo.return %a : tensor<f32>
    }) """
    text = op_text("stablehlo.map", "dimensions = array<i64: 0>", [x, x], [type_text(x)], one)
    assert "its region takes 1 arguments, not 2" in refused(text, x, x, error=ShapeError)
    text = op_text("chlo.broadcast_add", "", [x, x], [type_text(x)] * 2)
    assert "gives 1 results, not 2" in refused(text, x, x, error=ShapeError)

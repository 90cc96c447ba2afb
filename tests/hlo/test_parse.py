"""Text is read as it is meant: what we print comes back, and what JAX prints computes the same."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xla
from cases import DTYPES, elementwise_at, examples
from hypothesis import given, settings, strategies as st
from jax._src.interpreters import mlir
from jax_programs import PROGRAMS, printed, results
from jaxlib.mlir import ir
from random_graphs import random_graph

import arraylib
import arraylib.numpy as jnp
from arraylib import dtypes as dt, hlo
from arraylib.hlo import ParseError, parse, text
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops import TABLE, control, elementwise as ew
from arraylib.hlo.ops.constant import constant

VECTOR = Type(dt.float32, (3,))


def comes_back(graph):
    shown = text(graph)
    module = parse(shown)
    assert module == graph, shown
    assert text(module) == shown
    return module


# With a region that one of our operations stands for, these are read as that operation.
SHORT = {"scatter_with": "scatter"}


@pytest.mark.parametrize("case", list(examples()), ids=str)
def test_every_operation_comes_back(case):
    shown = text(case.graph())
    module = parse(shown)
    (node,) = module.graph.nodes
    if node.op.name == SHORT.get(case.op.name):
        assert text(module) == shown
    else:
        comes_back(case.graph())
        assert node.op is case.op


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_comes_back(dtype):
    for case in elementwise_at(dtype):
        comes_back(case.graph())


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32))
def test_random_programs_come_back(seed):
    graph = random_graph(seed)
    comes_back(graph)
    assert xla.canonical(text(graph)) == xla.canonical(xla.reprint(text(graph)))


@pytest.mark.thorough
@settings(deadline=None, max_examples=10_000)
@given(st.integers(0, 2**32))
def test_ten_thousand_random_programs_come_back(seed):
    graph = random_graph(seed)
    comes_back(graph)
    assert xla.canonical(text(graph)) == xla.canonical(xla.reprint(text(graph)))


def test_different_programs_are_different():
    def graph(function):
        return trace_graph([VECTOR, VECTOR], function)
    programs = [graph(f) for f in (
        lambda x, y: [ew.add(x, y)], lambda x, y: [ew.add(y, x)], lambda x, y: [ew.add(x, x)],
        lambda x, y: [ew.subtract(x, y)], lambda x, y: [x], lambda x, y: [x, y],
        lambda x, y: [ew.compare(x, y, direction="LT")],
        lambda x, y: [ew.compare(x, y, direction="GT")],
        lambda x, y: control.call(x, y, body=graph(lambda x, y: [ew.add(x, y)])),
        lambda x, y: control.call(x, y, body=graph(lambda x, y: [ew.add(y, x)])))]
    for i, a in enumerate(programs):
        for j, b in enumerate(programs):
            assert (parse(text(a)) == b) == (i == j)


# -- JAX's programs --------------------------------------------------------------------------------


def close(found, name):
    wanted = results(name)
    assert len(found) == len(wanted)
    for x, y in zip(found, wanted):
        assert x.dtype == y.dtype and x.shape == y.shape
        if dt.is_inexact(x.dtype):
            wide = np.complex128 if dt.is_complex(x.dtype) else np.float64
            rough = 1e-2 if x.dtype.itemsize <= 2 else 2e-4
            np.testing.assert_allclose(x.astype(wide), y.astype(wide), rtol=rough, atol=rough / 10)
        else:
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("name", PROGRAMS)
def test_jax_programs_compute_what_they_do_in_jax(name):
    module = parse(printed(name), name)
    close(hlo.evaluate(module, *PROGRAMS[name][1]), name)


@pytest.mark.parametrize("name", PROGRAMS)
def test_jax_programs_compute_the_same_compiled(name):
    close(hlo.evaluate(parse(printed(name)), *PROGRAMS[name][1], backend="cpu"), name)


@pytest.mark.parametrize("name", PROGRAMS)
def test_jax_programs_are_printed_as_they_were(name):
    module = parse(printed(name))
    shown = text(module)
    assert parse(shown) == module and text(parse(shown)) == shown
    assert len(xla.reprint(shown).splitlines()) == len(shown.splitlines())


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_generic_form_means_the_same(name):
    context = mlir.make_ir_context()
    with context:
        module = ir.Module.parse(printed(name))
        generic = module.operation.get_asm(print_generic_op_form=True)
    assert '"stablehlo.' in generic and "stablehlo.add %" not in generic
    assert text(parse(generic)) == text(parse(printed(name)))


def test_locations_are_the_users_lines():
    module = parse(printed("mlp", debug=True))
    assert module == parse(printed("mlp"))
    lines = {(node.where.file.rsplit("/")[-1], node.where.line) for node in module.graph.nodes}
    assert any(file == "jax_programs.py" for file, _ in lines)
    shown = text(module, locations=True)
    again = parse(shown)
    assert again == module
    assert [n.where[:2] for n in again.graph.nodes] == [n.where[:2] for n in module.graph.nodes]
    assert xla.reprint(shown)


def test_without_locations_a_node_is_at_its_line_of_the_text():
    module = parse("func.func @f(%x: tensor<3xf32>) -> tensor<3xf32> {\n\n"
                   "  %0 = stablehlo.add %x, %x : tensor<3xf32>\n  return %0 : tensor<3xf32>\n}",
                   "a.mlir")
    assert module.graph.nodes[0].where == ("a.mlir", 3, "f")


# -- forms -----------------------------------------------------------------------------------------


def main(body, arguments="%x: tensor<2x3xf32>", results="tensor<2x3xf32>"):
    return f"func.func @main({arguments}) -> {results} {{\n{body}\n}}"


SAME = {
    "notes and comments": main("""
      // a comment
      %0 = stablehlo.add %x, %x {mhlo.note = "why", other} : tensor<2x3xf32>  // another
      return %0 : tensor<2x3xf32>"""),
    "generic": main("""
      %0 = "stablehlo.add"(%x, %x) : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
      "func.return"(%0) : (tensor<2x3xf32>) -> ()"""),
    "signature": main("""
      %0 = stablehlo.add %x, %x : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
      func.return %0 : tensor<2x3xf32>"""),
    "in a module": "module @m attributes {a = 1 : i32} {\n" + main("""
      %0 = stablehlo.add %x, %x : tensor<2x3xf32>
      return %0 : tensor<2x3xf32>""") + "\n}\n",
    "on one line": "func.func @main(%x: tensor<2x3xf32>) -> tensor<2x3xf32> { "
                   "%0 = stablehlo.add %x, %x : tensor<2x3xf32> return %0 : tensor<2x3xf32> }",
}


@pytest.mark.parametrize("name", SAME)
def test_forms_that_mean_the_same(name):
    wanted = trace_graph([VECTOR.with_shape((2, 3))], lambda x: [ew.add(x, x)])
    assert parse(SAME[name]) == wanted


def test_notes_are_kept():
    shown = text(parse(SAME["notes and comments"]))
    assert 'stablehlo.add %arg0, %arg0 {mhlo.note = "why", other} : tensor<2x3xf32>' in shown
    assert "module @m attributes {a = 1 : i32} {" in text(parse(SAME["in a module"]))


def test_attributes_of_arguments_and_meshes_are_kept():
    program = """module @jit_f attributes {mhlo.num_partitions = 2 : i32} {
  sdy.mesh @mesh = <["x"=2, "y"=4]>
  func.func public @main(%arg0: tensor<8xf32> {sdy.sharding = #sdy.sharding<@mesh, [{"x"}]>, \
tf.aliasing_output = 0 : i32}) -> (tensor<8xf32> {jax.result_info = "r[\\220\\22]"}) {
    %0 = "sdy.sharding_constraint"(%arg0) <{sharding = #sdy.sharding<@mesh, [{}]>}> : \
(tensor<8xf32>) -> tensor<8xf32>
    return %0 : tensor<8xf32>
  }
}
"""
    assert text(parse(program)) == program
    pretty = program.replace('"sdy.sharding_constraint"(%arg0) <{sharding = #sdy.sharding<@mesh, '
                             '[{}]>}> : (tensor<8xf32>) -> tensor<8xf32>',
                             "sdy.sharding_constraint %arg0 <@mesh, [{}]> : tensor<8xf32>")
    assert text(parse(pretty)) == program
    x = np.arange(8, dtype=np.float32)
    np.testing.assert_array_equal(hlo.evaluate(parse(pretty), x)[0], x)


def test_foreign_operations_are_kept_word_for_word():
    program = main("""    %0 = "other.thing"(%x) <{a = [1 : i32, "b"], t = tensor<2xf32>}> ({
    ^bb0(%arg1: tensor<f32>):
      %1 = stablehlo.add %arg1, %arg1 : tensor<f32>
      "other.done"(%1) : (tensor<f32>) -> ()
    }) {c = #other.d<1 -> "2>">} : (tensor<2x3xf32>) -> !other.token
    return %x : tensor<2x3xf32>""").replace("other.done", "other.return")
    shown = text(parse(program))
    for part in ('"other.thing"(%arg0) <{a = [1 : i32, "b"], t = tensor<2xf32>}> ({',
                 '"other.return"(%1) : (tensor<f32>) -> ()', 'c = #other.d<1 -> "2>">',
                 "!other.token"):
        assert part in shown
    assert text(parse(shown)) == shown and parse(shown) == parse(program)


def test_results_need_no_name_and_a_name_is_the_first_of_several():
    module = parse(main("""
      stablehlo.tanh %x : tensor<2x3xf32>
      %0:2 = "stablehlo.optimization_barrier"(%x, %x) : (tensor<2x3xf32>, tensor<2x3xf32>) ->
        (tensor<2x3xf32>, tensor<2x3xf32>)
      %1 = stablehlo.subtract %0,
        %0#1 : tensor<2x3xf32>
      return %1 : tensor<2x3xf32>"""))
    tanh, barrier, subtract = module.graph.nodes
    assert subtract.inputs == barrier.outputs and tanh.op is ew.tanh


def test_what_looks_like_a_symbol_is_none():
    """In a string or a comment: otherwise these two would call one another in a circle."""
    module = parse("""
      func.func @main() {
        call @other() : () -> ()
        return
      }
      func.func @other() {  // of @main
        stablehlo.custom_call @note() {message = "from @main, \\"@main\\""} : () -> ()
        return
      }""")
    assert [f.name for f in module.functions] == ["main", "other"]


def test_the_generic_form_of_a_mesh_is_kept():
    program = """module {
  "sdy.mesh"() <{mesh = #sdy.mesh<["x"=2]>, sym_name = "m"}> {a = "//"} : () -> ()
  func.func public @main() {
    return
  }
}
"""
    assert text(parse(program)) == program
    assert text(parse(program.replace("<{mesh", "<{ // why\n mesh"))) == program.replace(
        "<{mesh", "<{ mesh")


def test_hints_are_kept():
    """What means nothing here may mean something to others."""
    convolution = main("""
      %0 = stablehlo.convolution(%x, %k) dim_numbers = [b, 0, f]x[0, i, o]->[b, 0, f], \
window = {stride = [], pad = [], lhs_dilate = [], rhs_dilate = [], reverse = []} \
{batch_group_count = 1 : i64, feature_group_count = 1 : i64, \
precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision DEFAULT>]} : \
(tensor<2x3x1xf32>, tensor<2x1x4xf32>) -> tensor<2x2x4xf32>
      return %0 : tensor<2x2x4xf32>""", "%x: tensor<2x3x1xf32>, %k: tensor<2x1x4xf32>",
                       "tensor<2x2x4xf32>")
    assert "precision HIGHEST" in text(parse(convolution))
    assert "precision HIGHEST" in xla.reprint(text(parse(convolution)))
    gather = main("""
      %0 = "stablehlo.gather"(%x, %i) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], \
collapsed_slice_dims = [0], start_index_map = [0]>, indices_are_sorted = true, \
slice_sizes = array<i64: 1, 3>}> : (tensor<2x3xf32>, tensor<1xi32>) -> tensor<3xf32>
      return %0 : tensor<3xf32>""", "%x: tensor<2x3xf32>, %i: tensor<1xi32>", "tensor<3xf32>")
    assert "indices_are_sorted = true" in text(parse(gather))
    assert "index_vector_dim" not in text(parse(gather))  # 0, which MLIR leaves out
    assert xla.reprint(text(parse(gather))) == xla.reprint(gather.replace("@", "public @"))


def test_a_reduction_in_another_dtype_comes_back():
    program = main("""
      %0 = "stablehlo.reduce"(%x, %i) ({
      ^bb0(%a: tensor<f64>, %b: tensor<f64>):
        %1 = stablehlo.add %a, %b : tensor<f64>
        stablehlo.return %1 : tensor<f64>
      }) {dimensions = array<i64: 0>} : (tensor<2x3xf32>, tensor<f32>) -> tensor<3xf64>
      return %0 : tensor<3xf64>""", "%x: tensor<2x3xf32>, %i: tensor<f32>", "tensor<3xf64>")
    module = parse(program)
    assert parse(text(module)) == module
    x = np.float32([[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(hlo.evaluate(module, x, np.float32(0))[0], [5, 7, 9])
    opened = parse(program.replace("2x3xf32", "?x3xf32"))
    assert parse(text(opened)) == opened
    np.testing.assert_array_equal(hlo.evaluate(opened, x, np.float32(0))[0], [5, 7, 9])


def test_the_function_of_a_location_is_the_name_closest_to_the_file():
    module = parse("""
      #file = loc("model.py":7:2)
      #layer = loc("layer"(#file))
      #call = loc(callsite(#layer at #outer))
      #outer = loc("other.py":1:1)
      #op = loc("jit(f)/add"(#call))
      #loop = loc(#loop)
      func.func @main(%x: tensor<2xf32>) {
        %0 = stablehlo.add %x, %x : tensor<2xf32> loc(#op)
        %1 = stablehlo.add %x, %0 : tensor<2xf32> loc(#file)
        %2 = stablehlo.add %x, %1 : tensor<2xf32> loc(#loop)
        return
      }""", "a.mlir")
    wheres = [node.where for node in module.graph.nodes]
    assert wheres == [("model.py", 7, "layer"), ("model.py", 7, ""), ("a.mlir", 11, "main")]
    assert str(wheres[1]) == "model.py:7"
    again = parse(text(module, locations=True))
    assert [node.where for node in again.graph.nodes] == wheres


@pytest.mark.parametrize("literal, type, wanted", [
    ("dense<1>", "tensor<2xi8>", [1, 1]), ("dense<[1, -2]>", "tensor<2xi8>", [1, -2]),
    ("dense<255>", "tensor<i8>", -1), ("dense<true>", "tensor<i1>", True),
    ("dense<[[0x7FC00000, 0xFF800000]]>", "tensor<1x2xf32>", [[np.nan, -np.inf]]),
    ('dense<"0x0000803F000000C0">', "tensor<2xf32>", [1, -2]),
    ('dense<"0x0000803F">', "tensor<3xf32>", [1, 1, 1]), ("dense<>", "tensor<0x2xf32>", []),
    ('dense<"0x05">', "tensor<3xi1>", [True, False, True]),
    ("dense<(1.5, -2.0)>", "tensor<complex<f32>>", 1.5 - 2j),
    ("dense<[(0.0,1.0), (2.0,0x7F800000)]>", "tensor<2xcomplex<f32>>",
     [1j, complex(2, np.inf)]),
    ("dense<1.0e-3>", "tensor<f64>", 1e-3), ("dense<-5>", "tensor<i4>", -5)])
def test_literals(literal, type, wanted):
    module = parse(f"func.func @main() -> {type} {{\n  %0 = stablehlo.constant {literal} : {type}\n"
                   f"  return %0 : {type}\n}}")
    (found,) = hlo.evaluate(module)
    wanted = np.asarray(wanted).astype(found.dtype).reshape(found.shape)
    np.testing.assert_array_equal(found, wanted)
    assert parse(text(module)) == module


def test_large_constants_are_read_in_seconds():
    values = np.random.default_rng(0).standard_normal((10, 250_000)).astype(np.float32)
    graph = trace_graph([], lambda: [constant(value=values)])
    shown = text(graph)
    assert len(shown) > 20_000_000
    assert parse(shown) == graph


# -- the API ---------------------------------------------------------------------------------------


def test_the_entry_is_the_public_main_or_the_first():
    def program(*functions):
        return parse("\n".join(f"func.func {f}() {{\n  return\n}}" for f in functions))
    assert program("private @a", "public @b", "public @main").entry.name == "main"
    assert program("private @main", "@b").entry.name == "b"
    assert program("private @a", "private @b").entry.name == "a"
    assert program("private @a", "@b")["a"].public is False
    with pytest.raises(TypeError, match="no function is called 'c'"):
        program("@a")["c"]
    with pytest.raises(TypeError, match="there is no function"):
        _ = parse("module {}").graph


def test_64_bit_types_stay_what_they_are():
    module = parse(main("  %0 = stablehlo.add %x, %x : tensor<2xi64>\n  return %0 : tensor<2xi64>",
                        "%x: tensor<2xi64>", "tensor<2xi64>"))
    for backend in ("reference", "cpu"):
        (found,) = hlo.evaluate(module, np.array([1, 2**40]), backend=backend)
        assert found.dtype == np.int64 and found.tolist() == [2, 2**41]


def test_operands_that_do_not_fit_are_refused():
    module = parse(SAME["generic"])
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(TypeError, match="evaluate: 2 arrays for 1 inputs"):
        hlo.evaluate(module, x, x)
    with pytest.raises(TypeError, match=r"array 0 is float64, but the input is f32\[2,3\]"):
        hlo.evaluate(module, x.astype(float))
    with pytest.raises(TypeError, match=r"array 0 has shape \(3, 2\), but the input is f32\[2,3\]"):
        hlo.evaluate(module, x.T)
    with pytest.raises(TypeError, match="no backend is called 'gpu'"):
        hlo.evaluate(module, x, backend="gpu")


def test_traced_values_are_refused():
    """Their derivative would be zero."""
    module = parse(SAME["generic"])
    x = jnp.ones((2, 3))
    assert hlo.evaluate(module, x)[0].tolist() == [[2] * 3] * 2
    for transform in (arraylib.grad, arraylib.jit):
        with pytest.raises(TypeError, match="values that are being traced"):
            transform(lambda x: hlo.evaluate(module, x)[0].sum())(x)


@pytest.mark.parametrize("function", ["evaluate", "legalize", "text", "verify", "pretty"])
def test_a_text_is_no_module(function):
    with pytest.raises(TypeError, match=f"{function}: takes a module or a graph, not a str"):
        getattr(hlo, function)("func.func @main() {\n  return\n}")
    with pytest.raises(TypeError, match="parse: takes text or bytes, not a PosixPath"):
        parse(Path("a.mlir"))


def test_a_module_is_shown_in_a_line():
    functions = "\n".join(f"func.func @f{i}(%x: tensor<2xf32>) {{\n  return\n}}" for i in range(9))
    module = parse(f"module @m {{\n{functions}\n}}")
    assert repr(module) == "<module m: @f0, @f1, @f2, @f3, @f4 and 4 more>"
    assert repr(module["f0"]) == "<function @f0(f32[2]) -> ()>"
    assert hlo.pretty(module).startswith("@f0 (a: f32[2])\n  return \n\n@f1 ")


def test_custom_calls_are_given_by_name():
    module = parse(main("  %0 = stablehlo.custom_call @twice(%x) : (tensor<2x3xf32>) -> "
                        "tensor<2x3xf32>\n  return %0 : tensor<2x3xf32>"))
    x = np.ones((2, 3), np.float32)
    for backend in ("reference", "cpu"):
        (found,) = hlo.evaluate(module, x, backend=backend, custom_calls={"twice": lambda x: 2 * x})
        np.testing.assert_array_equal(found, 2 * x)
    with pytest.raises(TypeError, match="nobody has said what @twice does"):
        hlo.evaluate(module, x)
    for backend in ("reference", "cpu"):
        for function, message in ((lambda x: (x, x), "@twice returned 2 arrays, not 1"),
                                  (lambda x: x[:1], r"float32 and shape \(1, 3\), not f32\[2,3\]"),
                                  (lambda x: x.astype(float), "is an array of float64")):
            with pytest.raises(TypeError, match=message):
                hlo.evaluate(module, x, backend=backend, custom_calls={"twice": function})


def test_every_record_is_in_the_text():
    """No operation of the table is left out of what can be read and written."""
    shown = {case.op.name for case in examples()}
    assert shown == set(TABLE)


def test_errors_are_of_one_kind():
    message = "x.mlir:1:1: a module holds functions and meshes, not hello"
    with pytest.raises(ParseError, match=re.escape(message)):
        parse("hello", "x.mlir")


def test_an_effect_without_results_happens_compiled_as_well():
    module = parse(main("""
      %0 = stablehlo.add %x, %x : tensor<2x3xf32>
      stablehlo.custom_call @note(%0) {has_side_effect = true} : (tensor<2x3xf32>) -> ()
      return %0 : tensor<2x3xf32>"""))
    for backend in ("reference", "cpu"):
        seen = []
        hlo.evaluate(module, np.ones((2, 3), np.float32), backend=backend,
                     custom_calls={"note": lambda x, seen=seen: seen.append(x.sum())})
        assert seen == [12]


def test_processes_of_a_program_meet_in_its_collectives():
    module = parse(main("""
      %0 = "stablehlo.all_reduce"(%x) <{channel_handle = #stablehlo.channel_handle<handle = 1, \
type = 0>, replica_groups = dense<[[0, 1], [2, 3]]> : tensor<2x2xi64>, use_global_device_ids}> ({
      ^bb0(%a: tensor<f32>, %b: tensor<f32>):
        %s = stablehlo.add %a, %b : tensor<f32>
        stablehlo.return %s : tensor<f32>
      }) : (tensor<2x3xf32>) -> tensor<2x3xf32>
      %p = stablehlo.partition_id : tensor<ui32>
      return %0, %p : tensor<2x3xf32>, tensor<ui32>""", results="(tensor<2x3xf32>, tensor<ui32>)"))
    arrays = [np.full((2, 3), 10.0 ** i, np.float32) for i in range(4)]
    found = hlo.evaluate_parallel(module, [[x] for x in arrays], num_replicas=1, num_partitions=4)
    for i, (total, number) in enumerate(found):
        np.testing.assert_array_equal(total, [[11.0] * 3] * 2 if i < 2 else [[1100.0] * 3] * 2)
        assert number == i
    with pytest.raises(Exception, match="all_reduce"):
        hlo.evaluate(module, arrays[0])


NOTED = [case for case in examples() if case.op.name not in ("constant", "custom_call")]


@pytest.mark.parametrize("case", NOTED, ids=str)
def test_notes_on_every_operation_come_back(case):
    graph = case.graph()
    notes = (("other.note", "why"),)
    noted = replace(graph, nodes=tuple(replace(node, notes=notes) for node in graph.nodes))
    shown = text(noted)
    assert 'other.note = "why"' in shown
    module = parse(shown)
    assert module.graph.nodes[-1].notes == notes and text(module) == shown

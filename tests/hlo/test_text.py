"""Our StableHLO text: MLIR parses it and prints it back the same, and XLA computes the same."""

import re

import numpy as np
import pytest
import xla
from cases import DTYPES, elementwise_at, examples
from random_graphs import random_graph, random_inputs

from arraylib import dtypes as dt
from arraylib.hlo import text
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.mlir.literals import dense
from arraylib.hlo.ops import control, elementwise as ew
from arraylib.hlo.ops.constant import constant, full
from arraylib.hlo.ops.shape import slice_
from arraylib.hlo.ops.structured import reshape
from arraylib.hlo.passes.legalize import legalize
from arraylib.hlo.pretty import pretty

VECTOR = Type(dt.float32, (3,))


def assert_as_mlir_prints(graph, names=True):
    words = str.split if names else xla.canonical
    assert words(text(graph)) == words(xla.reprint(text(graph)))


CASES = list(examples())


@pytest.mark.parametrize("case", [c for c in CASES if c.op.name not in xla.NEWER], ids=str)
def test_every_operation_is_written_as_mlir_does(case):
    assert_as_mlir_prints(case.graph())


@pytest.mark.parametrize("case", [c for c in CASES if c.op.name in xla.NEWER], ids=str)
def test_operations_that_jaxlib_does_not_know_yet(case):
    with pytest.raises(Exception, match="unregistered operation|requires one result"):
        xla.reprint(text(case.graph()))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_is_written_as_mlir_does(dtype):
    for case in elementwise_at(dtype):
        assert_as_mlir_prints(case.graph())


@pytest.mark.parametrize("seed", range(8))
def test_random_programs_are_those_of_xla(seed):
    graph = legalize(random_graph(seed))
    assert_as_mlir_prints(graph, names=False)  # MLIR numbers what is in regions last
    arrays = random_inputs(graph, seed)
    for ours, theirs in zip(interpret(graph, arrays), xla.run(graph, arrays), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


SQUARE = trace_graph([VECTOR], lambda x: [ew.multiply(x, x)])


def test_functions_are_written_once_under_names_of_their_own():
    other = trace_graph([VECTOR], lambda x: [ew.add(x, x)])
    graph = trace_graph([VECTOR], lambda x: [
        *control.call(*control.call(x, body=SQUARE, name="square"), body=SQUARE, name="square"),
        *control.call(x, body=other, name="square")])
    shown = text(graph)
    assert shown.count("func.func private @square(") == 1
    assert shown.count("call @square(") == 2
    assert shown.count("call @square_0(") == 1
    assert_as_mlir_prints(graph)
    x = np.arange(3, dtype=np.float32)
    np.testing.assert_array_equal(xla.run(graph, [x])[0], x ** 4)


@pytest.mark.parametrize("name, written", [("<lambda>", "_lambda_"), ("größe", "gr__e"),
                                           ("2nd", "_2nd"), ("", "_")])
def test_names_that_mlir_does_not_allow(name, written):
    shown = text(SQUARE, name)
    assert f"@{written}(" in shown
    assert xla.reprint(shown).count(f"@{written}(") == 1


def test_names_are_free_again_after_a_region():
    few = trace_graph([VECTOR], lambda x: [ew.compare(x_first(x), np.float32(9), direction="LT")])
    more = trace_graph([VECTOR], lambda x: [ew.add(*control.call(x, body=SQUARE), one())])
    graph = trace_graph([VECTOR], lambda x: control.while_(
        ew.add(x, one()), cond=few, body=more, cond_consts=0, body_consts=0))
    assert_as_mlir_prints(graph)
    np.testing.assert_array_equal(xla.run(graph, [np.ones(3, np.float32)])[0], [26, 26, 26])


def one():
    return full((3,), 1, dt.float32)


def x_first(x):
    return reshape(slice_(x, start=(0,), limit=(1,), strides=(1,)), shape=())


NUMBERS = [0, 1, -1, 2.5, 0.1, 1 / 3, -0.99999994, 1e-7 / 3, 16777216 * 3, 123456.7, 1e10, 1e-3,
           1e-4, 3.0000001, 1e30, 5e-324, 999999.9, 0.9999999, np.inf, -np.inf, np.nan, -0.0,
           *np.random.default_rng(0).standard_cauchy(70)]


@pytest.mark.parametrize("dtype", [d for d in DTYPES if dt.is_inexact(d)], ids=str)
def test_numbers_are_written_as_mlir_does(dtype):
    with np.errstate(over="ignore"):
        values = np.array(NUMBERS).astype(dtype)
    graph = trace_graph([], lambda: [constant(value=values), *(
        constant(value=v) for v in values)])
    assert_as_mlir_prints(graph)


@pytest.mark.parametrize("dtype", [d for d in DTYPES if not dt.is_inexact(d)], ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 2), (0,), (2, 0), (101,), (3, 50)], ids=str)
def test_arrays_are_written_as_mlir_does(dtype, shape):
    values = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    assert_as_mlir_prints(trace_graph([], lambda: [constant(value=values)]))


def test_large_arrays_come_back():
    values = np.random.default_rng(0).standard_normal((7, 30)).astype(np.float32)
    assert dense(values).startswith('dense<"0x')
    np.testing.assert_array_equal(
        xla.run(trace_graph([], lambda: [constant(value=values)]), [])[0], values)


def test_the_module_of_a_small_program():
    graph = trace_graph([VECTOR, VECTOR], lambda x, y: [ew.add(ew.multiply(x, y), one())])
    assert text(graph) == """\
module {
  func.func public @main(%arg0: tensor<3xf32>, %arg1: tensor<3xf32>) -> tensor<3xf32> {
    %0 = stablehlo.multiply %arg0, %arg1 : tensor<3xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<3xf32>
    %1 = stablehlo.add %0, %cst : tensor<3xf32>
    return %1 : tensor<3xf32>
  }
}
"""


def test_the_let_list_of_a_small_program():
    graph = trace_graph([VECTOR], lambda x: control.call(ew.add(x, one()), body=SQUARE))
    assert pretty(graph) == """\
(a: f32[3])
  b: f32[3] = constant 1.0
  c: f32[3] = add a b
  d: f32[3] = call c
    body (e: f32[3])
      f: f32[3] = multiply e e
      return f
  return d"""
    assert "# test_text.py:" in pretty(graph, sources=True)


def test_functions_of_one_name_get_numbers():
    graphs = [trace_graph([VECTOR], lambda x, i=i: [ew.add(x, full(VECTOR.shape, i, VECTOR.dtype))])
              for i in range(4)]
    names = ["f", "f_0", "f", "f"]
    graph = trace_graph([VECTOR], lambda x: [y for name, body in zip(names, graphs)
                                             for y in control.call(x, body=body, name=name)])
    found = re.findall(r"private @(\w+)", text(graph))
    assert found == ["f", "f_0", "f_1", "f_2"]

"""Lowered programs mean what their graphs mean, in the interpreter and as machine code."""

import numpy as np
import pytest
import random_graphs
from lowered_programs import PROGRAMS
from random_arrays import random_arrays
from run_native import NATIVE, run_native, run_over_operands
from run_plan import SUPPORTS, run_interpreted, run_plan

from arraylib.backends.lower import lower
from arraylib.backends.lower.plan import GemmStep, HostStep, LoopStep
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import trace_graph
from arraylib.hlo.ops import TABLE
from arraylib.hlo.ops.control import optimization_barrier


def operands(types, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(t.shape).astype(t.dtype) if t.dtype.kind == "f"
            else rng.integers(-2, 8, t.shape).astype(t.dtype) for t in types]


def assert_close(got, want, tolerance=2e-5):
    assert got.dtype == want.dtype and got.shape == want.shape
    if got.dtype.kind not in "fcV":
        np.testing.assert_array_equal(got, want)
        return
    if got.dtype.itemsize == 2:
        got, want, tolerance = got.astype("f4"), want.astype("f4"), 2e-2
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def check(graph, arrays, run_kernel, tolerance=2e-5):
    plan = lower(graph, SUPPORTS if run_kernel is run_interpreted else NATIVE)
    for got, want in zip(run_plan(plan, arrays, run_kernel), interpret(graph, arrays)):
        assert_close(got, want, tolerance)


@pytest.mark.parametrize("run_kernel", [run_interpreted, run_native])
@pytest.mark.parametrize("name", PROGRAMS)
def test_lowered_program_equals_its_graph(name, run_kernel):
    function, types = PROGRAMS[name]
    check(trace_graph(types, function), operands(types), run_kernel)


EXAMPLES = [(op, i) for op in TABLE.values() for i in range(len(op.examples))]


@pytest.mark.parametrize("op, which", EXAMPLES, ids=lambda x: getattr(x, "name", x))
@pytest.mark.parametrize("run_kernel", [run_interpreted, run_native])
def test_every_operation(op, which, run_kernel):
    example = op.examples[which]

    def function(*xs):
        found = op(*xs, **example.attrs)
        return found if op.multiple else [found]

    check(trace_graph(example.types, function), operands(example.types), run_kernel)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("random_graph", [random_arrays, random_graphs.random_graph])
def test_random_programs_in_the_interpreter(random_graph, seed):
    graph = random_graph(seed)
    check(graph, operands(graph.input_types, seed), run_interpreted, 1e-4)


@pytest.mark.parametrize("seed", range(12))
def test_random_programs_as_machine_code(seed):
    graph = random_arrays(seed)
    check(graph, operands(graph.input_types, seed), run_over_operands, 1e-4)


@pytest.mark.parametrize("name", PROGRAMS)
def test_results_may_replace_operands(name):
    function, types = PROGRAMS[name]
    check(trace_graph(types, function), operands(types), run_over_operands)


def steps(name):
    function, types = PROGRAMS[name]
    return lower(trace_graph(types, function), SUPPORTS).steps


@pytest.mark.parametrize("name", ["softmax", "softmax of columns", "layer norm", "gelu", "causal",
                                  "log sum exp"])
def test_row_programs_are_one_kernel(name):
    (step,) = steps(name)
    assert isinstance(step, LoopStep)


KINDS = {GemmStep: "product", LoopStep: "kernel", HostStep: "host"}


@pytest.mark.parametrize("name, kinds", [
    ("layer norm backward", ["kernel"] * 3),  # rows; columns in parts; the parts' sum
    ("dense layer", ["product", "kernel", "product"]),
    ("attention", ["product", "kernel", "product"]),  # heads are split and joined at no cost
    ("turned and added", ["kernel"]),
    ("sum of columns", ["kernel"] * 2),
    ("barrier", ["kernel"] * 2),
])
def test_fusion(name, kinds):
    assert [KINDS[type(step)] for step in steps(name)] == kinds


def test_what_computes_a_window_writes_it():
    first, *around = steps("stencil")
    assert {view.buffer for step in around for view in step.writes} == {first.writes[0].buffer}
    assert first.work > sum(step.work for step in around)


def test_outputs_have_their_own_types():
    function, types = PROGRAMS["attention"]
    (buffer,) = lower(trace_graph(types, function), SUPPORTS).outputs
    assert buffer.type.shape == (2, 8, 12)


@pytest.mark.parametrize("name", ["complex parts", "sorted rows"])
def test_what_no_kernel_covers_is_left_to_the_host(name):
    assert any(isinstance(step, HostStep) for step in steps(name))


def test_equal_layers_have_equal_kernels():
    function, types = PROGRAMS["softmax"]
    graph = trace_graph(types, lambda x: function(*optimization_barrier(*function(x))))
    first, second = lower(graph, SUPPORTS).steps
    assert first.kernel.key() == second.kernel.key() and first.kernel == second.kernel

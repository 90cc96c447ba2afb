"""Finding the pass that is wrong: with passes that are, on purpose."""

import textwrap

import numpy as np
import pytest
from random_graphs import random_graph, random_inputs

from arraylib import dtypes as dt
from arraylib.hlo.ir import Graph, Type, trace_graph
from arraylib.hlo.ops import control, elementwise as ew, structured as st
from arraylib.hlo.ops.loop import scan
from arraylib.hlo.passes.bisect import Finding, bisect
from arraylib.hlo.passes.pipeline import PASSES, optimize, pipeline
from arraylib.hlo.passes.rewrite import everywhere, rewrite
from arraylib.hlo.pretty import pretty

VECTOR = Type(dt.float32, (3,))
X, Y = np.float32([1, 2, 4]), np.float32([0.5, 2, -1])


def replacing(op, make):
    """The pass that replaces each node of an operation."""
    return lambda graph: rewrite(graph, lambda node, rewriter: (
        [make(*node.inputs)] if node.op is op else None))


WRONG = ("wrong", replacing(ew.subtract, lambda x, y: ew.subtract(y, x)))
WITH_WRONG = (*PASSES[:4], WRONG, *PASSES[4:])


def program(x, y):
    a = ew.sine(ew.add(x, y))
    b = ew.subtract(ew.multiply(a, x), ew.exponential(y))
    return [ew.tanh(x), st.reduce_add(ew.multiply(b, a), dimensions=(0,))]


def lines(text):
    return textwrap.dedent(text).strip("\n")


def test_the_wrong_pass_is_named_with_the_part_that_shows_it():
    graph = trace_graph([VECTOR] * 2, program)
    found = bisect(graph, [X, Y], WITH_WRONG)
    assert found and (found.name, found.output) == ("wrong", 1)
    a = np.sin(X + Y)
    b = a * X - np.exp(Y)
    assert found.difference == pytest.approx(abs(2 * np.sum(b * a)), rel=1e-5)
    text = str(found)
    assert text == lines(f"""
        wrong changes output 1 by up to {found.difference:g}
        before:
          (a: f32[3], b: f32[3])
            c: f32[3] = subtract a b
            return c
        after:
          (a: f32[3], b: f32[3])
            c: f32[3] = subtract b a
            return c""")


def test_a_part_is_as_deep_as_it_must_be():
    """Two nodes, for a pass that takes (x + y) - y for x, which is not rounded."""
    def cancel(graph):
        def rule(node, rewriter):
            inner = rewriter.defined.get(node.inputs[0]) if node.op is ew.subtract else None
            return [inner.inputs[0]] if inner and inner.op is ew.add else None
        return rewrite(graph, rule)
    big = np.full(3, 2**24, np.float32)
    graph = trace_graph([VECTOR] * 2, lambda x, y: [
        ew.tanh(ew.subtract(ew.add(ew.sine(x), y), y))])
    found = bisect(graph, [X, big], [*PASSES, ("cancel", cancel)])
    assert pretty(found.before) == lines("""
        (a: f32[3], b: f32[3])
          c: f32[3] = add a b
          d: f32[3] = subtract c b
          return d""")
    assert found.after.outputs == found.after.inputs[:1]
    assert bisect(graph, [X, Y], [("cancel", cancel)], tolerance=1e-6).name == ""


def test_no_pass_changes_a_result():
    graph = trace_graph([VECTOR] * 2, program)
    found = bisect(graph, [X, Y])
    assert not found and str(found) == "no pass changes a result" and found == Finding()


@pytest.mark.parametrize("seed", range(5))
def test_the_passes_of_the_optimiser_change_no_result(seed):
    graph = random_graph(seed)
    assert str(bisect(graph, random_inputs(graph, seed))) == "no pass changes a result"


def test_a_small_difference_may_be_allowed():
    graph = trace_graph([VECTOR] * 2, program)
    nudge = "nudge", replacing(ew.tanh, ew.tan)
    slightly = "slightly", replacing(ew.exponential, lambda y: ew.add(
        ew.exponential_minus_one(y), st.broadcast_in_dim(
            np.float32(1 + 1e-6), shape=(3,), broadcast_dimensions=())))
    assert bisect(graph, [X, Y], [slightly, nudge], tolerance=1e-3).name == "nudge"
    assert bisect(graph, [X, Y], [slightly, nudge]).name == "slightly"


def test_a_change_inside_a_loop_is_found():
    body = trace_graph([VECTOR] * 2, lambda h, x: [ew.subtract(h, x), h])
    def function(h, xs):
        return [*scan(ew.sine(h), xs, body=body, consts=0, carry=1, length=2, reverse=False)]
    graph = trace_graph([VECTOR, Type(dt.float32, (2, 3))], function)
    found = bisect(graph, [X, np.ones((2, 3), np.float32)], [WRONG])
    assert [node.op.name for node in found.before.nodes] == ["scan"]
    assert "subtract" in str(found)


def test_nan_is_no_change_but_a_number_is():
    graph = trace_graph([VECTOR], lambda x: [ew.log(x)])
    assert not bisect(graph, [-X], PASSES)
    found = bisect(graph, [-X], [("zero", replacing(ew.log, ew.sine))])
    assert found.difference == np.inf
    assert str(found).startswith("zero changes output 0 by up to inf\n")


def test_a_pass_that_raises_is_found():
    def fails(graph):
        if any(node.op is ew.exponential for node in graph.nodes):
            raise KeyError("of this pass\nand more")
        return graph
    found = bisect(trace_graph([VECTOR] * 2, program), [X, Y], [*PASSES, ("fails", fails)])
    assert str(found) == lines("""
        fails fails: KeyError: 'of this pass\\nand more'
        before:
          (a: f32[3])
            b: f32[3] = exponential a
            return b""")


def test_a_pass_that_breaks_the_graph_is_found():
    def breaks(graph):
        return Graph(graph.inputs, graph.nodes[1:], graph.outputs)
    found = bisect(trace_graph([VECTOR] * 2, program), [X, Y], [("breaks", breaks)])
    assert str(found).startswith("breaks fails: GraphError: ")
    assert str(found).endswith("after:\n  a graph that uses a value it does not define")


def test_a_result_of_another_type_is_a_change():
    def first(graph):
        return Graph(graph.inputs, graph.nodes, graph.inputs[:1])
    graph = trace_graph([Type(dt.float16, (3,)), VECTOR], lambda h, x: [ew.sine(x)])
    found = bisect(graph, [X.astype(np.float16), X], [("first", first)])
    assert found.name == "first" and found.difference == np.inf


def test_the_pipeline_is_a_list_of_names_and_passes():
    names = [name for name, _ in PASSES]
    assert len(set(names)) == len(names) and names == [name for name, _ in pipeline()]
    graph = random_graph(3)
    changed = graph
    for _, change in PASSES:
        changed = everywhere(change)(changed)
    assert pretty(changed) == pretty(optimize(graph))
    expanded = optimize(trace_graph([VECTOR], lambda x: [ew.tan(x)]),
                        lambda op, node: op is not ew.tan)
    assert "tan" not in {node.op.name for node in expanded.nodes}


def test_calls_are_followed():
    body = trace_graph([VECTOR] * 2, lambda x, y: [ew.subtract(x, y)])
    graph = trace_graph([VECTOR] * 2, lambda x, y: control.call(x, ew.sine(y), body=body))
    found = bisect(graph, [X, Y], WITH_WRONG)
    assert found.name == "wrong" and [n.op.name for n in found.before.nodes] == ["subtract"]

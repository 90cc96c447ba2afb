"""Each way in which a graph can be wrong is found, with the operation and the user's line."""

import pytest

from arraylib import dtypes as dt
from arraylib.errors import ArraylibError
from arraylib.hlo.ir import Builder, Graph, Node, Type, Value, trace_graph
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.control import call
from arraylib.hlo.verify import GraphError, verify

VECTOR = Type(dt.float32, (3,))
SINE = trace_graph([VECTOR], lambda x: [ew.sine(x)])
(X,), (NODE,), (Y,) = SINE.inputs, SINE.nodes, SINE.outputs


def other(type):
    return Value(type, Builder())


def test_a_sound_graph_passes():
    verify(SINE)
    verify(trace_graph([VECTOR], lambda x: call(x, body=SINE)))


def test_an_operand_that_nobody_defines():
    with pytest.raises(GraphError, match=r"sine: operand 0, a f32\[3\], is not defined before"):
        verify(Graph((), (NODE,), (Y,)))


def test_a_use_before_the_definition():
    twice = Node(ew.sine, (Y,), {}, (other(VECTOR),), NODE.where)
    verify(Graph((X,), (NODE, twice), twice.outputs))
    with pytest.raises(GraphError, match="not defined before"):
        verify(Graph((X,), (twice, NODE), twice.outputs))


def test_a_second_definition():
    with pytest.raises(GraphError, match=r"sine: a f32\[3\] is defined a second time"):
        verify(Graph((X,), (NODE, NODE), (Y,)))
    with pytest.raises(GraphError, match="graph: .* is defined a second time"):
        verify(Graph((X, X), (), (X,)))


def test_an_output_that_nobody_defines():
    with pytest.raises(GraphError, match=r"output 1, a f32\[3\], is defined nowhere"):
        verify(Graph((X,), (NODE,), (Y, other(VECTOR))))


def test_results_of_other_types_than_the_rule_says():
    wrong = Node(ew.sine, (X,), {}, (other(Type(dt.float32, (4,))),), NODE.where)
    with pytest.raises(GraphError, match=r"the results are f32\[4\] but .* says f32\[3\]"):
        verify(Graph((X,), (wrong,), wrong.outputs))


def test_operands_that_the_rule_refuses():
    x, y = other(VECTOR), other(Type(dt.int32, (3,)))
    wrong = Node(ew.add, (x, y), {}, (other(VECTOR),), NODE.where)
    with pytest.raises(GraphError, match="add: the operands do not fit") as caught:
        verify(Graph((x, y), (wrong,), wrong.outputs))
    assert "different dtypes" in str(caught.value.__cause__)


def test_a_fault_inside_a_region():
    broken = Graph((X,), (), (other(VECTOR),))
    outer = trace_graph([VECTOR], lambda x: call(x, body=broken))
    with pytest.raises(GraphError, match="output 0"):
        verify(outer)


def test_a_region_that_does_not_fit_its_operands():
    x = other(Type(dt.float32, (4,)))
    wrong = Node(call, (x,), {"body": SINE}, (other(VECTOR),), NODE.where)
    with pytest.raises(GraphError, match="call: the operands do not fit"):
        verify(Graph((x,), (wrong,), wrong.outputs))


def test_the_message_names_the_users_line():
    graph = trace_graph([VECTOR], lambda x: [ew.tanh(x)])  # this line
    with pytest.raises(ArraylibError, match=r"at test_verify.py:\d+ in .*# this line"):
        verify(Graph((), graph.nodes, graph.outputs))


def test_a_function_that_is_called_again_is_checked_once():
    """Written out these calls are 2^40 operations."""
    graph = SINE
    for _ in range(40):
        graph = trace_graph([VECTOR], lambda x, body=graph: call(*call(x, body=body), body=body))
    verify(graph)

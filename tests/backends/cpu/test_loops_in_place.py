"""Loops change what they carry where it is, when the body can."""

import numpy as np
import pytest

from arraylib import dtypes as dt
from arraylib.backends.cpu import backend
from arraylib.backends.cpu.arena import make_room
from arraylib.compile import run_compiled
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import full
from arraylib.hlo.ops.control import while_
from arraylib.hlo.ops.dynamic import dynamic_update_slice
from arraylib.hlo.ops.loop import scan
from arraylib.hlo.ops.structured import reshape

ARRAY, COUNT = Type(dt.float32, (9,)), Type(dt.int32, ())
BOTH_STAY, CHANGE_PLACES, ONE_TWICE = (0, 1), (1, 0), (0, 0)
PLACES = [BOTH_STAY, CHANGE_PLACES, ONE_TWICE]


def turn(places):
    """a[n] = b[n] = 2 n; n + 1: the arrays in these places."""
    def function(a, b, n):
        value = reshape(ew.convert(ew.add(n, n), dtype=dt.float32), shape=(1,))
        found = [dynamic_update_slice(x, value, n) for x in (a, b)]
        return [*(found[i] for i in places), ew.add(n, full((), 1, dt.int32))]

    return trace_graph([ARRAY, ARRAY, COUNT], function)


def while_loop(places):
    cond = trace_graph([COUNT, ARRAY, ARRAY, COUNT],
                       lambda limit, a, b, n: [ew.compare(n, limit, direction="LT")])
    return trace_graph([COUNT, ARRAY, ARRAY, COUNT], lambda *xs: while_(
        *xs, cond=cond, body=turn(places), cond_consts=1, body_consts=0))


def counted_loop(places, length):
    return trace_graph([ARRAY, ARRAY, COUNT], lambda *xs: scan(
        *xs, body=turn(places), consts=0, carry=3, length=length, reverse=False))


def check(graph, *arrays):
    for got, want in zip(run_compiled(graph, arrays), interpret(graph, arrays), strict=True):
        np.testing.assert_array_equal(got, want)


def arrays():
    return np.linspace(0, 1, 9, dtype="f4"), np.ones(9, "f4")


@pytest.mark.parametrize("limit", [0, 1, 2, 7])
@pytest.mark.parametrize("places", PLACES)
def test_while(limit, places):
    check(while_loop(places), np.int32(limit), *arrays(), np.int32(0))


@pytest.mark.parametrize("length", [0, 1, 2, 7])
@pytest.mark.parametrize("places", PLACES)
def test_scan(length, places):
    check(counted_loop(places, length), *arrays(), np.int32(0))


@pytest.mark.parametrize("one_array_twice", [while_loop, lambda p: counted_loop(p, 3)])
def test_one_array_carried_twice(one_array_twice):
    graph = one_array_twice(BOTH_STAY)
    limit = [np.int32(5)] * (len(graph.inputs) - 3)
    check(trace_graph(
        [*(COUNT for _ in limit), ARRAY, COUNT],
        lambda *xs: _again(graph, [*xs[:-2], xs[-2], xs[-2], xs[-1]])),
        *limit, arrays()[0], np.int32(0))


def _again(graph, operands):
    (node,) = graph.nodes
    return node.op(*operands, **node.attrs)


@pytest.mark.parametrize("loop", [while_loop, lambda p: counted_loop(p, 3)])
def test_what_is_changed_where_it_is_has_one_copy(loop):
    def spares(places):
        return set(make_room(backend.lowered(loop(places)).steps[-1]).spares)

    assert spares(BOTH_STAY).isdisjoint({0, 1}) and spares(CHANGE_PLACES) & {0, 1}

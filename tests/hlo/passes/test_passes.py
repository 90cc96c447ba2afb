"""What passes do, in the let-list's notation; and that on random programs they change no bit."""

import cProfile
import pstats
import textwrap
from dataclasses import replace

import numpy as np
import pytest
from random_graphs import random_graph, random_inputs

from arraylib import dtypes as dt
from arraylib.config import config
from arraylib.errors import Source
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Builder, Graph, Type, located, trace_graph
from arraylib.hlo.ops import TABLE, control, elementwise as ew, structured as st
from arraylib.hlo.ops.checkpoint import checkpoint
from arraylib.hlo.ops.constant import constant, full, full_like
from arraylib.hlo.ops.loop import scan
from arraylib.hlo.ops.shape import concatenate, pad, reverse, slice_
from arraylib.hlo.ops.sort import sort
from arraylib.hlo.passes.cse import cse
from arraylib.hlo.passes.dce import dce
from arraylib.hlo.passes.expand import expand
from arraylib.hlo.passes.fold import fold
from arraylib.hlo.passes.hoist import hoist
from arraylib.hlo.passes.inline import inline
from arraylib.hlo.passes.pipeline import optimize
from arraylib.hlo.passes.rewrite import everywhere
from arraylib.hlo.passes.simplify import simplify
from arraylib.hlo.pretty import pretty
from arraylib.hlo.verify import verify

PASSES = {
    "inline": inline, "expand": lambda g: expand(g, lambda op, node: op.name != "stop_gradient"),
    "fold": fold, "simplify": simplify, "cse": cse, "hoist": hoist, "dce": dce,
    "optimize": optimize,
}
VECTOR = Type(dt.float32, (3,))
MATRIX = Type(dt.float32, (2, 3))


def after(change, function, *types):
    """The let-list of what a pass makes of a traced function."""
    types = types or (VECTOR, VECTOR)
    graph = trace_graph(types, lambda *xs: _outputs(function(*xs)))
    changed = everywhere(change)(graph)
    verify(changed)
    return pretty(changed)


def _outputs(out):
    return out if isinstance(out, (list, tuple)) else [out]


def lines(text):
    return textwrap.dedent(text).strip("\n")


@pytest.mark.parametrize("seed", range(60))
def test_random_programs_keep_every_bit(seed):
    graph = random_graph(seed)
    verify(graph)
    arrays = random_inputs(graph, seed)
    wanted = interpret(graph, arrays)
    for name, change in PASSES.items():
        changed = change(graph)
        verify(changed)
        for x, y in zip(interpret(changed, arrays), wanted, strict=True):
            assert x.dtype == y.dtype and x.shape == y.shape
            assert same_bits(x, y), f"{name} of\n{pretty(graph)}\nis\n{pretty(changed)}"


def same_bits(x, y):
    """Equal, -0 unlike 0; the sign and payload of a nan are nobody's."""
    if dt.is_float(x.dtype) and not np.array_equal(np.isnan(x), np.isnan(y)):
        return False
    x, y = (np.where(np.isnan(v), 0, v).astype(v.dtype) if dt.is_float(v.dtype) else v
            for v in (x, y))
    return x.tobytes() == y.tobytes()


@pytest.mark.parametrize("seed", range(10))
def test_optimizing_twice_changes_nothing(seed):
    once = optimize(random_graph(seed))
    assert pretty(optimize(once)) == pretty(once)


def test_a_pass_with_nothing_to_do_returns_the_graph_itself():
    graph = trace_graph([VECTOR], lambda x: [ew.sine(x)])
    for change in PASSES.values():
        assert change(graph) is graph


def test_nodes_keep_the_line_they_come_from():
    line = Source("model.py", 7, "layer")
    def function(x):
        with located(line):
            return [ew.tan(ew.negate(ew.negate(x)))]
    graph = trace_graph([VECTOR], function)
    graph = optimize(graph, lambda op, node: op.name != "tan")
    assert {node.op.name for node in graph.nodes} == {"sine", "cosine", "divide"}
    assert {node.where for node in graph.nodes} == {line}


# -- dce -------------------------------------------------------------------------------------------


def test_dce_drops_what_is_not_needed():
    def function(x, y):
        ew.sine(y)
        return ew.negate(x)
    assert after(dce, function) == lines("""
        (a: f32[3], b: f32[3])
          c: f32[3] = negate a
          return c""")


def test_dce_prunes_the_unread_carry_and_outputs_of_a_loop():
    body = trace_graph([VECTOR] * 4, lambda w, dead, h, x: [
        ew.multiply(dead, w), ew.add(h, x), ew.sine(dead), ew.negate(h)])
    def function(w, dead, h, xs):
        _, last, _, ys = scan(w, dead, h, xs, body=body, consts=1, carry=2, length=2, reverse=False)
        return [last, ys]
    assert after(dce, function, VECTOR, VECTOR, VECTOR, MATRIX) == lines("""
        (a: f32[3], b: f32[3], c: f32[3], d: f32[2,3])
          e: f32[3], f: f32[2,3] = scan c d {consts=0 carry=1 length=2}
            body (g: f32[3], h: f32[3])
              i: f32[3] = add g h
              j: f32[3] = negate g
              return i, j
          return e, f""")


def test_dce_prunes_the_unread_carry_of_a_while_loop():
    few = trace_graph([VECTOR, Type(dt.int32, ())], lambda x, i: [
        ew.compare(i, np.int32(3), direction="LT")])
    more = trace_graph([VECTOR, Type(dt.int32, ())], lambda x, i: [
        ew.sine(x), ew.add(i, np.int32(1))])
    def function(x, i):
        return control.while_(x, i, cond=few, body=more, cond_consts=0, body_consts=0)[1]
    text = after(dce, function, VECTOR, Type(dt.int32, ()))
    assert "while b {" in text and "sine" not in text


def test_dce_prunes_branches():
    branches = tuple(trace_graph([VECTOR] * 2, lambda x, y, op=op: [op(x), ew.tanh(y)])
                     for op in (ew.sine, ew.cosine))
    text = after(dce, lambda i, x, y: control.case(i, x, y, branches=branches)[0],
                 Type(dt.int32, ()), VECTOR, VECTOR)
    assert "case a b\n" in text and "tanh" not in text


# -- inline and expand -----------------------------------------------------------------------------


SQUARE = trace_graph([VECTOR], lambda x: [ew.multiply(x, x)])


def test_inline_writes_out_calls():
    def function(x, y):
        return ew.add(*control.call(x, body=SQUARE), *control.call(y, body=SQUARE))
    assert after(inline, function) == lines("""
        (a: f32[3], b: f32[3])
          c: f32[3] = multiply a a
          d: f32[3] = multiply b b
          e: f32[3] = add c d
          return e""")


def test_inline_keeps_checkpoints_apart_by_a_barrier():
    def function(x, y):
        return [*checkpoint(x, body=SQUARE), *checkpoint(x, body=SQUARE)]
    assert after(lambda g: cse(inline(g)), function) == lines("""
        (a: f32[3], b: f32[3])
          c: f32[3] = optimization_barrier a
          d: f32[3] = multiply c c
          e: f32[3] = optimization_barrier a
          f: f32[3] = multiply e e
          return d, f""")


def test_expand_writes_out_what_is_not_native():
    change = lambda g: expand(g, lambda op, node: op.name != "tan")
    assert after(change, lambda x, y: ew.tan(x)) == lines("""
        (a: f32[3], b: f32[3])
          c: f32[3] = sine a
          d: f32[3] = cosine a
          e: f32[3] = divide c d
          return e""")


# -- fold ------------------------------------------------------------------------------------------


def test_fold_computes_with_constants():
    text = after(fold, lambda x, y: ew.add(x, st.reduce_add(
        constant(value=np.eye(3, dtype=np.float32) * 2), dimensions=(1,))))
    assert "= constant 2.0" in text or "= constant [2.0 2.0 2.0]" in text
    assert "reduce_add" not in text.split("constant")[-1]


def test_fold_keeps_splats_of_any_size_and_leaves_large_arrays():
    graph = trace_graph([], lambda: [ew.sine(full((1000, 1000), 0.5, dt.float32))])
    value = fold(graph).nodes[-1].attrs["value"]
    assert value.shape == (1000, 1000) and value.strides == (0, 0)
    large = np.arange(100_000, dtype=np.float32)
    assert "sine" in after(fold, lambda x, y: ew.sine(constant(value=large)))


def test_fold_sees_through_no_barrier():
    text = after(fold, lambda x, y: ew.sine(*control.optimization_barrier(full_like(x, 1))))
    assert "barrier" in text and "sine" in text


# -- cse -------------------------------------------------------------------------------------------


def test_cse_merges_equals_with_their_constants():
    def function(x, y):
        return [ew.multiply(x, full_like(x, 2)), ew.multiply(x, full_like(x, 2)),
                *sort(y, dimension=0, num_keys=1), *sort(y, dimension=0, num_keys=1)]
    assert after(lambda g: dce(cse(g)), function) == lines("""
        (a: f32[3], b: f32[3])
          c: f32[3] = constant 2.0
          d: f32[3] = multiply a c
          e: f32[3] = sort b {dimension=0 num_keys=1}
          return d, d, e, e""")


def test_cse_tells_apart_what_differs():
    differ = [
        lambda x, y: [full_like(x, 0.0), full_like(x, -0.0)],
        lambda x, y: [full((3,), 1, dt.float32), full((3,), 1, dt.int32)],
        lambda x, y: [st.reshape(x, shape=(1, 3)), st.reshape(x, shape=(3, 1))],
        lambda x, y: [*control.optimization_barrier(x), *control.optimization_barrier(x)],
        lambda x, y: [ew.subtract(x, y), ew.subtract(y, x)],
    ]
    for function in differ:
        assert after(cse, function).count(" = ") == 2


# -- simplify --------------------------------------------------------------------------------------


def like(number):
    return lambda x: full_like(x, number)


one, zero, minus_zero = like(1), like(0.0), like(-0.0)

GONE = {  # what is the first operand itself
    "x * 1": lambda x, y: ew.multiply(x, one(x)),
    "1 * x": lambda x, y: ew.multiply(one(x), x),
    "x / 1": lambda x, y: ew.divide(x, one(x)),
    "x + -0": lambda x, y: ew.add(x, minus_zero(x)),
    "-0 + x": lambda x, y: ew.add(minus_zero(x), x),
    "x - 0": lambda x, y: ew.subtract(x, zero(x)),
    "--x": lambda x, y: ew.negate(ew.negate(x)),
    "convert": lambda x, y: ew.convert(x, dtype=dt.float32),
    "select true": lambda x, y: ew.select(full((3,), True, dt.bool_), x, y),
    "select false": lambda x, y: ew.select(full((3,), False, dt.bool_), y, x),
    "select same": lambda x, y: ew.select(ew.compare(x, y, direction="LT"), x, x),
    "stop_gradient": lambda x, y: control.stop_gradient(x),
    "transpose": lambda x, y: st.transpose(x, permutation=(0,)),
    "reshape": lambda x, y: st.reshape(st.reshape(x, shape=(3, 1)), shape=(3,)),
    "broadcast": lambda x, y: st.broadcast_in_dim(x, shape=(3,), broadcast_dimensions=(0,)),
    "slice": lambda x, y: slice_(x, start=(0,), limit=(3,), strides=(1,)),
    "pad": lambda x, y: pad(x, np.float32(7), low=(0,), high=(0,), interior=(0,)),
    "reverse": lambda x, y: reverse(x, dimensions=()),
    "concatenate": lambda x, y: concatenate(x, dimension=0),
    "empty": lambda x, y: concatenate(x, full((0,), 0, dt.float32), dimension=0),
    "reduce": lambda x, y: TABLE["reduce_maximum"](x, dimensions=()),
}


@pytest.mark.parametrize("what", GONE)
def test_simplify_removes(what):
    assert after(lambda g: dce(simplify(g)), GONE[what]).endswith("\n  return a")


KEPT = {  # what would change inf, nan or -0
    "x + 0": lambda x, y: ew.add(x, zero(x)),
    "x - -0": lambda x, y: ew.subtract(x, minus_zero(x)),
    "x * 0": lambda x, y: ew.multiply(x, zero(x)),
    "x - x": lambda x, y: ew.subtract(x, x),
    "x / x": lambda x, y: ew.divide(x, x),
    "0 - x": lambda x, y: ew.subtract(zero(x), x),
    "1 / x": lambda x, y: ew.divide(one(x), x),
    "twice rounded": lambda x, y: ew.convert(ew.convert(x, dtype=dt.float16), dtype=dt.float32),
}


@pytest.mark.parametrize("what", KEPT)
def test_simplify_leaves(what):
    graph = trace_graph([VECTOR, VECTOR], lambda x, y: [KEPT[what](x, y)])
    assert simplify(graph) is graph


def test_simplify_leaves_complex_products():
    """(inf + 0i) * (1 + 0i) is inf + nan i."""
    graph = trace_graph([Type(dt.complex64, (3,))], lambda x: [ew.multiply(x, one(x))])
    assert simplify(graph) is graph


def test_simplify_of_integers_knows_zero():
    text = after(lambda g: dce(simplify(g)), lambda x: [
        ew.add(x, zero(x)), ew.multiply(x, zero(x))], Type(dt.int32, (3,)))
    assert text == lines("""
        (a: i32[3])
          b: i32[3] = constant 0
          return a, b""")


def test_simplify_joins_moves():
    def function(x):
        x = st.transpose(st.transpose(x, permutation=(1, 0, 2)), permutation=(2, 0, 1))
        return [x, st.reshape(st.reshape(x, shape=(24,)), shape=(2, 12))]
    assert after(lambda g: dce(simplify(g)), function, Type(dt.float32, (2, 3, 4))) == lines("""
        (a: f32[2,3,4])
          b: f32[4,3,2] = transpose a {abc->cba}
          c: f32[2,12] = reshape b
          return b, c""")


def padded(x, low, high, value=0):
    zero = full((), value, x.type.dtype)
    return pad(x, zero, low=low, high=high, interior=(0,) * x.type.rank)


@pytest.mark.parametrize("dtype", [dt.float32, dt.int32, dt.bfloat16])
def test_simplify_joins_what_is_padded_and_added(dtype):
    """Every bit stays: -0.0 becomes 0.0."""
    types = [Type(dtype, (2, n)) for n in (3, 1, 2)]
    def function(x, y, z):
        first = padded(y, (0, 3), (0, 2))
        return [ew.add(ew.add(padded(z, (0, 4), (0, 0)), first), padded(x, (0, 0), (0, 3)))]
    graph = trace_graph(types, function)
    found = dce(simplify(graph))
    assert [node.op.name for node in found.nodes if node.inputs] == [*["add"] * 3, "concatenate"]
    arrays = [np.array([[-0.0] * t.shape[1], [7] * t.shape[1]]).astype(dtype) for t in types]
    arrays[0][1, 1:] = [-3, 0]
    assert same_bits(interpret(found, arrays)[0], interpret(graph, arrays)[0])


@pytest.mark.parametrize("first, second", [
    (((0, 0), (0, 2)), ((0, 2), (0, 0))),  # a place is filled twice
    (((0, 0), (0, 5)), ((0, 4), (0, 1))),  # places are left
    (((0, 0), (1, 0)), ((1, 0), (0, 3))),  # along different axes
])
def test_simplify_leaves_other_sums_of_padded_arrays(first, second):
    types = [Type(dt.float32, (3 - f[0][0] - f[1][0], 8 - f[0][1] - f[1][1]))
             for f in (first, second)]
    graph = trace_graph(types, lambda x, y: [ew.add(padded(x, *first), padded(y, *second))])
    assert simplify(graph) is graph


def test_simplify_joins_nothing_around_other_numbers():
    halves = [Type(dt.float32, (3,))] * 2
    ones = trace_graph(halves, lambda x, y: [
        ew.add(padded(x, (0,), (3,), 1), padded(y, (3,), (0,)))])
    minus = trace_graph(halves, lambda x, y: [
        ew.add(padded(x, (0,), (3,), -0.0), padded(y, (3,), (0,), -0.0))])
    assert simplify(ones) is ones and simplify(minus) is minus


@pytest.mark.parametrize("before, between, dimensions, shape, joint", [
    ((3,), (3, 1), (0, 1), (3, 4), (0,)),
    ((2, 1, 3), (2, 3), (0, 2), (2, 5, 3), (0, 1, 2)),
    ((2, 3), (1, 2, 3, 1), (3, 2, 0, 1), (3, 4, 2, 5), (2, 0)),
])
def test_simplify_broadcasts_past_a_reshape_of_unit_axes(before, between, dimensions, shape, joint):
    graph = trace_graph([Type(dt.float32, before)], lambda x: [st.broadcast_in_dim(
        st.reshape(x, shape=between), shape=shape, broadcast_dimensions=dimensions)])
    (node,) = dce(simplify(graph)).nodes
    assert node.attrs["broadcast_dimensions"] == joint
    x = [np.arange(np.prod(before), dtype=np.float32).reshape(before)]
    np.testing.assert_array_equal(interpret(graph, x)[0], interpret(simplify(graph), x)[0])


@pytest.mark.parametrize("before, between, shape", [
    ((4,), (2, 2), (2, 2, 3)), ((1, 1, 3), (3,), (3, 5))])
def test_simplify_broadcasts_past_no_other_reshape(before, between, shape):
    graph = trace_graph([Type(dt.float32, before)], lambda x: [st.broadcast_in_dim(
        st.reshape(x, shape=between), shape=shape,
        broadcast_dimensions=tuple(range(len(between))))])
    assert simplify(graph) is graph


def test_simplify_joins_broadcasts():
    def function(x):
        x = st.broadcast_in_dim(x, shape=(3, 2), broadcast_dimensions=(0,))
        return st.broadcast_in_dim(x, shape=(2, 4, 3), broadcast_dimensions=(2, 0))
    text = after(lambda g: dce(simplify(g)), function, VECTOR)
    assert text.count("broadcast_in_dim a") == 1 and text.count(" = ") == 1


# -- hoist -----------------------------------------------------------------------------------------


def test_hoist_takes_invariant_work_out_of_a_loop():
    body = trace_graph([VECTOR] * 2, lambda w, h: [ew.multiply(h, ew.sine(ew.negate(w)))])
    assert after(hoist, lambda w, h: scan(
        w, h, body=body, consts=1, carry=1, length=5, reverse=False)) == lines("""
        (a: f32[3], b: f32[3])
          c: f32[3] = negate a
          d: f32[3] = sine c
          e: f32[3] = scan a d b {consts=2 carry=1 length=5}
            body (f: f32[3], g: f32[3], h: f32[3])
              i: f32[3] = multiply h g
              return i
          return e""")


def test_hoist_leaves_what_is_cheaper_to_make_again():
    scalar = Type(dt.float32, ())
    body = trace_graph([scalar, VECTOR], lambda w, h: [ew.multiply(
        h, st.broadcast_in_dim(w, shape=(3,), broadcast_dimensions=()))])
    graph = trace_graph([scalar, VECTOR], lambda w, h: scan(
        w, h, body=body, consts=1, carry=1, length=5, reverse=False))
    assert pretty(hoist(graph)) == pretty(graph)


def test_hoist_reaches_through_nested_loops():
    inner = trace_graph([VECTOR] * 2, lambda w, h: [ew.multiply(h, ew.sine(w))])
    middle = trace_graph([VECTOR] * 2, lambda w, h: scan(
        w, h, body=inner, consts=1, carry=1, length=2, reverse=False))
    graph = trace_graph([VECTOR] * 2, lambda w, h: scan(
        w, h, body=middle, consts=1, carry=1, length=3, reverse=False))
    optimized = optimize(graph)
    assert [node.op.name for node in optimized.nodes] == ["sine", "scan"]
    arrays = [np.arange(3, dtype=np.float32), np.ones(3, np.float32)]
    np.testing.assert_array_equal(interpret(optimized, arrays)[0], interpret(graph, arrays)[0])


# -- the pipeline ----------------------------------------------------------------------------------


def test_the_pipeline_verifies_between_passes_on_request():
    with Builder() as builder:
        hole = builder.placeholder(VECTOR)
        broken, _ = builder.build([ew.sine(hole)])
    with config.using(verify_passes=True), pytest.raises(Exception, match="not defined before"):
        optimize(broken)


def test_time_is_linear_in_nodes():
    """Counted in calls, which noise cannot disturb."""
    def calls(size):
        graph = random_graph(0, size)
        profile = cProfile.Profile()
        profile.runcall(optimize, graph)
        return pstats.Stats(profile).total_calls / len(graph.nodes)
    assert calls(2000) < 1.5 * calls(500)


def test_notes_stay_on_nodes_whose_operands_are_replaced():
    graph = trace_graph([VECTOR], lambda x: [ew.sine(ew.tanh(x)), ew.cosine(ew.tanh(x))])
    nodes = tuple(replace(node, notes=(("why", "so"),)) for node in graph.nodes)
    found = everywhere(cse)(Graph(graph.inputs, nodes, graph.outputs))
    assert [node.op.name for node in found.nodes] == ["tanh", "sine", "cosine"]
    assert all(node.notes == (("why", "so"),) for node in found.nodes)

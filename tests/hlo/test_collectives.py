"""Collective operations: StableHLO's examples, NumPy models over random grids, JAX, derivatives."""

import functools
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError, TraceError
from arraylib.hlo.batch import batch
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Builder, Type, trace_graph, type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.collective import (
    all_gather,
    all_reduce,
    all_to_all,
    body_of,
    collective_permute,
    partition_id,
    reduce_scatter,
    replica_id,
)
from arraylib.hlo.ops.loop import scan
from arraylib.hlo.ops.rooted import collective_broadcast, collective_reduce
from arraylib.hlo.parallel import evaluate_parallel
from arraylib.hlo.passes.pipeline import optimize
from arraylib.hlo.processes import CommunicationError
from arraylib.hlo.split import split
from arraylib.tracing.jvp import jvp
from arraylib.tracing.transpose import transpose

F64, I64, I32 = dt.float64, dt.int64, dt.int32


def graph_of(op, types, attrs, before=lambda x: x):
    """The graph of one operation, on operands that `before` changes."""
    def function(*xs):
        out = op(*[before(x) for x in xs], **attrs)
        return out if op.multiple else [out]
    return trace_graph(types, function)


def run(op, attrs, operands, replicas=1, partitions=1):
    """The results of each process, whose operands are lists of arrays."""
    operands = [[np.asarray(x) for x in xs] for xs in operands]
    graph = graph_of(op, [type_of(x) for x in operands[0]], attrs)
    return evaluate_parallel(graph, operands, replicas, partitions)


def groups(rows, channel_id=0, use_global_device_ids=False):
    return {"replica_groups": rows, "channel_id": channel_id,
            "use_global_device_ids": use_global_device_ids}


# -- the examples of the specification -------------------------------------------------------------

ADD = body_of(I64)
SQUARES = [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
WIDE = [[[1, 2, 3, 4], [5, 6, 7, 8]], [[9, 10, 11, 12], [13, 14, 15, 16]]]
ROWS = [[[1, 2]], [[3, 4]], [[5, 6]], [[7, 8]]]
COUNTED = np.arange(1, 21).reshape(5, 2, 2).tolist()
EVERY = ((0, 1),)
SWAP = {"split_dimension": 1, "concat_dimension": 0, "split_count": 2}
PAIRS = ((0, 1), (1, 2), (3, 3), (4, 4))

EXAMPLES = {  # operation, attributes, replicas, partitions, operand of each process, its result
    "gather replicas": (all_gather, {"all_gather_dim": 1, **groups(EVERY)}, 2, 1, SQUARES,
                        [[[1, 2, 5, 6], [3, 4, 7, 8]]] * 2),
    "gather replicas and partitions": (
        all_gather, {"all_gather_dim": 1, "group_size": 4, **groups(EVERY, 1)}, 2, 2,
        [SQUARES[1], SQUARES[1], SQUARES[0], SQUARES[1]],
        [[[5, 6, 1, 2, 5, 6, 5, 6], [7, 8, 3, 4, 7, 8, 7, 8]]] * 4),
    "gather flat": (all_gather, {"all_gather_dim": 1, **groups(EVERY, 1, True)}, 2, 1, SQUARES,
                    [[[1, 2, 5, 6], [3, 4, 7, 8]]] * 2),
    "reduce": (all_reduce, {"body": ADD, **groups(EVERY)}, 2, 1,
               [[1, 2, 3, 4], [5, 6, 7, 8]], [[6, 8, 10, 12]] * 2),
    "reduce ragged groups": (all_reduce, {"body": ADD, **groups(((0, 1), (2, -1)))}, 3, 1,
                             [[1, 2, 3, 4], [5, 6, 7, 8], [6, 8, 10, 12]], [[6, 8, 10, 12]] * 3),
    "exchange": (all_to_all, {**SWAP, "replica_groups": EVERY, "channel_id": 0}, 2, 1, WIDE,
                 [[[1, 2], [5, 6], [9, 10], [13, 14]], [[3, 4], [7, 8], [11, 12], [15, 16]]]),
    "exchange in another order": (
        all_to_all, {**SWAP, "replica_groups": ((1, 0),), "channel_id": 0}, 2, 1, WIDE,
        [[[11, 12], [15, 16], [3, 4], [7, 8]], [[9, 10], [13, 14], [1, 2], [5, 6]]]),
    "exchange partitions": (
        all_to_all, {**SWAP, "replica_groups": EVERY, "channel_id": 1}, 1, 2, WIDE,
        [[[1, 2], [5, 6], [9, 10], [13, 14]], [[3, 4], [7, 8], [11, 12], [15, 16]]]),
    "exchange along one axis": (
        all_to_all, {**SWAP, "split_dimension": 0, "replica_groups": EVERY, "channel_id": 0}, 2, 1,
        WIDE, [[[1, 2, 3, 4], [9, 10, 11, 12]], [[5, 6, 7, 8], [13, 14, 15, 16]]]),
    "scatter": (reduce_scatter, {"scatter_dimension": 1, "body": ADD, **groups(EVERY)}, 2, 1, WIDE,
                [[[10, 12], [18, 20]], [[14, 16], [22, 24]]]),
    "permute": (collective_permute, {"source_target_pairs": PAIRS, "channel_id": 0}, 5, 1, COUNTED,
                [np.zeros((2, 2)), *COUNTED[:2], *COUNTED[3:]]),
    "permute partitions": (
        collective_permute, {"source_target_pairs": PAIRS, "channel_id": 1}, 1, 5, COUNTED,
        [np.zeros((2, 2)), *COUNTED[:2], *COUNTED[3:]]),
    "broadcast": (collective_broadcast, {"replica_groups": ((2, 1),), "channel_id": 0}, 4, 1, ROWS,
                  [[[0, 0]], [[5, 6]], [[5, 6]], [[0, 0]]]),
    "broadcast to replicas": (
        collective_broadcast, {"replica_groups": ((1, 0),), "channel_id": 0}, 2, 2, ROWS,
        [ROWS[2], ROWS[3]] * 2),
    "broadcast to partitions": (
        collective_broadcast, {"replica_groups": ((1, 0),), "channel_id": 1}, 2, 2, ROWS,
        [ROWS[1], ROWS[1], ROWS[3], ROWS[3]]),
    "bring": (collective_reduce, {"body": ADD, "replica_groups": ((0, 1, 2, 3),), "channel_id": 0},
              4, 1, ROWS, [[[16, 20]], [[0, 0]], [[0, 0]], [[0, 0]]]),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of_the_specification(name):
    op, attrs, replicas, partitions, operands, wanted = EXAMPLES[name]
    results = run(op, attrs, [[x] for x in operands], replicas, partitions)
    assert all(type_of(x).dtype == I64 for (x,) in results)
    for (x,), y in zip(results, wanted, strict=True):
        np.testing.assert_array_equal(x, y)


def test_operands_of_several_dtypes_go_together():
    operands = [[np.float32([i]), np.int8([[i, i]])] for i in range(3)]
    for xs in run(all_gather, {"all_gather_dim": 0, **groups(((2, 0, 1),))}, operands, 3):
        np.testing.assert_array_equal(xs[0], np.float32([2, 0, 1]))
        np.testing.assert_array_equal(xs[1], np.int8([[2, 2], [0, 0], [1, 1]]))


def test_the_root_may_be_data():
    attrs = {"replica_groups": ((0, 1),), "channel_id": 0, "has_dynamic_root": True}
    operands = [[[1, 2], [5, 6], np.int32([0, 1])], [[3, 4], [7, 8], np.int32([0, 1])]]
    for x, y in run(collective_broadcast, attrs, operands, 2):
        assert x.tolist() == [1, 2] and y.tolist() == [7, 8]
    far = [[*xs, np.int32([-3, 9])] for *xs, _ in operands]  # moved inside
    for x, y in run(collective_broadcast, attrs, far, 2):
        assert x.tolist() == [1, 2] and y.tolist() == [7, 8]
    first, second = run(collective_reduce, {"body": ADD, **attrs}, operands, 2)
    assert [x.tolist() for x in first] == [[4, 6], [0, 0]]
    assert [x.tolist() for x in second] == [[0, 0], [12, 14]]


def test_processes_know_who_they_are():
    graph = trace_graph([], lambda: [replica_id(), partition_id()])
    found = evaluate_parallel(graph, [[]] * 6, num_replicas=2, num_partitions=3)
    assert [tuple(map(int, ids)) for ids in found] == [(r, p) for r in range(2) for p in range(3)]
    assert [type_of(x) for x in interpret(graph, [])] == [Type(dt.uint32, ())] * 2


def test_a_body_may_be_wider_than_its_operands():
    operands = [[np.float16([1e4])] for _ in range(8)]  # eight of them are beyond float16
    attrs = {"body": body_of(dt.float32), **groups((tuple(range(8)),))}
    for (x,) in run(all_reduce, attrs, operands, 8):
        assert x.dtype == np.float32 and abs(x[0] - 8e4) < 100


def test_passes_do_not_see_through_collectives():
    """With constant operands, and in a loop: nothing is computed before there are processes."""
    body = trace_graph([Type(dt.uint32, ())], lambda x: [ew.add(x, replica_id())])
    def function():
        number = replica_id()
        total, = all_reduce(np.float32(2), body=body_of(dt.float32), **groups(EVERY))
        looped, = scan(np.uint32(0), body=body, consts=0, carry=1, length=3, reverse=False)
        return [number, total, looped]
    graph = optimize(trace_graph([], function))
    found = evaluate_parallel(graph, [[], []], num_replicas=2)
    assert [[float(x) for x in xs] for xs in found] == [[0, 4, 0], [1, 4, 3]]


# -- models on random grids ------------------------------------------------------------------------


@st.composite
def grids(draw, strategies):
    """A grid, the attributes of a way to split it, and the groups as lists of processes."""
    replicas, partitions = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    kind = draw(st.sampled_from(strategies))
    count = {"partition": partitions, "flat": replicas * partitions}.get(kind, replicas)
    ids = draw(st.permutations(range(count)))
    size = draw(st.sampled_from([n for n in range(1, count + 1) if count % n == 0]))
    rows = tuple(tuple(ids[i:i + size]) for i in range(0, count, size))
    def number(r, p):
        return r * partitions + p
    members = {
        "replica": [[number(r, p) for r in row] for row in rows for p in range(partitions)],
        "partition": [[number(r, p) for p in row] for row in rows for r in range(replicas)],
        "both": [[number(r, p) for p in range(partitions) for r in row] for row in rows],
        "flat": [list(row) for row in rows]}[kind]
    attrs = groups(rows, 0 if kind == "replica" else draw(st.integers(1, 5)), kind == "flat")
    return replicas, partitions, attrs, members


THREE_WAYS, TWO_WAYS = ["replica", "both", "flat"], ["replica", "partition"]
shapes = st.lists(st.integers(1, 3), min_size=1, max_size=3)


def draw_operands(grid, shape, seed):
    rng = np.random.default_rng(seed)
    return [rng.integers(-9, 9, shape) for _ in range(grid[0] * grid[1])]


def agree(grid, op, attrs, operands, wanted):
    """Whether the operation gives each process what the model says, by its number."""
    results = run(op, attrs, [[x] for x in operands], *grid[:2])
    for number, (x,) in enumerate(results):
        np.testing.assert_array_equal(x, wanted[number], str((grid, number)))


BODIES = {"add": (ew.add, np.add), "maximum": (ew.maximum, np.maximum),
          "subtract": (ew.subtract, np.subtract)}  # which tells in what order they come


def without_global_ids(grid):
    return {k: v for k, v in grid[2].items() if k != "use_global_device_ids"}


@settings(deadline=None, max_examples=40)
@given(grid=grids(THREE_WAYS), shape=shapes, data=st.data())
def test_all_gather_is_its_model(grid, shape, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    operands = draw_operands(grid, shape, 0)
    wanted = {n: np.concatenate([operands[m] for m in group], axis)
              for group in grid[3] for n in group}
    attrs = {"all_gather_dim": axis, "group_size": len(grid[3][0]), **grid[2]}
    agree(grid, all_gather, attrs, operands, wanted)


@settings(deadline=None, max_examples=40)
@given(grid=grids(THREE_WAYS), shape=shapes, name=st.sampled_from(list(BODIES)), data=st.data())
def test_reductions_are_their_models(grid, shape, name, data):
    op, model = BODIES[name]
    axis, size = data.draw(st.integers(0, len(shape) - 1)), len(grid[3][0])
    shape = [n * size if i == axis else n for i, n in enumerate(shape)]
    operands = draw_operands(grid, shape, 1)
    whole = {n: functools.reduce(model, [operands[m] for m in group])
             for group in grid[3] for n in group}
    agree(grid, all_reduce, {"body": body_of(I64, op), **grid[2]}, operands, whole)
    parts = {n: np.split(whole[n], size, axis)[i] for group in grid[3]
             for i, n in enumerate(group)}
    attrs = {"scatter_dimension": axis, "body": body_of(I64, op), "group_size": size, **grid[2]}
    agree(grid, reduce_scatter, attrs, operands, parts)


@settings(deadline=None, max_examples=40)
@given(grid=grids(TWO_WAYS), shape=shapes, data=st.data())
def test_all_to_all_is_its_model(grid, shape, data):
    axes, size = st.integers(0, len(shape) - 1), len(grid[3][0])
    split_axis, concat_axis = data.draw(axes), data.draw(axes)
    shape = [n * size if i == split_axis else n for i, n in enumerate(shape)]
    operands = draw_operands(grid, shape, 2)
    wanted = {n: np.concatenate([np.split(operands[m], size, split_axis)[i] for m in group],
                                concat_axis)
              for group in grid[3] for i, n in enumerate(group)}
    attrs = {"split_dimension": split_axis, "concat_dimension": concat_axis, "split_count": size,
             **without_global_ids(grid)}
    agree(grid, all_to_all, attrs, operands, wanted)


@settings(deadline=None, max_examples=40)
@given(grid=grids(TWO_WAYS), data=st.data())
def test_sending_is_its_model(grid, data):
    """Along pairs that lead from member to member, or from and to a root; others get zeros."""
    operands, attrs = draw_operands(grid, (2,), 3), without_global_ids(grid)
    rows = attrs.pop("replica_groups")
    used = data.draw(st.integers(0, len(rows)))
    wanted = dict.fromkeys(range(len(operands)), np.zeros(2))
    per_row = len(grid[3]) // len(rows)  # of the groups of processes
    some = grid[3][:used * per_row]
    pairs = tuple((row[i], row[i - 1]) for row in rows[:used] for i in range(len(row)))
    agree(grid, collective_permute, {"source_target_pairs": pairs, **attrs}, operands,
          wanted | {g[i - 1]: operands[g[i]] for g in some for i in range(len(g))})
    if used:
        attrs["replica_groups"] = rows[:used]
        agree(grid, collective_broadcast, attrs, operands,
              wanted | {n: operands[g[0]] for g in some for n in g})
        agree(grid, collective_reduce, {"body": body_of(I64, ew.subtract), **attrs}, operands,
              wanted | {g[0]: functools.reduce(np.subtract, [operands[n] for n in g])
                        for g in some})


def test_no_groups_are_one_of_everybody():
    for (x,) in run(all_reduce, {"body": ADD, **groups(())}, [[[1]], [[2]], [[3]]], 3):
        assert x.tolist() == [6]


# -- against JAX -----------------------------------------------------------------------------------

JAX = """
import sys
import jax, numpy as np
from jax import lax
from jax.sharding import Mesh, PartitionSpec as P
mesh = Mesh(np.array(jax.devices()).reshape(2, 2), ("x", "y"))
def f(x):
    return (lax.psum(x, "x"), lax.psum(x, ("x", "y")), lax.pmax(x, "y"),
            lax.all_gather(x, "y", axis=1, tiled=True),
            lax.psum_scatter(x, "x", scatter_dimension=1, tiled=True),
            lax.all_to_all(x, ("x", "y"), 1, 0, tiled=True),
            lax.ppermute(x, ("x", "y"), [(0, 1), (1, 2), (3, 0)]))
spec = P(("x", "y"))
f = jax.jit(jax.shard_map(f, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False))
x = np.arange(4 * 2 * 4, dtype=np.float32).reshape(8, 4)
np.savez(sys.argv[1], *map(np.asarray, f(x)))
"""


def test_values_are_those_of_jax(tmp_path):
    """On four devices, which are partitions: JAX numbers them globally, on a channel."""
    flags = "--xla_force_host_platform_device_count=4 --xla_cpu_multi_thread_eigen=false"
    subprocess.run([sys.executable, "-c", JAX, str(tmp_path / "theirs.npz")], check=True,
                   env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"})
    theirs = np.load(tmp_path / "theirs.npz")
    rows, columns, everybody = ((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 1, 2, 3),)
    add, largest = body_of(dt.float32), body_of(dt.float32, ew.maximum)
    def function(x):
        return [*all_reduce(x, body=add, **groups(columns, 1, True)),
                *all_reduce(x, body=add, **groups(everybody, 1, True)),
                *all_reduce(x, body=largest, **groups(rows, 1, True)),
                *all_gather(x, all_gather_dim=1, **groups(rows, 1, True)),
                reduce_scatter(x, scatter_dimension=1, body=add, **groups(columns, 1, True)),
                *all_to_all(x, split_dimension=1, concat_dimension=0, split_count=4,
                            replica_groups=everybody, channel_id=1),
                collective_permute(x, source_target_pairs=((0, 1), (1, 2), (3, 0)), channel_id=1)]
    x = np.arange(4 * 2 * 4, dtype=np.float32).reshape(8, 4)
    ours = evaluate_parallel(trace_graph([Type(np.float32, (2, 4))], function),
                             [[part] for part in np.split(x, 4)], num_partitions=4)
    for i, parts in enumerate(zip(*ours)):
        np.testing.assert_array_equal(np.concatenate(parts), theirs[f"arr_{i}"])


# -- derivatives: of all processes together --------------------------------------------------------

ROWS_OF_TWO = ((1, 0), (2, 3))
VECTOR = Type(F64, (4,))
SUM, PRODUCT = body_of(F64), body_of(F64, ew.multiply)
MIXED = trace_graph([Type(F64, ())] * 2, lambda x, y: [ew.sine(ew.add(x, ew.multiply(y, y)))])
ROOTED = {"replica_groups": ((2, 1),), "channel_id": 0}
ROOT = Type(I32, (1,))

# operation, attributes, types of the operands; on four replicas, or two replicas of two partitions
LINEAR = {
    "gather": (all_gather, {"all_gather_dim": 0, **groups(ROWS_OF_TWO)}, [VECTOR], (4, 1)),
    "gather two": (all_gather, {"all_gather_dim": 0, **groups(ROWS_OF_TWO)},
                   [VECTOR, Type(F64, (1, 2))], (4, 1)),
    "gather partitions": (all_gather, {"all_gather_dim": 0, "group_size": 4, **groups(EVERY, 1)},
                          [VECTOR], (2, 2)),
    "reduce": (all_reduce, {"body": SUM, **groups(ROWS_OF_TWO)}, [VECTOR, Type(F64, ())], (4, 1)),
    "reduce flat": (all_reduce, {"body": SUM, **groups(((3, 0), (1, 2)), 1, True)}, [VECTOR],
                    (2, 2)),
    "reduce wider": (all_reduce, {"body": SUM, **groups(ROWS_OF_TWO)},
                     [VECTOR.with_dtype(dt.float32)], (4, 1)),
    "scatter": (reduce_scatter, {"scatter_dimension": 0, "body": SUM, **groups(ROWS_OF_TWO)},
                [VECTOR], (4, 1)),
    "scatter partitions": (
        reduce_scatter, {"scatter_dimension": 0, "body": SUM, "group_size": 4, **groups(EVERY, 1)},
        [VECTOR], (2, 2)),
    "exchange": (all_to_all, {**SWAP, "replica_groups": ROWS_OF_TWO, "channel_id": 0},
                 [Type(F64, (3, 4)), Type(F64, (1, 2))], (4, 1)),
    "permute": (collective_permute, {"source_target_pairs": ((0, 2), (2, 1), (3, 3)),
                                     "channel_id": 0}, [VECTOR], (4, 1)),
    "broadcast": (collective_broadcast, ROOTED, [VECTOR, Type(F64, ())], (4, 1)),
    "broadcast partitions": (collective_broadcast, {"replica_groups": EVERY, "channel_id": 1},
                             [VECTOR], (2, 2)),
    "broadcast from data": (collective_broadcast, {**ROOTED, "has_dynamic_root": True},
                            [VECTOR, ROOT], (4, 1)),
    "bring": (collective_reduce, {"body": SUM, **ROOTED}, [VECTOR], (4, 1)),
    "bring to data": (collective_reduce, {"body": SUM, **ROOTED, "has_dynamic_root": True},
                      [VECTOR, ROOT], (4, 1)),
}
OTHER = {
    "reduce by a product": (all_reduce, {"body": PRODUCT, **groups(ROWS_OF_TWO)}, [VECTOR], (4, 1)),
    "reduce by a formula": (all_reduce, {"body": MIXED, **groups(((0, 2, 1, 3),), 1, True)},
                            [VECTOR], (2, 2)),
    "scatter a product": (reduce_scatter, {"scatter_dimension": 0, "body": PRODUCT,
                                           **groups(((3, 1, 0, 2),))}, [VECTOR], (4, 1)),
    "bring a formula": (collective_reduce, {"body": MIXED, "replica_groups": ((2, 0, 1),),
                                            "channel_id": 0}, [VECTOR], (4, 1)),
    "bring a product to data": (
        collective_reduce, {"body": PRODUCT, **ROOTED, "has_dynamic_root": True}, [VECTOR, ROOT],
        (4, 1)),
}
DERIVED = {**LINEAR, **OTHER}
SMOOTH = lambda x: ew.sine(x) if dt.is_inexact(type_of(x).dtype) else x


def operands_of(types, size, seed=0):
    """For each process, random floats; and the same last member of two as the root."""
    rng = np.random.default_rng(seed)
    return [[rng.uniform(-1, 1, t.shape).astype(t.dtype) if dt.is_inexact(t.dtype)
             else np.ones(t.shape, t.dtype) for t in types] for _ in range(size)]


def linearized(graph):
    """values, tangents -> tangents of results, cut in two; and which inputs have a tangent."""
    with Builder() as builder:
        xs = builder.inputs_like(graph.inputs)
        active = [dt.is_inexact(x.type.dtype) for x in xs]
        ts = [builder.input(x.type) if a else None for x, a in zip(xs, active)]
        out_ts = [t for _, t in jvp(graph, xs, ts)]
        whole, _ = builder.build(out_ts)
    return split(whole, [True] * len(xs) + [False] * sum(active)), active


def transposed(part, count):
    """residuals, cotangents -> cotangents of the `count` linear inputs."""
    known = len(part.residuals)
    with Builder() as builder:
        residuals = builder.inputs_like(part.residuals)
        cts = builder.inputs_like(part.unknown.outputs)
        results = transpose(part.unknown, [False] * known + [True] * count,
                            [*residuals, *[None] * count], cts)
        return builder.build(results)[0]


@pytest.mark.parametrize("name", [n for n in DERIVED if n != "reduce wider"])  # of float32
def test_derivatives_are_those_of_all_processes_together(name):
    op, attrs, types, grid = DERIVED[name]
    graph, size = graph_of(op, types, attrs, SMOOTH), grid[0] * grid[1]
    part, active = linearized(graph)
    xs, ts, step = operands_of(types, size), operands_of(types, size, 1), 1e-6
    def moved(by):
        points = [[x + by * t if a else x for x, t, a in zip(*p, active)] for p in zip(xs, ts)]
        return evaluate_parallel(graph, points, *grid)
    residuals = evaluate_parallel(part.known, xs, *grid)
    tangents = evaluate_parallel(part.unknown, [
        [*r, *(t for t, a in zip(p, active) if a)] for r, p in zip(residuals, ts)], *grid)
    for ahead, behind, found in zip(moved(step), moved(-step), tangents):
        for x, y, t in zip(ahead, behind, found, strict=True):
            np.testing.assert_allclose(t, (x - y) / (2 * step), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", DERIVED)
def test_the_transpose_is_of_all_processes_together(name):
    """<cotangents, tangents out> and <cotangents back, tangents> agree, summed over processes."""
    op, attrs, types, grid = DERIVED[name]
    graph, size = graph_of(op, types, attrs, SMOOTH), grid[0] * grid[1]
    part, active = linearized(graph)
    xs = operands_of(types, size)
    ts = [[t for t, a in zip(p, active) if a] for p in operands_of(types, size, 1)]
    residuals = evaluate_parallel(part.known, xs, *grid)
    forward = evaluate_parallel(part.unknown, [[*r, *t] for r, t in zip(residuals, ts)], *grid)
    cts = operands_of(part.unknown.output_types, size, 2)
    backward = evaluate_parallel(transposed(part, sum(active)), [
        [*r, *ct] for r, ct in zip(residuals, cts)], *grid)
    assert [type_of(x) for x in backward[0]] == [t for t, a in zip(types, active) if a]
    def product(left, right):
        return sum(np.sum(x.astype(F64) * y) for xs, ys in zip(left, right)
                   for x, y in zip(xs, ys, strict=True))
    np.testing.assert_allclose(product(cts, forward), product(backward, ts), rtol=1e-6)
    assert abs(product(cts, forward)) > 1e-3


def test_a_reduction_that_is_no_sum_has_no_transpose():
    graph = graph_of(all_reduce, [VECTOR], {"body": PRODUCT, **groups(((0,),))})
    with Builder() as builder, pytest.raises(TraceError, match="all_reduce: the body is no sum"):
        transpose(graph, [True], [None], [builder.input(VECTOR)])


def test_its_derivative_needs_groups_of_one_size():
    graph = graph_of(all_reduce, [VECTOR], {"body": PRODUCT, **groups(((0, 1), (2, -1)))})
    with Builder() as builder, pytest.raises(TraceError, match="groups of one known size"):
        jvp(graph, [builder.input(VECTOR)], [builder.input(VECTOR)])


# -- batches ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("varies", ["all", "first", "last"])
@pytest.mark.parametrize("name", LINEAR)
def test_a_batch_is_a_loop_in_all_processes(name, varies):
    op, attrs, types, grid = LINEAR[name]
    size, processes, count = 3, grid[0] * grid[1], len(types)
    has = {"all": [True] * count, "first": [i == 0 for i in range(count)],
           "last": [i == count - 1 for i in range(count)]}[varies]
    rng = np.random.default_rng(0)
    def draw(t, h):
        shape = (size, *t.shape) if h else t.shape
        return (rng.integers(0, 2, shape) if t.dtype == I32 else rng.uniform(-1, 1, shape)
                ).astype(t.dtype)
    operands = [[draw(t, h) for t, h in zip(types, has)] for _ in range(processes)]
    for xs in operands:  # a root is the same in all processes
        xs[-1] = operands[0][-1] if types[-1].dtype == I32 else xs[-1]
    graph = graph_of(op, types, attrs)
    with Builder() as builder:
        pairs = [(builder.input(type_of(x)), h) for x, h in zip(operands[0], has)]
        outs = batch(graph, pairs, size)
        whole, _ = builder.build([x for x, _ in outs])
    results = evaluate_parallel(whole, operands, *grid)
    for i in range(size):
        alone = evaluate_parallel(graph, [[x[i] if h else x for x, h in zip(xs, has)]
                                          for xs in operands], *grid)
        for found, wanted in zip(results, alone):
            for x, (_, h), y in zip(found, outs, wanted, strict=True):
                np.testing.assert_allclose(x[i] if h else x, y, rtol=1e-12)


# -- mistakes --------------------------------------------------------------------------------------

MISTAKES = [
    (all_gather, {"all_gather_dim": 1, **groups(EVERY)}, [VECTOR], ShapeError,
     "all_gather_dim is 1, but an operand has 1 axes"),
    (all_gather, {"all_gather_dim": 0, **groups(EVERY)}, [], ShapeError, "0 operands"),
    (all_gather, {"all_gather_dim": 0, **groups(((0, 1), (2, -1)))}, [VECTOR], ShapeError,
     r"hold -1"),
    (all_gather, {"all_gather_dim": 0, **groups(((0, 0),))}, [VECTOR], ShapeError, "name 0 twice"),
    (all_gather, {"all_gather_dim": 0, **groups(((0, 2),))}, [VECTOR], ShapeError, "leave out 1"),
    (all_gather, {"all_gather_dim": 0, **groups(())}, [VECTOR], ShapeError, "is not known"),
    (all_gather, {"all_gather_dim": 0, "group_size": 3, **groups(EVERY)}, [VECTOR], ShapeError,
     "group_size is 3, but the groups .* have 2"),
    (all_gather, {"all_gather_dim": 0, **groups(EVERY, 0, True)}, [VECTOR], ShapeError,
     "use_global_device_ids with channel_id 0"),
    (all_reduce, {"body": SUM, **groups(((0, 1), (2,)))}, [VECTOR], ShapeError,
     "different lengths"),
    (all_reduce, {"body": SUM, **groups(EVERY)}, [Type(I32, (2,))], DtypeError,
     "combines float64 but operand 0 is int32"),
    (all_reduce, {"body": body_of(dt.float32), **groups(EVERY)}, [VECTOR], DtypeError,
     "combines float32 but operand 0 is float64"),
    (all_reduce, {"body": trace_graph([VECTOR] * 2, lambda x, y: [x]), **groups(EVERY)}, [VECTOR],
     ShapeError, "the body is"),
    (reduce_scatter, {"scatter_dimension": 0, "body": SUM, **groups(((0, 1, 2),))}, [VECTOR],
     ShapeError, "axis 0 of size 4 is no multiple of the 3 parts"),
    (all_to_all, {**SWAP, "split_count": 3, "replica_groups": EVERY, "channel_id": 0},
     [Type(F64, (2, 4))], ShapeError, "split_count is 3, but the groups .* have 2"),
    (all_to_all, {**SWAP, "replica_groups": EVERY, "channel_id": 0}, [Type(F64, (2, 3))],
     ShapeError, "axis 1 of size 3 is no multiple of the 2 parts"),
    (all_to_all, {**SWAP, "replica_groups": EVERY, "channel_id": 0}, [VECTOR], ShapeError,
     "split_dimension is 1"),
    (collective_permute, {"source_target_pairs": ((0, 1), (2, 1)), "channel_id": 0}, [VECTOR],
     ShapeError, "a target twice"),
    (collective_broadcast, {**ROOTED, "has_dynamic_root": True}, [VECTOR, Type(I32, (2,))],
     ShapeError, r"must be int32 roots for the 1 others"),
]


@pytest.mark.parametrize("op, attrs, types, kind, message", MISTAKES,
                         ids=[f"{m[0].name}-{m[4][:20]}" for m in MISTAKES])
def test_mistakes_are_named(op, attrs, types, kind, message):
    with pytest.raises(kind, match=f"^{op.name}: .*{message}"):
        op.result_types(types, attrs)


@pytest.mark.parametrize("op, attrs, grid, message", [
    (all_reduce, {"body": SUM, **groups(EVERY)}, (1, 1),
     r"name replica 1, but there is 1 \(cross_replica\)"),
    (all_reduce, {"body": SUM, **groups(EVERY)}, (3, 1), "leave out replica 2, but there are 3"),
    (all_reduce, {"body": SUM, **groups(EVERY, 1, True)}, (2, 2),
     r"leave out process 2, but there are 4 \(flattened_ids\)"),
    (all_gather, {"all_gather_dim": 0, **groups(EVERY, 1)}, (2, 2),
     "are of 4 processes here, but the results are typed for 2"),
    (collective_permute, {"source_target_pairs": ((0, 5),), "channel_id": 1}, (2, 2),
     "name partition 5, but there are 2"),
])
def test_groups_must_fit_the_grid(op, attrs, grid, message):
    with pytest.raises(CommunicationError, match=message):
        run(op, attrs, [[np.zeros(4)]] * (grid[0] * grid[1]), *grid)


def test_alone_there_is_one_process():
    """Outside evaluate_parallel."""
    x = np.arange(4.0)
    (out,) = interpret(graph_of(all_reduce, [VECTOR], {"body": SUM, **groups(((0,),))}), [x])
    np.testing.assert_array_equal(out, x)
    graph = graph_of(all_reduce, [VECTOR], {"body": SUM, **groups(EVERY)})
    with pytest.raises(CommunicationError, match="try: arraylib.hlo.parallel.evaluate_parallel"):
        interpret(graph, [x])

"""Costs against numbers worked out by hand."""

import textwrap

import numpy as np
import pytest

from arraylib import dtypes as dt
from arraylib.hlo.cost import Cost, bytes_moved, cost, flops, peak_memory, table
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops import control, elementwise as ew, linalg, reduction as red, structured as st
from arraylib.hlo.ops.collective import all_reduce, body_of
from arraylib.hlo.ops.constant import constant, full
from arraylib.hlo.ops.convolution import convolution
from arraylib.hlo.ops.general import reduce, sort_with
from arraylib.hlo.ops.indexed import scatter
from arraylib.hlo.ops.loop import scan
from arraylib.hlo.ops.shape import concatenate, reverse
from arraylib.hlo.ops.sort import sort
from arraylib.hlo.ops.window import reduce_window

F32, I32 = dt.float32, dt.int32
SCALAR, VECTOR, MATRIX = Type(F32, ()), Type(F32, (8,)), Type(F32, (4, 8))


def graph(function, *types):
    def outputs(*xs):
        out = function(*xs)
        return out if isinstance(out, (list, tuple)) else [out]
    return trace_graph(types, outputs)


def dot(x, y, lhs=(1,), rhs=(0,), batching=()):
    return red.dot_general(x, y, lhs_batching=batching, rhs_batching=batching,
                           lhs_contracting=lhs, rhs_contracting=rhs, dtype=None)


IMAGE = {"lhs_spec": (0, 3, 1, 2), "rhs_spec": (3, 2, 0, 1), "out_spec": (0, 3, 1, 2),
         "window_strides": (1, 1), "padding": ((1, 1), (1, 1)), "lhs_dilation": (1, 1),
         "rhs_dilation": (1, 1), "window_reversal": (False, False), "feature_group_count": 1,
         "batch_group_count": 1, "dtype": None}
WINDOWS = {"window_dimensions": (3,), "window_strides": (3,), "base_dilations": (1,),
           "window_dilations": (1,), "padding": ((0, 0),)}
SQUARE_SUM = graph(lambda x, y: ew.add(x, ew.multiply(y, y)), SCALAR, SCALAR)
LESS = graph(lambda x, y: ew.compare(x, y, direction="LT"), SCALAR, SCALAR)

# what, its operand types, flops, transcendentals
WORK = {
    "elementwise": (ew.add, [MATRIX] * 2, 32, 0),
    "a choice": (ew.select, [MATRIX.with_dtype(dt.bool_), MATRIX, MATRIX], 32, 0),
    "transcendental": (ew.tanh, [MATRIX], 32, 32),
    "matrix product": (dot, [MATRIX, Type(F32, (8, 5))], 2 * 4 * 8 * 5, 0),
    "batched product": (lambda x, y: dot(x, y, (2,), (1,), (0,)),
                        [Type(F32, (3, 4, 8)), Type(F32, (3, 8, 5))], 2 * 3 * 4 * 8 * 5, 0),
    "outer product": (lambda x, y: dot(x, y, (), ()), [VECTOR, MATRIX], 8 * 32, 0),
    "sum": (lambda x: st.reduce_add(x, dimensions=(1,)), [MATRIX], 4 * 7, 0),
    "largest of all": (lambda x: red.reduce_maximum(x, dimensions=(0, 1)), [MATRIX], 31, 0),
    "its place": (lambda x: red.argmax(x, dimensions=(1,), dtype=I32), [MATRIX], 4 * 7, 0),
    "a move": (lambda x: st.transpose(x, permutation=(1, 0)), [MATRIX], 0, 0),
    "a repetition": (lambda x: st.broadcast_in_dim(x, shape=(4, 8), broadcast_dimensions=(1,)),
                     [VECTOR], 0, 0),
    "another order": (lambda x: reverse(x, dimensions=(0,)), [MATRIX], 0, 0),
    "joining": (lambda x, y: concatenate(x, y, dimension=0), [VECTOR] * 2, 0, 0),
    # 4 * 5 places for 2 features, each a sum of 3 * 3 * 3 products
    "convolution": (lambda x, k: convolution(x, k, **IMAGE),
                    [Type(F32, (1, 4, 5, 3)), Type(F32, (3, 3, 3, 2))], 2 * 40 * 27, 0),
    "sort": (lambda x: sort(x, dimension=1, num_keys=1), [MATRIX], 32 * 3, 0),
    "sort by a formula": (lambda x: sort_with(x, dimension=1, is_stable=True, comparator=LESS),
                          [MATRIX], 32 * 3, 0),
    "cholesky": (lambda x: linalg.cholesky(x, lower=True), [Type(F32, (2, 6, 6))], 2 * 6**3 // 3,
                 0),
    "fft": (lambda x: linalg.fft(x, fft_type="FFT", fft_length=(8,)),
            [Type(dt.complex64, (2, 8))], 5 * 16 * 3, 0),
    "real fft": (lambda x: linalg.fft(x, fft_type="RFFT", fft_length=(8,)), [Type(F32, (2, 8))],
                 5 * 16 * 3 // 2, 0),
    "solve": (lambda a, b: linalg.triangular_solve(
        a, b, left_side=True, lower=True, unit_diagonal=False, transpose_a="NO_TRANSPOSE"),
        [Type(F32, (4, 4)), Type(F32, (4, 3))], 4 * 4 * 3, 0),
    # the body's two operations, for each place but the first, and once for the initial value
    "reduction by a formula": (lambda x, i: reduce(x, i, body=SQUARE_SUM, dimensions=(0,)),
                               [VECTOR, SCALAR], 2 * 8, 0),
    "sums of windows": (lambda x, i: reduce_window(x, i, body=body_of(F32), **WINDOWS),
                        [Type(F32, (9,)), SCALAR], 9, 0),
    "sum of processes": (lambda x: all_reduce(
        x, body=body_of(F32), replica_groups=((0, 1, 2),), channel_id=0,
        use_global_device_ids=False), [VECTOR], 2 * 8, 0),
    "scattered sums": (lambda x, i, u: scatter(
        x, i, u, kind="add", update_window_dims=(), inserted_window_dims=(0,),
        input_batching_dims=(), scatter_indices_batching_dims=(),
        scatter_dims_to_operand_dims=(0,), index_vector_dim=1, unique_indices=False),
        [VECTOR, Type(I32, (5, 1)), Type(F32, (5,))], 5, 0),
}


@pytest.mark.parametrize("name", WORK)
def test_work_is_what_it_is_by_hand(name):
    function, types, wanted, transcendentals = WORK[name]
    whole = graph(function, *types)
    assert flops(whole) == wanted and cost(whole).transcendentals == transcendentals
    (node,) = whole.nodes
    moved = sum(t.nbytes for t in (*node.types, *whole.output_types))
    assert cost(node) == Cost(wanted, transcendentals, moved)


def test_bytes_are_those_read_and_written():
    assert bytes_moved(graph(ew.add, MATRIX, MATRIX)) == 3 * 128
    assert bytes_moved(graph(lambda x: ew.convert(x, dtype=dt.float16), MATRIX)) == 128 + 64
    assert bytes_moved(graph(lambda x: dot(x, x, (0,), (0,)), MATRIX)) == 2 * 128 + 256


STEP = graph(lambda w, h, x: [ew.tanh(ew.add(dot(w, h), x)), h], Type(F32, (8, 8)), VECTOR, VECTOR)


def test_a_scan_counts_each_step():
    loop = graph(lambda w, h, xs: scan(w, h, xs, body=STEP, consts=1, carry=1, length=5,
                                       reverse=False), Type(F32, (8, 8)), VECTOR, Type(F32, (5, 8)))
    step = 2 * 64 + 8 + 8
    moved = (256 + 32 + 32) + 3 * 32 + 2 * 32
    assert cost(loop) == Cost(5 * step, 5 * 8, 5 * moved)
    inner = graph(lambda w, h, xs: scan(w, h, xs, body=STEP, consts=1, carry=1, length=5,
                                        reverse=False)[0], *loop.input_types)
    outer = graph(lambda w, xs, h: scan(w, xs, h, body=graph(
        lambda w, xs, h: scan(w, h, xs, body=STEP, consts=1, carry=1, length=5, reverse=False)[0],
        Type(F32, (8, 8)), Type(F32, (5, 8)), VECTOR), consts=2, carry=1, length=3, reverse=False),
        Type(F32, (8, 8)), Type(F32, (5, 8)), VECTOR)
    assert flops(outer) == 3 * flops(inner) == 15 * step


def test_a_while_counts_one_step_and_says_so():
    few = graph(lambda i, x: ew.compare(i, np.int32(9), direction="LT"), Type(I32, ()), VECTOR)
    more = graph(lambda i, x: [ew.add(i, np.int32(1)), ew.sine(x)], Type(I32, ()), VECTOR)
    loop = graph(lambda i, x: control.while_(i, x, cond=few, body=more, cond_consts=0,
                                             body_consts=0), Type(I32, ()), VECTOR)
    found = cost(loop)
    assert (found.flops, found.transcendentals, found.at_least) == (1 + 1 + 8, 8, True)
    assert table(loop).endswith("at least: of a loop whose steps are not known, one is counted")


def test_a_case_counts_its_dearest_branch():
    branches = (graph(lambda x: ew.add(ew.sine(x), x), VECTOR), graph(ew.sine, VECTOR))
    found = cost(graph(lambda i, x: control.case(i, x, branches=branches), Type(I32, ()), VECTOR))
    assert found == Cost(16, 8, 2 * 32 + 3 * 32)


def test_a_call_counts_what_is_inside():
    body = graph(lambda x: ew.multiply(x, x), VECTOR)
    assert cost(graph(lambda x: control.call(x, body=body), VECTOR)) == cost(body)


# -- memory ----------------------------------------------------------------------------------------


def test_peak_memory_follows_lives():
    def chain(x):
        for _ in range(5):
            x = ew.sine(x)
        return x
    assert peak_memory(graph(chain, VECTOR)) == 3 * 32  # the input, and two of the chain
    def kept(x):
        parts = [ew.sine(x), ew.cosine(x), ew.negate(x)]
        return ew.add(ew.add(parts[0], parts[1]), parts[2])
    assert peak_memory(graph(kept, VECTOR)) == (1 + 3 + 1) * 32
    assert peak_memory(graph(lambda x: [x, x], VECTOR)) == 32
    def unread(x):
        ew.sine(x)
        return ew.cosine(x)
    assert peak_memory(graph(unread, VECTOR)) == 2 * 32


def test_peak_memory_knows_constants():
    table_of = constant.numpy(value=np.arange(8, dtype=np.float32))
    assert peak_memory(graph(lambda: ew.sine(constant(value=table_of)))) == 2 * 32
    assert peak_memory(graph(lambda: ew.sine(full((8,), 0.5, F32)))) == 4 + 32


def test_peak_memory_counts_regions():
    """w, h, xs; last and ys; in the body a product and a sum or two more, never three."""
    loop = graph(lambda w, h, xs: scan(w, h, xs, body=STEP, consts=1, carry=1, length=5,
                                       reverse=False), Type(F32, (8, 8)), VECTOR, Type(F32, (5, 8)))
    assert peak_memory(loop) == (256 + 32 + 160) + (32 + 160) + 2 * 32


# -- the table -------------------------------------------------------------------------------------


def test_the_table_is_aligned():
    loop = graph(lambda w, h, xs: scan(w, h, xs, body=STEP, consts=1, carry=1, length=50,
                                       reverse=False), Type(F32, (8, 8)), VECTOR,
                 Type(F32, (50, 8)))
    assert table(loop) == textwrap.dedent("""
        operation    count  flops  transcendentals   bytes
        dot_general     50  6,400                0  16,000
        add             50    400                0   4,800
        tanh            50    400              400   3,200
        scan             1      0                0       0
        total          151  7,200              400  24,000
        peak memory  3,584 bytes""").strip()

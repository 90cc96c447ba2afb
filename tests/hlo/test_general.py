"""Reductions, sorts and scatters by any region, against XLA and against plain loops."""

import functools
import itertools
import math

import jax
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from jax import lax

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.control import call, case, while_
from arraylib.hlo.ops.general import reduce, sort_with
from arraylib.hlo.ops.general_scatter import _write_out, scatter_with
from arraylib.hlo.ops.lifted import is_liftable, single_op

F32, I32 = Type(dt.float32, ()), Type(dt.int32, ())


def body_of(function, *dtypes):
    """The region of `function`, which takes accumulators and elements of these dtypes."""
    types = [Type(d, ()) for d in dtypes]
    return trace_graph(types * 2, lambda *xs: function(*xs))


def binary(op, dtype):
    return body_of(lambda x, y: [op(x, y)], dtype)


def roundabout(op, dtype):
    """The same body in a form that nobody recognizes."""
    return body_of(lambda x, y: [op(x, op(y, ew.select(np.bool_(True), y, x)))]
                   if op in (ew.maximum, ew.minimum, ew.and_, ew.or_)
                   else [ew.select(np.bool_(True), op(x, y), x)], dtype)


def draw(rng, shape, dtype):
    if dt.is_bool(dtype):
        return rng.random(shape) < 0.6
    if dt.is_complex(dtype):
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
    return (rng.integers(0, 5, shape) if dt.is_integer(dtype) else
            rng.uniform(0.5, 2, shape)).astype(dtype)


def both_ways(op, arrays, attrs, expand=None):
    """What the NumPy meaning gives, once the expansion is seen to give nearly the same."""
    found = op.evaluate(arrays, attrs)
    types = [Type(x.dtype, x.shape) for x in arrays]
    written = trace_graph(types, lambda *xs: (expand or op.expand)(*xs, **attrs))
    assert tuple(Type(x.dtype, x.shape) for x in found) == written.output_types \
        == op.result_types(types, attrs)
    for x, y in zip(found, interpret(written, arrays)):
        rounding = dt.finfo(x.dtype).eps if dt.is_inexact(x.dtype) else 0
        wide = np.complex128 if dt.is_complex(x.dtype) else np.float64
        np.testing.assert_allclose(x.astype(wide), y.astype(wide), rtol=4 * float(rounding))
    return found


# -- reduce ----------------------------------------------------------------------------------------


def first_value(op, dtype):
    """What XLA is given to start from, so that it recognizes the reduction."""
    if op in (ew.maximum, ew.minimum):
        limits = dt.iinfo(dtype) if dt.is_integer(dtype) else dt.finfo(dtype)
        return limits.min if op is ew.maximum else limits.max
    return op in (ew.multiply, ew.and_)


REDUCTIONS = [*itertools.product((ew.add, ew.multiply), (
    dt.int8, dt.uint32, dt.bfloat16, dt.float16, dt.float32, dt.float64, dt.complex64)),
    *itertools.product((ew.maximum, ew.minimum), (dt.int8, dt.uint32, dt.bfloat16, dt.float64)),
    *itertools.product((ew.and_, ew.or_), (dt.bool_, dt.int8))]
THEIRS = {ew.add: lax.add, ew.multiply: lax.mul, ew.maximum: lax.max, ew.minimum: lax.min,
          ew.and_: lax.bitwise_and, ew.or_: lax.bitwise_or}


@pytest.mark.parametrize("op, dtype", REDUCTIONS, ids=lambda x: getattr(x, "name", str(x)))
def test_reduce_is_that_of_xla(op, dtype):
    x = draw(np.random.default_rng(0), (3, 5, 2), dtype)
    init = np.asarray(first_value(op, dtype)).astype(dtype)
    with jax.enable_x64(True):
        theirs = np.asarray(lax.reduce(x, init, THEIRS[op], (0, 1)))
    for body in (binary(op, dtype), roundabout(op, dtype)):
        (found,) = both_ways(reduce, [x, init], {"body": body, "dimensions": (1, 0)})
        assert found.dtype == theirs.dtype
        wide = np.complex128 if dt.is_complex(dtype) else np.float64
        rounding = 8 * float(dt.finfo(dtype).eps) if dt.is_inexact(dtype) else 0
        np.testing.assert_allclose(found.astype(wide), theirs.astype(wide), rtol=rounding)


def test_what_a_body_is_made_of_is_recognized():
    assert single_op(binary(ew.add, dt.float32)) is ew.add
    assert single_op(roundabout(ew.add, dt.float32)) is None
    assert single_op(body_of(lambda x, y: [x], dt.float32)) is None


def test_reduce_of_truth_values_by_sums():
    x = np.array([[True, False], [False, False]])
    for op, wanted in ((ew.add, [True, False]), (ew.multiply, [False, False])):
        first = np.bool_(op is ew.multiply)
        (found,) = both_ways(reduce, [x, first], {"body": binary(op, dt.bool_),
                                                  "dimensions": (1,)})
        np.testing.assert_array_equal(found, wanted)


def largest(x, i, y, j):
    first = ew.or_(ew.compare(x, y, direction="GT"), ew.and_(
        ew.compare(x, y, direction="EQ"), ew.compare(i, j, direction="LT")))
    return [ew.select(first, x, y), ew.select(first, i, j)]


def theirs_largest(x, y):
    first = (x[0] > y[0]) | ((x[0] == y[0]) & (x[1] < y[1]))
    return lax.select(first, x[0], y[0]), lax.select(first, x[1], y[1])


@settings(deadline=None, max_examples=12)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=3), st.data())
def test_reduce_of_two_operands_is_that_of_xla(shape, data):
    dimensions = tuple(data.draw(st.permutations(range(len(shape))))[
        :data.draw(st.integers(1, len(shape)))])
    x = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 4, shape).astype(
        np.float32)
    places = np.arange(x.size, dtype=np.int32).reshape(shape)
    inits = np.float32(-np.inf), np.int32(99)
    found = both_ways(reduce, [x, places, *map(np.asarray, inits)], {
        "body": body_of(largest, dt.float32, dt.int32), "dimensions": dimensions})
    wanted = lax.reduce((x, places), inits, theirs_largest, dimensions)
    for ours, theirs in zip(found, wanted):
        np.testing.assert_array_equal(ours, theirs)


def affine(a, b, c, d):
    """x -> a x + b, then x -> c x + d: associative, not commutative."""
    return [ew.multiply(a, c), ew.add(ew.multiply(b, c), d)]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=3), st.data())
def test_reduce_keeps_the_order(shape, data):
    dimensions = tuple(data.draw(st.permutations(range(len(shape))))[
        :data.draw(st.integers(0, len(shape)))])
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-3, 4, shape).astype(np.int32) for _ in range(2))
    inits = np.int32(2), np.int32(5)
    found = both_ways(reduce, [a, b, *map(np.asarray, inits)], {
        "body": body_of(affine, dt.int32, dt.int32), "dimensions": dimensions})
    kept = [d for d in range(len(shape)) if d not in dimensions]
    reduced = sorted(dimensions)
    together = [*(shape[d] for d in kept), math.prod(shape[d] for d in reduced)]
    rows = [np.transpose(x, kept + reduced).reshape(together) for x in (a, b)]
    for place in np.ndindex(rows[0].shape[:-1]):
        wanted = functools.reduce(lambda s, t: (s[0] * t[0], s[1] * t[0] + t[1]),
                                  zip(rows[0][place], rows[1][place]), inits)
        assert (found[0][place], found[1][place]) == wanted


@pytest.mark.parametrize("op", [ew.add, ew.maximum], ids=repr)
def test_a_reduction_of_nothing_is_the_initial_value(op):
    for body in (binary(op, dt.float32), roundabout(op, dt.float32)):
        (found,) = both_ways(reduce, [np.ones((2, 0, 3), np.float32), np.float32(7)],
                             {"body": body, "dimensions": (1,)})
        np.testing.assert_array_equal(found, np.full((2, 3), 7))


def test_a_body_may_be_wider_than_the_operands():
    x = np.full(4096, 1, ml_dtypes.bfloat16)
    wide = body_of(lambda x, y: [ew.select(np.bool_(True), ew.add(x, y), x)], dt.float32)
    (found,) = both_ways(reduce, [x, x[0]], {"body": wide, "dimensions": (0,)})
    assert found.dtype == np.float32 and found == 4097


def power_of_two(x, y):
    """y doubled until it is above x: a body with a loop."""
    more = trace_graph([F32, F32], lambda x, y: [ew.compare(y, x, direction="LE")])
    twice = trace_graph([F32, F32], lambda x, y: [x, ew.add(y, y)])
    return [while_(x, y, cond=more, body=twice, cond_consts=0, body_consts=0)[1]]


def cases(x, y):
    """x + y or x - y by a choice that looks at y."""
    branches = (trace_graph([F32, F32], lambda x, y: [ew.add(x, y)]),
                trace_graph([F32, F32], lambda x, y: [ew.subtract(x, y)]))
    return list(case(ew.convert(y, dtype=dt.int32), x, y, branches=branches))


@pytest.mark.parametrize("function", [power_of_two, cases])
def test_a_region_may_have_any_operation(function):
    x = np.random.default_rng(0).uniform(0, 2, (3, 4)).astype(np.float32)
    body = body_of(function, dt.float32)
    assert not is_liftable(body)
    (found,) = both_ways(reduce, [x, np.float32(1)], {"body": body, "dimensions": (1,)})
    wanted = [step(body, 1, step(body, step(body, *row[:2]), step(body, *row[2:]))) for row in x]
    np.testing.assert_array_equal(found, wanted)


def step(body, x, y):
    return interpret(body, [np.float32(x), np.float32(y)])[0]


def test_a_call_in_a_region_is_looked_into():
    inner = trace_graph([F32, F32], lambda x, y: [ew.add(x, ew.multiply(y, np.float32(2)))])
    body = body_of(lambda x, y: list(call(x, y, body=inner)), dt.float32)
    assert is_liftable(body)
    (found,) = both_ways(reduce, [np.ones((2, 1), np.float32), np.float32(5)],
                         {"body": body, "dimensions": (1,)})
    np.testing.assert_array_equal(found, [7, 7])


def test_reduce_refuses():
    x, add = Type(dt.float32, (3, 4)), binary(ew.add, dt.float32)
    def check(message, types, error=ShapeError, **attrs):
        with pytest.raises(error, match=message):
            reduce.result_types(types, {"body": add, "dimensions": (0,), **attrs})
    check("reduce: 0 operands, but at least 1 is needed", [])
    check("reduce: 3 operands, but there must be one initial value for each", [x, x, F32])
    check(r"operand 1 has shape \(4,\) but operand 0 has \(3, 4\)",
          [x, Type(dt.float32, (4,)), F32, F32])
    check(r"initial value 0 is i32\[\], not a scalar of float32", [x, I32])
    check(r"dimensions \(0, 0\) of 2 axes", [x, F32], dimensions=(0, 0))
    check(r"dimensions \(2,\) of 2 axes", [x, F32], dimensions=(2,))
    check("the body gives 1 results for 2 operands", [x, x, F32, F32])
    check(r"the body is \(f32\[\], f32\[\]\) -> \(bool\[\]\), but must be \(bool\[\], bool\[\]\)",
          [x, F32], body=body_of(lambda x, y: [ew.compare(x, y, direction="LT")], dt.float32))
    check("the body combines float16 but operand 0 is float32", [x, F32], DtypeError,
          body=binary(ew.add, dt.float16))
    check("the body combines int32 but operand 0 is float32", [x, F32], DtypeError,
          body=binary(ew.add, dt.int32))


# -- sort ------------------------------------------------------------------------------------------


def comparator(function, *dtypes):
    return trace_graph([Type(d, ()) for d in dtypes for _ in range(2)],
                       lambda *xs: [function(*xs)])


def less(x, y):
    return ew.compare(x, y, direction="LT")


def unrecognized_less(x, y):
    return ew.and_(less(x, y), ew.not_(less(y, x)))


def sorted_by(function, *arrays, dimension=0):
    compares = comparator(function, *(x.dtype for x in arrays))
    return sort_with.evaluate(arrays, {"dimension": dimension, "is_stable": True,
                                       "comparator": compares})


@pytest.mark.parametrize("dtype", [dt.bool_, dt.int8, dt.uint32, dt.bfloat16, dt.float16,
                                   dt.float64], ids=str)
@pytest.mark.parametrize("function", [less, unrecognized_less])
def test_sort_by_less_is_that_of_numpy(function, dtype):
    x = np.random.default_rng(0).integers(0, 9, (3, 17, 2)).astype(dtype)
    for axis in range(3):
        places = np.argsort(x.astype(np.float64), axis=axis, kind="stable")
        numbers = np.broadcast_to(np.arange(x.shape[axis]).reshape(
            [-1 if d == axis else 1 for d in range(3)]), x.shape)
        found = sorted_by(lambda x, y, i, j: function(x, y), x, numbers, dimension=axis)
        np.testing.assert_array_equal(found[0], np.take_along_axis(x, places, axis))
        np.testing.assert_array_equal(found[1], places)


def test_sort_by_greater_keeps_equal_ones_in_order():
    for dtype in (np.int32, np.uint8, np.float32, bool):
        x = np.random.default_rng(0).integers(0, 3, 50).astype(dtype)
        _, found = sorted_by(lambda x, y, i, j: ew.compare(x, y, direction="GT"), x, np.arange(50))
        np.testing.assert_array_equal(found, np.argsort(-x.astype(int), kind="stable"))


@settings(deadline=None, max_examples=8)
@given(st.integers(1, 40), st.integers(0, 99))
def test_sort_by_two_keys_is_that_of_xla(n, seed):
    rng = np.random.default_rng(seed)
    arrays = [rng.integers(0, 4, (n, 2)).astype(d) for d in (np.float32, np.int32, np.int8)]
    def before(x, y, i, j, *rest):
        return ew.or_(less(x, y), ew.and_(ew.compare(x, y, direction="EQ"), less(i, j)))
    wanted = lax.sort(arrays, dimension=0, num_keys=2)
    for ours, theirs in zip(sorted_by(before, *arrays), wanted):
        np.testing.assert_array_equal(ours, theirs)


def nan_last(x, y):
    known = ew.compare(x, x, direction="EQ")
    return ew.or_(less(x, y), ew.and_(known, ew.compare(y, y, direction="NE")))


def test_sort_with_nan_is_what_the_comparator_says():
    x = np.array([3, np.nan, 1, np.nan, 2, 0], np.float32)
    np.testing.assert_array_equal(sorted_by(nan_last, x)[0], [0, 1, 2, 3, np.nan, np.nan])


CONTRADICTIONS = {
    "always": lambda x, y: ew.compare(x, x, direction="EQ"),
    "not transitive": lambda x, y: ew.compare(
        ew.remainder(ew.add(ew.subtract(y, x), np.int32(30)), np.int32(3)), np.int32(1),
        direction="EQ"),
    "not strict": lambda x, y: ew.compare(x, y, direction="LE")}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_comparator_that_contradicts_itself_loses_nothing(name):
    for n in (1, 2, 3, 7, 16, 37):
        x = np.random.default_rng(n).permutation(np.arange(n, dtype=np.int32) % 9)
        (found,) = sorted_by(CONTRADICTIONS[name], x)
        np.testing.assert_array_equal(np.sort(found), np.sort(x))


def test_sort_of_nothing():
    for shape in ((0, 3), (3, 0), (0,), (1, 4)):
        x = np.ones(shape, np.float32)
        np.testing.assert_array_equal(sorted_by(unrecognized_less, x)[0], x)


def test_sort_refuses():
    x, compares = Type(dt.float32, (3, 4)), comparator(less, dt.float32)
    attrs = {"dimension": 0, "is_stable": False, "comparator": compares}
    def check(message, types, **changed):
        with pytest.raises(ShapeError, match=message):
            sort_with.result_types(types, {**attrs, **changed})
    check("sort_with: 0 operands", [])
    check("dimension 2 of 2 axes", [x], dimension=2)
    check("dimension -1 of 2 axes", [x], dimension=-1)
    check("operand 1 has shape", [x, Type(dt.float32, (3,))])
    check(r"the comparator is \(f32\[\], f32\[\]\) -> \(bool\[\]\), but must be \(f32\[\], "
          r"f32\[\], f32\[\], f32\[\]\) -> \(bool\[\]\)", [x, x])
    check(r"but must be \(f32\[\], f32\[\]\) -> \(bool\[\]\)", [x],
          comparator=binary(ew.add, dt.float32))


# -- scatter ---------------------------------------------------------------------------------------


ROWS = {"update_window_dims": (1,), "inserted_window_dims": (0,), "input_batching_dims": (),
        "scatter_indices_batching_dims": (), "scatter_dims_to_operand_dims": (0,),
        "index_vector_dim": 1}
CELLS = {"update_window_dims": (), "inserted_window_dims": (0, 2), "input_batching_dims": (1,),
         "scatter_indices_batching_dims": (2,), "scatter_dims_to_operand_dims": (2, 0),
         "index_vector_dim": 0}
THEIR_SCATTERS = {ew.add: lax.scatter_add, ew.multiply: lax.scatter_mul,
                  ew.maximum: lax.scatter_max, ew.minimum: lax.scatter_min}


def written_both_ways(arrays, attrs):
    return both_ways(scatter_with, arrays, attrs, expand=_write_out)


@pytest.mark.parametrize("dtype", [dt.int8, dt.uint32, dt.bfloat16, dt.float32], ids=str)
@pytest.mark.parametrize("op", THEIR_SCATTERS, ids=repr)
def test_scatter_is_that_of_xla(op, dtype):
    rng = np.random.default_rng(0)
    x, updates = draw(rng, (5, 4), dtype), draw(rng, (7, 3), dtype)
    indices = rng.integers(-1, 6, (7, 1)).astype(np.int32)
    numbers = lax.ScatterDimensionNumbers((1,), (0,), (0,))
    wanted = THEIR_SCATTERS[op](x, indices, updates, numbers, mode="drop")
    for body in (binary(op, dtype), roundabout(op, dtype)):
        (found,) = written_both_ways([x, indices, updates],
                                     {"body": body, "unique_indices": False, **ROWS})
        rounding = 4 * float(dt.finfo(dtype).eps) if dt.is_float(dtype) else 0
        np.testing.assert_allclose(found.astype(np.float64),
                                   np.asarray(wanted).astype(np.float64), rtol=rounding)


def test_updates_of_several_operands_arrive_in_order():
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-3, 4, (3, 2, 4)).astype(np.int32) for _ in range(2))
    indices = rng.integers(-1, 4, (2, 6, 2)).astype(np.int8)
    c, d = (rng.integers(-3, 4, (6, 2)).astype(np.int32) for _ in range(2))
    found = written_both_ways([a, b, indices, c, d], {
        "body": body_of(affine, dt.int32, dt.int32), "unique_indices": False, **CELLS})
    a, b = a.copy(), b.copy()
    for i, j in np.ndindex(6, 2):
        third, first = indices[:, i, j]
        if 0 <= first < 3 and 0 <= third < 4:
            place = first, j, third
            a[place], b[place] = a[place] * c[i, j], b[place] * c[i, j] + d[i, j]
    np.testing.assert_array_equal(found[0], a)
    np.testing.assert_array_equal(found[1], b)


def test_scatter_where_no_two_meet():
    body = roundabout(ew.add, dt.float32)
    x, updates = np.zeros((5, 2), np.float32), np.ones((3, 2), np.float32)
    (found,) = written_both_ways([x, np.array([[4], [9], [0]]), updates],
                                 {"body": body, "unique_indices": True, **ROWS})
    np.testing.assert_array_equal(found[:, 0], [1, 0, 0, 0, 1])


def test_scatter_replaces_and_widens():
    x, updates = np.zeros((3, 2), np.float16), np.arange(4, dtype=np.float16).reshape(2, 2)
    indices = np.array([[2], [2]], np.int32)
    attrs = {"unique_indices": False, **ROWS}
    later = body_of(lambda x, y: [y], dt.float16)
    (found,) = written_both_ways([x, indices, updates], {"body": later, **attrs})
    np.testing.assert_array_equal(found, [[0, 0], [0, 0], [2, 3]])
    (found,) = written_both_ways([x, indices, updates],
                                 {"body": binary(ew.add, dt.float32), **attrs})
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[2], [2, 4])


def test_scatter_into_a_scalar_and_of_nothing():
    none = {"update_window_dims": (), "inserted_window_dims": (), "input_batching_dims": (),
            "scatter_indices_batching_dims": (), "scatter_dims_to_operand_dims": (),
            "index_vector_dim": 1, "unique_indices": False}
    body = roundabout(ew.add, dt.float32)
    (found,) = written_both_ways([np.float32(1), np.zeros((3, 0), np.int32),
                                  np.ones(3, np.float32)], {"body": body, **none})
    assert found == 4
    x = np.ones((2, 2), np.float32)
    (found,) = written_both_ways([x, np.zeros((0, 1), np.int32), np.ones((0, 2), np.float32)],
                                 {"body": body, "unique_indices": False, **ROWS})
    np.testing.assert_array_equal(found, x)


def test_scatter_refuses():
    x, i, u = Type(dt.float32, (5, 4)), Type(dt.int32, (6, 1)), Type(dt.float32, (6, 3))
    attrs = {"body": binary(ew.add, dt.float32), "unique_indices": False, **ROWS}
    def check(message, types, error=ShapeError, **changed):
        with pytest.raises(error, match=message):
            scatter_with.result_types(types, {**attrs, **changed})
    check("scatter_with: 2 operands, but there must be arrays, indices, and updates", [x, i])
    check("scatter_with: 4 operands", [x, i, u, u])
    check("operand 1 has shape", [x, Type(dt.float32, (5, 3)), i, u, u])
    check("operand 1 has shape", [x, x, i, u, Type(dt.float32, (6, 2))])
    check("the updates are int32 but the operand is float32", [x, i, u.with_dtype(dt.int32)],
          DtypeError)
    check("the indices are float32, not integers", [x, i.with_dtype(dt.float32), u], DtypeError)
    check("the body gives 1 results for 2 operands", [x, x, i, u, u])
    check("the body combines float64 but operand 0 is int32",
          [x.with_dtype(dt.int32), i, u.with_dtype(dt.int32)], DtypeError,
          body=binary(ew.add, dt.float64))

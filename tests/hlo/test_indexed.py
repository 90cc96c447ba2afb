"""gather, scatter, slices at run time and sort: random dimension numbers, against XLA."""

import itertools

import jax
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from jax import lax

from arraylib.errors import DtypeError, ShapeError
from arraylib.hlo.ops.dynamic import dynamic_slice, dynamic_update_slice
from arraylib.hlo.ops.indexed import gather, scatter
from arraylib.hlo.ops.sort import sort

SCATTERS = {"set": lax.scatter, "add": lax.scatter_add, "multiply": lax.scatter_mul,
            "minimum": lax.scatter_min, "maximum": lax.scatter_max}


@st.composite
def windows(draw, shortest=0):
    """Shapes and dimension numbers of a gather, the index vector on the last axis."""
    rank = draw(st.integers(shortest, 4))
    shape = tuple(draw(st.integers(1, 4)) for _ in range(rank))
    role = [draw(st.sampled_from(["window", "collapsed", "batching"])) for _ in range(rank)]
    role[:shortest] = ["window"] * shortest
    batching = tuple(d for d in range(rank) if role[d] == "batching")
    collapsed = tuple(d for d in range(rank) if role[d] == "collapsed")
    sizes = tuple(draw(st.integers(0, n)) if r == "window" else 1 for n, r in zip(shape, role))
    free = [d for d in range(rank) if d not in batching]
    index_map = tuple(draw(st.permutations(free))[:draw(st.integers(shortest, len(free)))])
    extra = [draw(st.integers(0, 3)) for _ in range(draw(st.integers(0, 2)))]
    outer = draw(st.permutations([*(("b", d) for d in batching), *(("e", n) for n in extra)]))
    outer_shape = tuple(shape[d] if kind == "b" else d for kind, d in outer)
    pairs = [next(i for i, o in enumerate(outer) if o == ("b", d)) for d in batching]
    total = len(outer) + role.count("window")
    offsets = tuple(sorted(draw(st.permutations(range(total)))[:role.count("window")]))
    seed = draw(st.integers(0, 1000))
    indices = np.random.default_rng(seed).integers(-2, 6, (*outer_shape, len(index_map)))
    attrs = {"offset_dims": offsets, "collapsed_slice_dims": collapsed,
             "operand_batching_dims": batching, "start_indices_batching_dims": tuple(pairs),
             "start_index_map": index_map, "index_vector_dim": len(outer), "slice_sizes": sizes}
    return shape, indices.astype(np.int32), attrs


def values(shape, seed=0):
    return np.random.default_rng(seed).integers(-9, 9, shape).astype(np.float32)


def dimension_numbers(attrs):
    names = [k for k in attrs if k not in ("index_vector_dim", "slice_sizes")]
    return lax.GatherDimensionNumbers(**{k: attrs[k] for k in names})


@settings(deadline=None, max_examples=60)
@given(windows())
def test_gather_is_that_of_xla(case):
    shape, indices, attrs = case
    x = values(shape)
    wanted = lax.gather(x, indices, dimension_numbers(attrs), attrs["slice_sizes"], mode="clip")
    np.testing.assert_array_equal(gather(x, indices, **attrs), wanted)


@settings(deadline=None, max_examples=60)
@given(windows(shortest=1), st.sampled_from(sorted(SCATTERS)))
def test_scatter_is_that_of_xla(case, kind):
    """XLA cannot scatter into a scalar, and ignores updates with empty index vectors."""
    shape, indices, attrs = case
    x, numbers = values(shape), dimension_numbers(attrs)
    updates = values(gather(x, indices, **attrs).shape, 1)
    theirs = lax.ScatterDimensionNumbers(
        numbers.offset_dims, numbers.collapsed_slice_dims, numbers.start_index_map,
        numbers.operand_batching_dims, numbers.start_indices_batching_dims)
    wanted = SCATTERS[kind](x, indices, updates, theirs, mode="drop")
    np.testing.assert_array_equal(
        scatter(x, indices, updates, kind=kind, **scatter_names(attrs)), wanted)


def scatter_names(attrs):
    names = {"offset_dims": "update_window_dims", "collapsed_slice_dims": "inserted_window_dims",
             "operand_batching_dims": "input_batching_dims",
             "start_indices_batching_dims": "scatter_indices_batching_dims",
             "start_index_map": "scatter_dims_to_operand_dims"}
    return {names.get(k, k): v for k, v in attrs.items() if k != "slice_sizes"}


def test_scatter_into_a_scalar():
    attrs = {"update_window_dims": (), "inserted_window_dims": (), "input_batching_dims": (),
             "scatter_indices_batching_dims": (), "scatter_dims_to_operand_dims": (),
             "index_vector_dim": 1}
    out = scatter(np.float32(1), np.zeros((3, 0), np.int32), values(3), kind="add", **attrs)
    assert out == 1 + values(3).sum()


def test_the_index_vector_may_be_on_any_axis_or_implied():
    x, indices = values((5, 4)), np.array([[0, 3], [4, 1], [2, 2]], np.int32)
    attrs = {"offset_dims": (), "collapsed_slice_dims": (0, 1), "operand_batching_dims": (),
             "start_indices_batching_dims": (), "start_index_map": (0, 1), "slice_sizes": (1, 1)}
    wanted = x[indices[:, 0], indices[:, 1]]
    np.testing.assert_array_equal(gather(x, indices, index_vector_dim=1, **attrs), wanted)
    np.testing.assert_array_equal(gather(x, indices.T, index_vector_dim=0, **attrs), wanted)
    implied = {**attrs, "offset_dims": (1,), "collapsed_slice_dims": (0,),
               "start_index_map": (0,), "slice_sizes": (1, 4)}
    np.testing.assert_array_equal(
        gather(x, indices[:, 0], index_vector_dim=1, **implied), x[indices[:, 0]])


def test_indices_of_any_integer_dtype():
    x = values((5,))
    attrs = {"offset_dims": (), "collapsed_slice_dims": (0,), "operand_batching_dims": (),
             "start_indices_batching_dims": (), "start_index_map": (0,), "index_vector_dim": 1,
             "slice_sizes": (1,)}
    high = np.array([2**64 - 1, 1], np.uint64)
    np.testing.assert_array_equal(gather(x, high, **attrs), x[[4, 1]])
    updates = np.ones(2, np.float32)
    for dtype in (np.int8, np.uint8, np.uint64):
        indices = np.array([127, 1]).astype(dtype)
        out = scatter(x, indices, updates, kind="add", **scatter_names(attrs))
        np.testing.assert_array_equal(out, x + [0, 1, 0, 0, 0])


GATHER = {"offset_dims": (1,), "collapsed_slice_dims": (0,), "operand_batching_dims": (),
          "start_indices_batching_dims": (), "start_index_map": (0,), "index_vector_dim": 1,
          "slice_sizes": (1, 4)}

REFUSED = {
    "index_vector_dim 3": {"index_vector_dim": 3},
    r"window axes \(2,\) are no ascending axes of the 2": {"offset_dims": (2,)},
    r"window axes \(1, 0\)": {"offset_dims": (1, 0)},
    r"dropped axes \(5,\)": {"collapsed_slice_dims": (5,)},
    "batching axes .* of an operand with 2": {"operand_batching_dims": (7,)},
    "both dropped and batching": {"operand_batching_dims": (0,)},
    "1 window axes for 2 operand axes": {"collapsed_slice_dims": ()},
    "of indices with 2 axes": {"start_indices_batching_dims": (2,)},
    "both the index vector's and batching": {"start_indices_batching_dims": (1,)},
    r"sizes \(\) in the operand but \(3,\)": {"start_indices_batching_dims": (0,)},
    r"moves axes \(2,\)": {"start_index_map": (2,)},
    "1 elements for 2 axes": {"start_index_map": (0, 1)},
    "do not fit shape": {"slice_sizes": (1, 5)},
    r"slice_sizes \(2, 4\) are above 1": {"slice_sizes": (2, 4)},
}


@pytest.mark.parametrize("message", REFUSED)
def test_dimension_numbers_that_do_not_fit_are_refused(message):
    with pytest.raises(ShapeError, match=message):
        gather(values((5, 4)), np.zeros((3, 1), np.int32), **{**GATHER, **REFUSED[message]})


def test_scatter_refuses_what_does_not_fit():
    x, indices, attrs = values((5, 4)), np.zeros((3, 1), np.int32), scatter_names(GATHER)
    with pytest.raises(DtypeError, match="float32, not integers"):
        scatter(x, np.zeros((3, 1), np.float32), values((3, 4)), kind="add", **attrs)
    with pytest.raises(DtypeError, match="updates are int32 but the operand is float32"):
        scatter(x, indices, np.zeros((3, 4), np.int32), kind="add", **attrs)
    with pytest.raises(DtypeError, match="no order"):
        scatter(x + 0j, indices, values((3, 4)) + 0j, kind="maximum", **attrs)
    with pytest.raises(ShapeError, match="kind 'replace' is none of set, add"):
        scatter(x, indices, values((3, 4)), kind="replace", **attrs)
    with pytest.raises(ShapeError, match=r"updates are \(2,\) outside .* there are \(3,\)"):
        scatter(x, indices, values((2, 4)), kind="add", **attrs)
    with pytest.raises(ShapeError, match=r"windows of \(6,\) do not fit the \(4,\)"):
        scatter(x, indices, values((3, 6)), kind="add", **attrs)


@pytest.mark.parametrize("start", [(0, 0), (3, 2), (-4, 9)])
def test_slices_at_run_time_are_moved_inside(start):
    x, update, starts = values((5, 4)), values((2, 3), 1), [np.int32(s) for s in start]
    np.testing.assert_array_equal(dynamic_slice(x, *starts, sizes=(2, 3)), lax.dynamic_slice(
        x, [max(s, 0) for s in starts], (2, 3)))  # JAX counts negative starts from the end
    np.testing.assert_array_equal(
        dynamic_update_slice(x, update, *starts),
        lax.dynamic_update_slice(x, update, [max(s, 0) for s in starts]))


def test_slices_at_run_time_refuse_what_does_not_fit():
    x = values((5, 4))
    with pytest.raises(ShapeError, match="1 starts and 2 sizes for 2 axes"):
        dynamic_slice(x, np.int32(0), sizes=(1, 1))
    with pytest.raises(ShapeError, match="6 elements of axis 0 of size 5"):
        dynamic_slice(x, np.int32(0), np.int32(0), sizes=(6, 1))
    with pytest.raises(DtypeError, match=r"a start is f32\[\]"):
        dynamic_slice(x, np.float32(0), np.int32(0), sizes=(1, 1))
    with pytest.raises(DtypeError, match="the update is int32 but the operand is float32"):
        dynamic_update_slice(x, np.zeros((1, 1), np.int32), np.int32(0), np.int32(0))


@pytest.mark.parametrize("dtype", ["float32", "int8", "bool", "complex64", "bfloat16", "uint64"])
@pytest.mark.parametrize("axis, keys", list(itertools.product((0, 1), (1, 2))))
def test_sort_is_that_of_xla(dtype, axis, keys):
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        first, second = (rng.integers(0, 3, (7, 6)).astype(dtype) for _ in range(2))
        places = np.arange(42, dtype=np.int32).reshape(7, 6)
        ours = sort(first, second, places, dimension=axis, num_keys=keys)
        theirs = lax.sort((first, second, places), dimension=axis, num_keys=keys)
    for x, y in zip(ours, theirs):
        np.testing.assert_array_equal(x, y)
        assert x.dtype == y.dtype


def test_sort_puts_nan_last_and_keeps_the_order_of_zeros():
    x = np.array([np.nan, 0.0, np.inf, -0.0, -np.inf, -np.nan, 0.0], np.float32)
    places = np.arange(7, dtype=np.int32)
    _, order = sort(x, places, dimension=0, num_keys=1)
    np.testing.assert_array_equal(order, [4, 1, 3, 6, 2, 0, 5])
    np.testing.assert_array_equal(order, lax.sort((x, places), num_keys=1)[1])


def test_sort_refuses_what_does_not_fit():
    x = values((3, 4))
    with pytest.raises(ShapeError, match="2 keys among 1 operands"):
        sort(x, dimension=0, num_keys=2)
    with pytest.raises(ShapeError, match="dimension 2 of 2 axes"):
        sort(x, dimension=2, num_keys=1)
    with pytest.raises(ShapeError, match="operand 1 has shape"):
        sort(x, x.T, dimension=0, num_keys=1)

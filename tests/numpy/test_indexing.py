"""x[...] and x.at[...]: NumPy's meaning, concrete and traced."""

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import grad, jit, vmap
from arraylib.errors import ArgumentError, DtypeError, OutOfBoundsError, TraceError
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Builder, type_of
from arraylib.numpy.indexing import getitem
from arraylib.numpy.slices import ds
from arraylib.numpy.updates import Updates

X = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
A, B = np.array([[0, -1], [2, 1]]), np.array([3, 0])
MASK = np.array([True, False, True, True, False])
ALL, BACK = slice(None), slice(None, None, -1)
INDICES = [
    0, -1, (1, 2), (1, 2, 3), slice(1, 3), BACK, slice(3, 0, -2), (ALL, 0), (..., 0), (..., None),
    (None, 1, None), (ALL, slice(1, 5, 2), BACK), A, (A, B), (ALL, A), (A, ALL, B), (0, ALL, B),
    (ALL, 0, B), (ALL, A, 1), (..., B), (None, A), (A, None), (ALL, None, A), (A, None, B),
    (slice(1, 3), A, slice(None, None, 2)), (slice(1, 3), None, A, slice(4, 1, -2)), (ALL, MASK),
    (ALL, MASK, 0), X > 50, slice(0, 0), np.zeros(0, int), [0, 1], (ALL, [0, 1], [2, 3]), (),
    (B, B, B), (0, B), (B, 0), (1, ..., B), (B, ..., 0), np.int32(2), (np.array(1), ALL, B),
    slice(5, 9), (slice(2, 1), slice(None, None, 2))]
UPDATES = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide,
           "min": np.minimum, "max": np.maximum}


def traced(function, *arrays):
    """The result of a graph drawn from `function` with every argument unknown."""
    with Builder() as builder:
        result = function(*[builder.input(type_of(x)) for x in arrays])
        graph, captured = builder.build([result])
    return interpret(graph, [*arrays, *captured])[0]


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_read(index):
    np.testing.assert_array_equal(getitem(X, index), X[index])


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_update(index):
    values = np.random.default_rng(0).normal(size=X[index].shape).astype(np.float32)
    expected = X.copy()
    expected[index] = values
    np.testing.assert_array_equal(Updates(X)[index].set(values), expected)
    for name, ufunc in UPDATES.items():
        expected = X.copy()
        ufunc.at(expected, index, values)
        np.testing.assert_allclose(getattr(Updates(X)[index], name)(values), expected, rtol=1e-5)


TRACED = [lambda i: i, lambda i: (ALL, i), lambda i: (i, ..., i), lambda i: (slice(1, 4, 2), i),
          lambda i: (i, BACK, None), lambda i: (ALL, B, i), lambda i: (A, i), lambda i: (i, 2)]


@pytest.mark.parametrize("make", TRACED)
@pytest.mark.parametrize("i", [0, 2, -1])
def test_traced_scalar(make, i):
    expected = X[make(i)]
    i = np.int32(i)
    np.testing.assert_array_equal(traced(lambda x, i: getitem(x, make(i)), X, i), expected)
    values = np.float32(np.random.default_rng(1).normal(size=expected.shape))
    updated = X.copy()
    updated[make(int(i))] = values
    found = traced(lambda x, i, v: Updates(x)[make(i)].set(v), X, i, values)
    np.testing.assert_array_equal(found, updated)


def test_traced_array():
    i = np.int32([[0, -1], [2, 1]])
    np.testing.assert_array_equal(traced(lambda x, i: getitem(x, (ALL, i)), X, i), X[:, i])


def test_traced_out_of_bounds():
    """A read takes the nearest element, a write is left out."""
    far = np.int32(9)
    np.testing.assert_array_equal(traced(getitem, X, far), X[3])
    np.testing.assert_array_equal(traced(lambda x, i: Updates(x)[i].set(0), X, far), X)
    np.testing.assert_array_equal(traced(lambda x, i: Updates(x)[i, 0].add(1), X, far), X)
    clipped = traced(lambda x, i: Updates(x)[i].set(0, mode="clip"), X, far)
    np.testing.assert_array_equal(clipped[3], np.zeros((5, 6)))
    several = np.int32([1, 9])
    found = traced(lambda x, i: Updates(x)[i].set(0), X, several)
    assert found[1].max() == 0 and (found[[0, 2, 3]] == X[[0, 2, 3]]).all()


def test_clip_and_fill():
    i = np.array([3, 9])
    np.testing.assert_array_equal(Updates(X)[:, i].get(mode="clip"), X[:, [3, 4]])
    filled = np.asarray(Updates(X)[1:3, None, i].get(mode="fill", fill_value=-1))
    np.testing.assert_array_equal(filled[:, :, 0], X[1:3, None, 3])
    assert (filled[:, :, 1] == -1).all()


def test_fill_and_wrap():
    i = np.array([0, 9, -1])
    found = np.asarray(Updates(X)[i].get(mode="fill"))
    assert np.isnan(found[1]).all() and (found[[0, 2]] == X[[0, -1]]).all()
    np.testing.assert_array_equal(Updates(X)[i].get(mode="wrap"), X[[0, 1, 3]])
    np.testing.assert_array_equal(Updates(X)[i].set(0, mode="drop")[1:3], X[1:3])


# What each mode makes of a place that counts from the front; None: nothing is there.
MODES = {"clip": lambda i, n: min(max(i, 0), n - 1), "wrap": lambda i, n: i % n,
         "fill": lambda i, n: i if 0 <= i < n else None}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("index", [-9, -5, -4, 3, 4, 6])
@pytest.mark.parametrize("rest", [(), (slice(1, None), 2), (np.array([2, 0]),)], ids=len)
def test_a_known_integer_with_a_mode(index, rest, mode):
    place = MODES[mode](index + 4 if index < 0 else index, 4)
    expected = np.full(X[(0, *rest)].shape, -1) if place is None else X[(place, *rest)]
    found = Updates(X)[(index, *rest)].get(mode=mode, fill_value=-1)
    np.testing.assert_array_equal(found, expected)
    changed = X.copy()
    if place is not None:
        changed[(place, *rest)] += 50
    np.testing.assert_array_equal(Updates(X)[(index, *rest)].add(50, mode=mode), changed)


def test_negative_indices_of_a_narrow_dtype():
    np.testing.assert_array_equal(getitem(np.arange(1000), np.array([-1, 5], np.int8)), [999, 5])


def test_repeated_index():
    i = np.array([1, 1, 0])
    np.testing.assert_array_equal(Updates(np.zeros(3, np.float32))[i].add(1), [1, 2, 0])
    np.testing.assert_array_equal(
        Updates(np.zeros(3, np.float32))[i].set(np.float32([5, 6, 7])), [7, 6, 0])


def test_power_apply():
    x = np.float32([1, 2, 3])
    np.testing.assert_array_equal(Updates(x)[1:].power(2), [1, 4, 9])
    np.testing.assert_array_equal(Updates(x)[np.array([0, 0])].apply(lambda v: v + 1), [3, 2, 3])


def test_traced_mask_of_updates():
    mask = np.array([True, False, True, False])
    found = traced(lambda x, m: Updates(x)[m].set(0), X, mask)
    np.testing.assert_array_equal(found, np.where(mask[:, None, None], 0, X))


@pytest.mark.parametrize("index, message", [
    (4, r"index: index 4 is out of bounds for axis 0 of size 4\n  at test_indexing.py.*\n"
        r"  operand 0: f32\[4,5,6\]\n  try: -4 to 3"),
    ((ALL, -6), "index -6 is out of bounds for axis 1 of size 5"),
    (np.array([0, 4]), "index 4 is out of bounds for axis 0 of size 4"),
    ((0, 0, 0, 0), "4 indices for an array with 3 axes"), ((..., 0, ...), "2 ellipses"),
    (np.array([True, False]), r"a mask of shape \(2,\) for axes of sizes \(4,\)")])
def test_out_of_bounds(index, message):
    with pytest.raises(OutOfBoundsError, match=message):
        getitem(X, index)
    with pytest.raises(IndexError):
        Updates(X)[index].set(0)


def test_mistakes():
    with pytest.raises(DtypeError, match="an index array is float32"):
        getitem(X, np.float32([1.0]))
    with pytest.raises(DtypeError, match="a str is no index"):
        getitem(X, "a")
    with pytest.raises(DtypeError, match="float32 values do not fit an array of int32"):
        Updates(np.int32([1, 2]))[0].set(np.float32(0.5))
    with pytest.raises(ArgumentError, match="mode = 'far'"):
        Updates(X)[0].set(0, mode="far")
    with pytest.raises(TraceError, match="how many elements a traced mask selects"):
        traced(lambda x, m: getitem(x, m), X, MASK[:4])
    with pytest.raises(TraceError, match="a slice with bounds known at run time only"):
        traced(lambda x, i: getitem(x, slice(0, i)), X, np.int32(2))


@pytest.mark.parametrize("kind", ["add", "set", "min"])
def test_updates_of_an_array_without_elements_have_no_slope(kind):
    def total(updates, i):
        return getattr(jnp.zeros((0, 3)).at[i], kind)(updates).sum()

    assert jit(grad(total))(jnp.ones((2, 3)), jnp.array([0, 1])).tolist() == [[0.0] * 3] * 2


def test_second_derivatives_and_examples_of_no_elements():
    def sizes(x):
        return (grad(lambda x: (jnp.sort(x, 0) ** 2).sum())(x) ** 2).sum()

    assert jit(grad(sizes))(jnp.zeros((2, 0))).shape == (2, 0)
    assert vmap(lambda x, i: x[i])(jnp.zeros((0, 3)), jnp.zeros(0, int)).shape == (0,)


TRUTHS = [True, False, (..., True), (..., False), (0, slice(2), True), (0, slice(2), False),
          (slice(2), 0, True), (slice(2), np.array([0, 2]), True), (slice(2), 0, False),
          (np.array([1, 0]), slice(None), True), (True, slice(None), True, slice(None))]


@pytest.mark.parametrize("index", TRUTHS, ids=str)
def test_single_truth_values_among_indices(index):
    found, expected = jit(lambda x: getitem(x, index))(X), X[index]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(getitem(jnp.array(X), index), expected)
    changed = X.copy()
    changed[index] = 7
    np.testing.assert_array_equal(Updates(jnp.array(X))[index].set(7), changed)


def test_a_traced_truth_value_decides_the_shape():
    for index in (np.True_, np.array([True, False, True, False])):
        with pytest.raises(IndexError, match="a traced mask"):
            jit(getitem)(X, index)
    with pytest.raises(IndexError, match="bounds known at run time only"):
        jit(lambda x, n: x[:n])(X, 2)


def test_negative_indices_need_not_count_from_the_end():
    x, i = jnp.arange(5.0), jnp.array([-1, 2, 7])
    for make in (lambda f: f, jit):
        get = make(lambda x, i: x.at[i].get(mode="clip", wrap_negative_indices=False))
        assert get(x, i).tolist() == [0, 2, 4]
        change = make(lambda x, i: x.at[i].add(9, mode="drop", wrap_negative_indices=False))
        assert change(x, i).tolist() == [0, 1, 11, 3, 4]
    assert np.isnan(x.at[-1].get(mode="fill", wrap_negative_indices=False))
    assert jit(lambda x, i: x.at[i].set(9, wrap_negative_indices=False))(x, i)[4] == 4
    with pytest.raises(OutOfBoundsError, match="index -1 is out of bounds"):
        x.at[-1].set(3, wrap_negative_indices=False)
    with pytest.raises(ArgumentError, match="there is no unique="):
        x.at[0].set(3, unique=True)


def test_slices_that_begin_at_a_traced_place():
    x = jnp.arange(20).reshape(5, 4)
    for stride, size in ((1, 3), (2, 2)):
        read = jit(lambda i, s=stride, n=size: x[ds(i, n, s), 1:])
        write = jit(lambda i, s=stride, n=size: x.at[ds(i, n, s)].add(100))
        for i, first in ((0, 0), (1, 1), (2, 2), (4, 2), (-4, 1), (-9, 0)):
            rows = slice(first, first + (size - 1) * stride + 1, stride)
            np.testing.assert_array_equal(read(i), np.asarray(x)[rows, 1:])
            expected = np.array(x)
            expected[rows] += 100
            np.testing.assert_array_equal(write(i), expected)
    mixed = jit(lambda i: x[ds(i, 2), np.array([0, 2])])
    assert mixed(3).tolist() == [[12, 14], [16, 18]]
    assert grad(lambda v, i: v[ds(i, 2)].sum())(jnp.ones(3), 1).tolist() == [0, 1, 1]


def test_slices_of_a_known_place():
    x = jnp.arange(10)
    assert x[ds(2, 3)].tolist() == [2, 3, 4] and x[ds(3)].tolist() == [0, 1, 2]
    assert x[ds(1, 3, 2)].tolist() == [1, 3, 5] and x[ds(-3, 2)].tolist() == [7, 8]
    assert ds(None) == slice(None) and ds(None, 5) == ds(5) and ds(None, stride=2).step == 2
    with pytest.raises(OutOfBoundsError, match="3 elements from 8 on, along axis 0 of size 10"):
        x[ds(8, 3)]
    with pytest.raises(ArgumentError, match="stride = 0"):
        ds(1, 2, 0)
    with pytest.raises(ArgumentError, match="the size decides the shape"):
        jit(lambda n: x[ds(0, n)])(3)


@pytest.mark.parametrize("index", [np.array([0, 2, 2, -1]), np.array([1, 3]), slice(1, 4),
                                   np.array([True, False, True, False]), 2, np.array([[1, 1]])])
def test_functions_applied_as_often_as_an_element_occurs(index):
    x = np.float32([1, 2, 3, 4])
    expected = x.copy()
    np.negative.at(expected, index)
    np.exp2.at(expected, index)
    change = lambda x, i: x.at[i].apply(jnp.negative).at[i].apply(jnp.exp2)
    np.testing.assert_allclose(change(jnp.array(x), index), expected)
    if np.ndim(index) and index.dtype != bool:
        np.testing.assert_allclose(jit(change)(x, index), expected)
        far = jit(lambda x, i: x.at[i].apply(jnp.negative, mode="drop"))(x, index + 9)
        np.testing.assert_array_equal(far, x)


def test_functions_applied_at_rows():
    x, rows = np.arange(6.0).reshape(3, 2), np.array([0, 2, 0, 0])
    found = jit(lambda x, i: x.at[i].apply(lambda v: 2 * v + 1))(x, rows)
    np.testing.assert_array_equal(found, [[7, 15], [2, 3], [9, 11]])
    once = jit(lambda x, i: x.at[i].apply(jnp.square, unique_indices=True))(x, rows[:2])
    np.testing.assert_array_equal(once, [[0, 1], [2, 3], [16, 25]])
    slope = grad(lambda x, i: x.at[i].apply(jnp.square).sum())(jnp.array([2.0, 3.0]), jnp.zeros(
        2, int))
    assert slope.tolist() == [32, 1]


def test_products_at_places_that_differ_have_a_derivative():
    change = lambda x, v, i: x.at[i].multiply(v, unique_indices=True).sum()
    slopes = jit(grad(change, (0, 1)))(jnp.arange(1.0, 4), jnp.array([5.0, 7.0]), jnp.array([2, 0]))
    assert [s.tolist() for s in slopes] == [[7, 1, 5], [3, 1]]
    with pytest.raises(OutOfBoundsError, match="an index for axis 1 of size 0"):
        jit(lambda x, i: x[0, i])(jnp.ones((2, 0)), 0)


def test_types_say_whether_they_are_weak():
    x = jnp.array(1.0)[None]
    assert x.aval.weak_type and x.at[0].add(1.0).aval.weak_type and x[:0].aval.weak_type
    assert not jnp.ones(1).aval.weak_type


@pytest.mark.parametrize("index", [
    (ALL, np.array([0, 1]), ..., np.array([2, 3])), (np.array([0, 1]), ..., 2, np.array([3, 1])),
    (ALL, 1, ..., np.array([2, 3])), (..., ALL, np.array([0, 1]), np.array([2, 3])),
    (0, ..., 1, 2), (None, np.array([0, 1]), ..., None, ALL, np.array([2, 3]))])
def test_dots_for_no_axes_keep_arrays_apart(index):
    np.testing.assert_array_equal(jit(lambda x: getitem(x, index))(X), X[index])
    changed = X.copy()
    changed[index] = 7
    np.testing.assert_array_equal(jit(lambda x: Updates(x)[index].set(7))(X), changed)


def test_lists_of_traced_indices():
    x = jnp.arange(9).reshape(3, 3)
    assert jit(lambda x, i: x[[i, 0]])(x, 2).tolist() == [[6, 7, 8], [0, 1, 2]]
    assert jit(lambda x, i: x[[[i], [0]], [0, i]])(x, 2).tolist() == [[6, 8], [0, 2]]
    assert jit(lambda x, i: x.at[[i, 0], 1].set(-1))(x, 2)[:, 1].tolist() == [-1, 4, -1]

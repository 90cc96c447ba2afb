"""Functions that make arrays, join, split and rearrange them agree with JAX's."""

import array as buffer
import warnings

import numpy as np
import pytest
from agreement import BFLOAT16, agree, assert_same, numbers

import arraylib
import arraylib.numpy as jnp
from arraylib import jit, lax
from arraylib.errors import ArgumentError, DtypeError, IntegerOverflowError, ShapeError

X, M, V = numbers((2, 3, 4)), numbers((3, 4), seed=1), numbers((5,), seed=2)

CASES = [
    ("reshape", X, (4, 6)), ("reshape", X, (-1, 3)), ("reshape", X, -1),
    ("reshape", X, (4, -1), "F"), ("ravel", X), ("ravel", X, "F"), ("expand_dims", X, 1),
    ("expand_dims", X, (0, -1)), ("squeeze", X[:1]), ("squeeze", X[:, :1], 1), ("transpose", X),
    ("transpose", X, (1, 2, 0)), ("transpose", X, (-1, 0, 1)), ("swapaxes", X, 0, -1),
    ("moveaxis", X, 0, -1), ("moveaxis", X, (0, 1), (-1, 0)), ("rollaxis", X, 2),
    ("rollaxis", X, 0, 3), ("rollaxis", X, 0, -1), ("rollaxis", X, 2, -2), ("matrix_transpose", X),
    ("permute_dims", X, (2, 0, 1)),
    ("atleast_1d", np.float32(2)), ("atleast_2d", V), ("atleast_3d", M), ("atleast_3d", V),
    ("broadcast_to", V, (3, 5)), ("broadcast_to", M[:, :1], (2, 3, 4)),
    ("broadcast_arrays", M, M[0]), ("concatenate", [M, M], 1), ("concatenate", [M, V[:4]], None),
    ("concatenate", [M, numbers((3, 4), np.int32)]), ("stack", [M, M]), ("stack", [M, M], -1),
    ("stack", M), ("concatenate", X), ("vstack", [V, V]), ("hstack", [V, V]), ("hstack", [M, M]),
    ("dstack", [M, M]), ("column_stack", [V, V]), ("append", V, 3.0), ("append", M, M, 0),
    ("split", M, 3), ("split", M, [1, 3], 1), ("split", V, [2, 5]), ("array_split", V, 3),
    ("hsplit", M, 2), ("vsplit", M, 3), ("dsplit", X, 2), ("unstack", M),
    ("tile", M, 2), ("tile", M, (2, 1, 3)), ("tile", V, (2, 2)), ("repeat", M, 2),
    ("repeat", M, 3, 1), ("repeat", V, np.array([1, 0, 2, 1, 3]), 0), ("flip", X), ("flip", X, 1),
    ("flip", X, (0, 2)), ("fliplr", M), ("flipud", M), ("rot90", M), ("rot90", M, 2),
    ("rot90", M, -1), ("rot90", X, 1, (1, 2)), ("roll", M, 2), ("roll", M, -1, 0),
    ("roll", M, (1, 2), (0, 1)), ("roll", M, 1, (0, 1)),
    ("pad", M, 1), ("pad", M, (1, 2)),
    ("insert", V, 1, 9.0), ("insert", M, np.array([0, 2]), 1.0, 1), ("delete", V, 1),
    ("delete", M, np.array([0, -1]), 1), ("pad", M, ((0, 1), (2, 0))),
    ("delete", V, slice(1, 3)), ("trim_zeros", np.float32([0, 1, 0, 2, 0])),
    ("resize", V, (3, 4)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0])
def test_rearranged(case):
    agree(*case)


def test_pad_constant():
    agree("pad", M, ((0, 1), (2, 0)), constant_values=5.0)
    agree("pad", M, 2, constant_values=((1.0, 2.0), (3.0, 4.0)))
    agree("pad", M, ((2, 0), (0, 5)), mode="linear_ramp", end_values=3.0, rtol=1e-5)


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap", "maximum", "minimum",
                                  "mean", "median", "linear_ramp"])
@pytest.mark.parametrize("width", [1, ((2, 1), (0, 3)), ((5, 4), (7, 9))])
def test_pad(mode, width):
    agree("pad", M, width, mode, rtol=1e-5)


CREATION = [
    ("zeros", (2, 3)), ("zeros", 3), ("ones", (2,), np.int32), ("full", (2, 2), 7),
    ("full", (2,), 1.5), ("full", (2, 2), 1, BFLOAT16), ("zeros_like", M),
    ("ones_like", M, np.int8),
    ("full_like", M, 2), ("full_like", M, 2, None, (3,)), ("empty", (2,)), ("arange", 5),
    ("arange", 2, 9, 3), ("arange", 9, 2, -2), ("arange", 0.0, 1.0, 0.25), ("arange", 3.0),
    ("arange", 0, 1, 0.1), ("arange", 5, 2), ("arange", 0, 8, 2, np.float32),
    ("arange", 4, None, None, BFLOAT16), ("linspace", 0, 1, 5), ("linspace", 2.0, -3.0, 7),
    ("linspace", 0, 10, 4, False), ("linspace", 0, 1, 1), ("linspace", V, V + 1, 4),
    ("linspace", 0, 10, 5, True, True), ("logspace", 0, 2, 5), ("geomspace", 1, 1000, 4),
    ("eye", 3), ("eye", 3, 4, 1), ("eye", 3, 2, -1, np.int32), ("identity", 3), ("tri", 3),
    ("tri", 3, 4, -1), ("tril", M), ("tril", X, 1), ("triu", M), ("triu", X, -1),
    ("tril_indices", 3), ("triu_indices", 3, 1), ("diag_indices", 3), ("meshgrid", V, M[0]),
    ("indices", (2, 3)), ("vander", V), ("vander", V, 3), ("fromfunction",),
]


@pytest.mark.parametrize("case", CREATION, ids=lambda c: c[0])
def test_made(case):
    if case == ("fromfunction",):
        return agree("fromfunction", lambda i, j: i * 10 + j, (2, 3), dtype=np.int32)
    agree(*case)


def test_index_tricks():
    assert_same(jnp.mgrid[0:2, 0:1:5j], np.mgrid[0:2, 0:1:5j].astype(np.float32))
    assert_same(jnp.ogrid[0:2, 1:9:3], [x.astype(np.int32) for x in np.ogrid[0:2, 1:9:3]])
    assert_same(jnp.r_[0:3, V, 5], np.r_[0:3, V, 5].astype(np.float32))
    assert_same(jnp.c_[V, V * 2], np.c_[V, V * 2])
    assert jnp.s_[1:2, ...] == np.s_[1:2, ...]
    assert_same(jnp.fill_diagonal(M, 9.0, inplace=False)[:, 1:],
                np.where(np.eye(3, 4, dtype=bool), np.float32(9), M)[:, 1:])
    for name in ("tril_indices_from", "triu_indices_from"):
        agree(name, M, 1)
    agree("diag_indices_from", np.zeros((3, 3), np.float32))


@pytest.mark.parametrize("name", ["hanning", "hamming", "blackman", "bartlett"])
def test_windows(name):
    for n in (0, 1, 2, 9):
        agree(name, n, rtol=1e-5)


def test_meshgrid_options():
    agree("meshgrid", V, M[0], indexing="ij")
    agree("meshgrid", V, M[0], V, sparse=True)


@pytest.mark.parametrize("data", [1, 1.5, True, 2j, [1, 2], [[1.0], [2]], [], [True, False],
                                  np.arange(3), np.float64([1.5]), [np.float16(1), 2.0],
                                  [[1, 2.5], [3j, 4]], (1, 2), np.float16(3)])
def test_array(data):
    agree("array", data)
    agree("asarray", data, dtype=np.complex64)


def test_array_of_arrays():
    assert_same(jnp.array([jnp.zeros(2), jnp.ones(2)]), np.float32([[0, 0], [1, 1]]))
    agree("array", [1, 2], ndmin=3)


def test_64_bits_when_asked_for():
    assert np.asarray(jnp.asarray(np.arange(3), dtype=jnp.int64)).dtype == np.int64
    assert np.asarray(jnp.zeros(2, dtype=jnp.float64)).dtype == np.float64
    assert np.asarray(jnp.float64(2)).dtype == np.float64


def test_block():
    a, b = np.ones((2, 2), np.float32), np.zeros((2, 3), np.float32)
    agree("block", [[a, b], [b, a]])
    agree("block", [V, V])
    agree("block", M)


def test_mistakes():
    with pytest.raises(ShapeError, match=r"reshape: 24 elements are no multiple of the 5 of"):
        jnp.reshape(X, (5, -1))
    with pytest.raises(ShapeError, match=r"reshape: 24 elements of shape \(2, 3, 4\) do not fit"):
        jnp.reshape(X, (5, 5))
    with pytest.raises(ShapeError, match=r"concatenate: axis 1 is 3 in operand 1 but 4 in operand"):
        jnp.concatenate([M, M[:, :3]])
    with pytest.raises(ShapeError, match=r"stack: operand 1 has shape \(5,\) but operand 0 has"):
        jnp.stack([M, V])
    with pytest.raises(ShapeError, match="broadcast_to: shape .5,. does not broadcast"):
        jnp.broadcast_to(V, (5, 4))
    with pytest.raises(ShapeError, match="split: axis 0 of size 5 cannot be split into 2"):
        jnp.split(V, 2)
    with pytest.raises(ShapeError, match="squeeze: axis 0 has size 3, not 1"):
        jnp.squeeze(M, 0)
    with pytest.raises(ShapeError, match="transpose: 1 axes are named of 2"):
        jnp.transpose(M, (0,))
    with pytest.raises(IntegerOverflowError, match="array: 1099511627776 does not fit int32"):
        jnp.array([1 << 40])
    with pytest.raises(DtypeError, match="'float12' is not a dtype"):
        jnp.zeros(3, "float12")
    with pytest.raises(ShapeError, match="array: the nested sequences have different lengths"):
        jnp.array([[1], [2, 3]])
    with pytest.raises(ShapeError, match=r"zeros: shape \(-1,\) has a negative size"):
        jnp.zeros(-1)
    with pytest.raises(ArgumentError, match="concatenate: no arrays are given"):
        jnp.concatenate([])
    with pytest.raises(ArgumentError, match="pad: mode = 'far'"):
        jnp.pad(V, 1, "far")


def test_scalars_that_are_made_are_arrays_and_keep_their_dtype():
    one = jnp.ones((), "float64")
    for made in (jnp.full((), 1.0, "float64"), jnp.full_like(one, 2), jnp.zeros_like(one)):
        assert isinstance(made, arraylib.Array)
        assert jnp.asarray(made).dtype == "float64"


UNCHANGED = [
    lambda x: jnp.reshape(x, x.shape), lambda x: jnp.ravel(x), lambda x: jnp.squeeze(x),
    lambda x: jnp.transpose(x), lambda x: jnp.moveaxis(x, 0, 0), lambda x: jnp.atleast_1d(x),
    lambda x: jnp.broadcast_to(x, x.shape), lambda x: jnp.broadcast_arrays(x, x)[1],
    lambda x: jnp.concatenate([x]), lambda x: jnp.hstack([x]), lambda x: jnp.split(x, 1)[0],
    lambda x: jnp.block([x]), lambda x: jnp.flip(x, ()), lambda x: jnp.roll(x, 0),
    lambda x: jnp.sum(x, ()), lambda x: jnp.max(x, ()), lambda x: jnp.clip(x),
    lambda x: jnp.real(x), lambda x: jnp.conj(x), lambda x: jnp.positive(x),
    lambda x: jnp.power(x, 1), lambda x: jnp.astype(x, x.dtype), lambda x: jnp.full(3, x),
    lambda x: jnp.floor(x.view(np.int32)), lambda x: jnp.round(x.view(np.int32)),
    lambda x: jnp.abs(x.view(np.uint32)), lambda x: jnp.nan_to_num(x.view(np.int32)),
    lambda x: lax.convert_element_type(x, x.dtype), lambda x: lax.reduce_sum(x, ()),
    lambda x: lax.concatenate([x], 0), lambda x: lax.bitcast_convert_type(x, x.dtype),
]


@pytest.mark.parametrize("number", range(len(UNCHANGED)))
def test_what_changes_nothing_gives_an_array_that_numpy_does_not_change(number):
    data = np.float32([1, 2, 3])
    found = UNCHANGED[number](data)
    assert isinstance(found, arraylib.Array)
    before = np.array(found)
    data[:] = 7
    np.testing.assert_array_equal(found, before)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (3,)], ids=str)
def test_scalars_of_numpy_may_change_after_they_are_repeated(shape):
    data = np.array(2, np.float32)
    made = [jnp.broadcast_to(data, shape), jnp.full(shape, data), *jnp.broadcast_arrays(
        data, np.ones(shape, np.float32))]
    data[...] = 3
    assert [set(np.ravel(x).tolist()) for x in made] == [{2.0}, {2.0}, {2.0}, {1.0}]


def test_geometric_sequences_of_negative_numbers():
    start, stop = np.float32([1, -2, 4]), np.float32([5, -64, 0.5])
    for axis in (0, -1):
        found = jnp.geomspace(start, stop, 5, axis=axis)
        np.testing.assert_allclose(found, np.geomspace(start, stop, 5, axis=axis), rtol=1e-5)
    assert np.isnan(jnp.geomspace(-1.0, 3.0, 4)).any()


def test_diagonals_may_be_traced():
    x = np.ones((3, 5), np.float32)
    for name, args in (("eye", (3, 5)), ("tri", (3, 5)), ("tril", (x,)), ("triu", (x,))):
        function = jit(lambda k, name=name, args=args: getattr(jnp, name)(*args, k=k))
        for k in (-4, 0, 2):
            np.testing.assert_array_equal(function(k), getattr(np, name)(*args, k=k))


@pytest.mark.parametrize("directive", ["-1", "0,2", "0,2,0", "1,2,0", "0,4,-1", "0,4,-2", "r", "c"])
def test_arrays_joined_as_a_string_says(directive):
    for name in ("r_", "c_"):
        found = getattr(jnp, name)[directive, [1, 2, 3], np.array([4, 5, 6])]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            expected = getattr(np, name)[directive, [1, 2, 3], np.array([4, 5, 6])]
        np.testing.assert_array_equal(found, expected)


def test_grids_of_few_parts():
    x = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(jnp.c_[x[:1], 7, 8, x[1:]], np.c_[x[:1], 7, 8, x[1:]])
    np.testing.assert_array_equal(jnp.r_[0:3, 5, [1, 2]], np.r_[0:3, 5, [1, 2]])
    assert jnp.mgrid[()].shape == jnp.mgrid[:].shape == jnp.ogrid[:].shape == (0,)
    with pytest.raises(ArgumentError, match="has no end"):
        jnp.mgrid[2:]
    with pytest.raises(ArgumentError, match="'asdf'"):
        jnp.r_["asdf", x]


@pytest.mark.parametrize("mode, options", [
    ("reflect", {"reflect_type": "odd"}), ("symmetric", {"reflect_type": "odd"}), ("mean", {}),
    ("median", {}), ("mean", {"stat_length": 2}), ("linear_ramp", {"end_values": (4, -4)})])
@pytest.mark.parametrize("dtype", ["int32", "int8", "float32"])
def test_padding_of_integers_and_beyond_the_edge(mode, options, dtype):
    for x in (np.array([1, 2, 7]), np.array([[2, 5, 3, 9], [-4, 4, 0, 1]])):
        x = x.astype(dtype)
        found = jnp.pad(jnp.array(x), ((3, 5),) * x.ndim, mode, **options)
        expected = np.pad(x, ((3, 5),) * x.ndim, mode, **options)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_padding_by_a_function():
    def mark(vector, pair, axis, options):
        vector = vector.at[:pair[0]].set(options["mark"])
        return vector.at[vector.shape[0] - pair[1]:].set(axis)

    def mark_in_place(vector, pair, axis, options):
        vector[:pair[0]] = options["mark"]
        vector[len(vector) - pair[1]:] = axis

    x = np.arange(6).reshape(2, 3)
    expected = np.pad(x, ((1, 2), (0, 1)), mark_in_place, mark=9)
    np.testing.assert_array_equal(jnp.pad(x, ((1, 2), (0, 1)), mark, mark=9), expected)
    assert jnp.pad(x, 1, "empty").shape == (4, 5)
    assert jnp.pad(jnp.array(1.0)[None], 1).weak_type


@pytest.mark.parametrize("mode, option", [("edge", "constant_values"), ("constant", "end_values"),
                                          ("wrap", "reflect_type"), ("mean", "end_values")])
def test_padding_takes_no_option_of_another_mode(mode, option):
    with pytest.raises(ArgumentError, match=f"mode '{mode}' takes no {option}="):
        jnp.pad(jnp.ones(3), 1, mode, **{option: 1})


@pytest.mark.parametrize("mode", ["edge", "wrap", "reflect", "mean", "median", "linear_ramp"])
def test_padding_of_nothing_needs_a_constant(mode):
    with pytest.raises(ShapeError, match=f"axis 1 has no elements for mode '{mode}'"):
        jnp.pad(jnp.ones((2, 0)), ((0, 0), (1, 1)), mode)
    assert jnp.pad(jnp.ones((2, 0)), ((1, 0), (0, 0)), "edge").shape == (3, 0)


def test_shifts_and_axes_given_as_arrays():
    x = np.arange(12).reshape(3, 4)
    for shift, axis in ((np.array([1, 2]), (0, 1)), (np.array([3]), None), ((4, 2, 5), None),
                        (np.array([-2]), (0, 1))):
        expected = np.roll(x, shift, axis)
        np.testing.assert_array_equal(jnp.roll(x, shift, axis), expected)
        traced = jit(lambda x, s, axis=axis: jnp.roll(x, s, axis))
        np.testing.assert_array_equal(traced(x, np.asarray(shift)), expected)
    assert jnp.permute_dims(X, np.array([2, 0, 1])).shape == (4, 2, 3)
    assert jnp.transpose(X, jnp.array([2, 0, 1])).shape == (4, 2, 3)


def test_buffers_are_arrays():
    assert jnp.array(bytearray(b"\x2a\xf3"), ndmin=2).tolist() == [[42, 243]]
    assert jnp.asarray(memoryview(np.arange(3.0))).tolist() == [0, 1, 2]
    assert jnp.asarray(buffer.array("i", [1, 2]), copy=False).dtype == "int32"
    with pytest.raises(DtypeError, match="a bytes is neither"):
        jnp.array(b"ab")
    x = np.arange(6, dtype=np.int32).reshape(2, 3)
    assert jnp.array(x).tobytes("F") == x.tobytes("F") != jnp.array(x).tobytes()


def test_diagonals_far_outside_and_steps_of_nothing():
    for k in (-2**100, 2**100):
        assert not jnp.eye(2, k=k).any()
        assert jnp.tri(2, k=k).tolist() == np.tri(2, k=np.sign(k) * 5).tolist()
    for num, endpoint in ((0, True), (0, False), (1, True), (1, False), (2, True)):
        steps = [lib.linspace(np.zeros(2), np.ones(2), num, endpoint, True)[1] for lib in (jnp, np)]
        np.testing.assert_array_equal(*steps)


def test_traced_diagonals_of_any_width():
    tri = jit(lambda k: jnp.tri(3, k=k))
    for k, total in ((jnp.array(-2**33, "int64"), 0), (jnp.array(2**33, "int64"), 9),
                     (jnp.array(2**32 - 1, "uint32"), 9), (jnp.array(-1, "int8"), 3)):
        assert tri(k).sum() == total


@pytest.mark.parametrize("name", ["concatenate", "stack", "vstack", "column_stack"])
@pytest.mark.parametrize("make", [lambda x: (a for a in [x, x]), lambda x: iter([x, x]),
                                  lambda x: 5, lambda x: None, lambda x: {1, 2}])
def test_what_is_no_row_of_arrays(name, make):
    """NumPy's generators are an error as well; a set has no order."""
    join = getattr(jnp, name)
    for function in (join, arraylib.jit(lambda x: join(make(x)))):
        with pytest.raises(ArgumentError, match=f"{name}: arrays in a row are needed, not an? "):
            function(make(jnp.ones(2)) if function is join else jnp.ones(2))

"""lax agrees with JAX's lax, and refuses what it should."""

import jax
import jax.lax as theirs
import numpy as np
import pytest
from agreement import BFLOAT16, assert_same, numbers

import arraylib.numpy as jnp
from arraylib import grad, jit, lax, vmap
from arraylib.errors import ArgumentError, DtypeError, ShapeError

X, Y, M = numbers((3, 4)), numbers((3, 4), seed=1), numbers((2, 3, 4))
POSITIVE, UNIT = numbers((3, 4), low=0.5), numbers((3, 4), low=-0.9, high=0.9)
N = np.int32([[3, -1, 7], [0, 2, 5]])

UNARY = {
    "abs": X, "acos": UNIT, "acosh": POSITIVE + 1, "asin": UNIT, "asinh": X, "atan": X,
    "atanh": UNIT, "bitwise_not": N, "cbrt": X, "ceil": X, "clz": N, "cos": X, "cosh": X,
    "digamma": POSITIVE, "erf": X, "erf_inv": UNIT, "erfc": X, "exp": X, "exp2": X, "expm1": X,
    "floor": X, "is_finite": X, "lgamma": POSITIVE, "log": POSITIVE, "log1p": POSITIVE,
    "logistic": X, "neg": X, "population_count": N, "reciprocal": POSITIVE, "round": X * 2,
    "rsqrt": POSITIVE, "sign": X, "sin": X, "sinh": X, "sqrt": POSITIVE, "square": X, "tan": UNIT,
    "tanh": X}
BINARY = ["add", "sub", "mul", "div", "max", "min", "rem", "atan2", "nextafter", "eq", "ne", "lt",
          "le", "gt", "ge"]


def agree(name, *args, rtol=2e-5, **kwargs):
    assert_same(getattr(lax, name)(*args, **kwargs), getattr(theirs, name)(*args, **kwargs), rtol)


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    agree(name, UNARY[name])


@pytest.mark.parametrize("name", BINARY)
def test_binary(name):
    agree(name, X, Y)


@pytest.mark.parametrize("name", ["bitwise_and", "bitwise_or", "bitwise_xor", "shift_left",
                                  "shift_right_logical", "shift_right_arithmetic"])
def test_bits(name):
    agree(name, N, np.abs(N))


CASES = [
    ("pow", POSITIVE, Y), ("pow", X, np.int32(3) + np.zeros((3, 4), np.int32)),
    ("integer_pow", X, 3), ("add", X, 1.0), ("clamp", -1.0, X, 1.0), ("clamp", -1.0, X, Y + 4),
    ("select", X > 0, X, Y), ("select", np.True_, X, Y), ("select_n", X > 0, X, Y),
    ("select_n", np.int32([[0, 1], [2, 1]]), X[:2, :2], Y[:2, :2], X[1:, 2:]),
    ("convert_element_type", X, np.int32), ("bitcast_convert_type", X, np.int32),
    ("reduce_precision", X, 5, 7), ("full", (2, 3), 1.5), ("full_like", X, 2),
    ("iota", np.int32, 5),
    ("broadcasted_iota", np.float32, (2, 3), 1), ("broadcast", X, (2,)),
    ("broadcast_in_dim", X, (3, 5, 4), (0, 2)), ("reshape", X, (2, 6)),
    ("reshape", X, (12,), (1, 0)), ("transpose", M, (2, 0, 1)), ("expand_dims", X, (0, 2)),
    ("squeeze", X[:1], (0,)), ("collapse", M, 0, 2), ("rev", X, (0, 1)),
    ("concatenate", [X, Y], 1), ("pad", X, np.float32(9), [(1, 2, 0), (0, -1, 1)]),
    ("slice", X, (1, 0), (3, 4), (1, 2)), ("slice_in_dim", X, 1, -1, 1, 1),
    ("index_in_dim", X, -1, 1), ("index_in_dim", X, 1, 0, False), ("sort", X), ("sort", X, 0),
    ("sort_key_val", N, N * 2), ("top_k", X, 2), ("dot", X, Y.T.copy()), ("dot", X[0], Y[0]),
    ("dot_general", M, M, (((2,), (2,)), ((0,), (0,)))),
    ("dot_general", M, X, (((1, 2), (0, 1)), ((), ()))), ("batch_matmul", M, M.swapaxes(1, 2)),
    ("reduce_sum", M, (0, 2)), ("reduce_prod", M, (1,)), ("reduce_max", M, (0,)),
    ("reduce_min", M, (0, 1, 2)), ("reduce_and", X > 0, (0,)), ("reduce_or", X > 0, (1,)),
    ("argmax", X, 1, np.int32), ("argmin", X, 0, np.int32),
    ("cumsum", X, 1), ("cumprod", X), ("cummax", X, 1), ("cummin", N), ("cumlogsumexp", X, 1),
    ("cumsum", X, 1, True), ("cummax", X, 0, True),
    ("dynamic_slice", X, (1, 2), (2, 2)), ("dynamic_slice", X, (9, -1), (2, 2)),
    ("dynamic_slice", X, np.int32([0, 1]), (2, 2)), ("dynamic_slice_in_dim", X, 1, 2, 1),
    ("dynamic_index_in_dim", X, 2, 1), ("dynamic_index_in_dim", X, 2, 1, False),
    ("dynamic_update_slice", X, Y[:2, :2], (1, 9)), ("dynamic_update_slice_in_dim", X, Y[:1], 1, 0),
    ("dynamic_update_index_in_dim", X, Y[0], 1, 0), ("stop_gradient", X),
    ("broadcast_shapes", (2, 1), (3,)), ("complex", X, Y), ("real", X + 1j * Y), ("conj", X + 1j),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0])
def test_case(case):
    agree(*case)


def test_dtypes():
    x = X.astype(BFLOAT16)
    agree("dot_general", x, x, (((1,), (1,)), ((), ())), preferred_element_type=np.float32)
    assert_same(lax.add(x, 1), x + x.dtype.type(1))
    with pytest.raises(DtypeError, match="add: operands have different dtypes: float32, int32"):
        lax.add(X[:2, :3], N)
    with pytest.raises(ShapeError, match="add: axis a is 3 in operand 0"):
        lax.add(X, M[0, :2])


GATHERS = [
    (((1,), (0,), (0,)), np.int32([[2], [0], [9]]), (1, 4)),
    (((), (0, 1), (0, 1)), np.int32([[2, 1], [0, 3]]), (1, 1)),
    (((0, 1), (), (0, 1)), np.int32([1, 2]), (2, 2))]


@pytest.mark.parametrize("numbers, indices, sizes", GATHERS)
@pytest.mark.parametrize("mode", ["clip", "fill"])
def test_gather(numbers, indices, sizes, mode):
    found = lax.gather(X, indices, lax.GatherDimensionNumbers(*numbers), sizes, mode=mode)
    assert_same(found, theirs.gather(X, indices, theirs.GatherDimensionNumbers(*numbers), sizes,
                                     mode=mode))


@pytest.mark.parametrize("name", ["scatter", "scatter_add", "scatter_mul", "scatter_min",
                                  "scatter_max"])
@pytest.mark.parametrize("mode", ["clip", "drop"])
def test_scatter(name, mode):
    dims, indices, updates = ((1,), (0,), (0,)), np.int32([[2], [0], [9]]), Y
    mine = getattr(lax, name)(X, indices, updates, lax.ScatterDimensionNumbers(*dims), mode=mode)
    expected = getattr(theirs, name)(X, indices, updates, theirs.ScatterDimensionNumbers(*dims),
                                     mode=mode)
    assert_same(mine, expected)


def test_control_flow_is_here():
    total, rows = lax.scan(lambda c, x: (c + x, c * x), jnp.float32(0), jnp.asarray(X[0]))
    expected = theirs.scan(lambda c, x: (c + x, c * x), np.float32(0), X[0])
    assert_same((total, rows), expected, 1e-5)
    assert_same(lax.cond(True, lambda x: x + 1, lambda x: x, jnp.asarray(X)), X + 1)
    assert_same(lax.fori_loop(0, 4, lambda i, x: x + i, jnp.int32(0)), np.int32(6))


def test_stop_gradient():
    assert float(grad(lambda x: lax.stop_gradient(x) * x)(3.0)) == 3.0
    tree = lax.stop_gradient({"a": jnp.ones(2), "b": 3, "c": "text"})
    assert tree["c"] == "text" and tree["b"] == 3


def test_transforms():
    starts = np.int32([0, 1, 2])
    rows = jit(vmap(lambda i: lax.dynamic_index_in_dim(X, i, 0, False)))(starts)
    assert_same(rows, X)
    found = grad(lambda x: lax.cumsum(x).sum())(jnp.asarray(X[0]))
    assert_same(found, jax.grad(lambda x: theirs.cumsum(x).sum())(X[0]))


def test_mistakes():
    with pytest.raises(ArgumentError, match="concatenate: no arrays are given"):
        lax.concatenate([], 0)
    with pytest.raises(ShapeError, match="dynamic_slice: 1 starts for 2 axes"):
        lax.dynamic_slice(X, (0,), (1, 1))
    with pytest.raises(ShapeError, match="top_k: k = 5 of axis 1 of size 4"):
        lax.top_k(X, 5)
    with pytest.raises(ArgumentError, match="gather: mode = 'far'"):
        lax.gather(X, N, lax.GatherDimensionNumbers((), (0, 1), (0, 1)), (1, 1), mode="far")


@pytest.mark.parametrize("call", [
    lambda lax, n: lax.add(n, 2.5), lambda lax, n: lax.max(2.5, n), lambda lax, n: lax.eq(n, 0.5),
    lambda lax, n: lax.select(n > 0, n, 2.5), lambda lax, n: lax.clamp(0.5, n, 2),
    lambda lax, n: lax.pad(n, 0.5, [(1, 0, 0), (0, 0, 0)]),
    lambda lax, n: lax.mul(n.astype("float32"), 1j), lambda lax, n: lax.bitwise_and(n > 0, 3)])
def test_numbers_are_not_cut_to_the_dtype_of_the_array_beside_them(call):
    with pytest.raises(DtypeError, match="array beside it is"):
        call(lax, jnp.asarray(N))
    with pytest.raises(TypeError):
        call(theirs, jax.numpy.asarray(N))


def test_numbers_of_a_narrower_kind_take_the_dtype_of_the_array():
    for number in (True, 2):
        assert_same(lax.add(jnp.asarray(N), number), N + np.int32(number))
        assert_same(lax.add(jnp.asarray(X), number), X + np.float32(number))

"""Operators and methods of arrays and traced values are the functions of arraylib.numpy."""

import operator
from typing import NamedTuple

import numpy as np
import pytest
from agreement import assert_same, numbers

import arraylib.numpy as jnp
from arraylib import jit
from arraylib.errors import ArgumentError

X, Y = numbers((3, 4), low=0.5), numbers((3, 4), seed=1, low=0.5)
I, J = numbers((3, 4), np.int32, 2, 1, 9), numbers((3, 4), np.int32, 3, 1, 4)  # noqa: E741

ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv,
              operator.mod, operator.pow, operator.lt, operator.le, operator.gt, operator.ge,
              operator.eq, operator.ne]
BITS = [operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift]


def both(function, *arrays):
    """The result at once, after checking that a trace gives the same."""
    result = function(*arrays)
    assert_same(jit(function)(*arrays), result, 1e-5)
    return result


@pytest.mark.parametrize("op", ARITHMETIC, ids=lambda op: op.__name__)
def test_arithmetic(op):
    x = jnp.asarray(X)
    assert_same(both(op, x, jnp.asarray(Y)), op(X, Y), 1e-5)
    assert_same(both(lambda x: op(x, 2), x), op(X, np.float32(2)), 1e-5)
    assert_same(both(lambda x: op(2.5, x), x), op(np.float32(2.5), X), 1e-5)
    assert_same(both(lambda x: op(Y, x), x), op(Y, X), 1e-5)


@pytest.mark.parametrize("op", BITS, ids=lambda op: op.__name__)
def test_bits(op):
    x = jnp.asarray(I)
    assert_same(both(op, x, jnp.asarray(J)), op(I, J))
    assert_same(both(lambda x: op(x, 3), x), op(I, np.int32(3)))
    assert_same(both(lambda x: op(3, x), x), op(np.int32(3), I))


def test_unary_and_matmul():
    x = jnp.asarray(X)
    for op in (operator.neg, operator.pos, operator.abs):
        assert_same(both(op, x), op(X))
    assert_same(both(operator.invert, jnp.asarray(I)), ~I)
    assert_same(both(lambda x: x @ x.T, x), X @ X.T, 1e-5)
    assert_same(both(lambda x: Y.T @ x, x), Y.T @ X, 1e-5)
    assert_same(both(round, x), np.round(X).astype(np.int32))  # as of Python's numbers
    assert_same(both(lambda x: round(x, 1), x), np.round(X, 1))
    assert_same(both(lambda x: divmod(x, 2), x)[0], X // 2)


METHODS = [
    ("sum",), ("sum", 0), ("mean", 1), ("std",), ("var", 0), ("max", 1), ("min",), ("prod", 0),
    ("any",), ("all", 1), ("argmax", 1), ("argmin",), ("ptp", 0), ("cumsum", 1), ("cumprod", 0),
    ("argsort", 1), ("reshape", 4, 3), ("reshape", (2, -1)), ("ravel",), ("flatten",),
    ("transpose",), ("transpose", 1, 0), ("transpose", (1, 0)), ("swapaxes", 0, 1), ("clip", 1, 2),
    ("round", 1), ("take", np.array([0, 2]), 0), ("repeat", 2, 1), ("diagonal",), ("trace",),
    ("dot", Y.T.copy()), ("astype", np.int32), ("conj",), ("copy",), ("squeeze",)]


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m[0])
def test_method(method):
    name, *args = method
    if name == "ptp":
        expected = np.ptp(X, *args)
    else:
        expected = getattr(X, name)(*args)
    found = both(lambda x: getattr(x, name)(*args), jnp.asarray(X))
    assert_same(found, expected, 1e-5, dtype=False)


def test_properties():
    x = jnp.asarray(X)
    assert_same(x.T, X.T)
    assert_same(jnp.ones((2, 3, 4)).mT.shape, (2, 4, 3))
    assert_same(x.real, X)
    assert_same(x.imag, np.zeros_like(X))
    assert_same(x.sort(), np.sort(X))
    assert_same(x.view(np.int32), X.view(np.int32))
    assert_same(x.nonzero()[0], np.nonzero(X)[0].astype(np.int32))
    assert_same(jnp.sort(x[0]).searchsorted(1.0), np.int32(np.searchsorted(np.sort(X[0]), 1.0)))
    assert (x.shape, x.ndim, x.size, x.dtype) == ((3, 4), 2, 12, np.float32)


def test_at_and_index():
    x = jnp.asarray(X)
    assert_same(both(lambda x: x.at[1].set(0), x)[1], np.zeros(4, np.float32))
    assert_same(both(lambda x: x[1:, None, ::2], x), X[1:, None, ::2])
    assert_same([row for row in x][2], X[2])


def test_other_classes_have_their_say():
    class Other:
        def __radd__(self, left):
            return "radd"

        def __eq__(self, right):
            return "eq"

    x = jnp.asarray(X)
    assert x + Other() == "radd"
    assert (x == Other()) == "eq"
    with pytest.raises(TypeError, match="add: a str is neither an array nor a number"):
        x + "text"
    with pytest.raises(TypeError):
        x * [1, 2, 3, 4]
    assert (x == "text") is False


def test_numpy_leaves_operators_to_us():
    assert type(Y + jnp.asarray(X)) is type(jnp.asarray(X))
    assert type(np.float32(2) * jnp.asarray(X)) is type(jnp.asarray(X))


def test_assignment_is_refused():
    with pytest.raises(ArgumentError, match=r"index: arrays cannot be changed\n.*\n.*f32\[3,4\]\n"
                                            r"  try: x = x.at\[index\].set"):
        jnp.asarray(X)[0] = 1


def test_containers_with_operators_of_their_own_are_asked():
    class Scaled(NamedTuple):
        values: object

        def __rmul__(self, other):
            return Scaled(self.values * other)

    class Plain(NamedTuple):
        values: object

    x = jnp.arange(3)
    assert isinstance(x * Scaled(x), Scaled) and (x * Scaled(x)).values.tolist() == [0, 1, 4]
    with pytest.raises(TypeError, match="a Plain is neither an array nor a number"):
        x * Plain(x)

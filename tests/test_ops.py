"""Segment sums and their kin, against loops; containers as vectors."""

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import ops
from arraylib.errors import ShapeError, TraceError
from arraylib.flatten_util import ravel_pytree

DATA = np.array([[1, 5], [2, -3], [4, 2], [7, 1], [3, 3]])
IDS = np.array([2, 0, 2, -1, 9])  # -1 and 9 belong to no segment of the first four
CASES = [("segment_sum", np.sum, 0), ("segment_prod", np.prod, 1),
         ("segment_max", np.max, None), ("segment_min", np.min, None)]


@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("name, reduce, empty", CASES, ids=[case[0] for case in CASES])
def test_segments(name, reduce, empty, dtype):
    if empty is None:
        limits = (-np.inf, np.inf) if dtype == "float32" else (-2 ** 31, 2 ** 31 - 1)
        empty = limits[name == "segment_min"]
    rows = [DATA[IDS == i] for i in range(4)]
    wanted = [reduce(r, axis=0) if len(r) else np.full(2, empty) for r in rows]
    function = getattr(ops, name)
    for f in (function, arraylib.jit(function, static_argnums=2)):
        found = f(jnp.array(DATA, dtype), jnp.array(IDS), 4)
        assert found.dtype == dtype
        np.testing.assert_array_equal(np.asarray(found), np.array(wanted, dtype))


def test_the_largest_id_decides():
    assert ops.segment_sum(jnp.array([5, 1, 7]), jnp.array([0, 0, 2])).tolist() == [6, 0, 7]
    assert ops.segment_sum(jnp.zeros((0, 3)), jnp.zeros(0, int)).shape == (0, 3)
    with pytest.raises(TraceError, match="how many segments"):
        arraylib.jit(ops.segment_sum)(jnp.ones(3), jnp.arange(3))


def test_derivative_of_segment_sum():
    found = arraylib.grad(lambda x: (ops.segment_sum(x, jnp.array([0, 1, 0]), 2) ** 2).sum())(
        jnp.array([1.0, 2.0, 3.0]))
    assert found.tolist() == [8, 4, 8]


def test_containers_as_vectors():
    params = {"w": jnp.arange(6.0).reshape(2, 3), "n": jnp.array([7, 8]), "s": (1.0, None)}
    flat, unravel = ravel_pytree(params)
    assert flat.tolist() == [7, 8, 1, 0, 1, 2, 3, 4, 5] and flat.dtype == "float32"
    again = unravel(2 * flat)
    assert again["w"].tolist() == [[0, 2, 4], [6, 8, 10]] and again["s"][1] is None
    assert again["n"].dtype == "int32" and again["n"].tolist() == [14, 16]
    assert arraylib.jit(lambda p: ravel_pytree(p)[1](ravel_pytree(p)[0]))(params)["n"].shape == (2,)
    assert ravel_pytree({})[0].shape == (0,) and ravel_pytree({})[1](jnp.zeros(0)) == {}
    with pytest.raises(ShapeError, match=r"unravel: shape \(3,\) for a container of 9 elements"):
        unravel(jnp.ones(3))

"""index_mode="raise": indices known at run time only, out of bounds, are errors that say where."""

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import grad, jit, lax, vmap
from arraylib.config import config
from arraylib.errors import IndexCheckError

x = jnp.arange(6.0).reshape(2, 3)


@pytest.fixture(autouse=True)
def checked():
    with config.using(index_mode="raise"):
        yield


def first_line(function, *args):
    with pytest.raises(IndexError) as caught:
        function(*args)
    assert isinstance(caught.value, IndexCheckError)
    return str(caught.value).split("\n")[0]


def test_the_index_and_its_axis():
    get = jit(lambda x, i: x[0, i])
    assert get(x, 2) == get(x, -1) == 2 and get(x, np.uint8(1)) == 1
    assert first_line(get, x, 3) == "index: index 3 is out of bounds for axis 1 of size 3"
    assert first_line(get, x, -4) == "index: index -4 is out of bounds for axis 1 of size 3"
    assert first_line(get, x, np.uint32(2 ** 32 - 1)).startswith("index: index 4294967295 is out")
    rows = jit(lambda x, i: x[:, i])
    assert rows(x, np.array([[0, 2]])).shape == (2, 1, 2)
    assert rows(x, np.zeros(0, int)).shape == (2, 0)
    assert first_line(rows, x, np.array([[0, 2], [5, -1]])) == (
        "index: index 5 at [1, 0] of i32[2,2] is out of bounds for axis 1 of size 3")


def test_where_it_is():
    rows = jit(vmap(lambda x, i: x[i]))
    assert rows(x, np.array([0, 1])).tolist() == [0, 4]
    assert first_line(rows, x, np.array([0, 3])).endswith("of size 3, for example 1 of vmap")
    walk = jit(lambda x: lax.fori_loop(0, 4, lambda i, total: total + x[0, i], 0.0))
    assert first_line(walk, x).startswith("index: index 3 is out of bounds for axis 1 of size 3, in"
                                          " step 3 of ")
    slope = jit(grad(lambda x, i: x[1, i] ** 2))
    assert slope(x, 1).tolist() == [[0, 0, 0], [0, 8, 0]]
    assert first_line(slope, x, 7).startswith("index: index 7 is out of bounds")


def test_updates():
    put = jit(lambda x, i: x.at[i, 0].add(1.0))
    assert put(x, 1)[1, 0] == 4
    assert first_line(put, x, 2) == "at.add: index 2 is out of bounds for axis 0 of size 2"


@pytest.mark.parametrize("mode", ["clip", "drop", "fill", "wrap"])
def test_a_mode_says_what_is_meant(mode):
    assert jit(lambda x, i: x.at[i].get(mode=mode))(x, 9).shape == (3,)
    assert jit(lambda x, i: x.at[i].set(0.0, mode=mode))(x, 9).shape == x.shape


def test_otherwise_nothing_is_checked():
    with config.using(index_mode="clip"):
        assert jit(lambda x, i: x[0, i])(x, 9) == 2


def test_every_function_that_takes_indices():
    i = np.array([[9, 0], [0, 1]])
    for f in (lambda x, i: jnp.take(x, i), lambda x, i: jnp.take_along_axis(x, i, 1),
              lambda x, i: lax.dynamic_index_in_dim(x, i[0, 0])):
        assert "index 9" in first_line(jit(f), x, i)
        jit(f)(x, i // 9)

"""Images in other sizes are those of JAX."""

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import image, lax
from arraylib.errors import ArgumentError, ShapeError

jax = pytest.importorskip("jax")

PICTURE = np.random.default_rng(6).normal(size=(5, 8, 3)).astype(np.float32)


@pytest.mark.parametrize("method", ["nearest", "linear", "cubic", "lanczos3", "lanczos5"])
def test_sizes(method):
    for shape, antialias in (((7, 3, 3), True), ((7, 3, 3), False), ((5, 16, 3), True)):
        found = image.resize(jnp.array(PICTURE), shape, method, antialias)
        wanted = jax.image.resize(PICTURE, shape, method, antialias)
        np.testing.assert_allclose(found, wanted, 1e-4, 1e-5)
    whole = image.resize(jnp.arange(6), (3,), image.ResizeMethod.NEAREST)
    assert whole.tolist() == [1, 3, 5] and whole.dtype == "int32"


def test_scales_and_translations():
    scale, move = np.array([1.5, 0.7], np.float32), np.array([-1.0, 0.4], np.float32)
    found = image.scale_and_translate(jnp.array(PICTURE), (6, 7, 3), (0, 1), jnp.array(scale),
                                      jnp.array(move), "cubic")
    wanted = jax.image.scale_and_translate(PICTURE, (6, 7, 3), (0, 1), scale, move, "cubic")
    np.testing.assert_allclose(found, wanted, 1e-4, 1e-5)
    moved = lambda t: image.scale_and_translate(jnp.arange(4.0) ** 2, (4,), (0,), jnp.ones(1), t,
                                                "linear")[2]
    assert arraylib.grad(moved)(jnp.array([0.5])).tolist() == [-3]


def test_mistakes():
    one = jnp.ones((2, 2))
    for call in (lambda: image.resize(one, (3, 3), "area51"),
                 lambda: image.scale_and_translate(one, (2, 2), (0,), jnp.ones(1), jnp.ones(1),
                                                   "nearest")):
        with pytest.raises(ArgumentError):
            call()
    for call in (lambda: image.resize(one, (3,), "linear"),
                 lambda: image.scale_and_translate(one, (2, 3), (0,), jnp.ones(1), jnp.ones(1),
                                                   "linear")):
        with pytest.raises(ShapeError):
            call()


def test_largest_and_smallest():
    x = jnp.array([[1.0, 3.0, 2.0], [5.0, 4.0, 6.0]])
    assert [v.tolist() for v in lax.approx_max_k(x, 2)] == [[[3, 2], [6, 5]], [[1, 2], [2, 0]]]
    assert [v.tolist() for v in lax.approx_min_k(x, 1, 0)] == [[[1, 3, 2]], [[0, 0, 0]]]
    for row in ([3, 0, 255], [-128, 127, 0]):
        values, places = lax.approx_min_k(jnp.array(row, "uint8" if row[0] > 0 else "int8"), 3)
        assert values.tolist() == sorted(row) and [row[i] for i in places.tolist()] == sorted(row)

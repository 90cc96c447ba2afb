"""lax.map, one slice after the other and by batches."""

import numpy as np
from hypothesis import given, settings, strategies as st

import arraylib.numpy as jnp
from arraylib import grad, lax


@settings(max_examples=12, deadline=None)
@given(n=st.integers(0, 9), batch_size=st.integers(1, 6))
def test_map_by_batches_is_map(n, batch_size):
    xs = {"a": jnp.arange(n * 2.0).reshape(n, 2), "b": jnp.arange(n)}
    f = lambda x: (x["a"] * x["b"], x["b"] + 1)
    for plain, batched in zip(lax.map(f, xs), lax.map(f, xs, batch_size=batch_size), strict=True):
        np.testing.assert_array_equal(plain, batched)
        assert plain.dtype == batched.dtype


def test_map_by_batches_is_differentiable():
    x = jnp.arange(5.0)
    loss = lambda x: lax.map(jnp.sin, x, batch_size=2).sum()
    np.testing.assert_allclose(grad(loss)(x), np.cos(np.arange(5.0)), rtol=1e-6)

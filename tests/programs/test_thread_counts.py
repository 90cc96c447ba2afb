"""How many threads compute: `arraylib.threads`, the setting; results that do not depend on it."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import arraylib
import arraylib.numpy as jnp
from arraylib.backends.cpu import pool
from arraylib.config import config

COUNTS = (1, 2, 3, 5)


def test_the_pool_follows_the_setting():
    before = pool.threads()
    with arraylib.threads(3):
        assert pool.threads() == 3
        with arraylib.threads(1):
            assert pool.threads() == 1
            x = jnp.arange(300000.0).reshape(300, 1000)
            assert float(arraylib.jit(jnp.sum)(x * 0 + 1)) == 300000
        assert pool.threads() == 3 and config.cpu_threads == 3
    assert pool.threads() == before
    with pytest.raises(ValueError, match="cpu_threads is a number from 0 on, not -1"):
        arraylib.threads(-1).__enter__()
    config.cpu_threads = 2
    try:
        assert pool.threads() == 2
    finally:
        config.cpu_threads = 0
    assert pool.threads() == pool.available_cpus()


def test_it_holds_for_the_whole_process():
    seen = []
    with arraylib.threads(4):
        other = threading.Thread(target=lambda: seen.append(pool.threads()))
        other.start()
        other.join()
    assert seen == [4]


FUNCTIONS = {
    "sum": lambda x: jnp.sum(x),
    "sum of rows": lambda x: jnp.sum(x, 1),
    "mean of columns": lambda x: jnp.mean(x * 1.1, 0),
    "norm": lambda x: jnp.sqrt(jnp.sum(x * x)),
    "softmax": lambda x: arraylib.nn.softmax(x, 1),
    "softmax over columns": lambda x: arraylib.nn.softmax(x, 0),
    "variance": lambda x: jnp.var(x, 1),
    "product": lambda x: x @ x.T,
    "tall product": lambda x: x.T @ x,
    "vector": lambda x: x @ x[0],
    "gradient": arraylib.grad(lambda x: jnp.sum(jnp.tanh(x @ x.T))),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@settings(max_examples=4, deadline=None)
@given(rows=st.integers(1, 700), columns=st.integers(1, 900), seed=st.integers(0, 9))
def test_results_are_the_same_for_any_number_of_threads(name, rows, columns, seed):
    """Bit for bit: sums are cut into parts by their shape alone."""
    x = np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)
    found = []
    for count in COUNTS:
        with arraylib.threads(count):
            found.append(np.asarray(arraylib.jit(FUNCTIONS[name])(x)))
    for other in found[1:]:
        assert other.tobytes() == found[0].tobytes(), name

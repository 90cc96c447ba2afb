"""Several Python threads at once, and processes forked after use."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import lax

ROUNDS = 30
THREADS = 6


def together(function):
    """Run function(number) in several threads that start at once; their results, or the error."""
    gate, found, errors = threading.Barrier(THREADS), [None] * THREADS, []

    def run(number):
        gate.wait()
        try:
            found[number] = function(number)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return found


def _data(number, size=300):
    return np.random.default_rng(number).standard_normal((size, size)).astype(np.float32)


def _step(x):
    """Kernels in parallel, a product, a sort on the host and a loop."""
    y = jnp.tanh(x @ x / 50) + x
    total, _ = lax.scan(lambda c, row: (c * 0.5 + row, None), y[0], y)
    return jnp.sum(y, 0) + total, jnp.sort(y, 1)[:, ::7]


def test_one_function_in_many_threads():
    """The first call compiles in all threads at once; results are those of one thread."""
    jitted = arraylib.jit(_step)
    wanted = [[np.asarray(a) for a in arraylib.jit(_step)(_data(i))] for i in range(THREADS)]

    def work(number):
        for _ in range(ROUNDS):
            for a, b in zip(jitted(_data(number)), wanted[number]):
                np.testing.assert_array_equal(a, b)

    together(work)


def test_new_shapes_in_many_threads():
    jitted = arraylib.jit(lambda x: (jnp.sum(x * x), x[::-1]))

    def work(number):
        for size in range(1, 12):
            x = np.full((size, number % 2 + 1), number, np.float32)
            total, turned = jitted(x)
            assert float(total) == x.size * number**2
            np.testing.assert_array_equal(turned, x)

    together(work)


def test_tracing_in_many_threads():
    """Traces of one thread do not see those of another."""
    def work(number):
        found = []
        for i in range(10):
            def loss(x, n=number, i=i):
                return jnp.sum(x ** 2) * (n + i)
            found.append(arraylib.jit(arraylib.grad(loss))(jnp.ones(3)).tolist())
        return found

    for number, found in enumerate(together(work)):
        assert found == [[2.0 * (number + i)] * 3 for i in range(10)]


def test_operations_one_by_one_in_many_threads():
    def work(number):
        x = jnp.full((20, 30), float(number))
        for _ in range(ROUNDS):
            y = (x + 1) * 2 - x
            assert float(jnp.sum(y)) == 600 * (number + 2)
            z = lax.fori_loop(0, 3, lambda i, c: c + x, x)
            assert float(z[0, 0]) == 4 * number

    together(work)


def test_donation_in_many_threads():
    step = arraylib.jit(lambda x, y: (y, x + 1), donate_argnums=(0, 1))

    def work(number):
        x, y = jnp.zeros((50, number + 1)), jnp.zeros((50, number + 1))
        for _ in range(ROUNDS):
            x, y = step(x, y)
        assert float(x.sum()) == float(y.sum()) == 50 * (number + 1) * ROUNDS / 2

    together(work)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_after_use():
    """The child computes with what was compiled before, and compiles anew; so does the parent."""
    jitted, x = arraylib.jit(_step), _data(0)
    wanted = [np.asarray(a) for a in jitted(x)]
    child = os.fork()
    if not child:
        same = all(np.array_equal(a, b) for a, b in zip(jitted(x), wanted))
        doubled = arraylib.jit(lambda x: jnp.sum(x * 2, 1))(x)
        os._exit(0 if same and np.allclose(doubled, 2 * x.sum(1), atol=1e-3) else 1)
    for a, b in zip(jitted(x), wanted):
        np.testing.assert_array_equal(a, b)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


IN_A_POOL = """
import multiprocessing
import numpy as np
import arraylib, arraylib.numpy as jnp
step = arraylib.jit(lambda x: jnp.tanh(x @ x).sum())
def work(seed):
    return float(step(np.full((256, 256), seed / 1000, np.float32)))
if __name__ == "__main__":
    first = work(1)
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(work, [1, 2, 1, 2])[::2] == [first] * 2, method
    print("same")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_multiprocessing(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(IN_A_POOL)
    root = os.path.dirname(os.path.dirname(arraylib.__file__))
    done = subprocess.run([sys.executable, "-W", "ignore", script], capture_output=True, text=True,
                          timeout=120, env={**os.environ, "PYTHONPATH": root})
    assert done.stdout == "same\n", done.stderr

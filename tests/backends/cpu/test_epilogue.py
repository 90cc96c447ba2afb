"""Kernels that run in between the blocks of a matrix product: the same bits as after it."""

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import lax, nn
from arraylib.backends.cpu import backend, pool, program
from arraylib.backends.cpu.gemm import Word
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.passes.pipeline import optimize

F32 = np.float32


def normal(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(F32)


X, W, B, R = normal(601, 70), normal(70, 130), normal(130), normal(601, 130)
MANY = normal(3, 301, 40), normal(3, 40, 90)
COMPLEX = normal(601, 70) + 1j * normal(601, 70), (normal(70, 130) - 1j * W).astype(np.complex64)


def over_and_over(h, w):
    """A loop whose state may be written where it was read."""
    return lax.fori_loop(0, 3, lambda i, x: jnp.tanh(jnp.matmul(x, w)), h)


PROGRAMS = {
    "bias and relu": (lambda x, w, b: nn.relu(jnp.add(jnp.matmul(x, w), b)), [X, W, B]),
    "gelu": (lambda x, w: nn.gelu(jnp.matmul(x, w)), [X, W]),
    "blocks of k": (lambda x, w: nn.relu(jnp.matmul(x, w)), [normal(601, 1100), normal(1100, 130)]),
    "residual": (lambda x, w, r: jnp.add(r, jnp.matmul(x, w)), [X, W, R]),
    "product kept": (lambda x, w: [p := jnp.matmul(x, w), nn.relu(p)], [X, W]),
    "halves": (lambda x, w: lax.convert_element_type(
        jnp.multiply(jnp.matmul(x, w), 2), np.float16), [X, W]),
    "softmax of rows": (lambda x, w: nn.softmax(jnp.matmul(x, w)), [X, W]),
    "complex numbers": (lambda x, w: jnp.add(jnp.matmul(x, w), 2j), list(COMPLEX)),
    "batch": (lambda x, w: jnp.sin(jnp.matmul(x, w)), list(MANY)),
}


def graph_of(function, arrays):
    def outputs(*xs):
        found = function(*xs)
        return found if isinstance(found, list) else [found]
    types = [Type(x.dtype, x.shape) for x in arrays]
    return optimize(trace_graph(types, outputs), backend.native)


def is_joined(graph):
    """Whether the program gives a product a function to call."""
    text = program.write_program(backend.lowered(graph)).text
    return f"_{int(Word.EPILOGUE)}_{int(Word.EPILOGUE_ARGUMENTS)}(" in text


def run(graph, arrays, donated=frozenset()):
    return backend.compile(graph, donated, None).run([x.copy() for x in arrays])


@pytest.fixture
def restored_threads():
    before = pool.threads()
    yield
    pool.set_threads(before)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_bits(name, monkeypatch, restored_threads):
    function, arrays = PROGRAMS[name]
    graph, found = graph_of(function, arrays), []
    assert is_joined(graph)
    for threads in (1, 2, 5):
        pool.set_threads(threads)
        found.append([x.tobytes() for x in run(graph, arrays)])
    monkeypatch.setattr(program, "_emit_joined", lambda scope, step, after: False)
    assert not is_joined(graph)
    found.append([x.tobytes() for x in run(graph, arrays)])
    assert all(each == found[0] for each in found)


def test_a_result_over_an_operand_of_the_product():
    x, w = normal(600, 120), normal(120, 120)
    graph = graph_of(lambda x, w: jnp.add(x, jnp.matmul(x, w)), [x, w])
    (out,) = run(graph, [x, w], frozenset([0]))
    np.testing.assert_allclose(out, x + x.astype(np.float64) @ w, rtol=1e-4, atol=1e-4)


def test_a_loop_that_carries_the_operand():
    x, w = normal(600, 120), normal(120, 120) / 5
    expected = x.astype(np.float64)
    for _ in range(3):
        expected = np.tanh(expected @ w)
    for donated in (frozenset(), frozenset([0])):
        (out,) = run(graph_of(over_and_over, [x, w]), [x, w], donated)
        np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)


def test_what_reads_other_places_waits():
    reverse = graph_of(lambda x, w: jnp.add(jnp.flip(p := jnp.matmul(x, w), 0), p), [X, W])
    assert not is_joined(reverse)
    (out,) = run(reverse, [X, W])
    product = X.astype(np.float64) @ W
    np.testing.assert_allclose(out, product[::-1] + product, rtol=1e-4, atol=1e-4)
    small = graph_of(lambda x, w: nn.relu(jnp.matmul(x, w)), [X[:100], W])
    assert not is_joined(small)

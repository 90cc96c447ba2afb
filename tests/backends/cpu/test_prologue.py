"""Operands that products compute while they pack them: what they are, bits, threads, memory."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from run_plan import run_plan

import arraylib
import arraylib.numpy as jnp
from arraylib import lax, nn
from arraylib.backends.cpu import backend, pool
from arraylib.backends.lower import prologue
from arraylib.backends.lower.groups import inner_plans
from arraylib.backends.lower.order import prologues
from arraylib.backends.lower.plan import GemmStep
from arraylib.config import config
from arraylib.hlo.interpret import interpret
from arraylib.hlo.passes.pipeline import optimize

F32 = np.float32


def normal(*shape, dtype=F32):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


X, W, S, B = normal(601, 270), normal(270, 330), normal(270), normal(330)
Y, MASK = normal(601, 330), normal(601, 270) > 0
MANY, MATRICES = normal(3, 301, 120), normal(3, 120, 140)
HALF = normal(601, 270, dtype=ml_dtypes.bfloat16)
TURNED = normal(270, 601)


def normalized(x):
    mean = x.mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-5)


# Programs, their arguments, and how many operands are computed in products.
PROGRAMS = {
    "gelu": (lambda x, w: nn.gelu(x) @ w, [X, W], 1),
    "layer norm": (lambda x, s, w: (normalized(x) * s) @ w, [X, S, W], 1),
    "mask, first turned": (lambda x, m, y: jnp.where(m, x, 0).T @ y, [X, MASK, Y], 1),
    "second": (lambda x, w: x @ (w * 2 + 1), [X, W], 1),
    "second turned": (lambda y, w: y @ (w * 2 + 1).T, [Y, W], 1),
    "both": (lambda x, w, s: (x * s) @ jnp.abs(w), [X, W, S], 2),
    "by columns": (lambda x, w, b: x @ (w * b), [X, W, B], 1),
    "a slice": (lambda x, w: (x + 1)[40:, 20:190] @ w[100:], [X, W], 1),
    "every other row": (lambda x, w: x @ (w * 2)[::2], [normal(64, 350), normal(700, 600)], 1),
    "every other column": (lambda x, w: (x[:, ::2] + 1) @ w[:135], [X, W], 0),
    "other order": (lambda x, t, w: (x + t.T) @ w, [X, TURNED, W], 0),
    "batch": (lambda x, w: jnp.abs(x) @ w, [MANY, MATRICES], 1),
    "batch, one matrix": (lambda x, w: (x * 3) @ w, [MANY, MATRICES[0]], 1),
    "rows of a batch": (lambda x, s, w: jnp.tensordot(x * s[:, None], w, 1),
                        [MANY, normal(3, 120), MATRICES[0]], 1),
    "from bfloat16": (lambda x, w: x.astype("float32") @ w, [HALF, W], 1),
    "in bfloat16": (lambda x, w: (x * 2) @ w, [HALF, W.astype(HALF.dtype)], 1),
    "float64": (lambda x, w: jnp.tanh(x) @ w, [X.astype("f8"), W.astype("f8")], 1),
    "integers": (lambda x, w: (x + 1) @ w, [(9 * X).astype("i4"), (9 * W).astype("i4")], 1),
    "what follows": (lambda x, w, b: nn.relu((x * 2) @ w + b), [X, W, B], 1),
    "counted": (lambda x, w: (x + lax.iota("float32", x.shape[1])) @ w, [X, W], 1),
    "both gradients": (lambda x, m, y, w: ((x * m).T @ y, (x * m) @ w), [X, MASK, Y, W], 2),
    "joined": (lambda x, w: jnp.concatenate([x[:300] * 2, x[300:] + 1]) @ w, [X, W], 0),
    "joined, a part": (lambda x, w: jnp.concatenate([x * 2, x + 1])[601:] @ w, [X, W], 0),
    "padded": (lambda x, w: jnp.pad(x * 2, ((0, 0), (0, 330 - 270))) @ w.T, [X, W], 0),
    "updated": (lambda x, w: (x * 2).at[5:9].add(x[5:9]) @ w, [X, W], 0),
    "parts of numbers": (lambda x, w: lax.complex(x, x * 2).imag @ w, [X, W], 1),
    "narrow": (lambda x, w: (x * 2) @ w[:, :40], [normal(2000, 270), W], 1),
}


def graph_of(function, arrays):
    operands = [jnp.asarray(x, dtype=x.dtype) for x in arrays]
    return optimize(arraylib.make_graph(function)(*operands).graph, backend.native)


def made(graph):
    return sum(len(prologues(step)) for step in backend.lowered(graph).steps)


def run(graph, arrays):
    return backend.compile(graph, frozenset(), None).run([x.copy() for x in arrays])


def without(monkeypatch):
    monkeypatch.setattr(prologue, "LEAST_BYTES", 1 << 62)


@pytest.fixture
def restored_threads():
    before = pool.threads()
    yield
    pool.set_threads(before)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_bits(name, monkeypatch, restored_threads):
    function, arrays, count = PROGRAMS[name]
    graph, found = graph_of(function, arrays), []
    assert made(graph) == count
    for threads in (1, 2, 5):
        pool.set_threads(threads)
        found.append([x.tobytes() for x in run(graph, arrays)])
    without(monkeypatch)
    assert made(graph) == 0
    found.append([x.tobytes() for x in run(graph, arrays)])
    assert all(each == found[0] for each in found)


@pytest.mark.parametrize("target", ["avx2", "sse2"])
@pytest.mark.parametrize("name", ["layer norm", "mask, first turned", "second turned", "by columns",
                                  "from bfloat16", "float64"])
def test_code_for_older_processors(name, target):
    function, arrays, count = PROGRAMS[name]
    graph = graph_of(function, arrays)
    with config.using(cpu_target=target):
        assert made(graph) == count
        found = run(graph, arrays)
    for got, want in zip(found, interpret(graph, arrays)):
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=5e-4)


def test_in_loops():
    """What a loop carries is not overwritten while a product still computes with it."""
    def step(x, w):
        return jnp.tanh(jnp.matmul(x * 0.5, w) + 1)

    x, w = normal(601, 270), normal(270, 270)
    graph = graph_of(lambda x, w: lax.fori_loop(0, 3, lambda i, x: step(x, w), x), [x, w])
    bodies = [plan for each in backend.lowered(graph).steps for plan in inner_plans(each)]
    assert sum(len(prologues(step)) for plan in bodies for step in plan.steps) == 1
    want = x
    for _ in range(3):
        want = np.tanh((want * F32(0.5)).astype("f8") @ w + 1).astype(F32)
    np.testing.assert_allclose(run(graph, [x, w])[0], want, rtol=1e-3, atol=1e-3)


STEPS = {
    "double": lambda x: x * 2, "reciprocal": lambda x: 1 / x, "root": jnp.sqrt, "exp": jnp.exp,
    "relu": nn.relu,
    "centre": lambda x: x - x.mean(-1, keepdims=True).astype(x.dtype),
    "of columns": lambda x: x * x[:1], "where": lambda x: jnp.where(x > 0.5, x, -x),
    "turn twice": lambda x: (x.T + 1).T,
    "wide": lambda x: (x.astype("float32") + 1).astype(x.dtype)}
EXTREMES = 0.0, -0.0, np.inf, -np.inf, np.nan, 1e-44


@st.composite
def cases(draw):
    m, k, n = (draw(st.integers(low, 150)) for low in (70, 2, 2))
    dtype = draw(st.sampled_from(["float32", "float64", "bfloat16", "float16"]))
    chain = draw(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=4))
    return m, k, n, dtype, chain, draw(st.booleans()), draw(st.booleans()), draw(st.booleans())


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_any_chain(case, monkeypatch):
    m, k, n, dtype, chain, second, turned, extreme = case
    x, w = normal(m, k).astype(dtype), normal(k, n).astype(dtype)
    if extreme:
        x[m // 2, :6] = np.array(EXTREMES, x.dtype)[:k]

    def function(x, w):
        x = x.T if turned else x
        for step in chain:
            x = STEPS[step](x)
        x = x.T if turned else x
        return w.T @ x.T if second else x @ w

    graph = graph_of(function, [x, w])
    with monkeypatch.context() as patch:
        patch.setattr(prologue, "LEAST_BYTES", 0)
        count, found = made(graph), run(graph, [x, w])[0]
    assert made(graph) == 0
    plain, = run(graph, [x, w])
    if "centre" not in chain:   # sums over lanes may be in another order
        assert found.tobytes() == plain.tobytes(), count
    with np.errstate(all="ignore"):
        wanted, = interpret(graph, [x, w])
    found, wanted = (np.asarray(x).astype("float64") for x in (found, wanted))
    largest = np.abs(wanted[np.isfinite(wanted)]).max(initial=1)
    tolerance = {"float64": 1e-12, "float32": 1e-4}.get(dtype, 0.1)
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * largest)


@pytest.mark.parametrize("name", ["layer norm", "both", "mask, first turned", "counted", "batch"])
def test_kernels_in_the_interpreter(name, monkeypatch):
    monkeypatch.setattr(prologue, "LEAST_BYTES", 0)
    function, arrays, count = PROGRAMS[name]
    sizes = {601: 75, 301: 70, 270: 90, 330: 41, 120: 45, 140: 42}
    arrays = [x[tuple(slice(sizes.get(n, n)) for n in x.shape)] for x in arrays]
    graph = graph_of(function, arrays)
    assert made(graph) == count
    for got, want in zip(run_plan(backend.lowered(graph), arrays), interpret(graph, arrays)):
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-4)


def test_what_is_computed_in_a_product_has_no_memory():
    function, arrays, _ = PROGRAMS["gelu"]
    compiled = arraylib.jit(function).lower(*arrays).compile()
    temporaries = [held for held in compiled.memory().buffers if held.kind == "temporary"]
    assert not any(held.type and held.type.shape == X.shape for held in temporaries)
    assert "matrix product 0\n  f32[601,270] = multiply" in compiled.text("fused")
    assert "an operand of matrix product 0, as it is packed" in compiled.text("tile")
    assert "gemm, a made(" in compiled.text("plan")
    assert "together in matrix product 0" in compiled.why("logistic", "dot_general")
    flops = compiled.cost().steps[0].flops
    assert flops > 2 * 601 * 270 * 330


def test_sums_are_computed_before():
    """What a sum leaves for each row is written; the rows are computed in the product."""
    function, arrays, _ = PROGRAMS["layer norm"]
    kernel, product = backend.lowered(graph_of(function, arrays)).steps
    assert isinstance(product, GemmStep)
    assert {view.buffer.type.size for view in kernel.writes} == {601}


RULES = {
    "memory": ("multiply", lambda x, w: lax.optimization_barrier(x * 2) @ w, [X, W]),
    "small": ("multiply", lambda x, w: (x[:200] * 2) @ w, [X, W]),
    "unpacked": ("multiply", lambda x, w: (x * 2) @ w, [normal(16, 8192), normal(8192, 64)]),
    "result": ("multiply", lambda x, w: (y := x * 2, y @ w), [X, W]),
    "readers": ("multiply", lambda x, w: ((y := x * 2) @ w, jnp.sort(y)), [X, W]),
    "sums": ("reduce_add", lambda x, w: (x * 2).sum(1) @ w, [normal(600, 20, 270), W]),
    "gather": ("gather", lambda x, i, w: x[i] @ w, [X, np.arange(600) % 7, W]),
    "order": ("add", lambda x, t, w: (x + t.T) @ w, [X, TURNED, W]),
    "epilogue": ("select", lambda x, w, v: nn.relu(x @ w) @ v, [X, W, normal(330, 200)]),
    "often": ("logistic", lambda x, y, w: (nn.gelu(x).T @ y, nn.gelu(x) @ w), [X, Y, W]),
}


@pytest.mark.parametrize("rule", RULES)
def test_rules_are_named(rule):
    operation, function, arrays = RULES[rule]
    graph = graph_of(function, arrays)
    assert made(graph) == 0
    text = backend.why(graph, operation, "dot_general")
    assert f"\n  {rule}: " in text, text

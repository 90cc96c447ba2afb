"""jit(memory_budget=...): programs that compute values again to need less memory."""

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import compile as compiling, jit, value_and_grad
from arraylib.config import config
from arraylib.errors import ArgumentError, OutOfMemoryError

rng = np.random.default_rng(11)
WS = [jnp.asarray(rng.standard_normal((32, 32)) * 0.2) for _ in range(12)]
X = jnp.asarray(rng.standard_normal((2048, 32)))


def loss(ws, x):
    for w in ws:
        x = jnp.tanh(x @ w)
    return (x * x).mean()


def step(ws, x):
    value, slopes = value_and_grad(loss)(ws, x)
    return value, [w - 0.1 * s for w, s in zip(ws, slopes)]


@pytest.fixture(scope="module")
def peak():
    return jit(step).lower(WS, X).compile().memory().peak


@pytest.mark.parametrize("share", [0.8, 0.55, 0.4])
def test_a_call_stays_within_the_budget_and_computes_the_same(peak, share):
    budget = int(share * peak)
    compiled = jit(step, memory_budget=budget).lower(WS, X).compile()
    trade = compiled.recomputation()
    assert compiled.memory().peak == trade.after <= budget < trade.before
    assert trade.budget == budget and 0 < trade.added < trade.work
    expected = jit(step)(WS, X)
    for found in (compiled(WS, X), jit(step, memory_budget=budget)(WS, X)):
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
        for a, b in zip(found[1], expected[1]):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_the_trade_is_printed_with_lines_and_bytes(peak):
    compiled = jit(step, memory_budget=int(0.4 * peak)).lower(WS, X).compile()
    text = str(compiled.recomputation())
    assert "at the peak became" in text.splitlines()[0] and "% more" in text.splitlines()[0]
    assert "test_budget.py:" in text and "KiB" in text and "f32[2048,32]" in text
    assert "<table>" in compiled.recomputation()._repr_html_()


def test_tighter_budgets_compute_more_again(peak):
    added = [jit(step, memory_budget=int(share * peak)).lower(WS, X).compile().recomputation().added
             for share in (0.8, 0.4)]
    assert 0 < added[0] < added[1]


def test_what_fits_is_left_alone(peak):
    for jitted in (jit(step), jit(step, memory_budget=peak)):
        compiled = jitted.lower(WS, X).compile()
        trade = compiled.recomputation()
        assert trade.again == () and trade.added == 0 and trade.after == trade.before == peak
        assert "nothing is computed twice" in str(trade)


def test_a_budget_that_cannot_be_met_names_one_that_can():
    with pytest.raises(OutOfMemoryError, match="memory_budget is 1000 B, but a call") as caught:
        jit(step, memory_budget=1000)(WS, X)
    least = int(str(caught.value).partition("try: memory_budget=")[2].partition(",")[0])
    assert jit(step, memory_budget=least).lower(WS, X).compile().recomputation().after <= least


@pytest.mark.parametrize("budget", [0, -5, 1.5, True, "1 GiB"])
def test_budgets_are_numbers_of_bytes(budget):
    with pytest.raises(ArgumentError, match="memory_budget is"):
        jit(step, memory_budget=budget)


def test_the_interpreter_has_no_budget():
    with config.using(backend="reference"):
        assert float(jit(loss, memory_budget=1)(WS[:1], X[:2])) == pytest.approx(
            float(loss(WS[:1], X[:2])), rel=1e-5)


def test_donated_arguments_count():
    budgeted = jit(step, donate_argnums=0, memory_budget=10 ** 9)
    given = [w + 0 for w in WS]
    budgeted(given, X)
    assert all(w.is_deleted() for w in given)


def test_the_peak_of_a_plan_is_that_of_its_report():
    find = compiling.peaks(frozenset({0}))
    for function in (step, lambda ws, x: (loss(ws, x), x), lambda ws, x: [w.T @ w for w in ws]):
        graph = jit(function).lower(WS, X).graph
        for _ in range(2):  # with kernels that are known
            assert find(graph) == compiling.memory_graph(graph, frozenset({0})).peak

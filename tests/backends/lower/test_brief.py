"""Programs of many small kernels: short code that means the same."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as some
from run_native import NATIVE, run_native
from run_plan import run_plan

import arraylib
from arraylib import lax, numpy as jnp
from arraylib.backends.cpu import target
from arraylib.backends.cpu.kernel import emit_kernel
from arraylib.backends.lower import brief, lower
from arraylib.backends.lower.plan import LoopStep, ScanStep
from arraylib.hlo.interpret import interpret

FUNCTIONS = jnp.tanh, jnp.exp, jnp.floor, jnp.abs, jnp.square, jnp.sin


def graph_of(function, *args):
    return arraylib.make_graph(function)(*args).graph


def different(x):
    """36 kernels, no two of them equal."""
    return [(f(x[:100 + i]) + g(x[:100 + i] - j)).sum()
            for i, f in enumerate(FUNCTIONS) for j, g in enumerate(FUNCTIONS)]


def kernels(plan):
    return [step.kernel for step in plan.steps if isinstance(step, LoopStep)]


def lowered(function, *args):
    return lower(graph_of(function, *args), NATIVE)


def test_many_small_kernels_are_brief_and_large_ones_are_not():
    def mixed(x, large):
        return [*different(x), jnp.tanh(large).sum(0)]

    found = kernels(lowered(mixed, np.ones(200, "f4"), np.ones((1000, 1000), "f4")))
    assert sum(kernel.brief for kernel in found) == 36 < len(found)
    assert sum("kernel brief(" in kernel.text for kernel in found) == 36


def test_few_kernels_are_not_brief():
    x = np.ones(200, "f4")
    assert not any(k.brief for k in kernels(lowered(lambda x: different(x)[:brief.MANY - 1], x)))
    assert all(k.brief for k in kernels(lowered(lambda x: different(x)[:brief.MANY], x)))


def test_many_uses_of_one_kernel_are_not_many_kernels():
    def same(*arrays):
        return [jnp.tanh(x) for x in arrays]

    assert not any(k.brief for k in kernels(lowered(same, *[np.ones(8, "f4")] * 40)))


def test_the_bodies_of_loops_run_often():
    def loop(x):
        def body(carry, _):
            return carry + 1, different(carry)
        return lax.scan(body, x, None, length=3)

    plan = lowered(loop, np.ones(200, "f4"))
    scan, = [step for step in plan.steps if isinstance(step, ScanStep)]
    assert len(kernels(scan.body)) >= 36 and not any(k.brief for k in kernels(scan.body))


def test_brief_code_is_a_fraction():
    def length(kernels):
        module = target.new_module()
        for number, kernel in enumerate(kernels):
            emit_kernel(module, kernel, f"kernel{number}")
        return len(module.text())

    found = kernels(lowered(different, np.ones(200, "f4")))
    assert 2 * length(found) < length([replace(kernel, brief=False) for kernel in found])


def check(function, *arrays, tolerance=2e-6):
    """All kernels of a function, made brief, compute what the interpreter does."""
    graph = graph_of(function, *[jnp.asarray(x, dtype=x.dtype) for x in arrays])
    plan = lower(graph, NATIVE)
    plan = replace(plan, steps=tuple(
        replace(step, kernel=replace(step.kernel, brief=True)) if isinstance(step, LoopStep)
        else step for step in plan.steps))
    with np.errstate(all="ignore"):
        wanted = interpret(graph, arrays)
    for got, want in zip(run_plan(plan, arrays, run_native), wanted, strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got.astype("c16"), want.astype("c16"), rtol=tolerance,
                                   atol=tolerance)


LENGTHS = some.sampled_from([1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 64, 65, 100])


@given(n=LENGTHS, rows=some.sampled_from([1, 2, 5, 17]), seed=some.integers(0, 9),
       dtype=some.sampled_from(["f4", "f8", "i4", "u1", "i8", "f2", "?", "c8"]))
@settings(deadline=None, max_examples=30)
def test_brief_kernels_mean_the_same(n, rows, seed, dtype):
    x = (np.random.default_rng(seed).normal(size=(rows, n)) * 5).astype(dtype)

    def several(x):
        y = jnp.where(x == x[:1], x, x + x)
        return y.T, y[:, ::-1], jnp.sum(y, 1), jnp.max(jnp.abs(y), 0), y[:, ::2] * y[:, ::2]

    check(several, x, tolerance=2e-2 if dtype == "f2" else 1e-5)


@pytest.mark.parametrize("n", [5, 16, 50])
def test_brief_kernels_of_special_values(n):
    values = [np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-40, -1e-40, 3e38, 1.5, -2.5]
    x = np.resize(np.array(values, "f4"), n)
    check(lambda x: (x.max(), x.min(), jnp.argmax(x), jnp.exp(x), jnp.sign(x), x.prod(),
                     jnp.tanh(x), 1 / x), x)


def test_brief_kernels_with_ends_known_only_at_run_time():
    x = np.arange(3000, dtype="f4").reshape(3, 1000)
    check(lambda x, i: (jnp.tanh(x), lax.dynamic_slice(x, (i, 3), (2, 37)) * 2), x, np.int32(1))


def test_a_fold_in_a_function_of_its_own_is_written_once():
    module = target.new_module()
    found = kernels(lowered(different, np.ones(200, "f4")))
    for number, kernel in enumerate(found):
        emit_kernel(module, kernel, f"kernel{number}")
    names = [each.name for each in module.functions]
    assert len(set(names)) == len(names) == len(module.named)
    assert sum(name.startswith("fold_") for name in names) == 1
    assert 1 <= sum(name.startswith("op_tanh_") for name in names) <= 3  # one a width of vectors

"""Folds of windows and their gradients as native programs, against the interpreter and JAX."""

import jax
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from random_windows import windows

from arraylib import config, dtypes as dt, jit, lax, vjp
from arraylib.backends.cpu import backend
from arraylib.backends.cpu.program import write_program
from arraylib.backends.lower.plan import HostStep
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import constant
from arraylib.hlo.ops.shape import pad
from arraylib.hlo.ops.window import reduce_window, select_and_scatter
from arraylib.hlo.passes.pipeline import optimize

DTYPES = ["float32", "float64", "float16", "bfloat16", "int8", "uint16", "int32", "int64"]
OPS = {"add": ew.add, "multiply": ew.multiply, "maximum": ew.maximum, "minimum": ew.minimum}


def named(dtype):
    return np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def binary(function, dtype):
    return trace_graph([Type(dtype, ())] * 2, lambda x, y: [function(x, y)])


def run_natively(graph, arrays):
    """The outputs of a graph's program, none of whose steps is the host's."""
    plan = backend.lowered(optimize(graph, backend.native))
    assert not any(isinstance(step, HostStep) for step in plan.steps)
    return [np.asarray(x) for x in backend.build(write_program(plan)).run(arrays)]


def small(shape, dtype, seed=0, low=-2, high=3):
    """Small integers, of which sums and short products are exact."""
    rng = np.random.default_rng(seed)
    return rng.integers(max(low, 0) if dt.kind(dtype) == "u" else low, high, shape).astype(dtype)


@settings(deadline=None, max_examples=40)
@given(windows(), st.sampled_from(DTYPES), st.sampled_from(sorted(OPS)), st.booleans(),
       st.sampled_from([0, 1, 7, -np.inf, np.inf]))
def test_reduce_window(case, dtype, name, known, start):
    shape, attrs = case
    dtype = named(dtype)
    if not dt.is_float(dtype):
        start = {np.inf: dt.iinfo(dtype).max, -np.inf: dt.iinfo(dtype).min}.get(start, start)
    init, body = np.asarray(start).astype(dtype), binary(OPS[name], dtype)
    arrays = [small(shape, dtype, low=1, high=3) if name == "multiply" else small(shape, dtype)]
    if known:
        graph = trace_graph([Type(dtype, shape)], lambda x: reduce_window(
            x, constant(value=init), body=body, **attrs))
    else:
        arrays.append(init)
        graph = trace_graph([Type(dtype, shape), Type(dtype, ())],
                            lambda x, first: reduce_window(x, first, body=body, **attrs))
    with np.errstate(all="ignore"):
        (expected,) = interpret(graph, arrays)
        (found,) = run_natively(graph, arrays)
        np.testing.assert_allclose(found.astype(np.float64), expected.astype(np.float64),
                                   rtol=0.02 if dt.is_half(dtype) else 1e-6)


@settings(deadline=None, max_examples=30)
@given(windows(dilations=False), st.sampled_from(DTYPES), st.sampled_from(["GE", "GT", "LE"]),
       st.booleans())
def test_select_and_scatter(case, dtype, direction, known):
    shape, attrs = case
    dtype = named(dtype)
    select = trace_graph([Type(dtype, ())] * 2,
                         lambda x, y: [ew.compare(x, y, direction=direction)])
    graph = trace_graph([Type(dtype, shape)], lambda x: reduce_window(
        x, constant(value=np.zeros((), dtype)), body=binary(ew.add, dtype), **attrs,
        base_dilations=(1,) * len(shape), window_dilations=(1,) * len(shape)))
    out, init = graph.output_types[0].shape, np.asarray(0 if known else 2, dtype)
    arrays = [small(shape, dtype), small(out, dtype, 1)] + ([] if known else [init])
    def function(x, source, *more):
        start = more[0] if more else constant(value=init)
        return [select_and_scatter(x, source, start, select=select,
                                   scatter=binary(ew.add, dtype), **attrs)]
    graph = trace_graph([Type(v.dtype, v.shape) for v in arrays], function)
    np.testing.assert_array_equal(run_natively(graph, arrays)[0], interpret(graph, arrays)[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.0])
@pytest.mark.parametrize("name", sorted(OPS))
def test_special_numbers(value, name):
    x = np.ones((3, 70, 4), np.float32)
    x[1, ::9, 2], x[2, 3] = value, value
    attrs = {"window_dimensions": (1, 3, 1), "window_strides": (1, 2, 1),
             "base_dilations": (1, 1, 1), "window_dilations": (1, 1, 1),
             "padding": ((0, 0), (1, 1), (0, 0)), "body": binary(OPS[name], x.dtype)}
    start = {"add": 0, "multiply": 1, "maximum": -np.inf, "minimum": np.inf}[name]
    graph = trace_graph([Type(x.dtype, x.shape)], lambda x: reduce_window(
        x, constant(value=np.float32(start)), **attrs))
    np.testing.assert_array_equal(run_natively(graph, [x])[0], interpret(graph, [x])[0])


def test_without_elements():
    body = binary(ew.add, np.dtype(np.float32))
    for shape, padding in (((0,), (1, 2)), ((0,), (0, 0)), ((2,), (0, 0))):
        graph = trace_graph([Type(np.float32, shape)], lambda x, p=padding: reduce_window(
            x, constant(value=np.float32(3)), body=body, window_dimensions=(3,),
            window_strides=(1,), base_dilations=(1,), window_dilations=(1,), padding=(p,)))
        x = np.ones(shape, np.float32)
        np.testing.assert_array_equal(run_natively(graph, [x])[0], interpret(graph, [x])[0])


# Larger than a chunk, or a vector; the moving axis in lanes or not; windows that are looped over.
POOLS = {
    "features last": ((2, 23, 30, 70), (1, 3, 3, 1), (1, 2, 2, 1), "SAME"),
    "apart": ((2, 24, 30, 16), (1, 2, 2, 1), (1, 2, 2, 1), "VALID"),
    "features first": ((2, 5, 40, 50), (1, 1, 3, 3), (1, 1, 2, 2), "SAME"),
    "each place": ((2, 5, 20, 50), (1, 1, 3, 3), (1, 1, 1, 1), "SAME"),
    "a long line": ((100000,), (5,), (1,), "SAME"),
    "long windows": ((6, 300), (1, 40), (1, 20), "SAME"),
    "all of it": ((3, 9, 8, 5), (1, 9, 8, 1), (1, 1, 1, 1), "VALID"),
    "volume": ((2, 9, 8, 7, 6), (1, 2, 3, 2, 1), (1, 2, 1, 3, 1), "SAME"),
}


@pytest.mark.parametrize("kind", ["max", "add"])
@pytest.mark.parametrize("name", POOLS)
def test_pools_and_gradients_are_those_of_jax(name, kind):
    shape, *settings = POOLS[name]
    start = {"max": -np.inf, "add": 0.0}[kind]
    def both(module, vjp):
        def run(x, c):
            out, back = vjp(lambda x: module.reduce_window(
                x, np.float64(start) if x.dtype == np.float64 else np.float32(start),
                getattr(module, kind), *settings), x)
            return out, back(c)[0]
        return run
    rng = np.random.default_rng(0)
    x = rng.permutation(np.prod(shape)).reshape(shape).astype(np.float32)  # no ties
    with jax.enable_x64(True):
        wide = x.astype(np.float64)
        out = jax.eval_shape(lambda x: jax.lax.reduce_window(
            x, start, getattr(jax.lax, kind), *settings), wide)
        c = rng.integers(-9, 9, out.shape).astype(np.float32)
        expected = jax.jit(both(jax.lax, jax.vjp))(wide, c.astype(np.float64))
    found = []
    for threads in (1, 3):
        with config.using(cpu_threads=threads):
            found.append([np.asarray(v) for v in jit(both(lax, vjp))(x, c)])
    for one, other, value in zip(*found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(one, value, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("low, high", [(-2, 3), (3, -2), (-1, 1), (1, -1), (-3, 5)])
def test_padding_that_takes_all_away(low, high):
    graph = trace_graph([Type(np.float32, (1, 2))], lambda x: [pad(
        x, constant(value=np.float32(5)), low=(low, 0), high=(high, 1), interior=(0, 1))])
    x = np.ones((1, 2), np.float32)
    np.testing.assert_array_equal(run_natively(graph, [x])[0], interpret(graph, [x])[0])

"""Sums of rows and of columns in one sweep."""

import numpy as np
import pytest
from lowered_programs import along, layer_norm, layer_norm_backward, softmax
from run_native import NATIVE, run_native, run_over_operands
from run_plan import run_interpreted, run_plan

from arraylib import dtypes as dt
from arraylib.backends.lower import lower
from arraylib.backends.lower.plan import WaveStep
from arraylib.compile import run_compiled
from arraylib.config import config
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops import elementwise as ew, reduction as rd, structured as st

SHAPES = [(2048, 64), (1024, 100), (8, 256, 72), (1200, 65)]


def normalised(x, scale, bias, ct):
    """A layer norm, the sum of its result times `ct`, and all derivatives of that."""
    y, mean, r = layer_norm(x, scale, bias)
    rows = tuple(range(x.type.rank))
    return [st.reduce_add(ew.multiply(y, ct), dimensions=rows),
            *layer_norm_backward(x, mean, r, scale, ct)]


def weighted(x, ct):
    """Softmax of rows backwards, with sums and extremes of its columns and of all."""
    (y,) = softmax(x)
    last, rows = (x.type.rank - 1,), tuple(range(x.type.rank - 1))
    inner = st.reduce_add(ew.multiply(y, ct), dimensions=last)
    dx = ew.multiply(y, ew.subtract(ct, st.spread(inner, x, last)))
    return [dx, st.reduce_add(dx, dimensions=rows), rd.reduce_maximum(y, dimensions=rows),
            st.reduce_add(ct, dimensions=rows), rd.reduce_minimum(dx, dimensions=(*rows, *last))]


def columns_first(x, bias):
    """Column sums that come before the row sums of the same values."""
    last, rows = (x.type.rank - 1,), tuple(range(x.type.rank - 1))
    y = ew.multiply(ew.add(x, along(bias, x, *last)), x)
    sums = st.reduce_add(y, dimensions=rows)
    return [sums, ew.subtract(y, st.spread(st.reduce_add(y, dimensions=last), x, last)),
            st.reduce_add(ew.add(x, y), dimensions=rows)]


def program(name, shape, dtype=dt.float32):
    x, row = Type(dtype, shape), Type(dtype, shape[-1:])
    function, types = {"norm": (normalised, [x, row, row, x]), "softmax": (weighted, [x, x]),
                       "columns first": (columns_first, [x, row])}[name]
    rng = np.random.default_rng(0)
    return trace_graph(types, function), [rng.standard_normal(t.shape).astype(dtype)
                                          for t in types]


NAMES = ["norm", "softmax", "columns first"]


def check(found, graph, arrays, tolerance):
    exact = [np.asarray(a, "f8") if a.dtype.kind == "f" else a for a in interpret(graph, arrays)]
    for got, want in zip(found, exact, strict=True):
        scale = np.abs(want).max()
        np.testing.assert_allclose(got.astype("f8"), want, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("run_kernel", [run_native, run_over_operands])
def test_one_sweep_gives_what_several_give(name, shape, run_kernel):
    graph, arrays = program(name, shape)
    check(run_plan(lower(graph, NATIVE), arrays, run_kernel), graph, arrays, 2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_in_the_interpreter(name):
    graph, arrays = program(name, (256, 256))
    check(run_plan(lower(graph, NATIVE), arrays, run_interpreted), graph, arrays, 2e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [dt.float64, dt.bfloat16])
def test_other_types(name, dtype):
    graph, arrays = program(name, (1024, 80), dtype)
    tolerance = 1e-12 if dtype == dt.float64 else 0.1
    check(run_plan(lower(graph, NATIVE), arrays, run_native), graph, arrays, tolerance)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(2048, 64), (4, 1024, 100)])
def test_large_arrays_are_gone_through_once(name, shape):
    """One kernel reads them; the others combine what it leaves."""
    graph, _ = program(name, shape)
    first, *rest = lower(graph, NATIVE).steps
    parts = [part for step in rest
             for part in (step.parts if isinstance(step, WaveStep) else (step,))]
    size = np.prod(shape)
    assert any(view.buffer.type.size == size for view in first.reads)
    assert all(view.buffer.type.size <= size / 32 for part in parts for view in part.reads)


def test_any_number_of_threads_gives_the_same():
    graph, arrays = program("norm", (2048, 64))
    found = []
    for threads in 1, 2, 3:
        with config.using(cpu_threads=threads):
            found.append(run_compiled(graph, arrays))
    for one, two, three in zip(*found, strict=True):
        assert one.tobytes() == two.tobytes() == three.tobytes()

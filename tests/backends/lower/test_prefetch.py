"""What is read next is asked for: the next row if several passes go over each, or a page ahead."""

import numpy as np
import pytest
from run_native import NATIVE, run_native
from run_plan import run_interpreted, run_plan

from arraylib.backends.cpu import target
from arraylib.backends.cpu.kernel import emit_kernel
from arraylib.backends.lower import lower
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops import elementwise as ew, reduction as red
from arraylib.hlo.ops.structured import broadcast_in_dim, transpose

F32 = np.dtype(np.float32)


def spread(x, shape):
    return broadcast_in_dim(x, shape=shape, broadcast_dimensions=(0,))


def centred(x):
    """Two passes over each row: its largest element, and what the others lack."""
    return [ew.subtract(x, spread(red.reduce_maximum(x, dimensions=(1,)), x.type.shape))]


def largest(x):
    return [red.reduce_maximum(x, dimensions=(1,))]


def kernels(function, shape):
    return [step.kernel for step in lower(trace_graph([Type(F32, shape)], function), NATIVE).steps]


def test_the_second_pass_asks_for_the_next_row():
    (kernel,) = kernels(centred, (64, 1024))
    (line,) = [line for line in kernel.text.splitlines() if "prefetch" in line]
    assert line.strip().startswith("prefetch p0[") and line.endswith("+ 1024]")


@pytest.mark.parametrize("function, shape", [
    (largest, (1024, 1024)), (lambda x: [ew.exponential(x)], (1 << 20,))])
def test_a_single_pass_asks_for_the_next_page(function, shape):
    (kernel,) = kernels(function, shape)
    (line,) = [line for line in kernel.text.splitlines() if "prefetch" in line]
    assert line.strip().startswith("prefetch p0[") and line.endswith("+ 1024]")


def test_every_line_of_a_vector_is_asked_for():
    (kernel,) = kernels(centred, (64, 1024))
    module = target.new_module()
    emit_kernel(module, kernel, "kernel", internal=False)
    text = module.text()
    lanes = [line for line in text.splitlines() if "fsub <" in line]
    width = int(lanes[0].split("fsub <")[1].split(" ")[0])
    assert text.count("call void @llvm.prefetch") == max(1, width * 4 // 64)


@pytest.mark.parametrize("function, shape", [
    (centred, (4, 1 << 15)),  # longer than is kept in the nearest cache
    (centred, (1, 1024)),
    (largest, (64, 1024)),  # in a cache
    (largest, (1024, 512)),  # less than a page
    (lambda x: [ew.negate(x)], (64, 1024)),
    (lambda x: [transpose(x, permutation=(1, 0))], (1024, 1024)),  # square by square
    (lambda x: [red.reduce_maximum(x, dimensions=(0,))], (1024, 1024)),  # row by row
])
def test_other_loops_do_not(function, shape):
    assert all("prefetch" not in kernel.text for kernel in kernels(function, shape))


@pytest.mark.parametrize("run_kernel", [run_interpreted, run_native])
@pytest.mark.parametrize("shape", [(3, 40), (2, 5, 33), (7, 1000)])
def test_the_last_row_has_none_after_it(run_kernel, shape):
    def function(x):
        last = len(shape) - 1
        found = broadcast_in_dim(red.reduce_maximum(x, dimensions=(last,)), shape=shape,
                                 broadcast_dimensions=tuple(range(last)))
        return [ew.subtract(x, found)]

    graph = trace_graph([Type(F32, shape)], function)
    x = np.random.default_rng(0).standard_normal(shape).astype(F32)
    (found,) = run_plan(lower(graph, NATIVE), [x], run_kernel)
    np.testing.assert_array_equal(found, interpret(graph, [x])[0])

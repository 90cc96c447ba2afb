"""Plans as native programs, against the interpreter. The steps inside are NumPy's or the library's,
so that what is tested is the program: its memory, its loops and its branches.
"""

from dataclasses import replace

import numpy as np
import pytest

from arraylib import dtypes as dt
from arraylib.backends.cpu import backend
from arraylib.backends.cpu.hosted import hosted_plan
from arraylib.backends.cpu.program import STACK_BYTES, STEPS_PER_FUNCTION, write_program
from arraylib.backends.lower.plan import (
    Buffer,
    CaseStep,
    GemmStep,
    HostStep,
    Plan,
    ScanStep,
    View,
    WhileStep,
    whole,
)
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, run, trace_graph
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import constant, full
from arraylib.hlo.ops.control import case, while_
from arraylib.hlo.ops.loop import scan
from arraylib.hlo.ops.structured import reduce_add

F32, I32 = dt.float32, dt.int32


def f32(*shape):
    return Type(F32, shape)


def numbers(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def executable(plan, donated=frozenset()):
    return backend.build(write_program(plan, donated))


def with_control(graph):
    """The hosted plan of a graph with its loops and branches native."""
    plan = hosted_plan(graph)
    return Plan(plan.inputs, plan.outputs, tuple(map(_native, plan.steps)))


def _native(step):
    attrs, common = step.node.attrs, dict(reads=step.reads, writes=step.writes)
    if step.node.op is scan:
        return ScanStep(with_control(attrs["body"]), *[attrs[n] for n in (
            "consts", "carry", "length", "reverse")], **common)
    if step.node.op is while_:
        return WhileStep(with_control(attrs["cond"]), with_control(attrs["body"]),
                         attrs["cond_consts"], attrs["body_consts"], **common)
    if step.node.op is case:
        return CaseStep(tuple(map(with_control, attrs["branches"])), **common)
    return step


def check(graph, *arrays):
    """The program gives what the interpreter gives, twice."""
    program = executable(with_control(graph))
    for _ in range(2):
        found = program.run(arrays)
        for mine, expected in zip(found, interpret(graph, arrays), strict=True):
            assert mine.dtype == expected.dtype
            np.testing.assert_array_equal(mine, expected)


def test_steps_in_order():
    check(trace_graph([f32(3), f32(3)], lambda x, y: [ew.add(x, ew.multiply(y, y)), ew.negate(y)]),
          numbers(3), numbers(3))


def test_inputs_constants_and_repeated_values_as_outputs():
    def outputs(x):
        y = ew.negate(x)
        return [x, y, y, full((2,), 7, I32), x]

    check(trace_graph([f32(4)], outputs), numbers(4))


@pytest.mark.parametrize("size", [3, 5000])
def test_small_and_large_constants(size):
    values = np.arange(size, dtype=np.float32)
    check(trace_graph([f32(size)], lambda x: [ew.add(x, constant(value=values))]), numbers(size))


def test_a_large_arena_is_a_block():
    graph = trace_graph([f32(5000)], lambda x: [reduce_add(ew.negate(x), dimensions=(0,))])
    program = executable(with_control(graph))
    assert program.arena_bytes > STACK_BYTES and program.arena_bytes in program.blocks
    check(graph, np.arange(5000, dtype=np.float32))


def test_values_without_elements():
    check(trace_graph([f32(0, 3)], lambda x: [ew.negate(x), reduce_add(x, dimensions=(0,))]),
          numbers(0, 3))


def cumulative(length, reverse=False):
    """scan of (total, count), x -> (total * c + x, count + 1), (total, x * c)."""

    def step(c, total, count, x):
        following = ew.add(ew.multiply(total, c), x)
        return [following, ew.add(count, full((), 1, I32)), following, ew.multiply(x, c)]

    body = trace_graph([f32(3), f32(3), Type(I32, ()), f32(3)], step)
    return trace_graph(
        [f32(3), f32(3), Type(I32, ()), f32(length, 3)],
        lambda *xs: scan(*xs, body=body, consts=1, carry=2, length=length, reverse=reverse))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 10])
def test_scan(length, reverse):
    check(cumulative(length, reverse), numbers(3), np.ones(3, np.float32), np.int32(0),
          numbers(length, 3))


def test_scan_in_scan():
    inner = cumulative(4)
    body = trace_graph([f32(4, 3), f32(3), Type(I32, ()), f32(3)],
                       lambda xs, total, count, c: run(inner, [c, total, count, xs])[:3])
    graph = trace_graph(
        [f32(4, 3), f32(3), Type(I32, ()), f32(5, 3)],
        lambda *xs: scan(*xs, body=body, consts=1, carry=2, length=5, reverse=False))
    check(graph, numbers(4, 3), numbers(3), np.int32(0), numbers(5, 3))


def doubling():
    """while x < limit: x = x + x * step, n = n + 1; one carry is listed twice."""
    cond = trace_graph([f32(), f32(), Type(I32, ()), f32()],
                       lambda limit, x, n, same: [ew.compare(x, limit, direction="LT")])

    def turn(step, x, n, same):
        more = ew.add(x, ew.multiply(x, step))
        return [more, ew.add(n, full((), 1, I32)), more]

    body = trace_graph([f32(), f32(), Type(I32, ()), f32()], turn)
    return trace_graph([f32(), f32(), f32(), Type(I32, ()), f32()], lambda *xs: while_(
        *xs, cond=cond, body=body, cond_consts=1, body_consts=1))


@pytest.mark.parametrize("limit", [0, 2, 100, 10000])
def test_while(limit):
    check(doubling(), np.float32(limit), np.float32(0.5), np.float32(1), np.int32(0), np.float32(1))


@pytest.mark.parametrize("index", [-5, 0, 1, 2, 7])
def test_case(index):
    branches = tuple(trace_graph([f32(4), f32(4)], rule) for rule in (
        lambda x, y: [ew.add(x, y), y], lambda x, y: [ew.negate(x)] * 2, lambda x, y: [y, x]))
    graph = trace_graph([Type(I32, ()), f32(4), f32(4)], lambda i, x, y: case(
        i, x, y, branches=branches))
    check(graph, np.int32(index), numbers(4), np.ones(4, np.float32))


def test_what_the_host_raises_ends_the_program():
    calls = []

    def fail(x):
        calls.append(x)
        raise KeyError("inside")

    failing = replace(ew.negate, numpy=fail)
    graph = trace_graph([f32(2)], lambda x: [ew.sine(failing(failing(x)))])
    program = executable(with_control(graph))
    for _ in range(2):
        with pytest.raises(KeyError, match="inside"):
            program.run([numbers(2)])
    assert len(calls) == 2  # the second failing operation was never reached


def test_what_the_host_raises_ends_a_loop():

    def fail(x):
        raise ValueError("stop")

    failing = replace(ew.negate, numpy=fail)
    cond = trace_graph([f32()], lambda x: [ew.compare(x, x, direction="EQ")])  # for ever
    body = trace_graph([f32()], lambda x: [failing(x)])
    graph = trace_graph([f32()], lambda x: while_(x, cond=cond, body=body, cond_consts=0,
                                                  body_consts=0))
    with pytest.raises(ValueError, match="stop"):
        executable(with_control(graph)).run([np.float32(1)])


def product(m, n, k, batch):
    a, b, c = (Buffer(f32(*batch, *s)) for s in ((m, k), (k, n), (m, n)))
    step = GemmStep(whole(a), whole(b), whole(c))
    return Plan((a, b), (c,), (step,))


@pytest.mark.parametrize("sizes", [(1, 1, 1), (7, 5, 3), (33, 70, 129), (1, 64, 300)])
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_products(sizes, batch):
    m, n, k = sizes
    a, b = numbers(*batch, m, k), numbers(*batch, k, n)
    found, = executable(product(m, n, k, batch)).run([a, b])
    np.testing.assert_allclose(found, a @ b, rtol=1e-4, atol=1e-4)


def test_a_product_of_transposed_views_added_to_a_buffer():
    a, b, start, c = (Buffer(f32(*s)) for s in ((8, 5), (9, 8), (5, 9), (5, 9)))
    copy = hosted_plan(trace_graph([f32(5, 9)], lambda x: [ew.negate(x)])).steps[0]
    plan = Plan((a, b, start), (c,), (
        HostStep(copy.node, (whole(start),), (whole(c),)),
        GemmStep(View(a, F32, (5, 8), (1, 5)), View(b, F32, (8, 9), (1, 8)), whole(c), True)))
    arrays = numbers(8, 5), numbers(9, 8), numbers(5, 9)
    found, = executable(plan).run(arrays)
    np.testing.assert_allclose(found, arrays[0].T @ arrays[1].T - arrays[2], rtol=1e-5, atol=1e-5)


def test_many_steps_are_several_functions():
    def chain(x):
        values = [x]
        for _ in range(3 * STEPS_PER_FUNCTION):
            values.append(ew.add(values[-1], values[-len(values) // 2]))
        return [values[-1], values[1], values[-1]]

    graph = trace_graph([f32(4)], chain)
    assert write_program(with_control(graph)).text.count("define internal i1 @plan") == 3
    check(graph, numbers(4))


def test_a_failure_in_one_function_ends_the_others():
    calls = []

    def count(x):
        calls.append(x)
        if len(calls) == 10:
            raise ValueError("ten")
        return x

    counting = replace(ew.negate, numpy=count)

    def chain(x):
        for _ in range(2 * STEPS_PER_FUNCTION):
            x = counting(x)
        return [x]

    with pytest.raises(ValueError, match="ten"):
        executable(with_control(trace_graph([f32(4)], chain))).run([numbers(4)])
    assert len(calls) == 10


def test_a_program_gives_the_same_text_every_time():
    texts = {write_program(with_control(cumulative(4))).text for _ in range(3)}
    assert len(texts) == 1

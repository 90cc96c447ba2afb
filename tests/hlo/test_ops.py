"""What every operation owes, checked over the whole table: a new row is tested by being there."""

import inspect
import itertools

import numpy as np
import pytest
import xla
from cases import (
    DTYPES,
    ELEMENTWISE,
    Case,
    draw,
    elementwise,
    elementwise_at,
    examples,
    in_double,
)
from hypothesis import given, settings, strategies as st

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError, TraceError
from arraylib.hlo.batch import batch
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Builder, Type, type_of
from arraylib.hlo.opdef import SAME
from arraylib.hlo.ops import TABLE
from arraylib.hlo.passes.legalize import legalize
from arraylib.hlo.split import split
from arraylib.tracing.jvp import jvp
from arraylib.tracing.transpose import transpose

CASES = list(examples())
NAMES = [str(case) for case in CASES]
shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)


def close(x, y, tolerance, scale=1.0):
    x, y = np.asarray(x), np.asarray(y)
    wide = np.complex128 if dt.is_complex(x.dtype) else np.float64
    np.testing.assert_allclose(x.astype(wide), y.astype(wide), rtol=tolerance,
                               atol=tolerance * scale)


# -- the matrix ------------------------------------------------------------------------------------


def is_source(op):
    """Whether the operation has no operands, so that nothing is to differentiate or batch."""
    return all(not case.types for case in CASES if case.op is op)


OBLIGATIONS = {
    "documentation": lambda op: op.doc.endswith("."),
    "meaning": lambda op: callable(op.numpy),
    "type rule": lambda op: op.results is not None or op.dtypes,
    "example": lambda op: any(case.op is op for case in CASES),
    "derivative": lambda op: is_source(op) or op.jvp_node or op.jvp,
    "transpose": lambda op: SAME not in op.jvp or all(
        rule is not SAME or op.transpose[i] for i, rule in enumerate(op.jvp)),
    "batching": lambda op: (is_source(op) or op.elementwise or op.batch or op.batch_node
                            or op.axes and op.relabel),
    "dialect": lambda op: op.dialect in ("stablehlo", "chlo", "arraylib"),
    "tolerance": lambda op: 0 < op.tolerance < 1e-4 and op.domain[0] < op.domain[1],
}


@pytest.mark.parametrize("op", TABLE.values(), ids=list(TABLE))
def test_no_cell_is_empty(op):
    missing = [name for name, met in OBLIGATIONS.items() if not met(op)]
    assert not missing, f"{op.name} lacks {missing}"


@pytest.mark.parametrize("op", ELEMENTWISE, ids=repr)
def test_elementwise_rows_have_one_rule_an_operand(op):
    given = inspect.signature(op.numpy) if not isinstance(op.numpy, np.ufunc) else None
    arity = op.numpy.nin if given is None else sum(
        p.kind is p.POSITIONAL_OR_KEYWORD for p in given.parameters.values())
    assert len(op.jvp) == (arity or len(op.jvp))
    assert len(op.transpose) in (0, len(op.jvp))


# -- meaning and types -----------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_results_have_the_types_of_the_rule(case):
    outputs = interpret(case.graph(), case.draw())
    assert tuple(map(type_of, outputs)) == case.op.result_types(case.types, case.attrs)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@settings(deadline=None, max_examples=3)
@given(shape=shapes)
def test_elementwise_results_have_the_types_of_the_rule(dtype, shape):
    for case in elementwise_at(dtype, shape):
        (out,) = interpret(case.graph(), case.draw())
        assert type_of(out) is case.op.result_types(case.types, case.attrs)[0], str(case)


@pytest.mark.parametrize("op", ELEMENTWISE, ids=repr)
def test_elementwise_operands_that_do_not_fit_are_refused(op):
    case = next(c for c in CASES if c.op is op)
    for dtype in DTYPES:
        if dt.kind(dtype) not in op.dtypes and not op.mixed:
            with pytest.raises(DtypeError, match=f"{op.name}: takes .*, not {dt.name(dtype)}"):
                op.result_types([t.with_dtype(dtype) for t in case.types], case.attrs)
    if len(case.types) > 1:
        types = [case.types[0].with_shape((5, 7)), *case.types[1:]]
        with pytest.raises(ShapeError, match=op.name):
            op.result_types(types, case.attrs)


@pytest.mark.parametrize("case", [c for c in CASES if c.op.expand], ids=str)
def test_an_expansion_means_the_same(case):
    arrays = case.draw()
    with Builder() as builder:
        outputs = case.op.expand(*[builder.input(t) for t in case.types], **case.attrs)
        graph, _ = builder.build(outputs if case.op.multiple else [outputs])
    assert graph.output_types == case.graph().output_types
    for x, y in zip(interpret(graph, arrays), interpret(case.graph(), arrays)):
        close(x, y, case.op.tolerance)


# -- against XLA -----------------------------------------------------------------------------------


def joint_graph(cases):
    """One graph that computes all cases, so that XLA compiles once."""
    with Builder() as builder:
        outputs = []
        for case in cases:
            out = case.op(*[builder.input(t) for t in case.types], **case.attrs)
            outputs += out if case.op.multiple else [out]
        return builder.build(outputs)[0]


def agrees_with_xla(cases, seed=0):
    arrays = [x for case in cases for x in case.draw(seed)]
    theirs = iter(xla.run(legalize(joint_graph(cases)), arrays))
    for case in cases:
        for ours in interpret(case.graph(), case.draw(seed)):
            wanted = next(theirs)
            assert type_of(ours) is type_of(wanted), str(case)
            same(case, ours, wanted)


def same(case, ours, theirs):
    if not dt.is_inexact(ours.dtype):
        np.testing.assert_array_equal(ours, theirs, str(case))
        return
    rounding = max(float(dt.finfo(t.dtype).eps) for t in (type_of(ours), *case.types)
                   if dt.is_inexact(t.dtype))
    close(ours, theirs, max(case.op.tolerance, 2 * rounding))


@pytest.mark.parametrize("dtype", [d for d in DTYPES if not dt.is_float8(d)], ids=str)
def test_elementwise_values_are_those_of_xla(dtype):
    agrees_with_xla([c for c in elementwise_at(dtype) if not is_beyond_xla(c)
                     and not any(dt.is_float8(d) for d in c.attrs.values() if d in DTYPES)])


def is_beyond_xla(case):
    """The cube root of complex numbers, which StableHLO has and XLA has not."""
    return case.op.name == "cbrt" and dt.is_complex(case.types[0].dtype)


@pytest.mark.parametrize("dtype", [dt.complex64, dt.complex128], ids=str)
def test_complex_cube_roots_are_principal(dtype):
    x = np.array([1j, -8, 3 - 4j, 0, -1 - 1e-3j], dtype)
    (out,) = TABLE["cbrt"].evaluate([x], {})
    assert out.dtype == dtype
    close(out, np.power(x.astype(np.complex128), 1 / 3), 1e-6 if dtype == dt.complex64 else 1e-14)


def test_other_values_are_those_of_xla():
    agrees_with_xla([c for c in CASES if not c.op.elementwise and c.op.name not in xla.NEWER])


# -- derivatives -----------------------------------------------------------------------------------


SMOOTH = [in_double(case) for case in CASES
          if any(dt.is_inexact(t.dtype) for t in case.types)
          and any(dt.is_inexact(t.dtype) for t in case.graph().output_types)]


def tangent_graph(case):
    """(operands, tangents of the inexact ones) -> (results, tangents of the inexact ones)."""
    graph = case.graph()
    with Builder() as builder:
        xs = builder.inputs_like(graph.inputs)
        ts = [builder.input(t) if dt.is_inexact(t.dtype) else None for t in case.types]
        outs, out_ts = zip(*jvp(graph, xs, ts))
        known = [t is not None for t in out_ts]
        return builder.build([*outs, *(t for t in out_ts if t is not None)])[0], known


def directions(case, seed=1):
    return [draw(t, np.random.default_rng(seed + i), (-1, 1))
            for i, t in enumerate(case.types) if dt.is_inexact(t.dtype)]


def moved(case, xs, ts, step):
    ts = iter(ts)
    return [x + step * next(ts) if dt.is_inexact(x.dtype) else x for x in xs]


@pytest.mark.parametrize("case", SMOOTH, ids=str)
def test_tangents_are_finite_differences(case):
    graph, has_tangent = tangent_graph(case)
    xs, ts, step = case.draw(), directions(case), 1e-6
    results = interpret(graph, [*xs, *ts])
    tangents = iter(results[len(has_tangent):])
    ahead = interpret(case.graph(), moved(case, xs, ts, step))
    behind = interpret(case.graph(), moved(case, xs, ts, -step))
    for x, y, has in zip(ahead, behind, has_tangent):
        if dt.is_inexact(x.dtype) and case.op.name not in NOT_DIFFERENTIATED:
            close(next(tangents) if has else 0 * x, (x - y) / (2 * step), 1e-5)


# Their tangents are no differences: a constant by decree, and a rounding taken for the identity.
NOT_LINEAR = {"while", "reduce_precision"}  # in reverse: see below; and a rounding
NOT_DIFFERENTIATED = {"stop_gradient", "reduce_precision"}


@pytest.mark.parametrize("case", [c for c in SMOOTH if c.op.name not in NOT_LINEAR], ids=str)
def test_cotangents_are_the_transpose_of_tangents(case):
    """<cotangent, J tangent> == <J' cotangent, tangent>"""
    graph, has_tangent = tangent_graph(case)
    xs, ts = case.draw(), directions(case)
    out_ts = interpret(graph, [*xs, *ts])[len(has_tangent):]
    part = split(graph, [True] * len(xs) + [False] * len(ts))
    residuals = interpret(part.known, xs)[len(has_tangent):]
    cts = [draw(type_of(t), np.random.default_rng(9), (-1, 1)) for t in out_ts]
    known = len(residuals)
    with Builder() as builder:
        inputs = builder.inputs_like(part.residuals)
        ct_inputs = [builder.input(type_of(c)) for c in cts]
        results = transpose(part.unknown, [False] * known + [True] * len(ts),
                            [*inputs, *[None] * len(ts)], ct_inputs)
        backward, _ = builder.build([r for r in results if r is not None])
    back = iter(interpret(backward, [*residuals, *cts]))
    reached = [next(back) if r is not None else 0 for r in results]
    left = sum(np.sum(c * t) for c, t in zip(cts, out_ts))
    right = sum(np.sum(c * t) for c, t in zip(reached, ts))
    # Transposes are of real-linear maps: of complex products only the real part is meant.
    close(np.real(left), np.real(right), 1e-9)


def test_a_loop_of_unknown_length_has_no_reverse():
    case = in_double(next(c for c in CASES if c.op.name == "while"))
    with Builder() as builder, pytest.raises(TraceError, match="number of steps is not known"):
        cts = builder.inputs_like(case.graph().outputs)
        transpose(case.graph(), [True, False], [None, builder.input(case.types[1])], cts)


# -- batching --------------------------------------------------------------------------------------


def subsets(count):
    """Of operands that are batched: all there are, or each alone, all but each, and all."""
    if count <= 5:
        return [has for has in itertools.product((False, True), repeat=count) if any(has)]
    alone = [tuple(i == j for i in range(count)) for j in range(count)]
    return [*alone, *[tuple(not each for each in has) for has in alone], (True,) * count]


BATCHED = [(case, has) for case in CASES for has in subsets(len(case.types))]


@pytest.mark.parametrize("case, has", BATCHED, ids=[
    f"{case}-{''.join('v' if h else '.' for h in has)}" for case, has in BATCHED])
def test_batching_is_a_loop(case, has):
    size, graph = 3, case.graph()
    types = [t.with_shape((size, *t.shape)) if h else t for t, h in zip(case.types, has)]
    arrays = case.draw(types=types)
    with Builder() as builder:
        pairs = list(zip([builder.input(t) for t in types], has))
        outputs = batch(graph, pairs, size)
        whole, _ = builder.build([x for x, _ in outputs])
    results = interpret(whole, arrays)
    for i in range(size):
        alone = interpret(graph, [x[i] if h else x for x, h in zip(arrays, has)])
        for all_of_them, (_, varies), wanted in zip(results, outputs, alone):
            close(all_of_them[i] if varies else all_of_them, wanted, case.op.tolerance)


def test_a_batch_of_what_does_not_vary_stays_one():
    graph = Case(TABLE["sine"], (Type(dt.float32, (3,)),), {}).graph()
    with Builder() as builder:
        x = builder.input(graph.input_types[0])
        assert [has for _, has in batch(graph, [(x, False)], 5)] == [False]


# -- corners of arithmetic -------------------------------------------------------------------------


CORNERS = {
    dt.int8: [-128, -127, -2, -1, 0, 1, 2, 7, 8, 126, 127],
    dt.uint8: [0, 1, 2, 7, 8, 127, 128, 254, 255],
    dt.int32: [-2**31, -2**31 + 1, -32, -1, 0, 1, 31, 32, 33, 2**31 - 1],
    dt.float32: [-np.inf, -1e30, -2.5, -1.5, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 1.5, 2.5, 1e30,
                 np.inf, np.nan],  # nothing subnormal, which XLA takes for zero
}
ARITHMETIC = ["add", "subtract", "multiply", "divide", "remainder", "maximum", "minimum", "negate",
              "abs", "sign", "and", "or", "xor", "not", "shift_left", "shift_right_logical",
              "shift_right_arithmetic", "popcnt", "count_leading_zeros", "floor", "ceil",
              "round_nearest_even", "round_nearest_afz", "is_finite", "compare", "convert",
              "select", "clamp", "sqrt"]
EITHER_ZERO = {"maximum", "minimum", "clamp"}  # of -0 and 0, which are equal, either may be taken


@pytest.mark.parametrize("dtype", CORNERS, ids=str)
def test_corners_of_arithmetic_are_those_of_xla(dtype):
    values = np.array(CORNERS[dtype]).astype(dtype)
    pairs = [np.ravel(x) for x in np.meshgrid(values, values)]
    cases = [c for name in ARITHMETIC
             for c in elementwise(TABLE[name], dtype, pairs[0].shape)
             if not any(d in DTYPES and dt.is_float8(d) for d in c.attrs.values())]
    def operands(case):
        numbers = iter((*pairs, pairs[0]))
        return [pairs[0] > 0 if dt.is_bool(t.dtype) else next(numbers)
                for t in case.types]
    theirs = xla.run(joint_graph(cases), [x for case in cases for x in operands(case)])
    for case, wanted in zip(cases, theirs):
        (ours,) = interpret(case.graph(), operands(case))
        close(ours, wanted, 0)
        if dt.is_float(ours.dtype) and case.op.name not in EITHER_ZERO:
            zero = ours == 0
            assert np.array_equal(np.signbit(ours[zero]), np.signbit(wanted[zero])), str(case)

"""Random bits against XLA: the same bits and the same state afterwards."""

import numpy as np
import pytest
from xla_text import run_text, tensor

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError
from arraylib.hlo.batch import batch
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Builder, Type, trace_graph
from arraylib.hlo.ops.random_bits import rng_bit_generator
from arraylib.tracing.jvp import jvp

LAST = 2**64 - 1

SHAPES = [(), (0,), (1,), (2,), (7,), (2, 3), (3, 5), (5, 3), (3, 6, 4), (7, 3, 5), (0, 3)]
STATES = [[1, 2], [2**63 + 12345, LAST], [3, 4, 5], [2**40 + 7, LAST, LAST]]


def ours(state, algorithm, shape, dtype):
    state = np.array(state, np.uint64)
    return rng_bit_generator.evaluate(
        [state], {"rng_algorithm": algorithm, "shape": shape, "dtype": dtype})


def theirs(state, algorithm, cases):
    """XLA's states and bits for all (shape, dtype) of `cases`, compiled at once."""
    key = tensor("ui64", (len(state),))
    results, lines = [], []
    for i, (shape, dtype) in enumerate(cases):
        results += [key, tensor(dt.hlo_name(dtype), shape)]
        lines.append(f'%s{i}, %b{i} = "stablehlo.rng_bit_generator"(%key) {{rng_algorithm = '
                     f"#stablehlo<rng_algorithm {algorithm}>}} : ({key}) -> "
                     f"({', '.join(results[-2:])})")
    names = ", ".join(f"%s{i}, %b{i}" for i in range(len(cases)))
    types = ", ".join(results)
    outs = run_text("\n".join([f"func.func @main(%key: {key}) -> ({types}) {{", *lines,
                               f"return {names} : {types}", "}"]), [np.array(state, np.uint64)])
    return list(zip(outs[::2], outs[1::2]))


@pytest.mark.parametrize("algorithm, state", [
    *(("THREE_FRY", state) for state in STATES[:2]), *(("PHILOX", state) for state in STATES)],
    ids=str)
def test_bits_and_states_are_those_of_xla(algorithm, state):
    cases = [(shape, dtype) for shape in SHAPES for dtype in (dt.uint32, dt.uint64)]
    cases += [((3, 5), dt.uint8), ((2, 3), dt.uint16)]
    for case, (after, bits) in zip(cases, theirs(state, algorithm, cases)):
        mine = ours(state, algorithm, *case)
        assert np.array_equal(mine[0], after), case
        assert mine[1].dtype == bits.dtype and np.array_equal(mine[1], bits), case


def test_the_default_is_that_of_xla():
    ((after, bits),) = theirs([1, 2], "DEFAULT", [((5,), dt.uint32)])
    mine = ours([1, 2], "DEFAULT", (5,), dt.uint32)
    assert np.array_equal(mine[0], after) and np.array_equal(mine[1], bits)


def test_the_next_state_goes_on_where_this_one_ends():
    both = ours([5, 6], "PHILOX", (16,), dt.uint32)[1]
    after, first = ours([5, 6], "PHILOX", (8,), dt.uint32)
    second = ours(after, "PHILOX", (8,), dt.uint32)[1]
    assert np.array_equal(both, np.concatenate([first, second]))


def test_signed_integers_and_floats_have_the_same_bits():
    for signed, unsigned in ((dt.int32, np.uint32), (dt.float32, np.uint32), (dt.int8, np.uint8),
                             (dt.float64, np.uint64), (dt.bfloat16, np.uint16),
                             (dt.float4_e2m1fn, dt.uint4)):
        bits = ours([1, 2], "THREE_FRY", (6,), signed)[1]
        assert bits.dtype == signed
        same = bits.view(np.uint8).astype(unsigned) if dt.bits(signed) < 8 else bits.view(unsigned)
        assert np.array_equal(same,
                              ours([1, 2], "THREE_FRY", (6,), np.dtype(unsigned))[1])


@pytest.mark.parametrize("algorithm", ["THREE_FRY", "PHILOX"])
def test_a_batch_of_states_is_a_loop_over_them(algorithm):
    attrs = {"rng_algorithm": algorithm, "shape": (3, 5), "dtype": dt.uint16}
    graph = trace_graph([Type(dt.uint64, (2,))], lambda s: rng_bit_generator(s, **attrs))
    with Builder() as builder:
        states = builder.input(Type(dt.uint64, (4, 2)))
        whole, _ = builder.build([x for x, _ in batch(graph, [(states, True)], 4)])
    many = np.arange(8, dtype=np.uint64).reshape(4, 2)
    after, bits = interpret(whole, [many])
    for i, state in enumerate(many):
        one = ours(state, algorithm, (3, 5), dt.uint16)
        assert np.array_equal(after[i], one[0]) and np.array_equal(bits[i], one[1])


def test_bits_have_no_tangent():
    attrs = {"rng_algorithm": "PHILOX", "shape": (3,), "dtype": dt.uint32}
    graph = trace_graph([Type(dt.uint64, (2,))], lambda s: rng_bit_generator(s, **attrs))
    with Builder() as builder:
        pairs = jvp(graph, builder.inputs_like(graph.inputs), [None])
        assert [t for _, t in pairs] == [None, None]


@pytest.mark.parametrize("type, attrs, error, message", [
    (Type(dt.uint64, (3,)), {"rng_algorithm": "THREE_FRY"}, ShapeError, r"\(3,\) for THREE_FRY"),
    (Type(dt.uint64, (4,)), {}, ShapeError, r"\(4,\) for PHILOX"),
    (Type(dt.uint64, (2, 2)), {}, ShapeError, r"\(2, 2\) for PHILOX"),
    (Type(dt.uint32, (2,)), {}, DtypeError, "the state is uint32, not uint64"),
    (Type(dt.uint64, (2,)), {"dtype": dt.bool_}, DtypeError, "bool has no random bits"),
    (Type(dt.uint64, (2,)), {"dtype": dt.float6_e2m3fn}, DtypeError, "float6_e2m3fn has no random"),
    (Type(dt.uint64, (2,)), {"rng_algorithm": "MERSENNE"}, ShapeError, "'MERSENNE'"),
])
def test_mistakes_are_refused(type, attrs, error, message):
    attrs = {"rng_algorithm": "PHILOX", "shape": (2,), "dtype": dt.uint32, **attrs}
    with pytest.raises(error, match=f"rng_bit_generator: .*{message}"):
        rng_bit_generator.result_types([type], attrs)

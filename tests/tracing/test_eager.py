"""Operations outside every trace: the right road, the same results, errors at the user's line."""

import operator

import numpy as np
import pytest

from arraylib import dtypes as dt, numpy as jnp
from arraylib.array import Array
from arraylib.backends.cpu import memory
from arraylib.backends.cpu.memory import class_size
from arraylib.config import config
from arraylib.errors import ArgumentError, DtypeError, IntegerOverflowError, ShapeError
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, current, trace_graph
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import constant, full, iota
from arraylib.hlo.ops.loop import scan
from arraylib.hlo.ops.structured import reduce_add, transpose
from arraylib.tracing import eager

X = Array([1.0, 2.0, 3.0])
LARGE = Array(np.arange(200_000) % 1000, dt.float32)


def test_small_operands():
    result = ew.add(X, Array([1.0, 1.0, 1.0]))
    assert type(result) is Array and result.tolist() == [2, 3, 4]
    assert transpose(Array([[1, 2], [3, 4]]), permutation=(1, 0)).tolist() == [[1, 3], [2, 4]]
    assert full((2,), 3, dt.int32).tolist() == [3, 3]
    assert iota(shape=(3,), dimension=0, dtype=dt.int32).tolist() == [0, 1, 2]
    assert constant(value=np.float32(2)).tolist() == 2


@pytest.mark.parametrize("rule", [
    lambda x: ew.add(x, x), lambda x: ew.negate(x), lambda x: ew.convert(x, dtype=dt.int32),
    lambda x: ew.compare(x, x, direction="LE")])
def test_large_operands_give_what_small_ones_give(rule):
    graph = trace_graph([LARGE.type], lambda x: [rule(x)])
    expected, = interpret(graph, [np.asarray(LARGE)])
    for _ in range(2):
        found = rule(LARGE)
        assert found.type is graph.output_types[0]
        np.testing.assert_array_equal(found, expected)


def test_large_sums():
    assert reduce_add(LARGE, dimensions=(0,)).item() == pytest.approx(99_900_000, rel=1e-5)


def test_equal_attributes_of_different_meaning():
    """0.0 and -0.0 are equal keys of a dict, but not the same attribute."""
    zeros = [full((100_000,), zero, dt.float32) for zero in (0.0, -0.0)]
    signs = [np.signbit(np.asarray(ew.multiply(z, full((100_000,), 1, dt.float32)))) for z in zeros]
    assert not signs[0].any() and signs[1].all()


OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv,
             operator.mod, operator.pow, operator.lt, operator.le, operator.eq, operator.ne,
             operator.gt, operator.ge, jnp.maximum, jnp.minimum, jnp.arctan2,
             lambda a, b: jnp.where(jnp.less(a, b), a, b)]
LIMITS = [lambda a, b: jnp.clip(a, b, 6), lambda a, b: jnp.clip(a, 1, b)]


@pytest.mark.parametrize("size", [1, 4, 200_000])
@pytest.mark.parametrize("dtype", [dt.float32, dt.int32, dt.bfloat16])
def test_a_number_is_an_operand_as_if_it_were_written_out(dtype, size):
    array = Array(np.arange(size) % 7 + 1, dtype)
    for number in (3, 2.0, 5):
        full = Array([number] * size, jnp.result_type(array, number))
        pairs = [(f(array, number), f(array, full)) for f in OPERATORS + LIMITS]
        pairs += [(f(number, array), f(full, array)) for f in OPERATORS]
        for found, wanted in pairs:
            assert found.__class__ is Array and found.type.strong is wanted.type.strong
            np.testing.assert_array_equal(found, wanted)
            assert np.asarray(found).flags.c_contiguous


def test_a_number_is_not_written_out():
    before = memory.stats()
    result = LARGE + 1
    assert memory.stats().used - before.used <= class_size(LARGE.nbytes)
    assert result[5].item() == 6


def test_numbers_are_read_at_every_call(monkeypatch):
    """One program serves all numbers; 0.0 and -0.0 stay apart."""
    ones = LARGE * 0 + 1
    ones * 2.0
    monkeypatch.setattr(eager, "compile_graph", lambda graph: pytest.fail("compiled"))
    assert np.asarray(ones * 3.0)[7] == 3
    signs = [np.signbit(np.asarray(ones * zero)).any() for zero in (0.0, -0.0)]
    assert signs == [False, True]


def test_a_repeated_number_from_numpy_is_the_users():
    one = np.array(1.0, np.float32)
    view = np.broadcast_to(one, (4,))
    results = [ew.convert(view, dtype=dt.float32), ew.add(view, view), jnp.array(view),
               jnp.where(view > 0, view, 0)]
    one[()] = 9
    assert [x.tolist() for x in results] == [[1] * 4, [2] * 4, [1] * 4, [1] * 4]


def test_loops_are_compiled():
    body = trace_graph([Type(dt.float32, ()), Type(dt.float32, ())],
                       lambda total, x: [ew.add(total, x), total])
    total, before = scan(Array(0.0), X, body=body, consts=0, carry=1, length=3, reverse=False)
    assert total.item() == 6 and before.tolist() == [0, 1, 3]


def test_the_reference_backend_computes_everything_in_numpy(monkeypatch):
    monkeypatch.setattr(eager, "compile_graph", lambda graph: pytest.fail("compiled"))
    with config.using(backend="reference"):
        assert ew.negate(LARGE).shape == LARGE.shape


def test_operands_are_converted_and_copied():
    data = np.ones(3, np.float32)
    own = current().own(data)
    data[0] = 7
    assert own.dtype == dt.float32 and own.tolist() == [1, 1, 1]
    assert current().own(own) is own
    assert current().own(True).dtype == dt.bool_ and current().own(2).dtype == dt.int32
    with pytest.raises(IntegerOverflowError):
        current().own(1 << 40)
    with pytest.raises(ArgumentError, match="a str is neither an array nor a number"):
        current().own("text")


def test_errors_name_the_users_line():
    with pytest.raises(ShapeError, match=r"add: .*3.*2.*\n  at test_eager.py"):
        ew.add(X, Array([1.0, 2.0]))
    for _ in range(2):
        with pytest.raises(DtypeError, match="operands have different dtypes"):
            ew.add(X, Array([1, 2, 3]))


def test_results_do_not_change_with_what_they_were_computed_from():
    x = Array(np.zeros((2, 3)))
    turned = transpose(x, permutation=(1, 0))
    same = ew.convert(x, dtype=dt.float32)
    x.delete()
    assert turned.tolist() == [[0, 0]] * 3 and same.tolist() == [[0] * 3] * 2

"""Operations outside every trace: the right road, the same results, errors at the user's line."""

import numpy as np
import pytest

from arraylib import dtypes as dt
from arraylib.array import Array
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

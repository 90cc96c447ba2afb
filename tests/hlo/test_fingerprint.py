"""Fingerprints are equal for equal graphs, wherever they were written, and for no others."""

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.fingerprint import fingerprint
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import constant, full
from arraylib.hlo.ops.control import call
from arraylib.hlo.ops.structured import reduce_add, transpose

F32 = Type(dt.float32, (3,))


def digest(function, *types):
    return fingerprint(trace_graph(types or (F32, F32), function)).digest


def test_the_line_does_not_count():
    first = digest(lambda x, y: [ew.add(x, y)])
    assert digest(lambda x, y: [ew.add(x, y)]) == first


SQUARE = trace_graph([F32], lambda x: [ew.multiply(x, x)])
CUBE = trace_graph([F32], lambda x: [ew.multiply(x, ew.multiply(x, x))])
MATRIX = Type(dt.float32, (2, 3))

DIFFERENT = [
    lambda x, y: [ew.add(x, y)],
    lambda x, y: [ew.add(y, x)],
    lambda x, y: [ew.subtract(x, y)],
    lambda x, y: [ew.add(x, y), x],
    lambda x, y: [x, ew.add(x, y)],
    lambda x, y: [ew.add(x, constant(value=np.zeros(3, np.float32)))],
    lambda x, y: [ew.add(x, constant(value=np.array([0, -0.0, 0], np.float32)))],
    lambda x, y: [ew.add(x, full((3,), 0, dt.float32))],
    lambda x, y: [ew.add(x, full((3,), 1, dt.float32))],
    lambda x, y: [ew.compare(x, y, direction="LT")],
    lambda x, y: [ew.compare(x, y, direction="GT")],
    lambda x, y: [ew.convert(x, dtype=dt.float16)],
    lambda x, y: [ew.convert(x, dtype=dt.bfloat16)],
    lambda x, y: call(x, body=SQUARE),
    lambda x, y: call(x, body=CUBE),
    lambda x, y: [ew.multiply(x, x)],
]


def test_each_difference_counts():
    found = [digest(function) for function in DIFFERENT]
    found += [digest(lambda x, y: [ew.add(x, y)], t, t) for t in (MATRIX, F32.with_dtype(dt.int32))]
    found += [digest(lambda x, axis=axis: [reduce_add(x, dimensions=(axis,))], MATRIX)
              for axis in (0, 1)]
    assert len(set(found)) == len(found)


def test_numbers_that_are_equal_and_mean_different_things_count():
    def with_attribute(value):
        graph = trace_graph([MATRIX], lambda x: [transpose(x, permutation=(1, 0))])
        graph.nodes[0].attrs["more"] = value
        return fingerprint(graph).digest

    values = [1, True, 1.0, "1", b"1", 1 + 0j, None, (1,), (True,), (1.0,), 0.0, -0.0, (0.0,),
              (-0.0,), np.float32(1), np.float64(1), ((1,),), ((1.0,),), dt.float32, "is"]
    assert len(set(map(with_attribute, values))) == len(values)
    assert with_attribute("".join(["1", "2"])) == with_attribute("12")  # equal, not the same
    assert with_attribute((10**9, 10**9)) == with_attribute((10**9, int("1" + "0" * 9)))


def test_the_memory_order_of_a_constant_does_not_count():
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    strided = np.asfortranarray(values)
    assert digest(lambda x, y: [constant(value=values)]) == digest(
        lambda x, y: [constant(value=strided)])


def test_an_object_of_this_process_is_not_portable():
    assert fingerprint(trace_graph([F32], lambda x: [ew.negate(x)])).portable
    graph = trace_graph([MATRIX], lambda x: [transpose(x, permutation=(1, 0))])
    assert fingerprint(graph).portable
    node = graph.nodes[0]
    node.attrs["callback"] = print  # as a host callback's attributes have it
    assert not fingerprint(graph).portable


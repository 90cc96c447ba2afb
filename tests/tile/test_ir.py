"""The kernel IR: its text, equality, where its builder puts statements, and its interpreter."""

import numpy as np
import pytest

from arraylib import dtypes as dt
from arraylib.tile import interpret
from arraylib.tile.build import Builder
from arraylib.tile.ir import READ, WRITE, Index, Load, Nest, index


def scaled_rows(columns=40):
    """Each row divided by its sum."""
    b = Builder()
    x, y = b.pointer(dt.float32, READ), b.pointer(dt.float32, WRITE)
    row = index(b.chunk, columns)
    (i,) = b.open(1)
    ((total,),) = b.close([Index()], [Index(columns)], [("add", [b.load(x, row + index(i))])],
                          lanes=True, multiple=columns, registers=4)
    (i,) = b.open(1)
    quotient = b.apply("divide", [b.load(x, row + index(i)), total], dt.float32)
    b.store(y, row + index(i), quotient, stream=True)
    b.close([Index()], [Index(columns)], lanes=True, multiple=columns)
    return b.kernel()


TEXT = """\
kernel(p0: read f32, p1: write f32), chunk %0:
  lanes %1 in 0..40 (multiple 40, registers 4):
    %2 = p0[40 * %0 + %1]
  %3 = add %2
  lanes %4 in 0..40 (multiple 40, registers 1):
    %5 = p0[40 * %0 + %4]
    %6 = divide %5 %3 : f32
    p1[40 * %0 + %4] = %6 stream"""


def test_text():
    assert scaled_rows().text == TEXT


def test_kernels_that_do_the_same_are_equal():
    assert scaled_rows() == scaled_rows() and scaled_rows().key() == scaled_rows().key()
    assert hash(scaled_rows()) == hash(scaled_rows())
    assert scaled_rows() != scaled_rows(41) and scaled_rows().key() != scaled_rows(41).key()


def test_interpreter_runs_chunks():
    x = np.random.default_rng(0).random((3, 40), np.float32)
    y = np.zeros((3, 40), np.float32)
    for chunk in (2, 0, 1):
        interpret.run(scaled_rows(), [(x.reshape(-1), 0), (y.reshape(-1), 0)], chunk)
    np.testing.assert_allclose(y, x / x.sum(1, keepdims=True), rtol=1e-6)


def test_arguments_begin_where_the_caller_says():
    x, y = np.ones(45, np.float32), np.zeros(43, np.float32)
    interpret.run(scaled_rows(), [(x, 5), (y, 3)], 0)
    assert not y[:3].any() and y[3:].all()


@pytest.mark.parametrize("sizes, chunk", [((39, 40), 0), ((40, 39), 0), ((40, 40), 1)])
def test_no_index_is_out_of_bounds(sizes, chunk):
    memory = [(np.ones(n, np.float32), 0) for n in sizes]
    with pytest.raises(IndexError, match=r"p[01]\[40 \* %0 \+ %\d\] is \d+\.\.\d+ of"):
        interpret.run(scaled_rows(), memory, chunk)


def test_statements_stand_in_the_outermost_block_they_can():
    b = Builder()
    x, y = b.pointer(dt.float32, READ), b.pointer(dt.float32, WRITE)
    (row,) = b.open(1)
    (i,) = b.open(1)
    scale = b.load(x, index(row))
    everywhere = b.apply("add", [b.constant(1, dt.float32)] * 2, dt.float32)
    b.store(y, index(i), b.apply("multiply", [scale, everywhere], dt.float32))
    b.close([Index()], [Index(8)], lanes=True, multiple=8)
    b.close([Index()], [Index(3)])
    *outside, nest = b.kernel().body
    assert [str(s) for s in outside] == ["%4 = constant 1 : f32", "%5 = add %4 %4 : f32"]
    assert isinstance(nest, Nest) and isinstance(nest.body[0], Load)
    assert len(nest.body[-1].body) == 1, "only the store is left inside"


def test_what_is_written_is_read_again():
    b = Builder()
    x, y = b.pointer(dt.float32, READ), b.pointer(dt.float32, WRITE)
    assert b.load(x, Index(3)) is b.load(x, Index(3))
    assert b.load(y, Index(3)) is not b.load(y, Index(3))


def test_sums_of_places():
    b = Builder()
    i, j = b.open(2)
    place = (index(i, 3) + index(j) + 4) * 2 + index(i, -6)
    assert place == Index(8, ((j, 2),)) and place.coefficient(i) == 0
    assert str(Index()) == "0" and str(place) == f"2 * {j} + 8"


def test_serial_loops_run_in_order_and_carry_through_memory():
    b = Builder()
    x, y = b.pointer(dt.int32, READ), b.pointer(dt.int32, WRITE)
    (i,) = b.open(1)
    total = b.apply("add", [b.load(y, index(i)), b.load(x, index(i))], dt.int32)
    b.store(y, index(i) + 1, total)
    b.close([Index()], [Index(5)])
    y = np.zeros(6, np.int32)
    interpret.run(b.kernel(), [(np.arange(5, dtype=np.int32), 0), (y, 0)], 0)
    assert y.tolist() == [0, 0, 1, 3, 6, 10]

"""Running in many processes: programs of their own, loops, and what goes wrong between them."""

import threading
import time

import numpy as np
import pytest

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, Source
from arraylib.hlo.ir import Type, located, trace_graph
from arraylib.hlo.ops import control, elementwise as ew
from arraylib.hlo.ops.collective import (
    all_gather,
    all_reduce,
    body_of,
    partition_id,
    reduce_scatter,
    replica_id,
)
from arraylib.hlo.ops.constant import constant
from arraylib.hlo.ops.host import host_call
from arraylib.hlo.parallel import evaluate_parallel
from arraylib.hlo.processes import CommunicationError, this_process

SCALAR, VECTOR = Type(dt.float32, ()), Type(dt.float32, (4,))
SUM = body_of(dt.float32)
LINE = Source("model.py", 7, "layer")


def reduced(x, *rows, body=SUM):
    """The sum over a row of replicas, written at LINE."""
    with located(LINE):
        return all_reduce(x, body=body, replica_groups=rows, channel_id=0,
                          use_global_device_ids=False)[0]


def total(x, *row, body=SUM):
    """The sum over these replicas, which are all."""
    return reduced(x, row, body=body)


def run(programs, arguments, *grid):
    """As evaluate_parallel, but a run that hangs is a failure."""
    found, start = [], time.perf_counter()
    def target():
        try:
            found.append(evaluate_parallel(programs, arguments, *grid))
        except BaseException as error:
            found.append(error)
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join(10)
    assert found, "it hangs"
    assert time.perf_counter() - start < 5
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def graph(function, *types):
    def outputs(*xs):
        out = function(*xs)
        return out if isinstance(out, list) else [out]
    return trace_graph(types, outputs)


def loop(step):
    """x -> x after as many steps as replica_id says, and one more."""
    types = [Type(dt.uint32, ()), SCALAR]
    few = graph(lambda i, x: ew.compare(i, replica_id(), direction="LE"), *types)
    more = graph(lambda i, x: [ew.add(i, constant(value=np.uint32(1))), step(x)], *types)
    return graph(lambda x: control.while_(constant(value=np.uint32(0)), x, cond=few, body=more,
                                          cond_consts=0, body_consts=0)[1], SCALAR)


NUMBERS = [[np.float32(1)], [np.float32(2)], [np.float32(3)]]


# -- what goes well --------------------------------------------------------------------------------


def test_each_process_may_have_its_own_program():
    sends = graph(lambda x: ew.negate(total(x, 0, 1)), SCALAR)
    asks = graph(lambda x: total(ew.multiply(x, x), 0, 1), SCALAR)
    assert run([[sends], [asks]], NUMBERS[:2]) == [(-5,), (5,)]


def test_programs_form_a_grid_of_replicas_by_partitions():
    ids = graph(lambda: [replica_id(), partition_id()])
    swapped = graph(lambda: [partition_id(), replica_id()])
    assert run([[ids, swapped, ids], [ids, ids, swapped]], [[]] * 6) == [
        (0, 0), (1, 0), (0, 2), (1, 0), (1, 1), (2, 1)]


def test_loops_may_differ_where_nobody_waits():
    assert run(loop(lambda x: ew.add(x, x)), NUMBERS, 3) == [(2,), (8,), (24,)]


def test_groups_go_their_own_ways():
    """Two pairs, of which one meets three times and the other once."""
    def meet(times):
        def function(x):
            for _ in range(times):
                x = reduced(x, (0, 1), (2, 3))
            return x
        return graph(function, SCALAR)
    programs = [[meet(1)], [meet(1)], [meet(3)], [meet(3)]]
    assert run(programs, [[np.float32(i)] for i in range(4)]) == [(1,), (1,), (20,), (20,)]


def test_results_are_of_their_own():
    first, second = run(graph(lambda x: total(x, 0, 1), VECTOR), [[np.ones(4, np.float32)]] * 2, 2)
    first[0][0] = 9
    assert second[0].tolist() == [2, 2, 2, 2]


def test_the_order_of_a_reduction_is_that_of_the_group():
    """Float sums, in which the order shows."""
    parts = [np.float32(1e8), np.float32(1), np.float32(-1e8)]
    def ordered(*row):
        return [float(x) for x, in run(graph(lambda x: total(x, *row), SCALAR),
                                       [[x] for x in parts], 3)]
    assert ordered(0, 1, 2) == [0] * 3 and ordered(0, 2, 1) == [1] * 3


def test_runs_go_the_same_way_every_time():
    """Who meets last computes for all; who it is does not change."""
    trail = []
    def note(results, x):
        trail.append(this_process().number)
        return (x,)
    def function(x):
        for _ in range(3):
            (x,) = host_call(x, function=note, results=(SCALAR,), method=None)
            x = total(x, 2, 0, 1)
        return x
    program = graph(function, SCALAR)
    run(program, NUMBERS, 3)
    first, trail[:] = list(trail), []
    run(program, NUMBERS, 3)
    assert trail == first and sorted(trail) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_process_may_run_processes():
    inner = graph(lambda x: total(x, 0, 1), SCALAR)
    def nested(results, x):
        return (evaluate_parallel(inner, [[x], [x]], 2)[0][0],)
    outer = graph(lambda x: total(host_call(x, function=nested, results=(SCALAR,), method=None)[0],
                                  0, 1), SCALAR)
    assert run(outer, NUMBERS[:2], 2) == [(6,), (6,)]
    assert this_process().grid.size == 1


def test_many_processes_take_little_time():
    everybody = tuple(range(64))
    def function(x):
        for _ in range(25):
            part = reduce_scatter(x, scatter_dimension=0, body=SUM, replica_groups=(everybody,),
                                  channel_id=0, use_global_device_ids=False)
            mean = ew.multiply(part, constant(value=np.full(1, 1 / 64, np.float32)))
            (x,) = all_gather(mean, all_gather_dim=0, replica_groups=(everybody,), channel_id=0,
                              use_global_device_ids=False)
        return x
    x = np.arange(64, dtype=np.float32)
    results = run(graph(function, Type(dt.float32, (64,))), [[x]] * 64, 64)
    assert all(np.array_equal(y, x) for y, in results)


# -- what goes wrong -------------------------------------------------------------------------------


def test_a_loop_that_ends_early_leaves_the_others_waiting():
    with pytest.raises(CommunicationError) as error:
        run(loop(lambda x: total(x, 0, 1, 2)), NUMBERS, 3)
    lines = str(error.value).split("\n")
    assert lines == [
        "all_reduce: no process can go on",
        "  process 1 (replica 1, partition 0) waits in all_reduce(f32[]) for process 0, which has "
        "finished", "    at model.py:7 in layer",
        "  process 2 (replica 2, partition 0) waits in all_reduce(f32[]) for process 0, which has "
        "finished", "    at model.py:7 in layer", "  at model.py:7 in layer",
        "  try: all members of a group must call the same collectives in the same order, also in "
        "loops and branches"]


def test_processes_that_wait_for_each_other():
    """The first in a pair, the second in a larger group."""
    pair, all_three = ((0, 1), (2, -1)), ((0, 1, 2),)
    first = graph(lambda x: reduced(reduced(x, *pair), *all_three), SCALAR)
    second = graph(lambda x: reduced(reduced(x, *all_three), *pair), SCALAR)
    with pytest.raises(CommunicationError) as error:
        run([[first], [second], [second]], NUMBERS)
    for line in ("process 0 (replica 0, partition 0) waits in all_reduce(f32[]) for process 1, "
                 "which waits in all_reduce(f32[])\n    at model.py:7",
                 "process 2 (replica 2, partition 0) waits in all_reduce(f32[]) for process 0, "
                 "which waits in all_reduce(f32[])\n    at model.py:7"):
        assert line in str(error.value)


def test_a_long_list_of_processes_is_cut():
    program = graph(lambda x: total(x, *range(40)), SCALAR)
    other = graph(lambda x: x, SCALAR)
    with pytest.raises(CommunicationError, match="no process can go on, and 12 more") as error:
        run([[program]] * 20 + [[other]] * 20, [[np.float32(1)]] * 40)
    assert str(error.value).count("which has finished, and 12 more") == 8


def test_members_that_call_different_operations():
    reduces = graph(lambda x: total(x, 0, 1), VECTOR)
    gathers = graph(lambda x: all_gather(x, all_gather_dim=0, replica_groups=((0, 1),),
                                         channel_id=0, use_global_device_ids=False)[0], VECTOR)
    with pytest.raises(CommunicationError) as error:
        run([[reduces], [gathers]], [[np.ones(4, np.float32)]] * 2)
    message = str(error.value)
    assert message.startswith(
        "all_gather: process 1 (replica 1, partition 0) calls all_gather(f32[4]), but process 0 "
        "(replica 0, partition 0) of its group calls all_reduce(f32[4])\n")
    assert "at model.py:7 in layer, the other\n  at test_parallel.py:" in message


def test_members_whose_operands_differ():
    small, large = (graph(lambda x: total(x, 0, 1), t) for t in (SCALAR, VECTOR))
    with pytest.raises(CommunicationError, match=r"calls all_reduce\(f32\[4\]\), but process 0 .* "
                       r"calls all_reduce\(f32\[\]\)"):
        run([[small], [large]], [[np.float32(1)], [np.ones(4, np.float32)]])


def test_members_whose_attributes_differ():
    product = body_of(dt.float32, ew.multiply)
    programs = [[graph(lambda x, body=body: total(x, 0, 1, body=body), SCALAR)]
                for body in (SUM, product)]
    with pytest.raises(CommunicationError, match=r"calls all_reduce\(f32\[\]\) with body=.*multiply"
                       r".*, but process 0 .* calls it with body=.*add"):
        run(programs, NUMBERS[:2])


def test_an_exception_ends_all_processes():
    """One raises while others wait for it, and one has not begun."""
    begun = []
    def fails(results, x):
        begun.append(this_process().number)
        if this_process().number == 1:
            raise ZeroDivisionError("of process 1")
        return (x,)
    def function(x):
        (x,) = host_call(x, function=fails, results=(SCALAR,), method=None)
        return total(x, 0, 1, 2)
    threads = threading.active_count()
    with pytest.raises(ZeroDivisionError, match="of process 1") as error:
        run(graph(function, SCALAR), NUMBERS, 3)
    assert error.value.__notes__[-1:] == ["in process 1 (replica 1, partition 0)"]
    assert begun == [0, 1] and threading.active_count() <= threads


def test_an_exception_after_a_meeting_ends_all_processes():
    """The others are free to go on by then, but have not got their turn."""
    def fails(results, x):
        raise KeyError("late")
    def function(x):
        return host_call(total(x, 0, 1, 2), function=fails, results=(SCALAR,), method=None)[0]
    threads = threading.active_count()
    with pytest.raises(KeyError, match="late") as error:
        run(graph(function, SCALAR), NUMBERS, 3)
    assert error.value.__notes__[-1:] == ["in process 2 (replica 2, partition 0)"]
    assert threading.active_count() <= threads


@pytest.mark.parametrize("arguments, grid, message", [
    (NUMBERS, (2,), "3 lists of arguments for 2 replicas of 1 partitions, 2 processes"),
    ([[np.float32(1)], [np.float64(1)]], (2,), r"process 1 \(replica 1, partition 0\) gets "
     r"\(f64\[\]\), but its program takes \(f32\[\]\)"),
    ([[]], (1,), r"gets \(\), but its program takes"),
    ([], (0,), "a grid of 0 replicas by 1 partitions"),
])
def test_arguments_must_fit(arguments, grid, message):
    with pytest.raises(ArgumentError, match=f"evaluate_parallel: .*{message}"):
        run(graph(lambda x: x, SCALAR), arguments, *grid)


def test_programs_must_form_a_grid():
    one = graph(lambda x: x, SCALAR)
    with pytest.raises(ArgumentError, match=r"rows of \[1, 2\] programs"):
        run([[one, one], [one]], NUMBERS)
    with pytest.raises(ArgumentError, match="num_partitions is 2, but there are programs for 1"):
        run([[one], [one], [one]], NUMBERS, None, 2)

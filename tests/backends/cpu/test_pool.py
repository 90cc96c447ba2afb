"""The thread pool: every chunk once, whatever the callers, the thread counts and the system do."""

import ctypes
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from arraylib.backends.cpu import machine, pool, pool_code, target
from arraylib.backends.cpu.emitter import Function
from arraylib.config import config

PARFOR_TYPE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)


def counting_kernel(parfor: int, inner: bool) -> int:
    """`kernel(args, chunk)`: args[chunk] += 1; with `inner`, a parallel call over ten."""
    module = target.new_module()
    leaf = Function(module, "leaf", [("ptr", "args"), ("i64", "chunk")])
    place = leaf.gep(leaf.args[0], leaf.args[1], "i64")
    leaf.store(leaf.load(place, "i64") + 1, place)
    leaf.ret()
    kernel = Function(module, "kernel", [("ptr", "args"), ("i64", "chunk")], internal=False)
    args, chunk = kernel.args
    if inner:
        kernel.call("arraylib_parfor", "void", [kernel.address("leaf"), kernel.gep(
            args, chunk * 10, "i64"), kernel.const("i64", 10)])
    else:
        kernel.call("leaf", "void", [args, chunk])
    kernel.ret()
    objects = [target.compile_object(module.text())]
    return target.link(objects, ["kernel"], {"arraylib_parfor": parfor})["kernel"]


@pytest.fixture(scope="module")
def parfor():
    return PARFOR_TYPE(pool.symbols()["arraylib_parfor"])


@pytest.fixture(scope="module")
def kernel():
    return counting_kernel(pool.symbols()["arraylib_parfor"], inner=False)


@pytest.fixture(scope="module")
def nested():
    return counting_kernel(pool.symbols()["arraylib_parfor"], inner=True)


@pytest.fixture(autouse=True)
def restore_threads():
    before = pool.threads()
    yield
    pool.set_threads(before)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("chunks", [0, 1, 2, 3, 17, 1000])
def test_every_chunk_runs_once(parfor, kernel, threads, chunks):
    pool.set_threads(threads)
    for turn in range(1, 40):
        counts = np.zeros(chunks + 1, np.int64)
        parfor(kernel, counts.ctypes.data, chunks)
        assert (counts[:chunks] == 1).all() and counts[chunks] == 0, (threads, chunks, turn)


def test_sleeping_workers_are_woken(parfor, kernel):
    pool.set_threads(3)
    for _ in range(20):
        counts = np.zeros(100, np.int64)
        parfor(kernel, counts.ctypes.data, 100)
        assert (counts == 1).all()
        time.sleep(0.002)


def test_thread_count_may_change_between_calls(parfor, kernel):
    counts = np.zeros(50, np.int64)
    pool.set_threads(2)
    parfor(kernel, counts.ctypes.data, 50)
    few, most = settled_threads(), 0
    for turn in range(60):
        pool.set_threads(turn % 5 + 1)
        counts[:] = 0
        parfor(kernel, counts.ctypes.data, 50)
        assert (counts == 1).all()
        most = max(most, threads_alive())
    pool.set_threads(2)
    parfor(kernel, counts.ctypes.data, 50)
    assert settled_threads() == few < most, "workers of earlier sizes leave"


def threads_alive() -> int:
    """Those of other libraries too, which start theirs when first used."""
    return len(os.listdir("/proc/self/task"))


def settled_threads() -> int:
    """How many threads there are once that number stays the same."""
    before = 0
    while (now := threads_alive()) != before:
        before = now
        time.sleep(0.3)
    return now


def test_parallel_calls_inside_chunks(parfor, nested):
    pool.set_threads(4)
    for _ in range(50):
        counts = np.zeros(200, np.int64)
        parfor(nested, counts.ctypes.data, 20)
        assert (counts == 1).all()


def test_several_python_threads_call_at_once(parfor, kernel, nested):
    pool.set_threads(3)
    wrong = []

    def caller():
        for turn in range(300):
            counts = np.zeros(200, np.int64)
            parfor(*((nested, counts.ctypes.data, 20) if turn % 2 else
                     (kernel, counts.ctypes.data, 200)))
            if not (counts == 1).all():
                wrong.append(counts)

    callers = [threading.Thread(target=caller) for _ in range(4)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_a_pool_of_its_own(parfor, kernel):
    pool.set_threads(3)
    counts = np.zeros(50, np.int64)
    parfor(kernel, counts.ctypes.data, 50)
    child = os.fork()
    if child == 0:
        counts[:] = 0
        parfor(kernel, counts.ctypes.data, 50)
        alive = len(os.listdir("/proc/self/task"))
        os._exit(0 if (counts == 1).all() and alive == 3 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    parfor(kernel, counts.ctypes.data, 50)
    assert (counts == 2).all()


def test_condition_variables_serve_systems_without_futex(kernel):
    system = pool_code.System(pause=pool.system().pause, set_mask=pool.system().set_mask)
    text = pool_code.module(system, target.new_module()).text()
    assert "@syscall" not in text
    code = target.link([target.compile_object(text)], [
        pool_code.PARFOR, pool_code.RESET, pool_code.STATE])
    ctypes.CFUNCTYPE(None)(code[pool_code.RESET])()
    state = ctypes.CFUNCTYPE(ctypes.c_void_p)(code[pool_code.STATE])()
    for spins in (0, 100_000):
        for turn in range(100):
            ctypes.c_int32.from_address(state + pool_code.SPINS).value = spins
            ctypes.c_int32.from_address(state + pool_code.WANTED).value = 2 + turn // 50
            counts = np.zeros(30, np.int64)
            PARFOR_TYPE(code[pool_code.PARFOR])(kernel, counts.ctypes.data, 30)
            assert (counts == 1).all()


def test_system_without_threads_loops(kernel):
    text = pool_code.module(pool_code.System(threads=False), target.new_module()).text()
    assert "pthread" not in text
    code = target.link([target.compile_object(text)], [pool_code.PARFOR])
    counts = np.zeros(30, np.int64)
    PARFOR_TYPE(code[pool_code.PARFOR])(kernel, counts.ctypes.data, 30)
    assert (counts == 1).all()


def test_thread_count_is_positive():
    with pytest.raises(ValueError, match="not 0"):
        pool.set_threads(0)


def test_processors_follow_affinity_and_quota(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    affinity = len(os.sched_getaffinity(0))
    assert pool.available_cpus() == affinity
    for quota, expected in (("max 100000", affinity), ("50000 100000", 1),
                            ("150000 100000", min(2, affinity)), ("garbage", affinity)):
        (tmp_path / "cpu.max").write_text(quota)
        monkeypatch.setattr(machine, "cgroup_folders", lambda: [tmp_path])
        assert pool.available_cpus() == expected, quota


def test_limits_are_read_once_for_a_program(monkeypatch):
    read = []
    monkeypatch.setattr(pool, "is_linked", lambda: False)
    monkeypatch.setattr(pool, "_cgroup_limit", lambda: read.append(1) or 1.5)
    pool._first_limit.cache_clear()
    try:
        expected = min(2, len(os.sched_getaffinity(0)))
        assert [pool.threads() for _ in range(3)] == [expected] * 3 and len(read) == 1
        with config.using(cpu_threads=7):
            assert pool.threads() == 7
    finally:
        pool._first_limit.cache_clear()


def test_threads_start_from_the_setting():
    done = subprocess.run(
        [sys.executable, "-c", "from arraylib.backends.cpu import pool; print(pool.threads())"],
        env=dict(os.environ, ARRAYLIB_CPU_THREADS="5"), capture_output=True, text=True, check=True)
    assert done.stdout == "5\n" and config.cpu_threads == 0


MANY_COME_FIRST = """
import threading, time
from arraylib.backends.cpu import interrupt, pool, target
link, linked = target.link, []
def slow(*args):
    linked.append(args)
    time.sleep(0.1)
    return link(*args)
target.link = slow
threads = [threading.Thread(target=ask) for ask in 4 * [pool.symbols, interrupt.settling]]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(linked))
"""


def test_threads_that_come_first_at_one_time_have_one_pool_and_one_handler():
    done = subprocess.run([sys.executable, "-c", MANY_COME_FIRST], capture_output=True, text=True,
                          timeout=60)
    assert (done.stdout, done.stderr) == ("2\n", "")


EXIT_WHILE_SPINNING = """
import ctypes, numpy as np
from arraylib.backends.cpu import pool
from tests.backends.cpu.test_pool import counting_kernel, PARFOR_TYPE
parfor = pool.symbols()["arraylib_parfor"]
kernel, counts = counting_kernel(parfor, inner=False), np.zeros(100, np.int64)
pool.set_threads(4)
pool._setting(128).value = 1 << 30   # never sleep
PARFOR_TYPE(parfor)(kernel, counts.ctypes.data, 100)
"""


def test_interpreter_exits_while_workers_spin():
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", EXIT_WHILE_SPINNING],
                              capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")

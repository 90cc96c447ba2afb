"""Ctrl-C while a program runs: it ends soon, the exception is Python's, all goes on as before."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import jit, lax
from arraylib.backends.cpu import memory

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's here")
SOON = 2.0  # seconds: 0.2 on a machine that has nothing else to do


def endless(x):
    """A loop that ends when a number is infinite, which is never."""
    return lax.while_loop(lambda c: c[0] < jnp.inf, lambda c: (jnp.sin(c[0]), c[1] @ c[1]), x)


def nested(x):
    return lax.fori_loop(0, 1 << 30, lambda i, c: lax.fori_loop(
        0, 100, lambda j, d: d * 0.5, c), x)


x = jnp.ones(300)
CASES = {"while": (endless, ((jnp.ones(()), jnp.eye(64)),)), "nested": (nested, (x,))}


@pytest.fixture(autouse=True)
def python_handles_it():
    """A job in the background of a shell ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt(function, *args, after=0.3):
    """Call with a Ctrl-C on the way; the seconds from the signal to the exception.

    Another one follows after a while: where Python is in a callback just then, the first is lost.
    """
    sent, done = [], threading.Event()

    def send():
        while not done.wait(10 if sent else after):
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            function(*args)
            time.sleep(20)
        return time.perf_counter() - sent[-1]
    finally:
        done.set()
        sender.join()


@pytest.mark.parametrize("name", CASES)
def test_loops_stop(name):
    function, args = CASES[name]
    f = jit(function)
    for _ in range(3):  # in Python, by native calls, and once more
        assert interrupt(f, *args) < SOON
    gc.collect()
    before = memory.stats().used
    interrupt(f, *args)
    gc.collect()
    assert memory.stats().used <= before
    assert float(jit(lambda a: lax.fori_loop(0, 10, lambda i, c: c + i, a))(jnp.ones(()))) == 46


def test_a_handler_that_raises_nothing():
    seen = []
    f = jit(lambda a: lax.fori_loop(0, 3_000_000, lambda i, c: c + 1, a))
    zero = jnp.zeros((), jnp.int32)
    assert int(f(zero)) == 3_000_000
    previous = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        jit(lambda a: lax.fori_loop(0, 10, lambda i, c: c + 2, a))(zero)
        threading.Timer(0.001, os.kill, (os.getpid(), signal.SIGINT)).start()
        for _ in range(20):
            assert int(f(zero)) == 3_000_000
    finally:
        signal.signal(signal.SIGINT, previous)
    assert seen == [1]


def test_loops_in_other_threads_go_on():
    f = jit(lambda a: lax.fori_loop(0, 20_000_000, lambda i, c: c + 1, a))
    zero, found = jnp.zeros((), jnp.int32), []
    f(zero)
    thread = threading.Thread(target=lambda: found.append(int(f(zero))))
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    thread.join()
    assert found == [20_000_000]
    assert int(f(zero)) == 20_000_000


_CALLBACK = """
import signal, os, numpy as np
import arraylib.numpy as jnp
from arraylib import jit, lax
{setting}
f = jit(lambda a: lax.fori_loop(0, 1000, lambda i, c: c + 1, a))
print(int(f(jnp.zeros((), jnp.int32))))
try:
    os.kill(os.getpid(), signal.SIGINT)
    print("went on")
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("setting, output", [
    ("", "interrupted"), ("signal.signal(signal.SIGINT, signal.SIG_IGN)", "went on")])
def test_signals_outside_of_programs_are_python_s(setting, output):
    done = subprocess.run([sys.executable, "-c", _CALLBACK.format(setting=setting)],
                          capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[:2] == ["1000", output], done.stderr


def test_the_default_action_stays():
    done = subprocess.run([sys.executable, "-c", _CALLBACK.format(
        setting="signal.signal(signal.SIGINT, signal.SIG_DFL)")],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGINT


def test_system_calls_are_interrupted():
    """A read from a pipe ends at once, as it does without arraylib."""
    jit(lambda a: lax.fori_loop(0, 10, lambda i, c: c + 1, a))(jnp.zeros(()))
    source, target = os.pipe()
    try:
        assert interrupt(os.read, source, 1) < SOON
    finally:
        os.close(source), os.close(target)


def test_results_after_an_interrupt():
    f = jit(lambda a: lax.scan(lambda c, v: (c + v, c * v), jnp.zeros(()), a))
    a = jnp.arange(1000.0)
    expected = [np.asarray(v) for v in f(a)]
    interrupt(jit(endless), (jnp.ones(()), jnp.eye(64)))
    for _ in range(3):
        for value, wanted in zip(f(a), expected, strict=True):
            np.testing.assert_array_equal(np.asarray(value), wanted)

"""Calls served by native code: the same as in Python, and no trace left behind."""

import collections
import gc
import signal
import subprocess
import sys
import threading
import weakref
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import arraylib
import arraylib.numpy as jnp
from arraylib import jit, tree
from arraylib.backends.cpu import memory
from arraylib.backends.cpu.calls.layout import RAW
from arraylib.config import config
from arraylib.errors import DonatedError, TraceError
from arraylib.hlo.ir import building
from arraylib.tracing.jit import Jitted

native = pytest.mark.skipif(not RAW, reason="calls stay in Python here")
Point = collections.namedtuple("Point", "x y")


@pytest.fixture
def no_python(monkeypatch):
    """`no_python(f)` lets `f` be called by native code alone."""
    def forbid(function):
        def refuse(*args, **kwargs):
            raise AssertionError("the call went through Python")
        monkeypatch.setattr(Jitted, "_call_seen", refuse)
        monkeypatch.setattr(Jitted, "_slow", refuse)
        function._last = -1, None, None, None
        return function
    return forbid


def same(x, y):
    assert tree.structure(x) is tree.structure(y)
    for a, b in zip(tree.leaves(x), tree.leaves(y), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


x, y = jnp.arange(4.0), jnp.arange(6).reshape(2, 3)

CASES = {
    "one": (lambda a: a + 1, (x,)),
    "none": (lambda: jnp.arange(3), ()),
    "two": (lambda a, b: (a * 2, b.sum()), (x, y)),
    "dict": (lambda d: {"sum": d["a"] + d["b"][0], "rest": [d["b"][1]]}, ({"b": [x, y], "a": x},)),
    "empty": (lambda d: [(), {}, None, d], ({"a": (), "b": None, "c": [x]},)),
    "namedtuple": (lambda p: Point(p.y, (p.x,)), (Point(x, y),)),
    "ordered": (lambda a: collections.OrderedDict(b=a, a=a + 1), (x,)),
    "passed on": (lambda a: (a, a, a), (x,)),
    "large": (lambda a: (a + 1, a.sum()), (jnp.ones((1000, 700)),)),
    "size 0": (lambda a: a * 2, (jnp.ones((0, 3)),)),
    "many": (lambda d: {k: v + 1 for k, v in d.items()}, ({f"k{i}": x for i in range(300)},)),
    "arena": (lambda a: (a @ a) @ (a @ a), (jnp.ones((70, 70)),)),
}


@native
@pytest.mark.parametrize("name", CASES)
def test_native_calls_give_what_python_gives(name, no_python):
    function, args = CASES[name]
    for leaf in tree.leaves(args):
        assert leaf.address  # known, as it is of every result
    with config.using(native_calls=False):
        expected = jit(function)(*args)
    f = jit(function)
    same(f(*args), expected)
    no_python(f)
    for _ in range(3):
        same(f(*args), expected)


trees = st.recursive(
    st.sampled_from([jnp.arange(3.0), jnp.ones((2, 2), jnp.int32), jnp.zeros(())]) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple)
    | st.tuples(inner, inner).map(lambda p: Point(*p))
    | st.dictionaries(st.sampled_from("abcd") | st.integers(0, 3).map(str), inner, max_size=3),
    max_leaves=8)


@given(trees)
@settings(deadline=None, max_examples=25)
def test_trees_come_back(given):
    f = jit(lambda t: tree.map(lambda v: v + 1, t))
    expected = tree.map(lambda v: np.asarray(v) + 1, given)
    for _ in range(3):
        same(f(given), expected)


@native
def test_keys_and_orders(no_python):
    f = jit(lambda d: d["first"] - d["second"])
    f({"first": x, "second": x + 1})
    f({"second": x + 1, "first": x})
    no_python(f)
    for key in ("first", "fir"):
        d = {"second": x + 1, key + "st" * (key == "fir"): x}  # another string object
        same(f(d), x - (x + 1))
    same(f({"first": x, "second": x + 1}), x - (x + 1))


def test_what_is_like_an_argument_but_differs():
    f = jit(lambda d: tree.leaves(d)[0] + 1)
    for _ in range(2):
        for argument in (x, [x], (x,), {"a": x}, {"b": x}, {1: x}, Point(x, y), [x, None], (x, y),
                         collections.OrderedDict(a=x), 1.0, np.arange(4.0), y, jnp.zeros(5)):
            same(f(argument), np.asarray(tree.leaves(argument)[0]) + 1)
    with pytest.raises(TypeError):
        f(x, x)
    with pytest.raises(TypeError):
        f()
    with pytest.raises(TypeError):
        f("text")


def test_arguments_by_name_static_and_donated():
    f = jit(lambda a, b, n: (a + b) * n, static_argnames="n")
    g = jit(lambda a, b: a + b, donate_argnums=0)
    for _ in range(3):
        same(f(x, b=x, n=3), x * 6)
        same(f(x, x, 2), x * 4)
        given = x + 1
        same(g(given, b=x), x + x + 1)
        with pytest.raises(DonatedError, match=r"donated as argument 'a'"):
            g(given, x)


@native
def test_names_and_static_values(no_python):
    f = jit(lambda a, b, n=1, mode="up": (a["p"] - b) * n if mode == "up" else b,
            static_argnames=("n", "mode"))
    a, b = {"p": x}, y[0, 0].astype("float32")

    def mode(text):
        return "".join(list(text))  # another string object each time

    calls = [lambda: f(a, b), lambda: f(a, b=b), lambda: f(b=b, a=a), lambda: f(a, b, 3),
             lambda: f(a, b, n=3), lambda: f(n=2, a=a, b=b), lambda: f(a, mode="down", b=b)]
    expected = [call() for call in calls]
    same(expected[3], (x - b) * 3)
    same(expected[5], (x - b) * 2)
    same(expected[6], b)
    for call, wanted in zip(calls, expected, strict=True):
        same(call(), wanted)
    for n in (2.5, 1000, True):
        same(f(a, b, n), (x - b) * n)
    same(f(a, b, mode=mode("down")), b)
    no_python(f)
    for call, wanted in zip(calls, expected, strict=True):
        same(call(), wanted)
    for wrong in (lambda: f(a, b, n=4), lambda: f(a, c=b), lambda: f(a, b, 1, mode="up"),
                  lambda: f(a), lambda: f(b=a, a=b)):
        with pytest.raises(AssertionError, match="went through Python"):
            wrong()


class Changing:
    """A setting that is compared by what it holds."""

    def __init__(self, by):
        self.by = by

    def __eq__(self, other):
        return isinstance(other, Changing) and self.by == other.by

    def __hash__(self):
        return hash(self.by)


def test_a_static_value_that_changes_is_seen():
    f = jit(lambda a, s: a * s.by, static_argnums=1)
    setting = Changing(2)
    for by in (2, 3, 2):
        setting.by = by
        for _ in range(3):
            same(f(x, setting), x * by)


def test_many_signatures_take_turns():
    f = jit(lambda a: a * 2)
    arrays = [jnp.arange(float(n)) for n in range(1, 90)]
    for _ in range(3):
        for a in arrays:
            same(f(a), np.asarray(a) * 2)


def test_deleted_arrays_are_refused():
    f, kept = jit(lambda a: a + 1), x + 1
    g = jit(lambda a: a + kept)
    for _ in range(2):
        f(x), g(x)
    gone = f(x)
    gone.delete()
    with pytest.raises(DonatedError, match="deleted by x.delete"):
        f(gone)
    kept.delete()
    with pytest.raises(DonatedError):
        g(x)


def test_results_live_on_their_own():
    f = jit(lambda a: (a + 1, a * 2))
    f(x)
    first, second = f(x)
    seen = np.asarray(second)
    again = jit(lambda a: a + 3)(first)
    view = np.asarray(again)
    expected = [np.asarray(x) * 2, np.asarray(x) + 4]
    del first, second, again
    for _ in range(100):
        f(x + 5)
    same([seen, view], expected)


def test_numpy_sees_a_result_once_and_donation_copies_it():
    f, g = jit(lambda a: a + 1), jit(lambda a: a * 2, donate_argnums=0)
    f(x)
    a, b = f(x), f(x)
    seen = np.asarray(a)
    assert np.asarray(a) is not None and np.shares_memory(seen, np.asarray(a))
    place = b.address
    same(g(a), (x + 1) * 2)
    np.testing.assert_array_equal(seen, np.asarray(x) + 1)
    assert g(b).address == place


def test_settings_and_traces_are_seen():
    f = jit(lambda a: a + 1)
    f(x), f(x)
    with config.using(jit=False):
        same(f(x), x + 1)
    graph = arraylib.make_graph(lambda a: f(x) + f(a))(x)
    assert str(graph).count(" call ") == 2
    f.clear_cache()
    same(f(x), x + 1)
    assert len(f.compiles()) == 2
    with pytest.raises(TraceError):
        jit(lambda a: bool(f(x)[0]))(x)


def test_methods_and_descriptors():
    class Scale:
        def __init__(self, by):
            self.by = by

        @partial(jit, static_argnums=0)
        def method(self, a):
            return a * self.by

        @staticmethod
        @jit
        def alone(a):
            return a + 1

    for _ in range(3):
        same(Scale(2).method(x), x * 2)
        same(Scale.alone(x), x + 1)
        same(Scale(3).alone(x), x + 1)
        same(Scale.method(Scale(4), x), x * 4)


@tree.register_static
class Setting:
    by = 3

    @jit
    def scaled(self, a):
        return a * self.by

    __eq__ = object.__eq__
    __hash__ = object.__hash__


def test_a_jitted_method_of_a_container():
    setting = Setting()
    for _ in range(3):
        same(setting.scaled(x), x * 3)


class Box:
    """A container whose rebuilding can be made to fail, or to do things."""

    action = staticmethod(lambda: None)

    def __init__(self, item):
        self.item = item


def _rebuild(metadata, children):
    Box.action()
    return Box(*children)


tree.register_node(Box, lambda box: ((box.item,), None), _rebuild)


def test_rebuilding_runs_python(monkeypatch):
    f = jit(lambda a: (a, Box(a + 1), [a]))
    for _ in range(3):
        same(f(x)[1].item, x + 1)
    calls = []
    # The function's program is dropped while its result is being built.
    monkeypatch.setattr(Box, "action", lambda: (calls.append(1), f.clear_cache(), gc.collect()))
    for _ in range(3):
        same(f(x)[1].item, x + 1)
    assert calls

    def fail():
        raise KeyError("no box")

    monkeypatch.setattr(Box, "action", fail)
    before = memory.stats().used
    for _ in range(3):
        with pytest.raises(KeyError, match="no box"):
            f(x)
    gc.collect()
    assert memory.stats().used <= before


@native
def test_no_leaks():
    captured = jnp.ones(4)
    functions = [
        (jit(lambda a: a + captured), (x,)),
        (jit(lambda d: {"a": [d["b"], d["a"]], "p": Point(d["a"], None)}), ({"b": x, "a": y},)),
        (jit(lambda a: (a, a * 2)), (jnp.ones((600, 600)),)),
        (jit(lambda a: Box(a)), (x,)),
    ]
    def round_(count):
        for _ in range(count):
            for f, args in functions:
                f(*args)

    round_(20)
    gc.collect()
    watched = [x.type, y.type, arraylib.Array, type(None), captured, x, "a", Box]
    before = [sys.getrefcount(w) for w in watched], memory.stats().used, sys.getallocatedblocks()
    round_(400)
    gc.collect()
    after = [sys.getrefcount(w) for w in watched], memory.stats().used, sys.getallocatedblocks()
    assert max(abs(a - b) for a, b in zip(before[0], after[0], strict=True)) < 50
    assert before[1] == after[1]
    assert abs(after[2] - before[2]) < 200


def test_a_function_dies_with_its_last_reference():
    f = jit(lambda a: a + 1)
    f(x), f(x)
    watch = weakref.ref(f)
    del f
    assert watch() is None
    result = jit(lambda a: a + 1)(x)
    watch = weakref.ref(result)
    assert watch() is result
    del result
    assert watch() is None


def test_threads():
    f = jit(lambda d: {"s": d["a"] @ d["a"], "t": d["a"][0] + 1})
    big, small = jnp.ones((96, 96)), jnp.ones((2, 2))
    wrong = []

    def work(a):
        for _ in range(150):
            found = f({"a": a})
            if not (np.asarray(found["s"]) == len(a)).all() or float(found["t"][0]) != 2:
                wrong.append(found)
        f.clear_cache() if len(a) == 2 else None

    threads = [threading.Thread(target=work, args=(a,)) for a in (big, small) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers")
def test_calls_can_be_interrupted():
    f = jit(lambda a: a + 1)
    f(x), f(x)

    def stop(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)  # one may come in a finalizer
        with pytest.raises(KeyboardInterrupt):
            while True:
                f(x)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    same(f(x), x + 1)


@native
def test_out_of_memory_is_an_error(monkeypatch):
    f = jit(lambda a: a[:, None] + a)
    small, large = jnp.ones(29), jnp.ones(700)
    for a in (small, large):
        kept = [f(a), f(a)]  # the second comes from native code

        def refuse(nbytes):
            raise MemoryError("none left")

        with monkeypatch.context() as patch:
            patch.setattr(memory, "allocate", refuse)
            patch.setattr("arraylib.backends.cpu.block.allocate", refuse)
            patch.setattr("arraylib.launch.allocate", refuse)
            with pytest.raises(MemoryError):
                while True:
                    kept.append(f(a))
        same(f(a), kept[0])


class Named(arraylib.Array):
    """An array with a name."""


def test_subclasses_of_array():
    named = Named(np.arange(3.0))
    named.name = "n"
    f = jit(lambda a: a + 1)
    with pytest.raises(TypeError):
        f("n")
    watch = weakref.ref(named)
    del named
    assert watch() is None


def run(source, *, env=None):
    """The output of a program in a process of its own, which must succeed."""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


PROGRAM = """
import arraylib, builtins, sys
import arraylib.numpy as jnp
f = arraylib.jit(lambda a: (a + 1, a * 2))
x = jnp.arange(4.0)
for _ in range(3):
    results = [f(x) for _ in range(100)]
"""


def test_arrays_outlive_everything():
    assert run(PROGRAM + """
sys.kept, builtins.kept = results, [f(x), f]
print(results[0][1])
""") == "[0. 2. 4. 6.]\n"


@native
@pytest.mark.parametrize("broken", [
    "runtime._check_layout = fail", "runtime.try_call = fail", "runtime._VECTORCALL += 8"])
def test_one_warning_where_native_calls_fail(broken):
    said = run(f"""
from arraylib.backends.cpu.calls import runtime
def fail(*_):
    raise RuntimeError("it is broken")
{broken}
{PROGRAM}
print(results[0][1], len(f._native._entries), f.entry_point)
""")
    assert "[0. 2. 4. 6.] 0 0\n" in said
    assert said.count("calls stay in Python") == 1


@native
@pytest.mark.parametrize("count", [1, 7, 8, 9, 12])
def test_numbers_of_arguments(count, no_python):
    f = jit(lambda *xs: sum(i * v for i, v in enumerate(xs, 1)))
    first, second = ([jnp.arange(n) + i for i in range(count)] for n in (4, 5))
    for args in (first, second, first, second):
        f(*args)
    no_python(f)
    for args in (first, second, second, first):
        expected = sum(i * np.asarray(v) for i, v in enumerate(args, 1))
        np.testing.assert_array_equal(np.asarray(f(*args)), expected)
    fresh = [jnp.asarray(np.arange(4, dtype=np.int32)) for _ in range(count)]  # of NumPy's memory
    np.testing.assert_array_equal(
        np.asarray(f(*fresh)), np.arange(4) * (count * (count + 1) // 2))


@native
def test_the_memory_of_a_result_is_its_own_until_it_dies():
    f = jit(lambda v: v + 1)
    kept = [f(x)]
    for _ in range(2000):
        kept.append(f(kept[-1]))
    assert [int(v[0]) for v in kept] == list(range(1, 2002))
    places = {v.address for v in kept}
    assert len(places) == len(kept)
    del kept[1000:]
    assert [int(f(v)[0]) for v in kept] == list(range(2, 1002))


@native
def test_a_trace_in_one_thread_and_calls_in_another():
    f = jit(lambda v: v * 2)
    f(x), f(x)
    inside, done, found = threading.Event(), threading.Event(), []

    def traced(v):
        inside.set()
        done.wait(10)
        found.append(isinstance(f(x), jnp.ndarray) and f(x).__class__ is not type(x))
        return v

    thread = threading.Thread(target=jit(traced), args=(x,))
    thread.start()
    inside.wait(10)
    assert building.value > 0
    np.testing.assert_array_equal(np.asarray(f(x)), 2 * np.asarray(x))
    done.set()
    thread.join()
    assert found == [True] and building.value == 0
    with pytest.raises(ZeroDivisionError):
        jit(lambda v: 1 / 0)(x)
    assert building.value == 0

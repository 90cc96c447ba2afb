"""Compiling in parts and by several threads: the same code as by one thread and in one piece."""

import ctypes
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

import arraylib
from arraylib import compile as compiling, nn, numpy as jnp
from arraylib.backends.cpu import backend, codegen, libraries, parts, sources, target
from arraylib.backends.cpu.emitter import Function
from arraylib.backends.cpu.jobs import Jobs
from arraylib.backends.cpu.once import Once
from arraylib.backends.cpu.program import write_program
from arraylib.config import config
from arraylib.hlo.passes.pipeline import optimize

X = np.linspace(-3, 3, 12 * 8, dtype=np.float32).reshape(12, 8)
Y = np.cos(X)


def several(x, y):
    """Kernels, products, a sort, functions with tables of constants, and a loop."""
    def body(carry, row):
        return nn.gelu(carry + row), carry.sum()

    total, rows = arraylib.lax.scan(body, x[0] + 1, y)
    z = jnp.sort(x, axis=0) @ y.T
    return total, rows, nn.softmax(z, axis=0), jnp.cumsum(jnp.sin(z), axis=1), jnp.sin(1e5 * x)


def plan_of(function=several, *args):
    graph = arraylib.make_graph(function)(*(args or (X, Y))).graph
    return backend.lowered(optimize(graph, backend.native))


def parts_of(plan):
    found = []
    assert write_program(plan, ready=found.append).text == ""
    return found


def test_a_small_program_is_one_part():
    plan = plan_of(lambda x: x * 2 + 1, X)
    assert parts_of(plan) == [write_program(plan).text]


def test_parts_define_each_function_once_and_are_the_same_each_time(monkeypatch):
    monkeypatch.setattr(parts, "ENOUGH", 500)
    texts = parts_of(plan_of())
    defined = [line.split("@")[1].split("(")[0] for text in texts for line in text.splitlines()
               if line.startswith("define")]
    assert len(texts) > 4 and len(set(defined)) == len(defined)
    assert texts == parts_of(plan_of())


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_parts_compute_what_the_whole_does(monkeypatch, tmp_path, threads):
    wanted = backend.build(write_program(plan_of())).run([X, Y])
    monkeypatch.setattr(parts, "ENOUGH", 500)
    graph = arraylib.make_graph(several)(X, Y).graph
    with config.using(cache=True, cache_dir=str(tmp_path), compile_threads=threads):
        for phase in ("codegen", "load"):  # compiled, then read from disk
            compiling.clear_cache()
            compiled = compiling.compile_graph(graph)
            assert phase in compiled.timings
            for found, value in zip(compiled.run([X, Y]), wanted, strict=True):
                np.testing.assert_array_equal(found, value)


def test_any_number_of_threads_makes_the_same_bytes(monkeypatch):
    monkeypatch.setattr(parts, "ENOUGH", 500)
    made = []
    for threads in (1, 2, 5):
        texts = [(text, False) for text in parts_of(plan_of())]
        texts += [(text, True) for text, _ in texts]
        with config.using(compile_threads=threads), Jobs() as jobs:
            waiting = [jobs.add(lambda text=text, on=on: target.compile_object(text, counters=on))
                       for text, on in texts]
            jobs.finish()
            made.append([job.result for job in waiting])
    assert made[0] == made[1] == made[2]
    assert made[0] == [target.compile_object(text, counters=on) for text, on in texts]


def test_a_binding_without_these_functions_makes_the_same(monkeypatch):
    text = write_program(plan_of()).text
    found = target.compile_object(text)
    monkeypatch.setattr(codegen, "generate", lambda *_: None)
    assert target.compile_object(text) == found


def test_a_binding_that_is_another_is_known_as_such():
    assert codegen.generate(object(), None, "") is None


def test_only_the_inner_loops_of_products_have_their_counters_rewritten(monkeypatch):
    asked, compile_object = {}, target.compile_object

    def observed(text, *args, **options):
        name = text.split("define void @arraylib_")[-1].split("(")[0]
        asked[name] = options.get("counters", True)
        return compile_object(text, *args, **options)

    monkeypatch.setattr(target, "compile_object", observed)
    monkeypatch.setattr(libraries, "places", {})
    with config.using(cache=False, compile_threads=1):
        compiling.compile_graph(arraylib.make_graph(lambda x: x @ x.T)(np.ones((70, 80))).graph)
    rewritten = [name for name, counters in asked.items() if counters]
    assert rewritten and all("gemm.f32.kernel." in name for name in rewritten)
    assert list(asked)[-len(rewritten):] == rewritten


class OtherBinding:
    """A release of the binding in which one function is declared otherwise."""

    def __init__(self, changed=None, **declaration):
        ours = target.llvm().ffi.lib
        for name in codegen._PROTOTYPES:
            theirs = getattr(ours, f"LLVMPY_{name}")
            facts = {"argtypes": theirs.argtypes, "restype": theirs.restype}
            facts |= declaration if name == changed else {}
            setattr(self, f"LLVMPY_{name}", SimpleNamespace(**facts))
        self._name = ours._name
        self.ffi = SimpleNamespace(lib=self)


def test_a_binding_whose_functions_take_other_operands_is_not_called_past_its_lock(monkeypatch):
    assert codegen._functions(OtherBinding()) is not None
    emit = target.llvm().ffi.lib.LLVMPY_TargetMachineEmitToMemory
    others = [OtherBinding("TargetMachineEmitToMemory", argtypes=[*emit.argtypes, ctypes.c_int]),
              OtherBinding("TargetMachineEmitToMemory", argtypes=emit.argtypes[::-1]),
              OtherBinding("ParseAssembly", restype=ctypes.c_int),
              OtherBinding("GetBufferSize", restype=ctypes.c_void_p)]
    for other in others:
        assert codegen._functions(other) is None
    text = write_program(plan_of()).text
    found = target.compile_object(text)
    generate = codegen.generate
    monkeypatch.setattr(codegen, "generate", lambda _, *rest: generate(others[0], *rest))
    assert target.compile_object(text) == found


def function_text(text):
    module = target.new_module()
    f = Function(module, "f", [("ptr", "x")], internal=False)
    f.emit(text)
    f.ret()
    return module.text()


@pytest.mark.parametrize("text", ["nonsense", "br label %missing",
                                  "%y = load i64, ptr %x, align 3", "%a = add i64 %b, 1\n"
                                  "  %b = add i64 1, 1"])
def test_what_is_no_program_is_refused_in_every_thread(text):
    with Jobs() as jobs:
        job = jobs.add(lambda: target.compile_object(function_text(text)))
        jobs.finish()
        with pytest.raises(RuntimeError):
            _ = job.result
    assert target.compile_object(function_text("store i64 1, ptr %x"))


def test_jobs_are_done_once_each_and_in_few_threads():
    threads, done = set(), []

    def work(number):
        threads.add(threading.get_ident())
        done.append(number)
        return bytes([number])

    with config.using(compile_threads=3), Jobs() as jobs:
        found = [jobs.add(lambda n=n: work(n)) for n in range(200)]
        jobs.finish()
        assert [job.result for job in found] == [bytes([n]) for n in range(200)]
    assert sorted(done) == list(range(200))


def test_one_thread_is_this_one():
    with config.using(compile_threads=1), Jobs() as jobs:
        job = jobs.add(lambda: bytes([threading.current_thread() is threading.main_thread()]))
        jobs.finish()
        assert job.result == b"\1"


@pytest.mark.parametrize("most", [0, 1])
def test_where_no_more_threads_can_be_started_this_one_does_the_work(monkeypatch, most):
    started, start = [], threading.Thread.start

    def limited(thread):
        if len(started) == most:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    with config.using(compile_threads=4), Jobs() as jobs:
        found = [jobs.add(lambda n=n: bytes([n])) for n in range(20)]
        jobs.finish()
        assert [job.result for job in found] == [bytes([n]) for n in range(20)]
    assert len(started) == most


def test_what_nobody_asked_for_in_the_end_is_left():
    def fail():
        with config.using(compile_threads=1), Jobs() as jobs:
            jobs.add(lambda: done.append(1) or b"")
            raise KeyError("stop")

    done = []
    with pytest.raises(KeyError):
        fail()
    assert not done


def test_threads_compile_functions_of_their_own(tmp_path):
    """Each thread traces, compiles and runs; some of what they need of libraries is the same."""
    found = {}

    def work(number):
        found[number] = np.asarray(arraylib.jit(lambda x, y: jnp.sort(x * number) @ y.T)(X, Y))

    with config.using(cache=True, cache_dir=str(tmp_path)):
        workers = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    for number in range(1, 5):
        np.testing.assert_allclose(found[number], np.sort(X * number) @ Y.T, rtol=1e-4, atol=1e-4)


BUSY = {"compiles": lambda: target._rewriting(False),
        "changes the option": lambda: target._option._changed}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("busy", BUSY.values(), ids=BUSY)
def test_a_child_forked_while_another_thread(busy):
    text = write_program(plan_of()).text
    wanted = target.compile_object(text)
    assert target.compile_object(text, counters=False) != wanted, "the option tells nothing"
    inside, enough = threading.Event(), threading.Event()

    def other():
        with busy():
            inside.set()
            enough.wait()

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
    child = os.fork()
    if not child:
        try:
            signal.alarm(60)  # rather than to wait without end
            os._exit(0 if target.compile_object(text) == wanted else 1)
        finally:
            os._exit(2)
    enough.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert target.compile_object(text) == wanted


def test_what_is_made_once_is_made_by_one_of_many_threads():
    made = []

    def make():
        made.append(1)
        time.sleep(0.05)
        if len(made) == 1:
            raise ValueError("the first time")
        return object()

    once = Once(make)
    with pytest.raises(ValueError, match="the first time"):
        once()
    assert not once.done()
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: once(), range(8)))
    assert once.done() and len(made) == 2 and set(found) == {once()}


def test_code_of_libraries_is_found_by_all_sources(monkeypatch):
    pieces = backend._pieces(write_program(plan_of()))
    assert len({piece.name.split(".")[0] for piece in pieces}) > 1
    keys = [piece.key() for piece in pieces]
    assert keys == [piece.key() for piece in pieces] and len(set(keys)) == len(keys)
    monkeypatch.setattr(sources, "digest", lambda: "those of another release")
    assert not {piece.key() for piece in pieces} & set(keys)


def test_a_part_sees_the_functions_of_others():
    module = target.new_module()
    texts = []
    handed = parts.Parts(module, texts.append)
    inner = Function(module, "inner", [("i64", "x")], result="i64")
    inner.ret(inner.args[0] + 1)
    handed.offer()
    module.add_global("table", "[2 x ptr]", "[ptr @inner, ptr @inner]", constant=True)
    outer = Function(module, "outer", [("i64", "x")], result="i64", internal=False)
    first = outer.call("inner", "i64", [outer.args[0]])
    second = outer.call(outer.load(outer.gep(outer.address("table"), 1, "ptr"), "ptr"), "i64",
                        [first])
    outer.ret(second)
    handed.finish()
    images = [target.compile_object(text) for text in texts]
    for link in (target.link, lambda *args: target._link_by_llvm(*args, {})):
        address = link(images, ["outer"])["outer"]
        assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)(40) == 42

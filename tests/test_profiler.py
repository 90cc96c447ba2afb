"""Traces of what a program does when."""

import gzip
import json

import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import profiler
from arraylib.errors import ArgumentError


def _events(folder):
    (path,) = folder.glob("plugins/profile/*/perfetto_trace.json.gz")
    with gzip.open(path, "rt") as file:
        return json.load(file)["traceEvents"]


def test_a_trace_has_what_was_named_and_what_was_jitted(tmp_path):
    @profiler.annotate_function
    def load():
        return jnp.ones(3)

    @arraylib.jit
    def step(x):
        return x * 2

    late = arraylib.jit(lambda x: x + 1)
    before = step(jnp.ones(3))
    with profiler.trace(tmp_path):
        with profiler.StepTraceAnnotation("train", step_num=1, loss=0.5):
            for _ in range(2):
                after = step(load())
            late(after)
    assert (before == after).all() and (step(jnp.ones(3)) == after).all()
    events = [event for event in _events(tmp_path) if event["ph"] == "X"]
    names = [event["name"] for event in events]
    (load_, *_) = [name for name in names if name.endswith("load")]
    assert names == [load_, "step", load_, "step", "compile <lambda>", "<lambda>", "train 1"]
    outer = events[-1]
    assert outer["args"] == {"step_num": "1", "loss": "0.5"}
    assert all(outer["ts"] <= event["ts"] and event["dur"] <= outer["dur"] for event in events)


def test_nothing_is_recorded_without_a_trace(tmp_path):
    with profiler.TraceAnnotation("before"):
        pass
    profiler.start_trace(tmp_path)
    path = profiler.stop_trace()
    assert path.parent.parent == tmp_path / "plugins" / "profile"
    assert all(event["ph"] == "M" for event in _events(tmp_path))


def test_one_trace_at_a_time(tmp_path):
    with pytest.raises(ArgumentError, match="no trace is being made"):
        profiler.stop_trace()
    with pytest.raises(ArgumentError, match=r"create_perfetto_link[\s\S]*ui.perfetto.dev"):
        profiler.start_trace(tmp_path, create_perfetto_link=True)
    with profiler.trace(tmp_path), pytest.raises(ArgumentError, match="being made already"):
        profiler.start_trace(tmp_path)


def test_a_trace_compiles_nothing_again_and_calls_are_fast_afterwards(tmp_path):
    traced = []
    step = arraylib.jit(lambda x: traced.append(x) or x * 2, max_compiles=1)
    early, late = jnp.ones(3), arraylib.jit(lambda x: traced.append(x) or x * 3, max_compiles=1)
    step(early)
    with profiler.trace(tmp_path):
        assert (step(early) == 2).all() and (late(early) == 3).all()
        assert (step.lower(early).compile()(early) == 2).all()
    assert (step(early) == 2).all() and (late(early) == 3).all() and len(traced) == 2
    names = [event["name"] for event in _events(tmp_path) if event["ph"] == "X"]
    assert names == ["<lambda>", "compile <lambda>", "<lambda>", "<lambda>"]


def test_traces_of_the_same_second_are_all_kept(tmp_path):
    paths = set()
    for _ in range(3):
        profiler.start_trace(tmp_path)
        paths.add(profiler.stop_trace())
    assert len(paths) == 3 and all(path.exists() for path in paths)

"""What `jit(f).lower(x).compile()` shows: stages as text, costs, memory, profiles."""

import json
import sys
import xml.etree.ElementTree as ElementTree
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import lax
from arraylib.config import config
from arraylib.errors import ArgumentError

X = np.ones((64, 96), np.float32)
W = np.ones((96, 32), np.float32)


def layer(params, x):
    h = jnp.tanh(x @ params["w"] + params["b"])
    return {"y": h, "mean": h.mean(0)}


LINE = layer.__code__.co_firstlineno + 1
PARAMS = {"w": W, "b": np.zeros(32, np.float32)}


@pytest.fixture(scope="module")
def compiled():
    return arraylib.jit(layer).lower(PARAMS, X).compile()


def test_stages_as_text(compiled):
    shown = {
        "graph": "dot_general", "optimized": "tanh", "fused": "matrix product 0",
        "plan": "bytes of arena", "tile": "lanes", "llvm": "define", "asm": ".text"}
    for stage, part in shown.items():
        assert part in compiled.text(stage), stage
        assert compiled.as_text(stage) == compiled.text(stage)
    fused = compiled.text("fused")
    assert f"f32[64,32] = tanh f32[64,32]  # test_stages.py:{LINE}" in fused
    with pytest.raises(ArgumentError, match="no stage 'ptx'.*\n.*\n.*'graph', .*'asm'"):
        compiled.text("ptx")
    assert repr(compiled) == \
        "<compiled layer(f32[32], f32[96,32], f32[64,96]) -> (f32[32], f32[64,32])>"


def test_costs_are_counted(compiled):
    report = compiled.cost()
    product, kernel, *_ = report.steps
    assert product.flops == 2 * 64 * 96 * 32 and product.ops == ("dot_general",)
    assert product.read == X.nbytes + W.nbytes and product.written == 64 * 32 * 4
    assert {"add", "tanh", "reduce_add"} <= set(kernel.ops) and kernel.transcendentals == 64 * 32
    assert kernel.read == 64 * 32 * 4 + 32 * 4
    assert report.flops == sum(step.flops for step in report.steps)
    assert 0 < report.roofline < 1 and all(step.roofline > 0 for step in report.steps)
    assert {step.bound for step in report.steps} <= {"compute", "memory"}
    assert {where.line for where in product.where} == {LINE}
    text = str(report)
    assert "393k" in text and f"test_stages.py:{LINE}" in text and "GFLOP/s" in text
    assert report._repr_html_().count("<tr>") == len(report.steps) + 1


def test_limits_are_those_of_a_machine(compiled):
    limits = compiled.cost().limits
    assert limits.flops[4] >= limits.flops[8] > 1e8
    sizes, rates = zip(*limits.bandwidth)
    assert list(sizes) == sorted(sizes) and list(rates) == sorted(rates, reverse=True)
    assert limits.bytes_per_second(1) == rates[0] and limits.bytes_per_second(1 << 50) == rates[-1]


def test_costs_of_loops_and_tables():
    def body(carry, row):
        return carry * 0.5 + row, carry.sum()

    def f(table, ids, rows):
        return table[ids], lax.scan(body, rows[0], rows), lax.while_loop(
            lambda c: c < 9, lambda c: c * 2, rows[0, 0])

    table, ids = np.ones((5000, 8), np.float32), np.arange(3)
    steps = arraylib.jit(f).lower(table, ids, X).compile().cost().steps
    inner = [step for step in steps if "scan" in step.name]
    assert sum(step.flops for step in inner) == 64 * (2 * 96 + 95)
    assert {step.runs for step in inner} == {64} and not any(step.at_least for step in inner)
    assert any(step.at_least for step in steps if "while" in step.name)
    gather = next(step for step in steps if "gather" in step.ops)
    assert gather.read <= 3 * 8 * 4 + 4 * ids.nbytes  # not the whole table


def test_a_sum_in_two_stages_is_counted_once():
    x = np.ones(1 << 20, np.float32)
    steps = arraylib.jit(jnp.sum).lower(x).compile().cost().steps
    assert len(steps) == 2 and sum(step.flops for step in steps) == x.size - 1


def test_memory_is_known_before_the_first_run(compiled):
    report, executable = compiled.memory(), compiled.executable
    assert report.arguments == X.nbytes + W.nbytes + 32 * 4
    assert report.outputs == (64 * 32 + 32) * 4 and report.constants == 0
    assert report.temporaries == executable.arena_bytes
    assert report.peak == report.arguments + report.outputs + report.temporaries
    assert report.op == "dot_general" and report.where.line == LINE
    names = {held.name: held for held in report.buffers}
    assert names["argument 'params'['w']"].why == "the caller holds it"
    assert names["result['y']"].where.line == LINE and names["result['y']"].kind == "output"
    assert [h.nbytes for h in report.buffers] == sorted(h.nbytes for h in report.buffers)[::-1]
    text = str(report)
    assert f"at the peak in dot_general at test_stages.py:{LINE}" in text and "argument 'x'" in text
    assert "<table>" in report._repr_html_()


def test_memory_says_what_waits_for_what():
    def f(x):
        a = jnp.sort(x)
        b = jnp.sort(-x)
        return (a @ a.T).sum() + (b @ b.T).sum()

    report = arraylib.jit(f).lower(X).compile().memory()
    waiting = [held for held in report.buffers if held.kind == "temporary" and held.name == "sort"]
    assert waiting and all("needed until dot_general at test_stages.py:" in h.why for h in waiting)
    assert sum(h.nbytes for h in report.buffers if h.kind == "temporary") <= report.temporaries


def test_memory_of_donated_arguments_constants_and_loops():
    table = np.arange(3000, dtype=np.float32)
    step = arraylib.jit(lambda x, y: (x + y * jnp.asarray(table), y.sum()), donate_argnums=0)
    report = step.lower(table, table).compile().memory()
    assert report.outputs == 4 and report.constants in (0, table.nbytes)
    assert any(h.why == "donated: result 0 is made in it" for h in report.buffers)

    def f(x):
        return lax.fori_loop(0, 3, lambda i, c: jnp.sort(c @ c) + 1, x)

    square = np.ones((64, 64), np.float32)
    report = arraylib.jit(f).lower(square).compile().memory()
    assert any("dot_general" in h.why or h.name == "dot_general" for h in report.buffers)
    held = sum(h.nbytes for h in report.buffers if h.kind == "temporary")
    assert 0 < held <= report.temporaries


def test_nothing_needs_no_memory():
    report = arraylib.jit(lambda: ()).lower().compile().memory()
    assert report.peak == 0 and report.op == "" and "0 B at the peak" in str(report)


def test_profile_has_a_row_for_each_step(tmp_path, compiled):
    profile = compiled.profile(PARAMS, X)
    assert [step.name for step in profile.steps][:2] == ["matrix product 0", "kernel 1"]
    assert all(step.seconds > 0 and step.roofline > 0 for step in profile.steps)
    assert profile.seconds == sum(step.seconds for step in profile.steps)
    lines = str(profile).splitlines()
    assert f"in {len(lines) - 2} steps" in lines[0] and "dot_general" in str(profile)
    assert str(arraylib.jit(layer).profile(PARAMS, X)).splitlines()[1] == lines[1]
    with pytest.raises(ArgumentError, match="other arguments than it was compiled for"):
        compiled.profile(PARAMS, X[:3])


def test_a_profile_is_a_trace_that_perfetto_reads(tmp_path, compiled):
    """The form is "JSON Object Format" of Chrome's trace events."""
    profile = compiled.profile(PARAMS, X)
    profile.save(tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    assert set(trace) == {"traceEvents", "displayTimeUnit"} and trace["displayTimeUnit"] == "ns"
    events = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert [event["args"]["operations"] for event in events] == \
        [", ".join(step.ops) for step in profile.steps]
    for event in events:
        assert isinstance(event["ts"], float) and event["dur"] >= 0
        assert {"name", "cat", "pid", "tid", "args"} <= set(event)
    for one, next_ in pairwise(events):
        assert next_["ts"] == pytest.approx(one["ts"] + one["dur"], abs=1e-3)
    assert {e["name"] for e in trace["traceEvents"] if e["ph"] == "M"} == {
        "process_name", "thread_name"}


def test_a_profile_as_a_picture(tmp_path, compiled, monkeypatch):
    profile = compiled.profile(PARAMS, X)
    profile.plot(tmp_path / "step.svg")
    root = ElementTree.parse(tmp_path / "step.svg").getroot()
    texts = [element.text for element in root.iter() if element.text and element.text.strip()]
    assert any("dot_general" in text for text in texts)
    profile.plot(tmp_path / "step.png")
    assert (tmp_path / "step.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ArgumentError, match=r"ends in '\.bmp'"):
        profile.plot("step.bmp")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ArgumentError, match=r"needs matplotlib(.|\n)*arraylib\[plot\]"):
        profile.plot("step.png")


def test_names_in_pictures_are_text(tmp_path, compiled):
    bar = arraylib.reports.drawing.Bar("<script>&", 1.0, None, "1 s")
    root = ElementTree.fromstring(arraylib.reports.drawing.bars_svg("a < b", [bar]))
    assert "<script>&" in [element.text for element in root]


def test_the_reference_backend_has_no_program():
    with config.using(backend="reference"):
        compiled = arraylib.jit(jnp.sin).lower(X).compile()
        assert "interpreter" in str(compiled.profile(X))
        for look in (compiled.cost, compiled.memory):
            with pytest.raises(ArgumentError, match="interprets, it has no program"):
                look()


def test_stages_are_those_of_the_settings_at_compilation():
    with config.using(cpu_threads=1):
        compiled = arraylib.jit(jnp.sin).lower(X).compile()
    with config.using(backend="reference"):
        assert "define" in compiled.text("llvm") and compiled.cost().steps


def test_programs_for_jax_find_the_graph_under_its_name():
    f = arraylib.jit(lambda x: jnp.sin(x) + 1)
    assert "sine" in str(f.trace(2.0).jaxpr)
    graph = arraylib.make_jaxpr(f)(2.0)
    assert str(graph.jaxpr) == str(graph)


def test_a_compiled_program_takes_calls_with_and_without_static_arguments():
    @partial(arraylib.jit, static_argnums=1, static_argnames="scale")
    def f(x, n, y, *, scale):
        return x * n + y * scale
    compiled = f.lower(2.0, 3, 1.0, scale=10).compile()
    assert compiled(2.0, 1.0) == compiled(2.0, 3, 1.0, scale=10) == 16
    with pytest.raises(ArgumentError, match="other arguments than it was compiled for"):
        compiled(2.0, 4, 1.0, scale=10)


def test_jaxprs_of_stages_have_equations():
    scale = jnp.ones(3)
    jaxpr = arraylib.jit(lambda x: jnp.sin(x) * scale).trace(jnp.ones(3)).jaxpr
    assert [str(equation.primitive) for equation in jaxpr.eqns] == ["sin", "mul"]
    (x,), (kept,), (out,) = jaxpr.invars, jaxpr.constvars, jaxpr.outvars
    assert jaxpr.eqns[0].invars == [x] and jaxpr.eqns[1].invars[1] is kept
    assert jaxpr.eqns[1].outvars == [out] and len(jaxpr.consts) == 1


def test_jit_takes_a_device():
    cpu = arraylib.devices()[0]
    double = arraylib.jit(lambda x: 2 * x, device=cpu, backend="cpu", compiler_options={})
    assert double(3) == 6
    with pytest.raises(ArgumentError, match="no devices of the platform 'gpu'"):
        arraylib.jit(double, backend="gpu")
    with pytest.raises(ArgumentError, match=r"CpuDevice\(id=7\) is not the device"):
        arraylib.jit(double, device=type(cpu)(7))

"""The two compile caches, and what an executable tells of itself."""

import subprocess
import sys

import numpy as np
import pytest

from arraylib import compile as compiling, dtypes as dt
from arraylib.backends.cpu import backend, objects, target
from arraylib.backends.cpu.writer import CONSTANT_BYTES
from arraylib.config import config
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import constant
from arraylib.hlo.ops.sort import sort

F32 = Type(dt.float32, (4,))
X = np.array([3, 1, 2, 0], np.float32)


@pytest.fixture(autouse=True)
def fresh(tmp_path):
    """No program compiled yet, and a disk cache of one's own."""
    compiling.clear_cache()
    with config.using(cache_dir=str(tmp_path), cache=True):
        yield
    compiling.clear_cache()


def square(scale=1.0):
    return trace_graph([F32], lambda x: [ew.multiply(ew.multiply(x, x), constant(
        value=np.full(4, scale, np.float32) * np.arange(1, 5, dtype=np.float32)))])


def count_calls(monkeypatch, module, name):
    calls = []
    original = getattr(module, name)

    def counted(*args, **options):
        calls.append(args)
        return original(*args, **options)
    monkeypatch.setattr(module, name, counted)
    return calls


def test_equal_graphs_are_one_executable():
    assert compiling.compile_graph(square()) is compiling.compile_graph(square())
    assert compiling.compile_graph(square()) is not compiling.compile_graph(square(2.0))
    with config.using(backend="reference"):
        reference = compiling.compile_graph(square())
    assert reference is not compiling.compile_graph(square())
    np.testing.assert_array_equal(reference.run([X])[0],
                                  compiling.compile_graph(square()).run([X])[0])


def test_donation_is_part_of_the_key():
    plain, donated = (compiling.compile_graph(square(), frozenset(d)) for d in ((), (0,)))
    assert plain is not donated and donated.results[0].donor == 0


def test_the_disk_saves_passes_and_code_generation(monkeypatch):
    first = compiling.compile_graph(square())
    compiling.clear_cache()
    generated = count_calls(monkeypatch, target, "compile_object")
    optimized = count_calls(monkeypatch, compiling, "optimize")
    second = compiling.compile_graph(square())
    assert second is not first and not generated and not optimized
    np.testing.assert_array_equal(second.run([X])[0], first.run([X])[0])
    assert set(second.timings) == {"load"}
    assert second.text["llvm"] == first.text["llvm"] and optimized  # texts are made on demand
    with config.using(cache=False):
        compiling.clear_cache()
        compiling.compile_graph(square())
    assert generated


def test_large_constants_and_host_calls_are_stored():
    large = np.arange(CONSTANT_BYTES, dtype=np.float32)
    many = Type(dt.float32, large.shape)
    graph = trace_graph([F32, many], lambda x, y: [
        *sort(x, dimension=0, num_keys=1), ew.add(y, constant(value=large))])
    for _ in range(2):
        executable = compiling.compile_graph(graph)
        ordered, added = executable.run([X, large])
        np.testing.assert_array_equal(ordered, [0, 1, 2, 3])
        np.testing.assert_array_equal(added, 2 * large)
        compiling.clear_cache()
    assert set(executable.timings) == {"load"}


def test_a_damaged_file_is_compiled_anew(tmp_path):
    compiling.compile_graph(square())
    for file in tmp_path.rglob("*.object"):
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    compiling.clear_cache()
    with pytest.warns(RuntimeWarning, match="damaged"):
        found = compiling.compile_graph(square())
    np.testing.assert_array_equal(found.run([X])[0], X * X * np.arange(1, 5))


def test_an_object_of_this_process_is_not_stored(monkeypatch):
    stored = count_calls(monkeypatch, objects, "store")
    graph = square()
    graph.nodes[0].attrs["callback"] = print
    mark = compiling.fingerprint(graph)
    assert not mark.portable
    monkeypatch.setattr(compiling, "optimize", lambda graph, native: square())
    compiling.compile_graph(graph)
    assert not stored


def test_another_process_finds_the_program(tmp_path):
    code = """
import sys
from arraylib import compile as compiling
from arraylib.config import config
from tests.test_compile import X, square
config.cache_dir = sys.argv[1]
executable = compiling.compile_graph(square())
print(sorted(executable.timings), executable.run([X])[0].tolist())
"""
    texts = [subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True,
                            text=True, check=True).stdout for _ in range(2)]
    assert "codegen" in texts[0] and texts[1].startswith("['load']")
    assert texts[0].split("]")[1:] == texts[1].split("]")[1:]


def test_stages_can_be_read():
    text = compiling.compile_graph(square()).text
    assert {"graph", "optimized", "fused", "plan", "tile", "llvm", "asm"} <= set(text)
    assert "multiply" in text["graph"] and "@program" in text["llvm"]
    assert backend.name == "cpu"


def test_an_entry_outlives_its_executable():
    entry = compiling.compile_graph(square())
    run, context, pack = entry.entry, entry.context, entry.pack
    out = np.empty(64, np.uint8)
    compiling.clear_cache()
    del entry
    run(pack(X.ctypes.data, out.ctypes.data, context))
    np.testing.assert_array_equal(out[:16].view(np.float32), X * X * np.arange(1, 5))

"""The benchmarks' own arithmetic, and that every workload can be built."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import report  # noqa: E402
from benchmarks.data import leaves, normal, shuffled, tree_map  # noqa: E402
from benchmarks.workloads import WORKLOADS  # noqa: E402
from benchmarks.workloads.workload import carried  # noqa: E402


def fact(*samples, **facts):
    return {"samples": samples, "median": sorted(samples)[len(samples) // 2], "noisy": False,
            "correct": True, "mb_peak": 100, "error": 1e-7} | facts  # fmt: skip


RECORD = {
    "cores": 2,
    "clock": "wall",
    "versions": {"python": "3.11"},
    "limits": {"memory_gbs": {"2": 50.0}, "fma_gflops": {"2": 500.0}, "exp_gps": {"2": 10.0}},
    "workloads": {
        "elementwise/axpy_16m": {
            "arraylib": fact(0.01, 0.02, 0.03),
            "jax": fact(0.02, 0.04, 0.06),
            "numpy": fact(0.001, 0.001, 0.001, correct=False),
        },
        "reduce/softmax": {"arraylib": {"missing": "ShapeError: no"}, "jax": fact(1.0)},
    },
}


def test_only_correct_results_count():
    results = RECORD["workloads"]["elementwise/axpy_16m"]
    assert report.best_peer(results, "arraylib") == "jax"
    assert report.ratio(results, "arraylib", "jax") == 0.5
    limit = 12 * 2**24 / 50e9
    assert report.limit_seconds("elementwise/axpy_16m", RECORD) == pytest.approx(limit)
    found = report.compare("elementwise/axpy_16m", RECORD, "arraylib")
    assert found == {"jax": 0.5, "best": 0.5, "limit": pytest.approx(limit / 0.02)}
    assert report.compare("reduce/softmax", RECORD, "arraylib") == {}


def test_random_bits_are_limited_by_arithmetic():
    limits = RECORD["limits"] | {"threefry_gps": {"2": 0.5}}
    assert report.limit_seconds("random/bits_16m", RECORD | {"limits": limits}) == 2**24 / 0.5e9
    # In a record made before that was measured, by memory.
    assert report.limit_seconds("random/bits_16m", RECORD) == pytest.approx(2**26 / 50e9)


def test_the_report(capsys):
    report.print_report(RECORD, "arraylib")
    text = capsys.readouterr().out
    assert "20ms" in text and "40ms" in text and "1msx" in text
    assert "missing: arraylib reduce/softmax: ShapeError: no" in text
    report.print_markdown(RECORD, "arraylib")
    rows = capsys.readouterr().out.splitlines()
    assert rows[0] == "| group | ran | jax | numpy | best | of limit |"
    assert rows[2] == "| elementwise | 1/1 | 0.50 | - | 0.50 | 20% |"
    assert rows[3] == "| reduce | 0/1 | - | - | - | - |"


def test_what_falls_short_is_named():
    names = "reduce/softmax", "reduce/layernorm", "elementwise/axpy_16m"
    limited = fact(0.0042, 0.0042), fact(0.004, 0.004)  # behind JAX, but at the machine's limit
    pairs = (fact(2.0), fact(1.0, mb_peak=90)), (fact(1.0), fact(2.0, mb_peak=110)), limited
    cells = {name: {"arraylib": a, "jax": b} for name, (a, b) in zip(names, pairs)}
    lines = list(report.shortfalls(RECORD | {"workloads": cells}, "arraylib"))
    assert lines == ["behind jax: reduce/softmax: 2.00 of its time",
                     "larger than jax: reduce/softmax: 100 MB, 90 MB"]


@pytest.mark.parametrize(("seconds", "text"), [(2.5, "2.5s"), (0.0123, "12.3ms"), (4e-6, "4us")])
def test_times_are_shown_with_three_digits(seconds, text):
    assert report.shown(seconds) == text


def test_data_is_the_same_every_time():
    assert np.array_equal(normal(3, seed=1), normal(3, seed=1))
    assert sorted(shuffled(2, 5)[1]) == [0, 1, 2, 3, 4]
    assert tree_map(lambda a, b: a + b, {"a": (1, 2)}, {"a": (3, 4)}) == {"a": [4, 6]}
    assert leaves({"b": [1, 2], "a": 3}) == [3, 1, 2]


def test_every_workload_costs_something_or_says_nothing():
    assert len({w.group for w in WORKLOADS.values()}) >= 13
    for workload in WORKLOADS.values():
        assert min(workload.flops, workload.bytes, workload.exps) >= 0
        assert workload.name.count("/") == 1


@pytest.mark.slow
def test_the_command_line_checks_a_result():
    pytest.importorskip("jax")
    options = ["--libs", "jax,numpy", "--only", "dispatch/add4", "--repeat", "0"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *options], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "dispatch/add4   ok     ok" in done.stdout


def test_state_is_carried_from_call_to_call():
    step = carried(lambda total, x: (total + x, "more"), 1)
    assert [step(0, x)[0] for x in (1, 2, 3)] == [1, 3, 6]

"""Every operation at every dtype gives what XLA and StableHLO's interpreter give.

Our interpreter and our CPU backend are both compared with them, and with each other. What is tried
is in tests/support/agreement_cases.py, what is not compared in agreement_exclusions.py, and how
much that is in docs/agreement.md. By default one trial runs for each operation and dtype; all of
them with `-m thorough`.
"""

import itertools
import subprocess
import sys
from pathlib import Path

import agreement_judge as judge
import agreement_page
import pytest
from agreement_cases import DTYPES, FAMILIES, fewer, sample, trials
from agreement_exclusions import EXCLUSIONS

from arraylib import dtypes as dt
from arraylib.hlo.ops import TABLE

GRID = [(d, f) for d, f in itertools.product(DTYPES, FAMILIES) if trials(d, f)]
NAMES = [f"{d}-{f}" for d, f in GRID]
SUPPORT = Path(judge.__file__).parent
thorough = pytest.mark.thorough


def check(verdicts):
    failures = [failure for verdict in verdicts for failure in verdict.failures]
    assert not failures, "\n".join(failures[:20])
    for verdict in verdicts:
        assert verdict.compared == judge.is_compared(verdict.trial, verdict.oracle), verdict.trial


@pytest.mark.parametrize("dtype, family", GRID, ids=NAMES)
def test_some_agree_with_xla(dtype, family):
    check(judge.verdicts(sample(trials(dtype, family), share=4), "xla", judge.QUICK))


@thorough
@pytest.mark.parametrize("dtype, family", GRID, ids=NAMES)
def test_all_agree_with_xla(dtype, family):
    check(judge.verdicts(trials(dtype, family), "xla"))


@pytest.mark.parametrize("family", FAMILIES)
def test_some_agree_with_stablehlo(family):
    check(judge.verdicts([t for d in DTYPES for t in sample(fewer(d, family), share=4)],
                         "stablehlo"))


@thorough
@pytest.mark.parametrize("dtype, family", GRID, ids=NAMES)
def test_all_agree_with_stablehlo(dtype, family):
    check(judge.verdicts(fewer(dtype, family), "stablehlo"))


# -- what is not compared --------------------------------------------------------------------------


def covered(row):
    """The trials that a row is about, a few for each operation and dtype."""
    found = {}
    for dtype, family in GRID:
        for trial in (trials if row.oracle != "stablehlo" else fewer)(dtype, family):
            if row.covers(trial, row.oracle):
                found.setdefault((trial.op.name, dtype), []).append(trial)
    return found


@thorough
@pytest.mark.parametrize("row", EXCLUSIONS, ids=str)
def test_an_exclusion_is_needed(row):
    """By each of its operations and by each of its dtypes."""
    by_pair = covered(row)
    assert by_pair, "no trial is excluded by it"
    oracle = "xla" if row.oracle == "interpreter" else row.oracle
    if not row.asked:
        alone = [sys.executable, str(SUPPORT / "agreement_alone.py"), str(EXCLUSIONS.index(row))]
        assert subprocess.run(alone, capture_output=True, check=False).returncode
        return
    verdicts = judge.verdicts([t for some in by_pair.values() for t in some], oracle)
    needed = {(v.trial.op.name, v.trial.dtype) for v in verdicts if row in v.needed}
    for side, name in ((0, "operation"), (1, "dtype")):
        idle = {pair[side] for pair in by_pair} - {pair[side] for pair in needed}
        assert not idle, f"{name} without need of it: {idle}"


def test_every_operation_is_tried_at_every_dtype_it_takes():
    tried = {(t.op, d) for d in DTYPES for t in trials(d, "values")}
    for op in TABLE.values():
        taken = [d for d in DTYPES if dt.kind(d) in op.dtypes] if op.elementwise else []
        missing = [d for d in taken if (op, d) not in tried and d not in REFUSED.get(op.name, ())]
        assert not missing, (op.name, missing)
        assert any((op, d) in tried for d in DTYPES), op.name


REFUSED = {"complex": {d for d in DTYPES if dt.bits(d) < 32}}  # no dtype has such parts


def test_the_page_states_what_is_compared():
    """And the number of trials compared does not shrink unnoticed."""
    page = agreement_page.PAGE.read_text()
    assert agreement_page.counts_of(page) == agreement_page.counts(), (
        "run python tests/support/agreement_page.py")
    assert all(row.reason in page for row in EXCLUSIONS)
    assert agreement_page.total_of(page) >= 20_000

"""Runs what an oracle is not asked, in a process of its own: exits with 0 if all of it agrees.

    python agreement_alone.py NUMBER    # of the row of EXCLUSIONS
"""

import itertools
import os
import sys

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import agreement_judge as judge
from agreement_cases import DTYPES, FAMILIES, trials
from agreement_exclusions import EXCLUSIONS

FEW = 6  # of each operation


def agrees(row):
    """Whether no trial that the row is about, out of a few, differs or is refused."""
    found = {}
    for dtype, family in itertools.product(DTYPES, FAMILIES):
        for trial in trials(dtype, family):
            if row.covers(trial, row.oracle):
                found.setdefault(trial.op, []).append(trial)
    judge.EXCLUSIONS = tuple(other for other in EXCLUSIONS if other is not row)
    some = [trial for those in found.values() for trial in those[:: max(1, len(those) // FEW)]]
    return not any(v.failures for v in judge.verdicts(some, row.oracle))


if __name__ == "__main__":
    sys.exit(0 if agrees(EXCLUSIONS[int(sys.argv[1])]) else 1)

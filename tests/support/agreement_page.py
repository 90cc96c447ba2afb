"""Writes docs/agreement.md: how many trials agree with XLA and StableHLO, and how closely.

    python tests/support/agreement_page.py [--only operation ...]

This runs all trials, which takes some twenty minutes on two processors; or those of some operations
alone, and keeps what the page says of the others.
"""

import argparse
import itertools
import os
import re
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import agreement_judge as judge
from agreement_cases import DTYPES, FAMILIES, fewer, trials
from agreement_exclusions import EXCLUSIONS

from arraylib.hlo.ops import TABLE

PAGE = Path(__file__).parents[2] / "docs" / "agreement.md"

HEAD = """# Agreement with XLA and StableHLO

Every operation is tried at every dtype it takes, in several shapes, with several attributes, at
special values and below the normal range. Our interpreter and our CPU backend are both compared
with XLA as jaxlib runs it on the CPU, and with StableHLO's own interpreter. Each trial counts once,
whatever the number of its elements. This page is written by
`python tests/support/agreement_page.py`; `pytest tests/hlo/test_agreement.py` checks a part of it,
with `-m thorough` all.

Integers and truth values must be equal, and so must nan, infinities and, of elementwise operations
on real numbers, the signs of zeros. Other floats may differ by 4 units of the last place (ulp) of
their dtype, or by the record's `tolerance`; of operations that are not elementwise, relative to the
largest number of the result or 1. The last columns are the largest differences seen from XLA and
StableHLO, exclusions aside.

"""

COLUMNS = """| operation | dtypes | trials | with XLA | with StableHLO | interpreter | CPU |
|---|---|---|---|---|---|---|
"""

MORE = """
## What is not compared, or less closely

A row with a limit in ulp, or with `some elements`, is about those elements alone; all others of the
same trial are compared. `error` and `not run` mean that the other implementation gives no result.
A test fails for a row that has become unnecessary.

| other | operations | dtypes | how far | why |
|---|---|---|---|---|
"""


def counts():
    """For each operation: its dtypes, trials, and those compared with XLA and StableHLO."""
    found = {name: [set(), Counter()] for name in TABLE}
    for dtype, family in itertools.product(DTYPES, FAMILIES):
        few = set(fewer(dtype, family))
        for trial in trials(dtype, family):
            dtypes, number = found[trial.op.name]
            dtypes.add(dtype)
            number["trials"] += 1
            number["xla"] += judge.is_compared(trial, "xla")
            number["stablehlo"] += trial in few and judge.is_compared(trial, "stablehlo")
    return {name: (len(dtypes), number["trials"], number["xla"], number["stablehlo"])
            for name, (dtypes, number) in found.items()}


def counts_of(page):
    """The counts that the text of a page states."""
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|", page, re.MULTILINE)
    return {name: tuple(map(int, numbers)) for name, *numbers in rows}


def worst_of(page):
    """The last columns of the text of a page, by operation."""
    rows = re.findall(r"^\| `(\w+)` \|(?: \d+ \|){4} (.+) \| (.+) \|$", page, re.MULTILINE)
    return {name: columns for name, *columns in rows}


def total_of(page):
    """How many comparisons of trials the text of a page states."""
    return sum(xla + stablehlo for _, _, xla, stablehlo in counts_of(page).values())


def page(worst):
    """The text of the page; `worst`: what its last columns say, by operation."""
    found = counts()
    numbers = [sum(row[i] for row in found.values()) for i in range(1, 4)]
    text = HEAD + (f"In all {numbers[0]} trials: {numbers[1]} are compared with XLA and "
                   f"{numbers[2]} with StableHLO.\n\n")
    rows = "".join(f"| `{name}` | {' | '.join(map(str, row))} | {' | '.join(worst[name])} |\n"
                   for name, row in found.items())
    return text + COLUMNS + rows + MORE + "".join(map(_row, EXCLUSIONS))


def _ulps(x):
    return "exact" if x == 0 else f"{x:.2g}"


def _row(row):
    far = ("not run" if not row.asked else "error" if row.refused else
           f"{row.ulps:.0f} ulp" if row.ulps < float("inf") else
           "some elements" if row.where else "all")
    other = {"xla": "XLA", "stablehlo": "StableHLO", "interpreter": "CPU and interpreter"}
    return (f"| {other[row.oracle]} | {row.ops or 'all'} | {row.dtypes or 'all'} | {far} | "
            f"{row.reason} |\n")


def _measure(dtype_name, family, oracle, only):
    """The largest distances for each operation and backend, and what failed."""
    dtype = next(d for d in DTYPES if d.name == dtype_name)
    found, failures = Counter(), []
    chosen = (fewer if oracle == "stablehlo" else trials)(dtype, family)
    for verdict in judge.verdicts([t for t in chosen if not only or t.op.name in only], oracle):
        failures += verdict.failures
        for name, far in verdict.worst.items():
            key = verdict.trial.op.name, name
            found[key] = max(found[key], float(far))
    return found, failures


def measure(only):
    """Run the trials of some operations, or of all; the last columns of the page for them."""
    jobs = list(itertools.product([d.name for d in DTYPES], FAMILIES, ("xla", "stablehlo"), [only]))
    worst, failures = Counter(), []
    # Processes are replaced now and then: what XLA has compiled stays in their memory.
    with get_context("spawn").Pool(os.cpu_count(), maxtasksperchild=6) as pool:
        for found, failed in pool.starmap(_measure, jobs, chunksize=1):
            worst |= found
            failures += failed
    assert not failures, "\n".join(failures)
    return {name: [_ulps(worst[name, backend]) for backend in ("interpreter", "cpu")]
            for name in only or TABLE}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=TABLE, default=[], metavar="operation")
    only = parser.parse_args().only
    before = worst_of(PAGE.read_text()) if only else {}
    PAGE.write_text(page(before | measure(only)))


if __name__ == "__main__":
    main()

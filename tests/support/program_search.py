"""Look for programs that fail: `python tests/support/program_search.py 0 1000`, from the root.

With `deep` as a third word the programs are under two to four transforms. Each is run in one way,
most of them interpreted, which takes a tenth of the time of compiling. Outcomes are kept in a
file (`--results`), a line of JSON each, and a search that is started again goes on after them. The
programs run in processes that are replaced when they grow, and when a program crashes one.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.append(str(Path(__file__).parents[2]))

import jax
from program_check import JaxRefused, check, report, shrunk
from program_control import random_program
from program_coverage import calls, depth, nests, tables
from program_scope import Refused

from arraylib.config import config

LARGEST = 1 << 30  # bytes of memory, from which a process is replaced
LONGEST = 120  # seconds of computing for one program
SIZE = 4, 9  # statements, without those of bodies: JAX's derivatives of more take seconds
WAYS = "jit", "eager", "reference", "reference", "jit", *["reference"] * 3  # by turns
REPLACE = 75  # the exit status that asks for it


def main() -> None:
    options = _options()
    if options.worker is not None:
        sys.exit(_work(options))
    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(partial(_supervise, options), range(options.workers)))
    print(_summary(options))


def _supervise(options: argparse.Namespace, worker: int) -> None:
    """Processes one after another, until the programs of this worker are done."""
    command = [sys.executable, __file__, *sys.argv[1:], "--worker", str(worker)]
    while _left(options, worker) and time.time() < options.stop:
        status = subprocess.run(command, check=False).returncode
        if status not in (0, REPLACE):
            _write(options, {"seed": _left(options, worker)[0], "outcome": "crashed",
                             "text": f"exit status {status}"})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    parser.add_argument("deep", nargs="?", choices=("deep",))
    parser.add_argument("--results", default=f"{tempfile.gettempdir()}/program_search.jsonl")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--stop", type=float, default=float("inf"), help="seconds since 1970")
    parser.add_argument("--tables", action="store_true", help="what the programs contained")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


# -- results ---------------------------------------------------------------------------------------


def _records(options: argparse.Namespace) -> list[dict[str, Any]]:
    path = Path(options.results)
    found = map(json.loads, path.read_text().splitlines() if path.exists() else ())
    return [r for r in found if options.first <= r["seed"] < options.last]


def _write(options: argparse.Namespace, record: dict[str, Any]) -> None:
    with open(options.results, "a") as file:
        file.write(json.dumps(record) + "\n")


def _left(options: argparse.Namespace, worker: int) -> list[int]:
    """The seeds of a worker that have no outcome yet."""
    done = {record["seed"] for record in _records(options)}
    return [seed for seed in range(options.first, options.last)
            if seed not in done and seed % options.workers == worker]


def _summary(options: argparse.Namespace) -> str:
    records = _records(options)
    counts = Counter(record["outcome"] for record in records)
    seconds = sum(record.get("seconds", 0) for record in records)
    lines = [f"seed {r['seed']}: {r['outcome']}\n{r.get('text', '')}" for r in records
             if r["outcome"] in ("differs", "crashed", "refused", "failed")]
    if options.tables:
        lines.append(tables(r for r in records if "calls" in r))
    return "\n".join([*lines, f"{len(records)} programs, {seconds:.0f} s: " + ", ".join(
        f"{count} {outcome}" for outcome, count in counts.most_common())])


# -- one process -----------------------------------------------------------------------------------


def _work(options: argparse.Namespace) -> int:
    """Programs, until all are done, there is no time left, or this process has grown too large."""
    _hurry()
    for seed in _left(options, options.worker):
        if time.time() > options.stop:
            return 0
        signal.setitimer(signal.ITIMER_PROF, LONGEST)  # an endless one ends the process
        start = time.perf_counter()
        record = _outcome(seed, bool(options.deep))
        seconds = round(time.perf_counter() - start, 3)
        _write(options, {"seed": seed, **record, "seconds": seconds})
        if record["outcome"] != "agrees":
            print("=" * 80, f"seed {seed}: {record}", sep="\n", flush=True)
        if _memory() > LARGEST:
            return REPLACE
    return 0


def _hurry() -> None:
    """Save what JAX's tracing spends on looking for garbage and on where its operations are."""
    gc.freeze()
    gc.set_threshold(200_000, 50, 1000)
    jax.config.update("jax_traceback_in_locations_limit", 0)
    jax.config.update("jax_include_full_tracebacks_in_locations", False)


def _outcome(seed: int, deep: bool) -> dict[str, Any]:
    config.verify_passes = seed % 4 == 2
    try:
        program = random_program(seed, size=SIZE, deep=deep)
    except Refused as error:
        return {"outcome": "refused", "text": f"{error}\n{error.__cause__!r}"}
    record = {"outcome": "agrees", "calls": calls(program), "nests": nests(program),
              "depth": depth(program)}
    try:
        failure = check(program, [WAYS[seed % len(WAYS)]])
    except JaxRefused as error:
        return record | {"outcome": "refused by JAX", "text": repr(error.__cause__)[:300]}
    except Exception as error:
        text = f"{type(error).__name__}: {error}"[:600]
        return record | {"outcome": "failed", "text": f"{program.source()}\n{text}"}
    if failure:
        record |= {"outcome": "differs", "text": report(*shrunk(program, failure))}
    return record


def _memory() -> int:
    """The bytes that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()

"""Look for programs that fail: `python tests/support/program_search.py 0 1000`, from the root.

With `deep` as a third word the programs are under two to four transforms.
"""

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("ARRAYLIB_VERIFY_PASSES", "1")
sys.path.append(str(Path(__file__).parents[2]))

from program_check import check, report, shrunk
from program_control import random_program
from program_scope import Refused


def main(first: int, last: int, deep: bool) -> None:
    start, failures = time.perf_counter(), 0
    for seed in range(first, last):
        try:
            program = random_program(seed, deep=deep)
            failure = check(program)
            text = report(*shrunk(program, failure)) if failure else ""
        except Refused as error:
            text = f"seed {seed}: {error}\n{error.__cause__!r}"
        except Exception as error:
            text = f"seed {seed}: {type(error).__name__}: {error}"[:600]
        if (seed + 1 - first) % 500 == 0:
            print(f"{seed + 1 - first} programs, {failures} failures so far", flush=True)
        if text:
            failures += 1
            print("=" * 80, text, sep="\n", flush=True)
    print(f"{last - first} programs, {failures} failures, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]), "deep" in sys.argv[3:])

"""python -m arraylib.as_jax SCRIPT [ARGUMENT...], or -m MODULE [ARGUMENT...]."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence

from arraylib.as_jax.imports import install

USAGE = """usage: python -m arraylib.as_jax SCRIPT [ARGUMENT...]
       python -m arraylib.as_jax -m MODULE [ARGUMENT...]

Runs a program written for JAX on arraylib; what it asks for and does not get is listed at the end.
"""


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments name as Python would; 2 if they name nothing."""
    if not arguments or arguments[0] in ("-h", "--help") or arguments == ["-m"]:
        print(USAGE, end="")
        return 0 if arguments and arguments != ["-m"] else 2
    install(report=True)
    if arguments[0] == "-m":
        sys.argv = list(arguments[1:])
        sys.path.insert(0, os.getcwd())
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(arguments)
        sys.path.insert(0, os.path.dirname(os.path.abspath(arguments[0])))
        runpy.run_path(arguments[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

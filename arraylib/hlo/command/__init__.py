"""The command line for people who work on programs: check, print, rewrite, run and measure them.

    python -m arraylib.hlo FILE [options]

`options.py` says what there is, `actions.py` does it.
"""

from arraylib.hlo.command.actions import main

__all__ = ["main"]

"""How graphs are run, by the name of the backend: what compiles them is defined above the graph."""

from collections.abc import Callable, Sequence
from typing import Any

from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Graph

Run = Callable[[Graph, Sequence[Any]], Sequence[Any]]

RUNNERS: dict[str, Run] = {"reference": interpret}


def install_runner(name: str, run: Run) -> None:
    """Make `backend=name` run graphs so."""
    RUNNERS[name] = run

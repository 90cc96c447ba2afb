"""What compiling cost, phase by phase, and which lines of the user's it was spent on."""

from __future__ import annotations

from collections.abc import Mapping

from arraylib.errors import Source
from arraylib.record import field, record
from arraylib.reports.table import Table

PHASES = ("trace", "passes", "lower", "write", "codegen", "link", "load")
_MOST_LINES = 12


@record
class Census:
    """How many operations a program has after the passes, and steps; `lines` tells whose.

    distinct: kernels that differ, each of which is compiled once. lines: operations and kernels by
    the line that they come from.
    """

    operations: int = 0
    kernels: int = 0
    distinct: int = 0
    products: int = 0
    host: int = 0
    lines: Mapping[Source, tuple[int, int]] = field(default_factory=dict)


@record
class Compiling:
    """One compilation. `phases` are seconds; found: "nowhere", on "disk" or in this "process"."""

    signature: str
    seconds: float
    phases: Mapping[str, float]
    found: str
    census: Census


@record
class CompileReport:
    """The compilations of a function: tables when printed."""

    name: str
    compilations: tuple[Compiling, ...]

    @property
    def seconds(self) -> float:
        """Spent in all."""
        return sum(each.seconds for each in self.compilations)

    @property
    def lines(self) -> list[tuple[Source, int, int]]:
        """The user's lines with their operations and kernels, those that make most first."""
        total: dict[Source, tuple[int, int]] = {}
        for each in self.compilations:
            for where, (ops, kernels) in each.census.lines.items():
                before = total.get(where, (0, 0))
                total[where] = before[0] + ops, before[1] + kernels
        rows = [(where, ops, kernels) for where, (ops, kernels) in total.items()]
        return sorted(rows, key=lambda row: (-row[1], -row[2], row[0]))

    def tables(self) -> tuple[Table, Table]:
        """Times by phase in milliseconds, then lines."""
        shown = [phase for phase in PHASES if any(phase in c.phases for c in self.compilations)]
        head = ("total ms", *shown, "operations", "kernels", "distinct", "found", "signature")
        rows = [(_ms(c.seconds), *(_ms(c.phases.get(phase)) for phase in shown),
                 f"{c.census.operations:,}", f"{c.census.kernels:,}", f"{c.census.distinct:,}",
                 c.found, c.signature) for c in self.compilations]
        lines = [(f"{ops:,}", f"{kernels:,}", str(where))
                 for where, ops, kernels in self.lines[:_MOST_LINES]]
        times = f"{self.name}: compiled {len(rows)} times, {_ms(self.seconds)} ms"
        return (Table(times, head, rows, frozenset({"found", "signature"})),
                Table("lines that most of it comes from", ("operations", "kernels", "line"), lines,
                      frozenset({"line"})))

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.tables()))

    def _repr_html_(self) -> str:
        return "".join(table._repr_html_() for table in self.tables())


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{1000 * seconds:.1f}"

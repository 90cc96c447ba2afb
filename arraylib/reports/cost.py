"""What each step of a program costs, and the least time the machine could take for it."""

from __future__ import annotations

from collections.abc import Mapping

from arraylib.errors import Source
from arraylib.record import record
from arraylib.reports.table import Table, bytes_text, count_text, lines_text, ops_text, time_text

TRANSCENDENTAL = 16  # flops: what a polynomial for a function such as sine takes at the least


@record
class Limits:
    """What a machine can do: measured once, and kept.

    `flops` is a second's operations on numbers of so many bytes (4 and 8), a multiplication and an
    addition counted as two. `bandwidth` says how many bytes a second are read where data of so many
    bytes in all are read again and again: the caches', and last the memory's.
    """

    threads: int
    flops: Mapping[int, float]
    bandwidth: tuple[tuple[int, float], ...]

    def bytes_per_second(self, nbytes: int) -> float:
        """The bandwidth of the nearest memory that holds so many bytes."""
        return next((rate for size, rate in self.bandwidth if nbytes <= size * 5 // 4),
                    self.bandwidth[-1][1])

    def __str__(self) -> str:
        caches = ", ".join(f"{rate / 1e9:.3g} GB/s from {bytes_text(size)}"
                           for size, rate in self.bandwidth)
        return (f"{self.threads} threads: {self.flops[4] / 1e9:.3g} GFLOP/s in f32, "
                f"{self.flops[8] / 1e9:.3g} in f64; {caches}")


@record
class StepCost:
    """The cost of one step of a program, in all its runs.

    flops: operations on numbers; transcendentals: those of them that are functions like sine. read,
    written: bytes, each element once. runs: how often it runs in one call. at_least: it stands in a
    loop whose number of steps is not known; one is counted. roofline: seconds, the least that the
    machine could take. bound: "compute" or "memory", whichever that time is due to.
    """

    name: str
    ops: tuple[str, ...]
    where: tuple[Source, ...]
    flops: int
    transcendentals: int
    read: int
    written: int
    runs: int
    at_least: bool
    roofline: float
    bound: str


def roofline(limits: Limits, flops: int, transcendentals: int, read: int, written: int,
             itemsize: int, runs: int) -> tuple[float, str]:
    """The least seconds for work on numbers of `itemsize` bytes, and what they are due to.

    Data come from the nearest memory that could hold them; results may replace what was read.
    Williams, Waterman, Patterson: Roofline, CACM 52(4), 2009.
    """
    operations = flops + (TRANSCENDENTAL - 1) * transcendentals
    compute = operations / limits.flops[8 if itemsize >= 8 else 4]
    memory = (read + written) / limits.bytes_per_second(max(read, written) // max(runs, 1))
    return max(compute, memory), "compute" if compute > memory else "memory"


@record
class CostReport:
    """The steps of a program with what each costs: a table when printed."""

    steps: tuple[StepCost, ...]
    limits: Limits

    @property
    def flops(self) -> int:
        """Operations on numbers in one call."""
        return sum(step.flops for step in self.steps)

    @property
    def bytes(self) -> int:
        """Bytes that all steps read and write."""
        return sum(step.read + step.written for step in self.steps)

    @property
    def roofline(self) -> float:
        """Seconds: the least that the machine could take for all steps, one after another."""
        return sum(step.roofline for step in self.steps)

    def table(self) -> Table:
        """The same as rows of text."""
        total = (f"{count_text(self.flops)} flops, {bytes_text(self.bytes)} moved, "
                 f"at least {time_text(self.roofline)}")
        rows = [(step.name, ops_text(step.ops), f"{step.runs:,}", count_text(step.flops),
                 bytes_text(step.read), bytes_text(step.written), time_text(step.roofline),
                 step.bound, lines_text(step.where))
                for step in self.steps]
        notes = [f"roofline on {self.limits}"]
        if any(step.at_least for step in self.steps):
            notes.append("at least: of a loop whose steps are not known, one is counted")
        head = ("step", "operations", "runs", "flops", "read", "written", "roofline", "bound",
                "lines")
        return Table(f"{len(self.steps)} steps: {total}", head, rows,
                     frozenset({"step", "operations", "bound", "lines"}), tuple(notes))

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

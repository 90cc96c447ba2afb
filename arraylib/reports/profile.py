"""Where the time of a program goes: measured, beside what the machine could do, and as pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from arraylib.errors import ArgumentError, Source, mistake
from arraylib.record import record
from arraylib.reports.drawing import Bar, bars_png, bars_svg
from arraylib.reports.table import Table, lines_text, ops_text, time_text

_MOST_BARS = 24


@record
class Timed:
    """One step: the shortest of its times in any run; its time and start in the shortest run.

    `roofline` is the least that the machine could take; None where that is not known. All are
    seconds.
    """

    name: str
    ops: tuple[str, ...]
    where: tuple[Source, ...]
    text: str
    seconds: float
    start: float
    duration: float
    roofline: float | None = None


@record
class Profile:
    """The steps of a program, measured: a table when printed, the longest first."""

    steps: tuple[Timed, ...]
    runs: int

    @property
    def seconds(self) -> float:
        """The time of all steps together."""
        return sum(step.seconds for step in self.steps)

    def table(self) -> Table:
        """The same as rows of text."""
        total = self.seconds or 1.0
        rows = [(time_text(step.seconds), f"{step.seconds / total:.1%}", *_beside(step), step.name,
                 ops_text(step.ops), lines_text(step.where))
                for step in sorted(self.steps, key=lambda step: -step.seconds)]
        head = ("time", "share", "roofline", "of it", "step", "operations", "lines")
        return Table(f"{time_text(self.seconds)} in {len(self.steps)} steps, the best of "
                     f"{self.runs} runs", head, rows,
                     frozenset({"step", "operations", "lines"}))

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def save(self, path: str | Path) -> None:
        """Write the shortest run as a trace, to open at https://ui.perfetto.dev.

        The format is Chrome's trace events, as JSON.

            jitted.profile(x).save("trace.json")
        """
        Path(path).write_text(json.dumps(self.trace(), indent=1))

    def trace(self) -> dict[str, Any]:
        """What `save` writes."""
        events: list[dict[str, Any]] = [
            {"name": "process_name", "ph": "M", "pid": 1, "tid": 1, "args": {"name": "arraylib"}},
            {"name": "thread_name", "ph": "M", "pid": 1, "tid": 1, "args": {"name": "program"}}]
        for step in self.steps:
            facts = {"operations": ", ".join(step.ops), "what": step.text,
                     "lines": [str(where) for where in step.where]}
            if step.roofline is not None:
                facts["roofline"] = time_text(step.roofline)
            events.append({"name": f"{step.name}: {ops_text(step.ops)}", "cat": "step", "ph": "X",
                           "ts": 1e6 * step.start, "dur": 1e6 * step.duration, "pid": 1, "tid": 1,
                           "args": facts})
        return {"traceEvents": events, "displayTimeUnit": "ns"}

    def plot(self, path: str | Path) -> None:
        """Draw the longest steps as bars, each with a mark at its roofline, into a file.

        An `.svg` needs nothing else; a `.png` or `.pdf` needs matplotlib, which the extra
        `arraylib[plot]` installs.

            jitted.profile(x).plot("step.png")
        """
        longest = sorted(self.steps, key=lambda step: -step.seconds)[:_MOST_BARS]
        bars = [Bar(f"{step.name}  {ops_text(step.ops)}  "
                    f"{lines_text(step.where[-1:])}".rstrip(), step.seconds,
                    step.roofline, time_text(step.seconds)) for step in longest]
        title = f"{time_text(self.seconds)} in {len(self.steps)} steps"
        kind = Path(path).suffix.lower()
        if kind == ".svg":
            Path(path).write_text(bars_svg(title, bars), "utf-8")
        elif kind in (".png", ".pdf"):
            bars_png(title, bars, path)
        else:
            raise mistake(ArgumentError, "plot", f"{str(path)!r} ends in {kind!r}",
                          hint="use a name that ends in .svg, .png or .pdf")


def _beside(step: Timed) -> tuple[str, str]:
    """The roofline, and what part of that speed was reached."""
    if step.roofline is None:
        return "", ""
    return time_text(step.roofline), f"{step.roofline / step.seconds:.0%}" if step.seconds else ""

"""What memory a program needs at its peak, known before it runs, and what for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from arraylib.errors import Source
from arraylib.hlo.ir import Type
from arraylib.record import record
from arraylib.reports.table import Table, bytes_text, place

LARGEST = 10  # buffers in a table


@record
class Held:
    """One buffer that is there at the peak.

    kind: "argument", "output", "constant" or "temporary"; number: of the argument or output. name:
    what it is, or the operation that makes it; where: that operation's line. why: what keeps it.
    """

    nbytes: int
    kind: str
    name: str
    type: Type | None
    where: Source | None
    why: str
    number: int = -1


@record
class MemoryReport:
    """What one call needs: a table when printed.

    arguments: the caller's; outputs: new memory for results, those left out that take over a
    donated argument's; constants: arrays in the program; temporaries: one block for all that is
    computed on the way, used again and again. `op` at `where` runs when most of it is in use.
    `buffers` are there at that moment, the largest first.
    """

    arguments: int
    outputs: int
    constants: int
    temporaries: int
    op: str
    where: Source | None
    buffers: tuple[Held, ...]

    @property
    def peak(self) -> int:
        """Bytes in all."""
        return self.arguments + self.outputs + self.constants + self.temporaries

    def named(self, arguments: Callable[[int], str], outputs: Callable[[int], str]) -> MemoryReport:
        """The same with the user's names for arguments and results."""
        names = {"argument": arguments, "output": outputs}
        held = [replace(each, name=names[each.kind](each.number)) if each.kind in names else each
                for each in self.buffers]
        return replace(self, buffers=tuple(held))

    def table(self) -> Table:
        """The same as rows of text."""
        at = f" in {self.op}" if self.op else ""
        at += f" at {place(self.where)}" if place(self.where) else ""
        title = (f"{bytes_text(self.peak)} at the peak{at}: arguments "
                 f"{bytes_text(self.arguments)}, outputs {bytes_text(self.outputs)}, constants "
                 f"{bytes_text(self.constants)}, temporaries {bytes_text(self.temporaries)}")
        rows = [(bytes_text(each.nbytes), str(each.type or ""), each.name, place(each.where),
                 each.why) for each in self.buffers[:LARGEST]]
        rest = self.buffers[LARGEST:]
        more = sum(each.nbytes for each in rest)
        notes = (f"and {len(rest)} smaller ones, {bytes_text(more)} together",) if rest else ()
        head = ("bytes", "type", "what", "line", "alive because")
        return Table(title, head, rows, frozenset(head[1:]), notes)

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

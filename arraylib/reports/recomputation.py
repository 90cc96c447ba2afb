"""What a program computes twice to stay within a budget of memory."""

from __future__ import annotations

from collections.abc import Sequence

from arraylib.errors import Source
from arraylib.hlo.ir import Node, Type
from arraylib.record import record
from arraylib.reports.table import Table, bytes_text, count_text, place

LARGEST = 12  # rows of a table


@record
class Again:
    """Values that are computed twice: those of one operation at one line."""

    name: str
    where: Source
    type: Type
    count: int
    nbytes: int
    work: int


@record
class Recomputation:
    """The trade: a table when printed.

    budget: bytes that were asked for; before, after: bytes at the peak of a call, as
    `Compiled.memory` counts them. work: operations on numbers in one call without it; added: those
    that are done twice. `again` are the values concerned, the largest first.
    """

    budget: int | None
    before: int
    after: int
    work: int
    added: int
    again: tuple[Again, ...]

    def table(self) -> Table:
        """The same as rows of text."""
        share = 100 * self.added / max(self.work, 1)
        asked = "no budget" if self.budget is None else f"budget {bytes_text(self.budget)}"
        title = (f"{asked}: {bytes_text(self.before)} at the peak became {bytes_text(self.after)}, "
                 f"for {count_text(self.added)} operations ({share:.3g} % more)"
                 if self.again else
                 f"{asked}: nothing is computed twice; {bytes_text(self.after)} at the peak")
        rows = [(bytes_text(each.nbytes), str(each.type), str(each.count), each.name,
                 place(each.where), count_text(each.work)) for each in self.again[:LARGEST]]
        rest = sum(each.count for each in self.again[LARGEST:])
        notes = (f"and {rest} smaller values",) if rest else ()
        return Table(title, ("bytes", "type", "values", "computed twice", "line", "operations"),
                     rows, frozenset(("type", "computed twice", "line")), notes)

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def rows(nodes: Sequence[tuple[Node, int]]) -> tuple[Again, ...]:
    """Nodes that are computed twice, each with its work, by operation, line and type."""
    found: dict[tuple[str, Source, Type], list[int]] = {}
    for node, work in nodes:
        for number, value in enumerate(node.outputs):
            row = found.setdefault((node.op.name, node.where, value.type), [0, 0])
            row[0] += 1
            row[1] += 0 if number else work
    made = [Again(name, where, type, count, count * type.nbytes, work)
            for (name, where, type), (count, work) in found.items()]
    return tuple(sorted(made, key=lambda each: -each.nbytes))

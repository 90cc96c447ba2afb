"""Tables as text and as HTML, and numbers as people read them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape

from arraylib.errors import UNKNOWN, Source
from arraylib.record import record


@record
class Table:
    """Rows of text under a head; columns in `left` are aligned there, others to the right."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    left: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [self.head, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines)]
        text = ["  ".join(cell.ljust(n) if name in self.left else cell.rjust(n)
                          for cell, n, name in zip(line, widths, self.head)).rstrip()
                for line in lines]
        return "\n".join([self.title, *text, *self.notes])

    def _repr_html_(self) -> str:
        """The table as notebooks show it."""
        def row(tag: str, cells: Sequence[str]) -> str:
            sides = ["left" if name in self.left else "right" for name in self.head]
            return "<tr>" + "".join(f'<{tag} style="text-align:{side}">{escape(cell)}</{tag}>'
                                    for cell, side in zip(cells, sides)) + "</tr>"
        body = "".join(row("td", cells) for cells in self.rows)
        notes = "".join(f"<div>{escape(note)}</div>" for note in self.notes)
        return (f"<div>{escape(self.title)}</div><table><thead>{row('th', self.head)}</thead>"
                f"<tbody>{body}</tbody></table>{notes}")


def bytes_text(count: float) -> str:
    """`640 B`, `1.5 MiB`."""
    return _scaled(count, 1024, (" B", " KiB", " MiB", " GiB", " TiB"))


def count_text(count: float) -> str:
    """`640`, `1.5M`."""
    return _scaled(count, 1000, ("", "k", "M", "G", "T"))


def _scaled(count: float, factor: int, units: Sequence[str]) -> str:
    power = 0
    while count >= factor and power + 1 < len(units):
        count, power = count / factor, power + 1
    return f"{count:.0f}{units[power]}" if count >= 1000 or not power \
        else f"{count:.3g}{units[power]}"


def time_text(seconds: float) -> str:
    """`12.3 us`."""
    for factor, unit in ((1e9, "ns"), (1e6, "us"), (1e3, "ms")):
        if seconds * factor < 999.5:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"


def place(where: Source | None) -> str:
    """`train.py:14`."""
    if where is None or where == UNKNOWN:
        return ""
    return f"{os.path.basename(where.file)}:{where.line}"


_MOST_LINES = 4


def lines_text(where: Sequence[Source]) -> str:
    """`train.py:14, 15, model.py:3`, and how many more."""
    lines = [each for each in dict.fromkeys(where) if place(each)]
    shown, file = list[str](), ""
    for each in lines[:_MOST_LINES]:
        shown.append(str(each.line) if each.file == file else place(each))
        file = each.file
    more = f" and {len(lines) - _MOST_LINES} more" if len(lines) > _MOST_LINES else ""
    return ", ".join(shown) + more


_MOST_OPS = 4


def ops_text(ops: Sequence[str]) -> str:
    """`tanh, add, multiply, ... 9 operations`; runs of one operation are said once."""
    names = list(dict.fromkeys(ops))
    if len(names) <= _MOST_OPS:
        return ", ".join(names)
    return f"{', '.join(names[:_MOST_OPS])}, ... {len(ops)} operations"

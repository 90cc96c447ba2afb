"""Elementwise functions, compiled once for their operands' dtypes and run on arrays of any shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from arraylib import dtypes as dt
from arraylib.backends.cpu.on_demand import part
from arraylib.backends.interface import Executable
from arraylib.compile import compile_graph
from arraylib.hlo.ir import Graph, Type
from arraylib.record import record


@record(eq=False)
class AnyLength:
    """An elementwise function as programs for two lengths."""

    small: Executable
    big: Executable
    dtype: dt.Dtype  # of the result

    def at(self, types: Sequence[Type], result: Type) -> Executable:
        """The program for these operands: each has the result's shape or is one number."""
        found: Executable = part("spans").span(self.small, self.big, types, result)
        return found


def any_length(graph: Callable[[int], Graph | None], operands: int) -> AnyLength | None:
    """The function whose graph on vectors of a length is given, with numbers as other operands.

    None if it has too many operands, or needs more than code that runs from start to end.
    """
    spans = part("spans")
    if operands > spans.MOST_OPERANDS:
        return None
    made: list[Executable] = []
    for length in (spans.SMALL, spans.BIG):
        drawn = graph(length)
        executable = compile_graph(drawn) if drawn else None
        if not executable or not spans.fits(executable) \
                or executable.output_types[0].shape != (length,):
            return None
        made.append(executable)
    small, big = made
    return AnyLength(small, big, small.output_types[0].dtype)

"""What a program takes and gives up, checked before it first runs: its memory, its donations."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from arraylib.backends.cpu import memory
from arraylib.backends.cpu.memory import HUGE_PAGE
from arraylib.backends.interface import Executable
from arraylib.errors import DonationError, DonationWarning, OutOfMemoryError, here, mistake
from arraylib.on_demand import module

if TYPE_CHECKING:
    from arraylib.reports.memory import MemoryReport


def check_memory(function: str, executable: Executable,
                 report: Callable[[], MemoryReport]) -> None:
    """OutOfMemoryError with the memory report if results and temporaries cannot fit."""
    wanted, room, most = sum(executable.blocks), memory.room(), memory.limit()
    if wanted <= max(room, HUGE_PAGE):  # small blocks come from what is mapped already
        return
    bytes_text = module("reports.table").bytes_text
    error = mistake(
        OutOfMemoryError, function, f"needs {bytes_text(wanted)} for results and temporaries, but "
        f"{bytes_text(most - room)} of {bytes_text(most)} are in use", hint="smaller batches, "
        "arraylib.checkpoint, donated arguments, or a higher config.memory_limit")
    raise OutOfMemoryError(f"{error}\n{report()}")


def check_donations(function: str, executable: Executable, donated: Sequence[int],
                    names: Callable[[int], str], strict: bool) -> None:
    """DonationWarning, at the user's line, for arguments whose memory no result can take over.

    If `strict`, DonationError; then also for one that is only still read when the results of its
    size are written, of which nothing is said otherwise.
    """
    taken = {result.donor for result in executable.results}
    lines = [f"{names(number)}, {executable.input_types[number]}: {reason}"
             for number in donated
             if number not in taken and (reason := _reason(executable, number, strict))]
    if not lines:
        return
    if strict:
        raise mistake(DonationError, function, "donated, but not used", operands=lines,
                      hint="donate what a result of the same size replaces, and nothing else; or "
                      "leave out donate='strict'")
    where = here()
    text = f"{function}: donated, but not used:\n  " + "\n  ".join(lines)
    warnings.warn_explicit(text, DonationWarning, where.file, where.line)


def _reason(executable: Executable, number: int, strict: bool) -> str:
    """Why nothing could be made in an argument's memory; empty if something could."""
    nbytes = executable.input_types[number].nbytes
    if not nbytes:
        return ""
    fitting = [result for result in executable.results if result.type.nbytes == nbytes]
    if not fitting:
        return "no result has its size"
    if all(result.donor is not None for result in fitting):
        return "other donated arguments have the memory of all results of its size"
    return "it is still read when the results of its size are written" if strict else ""

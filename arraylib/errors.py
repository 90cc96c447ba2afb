"""Errors a user can meet, and where in the user's own code they arose.

A message has four parts: what is wrong, with both numbers; the user's file, line and text; the
operands with their types and axis labels; and what to try.
"""

import linecache
import os
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from types import CodeType, FrameType, TracebackType
from typing import NamedTuple

PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class Source(NamedTuple):
    """A line of the user's program."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        text = _line(self.file, self.line)
        place = f"{os.path.basename(self.file)}:{self.line}"
        place += f" in {self.function}" if self.function else ""
        return f"{place}:  {text}" if text else place


class Watched(Source):
    """A line of which each result is looked at already, for a nan: see hlo/passes/watch.py."""

    __slots__ = ()


def of_derivative(where: Source) -> Source:
    """The line for what is derived from an operation, which nobody looks at yet."""
    return where if where.__class__ is Source else Source(*where)


_LARGEST_SOURCE = 1 << 24  # bytes


def _line(file: str, number: int) -> str:
    """The text of a line, if `file` is source: a program from elsewhere may name any file."""
    if file not in linecache.cache:
        known = file.endswith((".py", ".mlir")) and os.path.isfile(file)
        if not known or os.path.getsize(file) > _LARGEST_SOURCE:
            return ""
    return linecache.getline(file, number).strip()


UNKNOWN = Source("<unknown>", 0, "<unknown>")

# Names of the parts of the program that are being traced, "block/attention/": `named_scope`.
scope: ContextVar[str] = ContextVar("arraylib_scope", default="")
_is_ours: dict[str, bool] = {}
_new_tuple = tuple.__new__  # Source's own takes three times as long


def here() -> Source:
    """The innermost line being executed that is not this library's own."""
    frame = sys._getframe(2)  # who calls this is the library
    while frame is not None:
        code = frame.f_code
        file = code.co_filename
        ours = _is_ours.get(file)
        if ours is None:
            ours = _is_ours[file] = file.startswith(PACKAGE) or _is_plumbing(file)
        if not ours:
            return _new_tuple(Source, (file, frame.f_lineno, scope.get() + code.co_name))
        frame = frame.f_back  # type: ignore[assignment]
    return UNKNOWN


def users_frame() -> FrameType | None:
    """The frame of the line that `here` gives."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _passes(frame):
        frame = frame.f_back
    return frame


def _passes(frame: FrameType) -> bool:
    """Whether a frame is the library's own, or Python's between that and the user's."""
    file = frame.f_code.co_filename
    return file.startswith(PACKAGE) or _is_plumbing(file)


def shorten(error: BaseException) -> None:
    """Leave the library's own frames out of what Python prints of a user's mistake.

    An error that is none, but comes out of the library, is the library's own and stays as it is.
    """
    steps = []
    step = error.__traceback__
    while step is not None:
        steps.append(step)
        step = step.tb_next
    if steps and not isinstance(error, ArraylibError) and _passes(steps[-1].tb_frame):
        return
    kept = [step for step in steps if not _passes(step.tb_frame)]
    following = None
    for step in reversed(kept):
        following = TracebackType(following, step.tb_frame, step.tb_lasti, step.tb_lineno)
    error.__traceback__ = following


def source_of(code: CodeType, instruction: int) -> Source:
    """The line of an instruction, by its place in the code's bytes."""
    lines = [line for start, end, line in code.co_lines() if start <= instruction < end and line]
    return Source(code.co_filename, lines[0] if lines else code.co_firstlineno, code.co_name)


def _is_plumbing(file: str) -> bool:
    """Frames of Python itself between the user's call and ours (functools.partial, imports)."""
    return file.startswith("<frozen") or os.path.basename(file) in (
        "functools.py", "contextlib.py", "_collections_abc.py")


class ArraylibError(Exception):
    """Base of every error this library raises for a user's mistake."""


class ShapeError(ArraylibError, TypeError, ValueError):
    """Shapes or axes do not fit an operation."""


class AxisError(ShapeError, IndexError):
    """An array has no such axis."""


class DtypeError(ArraylibError, TypeError, ValueError):
    """An operation does not take values of this dtype."""


class StructureError(ArraylibError, TypeError, ValueError):
    """Nested containers differ where they must agree."""


class TraceError(ArraylibError, TypeError):
    """A traced value was used where only a known one will do, or outside its trace."""


class TracedIndexError(TraceError, IndexError):
    """An index decides the shape of the result, but is known at run time only."""


class UnboundAxisError(TraceError, NameError):
    """A collective names an axis that no vmap around it has."""


class ArgumentError(ArraylibError, TypeError, ValueError):
    """An argument that no operation could accept."""


class ShardingTypeError(ArraylibError, TypeError, ValueError):
    """Along explicit axes of a mesh, operands disagree or a result is ambiguous."""


class CopyError(ArraylibError, BufferError, ValueError):
    """Memory was to be shared that has to be copied."""


class DonatedError(ArraylibError, RuntimeError):
    """An array was used after its memory had been given away."""


class DonationError(ArraylibError, ValueError):
    """An argument of `jit(donate="strict")` was donated in vain."""


class OutOfMemoryError(ArraylibError, MemoryError):
    """A program or array needs more memory than there is; it was not run."""


class CompileLimitError(ArraylibError, RuntimeError):
    """A function would have been compiled more often than `jit(max_compiles=...)` allows."""


class DonationWarning(UserWarning):
    """An argument was donated in vain: no result could take over its memory."""


class DepthError(ArraylibError, RecursionError):
    """A function calls itself, or nests transforms, deeper than Python can follow."""


class OutOfBoundsError(ArraylibError, IndexError):
    """An index outside its axis."""


class CheckError(ArraylibError, RuntimeError, ValueError):
    """A check of the program's values did not hold when the program ran."""


class NotFiniteError(CheckError, FloatingPointError):
    """A nan or an infinity came up where the program was watched for them."""


class IndexCheckError(CheckError, OutOfBoundsError):
    """An index known at run time only was outside its axis, where indices are checked."""


class DivisionCheckError(CheckError, ZeroDivisionError):
    """A division by zero, where divisions are checked."""


class KeyReuseError(ArraylibError, RuntimeError):
    """A random key was used twice, where that is looked for."""


class IntegerOverflowError(ArraylibError, OverflowError):
    """An integer does not fit the dtype it was asked to have."""


def what_is(x: object) -> str:
    """`an int`, `a str`: the class of a value, for a message."""
    name = type(x).__name__
    return f"an {name}" if name[0] in "aeioAEIO" else f"a {name}"


def count(number: int, noun: str) -> str:
    """`1 axis`, `2 axes`, `0 leaves`: a number of things, for a message."""
    plural = _PLURALS.get(noun, f"{noun}s")
    return f"{number} {noun if number == 1 else plural}"


_PLURALS = {"axis": "axes", "leaf": "leaves", "index": "indices", "entry": "entries"}


def mistake(
    kind: type[Exception],
    op: str,
    problem: str,
    *,
    where: Source | None = None,
    operands: Sequence[object] = (),
    hint: str = "",
) -> Exception:
    """The four-part error of class `kind`, ready to be raised.

    `operands` are shown one a line, each by its `str`; `hint` says what to try.
    """
    lines = [f"{op}: {problem}", f"  at {where or here()}"]
    lines += [f"  operand {i}: {x}" for i, x in enumerate(operands)]
    if hint:
        lines.append(f"  try: {hint}")
    return kind("\n".join(lines))

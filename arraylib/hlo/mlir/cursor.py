"""A place in a text that is being read, and errors that show it."""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

from arraylib.errors import ArraylibError, Source

T = TypeVar("T")

_BLANK = re.compile(r"(?:\s+|//[^\n]*)*")
# Strings, comments, brackets with no other inside, and brackets alone.
_BRACKETS = re.compile(r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"|->|//[^\n]*|<[^<>\[\](){}"/-]*+>|'
                       r'\[[^<>\[\](){}"/]*+\]|[<>\[\](){}]')
_PARTNER = {">": "<", "]": "[", ")": "(", "}": "{"}
DEEPEST = 64  # levels of nesting, of attributes, types or regions
_SHOWN = 100  # characters of a long line that an error shows
DIGITS = "[0-9]{1,40}"  # of an integer: Python itself refuses those of thousands of digits


class ParseError(ArraylibError, ValueError):
    """Text that is no program, with the line and column where that shows."""


class Cursor:
    """A text and a position in it. Blanks and comments before what is read are skipped."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.at = 0
        self.nesting = 0  # of the type being read
        self.aliases: dict[str, int] = {}  # where what `#alias` and `!alias` stand for is written
        self.sources: dict[str, Source | None] = {}  # the lines that aliases of locations name

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer("\n", self.text))]

    def line(self, at: int) -> int:
        """The number, from 1, of the line that a position is in."""
        return bisect.bisect_right(self._line_starts, at)

    def fail(self, problem: str, at: int | None = None, hint: str = "") -> ParseError:
        """The error for what is wrong at a position: `name:line:column`, the line, a caret."""
        at = self.skip() if at is None else at
        number = self.line(at)
        start = self._line_starts[number - 1]
        shown, column = self._excerpt(start, at)
        lines = [f"{self.name}:{number}:{at - start + 1}: {problem}", f"    {shown}",
                 f"    {' ' * column}^"]
        return ParseError("\n".join(lines + [f"  try: {hint}"] * bool(hint)))

    def _excerpt(self, start: int, at: int) -> tuple[str, int]:
        """The line, or the part of a long one around `at`; and where in that `at` is."""
        end = self.text.find("\n", at)
        end = len(self.text) if end < 0 else end
        left = max(start, min(at - _SHOWN // 2, end - _SHOWN))
        right = min(end, left + _SHOWN)
        front = "..." * (left > start)
        shown = "".join(c if c.isprintable() else "?" for c in self.text[left:right])
        return front + shown + "..." * (right < end), len(front) + at - left

    def skip(self) -> int:
        """Go to the next thing that is no blank or comment; its position."""
        here = self.text[self.at:self.at + 1]
        if here > " " and here != "/" and here < "\x7f":  # most often there is nothing to skip
            return self.at
        self.at = _BLANK.match(self.text, self.at).end()  # type: ignore[union-attr]
        return self.at

    def peek(self, literal: str) -> bool:
        """Whether this comes next."""
        return self.text.startswith(literal, self.skip())

    def accept(self, literal: str) -> bool:
        """Go past `literal` if it comes next."""
        if self.text.startswith(literal, self.at) or self.text.startswith(literal, self.skip()):
            self.at += len(literal)
            return True
        return False

    def expect(self, literal: str) -> None:
        """Go past `literal`, which must come next."""
        if not self.accept(literal):
            raise self.fail(f"expected {literal!r}, found {self.found()}")

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What a pattern matches here, and go past it."""
        found = pattern.match(self.text, self.at) or pattern.match(self.text, self.skip())
        if found:
            self.at = found.end()
        return found

    def read(self, pattern: re.Pattern[str], what: str) -> str:
        """What a pattern matches here; it must."""
        found = self.match(pattern)
        if not found:
            raise self.fail(f"expected {what}, found {self.found()}")
        return found.group()

    def found(self) -> str:
        """What comes next, for a message."""
        if self.skip() == len(self.text):
            return "the end of the text"
        word = re.compile(r"[%@#!^\"]?[\w.$-]+|->|.", re.DOTALL).match(self.text, self.at)
        return repr(word.group()[:40]) if word else "nothing"

    def items(self, close: str, read: Callable[[], T]) -> list[T]:
        """Things separated by commas, up to and past `close`."""
        if self.accept(close):
            return []
        found = [read()]
        while not self.accept(close):
            if not self.accept(","):
                raise self.fail(f"expected ',' or {close!r}, found {self.found()}")
            found.append(read())
        return found

    def skip_brackets(self) -> None:
        """Go past a bracket that comes next, and all up to its partner."""
        start = self.skip()
        open_brackets: list[str] = []
        for found in _BRACKETS.finditer(self.text, start):
            word = found.group()
            if word in _PARTNER:
                if not open_brackets or open_brackets.pop() != _PARTNER[word]:
                    raise self.fail(f"{word!r} closes nothing", found.start())
                if not open_brackets:
                    self.at = found.end()
                    return
            elif len(word) == 1:
                open_brackets.append(word)
            elif not open_brackets and _PARTNER.get(word[-1]) == word[0]:
                self.at = found.end()
                return
            if not open_brackets:
                break
        raise self.fail(f"the bracket {self.text[start:start + 1]!r} is never closed", start)

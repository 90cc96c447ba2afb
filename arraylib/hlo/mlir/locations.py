"""Locations: `loc("model.py":20:42)`, under names, fused, of calls, or behind an alias."""

from __future__ import annotations

import re

from arraylib.errors import Source
from arraylib.hlo.mlir.attributes import quoted, unquoted
from arraylib.hlo.mlir.cursor import Cursor

_FILE = re.compile(r'("(?:[^"\\\n]|\\.)*"):(\d+):(\d+)')
_NAMED = re.compile(r'loc\(\s*("(?:[^"\\\n]|\\.)*")\s*[()]')
_ALIAS = re.compile(r"#[\w$.-]+")
_DEEPEST = 20  # aliases of aliases


def read_location(cursor: Cursor) -> Source | None:
    """A trailing `loc(...)`, if it comes next: the first line of a file that it names."""
    at = cursor.skip()
    if not cursor.text.startswith("loc(", at):
        return None
    cursor.at = at + 3
    cursor.skip_brackets()
    return source(cursor, cursor.text[at:cursor.at])


def source(cursor: Cursor, text: str, depth: int = 0) -> Source | None:
    """The line that a location names, directly or through aliases; None if it names none."""
    if found := _FILE.search(text):
        named = _NAMED.match(text)
        function = unquoted(named.group(1)) if named else "<text>"
        return Source(unquoted(found.group(1)), int(found.group(2)), function)
    for alias in _ALIAS.findall(text) if depth < _DEEPEST else ():
        place = cursor.aliases.get(alias)
        if place is not None:
            back, cursor.at = cursor.at, place
            start = cursor.skip()
            cursor.at = start + 3
            cursor.skip_brackets()
            whole, cursor.at = cursor.text[start:cursor.at], back
            if found_source := source(cursor, whole, depth + 1):
                return found_source
    return None


def location(where: Source) -> str:
    """`loc("function"("file":line:0))`, or the file alone."""
    if where.line == 0:
        return "loc(unknown)"
    place = f"{quoted(where.file)}:{where.line}:0"
    return f"loc({place})" if where.function == "<text>" else (
        f"loc({quoted(where.function)}({place}))")

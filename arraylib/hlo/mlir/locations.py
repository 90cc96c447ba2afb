"""Locations: `loc("model.py":20:42)`, under names, fused, of calls, or behind an alias."""

from __future__ import annotations

import re

from arraylib.errors import Source
from arraylib.hlo.mlir.attributes import quoted, unquoted
from arraylib.hlo.mlir.cursor import DIGITS, Cursor

_FILE = re.compile(rf'("[^"\\\n]*(?:\\.[^"\\\n]*)*"):({DIGITS}):({DIGITS})')
_NAMED = re.compile(r'loc\(\s*("[^"\\\n]*(?:\\.[^"\\\n]*)*")\s*[()]')
_ALIAS = re.compile(r"#[\w$.-]+")
_DEEPEST = 64  # aliases of aliases


def read_location(cursor: Cursor) -> Source | None:
    """A trailing `loc(...)`, if it comes next: the first line of a file that it names."""
    at = cursor.skip()
    if not cursor.text.startswith("loc(", at):
        return None
    cursor.at = at + 3
    cursor.skip_brackets()
    return _source(cursor, cursor.text[at:cursor.at], 0)


def _source(cursor: Cursor, text: str, depth: int) -> Source | None:
    """The line that a location names, directly or through aliases; None if it names none.

    Its function is the name closest around it, `loc("function"("file":1:2))`; "" if there is none.
    """
    if found := _FILE.search(text):
        place: Source | None = Source(unquoted(found.group(1)), int(found.group(2)), "")
    else:
        behind = (_behind(cursor, alias, depth) for alias in _ALIAS.findall(text))
        place = next(filter(None, behind), None)
    named = _NAMED.match(text)
    if place is None or place.function or named is None:
        return place
    return place._replace(function=unquoted(named.group(1)))


def _behind(cursor: Cursor, alias: str, depth: int) -> Source | None:
    """The line that an alias stands for, which is looked up once."""
    if alias not in cursor.sources:
        cursor.sources[alias] = None  # so that one that stands for itself comes to an end
        place = cursor.aliases.get(alias)
        if place is not None and depth < _DEEPEST:
            back, cursor.at = cursor.at, place
            at = cursor.skip()
            if cursor.accept("loc"):
                cursor.skip_brackets()
                cursor.sources[alias] = _source(cursor, cursor.text[at:cursor.at], depth + 1)
            cursor.at = back
    return cursor.sources[alias]


def location(where: Source) -> str:
    """`loc("function"("file":line:0))`, or the file alone."""
    if where.line == 0:
        return "loc(unknown)"
    place = f"{quoted(where.file)}:{where.line}:0"
    return f"loc({quoted(where.function)}({place}))" if where.function else f"loc({place})"

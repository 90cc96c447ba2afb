"""The test that native calls pass before they are trusted: one call, all of whose traces are seen.
"""

from __future__ import annotations

import sys
from ctypes import addressof, c_int32, c_int64
from typing import Any

from arraylib.backends.cpu.calls import words as w
from arraylib.backends.cpu.calls.words import Entry, Home
from arraylib.config import config
from arraylib.hlo.ir import Type


def try_call(call: int, example: int, home: int, array: Any, caller: Any) -> None:
    """Call the example program, y = x + 1; RuntimeError unless everything is as it should be."""
    type = Type("int32", ())
    number = c_int32(41)
    given = object.__new__(array)
    given.type, given.owner, given.place = type, number, addressof(number)
    entry, _tables = _entry(example, home, type)
    function = object.__new__(caller)
    function.entries, function.entry_point = addressof(entry), call
    references = sys.getrefcount(type), sys.getrefcount(given), sys.getrefcount(entry)
    free = c_int64.from_address(home + 8 * Home.COUNT)
    found = function(given)
    facts = {
        "the class of the result": found.__class__ is array,
        "the type of the result": found.type is type and found.owner is None,
        "the result": c_int32.from_address(found.place).value == 42 == number.value + 1,
        "the number of references": sys.getrefcount(type) == references[0] + 1,
    }
    before = free.value
    del found
    facts["the memory given back"] = free.value == before + 1
    facts["the references left"] = references == (
        sys.getrefcount(type), sys.getrefcount(given), sys.getrefcount(entry))
    function.entries = 0
    wrong = [name for name, right in facts.items() if not right]
    if wrong:
        raise RuntimeError(f"in a trial call, {' and '.join(wrong)} was wrong")


def _entry(example: int, home: int, type: Type) -> tuple[Any, Any]:
    """An entry for one argument and one result of a type, and what it points to."""
    entry = (c_int64 * Entry.SIZE)()
    tables = {
        Entry.GUARD: (w.LEAF, id(type), 0), Entry.BLOCKS: (type.nbytes, home, 0, id(type)),
        Entry.RESULTS: (id(type), -1, 0), Entry.OUTPUT: (w.LEAF, 0, 0)}
    kept = []
    for field, words in tables.items():
        kept.append((c_int64 * len(words))(*words))
        entry[field] = addressof(kept[-1])
    for field, value in ((Entry.EPOCH, config.epoch), (Entry.COUNT, 1), (Entry.CODE, example),
                         (Entry.WORDS, 3), (Entry.LEAVES, 1), (Entry.BLOCK_COUNT, 1),
                         (Entry.OWN_BLOCKS, 1),
                         (Entry.RESULT_COUNT, 1), (Entry.ARGUMENTS, 1), (Entry.KEEPER, id(entry))):
        entry[field] = value
    return entry, kept

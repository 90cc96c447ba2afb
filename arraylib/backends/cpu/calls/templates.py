"""The insides of dicts: where the values of a copy are, found by looking, and shapes of tables.

A dict that is built key by key costs a search for each. A copy of a dict that has the keys already
is one block of memory, the same for every copy, whose values can be written straight to their
places. Where these are is not assumed: they are found in the table of a dict with known values, and
compared with a copy of it. What cannot be found is built key by key.

Dicts are read in the same way: their tables are much alike, and one of a known shape has its items
at known places. For the others, and wherever anything looks different, there is `PyDict_Next`.
"""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import c_int64
from typing import Any

from arraylib.backends.cpu.calls.layout import HEADER

# In a dict: the number of items, a word that changes, the table, and values that are elsewhere.
USED, KEYS, ELSEWHERE = HEADER, HEADER + 16, HEADER + 24

# In a table: a word whose lowest bytes are the logarithms of its size and of its index's bytes, and
# whether all keys are strings; the number of entries made. Behind the header there are the index
# and the entries: (hash, key, value), or (key, value) where keys are strings.
KIND, ENTRIES, _TABLE_HEADER = 8, 24, 32
KIND_BITS, STRIDE_BITS = 24, 8  # of a shape: the kind, the entries' stride, the first value's place


class _Nothing:
    """The value of all keys of a template. The collector of cycles looks at it, so that it looks at
    copies as well."""


def template(keys: Sequence[Any]) -> tuple[dict[Any, Any], list[int]] | None:
    """A dict with these keys, all of one value, and the place of each value in a copy's table.

    Places are bytes from the start of the table. None where they are not found.
    """
    found = dict.fromkeys(keys, _Nothing())
    places = _places({key: _Nothing() for key in keys})
    return (found, places) if places and places == _places(found.copy(), places) else None


def _places(given: dict[Any, Any], at: Sequence[int] = ()) -> list[int]:
    """Where the table of a dict has its values, each once, or at these places; none if it cannot
    be told."""
    nbytes = dict.__sizeof__(given) - dict.__basicsize__
    table = _table(given)
    if not table or nbytes <= 0:
        return []
    words = list((c_int64 * (nbytes // 8)).from_address(table))
    if at:
        return [place for place, value in zip(at, given.values(), strict=True)
                if words[place // 8] == id(value)]
    values = [id(value) for value in given.values()]
    if any(words.count(value) != 1 for value in values):
        return []
    return [8 * words.index(value) for value in values]


def shape(given: dict[Any, Any]) -> int:
    """The shape of a dict's table, for native code; 0 where it is not as it is known to be."""
    table = _table(given)
    if not table or not given or _word(table + ENTRIES) != len(given):
        return 0
    kind = _word(table + KIND) & (1 << KIND_BITS) - 1
    size, index, strings = kind.to_bytes(3, "little")
    stride = 16 if strings else 24
    first = _TABLE_HEADER + (1 << index) + stride - 8
    if strings > 1 or (_TABLE_HEADER + (1 << index) + (2 << size) // 3 * stride
                       != dict.__sizeof__(given) - dict.__basicsize__):
        return 0
    for number, (key, value) in enumerate(given.items()):
        place = table + first + number * stride
        if _word(place - 8) != id(key) or _word(place) != id(value):
            return 0
    return kind | stride << KIND_BITS | first << KIND_BITS + STRIDE_BITS


def _table(given: dict[Any, Any]) -> int:
    """Where the table of a dict is; 0 if it cannot be told."""
    if _word(id(given) + USED) != len(given) or _word(id(given) + ELSEWHERE):
        return 0
    table = _word(id(given) + KEYS)
    return table if table > 0 and table % 8 == 0 else 0


def _word(address: int) -> int:
    return c_int64.from_address(address).value

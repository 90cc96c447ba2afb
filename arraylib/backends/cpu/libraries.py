"""Libraries of native code in this process: where their functions are, and what they are found by.

A library is a package with `piece(name)`: its functions, each code of its own, by the names that
programs know them by. `making.py` makes them at their first use; they are kept on disk.
"""

from __future__ import annotations

from arraylib.backends.cpu import objects, pool, target

places: dict[str, int] = {}  # where functions are, by the key of their code
keys: dict[tuple[str, target.Target], str] = {}  # of the code of each name


def key_of(name: str) -> str:
    """The key of a name's code for the current target, which has been linked in this process."""
    return keys[name, target.current()]


def again(name: str, key: str) -> int | None:
    """Where a function is whose code has this key; None if that is nowhere to be found."""
    if key not in places:
        content = objects.load(key)
        if content is None:
            return None
        place(name, key, content)
    keys[name, target.current()] = key
    return places[key]


def place(name: str, key: str, content: bytes) -> None:
    """Link a function's code into the process."""
    places[key] = target.link([content], [name], pool.symbols())[name]

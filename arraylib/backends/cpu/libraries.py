"""Libraries of native code: written at first use, kept on disk, linked into the process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType

from arraylib.backends.cpu import kept, objects, pool, target
from arraylib.backends.cpu.sources import of

_places: dict[str, dict[str, int]] = {}  # where functions are, by the key of their code
_keys: dict[tuple[str, target.Target], str] = {}  # of the code of each name


def linked(name: str, exports: Sequence[str], sources: Sequence[ModuleType],
           text: Callable[[], str], *, quick: bool = False) -> dict[str, int]:
    """Where the functions in `exports` are; `text()` writes their code.

    What is `quick` is compiled in a tenth of the time, to slower code.

    That is done once for each `name`, processor and state of the `sources`, modules or packages
    that write it: writing takes longer than reading them.
    """
    target.check_runs()
    written_by = [content for module in sources for content in _contents(module)]
    key = kept.key_of([name.encode(), *written_by, *of(*kept.WRITER)], quick)
    _keys[name, target.current()] = key
    if key not in _places:
        image = kept.at(key, text, quick=quick)
        _places[key] = target.link([image], exports, pool.symbols())
    return _places[key]


def key_of(name: str) -> str:
    """The key of a name's code for the current target, which has been linked in this process."""
    return _keys[name, target.current()]


def again(name: str, key: str) -> dict[str, int] | None:
    """Where a function is whose code has this key; None if that is nowhere to be found."""
    if key not in _places:
        image = objects.load(key)
        if image is None:
            return None
        _places[key] = target.link([image], [name], pool.symbols())
    _keys[name, target.current()] = key
    return _places[key]


def _contents(module: ModuleType) -> list[bytes]:
    """What says how a module stands, or all modules of a package."""
    return of(module.__name__.removeprefix("arraylib."))

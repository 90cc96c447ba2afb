"""Libraries of native code: written at first use, kept on disk, linked into the process."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from arraylib.backends.cpu import objects, pool, target


def linked(name: str, exports: Sequence[str], sources: Sequence[ModuleType],
           text: Callable[[], str], *, quick: bool = False) -> dict[str, int]:
    """Where the functions in `exports` are; `text()` writes their code.

    What is `quick` is compiled in a tenth of the time, to slower code.

    That is done once for each `name`, processor and state of the `sources`, modules or packages
    that write it: writing takes longer than reading them.
    """
    written_by = [content for module in sources for content in _contents(module)]
    image = objects.built([name.encode(), *written_by], text, quick=quick)
    return target.link([image], exports, pool.symbols())


@functools.cache
def _contents(module: ModuleType) -> tuple[bytes, ...]:
    """The text of a module, or of all modules of a package."""
    file = Path(module.__file__ or "")
    files = sorted(file.parent.glob("*.py")) if file.name == "__init__.py" else [file]
    return tuple(path.read_bytes() for path in files)

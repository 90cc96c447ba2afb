"""The disk cache of compiled code: how large it is, why a program was not in it, emptying it.

    from arraylib import cache
    print(cache.explain_miss())
"""

from __future__ import annotations

from pathlib import Path

from arraylib import compile as compiling
from arraylib.backends.cpu import objects
from arraylib.backends.interface import Key, Lookup
from arraylib.reports.table import bytes_text
from arraylib.tracing.jit import Jitted

# What a difference in a part of the key is called; settings are called what they are.
_CALLED = {
    "library": "the version of arraylib", "sources": "arraylib's own sources", "llvm": "LLVM",
    "llvmlite": "llvmlite", "triple": "the system", "processor": "the processor",
    "features": "the processor's instruction sets", "threads": "the number of threads",
    "donated": "which arguments are donated", "codegen": "how code is generated",
}
_LONGEST = 40  # characters of a value that are shown


def folder() -> Path:
    """Where compiled code is kept: in `config.cache_dir`, or below `~/.cache/arraylib`.

    >>> with config.using(cache_dir="mine"):
    ...     print(arraylib.cache.folder().parts[0])
    mine
    """
    return objects.folder()


def size() -> int:
    """The bytes of compiled code on disk; beyond `config.cache_bytes` the oldest are deleted.

    >>> with config.using(cache_dir="none-such"):
    ...     print(arraylib.cache.size())
    0
    """
    return objects.size()


def clear() -> int:
    """Delete all compiled code on disk, and say how many files that was.

    What this process has compiled or loaded stays; `jitted.clear_cache()` forgets that.

    >>> with config.using(cache_dir="none-such"):
    ...     print(arraylib.cache.clear())
    0
    """
    return objects.clear()


def explain_miss(function: Jitted | None = None) -> str:
    """Why the last program that was compiled did not come from the disk cache.

    With a jitted function, the last that was compiled for it.

    >>> _ = jit(jnp.sin)(1.0)
    >>> why = cache.explain_miss()
    """
    if function is not None:
        ledger = function.compiles()
        lookup = ledger[-1].executable.lookup if ledger else None
    else:
        lookup = compiling.last_lookup
    if lookup is None:
        return "nothing has been compiled yet"
    return f"{lookup.what}\n  {_reason(lookup)}"


def _reason(lookup: Lookup) -> str:
    if lookup.found == "disk":
        return "was loaded from the disk cache"
    if lookup.obstacle:
        return f"was compiled: {lookup.obstacle}"
    key = lookup.key
    if key is None:
        return "was compiled: it refers to objects of this process, such as a Python function " \
               "that it calls"
    if key.name in objects.damaged:
        return f"was compiled: its file was damaged, and is replaced now: {key.name}.object"
    if objects.problem():
        return f"was compiled, and is not kept: {objects.problem()}"
    others = [other for other in compiling.backend().stored(key.program) if other != key]
    if not others:
        return f"was compiled: there was no entry for this program in {folder()} " \
               f"({bytes_text(size())})"
    nearest = min((_differences(key, other) for other in others), key=len)
    return "was compiled: what is stored of the same program differs in\n" + \
        "\n".join(f"    {line}" for line in nearest)


def _differences(key: Key, other: Key) -> list[str]:
    """One line for each part in which a stored program differs."""
    found = []
    for name in sorted({*key.parts, *other.parts}):
        now, then = key.parts.get(name, ""), other.parts.get(name, "")
        if now != then:
            values = f": {now or 'none'} now, {then or 'none'} then" \
                if len(now) + len(then) <= 2 * _LONGEST and name != "sources" else ""
            found.append(_CALLED.get(name, name) + values)
    return found

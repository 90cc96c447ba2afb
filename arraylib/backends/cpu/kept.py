"""Compiled code that is kept on disk: found by what it was made from, made where it is not there.

It is kept as an image where it can be, which is loaded without LLVM, else as an object file. All
of this library's sources are part of what it was made from: which of them write a function's code
is nowhere said, and another release must not find what this one made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from arraylib.backends.cpu import objects, sources, target


def compiled(text: str) -> bytes:
    """The code of a module's text for the current target."""
    return built([text.encode()], lambda: text)


def built(facts: Sequence[bytes], text: Callable[[], str]) -> bytes:
    """The code of the module that `text()` writes, which depends on `facts` alone.

    It is for code that runs here: ArgumentError for a target that this machine is not.
    """
    target.check_runs()
    return at(key_of(facts), text)


def key_of(facts: Sequence[bytes], quick: bool = False) -> str:
    """What code for the current target is found by."""
    always = f"{target.fingerprint()} {quick} image {sources.digest()}"
    digest = hashlib.blake2b(always.encode(), digest_size=32)
    for fact in facts:
        digest.update(hashlib.blake2b(fact).digest())
    return digest.hexdigest()


def at(key: str, text: Callable[[], str]) -> bytes:
    """The code under a key, made from `text()` if it is not there."""
    content = objects.load(key)
    if content is None:
        content = target.loadable(target.compile_object(text(), counters=False))
        objects.store(key, content)
    return content

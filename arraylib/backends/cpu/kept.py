"""Compiled code that is kept on disk: found by what it was made from, made where it is not there.

It is kept as an image where it can be, which is loaded without LLVM, else as an object file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from arraylib.backends.cpu import objects, target

# The modules by which all code is written.
WRITER = ("backends.cpu.emitter", "backends.cpu.llvm_types", "backends.cpu.module")


def compiled(text: str) -> bytes:
    """The code of a module's text for the current target."""
    return built([text.encode()], lambda: text)


def built(sources: Sequence[bytes], text: Callable[[], str]) -> bytes:
    """The code of the module that `text()` writes; `sources` is all that it depends on.

    It is for code that runs here: ArgumentError for a target that this machine is not.
    """
    target.check_runs()
    return at(key_of(sources), text)


def key_of(sources: Sequence[bytes], quick: bool = False) -> str:
    """What code for the current target is found by."""
    facts = f"{target.fingerprint()} {quick} image"
    digest = hashlib.blake2b(facts.encode(), digest_size=32)
    for source in sources:
        digest.update(hashlib.blake2b(source).digest())
    return digest.hexdigest()


def at(key: str, text: Callable[[], str]) -> bytes:
    """The code under a key, made from `text()` if it is not there."""
    content = objects.load(key)
    if content is None:
        content = target.loadable(target.compile_object(text()))
        objects.store(key, content)
    return content

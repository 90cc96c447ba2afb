"""The hash of this library's sources: a changed pass or emitter makes other code.

To read and hash 400 files takes 15 ms, so the hash is kept on disk, under what the system says of
each file: its size, its number, and when it was last written and last changed in any way. The
last of these nobody can set back, so that a file with other content never passes for the same.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator

from arraylib.backends.cpu import objects
from arraylib.errors import PACKAGE

_DIGEST_BYTES = 20


@functools.cache
def digest() -> str:
    """The hash of all modules and their paths, in hexadecimal digits."""
    files = sorted(_files(PACKAGE))
    key = _hashed(repr(("digest", PACKAGE, files)).encode())
    stored = objects.load(key)
    if stored is None:
        hashes = [(path, _hashed(_content(path))) for path, *_ in files]
        stored = _hashed(repr(hashes).encode()).encode()
        objects.store(key, stored)
    return stored.decode()


def _files(folder: str, start: str = "") -> Iterator[tuple[str, int, int, int, int]]:
    """The library's modules: path, number, size, time of writing and of any change."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                found = entry.stat()
                yield (start + entry.name, found.st_ino, found.st_size, found.st_mtime_ns,
                       found.st_ctime_ns)
            elif entry.name != "__pycache__" and entry.is_dir():
                yield from _files(entry.path, f"{start}{entry.name}{os.sep}")


def _content(path: str) -> bytes:
    with open(PACKAGE + path, "rb") as file:
        return file.read()


def _hashed(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()

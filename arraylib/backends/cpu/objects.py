"""The disk cache of compiled code: bytes under a hexadecimal key, shared by a user's processes.

A file is a fixed header (magic, format version, length, checksum) followed by the payload. It is
written under a temporary name and renamed into place, so that a reader sees a whole file or none,
however many processes write the same key. Nothing here is ever unpickled: a payload is object code
or plain data, and a file that fails its checksum is ignored with a note, then replaced by the next
`store`.

The modification time of a file is the time of its last use, which makes the least recently used
files the first to go when the folder grows over `config.cache_bytes`. Finding out lists the folder,
which takes a second for a hundred thousand files: a store does so by chance, in proportion to what
it writes, so that short processes share the work as long ones do, and the folder stays near its
limit whoever writes.
"""

from __future__ import annotations

import hashlib
import os
import random
import struct
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from arraylib.config import config

MAGIC = b"arraylib-object\n"
VERSION = 1
_HEADER = struct.Struct("<16sIQ32s")
_SUFFIX = ".object"
_DEFAULT = "~/.cache/arraylib"
_STORES_PER_SWEEP = 1024      # of small files, on average
_SWEEPS_PER_LIMIT = 32        # on average, while `config.cache_bytes` are written
_BINARY = getattr(os, "O_BINARY", 0)  # of systems that would change the ends of lines
_STALE_SECONDS = 3600.0      # a temporary file this old belongs to a process that died

_noted: dict[Path, str] = {}  # folders already reported as unwritable, and why
damaged: set[str] = set()    # keys whose file, when last read, could not be trusted
_chance = random.Random()    # its own: a user's seed neither decides nor notices


def load(key: str) -> bytes | None:
    """The payload stored under `key`, or None when there is none, or none that can be trusted."""
    if not config.cache:
        return None
    damaged.discard(key)
    try:
        path = _path(key)
        content = path.read_bytes()
    except OSError:
        return None
    payload = _checked_payload(key, content)
    if payload is None:
        damaged.add(key)
        warnings.warn(f"ignoring a damaged cache file, it will be rewritten: {path}",
                      RuntimeWarning, stacklevel=2)
        return None
    _mark_used(path)
    return payload


def store(key: str, payload: bytes) -> None:
    """Keep `payload` under `key`. An unwritable folder means no cache and one note, no error."""
    if not config.cache:
        return
    try:
        path = _path(key)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_whole(path, _header(key, payload) + payload)
        if _chance.random() < _sweep_chance(len(payload)):
            sweep()
    except OSError as error:
        _note(Path(config.cache_dir or _DEFAULT), str(error))


def _note(folder: Path, problem: str) -> None:
    """Say once that a folder does not serve."""
    if folder not in _noted:
        _noted[folder] = problem
        warnings.warn(f"no disk cache of compiled code: {folder}: {problem}", RuntimeWarning,
                      stacklevel=3)


def problem() -> str:
    """What is wrong with the folder that is configured, as far as it was tried; else empty."""
    return _noted.get(Path(config.cache_dir or _DEFAULT), "")


def names(start: str) -> list[str]:
    """The keys of all files that begin with these digits."""
    return [path.stem for path, _ in _entries()
            if path.suffix == _SUFFIX and path.name.startswith(start)]


def size() -> int:
    """The bytes of all files."""
    return sum(status.st_size for _, status in _entries())


def clear() -> int:
    """Delete all programs; how many there were."""
    found = [path for path, _ in _entries() if path.suffix == _SUFFIX]
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


def _sweep_chance(written: int) -> float:
    """How likely a store of so many bytes is to look whether files must go."""
    return 1 / _STORES_PER_SWEEP + written * _SWEEPS_PER_LIMIT / max(config.cache_bytes, 1)


def sweep() -> None:
    """Delete the least recently used files until the folder holds `config.cache_bytes` at most."""
    now = time.time()
    excess = -config.cache_bytes
    files = []
    for path, status in _entries():
        if path.suffix == _SUFFIX:
            files.append((status.st_mtime, status.st_size, path))
            excess += status.st_size
        elif now - status.st_mtime > _STALE_SECONDS:
            path.unlink(missing_ok=True)
    for _, size, path in sorted(files):
        if excess <= 0:
            return
        path.unlink(missing_ok=True)
        excess -= size


def _entries() -> Iterator[tuple[Path, os.stat_result]]:
    """What is in the folder, but for what others delete or rename at this moment."""
    try:
        paths = list(folder().iterdir())
    except OSError:
        return
    for path in paths:
        try:
            yield path, path.stat()
        except FileNotFoundError:
            continue


def folder() -> Path:
    """Where the files are; OSError where there is no home to put them in."""
    path = Path(os.path.expanduser(config.cache_dir or _DEFAULT))
    if str(path).startswith("~"):
        raise OSError("there is no home folder; name another in config.cache_dir")
    return path / "objects"


def _path(key: str) -> Path:
    int(key, 16)   # a key names a file: refuse anything but hexadecimal digits
    return folder() / f"{key}{_SUFFIX}"


def _checksum(key: str, payload: bytes) -> bytes:
    """Covers the key as well, so that a renamed file is not taken for another."""
    digest = hashlib.blake2b(key.encode(), digest_size=32)
    digest.update(payload)
    return digest.digest()


def _header(key: str, payload: bytes) -> bytes:
    return _HEADER.pack(MAGIC, VERSION, len(payload), _checksum(key, payload))


def _checked_payload(key: str, content: bytes) -> bytes | None:
    payload = content[_HEADER.size:]
    return payload if content[:_HEADER.size] == _header(key, payload) else None


def _mark_used(path: Path) -> None:
    try:
        os.utime(path)
    except OSError:
        return   # a read-only or shared cache serves just as well, without the eviction order


def _write_whole(path: Path, content: bytes) -> None:
    temporary = f"{path.parent}/writing-{os.getpid()}-{os.urandom(8).hex()}"
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _BINARY, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise

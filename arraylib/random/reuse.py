"""Keys that are used twice, which give the same numbers twice: found in `debug.key_reuse()`.

A key is used up by every function that draws from it or splits it; `fold_in` leaves it as it is.
Keys are told by their words, so that copies are one key. In a program that is being traced, a call
back notes the key when the program gets there: in a loop, in every step.
"""

from __future__ import annotations

import os
import sys
import threading
from types import FrameType
from typing import Any

import numpy as np

from arraylib.config import config
from arraylib.errors import PACKAGE, KeyReuseError, Source, here, mistake
from arraylib.hlo.ir import Value, is_tracing
from arraylib.record import record
from arraylib.tracing.callbacks import debug_callback

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_MOST = 1 << 20  # keys remembered; the oldest go first


class _Book(threading.local):
    """What this thread has used: the words of each key, and by what."""

    def __init__(self) -> None:
        self.used: dict[bytes, _Use] = {}
        self.call: tuple[FrameType | None, list[Any]] = None, []  # the last, and its keys


_book = _Book()
config.watchers.setdefault("debug_key_reuse", []).append(lambda on: _forget_all())


def _forget_all() -> None:
    _book.used.clear()
    _book.call = None, []


@record
class _Use:
    """A use of a key, noted when the program gets there."""

    what: str
    where: Source

    def __call__(self, key: Any) -> None:
        array = np.asarray(key)
        words = _words(array)
        before = _book.used.get(words)
        if before is not None:
            raise mistake(KeyReuseError, self.what, f"the key {array.tolist()} has been used "
                          f"before, by {before.what} at {before.where}", where=self.where,
                          hint="key, subkey = random.split(key), and each of them once; "
                               "random.clone(key) to have the same numbers again")
        if len(_book.used) >= _MOST:
            del _book.used[next(iter(_book.used))]
        _book.used[words] = self


def consume(what: str, key: Any) -> None:
    """KeyReuseError if a key has been used before; only a user's own call counts."""
    call = _users_call()
    if call is None or not any(key is x for x in call.f_locals.values()):
        return  # the library's own keys, which it has split
    if call is not _book.call[0]:
        _book.call = call, []
    if any(key is x for x in _book.call[1]):
        return  # the same call hands it on
    _book.call[1].append(key)
    use = _Use(what, here())
    if is_tracing():
        debug_callback(use, key)
    else:
        use(key)


def forget(key: Any) -> None:
    """A key made anew, or to be used again on purpose."""
    if isinstance(key, Value):
        debug_callback(forget, key)
    else:
        _book.used.pop(_words(np.asarray(key)), None)


def _users_call() -> FrameType | None:
    """The outermost of the functions of this package that the innermost line of the user's calls.
    """
    frame: FrameType | None = sys._getframe(1)
    found = None
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        if frame.f_code.co_filename.startswith(_HERE):
            found = frame
        frame = frame.f_back
    return found


def _words(key: np.ndarray[Any, Any]) -> bytes:
    return np.ascontiguousarray(key, np.uint32).tobytes()

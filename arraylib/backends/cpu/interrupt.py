"""Ctrl-C inside a native program: loops stop between two turns, and KeyboardInterrupt is raised.

Python notes a signal and acts on it between two instructions of its own, of which there are none
while a program runs. So a handler in front of Python's sets a word as well, which loops read once a
turn. Where it is set and the main thread runs the loop, Python's handlers are called from there. If
one raises, the program returns as it does after a failed host call, and whoever called it raises
the exception: `settle`.

The word is 0; 1 from a signal until the main thread has looked; 2 from an exception until it has
been raised. Threads other than the main one read it and go on.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable

from arraylib.backends.cpu import kept, target
from arraylib.backends.cpu.interrupt_state import (
    EXPORTS,
    HANDLER,
    MAIN,
    PLACE,
    PREVIOUS,
    SETTLE,
    STOP,
    WORD,
)
from arraylib.backends.cpu.on_demand import part
from arraylib.backends.cpu.once import Once

__all__ = ["SETTLE", "STOP", "WORD", "install", "raising", "settling", "symbols"]

def symbols() -> dict[str, int]:
    """Addresses to import when a program with loops is linked."""
    install()
    return {WORD: _library()[PLACE], STOP: _library()[STOP]}


def settling() -> dict[str, int]:
    """Addresses to import where programs are called: WORD, and SETTLE to ask when it is not 0.

    It says whether the program was stopped by an exception, which is the present one from then on.
    """
    return {WORD: _library()[PLACE], SETTLE: _library()[SETTLE]}


def raising(native: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The entry of a program with loops that raises what stopped it."""
    word = ctypes.c_int64.from_address(_library()[PLACE])
    settle = ctypes.PYFUNCTYPE(ctypes.c_bool)(_library()[SETTLE])

    def entry(words: bytes) -> None:
        native(words)
        if word.value:
            settle()

    return entry


def install() -> None:
    """Put the handler in front of Python's, if Python has one and it is not there yet."""
    if sys.platform == "win32" or not callable(signal.getsignal(signal.SIGINT)):
        return
    handler = _library()[HANDLER]
    previous = _set_handler(handler)
    if previous not in (None, 0, 1, handler):
        _word(PREVIOUS).value = previous
    elif previous != handler:  # the default or nothing: not Python's
        _set_handler(previous or 0)


def _set_handler(address: int) -> int | None:
    """Let the system call this function; what it called before. System calls are not resumed."""
    library = ctypes.CDLL(None)
    library.signal.restype, library.signal.argtypes = ctypes.c_void_p, [ctypes.c_int,
                                                                        ctypes.c_void_p]
    previous: int | None = library.signal(int(signal.SIGINT), address)
    library.siginterrupt(int(signal.SIGINT), 1)
    return previous


def _word(number: int) -> ctypes.c_int64:
    return ctypes.c_int64.from_address(_library()[PLACE] + 8 * number)


@Once
def _library() -> dict[str, int]:
    image = kept.built(
        [b"interrupt"], lambda: part("interrupt_code").module(target.new_module()).text())
    addresses = target.link([image], EXPORTS)
    place = ctypes.CFUNCTYPE(ctypes.c_void_p)(addresses[PLACE])()
    found = {**addresses, PLACE: place}

    def note_main_thread() -> None:
        ident = threading.main_thread().ident
        ctypes.c_int64.from_address(place + 8 * MAIN).value = ident or 0

    note_main_thread()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=note_main_thread)
    atexit.register(_restore, found)
    return found


def _restore(library: dict[str, int]) -> None:
    """Python's handler alone: the code may go before the last signal comes."""
    previous = ctypes.c_int64.from_address(library[PLACE] + 8 * PREVIOUS).value
    if previous:
        now = _set_handler(previous)
        if now != library[HANDLER]:  # somebody has put another one in its place
            _set_handler(now or 0)

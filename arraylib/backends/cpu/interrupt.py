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
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable

from arraylib.backends.cpu import objects, target
from arraylib.backends.cpu.emitter import Function, Module

WORD, STOP, SETTLE = "arraylib_interrupt", "arraylib_interrupt_stop", "arraylib_interrupt_settle"
_PLACE, _HANDLER = "arraylib_interrupt_place", "arraylib_interrupt_handler"
_EXPORTS = (STOP, SETTLE, _PLACE, _HANDLER)

# The state, in 64-bit words: the word above, the main thread, Python's handler, and an exception.
_MAIN, _PREVIOUS, _ERROR = 1, 2, 3
_SIGNALLED, _RAISED = 1, 2


def check(f: Function, leave: Callable[[], None]) -> None:
    """Inside a program's loop: run the code of `leave` if Ctrl-C has stopped the program."""
    f.module.globals[WORD] = f"@{WORD} = external global i64"

    def ask() -> None:
        stopped = f.call(STOP, "i1", [])
        assert stopped is not None
        f.branch(stopped, leave)

    f.branch(f.compare("ne", f.load(f.address(WORD), "i64"), 0), ask)


def symbols() -> dict[str, int]:
    """Addresses to import when a program with loops is linked."""
    install()
    return {WORD: _library()[_PLACE], STOP: _library()[STOP]}


def settling() -> dict[str, int]:
    """Addresses to import where programs are called: WORD, and SETTLE to ask when it is not 0.

    It says whether the program was stopped by an exception, which is the present one from then on.
    """
    return {WORD: _library()[_PLACE], SETTLE: _library()[SETTLE]}


def raising(native: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The entry of a program with loops that raises what stopped it."""
    word = ctypes.c_int64.from_address(_library()[_PLACE])
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
    handler = _library()[_HANDLER]
    previous = _set_handler(handler)
    if previous not in (None, 0, 1, handler):
        _word(_PREVIOUS).value = previous
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
    return ctypes.c_int64.from_address(_library()[_PLACE] + 8 * number)


@functools.cache
def _library() -> dict[str, int]:
    text = module(target.new_module()).text()
    addresses = target.link([objects.compiled(text)], _EXPORTS)
    place = ctypes.CFUNCTYPE(ctypes.c_void_p)(addresses[_PLACE])()
    found = {**addresses, _PLACE: place}

    def note_main_thread() -> None:
        ident = threading.main_thread().ident
        ctypes.c_int64.from_address(place + 8 * _MAIN).value = ident or 0

    note_main_thread()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=note_main_thread)
    atexit.register(_restore, found)
    return found


def _restore(library: dict[str, int]) -> None:
    """Python's handler alone: the code may go before the last signal comes."""
    previous = ctypes.c_int64.from_address(library[_PLACE] + 8 * _PREVIOUS).value
    if previous:
        now = _set_handler(previous)
        if now != library[_HANDLER]:  # somebody has put another one in its place
            _set_handler(now or 0)


def module(empty: Module) -> Module:
    """Fill an empty module with the handler and with what loops and callers ask."""
    empty.add_global("state", "[6 x i64]", "zeroinitializer")
    _define_handler(empty)
    _define_stop(empty)
    _define_settle(empty)
    f = Function(empty, _PLACE, [], result="ptr", internal=False)
    f.ret(f.address("state"))
    return empty


def _define_handler(module: Module) -> None:
    f = Function(module, _HANDLER, [("i32", "number")], internal=False)
    state = f.address("state")
    idle = f.compare("eq", f.load(state, "i64"), 0)
    f.branch(idle, lambda: f.store(f.const("i64", _SIGNALLED), state))
    f.call(f.load(f.gep(state, _PREVIOUS, "i64"), "ptr"), "void", [f.args[0]])
    f.ret()


def _if_elsewhere(f: Function) -> None:
    """Return false in threads that are not the main one."""
    main = f.load(f.gep(f.address("state"), _MAIN, "i64"), "i64")
    here = f.call("pthread_self", "i64", [])
    assert here is not None
    f.branch(f.compare("ne", here, main), lambda: f.ret(f.const("i1", 0)))


def _define_stop(module: Module) -> None:
    """Whether a loop in this thread shall stop."""
    f = Function(module, STOP, [], result="i1", internal=False)
    state = f.address("state")
    _if_elsewhere(f)
    f.branch(f.compare("eq", f.load(state, "i64"), _RAISED), lambda: f.ret(f.const("i1", 1)))
    held = f.call("PyGILState_Ensure", "i32", [])
    f.store(f.const("i64", 0), state)  # first: another signal may come while handlers run
    status = f.call("PyErr_CheckSignals", "i32", [])
    assert held is not None and status is not None
    raised = f.compare("ne", status, 0)

    def keep() -> None:
        f.call("PyErr_Fetch", "void", [f.gep(state, _ERROR + i, "i64") for i in range(3)])
        f.store(f.const("i64", _RAISED), state)

    f.branch(raised, keep)
    f.call("PyGILState_Release", "void", [held])
    f.ret(raised)


def _define_settle(module: Module) -> None:
    """Whether an exception stopped a program in this thread; it is the present one again."""
    f = Function(module, SETTLE, [], result="i1", internal=False)
    state = f.address("state")
    _if_elsewhere(f)
    f.branch(f.compare("ne", f.load(state, "i64"), _RAISED), lambda: f.ret(f.const("i1", 0)))
    f.call("PyErr_Restore", "void", [
        f.load(f.gep(state, _ERROR + i, "i64"), "ptr") for i in range(3)])
    f.store(f.const("i64", 0), state)
    f.ret(f.const("i1", 1))

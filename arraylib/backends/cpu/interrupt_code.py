"""The native code of `interrupt`: the signal's handler, what loops ask, what callers ask."""

from __future__ import annotations

from collections.abc import Callable

from arraylib.backends.cpu.emitter import Function, Module
from arraylib.backends.cpu.interrupt_state import (
    ERROR,
    HANDLER,
    MAIN,
    PLACE,
    PREVIOUS,
    RAISED,
    SETTLE,
    SIGNALLED,
    STOP,
    WORD,
)


def check(f: Function, leave: Callable[[], None]) -> None:
    """Inside a program's loop: run the code of `leave` if Ctrl-C has stopped the program."""
    f.module.globals[WORD] = f"@{WORD} = external global i64"

    def ask() -> None:
        stopped = f.call(STOP, "i1", [])
        assert stopped is not None
        f.branch(stopped, leave)

    f.branch(f.compare("ne", f.load(f.address(WORD), "i64"), 0), ask)


def module(empty: Module) -> Module:
    """Fill an empty module with the handler and with what loops and callers ask."""
    empty.add_global("state", "[6 x i64]", "zeroinitializer")
    _define_handler(empty)
    _define_stop(empty)
    _define_settle(empty)
    f = Function(empty, PLACE, [], result="ptr", internal=False)
    f.ret(f.address("state"))
    return empty


def _define_handler(module: Module) -> None:
    f = Function(module, HANDLER, [("i32", "number")], internal=False)
    state = f.address("state")
    idle = f.compare("eq", f.load(state, "i64"), 0)
    f.branch(idle, lambda: f.store(f.const("i64", SIGNALLED), state))
    f.call(f.load(f.gep(state, PREVIOUS, "i64"), "ptr"), "void", [f.args[0]])
    f.ret()


def _if_elsewhere(f: Function) -> None:
    """Return false in threads that are not the main one."""
    main = f.load(f.gep(f.address("state"), MAIN, "i64"), "i64")
    here = f.call("pthread_self", "i64", [])
    assert here is not None
    f.branch(f.compare("ne", here, main), lambda: f.ret(f.const("i1", 0)))


def _define_stop(module: Module) -> None:
    """Whether a loop in this thread shall stop."""
    f = Function(module, STOP, [], result="i1", internal=False)
    state = f.address("state")
    _if_elsewhere(f)
    f.branch(f.compare("eq", f.load(state, "i64"), RAISED), lambda: f.ret(f.const("i1", 1)))
    held = f.call("PyGILState_Ensure", "i32", [])
    f.store(f.const("i64", 0), state)  # first: another signal may come while handlers run
    status = f.call("PyErr_CheckSignals", "i32", [])
    assert held is not None and status is not None
    raised = f.compare("ne", status, 0)

    def keep() -> None:
        f.call("PyErr_Fetch", "void", [f.gep(state, ERROR + i, "i64") for i in range(3)])
        f.store(f.const("i64", RAISED), state)

    f.branch(raised, keep)
    f.call("PyGILState_Release", "void", [held])
    f.ret(raised)


def _define_settle(module: Module) -> None:
    """Whether an exception stopped a program in this thread; it is the present one again."""
    f = Function(module, SETTLE, [], result="i1", internal=False)
    state = f.address("state")
    _if_elsewhere(f)
    f.branch(f.compare("ne", f.load(state, "i64"), RAISED), lambda: f.ret(f.const("i1", 0)))
    f.call("PyErr_Restore", "void", [
        f.load(f.gep(state, ERROR + i, "i64"), "ptr") for i in range(3)])
    f.store(f.const("i64", 0), state)
    f.ret(f.const("i1", 1))

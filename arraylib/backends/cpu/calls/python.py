"""Writing code on Python objects: fields, words of tables, calls of CPython's functions."""

from __future__ import annotations

from arraylib.backends.cpu.calls.layout import CLASS, COUNT
from arraylib.backends.cpu.emitter import Function, Reg


def at(f: Function, pointer: Reg, offset: Reg | int) -> Reg:
    """The address so many bytes on."""
    return f.gep(pointer, offset, "i8")


def field(f: Function, value: Reg, offset: int) -> Reg:
    """The pointer in an object, at an offset in bytes."""
    return f.load(at(f, value, offset), "ptr")


def class_of(f: Function, value: Reg) -> Reg:
    """The address of an object's class."""
    return field(f, value, CLASS)


def get(f: Function, table: Reg, number: Reg | int, type: str = "ptr") -> Reg:
    """A word of a table."""
    return f.load(f.gep(table, number, "i64"), type)


def put(f: Function, value: Reg, table: Reg, number: Reg | int) -> None:
    """Write a word of a table."""
    f.store(value, f.gep(table, number, "i64"))


def ask(f: Function, name: str, *args: Reg, result: str = "ptr") -> Reg:
    """What a function answers."""
    found = f.call(name, result, args)
    assert found is not None
    return found


def do(f: Function, name: str | Reg, *args: Reg) -> None:
    """Call a function that answers nothing. Py_IncRef and Py_DecRef take null as well."""
    f.call(name, "void", args)


def refer(f: Function, value: Reg) -> None:
    """Count one more reference to an object that can die (None, for one, is immortal in places)."""
    count = at(f, value, COUNT)
    f.store(f.load(count, "i64") + 1, count)


def unrefer(f: Function, value: Reg) -> None:
    """Give up a reference to an object that can die."""
    count = at(f, value, COUNT)
    left = f.load(count, "i64") - 1
    f.store(left, count)
    f.branch(f.compare("eq", left, 0), lambda: do(f, "_Py_Dealloc", value))


def room(f: Function, count: Reg) -> Reg:
    """So many words on the stack, until the function returns: not to be called in a loop."""
    return f.value("ptr", f"alloca i64, {count}, align 16")


def is_null(f: Function, pointer: Reg) -> Reg:
    return f.compare("eq", pointer, 0)


def not_null(f: Function, pointer: Reg) -> Reg:
    return f.compare("ne", pointer, 0)

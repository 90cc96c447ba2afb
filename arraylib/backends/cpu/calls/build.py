"""The code that puts results into their containers, as an output program says."""

from __future__ import annotations

from collections.abc import Callable

from arraylib.backends.cpu.calls.layout import COUNT
from arraylib.backends.cpu.calls.python import ask, at, do, get, is_null, put, room
from arraylib.backends.cpu.calls.templates import KEYS
from arraylib.backends.cpu.calls.words import (
    CALL,
    DICT,
    FILL,
    LEAF,
    LIST,
    MAKE,
    NODE_WORDS,
    SAME,
    SEQUENCE,
)
from arraylib.backends.cpu.emitter import Function, Module, Reg


def define_build(module: Module) -> None:
    """`build`: a new reference to what is at `*position`, which moves on; null for an error.

    It takes over the references in `results`, each once, and leaves null there.
    """
    f = Function(module, "build", [("ptr", "position"), ("ptr", "results")], result="ptr")
    position, results = f.args
    start = get(f, position, 0)
    kind, count = get(f, start, 0, "i64"), get(f, start, 1, "i64")
    put(f, f.gep(start, NODE_WORDS, "i64"), position, 0)

    def leaf() -> None:
        found = get(f, results, count)
        put(f, f.const("ptr", 0), results, count)
        f.ret(found)

    def same() -> None:
        found = get(f, start, 1)
        do(f, "Py_IncRef", found)
        f.ret(found)

    def called() -> None:
        children = _items(f, "PyTuple", count, position, results)
        f.branch(is_null(f, children), lambda: f.ret(children))
        found = ask(f, "PyObject_CallOneArg", get(f, start, 2), children)
        do(f, "Py_DecRef", children)
        f.ret(found)

    def made() -> None:
        children = _items(f, "PyTuple", count, position, results)
        f.branch(is_null(f, children), lambda: f.ret(children))
        found = _by_name(f, get(f, start, 2), count, children)
        do(f, "Py_DecRef", children)
        f.ret(found)

    f.branch(f.compare("eq", kind, LEAF), leaf)
    f.branch(f.compare("eq", kind, FILL),
             lambda: f.ret(_filled(f, get(f, start, 2), count, position, results)))
    f.branch(f.compare("eq", kind, DICT),
             lambda: f.ret(_dict(f, get(f, start, 2), count, position, results)))
    f.branch(f.compare("eq", kind, SEQUENCE),
             lambda: f.ret(_items(f, "PyTuple", count, position, results)))
    f.branch(f.compare("eq", kind, LIST),
             lambda: f.ret(_items(f, "PyList", count, position, results)))
    f.branch(f.compare("eq", kind, SAME), same)
    f.branch(f.compare("eq", kind, MAKE), made)
    f.branch(f.compare("eq", kind, CALL), called)
    f.ret(f.const("ptr", 0))


def _child(f: Function, container: Reg, position: Reg, results: Reg,
           otherwise: Callable[[], None] = lambda: None) -> Reg:
    """What is built next; without it, the container goes and the function returns null."""
    start = get(f, position, 0)
    number = get(f, start, 1, "i64")
    is_leaf = f.compare("eq", get(f, start, 0, "i64"), LEAF)

    def leaf() -> list[Reg]:
        result = get(f, results, number)
        put(f, f.const("ptr", 0), results, number)
        put(f, f.gep(start, NODE_WORDS, "i64"), position, 0)
        return [result]

    def other() -> list[Reg]:
        found = ask(f, "build", position, results)
        f.branch(is_null(f, found), fail)
        return [found]

    def fail() -> None:
        otherwise()
        _fail(f, container)

    found = f.conditional(is_leaf, leaf, [f.const("ptr", 0)])
    return f.conditional(is_null(f, found[0]), other, found)[0]


def _fail(f: Function, *objects: Reg) -> None:
    for value in objects:
        do(f, "Py_DecRef", value)
    f.ret(f.const("ptr", 0))


def _items(f: Function, kind: str, count: Reg, position: Reg, results: Reg) -> Reg:
    """A tuple or list."""
    made = ask(f, f"{kind}_New", count)
    f.branch(is_null(f, made), lambda: f.ret(made))

    def item(number: Reg, _: list[Reg]) -> None:
        # It takes the reference over, and cannot fail where the place is there.
        f.call(f"{kind}_SetItem", "i32", [made, number, _child(f, made, position, results)])

    f.loop(0, count, 1, [], item)
    return made


def _by_name(f: Function, pair: Reg, count: Reg, children: Reg) -> Reg:
    """What a class makes of the children; `pair` is it and their names."""
    args = room(f, count)
    f.loop(0, count, 1, [], lambda i, _: put(f, ask(f, "PyTuple_GetItem", children, i), args, i))
    cls, names = (ask(f, "PyTuple_GetItem", pair, f.const("i64", i)) for i in (0, 1))
    return ask(f, "PyObject_Vectorcall", cls, args, f.const("i64", 0), names)


def _dict(f: Function, template: Reg, count: Reg, position: Reg, results: Reg) -> Reg:
    """A copy of the template, which has the keys in their order and room for all, with values."""
    made = ask(f, "PyDict_Copy", template)
    f.branch(is_null(f, made), lambda: f.ret(made))

    def item(_: Reg, __: list[Reg]) -> None:
        where = get(f, position, 0)
        put(f, f.gep(where, 1, "i64"), position, 0)
        value = _child(f, made, position, results)
        status = ask(f, "PyDict_SetItem", made, get(f, where, 0), value, result="i32")
        f.branch(f.compare("ne", status, 0), lambda: _fail(f, made, value))
        do(f, "Py_DecRef", value)  # it may be None

    f.loop(0, count, 1, [], item)
    return made


def _filled(f: Function, template: Reg, count: Reg, position: Reg, results: Reg) -> Reg:
    """The same where it is known at which places of a copy's table the template's values are.

    All values of the template are one object, which loses the references that a copy makes.
    """
    made = ask(f, "PyDict_Copy", template)
    f.branch(is_null(f, made), lambda: f.ret(made))
    table = get(f, at(f, made, KEYS), 0)
    start = get(f, position, 0)
    nothing = get(f, at(f, table, get(f, start, 0, "i64")), 0)

    def lose(number: Reg) -> None:
        references = at(f, nothing, COUNT)
        f.store(f.load(references, "i64") - number, references)

    def item(number: Reg, _: list[Reg]) -> None:
        where = get(f, position, 0)
        put(f, f.gep(where, 1, "i64"), position, 0)
        value = _child(f, made, position, results, lambda: lose(number))
        f.store(value, at(f, table, get(f, where, 0, "i64")))

    f.loop(0, count, 1, [], item)
    lose(count)
    return made

"""The code that recognises arguments: a walk over containers beside the guard that describes them.

Nothing in it runs Python code. Containers are compared by their exact class, leaves by the
identity of their interned types, keys by identity or, where both are strings, by value.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from arraylib.backends.cpu.calls import templates
from arraylib.backends.cpu.calls.layout import HEADER, OWNER, PLACE, TYPE
from arraylib.backends.cpu.calls.python import ask, at, class_of, do, field, get, is_null, put
from arraylib.backends.cpu.calls.words import (
    DICT,
    EQUAL,
    EQUAL_FLOAT,
    FIELDS,
    INDEX,
    LEAF,
    LIST,
    NODE_WORDS,
    NUMBERS,
    SAME,
    SEQUENCE,
    SLICE,
    TABLE,
)
from arraylib.backends.cpu.emitter import Function, Module, Reg

_STRING, _FLOAT, _INT, _DICT = PYTHON_CLASSES = (
    "PyUnicode_Type", "PyFloat_Type", "PyLong_Type", "PyDict_Type")


def walk(f: Function, value: Reg, position: Reg, words: Reg, leaves: Reg, array_class: str,
         miss: Callable[[], None]) -> Reg:
    """Compare an object with the guard at `position`; the position behind it.

    Addresses of leaves go to `words`, the leaves themselves to `leaves`. Where the object is
    another, or an array's address is not known, the code of `miss`, which leaves the function.
    """
    kind = get(f, position, 0, "i64")

    def leaf() -> None:
        f.branch(f.compare("ne", class_of(f, value), f.address(array_class)), miss)
        f.branch(f.compare("ne", field(f, value, TYPE), get(f, position, 1)), miss)
        place = field(f, value, PLACE)
        place, = f.conditional(is_null(f, place), lambda: [ask(f, "place_of", value)], [place])
        f.branch(is_null(f, place), miss)
        slot = get(f, position, 2, "i64")
        put(f, place, words, slot)
        put(f, value, leaves, slot)

    def container() -> list[Reg]:
        after = ask(f, "walk", value, position, words, leaves)
        f.branch(is_null(f, after), miss)
        return [after]

    after = f.gep(position, NODE_WORDS, "i64")
    f.branch(f.compare("eq", kind, LEAF), leaf)
    return f.conditional(f.compare("ne", kind, LEAF), container, [after])[0]


def define_walk(module: Module, array_class: str, numpy_class: str) -> None:
    """`walk`: the same for what is not a leaf; the position behind it, or null."""
    _define_other_key(module)
    _define_other_names(module)
    _define_number(module)
    _define_equal(module)
    _define_place(module, numpy_class)
    f = Function(module, "walk", [("ptr", x) for x in ("value", "position", "words", "leaves")],
                 result="ptr")
    value, position, words, leaves = f.args
    kind = get(f, position, 0, "i64")
    first = f.gep(position, NODE_WORDS, "i64")

    def miss() -> None:
        f.ret(f.const("ptr", 0))

    def same() -> None:
        f.branch(f.compare("ne", value, get(f, position, 1)), miss)
        f.ret(first)

    def number(f: Function, *parts: Reg) -> None:
        f.branch(ask(f, "number", kind, *parts, result="i1"), lambda: f.ret(first))
        miss()

    def child(value: Reg, position: Reg) -> list[Reg]:
        return [walk(f, value, position, words, leaves, array_class, miss)]

    def equal() -> None:
        f.branch(f.compare("eq", value, get(f, position, 2)), lambda: f.ret(first))
        f.branch(ask(f, "equal", kind, value, get(f, position, 1, "i64"), result="i1"),
                 lambda: f.ret(first))
        miss()

    f.branch(f.compare("eq", kind, SAME), same)
    f.branch(f.compare("eq", kind, EQUAL) | f.compare("eq", kind, EQUAL_FLOAT), equal)
    f.branch(kind >= min(NUMBERS.values()), lambda: number(f, value, position, words, leaves))
    count = get(f, position, 1, "i64")

    def table() -> None:
        f.branch(f.compare("ne", class_of(f, value), f.address(_DICT)), miss)
        _table(f, value, count, get(f, position, 2, "i64"), first, child, miss)
        f.ret(_dict(f, value, count, first, child, miss))

    f.branch(f.compare("eq", kind, TABLE), table)
    f.branch(f.compare("ne", class_of(f, value), get(f, position, 2)), miss)
    walks = {DICT: _dict, SEQUENCE: _items("PyTuple"), LIST: _items("PyList"), FIELDS: _fields,
             SLICE: _slice}
    for node, emit in walks.items():
        f.branch(f.compare("eq", kind, node),
                 partial(_return, f, emit, value, count, first, child, miss))
    miss()


def _return(f: Function, emit: Callable[..., Reg], *parts: Any) -> None:
    f.ret(emit(f, *parts))


Child = Callable[[Reg, Reg], list[Reg]]


def _items(kind: str) -> Callable[..., Reg]:
    """The walk over a tuple or list."""
    def emit(f: Function, value: Reg, count: Reg, first: Reg, child: Child,
             miss: Callable[[], None]) -> Reg:
        f.branch(f.compare("ne", ask(f, f"{kind}_Size", value, result="i64"), count), miss)
        return f.loop(0, count, 1, [first], lambda i, position: child(
            ask(f, f"{kind}_GetItem", value, i), position[0]))[0]
    return emit


def _slice(f: Function, value: Reg, count: Reg, first: Reg, child: Child,
           _: Callable[[], None]) -> Reg:
    """The walk over a slice, whose three parts are behind its header; `runtime.py` checks that."""
    return f.loop(0, count, 1, [first], lambda i, position: child(
        get(f, at(f, value, HEADER), i), position[0]))[0]


def _fields(f: Function, value: Reg, count: Reg, first: Reg, child: Child,
            miss: Callable[[], None]) -> Reg:
    """The walk over attributes, which are in the instance or its dict: reading them runs no code.
    """
    def item(_: Reg, position: list[Reg]) -> list[Reg]:
        found = ask(f, "PyObject_GetAttr", value, get(f, position[0], 0))

        def lacking() -> None:
            do(f, "PyErr_Clear")
            miss()

        f.branch(is_null(f, found), lacking)
        do(f, "Py_DecRef", found)  # the instance has it
        return child(found, f.gep(position[0], 1, "i64"))

    return f.loop(0, count, 1, [first], item)[0]


def _dict(f: Function, value: Reg, count: Reg, first: Reg, child: Child,
          miss: Callable[[], None]) -> Reg:
    """The walk over a dict, in its own order."""
    f.branch(f.compare("ne", ask(f, "PyDict_Size", value, result="i64"), count), miss)
    place, key_room, item_room = f.alloca("i64"), f.alloca("ptr"), f.alloca("ptr")
    f.store(f.const("i64", 0), place)

    def item(_: Reg, position: list[Reg]) -> list[Reg]:
        more = ask(f, "PyDict_Next", value, place, key_room, item_room, result="i32")
        f.branch(f.compare("eq", more, 0), miss)
        _compare_key(f, f.load(key_room, "ptr"), get(f, position[0], 0), miss)
        return child(f.load(item_room, "ptr"), f.gep(position[0], 1, "i64"))

    return f.loop(0, count, 1, [first], item)[0]


def _table(f: Function, value: Reg, count: Reg, shape: Reg, first: Reg, child: Child,
           miss: Callable[[], None]) -> None:
    """The same where the table of the dict has this shape; else nothing happens."""
    table = field(f, value, templates.KEYS)
    kind = shape & (1 << templates.KIND_BITS) - 1
    found = f.load(at(f, table, templates.KIND), "i64") & (1 << templates.KIND_BITS) - 1
    fits = f.compare("eq", found, kind) & is_null(f, field(f, value, templates.ELSEWHERE))
    for place, offset in ((value, templates.USED), (table, templates.ENTRIES)):
        fits &= f.compare("eq", f.load(at(f, place, offset), "i64"), count)
    stride = shape.lshr(templates.KIND_BITS) & (1 << templates.STRIDE_BITS) - 1
    start = f.gep(table, shape.lshr(templates.KIND_BITS + templates.STRIDE_BITS), "i8")

    def item(number: Reg, position: list[Reg]) -> list[Reg]:
        place = f.gep(start, number * stride, "i8")
        _compare_key(f, f.load(f.gep(place, -8, "i8"), "ptr"), get(f, position[0], 0), miss)
        return child(f.load(place, "ptr"), f.gep(position[0], 1, "i64"))

    f.branch(fits, lambda: f.ret(f.loop(0, count, 1, [first], item)[0]))


def _compare_key(f: Function, key: Reg, wanted: Reg, miss: Callable[[], None]) -> None:
    f.branch(f.compare("ne", key, wanted), lambda: f.branch(
        ask(f, "other_key", key, wanted, result="i1"), miss))


def _define_number(module: Module) -> None:
    """`number`: convert a Python number of exactly this class; false if it is not, or too large.

    The converted number takes the place of the leaf.
    """
    f = Function(module, "number", [("i64", "kind")] + [("ptr", x) for x in (
        "value", "position", "words", "leaves")], result="i1")
    kind, value, position, words, leaves = f.args
    no = f.const("i1", 0)
    slot = get(f, position, 2, "i64")
    place = f.gep(leaves, slot, "i64")
    put(f, place, words, slot)

    def use(number: Reg) -> None:
        f.store(number, place)
        f.ret(f.const("i1", 1))

    def real() -> None:
        f.branch(f.compare("ne", class_of(f, value), f.address(_FLOAT)), lambda: f.ret(no))
        found = ask(f, "PyFloat_AsDouble", value, result="double")
        f.branch(f.compare("eq", kind, NUMBERS["float", "float64"]), lambda: use(found))
        use(f.cast("fptrunc", found, "float"))

    def place_on_axis(number: Reg) -> None:
        size = get(f, position, 1, "i64")
        number = f.select(number < 0, number + size, number)
        outside = (number < 0) | (number >= size)
        f.branch(outside, lambda: f.ret(no))
        use(number)

    f.branch(kind <= NUMBERS["float", "float64"], real)
    f.branch(f.compare("ne", class_of(f, value), f.address(_INT)), lambda: f.ret(no))
    overflow = f.alloca("i32")
    found = ask(f, "PyLong_AsLongLongAndOverflow", value, overflow, result="i64")
    f.branch(f.compare("ne", f.load(overflow, "i32"), 0), lambda: f.ret(no))
    f.branch(f.compare("eq", kind, INDEX), lambda: place_on_axis(found))
    for name, type in (("float32", "float"), ("float64", "double")):
        f.branch(f.compare("eq", kind, NUMBERS["int", name]),
                 partial(_use_as, f, use, "sitofp", found, type))
    f.branch(f.compare("eq", kind, NUMBERS["int", "int64"]), lambda: use(found))
    short = f.cast("trunc", found, "i32")
    f.branch(f.compare("ne", f.cast("sext", short, "i64"), found), lambda: f.ret(no))
    use(short)


def _define_equal(module: Module) -> None:
    """`equal`: whether an object is an int of this value, or a float with these bits."""
    f = Function(module, "equal", [("i64", "kind"), ("ptr", "value"), ("i64", "wanted")],
                 result="i1")
    kind, value, wanted = f.args
    no = f.const("i1", 0)

    def real() -> None:
        f.branch(f.compare("ne", class_of(f, value), f.address(_FLOAT)), lambda: f.ret(no))
        found = ask(f, "PyFloat_AsDouble", value, result="double")
        f.ret(f.compare("eq", f.bitcast(found, "i64"), wanted))

    f.branch(f.compare("eq", kind, EQUAL_FLOAT), real)
    f.branch(f.compare("ne", class_of(f, value), f.address(_INT)), lambda: f.ret(no))
    overflow = f.alloca("i32")
    found = ask(f, "PyLong_AsLongLongAndOverflow", value, overflow, result="i64")
    f.ret(f.compare("eq", found, wanted) & f.compare("eq", f.load(overflow, "i32"), 0))


def _use_as(f: Function, use: Callable[[Reg], None], conversion: str, found: Reg,
            type: str) -> None:
    use(f.cast(conversion, found, type))


def _define_place(module: Module, numpy_class: str) -> None:
    """`place_of`: the address of an array's elements where NumPy has them and it is not noted yet.

    NumPy's arrays have it right behind the header; `runtime.py` checks that. Null if it is gone.
    """
    f = Function(module, "place_of", [("ptr", "array")], result="ptr")
    array, = f.args
    owner = field(f, array, OWNER)
    f.branch(is_null(f, owner), lambda: f.ret(owner))
    f.branch(f.compare("ne", class_of(f, owner), f.address(numpy_class)),
             lambda: f.ret(f.const("ptr", 0)))
    place = field(f, owner, HEADER)
    f.store(place, f.gep(array, PLACE, "i8"))
    f.ret(place)


def _define_other_names(module: Module) -> None:
    """`other_names`: whether a tuple of keywords differs from a table of them, or might."""
    f = Function(module, "other_names", [("ptr", "table"), ("ptr", "keywords")], result="i1")
    table, keywords = f.args
    yes, count = f.const("i1", 1), get(f, table, 0, "i64")
    size = ask(f, "PyTuple_Size", keywords, result="i64")
    f.branch(f.compare("ne", size, count), lambda: f.ret(yes))

    def one(number: Reg, _: list[Reg]) -> None:
        name, wanted = ask(f, "PyTuple_GetItem", keywords, number), get(f, table, number + 1)
        f.branch(f.compare("ne", name, wanted), lambda: f.branch(
            ask(f, "other_key", name, wanted, result="i1"), lambda: f.ret(yes)))

    f.loop(0, count, 1, [], one)
    f.ret(f.const("i1", 0))


def _define_other_key(module: Module) -> None:
    """`other_key`: whether two keys that are not the same object differ, or might."""
    f = Function(module, "other_key", [("ptr", "key"), ("ptr", "wanted")], result="i1")
    yes = f.const("i1", 1)
    for key in f.args:
        f.branch(f.compare("ne", class_of(f, key), f.address(_STRING)), lambda: f.ret(yes))
    f.ret(f.compare("ne", ask(f, "PyUnicode_Compare", *f.args, result="i32"), 0))

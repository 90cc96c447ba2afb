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
from arraylib.backends.cpu.calls.ndarray_code import define_ndarrays
from arraylib.backends.cpu.calls.places import define_places
from arraylib.backends.cpu.calls.python import ask, at, class_of, do, field, get, is_null, put
from arraylib.backends.cpu.calls.words import (
    DICT,
    EQUAL,
    EQUAL_FLOAT,
    FIELDS,
    FIRST_NUMBER,
    INDEX,
    LEAF,
    LIST,
    NDARRAY,
    NODE_WORDS,
    NUMBER_WORDS,
    NUMBERS,
    PLACES,
    SAME,
    SCALAR,
    SEQUENCE,
    SLICE,
    TABLE,
)
from arraylib.backends.cpu.emitter import Function, Module, Reg

_STRING, _FLOAT, _INT, _DICT, _COMPLEX, _TRUE, _FALSE = PYTHON_OBJECTS = (
    "PyUnicode_Type", "PyFloat_Type", "PyLong_Type", "PyDict_Type", "PyComplex_Type",
    "_Py_TrueStruct", "_Py_FalseStruct")


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
    _define_number(module, array_class)
    _define_equal(module)
    _define_place(module, numpy_class)
    define_ndarrays(module, numpy_class)
    define_places(module, array_class)
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
    f.branch(kind >= FIRST_NUMBER, lambda: number(f, value, position, words, leaves))
    for node, name in ((NDARRAY, "ndarray"), (SCALAR, "scalar"), (PLACES, "places")):
        f.branch(f.compare("eq", kind, node),
                 partial(_return, f, partial(_asked, name), value, position, words, leaves))
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


def _asked(name: str, f: Function, *parts: Reg) -> Reg:
    return ask(f, name, *parts)


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


def _define_number(module: Module, array_class: str) -> None:
    """`number`: convert a Python number of exactly this class; false if it is not, or too large.

    The converted number stands in words of its own before the leaves. In the place of the leaf
    there is an object that lives on, whoever holds the leaves.
    """
    f = Function(module, "number", [("i64", "kind")] + [("ptr", x) for x in (
        "value", "position", "words", "leaves")], result="i1")
    kind, value, position, words, leaves = f.args
    slot = get(f, position, 2, "i64")
    place = f.gep(leaves, (slot + 1) * -NUMBER_WORDS, "i64")
    put(f, place, words, slot)
    put(f, f.address(array_class), leaves, slot)
    _Conversion(f, value, place).choose(kind, get(f, position, 1, "i64"))


class _Conversion:
    """The code that writes a Python number to a place, and leaves the function."""

    def __init__(self, f: Function, value: Reg, place: Reg) -> None:
        self.f, self.value, self.place = f, value, place
        self.cls = class_of(f, value)

    def choose(self, kind: Reg, size: Reg) -> None:
        """Convert as the kind says; `size` is that of the axis of an index."""
        f = self.f
        f.branch(kind <= NUMBERS["float", "float64"], partial(self._real, kind))
        for name in ("complex64", "complex128"):
            f.branch(f.compare("eq", kind, NUMBERS["complex", name]),
                     partial(self._complex, name))
        f.branch(f.compare("eq", kind, NUMBERS["bool", "bool"]), self._truth)
        self._integer(kind, size)

    def _leave(self, found: int) -> None:
        self.f.ret(self.f.const("i1", found))

    def _use(self, number: Reg, second: Reg | None = None) -> None:
        self.f.store(number, self.place)
        if second is not None:
            self.f.store(second, self.f.gep(self.place, 1, number.type))
        self._leave(1)

    def _insist(self, cls: str) -> None:
        self.f.branch(self.f.compare("ne", self.cls, self.f.address(cls)), lambda: self._leave(0))

    def _real(self, kind: Reg) -> None:
        f = self.f
        self._insist(_FLOAT)
        found = ask(f, "PyFloat_AsDouble", self.value, result="double")
        f.branch(f.compare("eq", kind, NUMBERS["float", "float64"]), lambda: self._use(found))
        self._use(f.cast("fptrunc", found, "float"))

    def _complex(self, name: str) -> None:
        self._insist(_COMPLEX)
        parts = [ask(self.f, f"PyComplex_{part}AsDouble", self.value, result="double")
                 for part in ("Real", "Imag")]
        if name == "complex64":
            parts = [self.f.cast("fptrunc", part, "float") for part in parts]
        self._use(*parts)

    def _truth(self) -> None:
        f = self.f
        true, false = (f.compare("eq", self.value, f.address(name)) for name in (_TRUE, _FALSE))
        f.branch(true | false, lambda: self._use(f.cast("zext", true, "i8")))
        self._leave(0)

    def _integer(self, kind: Reg, size: Reg) -> None:
        f = self.f
        self._insist(_INT)
        overflow = f.alloca("i32")
        found = ask(f, "PyLong_AsLongLongAndOverflow", self.value, overflow, result="i64")
        f.branch(f.compare("ne", f.load(overflow, "i32"), 0), lambda: self._leave(0))
        f.branch(f.compare("eq", kind, INDEX), lambda: self._place_on_axis(found, size))
        for name, type in (("float32", "float"), ("float64", "double")):
            f.branch(f.compare("eq", kind, NUMBERS["int", name]),
                     partial(self._use_as, found, type))
        f.branch(f.compare("eq", kind, NUMBERS["int", "int64"]), lambda: self._use(found))
        short = f.cast("trunc", found, "i32")
        f.branch(f.compare("ne", f.cast("sext", short, "i64"), found), lambda: self._leave(0))
        self._use(short)

    def _use_as(self, found: Reg, type: str) -> None:
        self._use(self.f.cast("sitofp", found, type))

    def _place_on_axis(self, number: Reg, size: Reg) -> None:
        f = self.f
        number = f.select(number < 0, number + size, number)
        f.branch((number < 0) | (number >= size), lambda: self._leave(0))
        self._use(number)


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

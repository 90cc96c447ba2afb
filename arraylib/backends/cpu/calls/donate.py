"""The code that takes donated arrays from the caller: their memory goes to results, or away.

It is done in two steps. `prepare` makes all that is needed: for each donated leaf a *taker*, an
Array without memory yet, which is a result or goes when the call ends; and a *mark*, the tuple by
which later uses of the leaf are refused. `hand_over` then moves memory from leaves to takers, runs
no Python code, and undoes everything where an array is passed twice, or NumPy can see it.
"""

from __future__ import annotations

from functools import partial

from arraylib.backends.cpu.calls.layout import HOME, OWNER, PLACE
from arraylib.backends.cpu.calls.python import (
    ask,
    at,
    class_of,
    do,
    field,
    get,
    is_null,
    not_null,
    put,
)
from arraylib.backends.cpu.calls.words import Donation, Entry
from arraylib.backends.cpu.emitter import Function, Module, Reg


def define_donate(module: Module, numpy_class: str) -> None:
    """`prepare` and `hand_over`; each is true if all went well."""
    _define_spot(module)
    _define_prepare(module)
    _define_give_back(module)
    _define_hand_over(module, numpy_class)


def _define_spot(module: Module) -> None:
    """`spot`: where the caller is: a tuple (code, instruction), or null for an error."""
    f = Function(module, "spot", [], result="ptr")
    frame = ask(f, "PyEval_GetFrame")
    f.branch(is_null(f, frame), lambda: f.ret(ask(f, "PyTuple_New", f.const("i64", 0))))
    made = ask(f, "PyTuple_New", f.const("i64", 2))
    f.branch(is_null(f, made), lambda: f.ret(made))
    instruction = f.cast("sext", ask(f, "PyFrame_GetLasti", frame, result="i32"), "i64")
    for number, part in enumerate((ask(f, "PyFrame_GetCode", frame),
                                   ask(f, "PyLong_FromLong", instruction))):
        f.call("PyTuple_SetItem", "i32", [made, f.const("i64", number), part])
    f.ret(made)


def _row(f: Function, entry: Reg, number: Reg) -> Reg:
    return f.gep(get(f, entry, Entry.DONATIONS), number * Donation.SIZE, "i64")


def _leaf(f: Function, entry: Reg, leaves: Reg, number: Reg) -> Reg:
    """A donated leaf."""
    return get(f, leaves, get(f, _row(f, entry, number), Donation.LEAF, "i64"))


def _define_prepare(module: Module) -> None:
    """`prepare`: takers and marks. `results` and `spares` own the takers."""
    f = Function(module, "prepare", [("ptr", x) for x in (
        "program", "results", "spares", "takers", "marks")], result="i1")
    entry, results, spares, takers, marks = f.args
    spot = ask(f, "spot")
    f.branch(is_null(f, spot), lambda: _fail(f))

    def fail() -> None:
        do(f, "Py_DecRef", spot)
        _fail(f)

    def mark(row: Reg, number: Reg) -> None:
        made = ask(f, "PyTuple_New", f.const("i64", 3))
        f.branch(is_null(f, made), fail)
        put(f, made, marks, number)
        parts = (get(f, row, Donation.GONE), get(f, row, Donation.NUMBER), spot)
        for place, part in enumerate(parts):
            do(f, "Py_IncRef", part)
            f.call("PyTuple_SetItem", "i32", [made, f.const("i64", place), part])

    def one(number: Reg, _: list[Reg]) -> None:
        row = _row(f, entry, number)
        mark(row, number)
        null = f.const("ptr", 0)
        array = ask(f, "make", get(f, row, Donation.TYPE), null, null, null)
        f.branch(is_null(f, array), fail)
        put(f, array, takers, number)
        result = get(f, row, Donation.RESULT, "i64")
        f.branch(result < 0, lambda: put(f, array, spares, number),
                 lambda: put(f, array, results, result))

    f.loop(0, get(f, entry, Entry.DONATION_COUNT, "i64"), 1, [], one)
    do(f, "Py_DecRef", spot)
    f.ret(f.const("i1", 1))


def _fail(f: Function) -> None:
    do(f, "PyErr_Clear")
    f.ret(f.const("i1", 0))


def _exchange(f: Function, leaf: Reg, taker: Reg) -> None:
    """What one of the two has, the other gets."""
    for offset in (PLACE, HOME, OWNER):
        mine, other = field(f, leaf, offset), field(f, taker, offset)
        f.store(other, at(f, leaf, offset))
        f.store(mine, at(f, taker, offset))


def _define_give_back(module: Module) -> None:
    """`give_back`: the first `count` leaves get back what their takers have."""
    f = Function(module, "give_back", [("ptr", "program"), ("ptr", "leaves"), ("ptr", "takers"),
                                      ("i64", "count")])
    entry, leaves, takers, count = f.args
    leaf_of = partial(_leaf, f, entry, leaves)

    def one(number: Reg, _: list[Reg]) -> None:
        _exchange(f, leaf_of(number), get(f, takers, number))

    f.loop(0, count, 1, [], one)
    f.ret()


def _define_hand_over(module: Module, numpy_class: str) -> None:
    """`hand_over`: memory from leaves to takers, marks to leaves; false, and as before, if not.

    An array that has lost its memory already was passed twice: as a leaf that is donated, as one
    that is not, or as one that the function captured.
    """
    f = Function(module, "hand_over", [("ptr", x) for x in (
        "program", "leaves", "takers", "marks")], result="i1")
    entry, leaves, takers, marks = f.args
    leaf_of = partial(_leaf, f, entry, leaves)
    donated = get(f, entry, Entry.DONATION_COUNT, "i64")

    def undo(count: Reg) -> None:
        f.call("give_back", "void", [entry, leaves, takers, count])
        f.ret(f.const("i1", 0))

    def move(number: Reg, _: list[Reg]) -> None:
        leaf = leaf_of(number)
        f.branch(is_null(f, field(f, leaf, PLACE)), lambda: undo(number))
        owner = field(f, leaf, OWNER)
        f.branch(not_null(f, owner), lambda: f.branch(
            f.compare("eq", class_of(f, owner), f.address(numpy_class)), lambda: undo(number)))
        _exchange(f, leaf, get(f, takers, number))

    def check(array: Reg) -> None:
        f.branch(is_null(f, field(f, array, PLACE)), lambda: undo(donated))

    f.loop(0, donated, 1, [], move)
    kept = get(f, entry, Entry.KEPT)
    f.loop(0, get(f, entry, Entry.KEPT_COUNT, "i64"), 1, [],
           lambda i, _: check(get(f, leaves, get(f, kept, i, "i64"))))
    captured = get(f, entry, Entry.CAPTURED)
    f.loop(0, get(f, entry, Entry.CAPTURED_COUNT, "i64"), 1, [],
           lambda i, _: check(get(f, captured, i)))

    def mark(number: Reg, _: list[Reg]) -> None:
        f.store(get(f, marks, number), at(f, leaf_of(number), OWNER))
        put(f, f.const("ptr", 0), marks, number)

    f.loop(0, donated, 1, [], mark)
    f.ret(f.const("i1", 1))

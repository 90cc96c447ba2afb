"""The short way of the most common calls: arrays and numbers in, one small array out.

Nothing in it runs Python code before the program has ended, so that nothing needs to be held. What
is out of the ordinary (an empty free list, an address that is not known) goes the general way.
"""

from __future__ import annotations

from collections.abc import Callable

from arraylib.backends.cpu.calls.layout import COUNT, HOME, OWNER, PLACE, TYPE, WEAK
from arraylib.backends.cpu.calls.names import ARRAY
from arraylib.backends.cpu.calls.python import (
    ask,
    at,
    class_of,
    do,
    field,
    get,
    is_null,
    put,
    refer,
)
from arraylib.backends.cpu.calls.words import (
    LEAF,
    NODE_WORDS,
    NUMBER_WORDS,
    PLAIN_ARGUMENTS,
    Block,
    Entry,
    Home,
)
from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.interrupt_state import SETTLE, WORD


def define_plain(module: Module, miss: str, to_front: Callable[..., None]) -> None:
    """`plain`: as `serve`, for an entry with the flag PLAIN and without keywords."""
    f = Function(module, "plain", [("ptr", x) for x in ("link", "front", "args")], result="ptr")
    link, front, args = f.args
    entry = get(f, link, 0)

    def general() -> None:
        f.ret(ask(f, "serve", link, front, args, f.const("ptr", 0)))

    words = f.alloca("i64", PLAIN_ARGUMENTS + 2)
    count = _arguments(f, entry, args, words, lambda: f.ret(f.address(miss)), general)
    block, spare = get(f, entry, Entry.BLOCKS), f.address("spare")
    home = get(f, block, Block.HOME)
    memory, array = get(f, home, Home.FIRST), get(f, spare, Home.FIRST)
    f.branch(is_null(f, memory) | is_null(f, array), general)
    to_front(f, link, front, entry)
    _pop(f, home, get(f, memory, 0))
    _pop(f, spare, field(f, array, PLACE))
    type, null = get(f, block, Block.TYPE), f.const("ptr", 0)
    refer(f, type)
    for offset, value in ((COUNT, f.const("i64", 1)), (PLACE, memory), (HOME, home), (TYPE, type),
                          (OWNER, null), (WEAK, null)):
        f.store(value, at(f, array, offset))
    put(f, memory, words, count)
    put(f, get(f, entry, Entry.CONTEXT), words, count + 1)
    do(f, get(f, entry, Entry.CODE), words)
    f.branch(f.compare("ne", f.load(f.address(WORD), "i64"), 0), lambda: _settle(f, array))
    f.ret(array)


def _arguments(f: Function, entry: Reg, args: Reg, words: Reg, miss: Callable[[], None],
               general: Callable[[], None]) -> Reg:
    """Compare the arguments with the guard and note their addresses; how many there are."""
    guard, count = get(f, entry, Entry.GUARD), get(f, entry, Entry.ARGUMENTS, "i64")
    room = f.alloca("i64", (NUMBER_WORDS + 1) * PLAIN_ARGUMENTS, align=16)
    numbers = f.gep(room, NUMBER_WORDS * PLAIN_ARGUMENTS, "i64")

    def one(number: Reg, _: list[Reg]) -> None:
        value, node = get(f, args, number), f.gep(guard, number * NODE_WORDS, "i64")
        kind = get(f, node, 0, "i64")

        def leaf() -> None:
            f.branch(f.compare("ne", class_of(f, value), f.address(ARRAY)), miss)
            f.branch(f.compare("ne", field(f, value, TYPE), get(f, node, 1)), miss)
            place = field(f, value, PLACE)
            f.branch(is_null(f, place), general)
            put(f, place, words, number)

        def other() -> None:
            found = ask(f, "number", kind, value, node, words, numbers, result="i1")
            f.branch(f.compare("eq", found, 0), miss)

        f.branch(f.compare("eq", kind, LEAF), leaf, other)

    f.loop(0, count, 1, [], one)
    return count


def _pop(f: Function, home: Reg, following: Reg) -> None:
    """Take the first of a free list, which is not empty."""
    put(f, following, home, Home.FIRST)
    put(f, get(f, home, Home.COUNT, "i64") - 1, home, Home.COUNT)


def _settle(f: Function, array: Reg) -> None:
    """Give up the result if an exception stopped the program."""
    def stopped() -> None:
        do(f, "Py_DecRef", array)
        f.ret(f.const("ptr", 0))

    f.branch(ask(f, SETTLE, result="i1"), stopped)

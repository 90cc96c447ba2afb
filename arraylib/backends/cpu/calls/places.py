"""Integers that are places on an axis, as arguments: an array of them is looked through."""

from __future__ import annotations

from arraylib.backends.cpu.calls.layout import PLACE, TYPE
from arraylib.backends.cpu.calls.python import ask, class_of, field, get, is_null, put
from arraylib.backends.cpu.calls.words import NODE_WORDS
from arraylib.backends.cpu.emitter import Function, Module, Reg

PLACES_WORDS = NODE_WORDS + 4


def define_places(module: Module, array_class: str) -> None:
    """`places`: the position behind the node, or null: for another type, or one beyond the bounds.
    """
    f = Function(module, "places", [("ptr", x) for x in ("value", "position", "words", "leaves")],
                 result="ptr")
    value, position, words, leaves = f.args

    def miss() -> None:
        f.ret(f.const("ptr", 0))

    f.branch(f.compare("ne", class_of(f, value), f.address(array_class)), miss)
    f.branch(f.compare("ne", field(f, value, TYPE), get(f, position, 1)), miss)
    place = field(f, value, PLACE)
    place, = f.conditional(is_null(f, place), lambda: [ask(f, "place_of", value)], [place])
    f.branch(is_null(f, place), miss)
    low, high, count, wide = (get(f, position, NODE_WORDS + i, "i64") for i in range(4))

    def look(bits: int) -> None:
        def one(number: Reg, beyond: list[Reg]) -> list[Reg]:
            given = f.load(f.gep(place, number, f"i{bits}"), f"i{bits}")
            found = given if bits == 64 else f.cast("sext", given, "i64")
            return [beyond[0] | (found < low) | (found >= high)]

        beyond, = f.loop(0, count, 1, [f.const("i1", 0)], one)
        f.branch(beyond, miss)

    f.branch(f.compare("eq", wide, 64), lambda: look(64), lambda: look(32))
    slot = get(f, position, 2, "i64")
    put(f, place, words, slot)
    put(f, value, leaves, slot)
    f.ret(f.gep(position, PLACES_WORDS, "i64"))

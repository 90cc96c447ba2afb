"""Programs that are made of others: they run one after the other on arrays between them.

Nothing is compiled for a chain. Its context points to a table: where in the words of each program
the addresses of this call belong, and which programs there are. The arrays between them are always
the same memory, so that a chain is for code that runs under Python's lock.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib.backends.cpu import kept, target
from arraylib.backends.cpu.block import Block, address_of
from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.interface import Executable, place_results
from arraylib.hlo.ir import Type
from arraylib.record import record

MOST_OPERANDS = 8
_MOST_BLOCKS = 1  # of the results
_LINE = 64  # bytes


@record(eq=False)
class Link:
    """A program with one result and no other memory, the numbers of its operands and its result.

    Numbers from 0 on are those of the chain's operands; others are the chain's own.
    """

    executable: Executable
    operands: tuple[int, ...]
    result: int


def fits(executable: Executable) -> bool:
    """Whether a program can be a part of a chain."""
    return bool(executable.code) and executable.quick and len(executable.blocks) == 1 \
        and len(executable.results) == 1


def chain(types: Sequence[Type], links: Sequence[Link], constants: dict[int, Any],
          results: Sequence[tuple[int, Type]]) -> Executable:
    """The program of operands of these types that runs the links in turn.

    `constants` are NumPy's arrays by their numbers; `results` are the numbers of what is returned,
    each what a link has made and none twice.
    """
    placed, blocks = place_results([type for _, type in results], {})
    places = {number: (len(types) + result.block, result.offset)
              for (number, _), result in zip(results, placed, strict=True)}
    places |= {number: (number, 0) for number in range(len(types))}
    own = _memory(links, constants, places)
    patches: list[int] = []
    rows: list[int] = []
    tables = []
    for link in links:
        words = np.zeros(len(link.operands) + 2, np.int64)
        for i, number in enumerate((*link.operands, link.result)):
            if number in places:
                patches += (*places[number], address_of(words) + 8 * i)
            else:
                words[i] = own.addresses[number]
        words[-1] = link.executable.context
        rows += (link.executable.code, address_of(words))
        tables.append(words)
    table = np.array([len(patches) // 3, len(links), *patches, *rows], np.int64)
    code = _library()[_name(len(types) + len(blocks))]
    native: Any = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(code)
    native.keep = table, tables, own, tuple(links)
    return Executable(tuple(types), tuple(placed), tuple(blocks), native, address_of(table), code,
                      True)


@record(eq=False)
class _Memory:
    """A block with what is neither operand nor result, and the address of each."""

    block: Block
    addresses: dict[int, int]


def _memory(links: Sequence[Link], constants: dict[int, Any], places: dict[int, Any]) -> _Memory:
    sizes = {number: value.nbytes for number, value in constants.items()}
    sizes |= {link.result: link.executable.results[0].type.nbytes for link in links
              if link.result not in places}
    starts, end = {}, 0
    for number, size in sizes.items():
        starts[number] = end
        end += -(-size // _LINE) * _LINE
    block = Block(max(end, _LINE))
    found = _Memory(block, {number: block.address + start for number, start in starts.items()})
    for number, value in constants.items():
        dense = np.ascontiguousarray(value)
        ctypes.memmove(found.addresses[number], address_of(dense), dense.nbytes)
    return found


def _name(words: int) -> str:
    return f"arraylib_chain{words}"


@functools.cache
def _library() -> dict[str, int]:
    text = module(target.new_module()).text()
    names = [_name(words) for words in range(1, MOST_OPERANDS + _MOST_BLOCKS + 1)]
    return target.link([kept.compiled(text)], names)


def module(empty: Module) -> Module:
    """Fill an empty module with the code for each number of words before the table's.

    The table has the numbers of patches and of programs; then of each patch a word's number, an
    offset, and where their sum belongs; then of each program its code, and where its words are.
    """
    for words in range(1, MOST_OPERANDS + _MOST_BLOCKS + 1):
        _define(empty, words)
    return empty


def _define(module: Module, count: int) -> None:
    f = Function(module, _name(count), [("ptr", "words")], internal=False)
    words, = f.args
    table = f.load(f.gep(words, count, "i64"), "ptr")
    patches, programs = (f.load(f.gep(table, i, "i64"), "i64") for i in range(2))
    first = f.gep(table, 2, "i64")

    def patch(number: Reg, _: list[Reg]) -> None:
        row = f.gep(first, number * 3, "i64")
        word, offset = (f.load(f.gep(row, i, "i64"), "i64") for i in range(2))
        place = f.load(f.gep(words, word, "i64"), "i64") + offset
        f.store(place, f.load(f.gep(row, 2, "i64"), "ptr"))

    f.loop(0, patches, 1, [], patch)
    second = f.gep(first, patches * 3, "i64")

    def program(number: Reg, _: list[Reg]) -> None:
        row = f.gep(second, number * 2, "i64")
        f.call(f.load(row, "ptr"), "void", [f.load(f.gep(row, 1, "i64"), "ptr")])

    f.loop(0, programs, 1, [], program)
    f.ret()

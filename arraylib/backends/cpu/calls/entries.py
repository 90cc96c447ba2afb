"""From a compiled program to the tables by which native code recognises and serves its calls."""

from __future__ import annotations

import ctypes
import inspect
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MemberDescriptorType, WrapperDescriptorType
from typing import Any, TypeAlias

import numpy as np

from arraylib.backends.cpu.calls import ndarrays, words as w
from arraylib.backends.cpu.calls.runtime import Runtime
from arraylib.backends.cpu.calls.templates import shape, template
from arraylib.backends.cpu.calls.words import Block, Entry, Result
from arraylib.backends.interface import Executable
from arraylib.hlo.ir import Type
from arraylib.record import field, record
from arraylib.tree import LEAF, Kind, Structure

_DEPTH = 50     # of nested containers: the walk is recursive
_WORDS = 4096   # of a call: they are on the stack


@record(frozen=False)
class Guard:
    """How to recognise arguments: words, and the objects whose addresses are among them."""

    count: int  # of arguments
    keywords: tuple[str, ...] = ()  # the names of the last of them
    words: list[int] = field(default_factory=list)
    kept: list[Any] = field(default_factory=list)
    nested: bool = False    # whether there are containers
    possible: bool = True   # whether native code can recognise these arguments
    foreign: set[int] = field(default_factory=set)  # the leaves that are no Arrays
    conversions: list[tuple[int, int, int, Type]] = field(default_factory=list)

    def convert(self, slot: int, given: np.dtype[Any], type: Type) -> None:
        """Let a leaf of one dtype be read as one of another."""
        found = ndarrays.conversion(given, type.dtype, type.size)
        self.foreign.add(slot)
        if found is None:
            self.possible = False
        elif found[0]:
            self.conversions.append((slot, *found, type))


# An argument, its structure and the number of its first leaf; no structure where it is static.
Argument: TypeAlias = "tuple[Any, Structure | None, int]"


def guard_of(arguments: Sequence[Argument], keywords: tuple[str, ...],
             types: Sequence[Type]) -> Guard:
    """The guard for arguments like these, whose leaves are Arrays, NumPy data or Python numbers.

    Each stands for all that have its type; numbers are of the same class as well.
    """
    guard = Guard(len(arguments), keywords)
    for value, structure, start in arguments:
        if structure is None:
            guard.possible = guard.possible and _unchanging(value)
            _add_fixed(guard, value)
        else:
            guard.nested = guard.nested or structure is not LEAF
            _add(guard, value, structure, types, start, 0)
    return guard


def _unchanging(value: Any) -> bool:
    """Whether an object will always be equal to itself now."""
    cls = type(value)
    if cls is tuple:
        return all(map(_unchanging, value))
    return cls in _UNCHANGING or cls.__eq__ is object.__eq__ and cls.__hash__ is object.__hash__


_UNCHANGING = {bool, int, float, complex, str, bytes, type(None)}


def fixed_guard(args: Sequence[Any], keywords: dict[str, Any], array: Any,
                fixed: Callable[[Any], bool], fields: Mapping[Any, Sequence[str]]
                ) -> tuple[Guard, list[Any]]:
    """The guard for Arrays by their types and all else by its value; and those Arrays.

    `fixed` says of what is neither array, number nor container whether it never changes; `fields`
    are the attributes of classes that are containers, too.
    """
    guard, leaves = Guard(len(args) + len(keywords), tuple(keywords)), list[Any]()

    def other(value: Any) -> tuple[int, ...]:
        if value.__class__ is array:
            leaves.append(value)
            guard.kept[-1] = value.type  # and not the array
            return w.LEAF, id(value.type), len(leaves) - 1
        if value.__class__ in fields:
            return attributes(value)
        guard.possible = guard.possible and fixed(value)
        return w.SAME, id(value), 0

    def attributes(value: Any) -> tuple[int, ...]:
        names, cls = fields[value.__class__], value.__class__
        guard.nested, guard.kept[-1:] = True, (cls, *names)
        guard.words += (w.FIELDS, len(names), id(cls))
        for name in names:
            guard.words.append(id(name))
            _add_fixed(guard, getattr(value, name), other, 1)
        return ()

    for value in (*args, *keywords.values()):
        _add_fixed(guard, value, other)
    return guard, leaves


def data_guard(args: Sequence[Any], keywords: dict[str, Any], type: Type,
               fixed: Callable[[Any], bool]) -> Guard:
    """The guard for one argument that becomes an operand of a type, and settings behind it."""
    guard = Guard(len(args) + len(keywords), tuple(keywords))
    _add(guard, args[0], LEAF, [type], 0, 0)
    for value in (*args[1:], *keywords.values()):
        guard.possible = guard.possible and fixed(value)
        _add_fixed(guard, value)
    return guard


def places_guard(args: Sequence[Any], keywords: dict[str, Any], fixed: Callable[[Any], bool]
                 ) -> Guard:
    """The guard for an array, places on its first axis, counted from either end, and settings."""
    guard = Guard(len(args) + len(keywords), tuple(keywords))
    type, places = args[0].type, args[1].type
    guard.words += (w.LEAF, id(type), 0, w.PLACES, id(places), 1, -type.shape[0], type.shape[0],
                    places.size, places.dtype.itemsize * 8)
    for value in (*args[2:], *keywords.values()):
        guard.possible = guard.possible and fixed(value)
        _add_fixed(guard, value)
    return guard


def _same(value: Any) -> tuple[int, int, int]:
    return w.SAME, id(value), 0


def _add_fixed(guard: Guard, value: Any,
               other: Callable[[Any], tuple[int, ...]] = _same, depth: int = 0) -> None:
    """A value that is recognised when it comes again, part by part; `other` makes other nodes."""
    cls = value.__class__
    guard.kept.append(value)
    if cls is int and -1 << 63 <= value < 1 << 63:
        guard.words += (w.EQUAL, value, id(value))
    elif cls is float:
        guard.words += (w.EQUAL_FLOAT, *struct.unpack("q", struct.pack("d", value)), id(value))
    elif cls in _PARTS and depth < _DEPTH:
        parts = (value.start, value.stop, value.step) if cls is slice else value
        guard.nested = True
        guard.words += (_PARTS[cls], len(parts), id(cls))
        for part in parts:
            _add_fixed(guard, part, other, depth + 1)
    else:
        guard.words += other(value)


_PARTS: dict[Any, int] = {tuple: w.SEQUENCE, list: w.LIST, slice: w.SLICE}


_NUMBERS = frozenset((bool, int, float, complex))


def _add(guard: Guard, value: Any, structure: Structure, types: Sequence[Type], start: int,
         depth: int) -> None:
    """One tree; its leaves have the numbers from `start` on."""
    kind, cls = structure.kind, type(value)
    if kind is None and cls in _NUMBERS:
        number = w.NUMBERS.get((cls.__name__, types[start].dtype.name))
        guard.possible = guard.possible and number is not None
        guard.foreign.add(start)
        guard.words += (number or 0, 0, start)
    elif kind is None and isinstance(value, (np.ndarray, np.generic)):
        _add_data(guard, value, types[start], start)
    elif kind is None:
        guard.words += (w.LEAF, id(types[start]), start)
    elif value is None:
        guard.words += (w.SAME, id(None), 0)
    elif depth < _DEPTH and (cls is dict or kind.sequence or _plain(kind)):
        _add_container(guard, value, structure, types, start, depth)
    else:
        guard.possible = False


def _add_data(guard: Guard, value: Any, type: Type, slot: int) -> None:
    """NumPy data that becomes an operand of a type."""
    cls = value.__class__
    guard.convert(slot, value.dtype, type)
    guard.kept.append(cls)
    if cls in ndarrays.SCALARS:
        guard.words += (w.SCALAR, id(cls), slot)
    elif cls is np.ndarray:
        guard.words += (w.NDARRAY, ndarrays.identity(value.dtype), slot, value.ndim, *value.shape)
    else:
        guard.possible = False


def _add_container(guard: Guard, value: Any, structure: Structure, types: Sequence[Type],
                   start: int, depth: int) -> None:
    """A container, its children in the order in which native code finds them."""
    kind, cls = structure.kind, type(value)
    assert kind is not None
    items, named = _items(value, kind)
    constants = kind.constants if not (cls is dict or kind.sequence) else ()
    guard.kept.append(cls)
    guard.words += _container(value, len(structure.children) + len(constants))
    keys = structure.metadata if cls is dict else range(len(structure.children))
    places = {}
    for key, child in zip(keys, structure.children, strict=True):
        places[key] = start, child
        start += child.num_leaves
    for key, name, item in items:
        if named:
            guard.kept.append(name)
            guard.words.append(id(name))
        _add(guard, item, places[key][1], types, places[key][0], depth + 1)
    for name in constants:
        constant = getattr(value, name)
        guard.kept += name, constant
        guard.words += id(name), w.SAME, id(constant), 0
        guard.possible = guard.possible and _unchanging(constant)


def _items(value: Any, kind: Kind) -> tuple[list[tuple[Any, Any, Any]], bool]:
    """Of each child what its place is known by, its name and itself; and whether names count."""
    if type(value) is dict:
        return [(key, key, item) for key, item in value.items()], True
    if kind.sequence:
        return [(i, None, item) for i, item in enumerate(value)], False
    return [(i, name, getattr(value, name)) for i, name in enumerate(kind.fields)], True


def _plain(kind: Kind) -> bool:
    """Whether a container is made of attributes that can be read without running Python code."""
    names = kind.fields + kind.constants
    if not names or not isinstance(kind.type.__getattribute__, WrapperDescriptorType) \
            or hasattr(kind.type, "__getattr__"):
        return False
    found = [inspect.getattr_static(kind.type, name, None) for name in names]
    return all(isinstance(each, MemberDescriptorType) or not hasattr(type(each), "__get__")
               for each in found)


def _container(value: Any, count: int) -> tuple[int, int, int]:
    """The words of a container's node."""
    cls = type(value)
    table = shape(value) if cls is dict else 0
    if table:
        return w.TABLE, count, table
    return _KINDS.get(cls, w.SEQUENCE if isinstance(value, tuple) else w.FIELDS), count, id(cls)


def operand_guard(operands: Sequence[Any]) -> Guard:
    """The guard for operands: an Array's type, or (class, dtype) of a Python number converted."""
    guard = Guard(len(operands))
    for slot, operand in enumerate(operands):
        if isinstance(operand, Type):
            guard.words += (w.LEAF, id(operand), slot)
        else:
            kind = w.NUMBERS.get((operand[0].__name__, operand[1].name))
            guard.possible = guard.possible and kind is not None
            guard.words += (kind or 0, 0, slot)
    return guard


def index_guard(type: Type, indices: int, in_tuple: bool) -> Guard:
    """The guard for an array of a type and so many integers, which are places on its first axes."""
    guard = Guard(2, words=[w.LEAF, id(type), 0])
    if in_tuple:
        guard.words += (w.SEQUENCE, indices, id(tuple))
    for axis in range(indices):
        guard.words += (w.INDEX, type.shape[axis], axis + 1)
    return guard


_KINDS: dict[Any, int] = {dict: w.DICT, list: w.LIST, tuple: w.SEQUENCE}


class _Output:
    """How to put results into containers: words, and objects whose addresses are among them."""

    def __init__(self, structure: Structure) -> None:
        self.words: list[int] = []
        self.kept: list[Any] = []
        self._leaves = 0
        self.possible = True
        self._add(structure, 0)

    def _add(self, structure: Structure, depth: int) -> None:
        kind, children = structure.kind, structure.children
        if kind is None:
            self.words += (w.LEAF, self._leaves, 0)
            self._leaves += 1
            return
        self.possible = self.possible and depth < _DEPTH
        extra: Any = None
        places: list[int] = []
        if kind.type is type(None):
            number = w.SAME
        elif kind.type is dict:
            places, number, extra = self._dict(structure.metadata)
        elif kind.type in _KINDS:
            number = _KINDS[kind.type]
        elif kind.by_name:
            number, extra = w.MAKE, (kind.type, kind.fields + kind.constants)
        else:
            number, extra = w.CALL, partial(kind.unflatten, structure.metadata)
        self.kept.append(extra)
        constants = structure.metadata if number == w.MAKE else ()
        count = id(None) if number == w.SAME else len(children) + len(constants)
        self.words += (number, count, id(extra))
        for i, child in enumerate(children):
            if places:
                self.words.append(places[i])
            self._add(child, depth + 1)
        for constant in constants:
            self.words += (w.SAME, id(constant), 0)
        self.kept.append(structure)

    def _dict(self, keys: tuple[Any, ...]) -> tuple[list[int], int, dict[Any, Any]]:
        """The words before the children of a dict, its node's kind, and what it is a copy of."""
        found = template(keys)
        if found is None:
            return [id(key) for key in keys], w.DICT, dict.fromkeys(keys)
        return found[1], w.FILL, found[0]


def entry_of(runtime: Runtime, guard: Guard, executable: Executable, captured: Sequence[Any],
             output: Structure, epoch: int, donated: Sequence[int] = (), gone: Any = None,
             given: bool = False) -> Any | None:
    """The entry for calls that the guard recognises; None where it takes more than native code.

    It is a ctypes array of words, which keeps alive what they are the addresses of. `donated` are
    numbers of leaves; `gone` says of each number why that leaf is gone. `given`: there is one leaf,
    which is returned.
    """
    built = _Output(output)
    leaves = len(executable.input_types) - len(captured)
    count = len(executable.input_types) + len(executable.blocks) + len(guard.conversions) + 1
    if not (guard.possible and built.possible and executable.code) or count > _WORDS \
            or not guard.foreign.isdisjoint(donated):
        return None
    blocks, results = _memory(runtime, executable)
    conversions = _conversions(runtime, guard, blocks)
    kept = sorted({*range(leaves)} - {*donated} - guard.foreign) if donated else []
    tables = [_table(words) for words in (
        guard.words, [id(x) for x in captured], blocks, results, built.words,
        _donations(executable, donated, gone), kept, conversions,
        [len(guard.keywords), *map(id, guard.keywords)])]
    found: Any = (ctypes.c_int64 * Entry.SIZE)()
    found.kept = tables, guard, built.kept, tuple(captured), executable, donated, gone
    *places, names = map(ctypes.addressof, tables)
    keywords = names if guard.keywords else 0
    for word, place in zip((Entry.GUARD, Entry.CAPTURED, Entry.BLOCKS, Entry.RESULTS,
                             Entry.OUTPUT, Entry.DONATIONS, Entry.KEPT, Entry.CONVERSIONS), places,
                           strict=True):
        found[word] = place
    plain = output is LEAF and not donated and _is_plain(guard, executable, blocks)
    flags = 0 if executable.quick else w.RELEASE | (w.HOLD if guard.nested else 0)
    flags |= w.GIVEN if given else w.PLAIN if plain else 0
    for word, value in (
            (Entry.EPOCH, epoch), (Entry.COUNT, guard.count - len(guard.keywords)),
            (Entry.ARGUMENTS, guard.count), (Entry.KEYWORDS, keywords),
            (Entry.CODE, executable.code), (Entry.CONTEXT, executable.context),
            (Entry.WORDS, count), (Entry.LEAVES, leaves),
            (Entry.CAPTURED_COUNT, len(captured)), (Entry.BLOCK_COUNT, len(blocks) // Block.SIZE),
            (Entry.OWN_BLOCKS, len(executable.blocks)),
            (Entry.CONVERSION_COUNT, len(guard.conversions)),
            (Entry.RESULT_COUNT, len(executable.results)), (Entry.FLAGS, flags),
            (Entry.DONATION_COUNT, len(donated)), (Entry.KEPT_COUNT, len(kept)),
            (Entry.KEEPER, id(found))):
        found[word] = value
    return found


def _is_plain(guard: Guard, executable: Executable, blocks: Sequence[int]) -> bool:
    """Whether calls are of the most common kind: arrays and numbers, which are all that the program
    reads, by position, and one result that owns its memory."""
    sizes = len(executable.input_types), len(executable.results), len(executable.blocks)
    if not executable.quick or guard.keywords or guard.count > w.PLAIN_ARGUMENTS \
            or sizes != (guard.count, 1, 1) or blocks[Block.RESULT] != 0:
        return False
    nodes = [guard.words[i:i + w.NODE_WORDS] for i in range(0, len(guard.words), w.NODE_WORDS)]
    return all(node[2] == i and (node[0] == w.LEAF or node[0] >= w.FIRST_NUMBER)
               for i, node in enumerate(nodes)) and len(nodes) == guard.count


def put_first(caller: Any, entry: Any) -> None:
    """Let a caller try this entry first; somebody must keep it."""
    entry[Entry.NEXT] = caller.entries
    caller.entries = ctypes.addressof(entry)


def _table(words: Sequence[int]) -> Any:
    return (ctypes.c_int64 * max(1, len(words)))(*words)


def _memory(runtime: Runtime, executable: Executable) -> tuple[list[int], list[int]]:
    """The tables of blocks and results. A result that is alone in a small block owns it."""
    in_block: list[list[int]] = [[] for _ in executable.blocks]
    for number, result in enumerate(executable.results):
        if result.donor is None:
            in_block[result.block].append(number)
    blocks: list[int] = []
    rows = [(id(result.type), result.block if result.donor is None else -1, result.offset)
            for result in executable.results]
    for number, nbytes in enumerate(executable.blocks):
        home, inside = runtime.home(nbytes), in_block[number]
        alone = home and len(inside) == 1 and executable.results[inside[0]].offset == 0
        owner = inside[0] if alone else -1
        type = executable.results[owner].type if alone else _BYTES
        blocks += (nbytes, home, owner, id(type))
        if alone:
            rows[owner] = id(type), -1, 0
    return blocks, [word for row in rows for word in row]


def _conversions(runtime: Runtime, guard: Guard, blocks: list[int]) -> list[int]:
    """The rows of leaves that are converted; each gets a block behind those of the program."""
    words: list[int] = []
    for slot, kind, count, type in guard.conversions:
        words += (slot, len(blocks) // Block.SIZE, kind, count)
        blocks += (type.nbytes, runtime.home(type.nbytes), -1, id(_BYTES))
    return words


def _donations(executable: Executable, donated: Sequence[int], gone: Any) -> list[int]:
    """The rows of leaves that are donated. Numbers of leaves are kept by `donated` itself."""
    results = {result.donor: number for number, result in enumerate(executable.results)}
    words: list[int] = []
    for leaf in donated:
        result = results.get(leaf, -1)
        type = executable.input_types[leaf] if result < 0 else executable.results[result].type
        words += (leaf, result, id(type), id(gone), id(leaf))
    return words


_BYTES = Type("uint8", ())  # of what holds a block: nobody reads it
assert Block.SIZE == 4 and Result.SIZE == 3

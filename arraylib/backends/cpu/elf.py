"""Object files of x86-64 Linux as images: laid out, and linked as far as goes without addresses.

It covers what LLVM makes of this library's code, which is little: position-independent code, its
constants and data. Anything else (threads' own data, code to run at the start, another processor or
format) is left to LLVM's linker: `image_of` gives None.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence

from arraylib.backends.cpu.image import PAGE, Image, in_process
from arraylib.record import field, record

OWN = "arraylib_"  # what imported symbols start with whose addresses come from us

_FILE = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
_IDENT = b"\x7fELF\x02\x01\x01"  # 64 bits, little-endian
_RELOCATABLE, _X86_64 = 1, 62

_PROGBITS, _SYMTAB, _RELA, _NOBITS, _UNWIND = 1, 2, 4, 8, 0x70000001  # kinds of sections
_NAMES = (".text", ".rodata", ".data", ".bss")  # what sections that are loaded are called
_WRITE, _ALLOC = 1, 2  # flags of sections
_UNDEFINED, _RESERVED = 0, 0xFF00  # numbers of sections that are none
_GLOBAL, _INDIRECT = 1, 10  # a symbol's binding, and a kind that is none of ours

# Relocations: the value at a place is made of S (the symbol), A (an addend), P (the place) and G
# (the symbol's word in the table of addresses).
_ABSOLUTE = 1  # S + A, 64 bits
_RELATIVE = {2: struct.Struct("<i"), 4: struct.Struct("<i"), 24: struct.Struct("<q")}  # S + A - P
_CALL = 4  # the same of a function, which a stub may stand for
_BY_TABLE = {9, 41, 42}  # G + A - P
_JUMP = b"\xff\x25"  # through a word at a distance
_STUB = 8


class _NotOurs(Exception):
    """What this linker leaves to LLVM's."""


@record
class _Section:
    """A section of an object file."""

    name: str
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    align: int

    @property
    def loaded(self) -> bool:
        """Whether it is part of the image. Frames for exceptions, of which there are none, are
        not."""
        return bool(self.flags & _ALLOC) and self.name != ".eh_frame" and self.kind != _UNWIND

    @property
    def writable(self) -> bool:
        """Whether programs write to it; some is written only while addresses are filled in."""
        return bool(self.flags & _WRITE) and not self.name.startswith(".data.rel.ro")


@record
class _Symbol:
    name: str
    section: int
    value: int
    exported: bool


def image_of(content: bytes, others: Collection[str] = ()) -> bytes | None:
    """The image of an object file, as bytes; None for one that LLVM has to link.

    `others` are symbols that it may leave open, since what is loaded before it has them.
    """
    try:
        image = _Linker(content).image()
        for name in image.symbols:
            if not name.startswith(OWN) and name not in others:
                in_process(name)
        return image.to_bytes()
    except (_NotOurs, struct.error, RuntimeError):
        return None


@record(frozen=False)
class _Linker:
    """One object file on its way to an image."""

    content: bytes
    memory: bytearray = field(default_factory=bytearray)
    starts: dict[int, int] = field(default_factory=dict)  # of sections, by their number
    imports: dict[str, int] = field(default_factory=dict)  # numbers
    slots: list[tuple[int, int, int]] = field(default_factory=list)
    bases: list[tuple[int, int]] = field(default_factory=list)
    table: dict[_Symbol, int] = field(default_factory=dict)  # where a symbol's address is kept
    stubs: dict[_Symbol, int] = field(default_factory=dict)

    def image(self) -> Image:
        sections = _sections(self.content)
        symbols = self._symbols(sections)
        relocations = self._relocations(sections, symbols)
        self._lay_out([(i, s) for i, s in enumerate(sections) if s.loaded and not s.writable])
        self._make_room(relocations)
        fixed = _aligned(len(self.memory), PAGE)
        data = [(i, s) for i, s in enumerate(sections) if s.loaded and s.writable]
        self.memory.extend(bytes(fixed - len(self.memory) if data else 0))
        self._lay_out(sorted(data, key=lambda pair: pair[1].kind == _NOBITS))
        for symbol, place in self.table.items():
            self._point(place, symbol, 0)
        for section, place, kind, symbol, addend in relocations:
            self._relocate(self.starts[section] + place, kind, symbol, addend)
        exports = {s.name: self.starts[s.section] + s.value for s in symbols
                   if s.exported and s.section in self.starts}
        size, zeros = len(self.memory), len(self.memory.rstrip(b"\0"))
        del self.memory[max(zeros, *(place + 8 for place, *_ in (*self.slots, *self.bases)), 0):]
        return Image(bytes(self.memory), fixed, _aligned(max(size, fixed), PAGE), exports,
                     list(self.imports), self.slots, self.bases)

    def _symbols(self, sections: Sequence[_Section]) -> list[_Symbol]:
        table = next((s for s in sections if s.kind == _SYMTAB), None)
        if table is None:
            raise _NotOurs
        found = []
        for at in range(table.offset, table.offset + table.size, _SYMBOL.size):
            name, info, _, section, value, _ = _SYMBOL.unpack_from(self.content, at)
            if info & 15 == _INDIRECT:
                raise _NotOurs
            text = _text(self.content, sections[table.link].offset + name)
            found.append(_Symbol(text, section, value, info >> 4 >= _GLOBAL))
        return found

    def _relocations(self, sections: Sequence[_Section], symbols: Sequence[_Symbol]
                     ) -> list[tuple[int, int, int, _Symbol, int]]:
        """(section, place, kind, symbol, addend) of all that belong to the image."""
        found = []
        for relocations in sections:
            if relocations.kind != _RELA or not sections[relocations.info].loaded:
                continue
            start = relocations.offset
            for at in range(start, start + relocations.size, _RELOCATION.size):
                place, info, addend = _RELOCATION.unpack_from(self.content, at)
                symbol = symbols[info >> 32]
                if symbol.section >= _RESERVED or symbol.section and (
                        not sections[symbol.section].loaded):
                    raise _NotOurs
                found.append((relocations.info, place, info & 0xFFFFFFFF, symbol, addend))
        return found

    def _lay_out(self, sections: Sequence[tuple[int, _Section]]) -> None:
        for number, section in sections:
            if section.kind not in (_PROGBITS, _NOBITS) or not section.name.startswith(_NAMES):
                raise _NotOurs
            if section.align > PAGE:  # the memory it will be in starts at some page
                raise _NotOurs
            start = _aligned(len(self.memory), max(section.align, 1))
            self.memory.extend(bytes(start - len(self.memory)))
            self.starts[number] = start
            self.memory.extend(bytes(section.size) if section.kind == _NOBITS else
                               self.content[section.offset:section.offset + section.size])

    def _make_room(self, relocations: Sequence[tuple[int, int, int, _Symbol, int]]) -> None:
        """Words for addresses that code reads, and stubs for functions that are far away."""
        self.memory.extend(bytes(-len(self.memory) % 16))
        for _, _, kind, symbol, _ in relocations:
            called = kind == _CALL and symbol.section == _UNDEFINED
            if (called or kind in _BY_TABLE) and symbol not in self.table:
                place = self.table[symbol] = len(self.memory)
                self.memory.extend(bytes(8))
            if called and symbol not in self.stubs:
                place = self.stubs[symbol] = len(self.memory)
                jump = _JUMP + struct.pack("<i", self.table[symbol] - place - 6)
                self.memory.extend(jump.ljust(_STUB, b"\0"))

    def _point(self, place: int, symbol: _Symbol, addend: int) -> None:
        """An address is needed at a place: note it for the loader."""
        if symbol.section == _UNDEFINED:
            number = self.imports.setdefault(symbol.name, len(self.imports))
            self.slots.append((place, number, addend))
        else:
            self.bases.append((place, self.starts[symbol.section] + symbol.value + addend))

    def _relocate(self, place: int, kind: int, symbol: _Symbol, addend: int) -> None:
        if kind == _ABSOLUTE:
            self._point(place, symbol, addend)
        elif kind in _BY_TABLE:
            struct.pack_into("<i", self.memory, place, self.table[symbol] + addend - place)
        elif kind in _RELATIVE and (symbol.section or kind == _CALL):
            target = self.starts[symbol.section] + symbol.value if symbol.section \
                else self.stubs[symbol]
            _RELATIVE[kind].pack_into(self.memory, place, target + addend - place)
        else:
            raise _NotOurs


def _sections(content: bytes) -> list[_Section]:
    """The sections of an object file; _NotOurs for a file of another kind."""
    if not content.startswith(_IDENT):
        raise _NotOurs
    _, kind, machine, *_, start, _, _, _, _, size, count, names = _FILE.unpack_from(content)
    if (kind, machine, size) != (_RELOCATABLE, _X86_64, _SECTION.size):
        raise _NotOurs
    rows = [_SECTION.unpack_from(content, start + i * size) for i in range(count)]
    text = rows[names][4]
    return [_Section(_text(content, text + row[0]), row[1], row[2], *row[4:9]) for row in rows]


def _text(content: bytes, start: int) -> str:
    return content[start:content.index(b"\0", start)].decode()


def _aligned(offset: int, align: int) -> int:
    return -(-offset // align) * align

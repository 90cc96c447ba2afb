"""From text to modules: functions, those called before those that call them."""

from __future__ import annotations

import graphlib
import re
from typing import Any

from arraylib.collector import resting
from arraylib.errors import ArgumentError, mistake, what_is
from arraylib.hlo.ir import Graph, regions
from arraylib.hlo.mlir.attributes import (
    Attributes,
    freeze,
    one_line,
    read_attribute,
    read_dictionary,
    read_symbol,
    unquoted,
)
from arraylib.hlo.mlir.body import BLOCK, NAME, Parser, shown
from arraylib.hlo.mlir.cursor import Cursor
from arraylib.hlo.mlir.locations import read_location
from arraylib.hlo.mlir.types import AnyType, read_signature, read_type
from arraylib.hlo.module import Function, Module, Pairs
from arraylib.record import field, record

_ALIAS = re.compile(r"\n[ \t]*([#!][\w$.-]+)[ \t]*=(?!=)[ \t]*")
_FIRST_LINE = 1000  # characters of it in which an alias may be defined
_DEFINITION = re.compile(r"[#!][\w$.-]+\s*=(?!=)")
_VISIBILITY = re.compile(r"(?:public|private|nested)\b")
# A symbol; or what may look like one inside, a string or a comment.
_STRING = r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"'  # unrolled: a constant may have a hundred million digits
_CALLED = re.compile(rf"@([A-Za-z_][\w$.-]*|{_STRING})|{_STRING}|//[^\n]*")
DEEPEST_CALLS = 100  # graphs in one another, with the functions that are called
MOST_OPERATIONS = 10**7  # with every call written out


def parse(text: str | bytes, name: str = "<text>") -> Module:
    """The module of StableHLO text, in MLIR's pretty or generic form.

    `text` is a `module { ... }` or functions alone; `name` is what errors call it. Nothing in it is
    executed. Operations that are none of ours are kept as they are written.

    Raises ParseError, with line, column and reason, for what is no well-typed program; more than
    64 levels of nesting, 100 with the functions that are called, and tensors of more than 2^40
    elements are refused.

        >>> parse("func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {\\n"
        ...       "  %0 = stablehlo.add %x, %x : tensor<2xf32>\\n"
        ...       "  return %0 : tensor<2xf32>\\n}").graph.input_types
        (f32[2],)
    """
    parser = _ModuleParser(_decoded(text, name), name)
    # A pattern that begins with a newline is found fast in long lines; the first line has none.
    first = [_ALIAS.match(f"\n{parser.text[:_FIRST_LINE]}")]
    parser.aliases.update((found.group(1), found.end() - 1) for found in first if found)
    parser.aliases.update((found.group(1), found.end()) for found in _ALIAS.finditer(parser.text))
    with resting():
        return parser.read_module()


def _decoded(text: str | bytes, name: str) -> str:
    if not isinstance(text, (str, bytes, bytearray, memoryview)):
        raise mistake(ArgumentError, "parse", f"takes text or bytes, not {what_is(text)}",
                      hint="Path(...).read_text() of a file")
    for start, what, hint in _OTHERS:
        begins = start if isinstance(text, str) else start.encode("latin-1")
        if text[:len(begins)] == begins:
            raise Cursor(start, name).fail(f"this is {what}, not StableHLO text", 0, hint)
    if isinstance(text, str):
        return text
    try:
        return bytes(text).decode()
    except UnicodeDecodeError as error:
        shown = bytes(text).decode("utf-8", "replace")
        start = bytes(text)[:error.start].decode()
        raise Cursor(shown, name).fail(
            f"byte 0x{text[error.start]:02X} is not UTF-8", len(start)) from None


_NAME_OF_FILE = "hlo.parse(Path(name).read_text()), if this is the name of a file"
_FROM_JAX = "jax.jit(f).lower(x).as_text()"
# What other texts begin with, what they are, and what to do.
_OTHERS = (("ML\xefR", "MLIR bytecode", "print it as text with the tool that wrote it"),
           ("HloModule", "the text of XLA's HLO", f"StableHLO, with JAX {_FROM_JAX}"),
           ("{ lambda ", "a jaxpr", _FROM_JAX), ("let ", "a jaxpr", _FROM_JAX))


@record(frozen=False, slots=True)
class _Declared:
    """A function whose body is still to be read."""

    name: str
    at: int
    body: int = -1  # where its brace is; -1: it is in the generic form
    end: int = 0
    public: bool = True
    arguments: list[tuple[str, AnyType, Pairs]] = field(default_factory=list)
    results: list[AnyType] = field(default_factory=list)
    result_notes: tuple[Pairs, ...] = ()
    attributes: Pairs = ()


class _ModuleParser(Parser):
    """A parser of whole modules."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text, name)
        self.declared: dict[str, _Declared] = {}
        self.declarations: list[str] = []
        self._extents: dict[Graph, tuple[int, int]] = {}

    def read_module(self) -> Module:
        """Everything up to the end of the text."""
        name: str = ""
        attributes: Pairs = ()
        self._skip_aliases()
        back = self.at
        word = self.match(NAME)
        if word and word.group() in ("module", "builtin.module"):
            name = read_symbol(self) if self.peek("@") else ""
            if self.accept("attributes"):
                attributes = freeze(read_dictionary(self))
            self.expect("{")
            self._read_declarations("}")
            read_location(self)
        elif self.peek('"builtin.module"'):
            name, attributes = self._generic_module()
        else:
            self.at = back
            self._read_declarations("")
        self._skip_aliases()
        if self.skip() != len(self.text):
            raise self.fail(f"expected the end of the text, found {self.found()}")
        return Module(self._functions(), name, attributes, tuple(self.declarations))

    def _generic_module(self) -> tuple[str, Pairs]:
        self.expect('"builtin.module"')
        self.expect("(")
        self.expect(")")
        properties = self.properties()
        self.expect("(")
        self.expect("{")
        if self.match(BLOCK):
            self.expect(":")
        self._read_declarations("}")
        self.expect(")")
        notes = {**properties, **(read_dictionary(self) if self.peek("{") else {})}
        self.expect(":")
        read_signature(self)
        read_location(self)
        name = notes.pop("sym_name", "")
        return name, freeze(notes)

    def _skip_aliases(self) -> None:
        """Go past definitions of aliases; what they stand for is read where they are used."""
        while found := self.match(_DEFINITION):
            read_attribute(self) if found.group().startswith("#") else read_type(self)

    def _read_declarations(self, close: str) -> None:
        """Functions and declarations up to and past `close`, or to the end of the text."""
        while True:
            self._skip_aliases()
            if close and self.accept(close) or not close and self.skip() == len(self.text):
                break
            self._read_declaration()

    def _read_declaration(self) -> None:
        at = self.skip()
        if self.accept("func.func"):
            return self._declare(self._read_header(at))
        if self.accept('"func.func"'):
            return self._declare(self._read_generic_header(at))
        if self.accept('"sdy.mesh"'):
            self._read_generic_rest()
        else:
            self._read_mesh(at)
        self.declarations.append(re.sub(r"\s+", " ", one_line(self.text[at:self.at].strip())))
        read_location(self)

    def _read_mesh(self, at: int) -> None:
        """`sdy.mesh @mesh = <["x"=2]> {...}`, and all else that is no function."""
        word = self.read(NAME, "a function")
        if word != "sdy.mesh":
            alone = at == 0 and "\n" not in self.text
            raise self.fail(f"a module holds functions and meshes, not {word}", at,
                            _NAME_OF_FILE * alone)
        read_symbol(self)
        self.expect("=")
        self.skip_brackets()
        if self.peek("{"):
            read_dictionary(self)

    def _read_generic_rest(self) -> None:
        """`() <{...}> {...} : () -> ()`, of an operation without operands and regions."""
        self.expect("(")
        self.expect(")")
        self.properties()
        if self.peek("{"):
            read_dictionary(self)
        self.expect(":")
        read_signature(self)

    def _declare(self, function: _Declared) -> None:
        if function.name in self.declared:
            raise self.fail(f"there is a second function @{function.name}", function.at)
        self.declared[function.name] = function

    def _read_header(self, at: int) -> _Declared:
        """`public @main(%arg0: type {attributes}) -> (types) attributes {...} { ... }`"""
        visibility = self.match(_VISIBILITY)
        declared = _Declared(read_symbol(self), at)
        declared.public = visibility is None or visibility.group() == "public"
        self.expect("(")
        declared.arguments = self.items(")", self.read_argument)
        if self.accept("->"):
            declared.results, declared.result_notes = self._read_results()
        if self.accept("attributes"):
            declared.attributes = freeze(read_dictionary(self))
        declared.body = self.skip()
        if not self.peek("{"):
            raise self.fail(f"the function @{declared.name} has no body")
        self.skip_brackets()
        declared.end = self.at
        read_location(self)
        return declared

    def _read_results(self) -> tuple[list[AnyType], tuple[Pairs, ...]]:
        def one() -> tuple[AnyType, Pairs]:
            return read_type(self), freeze(read_dictionary(self)) if self.peek("{") else ()
        pairs = self.items(")", one) if self.accept("(") else [(read_type(self), ())]
        return [t for t, _ in pairs], tuple(notes for _, notes in pairs)

    def _read_generic_header(self, at: int) -> _Declared:
        """`"func.func"() <{...}> ({ ... }) {function_type = ..., sym_name = "main"} : () -> ()`"""
        self.expect("(")
        self.expect(")")
        notes: Attributes = dict(self.properties())
        body = self.skip()
        self.skip_brackets()
        end = self.at
        if self.peek("{"):
            notes.update(read_dictionary(self))
        self.expect(":")
        read_signature(self)
        read_location(self)
        declared = _Declared(str(notes.pop("sym_name", "main")), at, body, end)
        declared.public = notes.pop("sym_visibility", "public") == "public"
        notes.pop("function_type", None)
        self.at, back = body, self.at
        self.expect("(")
        self.expect("{")
        if self.match(BLOCK):
            if self.accept("("):
                declared.arguments = self.items(")", self.read_argument)
            self.expect(":")
        declared.body, self.at = self.at - 1, back
        declared.results = [_ANY]
        if "arg_attrs" in notes:
            named = zip(declared.arguments, notes.pop("arg_attrs"))
            declared.arguments = [(name, type, items.items) for (name, type, _), items in named]
        declared.result_notes = tuple(items.items for items in notes.pop("res_attrs", ()))
        declared.attributes = freeze(notes)
        return declared

    def _functions(self) -> tuple[Function, ...]:
        """All functions, those called before those that call them; in the order of the text."""
        for name in self._order():
            self.graphs[name] = self._read_function(self.declared[name])
        return tuple(Function(
            d.name, self.graphs[d.name], d.public, tuple(notes for _, _, notes in d.arguments),
            d.result_notes, d.attributes) for d in self.declared.values())

    def _order(self) -> list[str]:
        calls = {}
        for name, declared in self.declared.items():
            found = {unquoted(word) if word[:1] == '"' else word for word in _CALLED.findall(
                self.text, declared.body, declared.end)}
            calls[name] = found & self.declared.keys() - {name}
        try:
            return list(graphlib.TopologicalSorter(calls).static_order())
        except graphlib.CycleError as error:
            path = " -> ".join(f"@{name}" for name in reversed(error.args[1]))
            raise self.fail(f"functions call one another in a circle: {path}",
                            self.declared[error.args[1][0]].at) from None

    def _read_function(self, declared: _Declared) -> Graph:
        self.at = declared.body + 1
        self.function = declared.name
        names = [(name, type, declared.at) for name, type, _ in declared.arguments]
        region = self.read_block(names, None)
        found = list(region.graph.output_types)
        if declared.results != [_ANY] and found != declared.results:
            raise self.fail(f"@{declared.name} returns {shown(found)} but declares "
                            f"{shown(declared.results)}", declared.at)
        self._check_extent(region.graph, declared)
        return region.graph

    def _check_extent(self, graph: Graph, declared: _Declared) -> None:
        """Refuse what a few lines can say by calls of calls, and nothing could go through."""
        operations, depth = self._extent(graph)
        if depth > DEEPEST_CALLS:
            raise self.fail(f"@{declared.name} has graphs nested {depth} deep, with those of the "
                            f"functions it calls, more than the {DEEPEST_CALLS} allowed",
                            declared.at)
        if operations > MOST_OPERATIONS:
            raise self.fail(f"@{declared.name} has {operations} operations, with those of the "
                            f"functions it calls, more than the {MOST_OPERATIONS} allowed",
                            declared.at)

    def _extent(self, graph: Graph) -> tuple[int, int]:
        """How many operations a graph has with all calls written out, and how deep it is."""
        if graph not in self._extents:
            inside = [self._extent(g) for node in graph.nodes for g in regions(node)]
            self._extents[graph] = (len(graph.nodes) + sum(count for count, _ in inside),
                                    1 + max((depth for _, depth in inside), default=0))
        return self._extents[graph]


class _Any:
    """Stands for the result types of a function whose header does not say them."""


_ANY: Any = _Any()

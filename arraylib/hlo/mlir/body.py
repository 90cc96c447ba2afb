"""Bodies of functions: regions, the values in scope, and operations one by one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from arraylib.errors import ArraylibError, Source
from arraylib.hlo.ir import Builder, Graph, Node, Value
from arraylib.hlo.mlir import blocks, spelling
from arraylib.hlo.mlir.attributes import Attributes, freeze, read_dictionary, read_string
from arraylib.hlo.mlir.cursor import DEEPEST, DIGITS, Cursor, ParseError
from arraylib.hlo.mlir.ends import STYLES
from arraylib.hlo.mlir.locations import read_location
from arraylib.hlo.mlir.operation import Operation, Region
from arraylib.hlo.mlir.pieces import OPERANDS
from arraylib.hlo.mlir.syntax import CHLO, ROWS, SAME
from arraylib.hlo.mlir.types import AnyType, read_signature, read_type, read_types
from arraylib.hlo.ops.foreign import foreign
from arraylib.hlo.ops.structured import broadcast_in_dim
from arraylib.record import field, record

_VALUE = r"%[\w$.-]+(?:#\d+)?"
_ONE_VALUE = re.compile(_VALUE)
NAME = re.compile(r"[A-Za-z_]\w*(?:\.[\w-]+)*")
BLOCK = re.compile(r"\^[\w$.-]+")
_VALUES = re.compile(rf"{_VALUE}(?:\s*,\s*{_VALUE})*")
_RESULT = rf"%[\w$.-]+(?:\s*:\s*{DIGITS})?"
_RESULTS = re.compile(rf"({_RESULT}(?:\s*,\s*{_RESULT})*)\s*=\s*")
# `%1 = stablehlo.add %0, %arg0 : tensor<f32>`: result, operation, operands, and what follows. A
# long line is none; `+` after a quantifier keeps that from being tried in many ways.
_LINE = re.compile(r"[ \n]*(%[\w$.-]+) = ([a-z_]+\.\w+ (?:[A-Z]{2}, )?)"
                   r"((?:%[\w$.#-]++(?:, %[\w$.#-]++)*+)?+)(?!\s*,\s*[%/])"
                   r"([^\n]{0,1000}+)(?=\n|\Z)")
# The forms of operations that begin with operands, as most do.
_OPERANDS_FIRST = {name: row for name, row in {
    **{name: SAME for name in spelling.names() if name.startswith("stablehlo.")
       and name not in blocks.READERS}, **ROWS}.items() if row.parts and row.parts[0] is OPERANDS}
_LONGEST_END = 500  # characters of the types at the end of a line that are looked up
_NEAR = 1000  # names that may have been meant by one that is not defined

Argument = tuple[str, AnyType, int]  # a name, its type, and where it stands
Notes = tuple[tuple[str, Any], ...]  # attributes, by name

@record(frozen=False, slots=True)
class Scope:
    """The names in a region, the builder of its graph, and the scope around it."""

    builder: Builder
    outer: Scope | None = None
    names: dict[str, Value] = field(default_factory=dict)
    defined: dict[Value, Node] = field(default_factory=dict)  # constants, and what repeats them
    spare: set[Value] = field(default_factory=set)  # nobody misses them if nobody reads them


class Parser(Cursor):
    """A cursor that knows the values in scope and the functions there are."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text, name)
        self.scope = Scope(Builder())
        self.depth = 0
        self.function = "main"
        self.graphs: dict[str, Graph] = {}  # of the functions read so far
        self.declared: dict[str, Any] = {}  # all functions
        self._lines: dict[tuple[str, ...], Node] = {}  # by all of a line but for the names in it
        self._ends: dict[tuple[str, int, str], tuple[int, Sequence[Any], Sequence[Any]]] = {}

    # -- regions -----------------------------------------------------------------------------------

    def read_region(self, arguments: Sequence[Argument] = ()) -> Region:
        """`{ ... }`, in which the names of `arguments` are bound, or those its own `^bb0` says."""
        self.expect("{")
        names = list(arguments)
        if self.match(BLOCK):
            if self.accept("("):
                names += self.items(")", self.read_block_argument)
            self.expect(":")
        return self.read_block(names, self.scope)

    def read_block_argument(self) -> Argument:
        at = self.skip()
        name, type, _ = self.read_argument()
        return name, type, at

    def read_argument(self) -> tuple[str, AnyType, Notes]:
        """`%arg0: tensor<2xf32> {attributes}`"""
        name = self.read(_ONE_VALUE, "an argument such as %arg0")
        self.expect(":")
        type = read_type(self)
        notes = freeze(read_dictionary(self)) if self.peek("{") else ()
        read_location(self)
        return name, type, notes

    def read_block(self, arguments: Sequence[Argument],
                    outer: Scope | None) -> Region:
        """Operations up to one that returns, and past the brace behind it."""
        if self.depth >= DEEPEST:
            raise self.fail(f"regions nested more than {DEEPEST} deep")
        back, self.depth = self.scope, self.depth + 1
        with Builder() as builder:
            self.scope = Scope(builder, outer)
            inputs = [builder.input(type) for _, type, _ in arguments]  # type: ignore[arg-type]
            for (name, _, at), value in zip(arguments, inputs):
                self._define(name, value, at)
            outputs, end = self._read_nodes()
            if self.match(BLOCK):
                raise self.fail("a region of several blocks", hint="one block, with structured "
                                "control flow: stablehlo.while, stablehlo.case")
            self.expect("}")
            graph, captured = builder.build(outputs)
        nodes = _without(graph, self.scope.spare) if self.scope.spare else graph.nodes
        self.scope, self.depth = back, self.depth - 1
        n = len(inputs)
        graph = Graph((*graph.inputs[n:], *graph.inputs[:n]), nodes, graph.outputs)
        return Region(graph, tuple(captured), end)

    def _read_nodes(self) -> tuple[list[Value], str]:
        """Read operations until one ends the region; what that returns, and its name."""
        while True:
            at = self.skip()
            operation = self.read_operation()
            if operation is not None:
                if operation.results:
                    raise self.fail(f"{operation.name} ends a region and has no results", at)
                return operation.operands, operation.name

    # -- values ------------------------------------------------------------------------------------

    def value(self, name: str, at: int) -> Value:
        """The value of a name, captured if a region around this one has it."""
        found = self.scope.names.get(name)
        if found is not None:
            return found
        scope = self.scope.outer
        while scope is not None:
            found = scope.names.get(name)
            if found is not None:
                return self.scope.builder.capture(found)
            scope = scope.outer
        names = [known for known in self.scope.names if not known.endswith("#0")]
        close = difflib.get_close_matches(name, names[-_NEAR:], 1, 0.5)
        raise self.fail(f"{name} is not defined before this", at, close[0] if close else "")

    def _define(self, name: str, value: Value, at: int) -> None:
        if name in self.scope.names:
            raise self.fail(f"{name} is defined a second time", at)
        self.scope.names[name] = value

    def definition(self, value: Value) -> Node | None:
        """The node of a constant, or of what repeats one; None for other values."""
        scope: Scope | None = self.scope
        while scope is not None:
            if value in scope.defined:
                return scope.defined[value]
            scope = scope.outer
        return None

    def read_operands(self) -> list[Value]:
        """`%0, %1#2`; none if no value comes next."""
        found = self.match(_VALUES)
        if not found:
            return []
        at, names = found.start(), self.scope.names
        return [names.get(word) or self.value(word, at)
                for word in "".join(found.group().split()).split(",")]

    # -- operations --------------------------------------------------------------------------------

    def read_operation(self) -> Operation | None:
        """Read one operation into the graph; what ends a region is returned instead."""
        line = _LINE.match(self.text, self.at)
        known = self._lines.get(line.group(2, 4)) if line else None
        if line and known and self._repeat(line, known):
            return None
        start, count = self.at, len(self.scope.builder.nodes)
        operation = self._read_plain(line) if line else None
        if line and operation:
            names, at = line.group(1), line.start(2)
        else:
            results = self.match(_RESULTS)
            names, at = results.group(1) if results else "", self.skip()
            operation = self._read_generic(at) if self.peek('"') else self._read_pretty(at)
        end = self.at
        here = Source(self.name, self.line(at), self.function)
        where = here if self.text.startswith("\n", self.at) else read_location(self) or here
        if _ends_region(operation.name) and not names:
            return operation
        values = self.emit(operation, where)
        self._bind(names, values, start)
        alone = line is not None and line.end() <= end and not self.text[line.end():end].strip()
        if line and alone and len(self.scope.builder.nodes) == count + 1:
            self._remember(line, operation)
        return None

    def _read_plain(self, line: re.Match[str]) -> Operation | None:
        """The operation of a line whose name and operands the pattern has found already."""
        name, words, names = line.group(2)[:-1], line.group(3), self.scope.names
        row = _OPERANDS_FIRST.get(name)
        if row is None or not words:
            return None
        operands = [names.get(word) for word in words.split(", ")]
        if None in operands:
            return None
        operation = Operation(name, operands, [], at=line.start(2))  # type: ignore[arg-type]
        self.at = line.end(3)
        row.read(self, operation, 1)
        return operation

    def _remember(self, line: re.Match[str], operation: Operation) -> None:
        """Keep what a line became, for lines that differ from it in names only."""
        node = self.scope.builder.nodes[-1]
        plain = not node.notes and node.op is not foreign and not operation.regions
        if plain and list(node.inputs) == operation.operands and len(node.outputs) == 1 \
                and "loc(" not in line.group(4):
            self._lines[line.group(2, 4)] = node

    def _repeat(self, line: re.Match[str], known: Node) -> bool:
        """Emit what a line means that repeats another on other values of the same types."""
        scope, name, words = self.scope, line.group(1), line.group(3)
        operands = [scope.names.get(word) for word in words.split(", ")] if words else []
        if name in scope.names or len(operands) != len(known.inputs) or not all(
                v is not None and v.type is w.type for v, w in zip(operands, known.inputs)):
            return False
        where = Source(self.name, self.line(line.start(1)), self.function)
        output = Value(known.outputs[0].type, scope.builder)
        node = Node(known.op, tuple(operands), known.attrs, (output,), where)  # type: ignore[arg-type]
        scope.builder.nodes.append(node)
        scope.names[name] = scope.names[f"{name}#0"] = output
        if not operands:
            scope.defined[output] = node
        self.at = line.end()
        return True

    def _bind(self, names: str, values: Sequence[Value], at: int) -> None:
        if not names:  # nobody reads the results
            return
        if len(values) == 1 and names.rstrip() not in self.scope.names and ":" not in names \
                and "," not in names:
            name = names.rstrip()
            self.scope.names[name] = self.scope.names[f"{name}#0"] = values[0]
            return
        count = 0
        for word in names.split(","):
            name, _, number = "".join(word.split()).partition(":")
            size = int(number) if number else 1
            group = values[count:count + size]
            if group:  # the name alone is the first of several
                self._define(name, group[0], at)
            for i, value in enumerate(group):
                self.scope.names[f"{name}#{i}"] = value
            count += size
        if count != len(values):
            raise self.fail(f"{count} names for {len(values)} results", self.skip_from(at))

    def skip_from(self, at: int) -> int:
        """The position of the first thing from `at` on that is no blank."""
        back, self.at = self.at, at
        found = self.skip()
        self.at = back
        return found

    def emit(self, operation: Operation, where: Source) -> Sequence[Value]:
        """The results of an operation that becomes a node, with a check of the types it states."""
        builder = self.scope.builder
        count = len(builder.nodes)
        try:
            values = spelling.read(self, operation, where)
        except ParseError:
            raise
        except ArraylibError as error:
            lines = str(error).splitlines()
            details = [line for line in lines[1:] if not line.startswith("  at ")]
            whole = [str(self.fail(lines[0], operation.at)), *details]
            raise ParseError("\n".join(whole)) from None
        found = [v.type for v in values]
        if found != operation.results:
            raise self.fail(f"{operation.name} gives {shown(found)}, not "
                            f"{shown(operation.results)}", operation.at)
        if len(builder.nodes) > count:
            node = builder.nodes[-1]
            if operation.notes:
                builder.nodes[-1] = replace(node, notes=freeze(operation.notes))
            if not node.inputs or node.op is broadcast_in_dim:
                self.scope.defined.update(dict.fromkeys(node.outputs, node))
        return values

    def _read_pretty(self, at: int) -> Operation:
        name = self.read(NAME, "an operation")
        operation = Operation(name, [], [], at=at)
        if _ends_region(name):
            operation.operands = self.read_operands()
            self.read_notes(operation)
            types = read_types(self) if self.accept(":") else []
            self._check_operands(operation, types)
        elif reader := blocks.READERS.get(name):
            reader(self, operation)
        else:
            spelling.check_name(self, name, at)
            row = ROWS.get(name) or (CHLO if name.startswith("chlo.") else SAME)
            row.read(self, operation)
        operation.at = at
        return operation

    def _read_generic(self, at: int) -> Operation:
        operation = Operation(read_string(self), [], [], at=at)
        if not _ends_region(operation.name):
            spelling.check_name(self, operation.name, at)
        self.expect("(")
        operation.operands = self.read_operands()
        self.expect(")")
        operation.properties = self.properties()
        if self.accept("("):
            operation.regions = self.items(")", self.read_region)
        self.read_notes(operation)
        self.expect(":")
        types, operation.results = read_signature(self)
        self._check_operands(operation, types)
        return operation

    def properties(self) -> Attributes:
        """`<{name = value}>`"""
        if not self.accept("<"):
            return {}
        found = read_dictionary(self)
        self.expect(">")
        return found

    def read_notes(self, operation: Operation) -> None:
        """`{name = value}`, if it comes next."""
        if self.peek("{"):
            operation.notes.update(read_dictionary(self))

    # -- types behind the colon --------------------------------------------------------------------

    def read_end(self, operation: Operation, style: str) -> None:
        """Notes, a colon and types: these fill in the results, and are checked with operands."""
        self.read_notes(operation)
        if style == "each" and not self.peek(":"):
            if self.accept("("):
                self.expect(")")
            return
        self.expect(":")
        at = self.skip()
        key = (style, len(operation.operands), self.text[at:self._line_end(at)])
        known = self._ends.get(key)
        if known is None:
            operands, results = STYLES[style](self, len(operation.operands))
            if self.at <= at + len(key[2]):
                self._ends[key] = self.at - at, operands, results
        else:
            length, operands, results = known
            self.at = at + length
        operation.results = list(results)
        self._check_operands(operation, operands)

    def _line_end(self, at: int) -> int:
        """Where a line ends, or the location at its end begins; `at` itself if that is far away."""
        end = self.text.find("\n", at, at + _LONGEST_END)
        cut = self.text.find(" loc(", at, end) if end >= 0 else -1
        return max(end, at) if cut < 0 else cut

    def _check_operands(self, operation: Operation, types: Sequence[AnyType]) -> None:
        found = [v.type for v in operation.operands]
        if found != types and found != list(types):
            if len(found) != len(types):
                raise self.fail(f"{operation.name}: {len(types)} types for {len(found)} operands",
                                operation.at)
            i = next(i for i, (a, b) in enumerate(zip(found, types)) if a != b)
            raise self.fail(f"{operation.name}: operand {i} is {found[i]}, not {types[i]}",
                            operation.at)


def _ends_region(name: str) -> bool:
    return name == "return" or name.endswith(".return")


def _without(graph: Graph, spare: set[Value]) -> tuple[Node, ...]:
    """The nodes of a graph but for spare ones that nobody reads."""
    read = set(graph.outputs)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if not all(v in spare and v not in read for v in node.outputs) or not node.outputs:
            kept.append(node)
            read.update(node.inputs)
    return tuple(reversed(kept))


def shown(types: Sequence[Any]) -> str:
    return ", ".join(map(str, types)) or "nothing"

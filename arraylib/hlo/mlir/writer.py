"""Lines of MLIR text, and the names of values in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from arraylib import dtypes as dt
from arraylib.errors import Source
from arraylib.hlo.ir import Graph, Node, Type, Value
from arraylib.hlo.mlir import blocks, shorthand, spelling
from arraylib.hlo.mlir.attributes import Symbol, write_dictionary
from arraylib.hlo.mlir.locations import location
from arraylib.hlo.mlir.operation import Operation, Region
from arraylib.hlo.mlir.syntax import CHLO, ROWS, SAME
from arraylib.hlo.mlir.types import signature, tensor, tensors
from arraylib.hlo.ops.foreign import foreign


class Writer:
    """What has been printed of a module so far, and how its values are called.

    Values are numbered, or called after what they are (`%c` for a constant, `%iterArg`), as MLIR
    does it; names are free again after the region in which they were given.
    """

    def __init__(self, locations: bool = False) -> None:
        self.lines: list[str] = []
        self.depth = 0
        self.symbols: dict[Graph, str] = {}  # functions, by their bodies
        self._symbol_names: dict[str, int] = {}
        self.locations = locations
        self.where: Source | None = None
        self._names: dict[Value, str] = {}
        self._taken: set[str] = set()
        self._numbers = {"value": 0, "argument": 0, "conflict": 0}

    def line(self, text: str) -> None:
        self.lines.append("  " * self.depth + text)

    # -- names -------------------------------------------------------------------------------------

    def name(self, value: Value) -> str:
        return self._names[value]

    def names(self, values: Sequence[Value]) -> str:
        return ", ".join([self._names[v] for v in values])

    def call(self, value: Value, name: str) -> None:
        """Let `name` stand for the value from now on."""
        self._names[value] = name

    def fresh(self, wish: str = "") -> str:
        """A name that is not in use: the one wished for, or with a number; or just a number."""
        if not wish:
            return f"%{self._next('value')}"
        name = wish
        while name in self._taken:
            name = f"{wish}_{self._next('conflict')}"
        self._taken.add(name)
        return f"%{name}"

    def argument(self) -> str:
        return f"%arg{self._next('argument')}"

    def _next(self, kind: str) -> int:
        self._numbers[kind] += 1
        return self._numbers[kind] - 1

    def symbol(self, graph: Graph, wish: str) -> str:
        """The name of the function that has `graph` for its body: `wish` if MLIR allows it."""
        if graph not in self.symbols:
            wish = name = re.sub(r"^(?=\d|$)|\W", "_", wish, flags=re.ASCII)
            while name in self._symbol_names:
                name = f"{wish}_{self._symbol_names[wish]}"
                self._symbol_names[wish] += 1
            self.symbols[graph] = name
            self._symbol_names[name] = 0  # how many have been called so, with a number
        return self.symbols[graph]

    @contextmanager
    def scope(self, indent: int = 1) -> Iterator[None]:
        """Lines inside are indented; names given inside are free again afterwards."""
        taken, numbers = set(self._taken), dict(self._numbers)
        self.depth += indent
        try:
            yield
        finally:
            self.depth -= indent
            self._taken, self._numbers = taken, numbers

    # -- nodes -------------------------------------------------------------------------------------

    def nodes(self, graph: Graph) -> None:
        """The nodes of a graph whose inputs have names."""
        for node in graph.nodes:
            self.where = node.where
            if node.op in shorthand.SHORTHAND:
                self._written_out(node)
            else:
                self._node(node)

    def _written_out(self, node: Node) -> None:
        """An operation that StableHLO has only in other terms."""
        graph = shorthand.written_out(node.op, node.types, node.attrs)
        for value, outer in zip(graph.inputs, node.inputs):
            self.call(value, self.name(outer))
        last = graph.nodes[-1]
        for inner in graph.nodes:
            self._node(replace(inner, notes=node.notes) if inner is last else inner)
        for value, outer in zip(graph.outputs, node.outputs):
            self.call(outer, self.name(value))

    def _node(self, node: Node) -> None:
        operation = spelling.write(node)
        self._outputs = node.outputs
        if operation.body is not None:
            graph, wish, key = operation.body
            operation.properties[key] = Symbol(self.symbol(graph, wish))
            if operation.name == "call" and self.depth != 2:
                operation.name = "func.call"
        writer = blocks.WRITERS.get(operation.name)
        row = ROWS.get(operation.name) or _DIALECTS.get(operation.name.partition(".")[0])
        if node.op is foreign:  # whose parts nobody has checked
            self._generic(operation)
        elif writer is not None:
            writer(self, operation)
        elif row is not None and not operation.regions and (
                operation.name in ROWS or not operation.properties):
            row.write(self, operation)
        else:
            self._generic(operation)

    def results(self, names: Sequence[str] = ()) -> str:
        """`%3 = ` or `%3:2 = `: names for the results of the node being written."""
        values = self._outputs
        if not values:
            return ""
        if len(names) == len(values):
            given = [self.fresh(name) for name in names]
            for value, name in zip(values, given):
                self.call(value, name)
            return f"{', '.join(given)} = "
        name = self.fresh()
        if len(values) == 1:
            self.call(values[0], name)
            return f"{name} = "
        for i, value in enumerate(values):
            self.call(value, f"{name}#{i}")
        return f"{name}:{len(values)} = "

    def statement(self, operation: Operation, call: str, style: str, names: Sequence[str]) -> None:
        """A line: results, what a row has written, notes, and types."""
        types = "" if style == "none" else _TYPES[style](operation)
        notes = operation.notes if style != "none" and operation.name not in _OWN_NOTES else {}
        shown = f" {write_dictionary(notes.items())}" if notes else ""
        end = f" : {types}" if types else ""
        self.line(f"{self.results(names)}{call}{shown}{end}")
        self.locate()

    def locate(self) -> None:
        """Put the line of the user's program behind the line just written, if that is wanted."""
        if self.locations and self.where is not None:
            self.lines[-1] += f" {location(self.where)}"

    # -- regions -----------------------------------------------------------------------------------

    def body(self, region: Region) -> None:
        """The nodes of a region whose inputs have names, and its last line."""
        where = self.where
        with self.scope():
            self.nodes(region.graph)
            outputs = region.graph.outputs
            types = f" : {tensors(region.graph.output_types)}" if outputs else ""
            names = f" {self.names(outputs)}" if outputs else ""
            if region.end in ("stablehlo.return", "return", "func.return"):
                self.line(f"{region.end}{names}{types}")
            else:
                self.line(f'"{region.end}"({names.strip()}) : '
                          f"({tensors(region.graph.output_types)}) -> ()")
        self.where = where

    def _generic(self, operation: Operation) -> None:
        """`%0 = "name"(%1) <{properties}> ({region}) {notes} : (types) -> types`"""
        outputs = self._outputs
        operands = self.names(operation.operands)
        results = self.results()
        properties = (f" <{write_dictionary(operation.properties.items())}>"
                      if operation.properties else "")
        start = f'{results}"{operation.name}"({operands}){properties}'
        notes = f" {write_dictionary(operation.notes.items())}" if operation.notes else ""
        end = f"{notes} : {signature([v.type for v in operation.operands], operation.results)}"
        if not operation.regions:
            self.line(f"{start}{end}")
            return self.locate()
        self.line(f"{start} ({{")
        for i, region in enumerate(operation.regions):
            if i:
                self.line("}, {")
            self._region(region)
        self.line(f"}}){end}")
        self._outputs = outputs
        return self.locate()

    def _region(self, region: Region) -> None:
        for inner, outer in zip(region.graph.inputs, region.captured):
            self.call(inner, self.name(outer))
        with self.scope(0):
            names = [self.argument() for _ in region.arguments]
            for value, name in zip(region.arguments, names):
                self.call(value, name)
            if names:
                typed = [f"{n}: {tensor(v.type)}" for n, v in zip(names, region.arguments)]
                self.line(f"^bb0({', '.join(typed)}):")
            self.body(region)


_DIALECTS = {"stablehlo": SAME, "chlo": CHLO}
_OWN_NOTES = {"stablehlo.custom_call", "stablehlo.composite", "stablehlo.convolution"}


def _signature(operation: Operation) -> str:
    return signature([v.type for v in operation.operands], operation.results)


def _same(operation: Operation) -> str:
    types = {*(v.type for v in operation.operands), *operation.results}
    return tensor(operation.results[0]) if len(types) == 1 else _signature(operation)


def _select(operation: Operation) -> str:
    predicate, x, y = (v.type for v in operation.operands)
    return tensors([predicate, x]) if x == y else _signature(operation)


def _complex(operation: Operation) -> str:
    (out,) = operation.results
    real = isinstance(out, Type) and out.with_dtype(dt.to_real(out.dtype))
    fits = all(v.type == real for v in operation.operands)
    return tensor(out) if fits else _signature(operation)


def _arrow(operation: Operation) -> str:
    left, right = tensors([v.type for v in operation.operands]), tensors(operation.results)
    return f"{left} -> {right if len(operation.results) == 1 else f'({right})'}"


def _each(operation: Operation) -> str:
    return tensors(operation.results)


_TYPES: dict[str, Callable[[Operation], str]] = {
    "signature": _signature, "same": _same, "select": _select, "complex": _complex,
    "arrow": _arrow, "each": _each, "result": _each, "tuple": _each}

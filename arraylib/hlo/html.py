"""A graph as a picture: one HTML page that needs nothing else, to look at in any browser.

    Path("step.html").write_text(page(make_graph(train_step)(state, batch).graph, "train_step"))

The page holds the facts as JSON and a small program (the folder `page/`) that lays the graph out,
draws it, and lets people pan, zoom, search and open regions. Here the facts are collected: what the
user's program calls things is data only, and never becomes markup or code.
"""

from __future__ import annotations

import base64
import hashlib
import json
import linecache
import os
import re
from collections.abc import Hashable, Mapping
from html import escape
from importlib import resources
from typing import Any

from arraylib.errors import UNKNOWN, Source
from arraylib.hlo import axes, ops
from arraylib.hlo.cost import cost, peak_memory
from arraylib.hlo.ir import Graph, Node, Type, Value, has_effect, regions
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.pretty import pretty
from arraylib.record import field, record

SCRIPTS = ("model.js", "layout.js", "arrange.js", "scene.js", "paint.js", "camera.js",
           "listing.js", "details.js", "main.js")

# What the colours say. Where facts of the record do not decide, the family of the record does.
FAMILIES = ("input", "elementwise", "reduction", "product", "movement", "control", "collective",
            "constant", "other")
_MODULES = {
    "reduction": ("reduction", "general", "window"),
    "product": ("convolution",),
    "movement": ("structured", "shape", "indexed", "dynamic", "sort", "general_scatter", "bits",
                 "top_k"),
    "control": ("control", "loop", "composite"),
    "collective": ("collective", "rooted"),
}

_LONGEST_ATTRIBUTES = 22  # characters that are shown in a box
_LONGEST_CONSTANT = 12


def page(graph: Graph, title: str = "", groups: Mapping[Node, str] | None = None) -> str:
    """The text of an HTML page that shows the graph.

    Nodes that `groups` maps to one name (a fused kernel, say) are coloured alike on demand.
    """
    collected = _Collector(pretty(graph).split("\n"), groups or {})
    collected.scope(graph, owner=-1)
    style = _file("page.css")
    script = "\n".join(map(_file, SCRIPTS))
    script = f'(() => {{\n"use strict";\n{script}}})();'
    parts = {"title": escape(title or "graph"), "style": style, "style_hash": _hash(style),
             "data": _json({**collected.facts(), "total": _total(graph)}),
             "script": script, "script_hash": _hash(script)}
    # One pass over the template: what is filled in is not looked at again.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _file("page.html"))


def _file(name: str) -> str:
    return resources.files("arraylib.hlo").joinpath("page", name).read_text("utf-8")


def _hash(text: str) -> str:
    """What the page's security policy calls the one script, or style, that it lets run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(facts: Any) -> str:
    """JSON that nothing inside can end or hide: it has no <, > or & and is ASCII."""
    text = json.dumps(facts, separators=(",", ":"))
    return re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", text)


# -- what is known of a node ----------------------------------------------------------------------


def _total(graph: Graph) -> dict[str, Any]:
    """What all of the graph costs."""
    costs = cost(graph)
    return {"flops": costs.flops, "bytes": costs.bytes, "atLeast": costs.at_least,
            "peak": peak_memory(graph)}


def _families() -> dict[OpDef, str]:
    """The family of each record by the module that it is a row of."""
    by_module = {module: family for family, modules in _MODULES.items() for module in modules}
    found: dict[OpDef, str] = {}
    for module in ops.FAMILIES:  # in order: modules import each other's rows
        family = by_module.get(module.__name__.rsplit(".", 1)[-1], "other")
        for op in vars(module).values():
            if isinstance(op, OpDef):
                found.setdefault(op, family)
    return found


_FAMILY = _families()


def family(node: Node) -> str:
    """Which of FAMILIES a node is coloured as."""
    if not node.inputs and not has_effect(node) and not node.op.opaque and not regions(node):
        return "constant"
    if node.op.elementwise:
        return "elementwise"
    labels = node.op.labels(node.types, node.attrs)
    if labels and _folds(labels):
        return "product" if len(node.inputs) > 1 else "reduction"
    return _FAMILY.get(node.op, "other")


def _folds(labels: str) -> bool:
    """Whether some axis of the operands is missing from the result."""
    operands, result = axes.parse(labels)
    return not set("".join(operands)) <= set(result)


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most - 1] + "…"


# -- collecting -----------------------------------------------------------------------------------


class _Table:
    """Numbers for things that occur again and again, in the order in which they are met."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def __getitem__(self, item: Hashable) -> int:
        return self._numbers.setdefault(item, len(self._numbers))

    def __iter__(self) -> Any:
        return iter(self._numbers)


@record(frozen=False)
class _Collector:
    """Walks a graph along with its listing; everything refers to everything else by number.

    Graph inputs count as nodes, of the family "input". Values are numbered in the order of their
    definition: those of node n are consecutive.
    """

    lines: list[str]
    groups: Mapping[Node, str]
    line_nodes: list[int] = field(default_factory=list)  # whose line each is, or -1
    nodes: list[dict[str, Any]] = field(default_factory=list)
    scopes: list[dict[str, Any]] = field(default_factory=list)
    values: dict[Value, int] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)  # of values
    quiet: dict[Value, str] = field(default_factory=dict)  # constants, and what stands for them
    types: _Table = field(default_factory=_Table)
    kinds: _Table = field(default_factory=_Table)  # operation, family, documentation
    sources: _Table = field(default_factory=_Table)
    group_names: _Table = field(default_factory=_Table)

    def facts(self) -> dict[str, Any]:
        """All that was collected, for the page."""
        rest = self.lines[len(self.line_nodes):]
        return {"lines": self.lines, "lineNodes": self.line_nodes + [-1] * len(rest),
                "nodes": self.nodes, "scopes": self.scopes, "names": self.names,
                "families": FAMILIES, "types": list(self.types), "kinds": list(self.kinds),
                "sources": [_place(source) for source in self.sources],
                "groups": list(self.group_names)}

    # -- the listing ------------------------------------------------------------------------------

    def _line(self, pattern: str, node: int) -> str:
        """The next line of the listing that begins like `pattern`; it belongs to `node`.

        Lines that do not are the rest of an attribute with line ends in it.
        """
        begins = re.compile(pattern)
        while True:
            line = self.lines[len(self.line_nodes)]
            if begins.match(line):
                self.line_nodes.append(node)
                return line
            self.line_nodes.append(self.line_nodes[-1])

    def _define(self, values: tuple[Value, ...], text: str) -> int:
        """Number the values whose definitions `text` lists, as `name: type`; the first number."""
        first = len(self.names)
        self.values.update((value, first + i) for i, value in enumerate(values))
        self.names += re.findall(r"(\w+): ", text)
        assert len(self.names) == first + len(values), text
        return first

    # -- scopes and nodes -------------------------------------------------------------------------

    def scope(self, graph: Graph, owner: int) -> int:
        """Collect a graph, the whole one or a region of node `owner`; its number."""
        number, header = len(self.scopes), len(self.line_nodes)
        line = self._line(r" *(\S+ )?\(.*\)$", owner)
        label, _, listed = line.strip().partition("(")
        entry: dict[str, Any] = {"owner": owner, "label": label.strip()}
        self.scopes.append(entry)
        first = self._define(graph.inputs, listed)
        entry["inputs"] = [self._input(value, first + i, header)
                           for i, value in enumerate(graph.inputs)]
        entry["nodes"] = [self._node(node) for node in graph.nodes]
        self._line(r" *return( |$)", owner)
        entry["outputs"] = [self.values[v] for v in graph.outputs]
        return number

    def _input(self, value: Value, name: int, line: int) -> int:
        self.nodes.append(self._entry(("input", "input", "A value that comes from outside."),
                                      line, UNKNOWN, name, (), (value.type,)))
        return len(self.nodes) - 1

    def _node(self, node: Node) -> int:
        number, kind = len(self.nodes), family(node)
        at = len(self.line_nodes)
        results = r"\w+: .* = " if node.outputs else ""
        line = self._line(rf" *{results}{re.escape(node.op.name)}( |$)", number)
        defined, _, call = line.partition(" = ") if node.outputs else ("", "", line.strip())
        first = self._define(node.outputs, defined)
        entry = self._entry((node.op.name, kind, node.op.doc), at, node.where, first,
                            tuple(self.values[v] for v in node.inputs),
                            tuple(v.type for v in node.outputs))
        self.nodes.append(entry)
        entry.update(self._extras(node, kind, call))
        inner = [self.scope(region, number) for region in regions(node)]
        if inner:
            entry["scopes"] = inner
        return number

    def _entry(self, kind: tuple[str, str, str], line: int, where: Source, first: int,
               operands: tuple[int, ...], types: tuple[Type, ...]) -> dict[str, Any]:
        return {"kind": self.kinds[kind], "line": line, "source": self.sources[where],
                "first": first, "operands": operands, "types": [self.types[repr(t)] for t in types]}

    def _extras(self, node: Node, kind: str, call: str) -> dict[str, Any]:
        """What only some nodes have; left out where there is nothing to say."""
        attributes = self._attributes(node, call)
        group = self.groups.get(node)
        costs = cost(node)
        found = {"detail": self._detail(node, attributes),
                 "bytes": costs.bytes, "flops": costs.flops, "atLeast": costs.at_least or None,
                 "quiet": self._quiet(node, kind, attributes),
                 "group": None if group is None else self.group_names[group]}
        return {name: value for name, value in found.items() if value is not None and value != ""}

    def _attributes(self, node: Node, call: str) -> str:
        """What the listing says after the operation and its operands."""
        head = " ".join([node.op.name, *(self.names[self.values[v]] for v in node.inputs)])
        return call.removeprefix(head).strip()

    def _detail(self, node: Node, attributes: str) -> str:
        """What goes into the box: constants in their places among the operands, short attributes.

        Operands that have an edge are dots, and are left out if there is nothing else.
        """
        shown = [self.quiet.get(v, "·") for v in node.inputs]
        parts = shown if len(shown) <= 4 and any(s != "·" for s in shown) else []
        if len(attributes) <= _LONGEST_ATTRIBUTES:
            parts = [*parts, attributes]
        return " ".join(parts).strip()

    def _quiet(self, node: Node, kind: str, attributes: str) -> str | None:
        """What can stand for the node in its readers' boxes, if it is a constant or a view of one.
        """
        if kind == "constant":
            text = node.op.name if attributes.startswith("{") else attributes or node.op.name
        elif kind == "movement" and len(node.inputs) == 1 and node.inputs[0] in self.quiet \
                and not regions(node):
            text = self.quiet[node.inputs[0]]
        else:
            return None
        text = _clipped(text, _LONGEST_CONSTANT)
        self.quiet.update((value, text) for value in node.outputs)
        return text


def _place(source: Any) -> tuple[str, str, str]:
    """A line of the user's program: `file:line`, function, text; empty where it is not known."""
    if source == UNKNOWN:
        return "", "", ""
    text = linecache.getline(source.file, source.line).strip()
    return f"{os.path.basename(source.file)}:{source.line}", source.function, text

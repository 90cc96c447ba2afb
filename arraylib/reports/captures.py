"""The arrays that a traced function brought along: what it closed over, what it has written out."""

from __future__ import annotations

from arraylib.errors import Source
from arraylib.hlo.ir import Graph, Node, Type, Value, regions
from arraylib.hlo.ops.constant import constant, splat
from arraylib.record import record
from arraylib.reports.table import Table, bytes_text, place


@record
class Captured:
    """One array. kind: "captured", a hidden argument that is looked up at every call, or
    "constant", a part of the program; where: the line that uses the one or makes the other."""

    kind: str
    type: Type
    where: Source | None

    @property
    def nbytes(self) -> int:
        return self.type.nbytes


@record
class CapturesReport:
    """The arrays, the largest first: a table when printed."""

    arrays: tuple[Captured, ...]

    @property
    def nbytes(self) -> int:
        """Bytes in all."""
        return sum(each.nbytes for each in self.arrays)

    def table(self) -> Table:
        """The same as rows of text."""
        rows = [(bytes_text(each.nbytes), str(each.type), each.kind, place(each.where))
                for each in self.arrays]
        head = ("bytes", "type", "kind", "line")
        many = "" if len(rows) == 1 else "s"
        return Table(f"{len(rows)} array{many}, {bytes_text(self.nbytes)}", head, rows,
                     frozenset(head[1:]))

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def captures(graph: Graph, arguments: int) -> CapturesReport:
    """The arrays of a graph whose inputs behind the first `arguments` stand for captured ones."""
    found = [Captured("captured", value.type, _first_use(graph, value))
             for value in graph.inputs[arguments:]]
    found += _constants(graph)
    return CapturesReport(tuple(sorted(found, key=lambda each: -each.nbytes)))


def _first_use(graph: Graph, value: Value) -> Source | None:
    """The line of the first operation that reads a value, inside of calls."""
    node = next((node for node in graph.nodes if value in node.inputs), None)
    if node is None:
        return None
    body = _body(node)
    return body and _first_use(body, body.inputs[node.inputs.index(value)]) or node.where


def _body(node: Node) -> Graph | None:
    """What a node stands for that only groups others."""
    inner = regions(node) if node.op.grouping else []
    return inner[0] if inner and inner[0].input_types == node.types else None


def _constants(graph: Graph) -> list[Captured]:
    """The constants with more than one number, also in loops and branches."""
    found = []
    for node in graph.nodes:
        if node.op is constant and node.attrs["value"].size > 1 \
                and splat(node.attrs["value"]) is None:
            found.append(Captured("constant", node.outputs[0].type, node.where))
        for inner in regions(node):
            found += _constants(inner)
    return found

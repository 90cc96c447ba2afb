"""An operation as text has it: a name, operands, attributes, regions, types of results.

This is the hinge of reading and writing. On one side the forms of MLIR's text are read into it and
written from it (`syntax`); on the other it becomes a node, or is made from one (`spelling`).
"""

from __future__ import annotations

from typing import Any

from arraylib.hlo.ir import Graph, Value
from arraylib.hlo.mlir.attributes import Attributes
from arraylib.hlo.mlir.types import AnyType
from arraylib.record import field, record


@record(eq=False, slots=True)
class Region:
    """A closed graph whose first inputs stand for `captured` values of the graph around it.

    The others are the arguments that text writes. `end` is the operation that ends the region.
    """

    graph: Graph
    captured: tuple[Value, ...] = ()
    end: str = "stablehlo.return"

    @property
    def arguments(self) -> tuple[Value, ...]:
        return self.graph.inputs[len(self.captured):]


@record(frozen=False, slots=True)
class Operation:
    """`%results = name operands attributes regions : types`; `at` is where in the text it stands.

    `properties` belong to what the operation means; `notes` are attributes of other origin, such
    as annotations of shardings, which are kept and mean nothing here.
    """

    name: str
    operands: list[Value]
    results: list[AnyType]
    properties: Attributes = field(default_factory=dict)
    notes: Attributes = field(default_factory=dict)
    regions: list[Region] = field(default_factory=list)
    body: Any = None  # the function that a call calls
    at: int = 0

    def take(self, name: str, default: Any = None) -> Any:
        """An attribute, wherever it was written, which then counts as understood."""
        if name in self.properties:
            return self.properties.pop(name)
        return self.notes.pop(name, default)

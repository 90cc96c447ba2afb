"""What programs from elsewhere may contain and this library has no record of, kept word for word.

A foreign operation has a name, attributes and regions, and says itself what its results are. It
can be printed again, but not run: `passes.legalize` writes it in terms of the operations there are,
or refuses it by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib.errors import Source, TraceError, mistake
from arraylib.hlo.ir import Graph, Node
from arraylib.hlo.opdef import Attrs, OpDef
from arraylib.record import record


@record(slots=True)
class OtherType:
    """The type of a value that is no array of known shape: a token, a tuple, `tensor<?xf32>`.

    `shape` has None where a size is not known; it is None itself, as `dtype` is, where that is
    not what the type is about. `parts` are the types in a tuple.
    """

    text: str
    dtype: np.dtype[Any] | None = None
    shape: tuple[int | None, ...] | None = None
    parts: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        return self.text


def _results(types: Sequence[Any], attrs: Attrs, where: Source | None) -> tuple[Any, ...]:
    return attrs["results"]  # type: ignore[no-any-return]


def _captures(node: Node) -> list[tuple[Graph, slice]]:
    part = slice(len(node.inputs) - node.attrs["captured"], None)
    return [(graph, part) for graph in node.attrs["regions"]]


def refusal(node: Node, problem: str, hint: str = "") -> Exception:
    """The error for a foreign node that something cannot do without knowing what it means."""
    return mistake(TraceError, node.attrs["name"], problem, where=node.where, operands=node.types,
                   hint=hint)


def _numpy(*xs: Any, name: str, **attrs: Any) -> Any:
    raise mistake(TraceError, name, "has no meaning here",
                  hint="hlo.legalize(module) writes operations of other dialects in terms of ours")


def _no_rule(transform: Any, node: Node, *rest: Any) -> Any:
    raise refusal(node, "is an operation of another dialect, which cannot be transformed",
                  "hlo.legalize(module) first")


# Attributes: name; properties and attributes, pairs of a name and a value; regions, graphs whose
# first inputs are the last `captured` operands; terminator, what ends these; results, types.
foreign = OpDef(
    "foreign", "An operation of another dialect, kept as it was written.", _numpy,
    results=_results, multiple=True, opaque=True, effect=True, dialect="foreign",
    captures=_captures, jvp_node=_no_rule, transpose_node=_no_rule, batch_node=_no_rule)

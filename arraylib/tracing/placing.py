"""Results of operations outside of jit, and of jitted functions, lie where their operands do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arraylib.array import Array
from arraylib.errors import ArgumentError, Source, mistake
from arraylib.hlo.ir import Node
from arraylib.hlo.opdef import OpDef
from arraylib.sharding.layout import Layout
from arraylib.sharding.mesh import Mesh
from arraylib.sharding.named import Sharding, SingleDeviceSharding
from arraylib.sharding.placed import place, placed
from arraylib.sharding.propagate import place_results, propagate
from arraylib.tracing.layouts import layout_at


class Placing:
    """Runs operations as another builder does, and says how the results lie."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self.own = runner.own

    def emit(self, op: OpDef, inputs: Sequence[Any], attrs: dict[str, Any],
             where: Source | None = None) -> tuple[Array, ...]:
        """The results of an operation; raises its own errors, and those about where they lie."""
        found = self._runner.emit(op, inputs, attrs, where)
        arrays = [self.own(x) for x in inputs]
        layouts = place_results(
            op, [x.type for x in arrays], attrs, [layout_at(x) for x in inputs],
            [x.type for x in found], where, where is None)
        place_leaves(found, layouts, inputs)
        return found  # type: ignore[no-any-return]

    def again(self, node: Node, inputs: Sequence[Any]) -> tuple[Array, ...]:
        """The results of what a node does, on other operands."""
        return self.emit(node.op, inputs, node.attrs, node.where)


def place_leaves(results: Sequence[Any], layouts: Sequence[Layout | None],
                 operands: Sequence[Any]) -> None:
    """Say of results how they lie: as these layouts, or on the one device of the operands."""
    device = one_device(operands)
    for x, layout in zip(results, layouts or [None] * len(results)):
        if x.__class__ is not Array or any(x is operand for operand in operands):
            continue
        layout = layout or layout_at(x)
        if layout is not None and isinstance(layout.mesh, Mesh):
            place(x, layout.sharding)
        elif device is not None:
            place(x, device)


def one_device(operands: Sequence[Any]) -> Sharding | None:
    """The device that operands are on which are on one; ArgumentError if they are on others."""
    found = [s for s in map(placed, operands) if s is not None]
    for other in found[1:]:
        if other.device_set != found[0].device_set:
            raise mistake(ArgumentError, "devices", f"operands are on {_names(found[0])} and on "
                          f"{_names(other)}", hint="arraylib.device_put(x, sharding) first")
    single = found and isinstance(found[0], SingleDeviceSharding)
    return found[0] if single else None


def _names(sharding: Sharding) -> str:
    ids = sorted(d.id for d in sharding.device_set)
    return f"device {ids[0]}" if len(ids) == 1 else f"{len(ids)} devices {ids}"


def results_of(traced: Any, arrays: Sequence[Any]) -> tuple[Layout | None, ...]:
    """How the results of a traced function lie, for arguments that lie like these."""
    return tuple(propagate(traced.graph, [layout_at(x) for x in (*arrays, *traced.captured)]))

"""How traced values lie on a mesh: kept beside the graph that is being drawn.

And in shard_map, along which axes of the mesh they may differ from device to device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import NoneType
from typing import Any

from arraylib.errors import Source
from arraylib.hlo.ir import Builder, Graph, Node, Type, Value, _where, given_type, type_of
from arraylib.hlo.opdef import OpDef
from arraylib.sharding.context import get_abstract_mesh, get_mesh
from arraylib.sharding.layout import Layout, PlacedType, layout_of, whole
from arraylib.sharding.placed import placed
from arraylib.sharding.propagate import is_lenient, place_results
from arraylib.tracing.manual import checked_axes, is_outside
from arraylib.tracing.variation import Variation, differing


class PlacingBuilder(Builder):
    """A builder that knows of each value how it lies on the mesh.

    It finds out, when it is asked, along which of the `axes` of shard_map a value may differ.
    `sources` has for inputs the values that they stand for, or what is known of them.
    """

    def __init__(self, value_class: type[Value] = Value, concrete: bool = False) -> None:
        super().__init__(value_class, concrete)
        self.layouts: dict[Value, Layout | None] = {}
        self.axes = dict(checked_axes())
        self.sources: dict[Value, Any] = {}
        self.asked = False
        self._differs: dict[Value, Variation] = {}
        self._seen = 0  # of the nodes

    def variation(self, value: Value) -> Variation:
        """The labels of the axes along which a value may differ."""
        if not self.axes:
            return frozenset()
        self.asked = True
        self._look()
        return self._variation(value)

    def _look(self) -> None:
        for node in self.nodes[self._seen:]:
            given = list(map(self._variation, node.inputs))
            self._differs.update(zip(node.outputs, differing(node, given, self.axes)))
        self._seen = len(self.nodes)

    def build(self, outputs: Sequence[Any]) -> tuple[Graph, list[Any]]:
        if self.asked:
            outputs = list(map(self.own, outputs))
            self._look()
            list(map(self._variation, outputs))
        self.sources = {}
        return super().build(outputs)

    def _variation(self, value: Value) -> Variation:
        if value not in self._differs:
            source = self.sources.get(value)
            self._differs[value] = source if source is None or source.__class__ is frozenset \
                else variation_of(source)
        return self._differs[value]

    def capture(self, outer: Any) -> Value:
        value = super().capture(outer)
        if self.axes:
            self.sources[value] = outer
        if value not in self.layouts:
            self.layouts[value] = layout_at(outer)
        return value

    def emit(self, op: OpDef, inputs: Sequence[Any], attrs: dict[str, Any],
             where: Source | None = None) -> tuple[Value, ...]:
        by_user = where is None and _where.get() is None
        outputs = super().emit(op, inputs, attrs, where)
        self._place(self.nodes[-1], by_user)
        return outputs

    def again(self, node: Node, inputs: Sequence[Any]) -> tuple[Value, ...]:
        outputs = super().again(node, inputs)
        self._place(self.nodes[-1], False)
        return outputs

    def _place(self, node: Node, strict: bool) -> None:
        """Note how the results of a node lie; what a user wrote must say so without doubt."""
        found = place_results(node.op, node.types, node.attrs,
                              [self.layouts.get(v) for v in node.inputs],
                              [v.type for v in node.outputs], node.where, strict)
        for value, layout in zip(node.outputs, found):
            self.layouts[value] = layout or ambient(value.type)


def ambient(type: Type) -> Layout | None:
    """How values lie of which nothing is said: whole on the mesh that the program runs under."""
    mesh = get_mesh()
    return None if mesh.empty else whole(mesh, type.rank)


def layout_at(x: Any) -> Layout | None:
    """How an array or a traced value lies on a mesh; None where there is none."""
    if isinstance(x, Value):
        builder = x.builder
        known = builder.layouts if isinstance(builder, PlacingBuilder) else {}
        return known.get(x) or ambient(x.type)
    if getattr(x, "type", None).__class__ not in (Type, NoneType):
        return None  # a mutable reference
    type = type_of(x)
    return layout_of(placed(x), type.rank) or ambient(type)


def variation_of(x: Any) -> Variation:
    """Along which axes of shard_map an array or a traced value may differ."""
    if isinstance(x, Value):
        if isinstance(x.builder, PlacingBuilder):
            return x.builder.variation(x)
        return frozenset() if is_outside(x) or not checked_axes() else None
    is_ref = getattr(x, "type", None).__class__ not in (Type, NoneType)
    return None if is_ref else frozenset()


_seeds: ContextVar[Sequence[Any] | None] = ContextVar("arraylib_seeds", default=None)


@contextmanager
def seeding(leaves: Sequence[Any]) -> Iterator[None]:
    """Inside, the next function to be traced gets arguments that lie like these."""
    token = _seeds.set(leaves)
    try:
        yield
    finally:
        _seeds.reset(token)


def lay_inputs(inputs: Sequence[Value], values: Sequence[Any] | None,
               alike: Sequence[Any] | None) -> None:
    """Let the inputs of a graph that is about to be drawn lie like the values they stand for.

    What these are made of is in `alike`, if they do not lie like it: rows of it, say.
    """
    given = _seeds.get() if values is None else values
    _seeds.set(None)
    sources = given if alike is None else alike
    if sources is not None and len(sources) == len(inputs):
        for value, x in zip(inputs, sources):
            if value.builder.axes:  # type: ignore[attr-defined]
                value.builder.sources[value] = x  # type: ignore[attr-defined]
    for value, x in zip(inputs, given or ()):
        layout = layout_at(x)
        if layout is not None and type_of(x).shape == value.type.shape:
            value.builder.layouts[value] = layout  # type: ignore[attr-defined]


def placement(leaves: Sequence[Any]) -> tuple[Any, ...]:
    """What a traced function may depend on, beside types: how its arguments lie, and the mesh."""
    axes = checked_axes()
    return (tuple(map(layout_at, leaves)), get_mesh(), get_abstract_mesh(), is_lenient(),
            tuple(axes.items()), tuple(map(variation_of, leaves)) if axes else ())


def placed_type(x: Any) -> Any:
    """The type of an array, number or traced value, with its sharding where there is a mesh."""
    layout, own = layout_at(x), given_type(x)
    return own if layout is None else PlacedType(own, layout)

"""Write operations of other dialects in terms of ours, so that a program from elsewhere runs.

    %1 = "stablehlo.dot"(%a, %b)    ->    %1 = dot_general(%a, %b)

What is known of an operation is a rule in `dialects`; one without a rule is refused by name. Values
that are no arrays do not outlive this pass: a tuple becomes its parts, a token nothing, a quantized
array its integers. Arrays of unknown sizes get those that follow from the inputs': what sizes are
computed with is computed here, and operations that were kept as they are written for want of sizes
are read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from arraylib.errors import ShapeError, mistake
from arraylib.hlo.ir import Graph, Node, Type, current, rebuild, regions
from arraylib.hlo.mlir import spelling
from arraylib.hlo.mlir.attributes import Dictionary
from arraylib.hlo.module import Module
from arraylib.hlo.ops import custom
from arraylib.hlo.ops.foreign import OtherType, foreign, refusal
from arraylib.hlo.passes.dce import dce
from arraylib.hlo.passes.dialects import COMPOSITES, REFUSED, RULES, STRUCTURAL
from arraylib.hlo.passes.rewrite import everywhere
from arraylib.hlo.passes.rules.calls import Functions, custom_call
from arraylib.hlo.passes.rules.control import AGAIN
from arraylib.hlo.passes.rules.operation import Foreign, fits
from arraylib.hlo.passes.rules.quantized import is_quantized, on_quantized
from arraylib.hlo.passes.rules.schemes import Quantized, scheme_of
from arraylib.hlo.passes.rules.values import (
    SMALL,
    Adopted,
    Form,
    Known,
    StaticBuilder,
    all_leaves,
    argument,
    form_of,
    forms_of,
)
from arraylib.record import field, record

__all__ = ["Functions", "adopt", "array_types", "forms_for", "functions_of"]


def adopt(graph: Graph, types: Sequence[Type | Known] | None = None,
          custom_calls: Functions | None = None, functions: Mapping[str, Graph] | None = None,
          runs: bool = False) -> Graph:
    """`graph` in terms of operations of the table; the graph itself if it is that already.

    `types` are those of the inputs, for a program that leaves sizes open: one for each array, the
    parts of a tuple one after the other; an input that sizes are computed from may be `Known`
    instead. `custom_calls` says by name what custom calls do, functions of NumPy arrays that return
    one or a tuple of them; `functions` are those of the program, which its custom calls may name. A
    custom call that means nothing here stays what it is, unless the program `runs` next.

    Raises TraceError, naming the operation and its line, for what has no rule.
    """
    if not _Survey().is_foreign(graph) and types is None:
        return graph
    wanted = array_types(graph) if types is None else list(types)
    rest = iter(wanted)
    forms = [_input_form(i, t, rest) for i, t in enumerate(graph.input_types)]
    left = len(list(rest))
    if left:
        raise mistake(ShapeError, "legalize", f"{len(wanted)} types for {len(wanted) - left} "
                      "arrays")
    if not _Survey().is_foreign(graph):
        return graph
    adopted = _Adoption(custom_calls or {}, functions or {}, runs).region(graph, forms)
    return everywhere(dce)(adopted.graph)


def forms_for(graph: Graph, arrays: Sequence[Any]) -> list[Type | Known]:
    """The types of arrays; where the program leaves sizes open, whole numbers that may be sizes."""
    sizes_open = _Survey().is_open(graph)
    return [Known(Type(x.dtype, x.shape), x.tobytes())
            if sizes_open and x.ndim < 3 and x.size <= SMALL and x.dtype.kind in "iu"
            else Type(x.dtype, x.shape) for x in arrays]


def functions_of(program: Graph | Module) -> dict[str, Graph]:
    """The functions of a program by name, which custom calls may call."""
    return {} if isinstance(program, Graph) else {f.name: f.graph for f in program.functions}


def array_types(graph: Graph) -> list[Any]:
    """The types of the arrays that a graph takes: tokens have none, tuples those of their parts."""
    def inside(type: Any) -> list[Any]:
        if not isinstance(type, OtherType) or type.shape is not None:
            return [type]
        scheme = scheme_of(type)
        if scheme is not None:
            return [scheme[0]]
        return [t for part in type.parts for t in inside(part)]
    return [t for type in graph.input_types for t in inside(type)]


def _input_form(i: int, declared: Any, given: Iterator[Any]) -> Form:
    """The form of an input, whose arrays have the types that come next."""
    if isinstance(declared, OtherType) and declared.shape is None:
        scheme = scheme_of(declared)
        if scheme is not None:
            return Quantized(_input_form(i, scheme[0], given), scheme[1])
        if not declared.parts and not declared.text.startswith(("tuple<", "!stablehlo.token")):
            raise mistake(ShapeError, "legalize", f"input {i} is {declared}, which is no array")
        return tuple([_input_form(i, part, given) for part in declared.parts])
    form: Any = next(given, None)
    type = form.type if isinstance(form, Known) else form
    if not isinstance(type, Type):
        shown = "has no type" if type is None else f"is {type}, which leaves sizes open"
        raise mistake(ShapeError, "legalize", f"input {i} {shown}",
                      hint="give the types of the inputs: legalize(module, types)")
    if not fits(type, declared):
        raise mistake(ShapeError, "legalize", f"input {i} is {declared}, not {type}")
    return form  # type: ignore[no-any-return]


_CUSTOM = (custom.custom_call, custom.custom_effect)


class _Survey:
    """What there is to do, for each graph that was looked at."""

    def __init__(self) -> None:
        self._foreign: dict[Graph, bool] = {}
        self._open: dict[Graph, bool] = {}

    def is_foreign(self, graph: Graph) -> bool:
        """Whether something in a graph, or inside its regions, is to be written in other terms."""
        if graph not in self._foreign:
            self._foreign[graph] = any(
                node.op is foreign or node.op in _CUSTOM or _has_rule(node)
                or any(self.is_foreign(g) for g in regions(node)) for node in graph.nodes
            ) or _is_open((*graph.inputs, *graph.outputs))
        return self._foreign[graph]

    def is_open(self, graph: Graph) -> bool:
        """Whether a graph, or one inside it, has values that are no arrays of known shape."""
        if graph not in self._open:
            self._open[graph] = _is_open(graph.inputs) or any(
                _is_open(node.outputs) or _is_open(node.inputs)
                or any(self.is_open(g) for g in regions(node)) for node in graph.nodes)
        return self._open[graph]


def _is_open(values: Sequence[Any]) -> bool:
    return any(v.type.__class__ is not Type for v in values)


def _has_rule(node: Node) -> bool:
    return node.attrs.get("name") in COMPOSITES and node.op.grouping and "settings" in node.attrs


@record(frozen=False)
class _Adoption:
    """The functions that custom calls call, and the graphs rewritten so far."""

    custom_calls: Functions
    functions: Mapping[str, Graph]
    runs: bool
    survey: _Survey = field(default_factory=_Survey)
    done: dict[tuple[Graph, tuple[Form, ...]], Adopted] = field(default_factory=dict)

    def inline(self, graph: Graph, xs: Sequence[Any]) -> Sequence[Any]:
        """Emit a graph where operations go now; what it returns."""
        return rebuild(graph, xs, self._rule)

    def region(self, graph: Graph, forms: Sequence[Form]) -> Adopted:
        """A graph on its own, for arguments of these forms."""
        key = (graph, tuple(forms))
        if key not in self.done:
            builder = StaticBuilder()
            with builder:
                outputs = self.inline(graph, [argument(form, builder) for form in forms])
                found = tuple([form_of(x, exact=False) for x in outputs])
                self.done[key] = Adopted(builder.build(all_leaves(outputs))[0], found)
        return self.done[key]

    def _rule(self, node: Node, xs: list[Any]) -> Sequence[Any]:
        if node.op is foreign:
            return self._foreign(node, xs)
        if node.op in _CUSTOM:
            return custom_call(Foreign(_as_foreign(node), xs, self))
        if _has_rule(node):
            return COMPOSITES[node.attrs["name"]](Foreign(_as_foreign(node), xs, self))
        if node.op.grouping and self.survey.is_open(node.attrs["body"]):
            return self.inline(node.attrs["body"], xs)
        inside = any(self.survey.is_foreign(g) for g in regions(node))
        if inside and node.op in AGAIN:
            return AGAIN[node.op](Foreign(_as_foreign(node), xs, self))
        attrs = self._attributes(node, xs) if inside else node.attrs
        outputs = current().emit(node.op, xs, attrs, node.where)
        return _with_notes(node, outputs)

    def _foreign(self, node: Node, xs: list[Any]) -> Sequence[Any]:
        name, operation = node.attrs["name"], Foreign(node, xs, self)
        if name in REFUSED:
            raise refusal(node, *REFUSED[name])
        if is_quantized(operation) and name not in STRUCTURAL:
            return on_quantized(operation, _written)
        return _written(operation)

    def _attributes(self, node: Node, xs: Sequence[Any]) -> dict[str, Any]:
        """The attributes with regions rewritten, which may know what they capture."""
        captures = dict(node.op.captures(node)) if node.op.captures else {}
        def changed(value: Any) -> Any:
            if isinstance(value, tuple) and value and isinstance(value[0], Graph):
                return tuple(map(changed, value))
            if not isinstance(value, Graph):
                return value
            outer = forms_of(xs[captures[value]]) if value in captures else []
            types = [v.type for v in value.inputs[len(outer):]]
            return self.region(value, [*outer, *types]).graph
        return {name: changed(value) for name, value in node.attrs.items()}


def _written(operation: Foreign) -> Sequence[Any]:
    """The results of an operation by its rule; one of ours is read again."""
    if rule := RULES.get(operation.name):
        return operation.check(rule(operation))
    if spelling.is_ours(operation.name):
        return operation.read_again()
    raise operation.refusal("is not an operation of arraylib, nor is there a rule that writes it "
                            "in terms of them")


def _as_foreign(node: Node) -> Node:
    """A node of ours as rules see those of others."""
    properties: tuple[Any, ...] = ()
    if node.op in _CUSTOM:
        properties = (*node.attrs["settings"], ("call_target_name", node.attrs["target"]),
                      ("has_side_effect", node.op.effect))
    elif "settings" in node.attrs:
        properties = (("composite_attributes", Dictionary(node.attrs["settings"])),)
    attrs = {"name": f"{node.op.dialect}.{node.op.name}", "attributes": (),
             "properties": properties, "regions": tuple(regions(node)), "captured": 0,
             "terminator": "", "results": tuple(v.type for v in node.outputs), **node.attrs}
    return replace(node, attrs=attrs)


def _with_notes(node: Node, outputs: Sequence[Any]) -> Sequence[Any]:
    """The outputs of a node just emitted, which gets the notes of the one it stands for."""
    nodes = current().nodes
    if node.notes and nodes and nodes[-1].outputs == outputs:
        nodes[-1] = replace(nodes[-1], notes=node.notes)
    return outputs

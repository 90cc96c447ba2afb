"""Calls by name: custom calls that stand for an operation of ours, marks, checks, and Python's.

What a target means is looked for among the functions that the user gave, then among the rules here.
If the program is to run, it is looked for among the functions of NumPy arrays that are known
everywhere, too; if not, the call stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.custom_calls import CUSTOM_CALLS
from arraylib.hlo.ir import Graph, Type, type_of
from arraylib.hlo.mlir.attributes import Dictionary, freeze, plain_python
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops import TABLE, custom
from arraylib.hlo.ops.foreign import OtherType
from arraylib.hlo.ops.host import host_call, host_effect
from arraylib.hlo.ops.top_k import top_k
from arraylib.hlo.ops.window import reduce_window
from arraylib.hlo.passes.rules.operation import Foreign, Rule, fits
from arraylib.hlo.passes.rules.values import (
    all_leaves,
    known,
    regrouped,
    types_in,
)

Functions = Mapping[str, Callable[..., Any]]

# -- functions of NumPy arrays ---------------------------------------------------------------------


def custom_call(op: Foreign) -> Sequence[Any]:
    """A custom call, with operands and results of any types."""
    target = str(op.attribute("call_target_name"))
    given = op.adoption.custom_calls.get(target)
    rule = RULES_OF_TARGETS.get(target)
    if given is not None:
        return _host_call(op, partial(_call, target, given))
    if rule is not None:
        return op.check(rule(op))
    if not op.adoption.runs:
        return _kept(op, target)
    if target in CUSTOM_CALLS:
        return _host_call(op, partial(_call_known, CUSTOM_CALLS[target], op.attributes))
    raise mistake(ArgumentError, "custom_call", f"nobody has said what @{target} does",
                  where=op.node.where, hint="custom_calls={name: function of NumPy arrays}")


def _host_call(op: Foreign, function: Any) -> Sequence[Any]:
    call = host_effect if op.attributes.get("has_side_effect") is True else host_call
    return _on_arrays(op, call, function=function, method=None)


def _kept(op: Foreign, target: str) -> Sequence[Any]:
    """The call as it is, which others may understand, but for tokens and shapes of results."""
    shapes = op.axes("indices_of_shape_operands", ())
    settings = {k: v for k, v in op.written.items() if k not in (
        "call_target_name", "has_side_effect", "indices_of_shape_operands")}
    layouts, effect = settings.get("operand_layouts"), op.attributes.get("has_side_effect") is True
    if isinstance(layouts, tuple):
        settings["operand_layouts"] = tuple(v for i, v in enumerate(layouts) if i not in shapes)
    call = custom.custom_effect if effect else custom.custom_call
    return _on_arrays(op, call, target=target, settings=freeze(settings))


def _on_arrays(op: Foreign, call: OpDef, **attrs: Any) -> Sequence[Any]:
    """Operands without tokens go in, and results of the types that are stated come out."""
    shapes = op.axes("indices_of_shape_operands", ())
    operands = all_leaves([x for i, x in enumerate(op.own) if i not in shapes])
    forms = [_result(op, i, t) for i, t in enumerate(op.results)]
    types = tuple(leaf for form in forms for leaf in types_in(form))
    return regrouped(forms, call(*operands, results=types, **attrs))


def _result(op: Foreign, i: int, declared: Any) -> Any:
    """The form of a result; open sizes are those in the operand that holds the shape."""
    if not isinstance(declared, OtherType):
        return declared
    if declared.parts or "token" in declared.text:
        return tuple(_result(op, i, part) for part in declared.parts)
    shapes = op.axes("indices_of_shape_operands", ())
    if declared.dtype is None or i >= len(shapes):
        raise op.refusal(f"the shape of result {i}, {declared}, is not known",
                         "the attribute indices_of_shape_operands")
    return Type(declared.dtype, op.numbers(shapes[i]))


def _call(target: str, function: Callable[..., Any], results: tuple[Type, ...],
          *arrays: Any) -> tuple[Any, ...]:
    found = function(*arrays)
    whole = found if isinstance(found, (tuple, list)) else () if found is None else (found,)
    if len(whole) != len(results):
        raise mistake(ArgumentError, "custom_call", f"@{target} returned {len(whole)} arrays, not "
                      f"{len(results)}")
    given = tuple([np.asarray(x) for x in whole])
    for i, (x, wanted) in enumerate(zip(given, results)):
        if x.shape != wanted.shape or x.dtype != wanted.dtype:
            raise mistake(ShapeError, "custom_call", f"result {i} of @{target} is an array of "
                          f"{x.dtype} and shape {x.shape}, not {wanted}")
    return given


def _call_known(function: Callable[..., Any], settings: dict[str, Any],
                results: tuple[Type, ...], *arrays: Any) -> tuple[Any, ...]:
    return tuple(function(list(arrays), settings, results))


# -- marks and checks ------------------------------------------------------------------------------


def _itself(op: Foreign) -> Sequence[Any]:
    """A mark for the partitioner or the memory planner, which changes nothing here."""
    return op.own[:len(op.results)]


def _on_one_device(op: Foreign) -> Sequence[Any]:
    """The part of an array that a device has, or back: on one device the array."""
    (x,) = op.arrays(1)
    if not fits(type_of(x), op.results[0]):
        raise op.refusal(f"{type_of(x)} becomes {op.results[0]}: this program is for several "
                         "devices", "lower it for one device")
    return [x]


def _assertion(op: Foreign) -> Sequence[Any]:
    """What a program demands of the sizes it is given, which is checked here."""
    holds, *values = op.arrays()
    found = known(holds)
    if found is None:
        function = partial(_call_known, CUSTOM_CALLS["shape_assertion"], op.attributes)
        return _host_call(op, function)
    if not found:
        message = str(op.attributes.get("error_message", "the sizes of the inputs do not fit"))
        for i, value in enumerate(map(known, values)):
            message = message.replace(f"{{{i}}}", str(value))
        raise mistake(ShapeError, "shape_assertion", message, where=op.node.where)
    return []


# -- operations of ours under other names ----------------------------------------------------------


def _named(name: str, op: Foreign) -> Sequence[Any]:
    """An operation that has a record, its attributes in a dictionary of their own."""
    inside = op.written.get("mhlo.attributes", op.written.get("composite_attributes"))
    settings = dict(inside.items) if isinstance(inside, Dictionary) else {}
    kept = {k: v for k, v in settings.items() if k not in ("largest", "mhlo.version")}
    if plain_python(settings).get("largest", True) is not True:
        raise op.refusal("asks for the smallest elements", "stablehlo.sort")
    return op.read_as(name, op.arrays(), kept)


def _composite(name: str, op: Foreign) -> Sequence[Any]:
    """The operation of ours that a composite is named after, if it takes these operands."""
    record, attrs = TABLE[name.partition(".")[2]], op.node.attrs
    settings = {key for key, _ in attrs["settings"]}
    kinds = {dt.kind(type_of(x).dtype) for x in op.own}
    if attrs["version"] == 1 and settings <= {"k"} and kinds <= set(record.dtypes):
        return _named(name, op)
    return op.adoption.inline(attrs["body"], op.own)


def _top_k(op: Foreign) -> Sequence[Any]:
    """With the number of elements in an operand."""
    x, _ = op.arrays(2)
    (k,) = op.numbers(1)
    return list(top_k(x, k=k))


def _reduce_window(op: Foreign) -> Sequence[Any]:
    """Arrays and initial values, then five operands: size, strides, two dilations and padding."""
    operands = op.arrays()
    body = _called(op)
    arrays, first = operands[:-5], len(operands) - 5
    sizes, strides, base, dilations, padding = (op.numbers(first + i) for i in range(5))
    return list(reduce_window(
        *arrays, body=body, window_dimensions=sizes, window_strides=strides, base_dilations=base,
        window_dilations=dilations, padding=tuple(zip(padding[::2], padding[1::2]))))


def _called(op: Foreign) -> Graph:
    """The function that a custom call names."""
    names = op.attributes.get("called_computations") or [""]
    graph = op.adoption.functions.get(names[0])
    if graph is None:
        raise op.refusal(f"calls @{names[0]}, which is not among the functions of the module",
                         "hlo.legalize or hlo.evaluate with the whole module")
    return op.adoption.region(graph, list(graph.input_types)).graph


def _random_bits(op: Foreign) -> Sequence[Any]:
    """The state, then the shape of the bits."""
    state, _ = op.arrays(2)
    declared = op.results[1]
    bits = Type(declared.dtype, declared.shape if isinstance(declared, Type) else op.numbers(1))
    properties = {"rng_algorithm": op.written["rng_algorithm"]}
    return op.read_as("stablehlo.rng_bit_generator", [state], properties,
                      results=[type_of(state), bits])


_CHLO = {op.name: f"chlo.{op.name}" for op in TABLE.values() if op.dialect == "chlo"}

RULES_OF_TARGETS: dict[str, Rule] = {
    **{f"mhlo.{name}": partial(_named, full) for name, full in _CHLO.items()},
    "mhlo.topk": partial(_named, "chlo.top_k"),
    "mhlo.tan": partial(_named, "stablehlo.tan"),
    **dict.fromkeys(("Sharding", "LayoutConstraint", "annotate_device_placement",
                     "xla.sdy.FuncResultSharding", "stablehlo.shape_refinement_operand_wrapper"),
                    _itself),
    **dict.fromkeys(("SPMDFullToShardShape", "SPMDShardToFullShape"), _on_one_device),
    "shape_assertion": _assertion,
    "stablehlo.dynamic_top_k": _top_k,
    "stablehlo.dynamic_reduce_window": _reduce_window,
    "stablehlo.dynamic_rng_bit_generator": _random_bits,
}
# Composites of these names mean what our operations do.
COMPOSITES: dict[str, Rule] = {full: partial(_composite, full) for full in _CHLO.values()}

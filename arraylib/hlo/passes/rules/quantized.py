"""Quantized arrays: integers that stand for other numbers, as the type says.

An operation on them is done on the numbers for which they stand, and its result turned back into
integers: StableHLO defines elementwise operations so, and others up to the rounding of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Node, Type, Value, type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import constant
from arraylib.hlo.ops.structured import broadcast_in_dim
from arraylib.hlo.passes.rules.operation import Foreign
from arraylib.hlo.passes.rules.schemes import Quantized, Scheme, scheme_of


def is_quantized(op: Foreign) -> bool:
    """Whether an operation takes or gives quantized arrays."""
    return any(isinstance(x, Quantized) for x in op.operands) or any(
        "!quant." in getattr(t, "text", "") for t in op.results)


# -- there and back --------------------------------------------------------------------------------


def _spread(values: Sequence[Any], scheme: Scheme, type: Type) -> Any:
    """The scale or zero of each element."""
    if scheme.axis is None:
        return constant(value=np.broadcast_to(np.asarray(values[0]).astype(type.dtype), type.shape))
    row = constant(value=np.asarray(values).astype(type.dtype))
    return broadcast_in_dim(row, shape=type.shape, broadcast_dimensions=(scheme.axis,))


def _numbers(x: Any) -> Any:
    """What a quantized array stands for; other values stay."""
    if not isinstance(x, Quantized):
        return x
    scheme = x.scheme
    wide = ew.convert(x.stored, dtype=dt.int64)
    wide = ew.subtract(wide, _spread(scheme.zeros, scheme, type_of(wide)))
    out = ew.convert(wide, dtype=scheme.expressed)
    return ew.multiply(out, _spread(scheme.scales, scheme, type_of(out)))


def _integers(x: Any, stored: np.dtype[Any], scheme: Scheme) -> Quantized:
    """Numbers as integers: the nearest in the scale, within the limits."""
    type = type_of(x)
    scaled = ew.divide(x, _spread(scheme.scales, scheme, type))
    placed = ew.add(scaled, _spread(scheme.zeros, scheme, type))
    low, high = (constant(value=np.broadcast_to(np.asarray(v).astype(type.dtype), type.shape))
                 for v in scheme.limits)
    whole = ew.round_nearest_even(ew.clamp(low, placed, high))
    return Quantized(ew.convert(whole, dtype=stored), scheme)


# -- operations ------------------------------------------------------------------------------------

# These move elements, so that integers of one scheme go where they belong without being changed.
_MOVES = frozenset(f"stablehlo.{name}" for name in (
    "broadcast", "broadcast_in_dim", "concatenate", "dynamic_broadcast_in_dim", "dynamic_gather",
    "dynamic_iota", "dynamic_pad", "dynamic_reshape", "dynamic_slice", "dynamic_update_slice",
    "gather", "get_dimension_size", "pad", "real_dynamic_slice", "reshape", "reverse", "select",
    "slice", "transpose"))


def on_quantized(op: Foreign, run: Callable[[Foreign], Sequence[Any]]) -> Sequence[Any]:
    """The results of an operation that takes or gives quantized arrays; `run` does it on others."""
    schemes = [_result_scheme(op, t) for t in op.results]
    if op.name == "stablehlo.bitcast_convert":
        return [_bitcast(op, schemes[0])]
    if op.name == "stablehlo.constant" and schemes[0] is not None:
        types = [schemes[0][0]]
        return [Quantized(x, schemes[0][1]) for x in run(_changed(op, [], types))]
    if op.name in ("stablehlo.uniform_quantize", "stablehlo.uniform_dequantize"):
        results: Sequence[Any] = [_numbers(x) for x in op.operands]
    elif _moves(op, schemes):
        (scheme,) = {s[1] for s in schemes if s}
        stored = [x.stored if isinstance(x, Quantized) else x for x in op.operands]
        types = [t if s is None else s[0] for t, s in zip(op.results, schemes)]
        return [x if s is None else Quantized(x, scheme) for x, s in zip(
            run(_changed(op, stored, types)), schemes)]
    elif op.node.attrs["regions"]:
        return _by_region(op, schemes, run)
    else:
        types = [t if s is None else _expressed(*s) for t, s in zip(op.results, schemes)]
        results = run(_changed(op, [_numbers(x) for x in op.operands], types))
    return [x if s is None else _integers(x, s[0].dtype, s[1]) for x, s in zip(results, schemes)]


def _by_region(op: Foreign, schemes: Sequence[tuple[Any, Scheme] | None],
               run: Callable[[Foreign], Sequence[Any]]) -> Sequence[Any]:
    """An operation whose region says what is done, to integers as they stand: each step is there
    what it is outside."""
    if any(s[1].axis is not None for s in schemes if s is not None):
        raise op.refusal("has a region, and a scale for each place along an axis",
                         "one scale for all elements")
    stored = [x.stored if isinstance(x, Quantized) else x for x in op.operands]
    types = [t if s is None else s[0] for t, s in zip(op.results, schemes)]
    return [x if s is None else Quantized(x, s[1])
            for x, s in zip(run(_changed(op, stored, types)), schemes)]


def _result_scheme(op: Foreign, type: Any) -> tuple[Any, Scheme] | None:
    found = scheme_of(type)
    if found is None and "!quant." in getattr(type, "text", ""):
        raise op.refusal(f"{type} is no kind of quantized array that is known here",
                         "one scale for all, or one for each place along an axis")
    return found


def _moves(op: Foreign, schemes: Sequence[Any]) -> bool:
    """Whether integers of one scheme, the same for all elements, are only moved."""
    every = {x.scheme for x in op.operands if isinstance(x, Quantized)}
    every |= {s[1] for s in schemes if s is not None}
    plain = [t for t, s in zip(op.results, schemes) if s is None]
    return op.name in _MOVES and len(every) == 1 and not plain and all(
        s.axis is None for s in every)


def _expressed(stored: Any, scheme: Scheme) -> Any:
    """The type of what quantized arrays stand for."""
    if isinstance(stored, Type):
        return stored.with_dtype(scheme.expressed)
    return replace(stored, dtype=scheme.expressed)


def _changed(op: Foreign, operands: Sequence[Any], types: Sequence[Any]) -> Foreign:
    """The operation on other operands, with results of other types."""
    node = Node(op.node.op, op.node.inputs, {**op.node.attrs, "results": tuple(types)},
                op.node.outputs, op.node.where)
    return Foreign(node, list(operands), op.adoption)


def _bitcast(op: Foreign, scheme: tuple[Any, Scheme] | None) -> Any:
    """The integers themselves, or integers for what they shall stand."""
    (x,) = op.own
    stored = x.stored if isinstance(x, Quantized) else x
    wanted = op.results[0] if scheme is None else scheme[0]
    if not isinstance(stored, Value) or stored.type.rank != len(wanted.shape):
        raise op.wrong("the number of axes changes")
    if stored.type.dtype != wanted.dtype:
        stored = ew.bitcast_convert(stored, dtype=wanted.dtype)
    return stored if scheme is None else Quantized(stored, scheme[1])

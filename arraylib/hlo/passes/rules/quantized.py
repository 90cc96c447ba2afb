"""Quantized arrays: integers that stand for other numbers, as the type says.

An operation on them is done on the numbers for which they stand, and its result turned back into
integers: StableHLO defines elementwise operations so, and others up to the rounding of sums.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Node, Type, Value, type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import constant
from arraylib.hlo.ops.foreign import OtherType
from arraylib.hlo.ops.structured import broadcast_in_dim
from arraylib.hlo.passes.rules.operation import Foreign
from arraylib.hlo.passes.rules.values import Quantized, Scheme

_NUMBER = r"-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?"
_TYPE = re.compile(
    r"tensor<((?:(?:\d+|\?)\s*x\s*)*)!quant\.uniform<\s*(s?i|ui?)(\d+)(?:<(-?\d+):(-?\d+)>)?\s*:\s*"
    rf"(\w+)\s*(?::\s*(\d+)\s*)?,\s*(\{{[^{{}}]*\}}|{_NUMBER}(?::-?\d+)?)\s*>\s*>")
_PAIR = re.compile(rf"({_NUMBER})(?::(-?\d+))?")


@cache
def scheme_of(type: Any) -> tuple[Any, Scheme] | None:
    """What a quantized type is made of: the type of the integers, and what they stand for."""
    if not isinstance(type, OtherType) or "!quant." not in type.text:
        return None
    found = _TYPE.fullmatch(type.text)
    if not found:
        return None
    sizes, sign, bits, low, high, expressed, axis, numbers = found.groups()
    stored = dt.from_hlo_name(f"{'ui' if sign[0] == 'u' else 'i'}{bits}")
    real = dt.from_hlo_name(expressed)
    if stored is None or real is None:
        return None
    limits = (int(low or dt.iinfo(stored).min), int(high or dt.iinfo(stored).max))
    pairs = [(float(scale), int(zero or 0)) for scale, zero in _PAIR.findall(numbers)]
    scheme = Scheme(real, tuple(s for s, _ in pairs), tuple(z for _, z in pairs), limits,
                    None if axis is None else int(axis))
    shape = tuple(None if n == "?" else int(n) for n in re.findall(r"\d+|\?", sizes))
    if None in shape:
        return OtherType(type.text, stored, shape), scheme
    return Type(stored, shape), scheme  # type: ignore[arg-type]


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
    if op.name in ("stablehlo.uniform_quantize", "stablehlo.uniform_dequantize"):
        results: Sequence[Any] = [_numbers(x) for x in op.operands]
    elif _moves(op, schemes):
        (scheme,) = {s[1] for s in schemes if s}
        stored = [x.stored if isinstance(x, Quantized) else x for x in op.operands]
        types = [t if s is None else s[0] for t, s in zip(op.results, schemes)]
        return [x if s is None else Quantized(x, scheme) for x, s in zip(
            run(_changed(op, stored, types)), schemes)]
    elif op.node.attrs["regions"]:
        raise op.refusal("has a region that computes with quantized values",
                         "stablehlo.uniform_dequantize before it")
    else:
        types = [t if s is None else _expressed(*s) for t, s in zip(op.results, schemes)]
        results = run(_changed(op, [_numbers(x) for x in op.operands], types))
    return [x if s is None else _integers(x, s[0].dtype, s[1]) for x, s in zip(results, schemes)]


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

"""Rewrite by algebra that changes no bit of any result: not inf, nan, -0 nor a rounding.

    multiply(x, 1) -> x      add(x, -0.0) -> x      transpose(transpose(x)) -> transpose(x)

What looks alike but is not done: x + 0.0 (-0.0 would become 0.0), x * 0.0 (nan for inf), x - x (nan
for inf), x * 1 of complex numbers (inf * 0 inside), and one conversion for two (it rounds twice).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Graph, Node, Type, Value
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops import (
    checkpoint,
    control,
    elementwise as ew,
    placement,
    reduction as red,
    shape,
    structured as st,
)
from arraylib.hlo.ops.constant import constant, full_like, splat
from arraylib.hlo.ops.index_windows import Ints
from arraylib.hlo.passes.rewrite import Rewriter, rewrite

_MOST_TERMS = 64  # of a sum that is looked at

Defined = dict[Value, Node]
Simplification = Callable[[Node, Defined], Value | None]


def simplify(graph: Graph) -> Graph:
    """`graph` with each node for which there is a rule below, and it applies, replaced."""
    return rewrite(graph, _rule)


def _rule(node: Node, rewriter: Rewriter) -> Sequence[Value] | None:
    found = RULES.get(node.op)
    if found is None:
        return None
    result = found(node, rewriter.defined)
    return None if result is None else (result,)


def _splat(value: Value, defined: Defined) -> Any:
    """The one number that a value repeats, if that is known."""
    source = defined.get(value)
    return splat(source.attrs["value"]) if source and source.op is constant else None


def _inner(node: Node, defined: Defined, op: OpDef) -> Node | None:
    """The node that defines the first operand, if its operation is `op`."""
    source = defined.get(node.inputs[0])
    return source if source and source.op is op else None


# -- arithmetic ------------------------------------------------------------------------------------


def _same_bits(x: Any, number: float) -> bool:
    """Whether the known number x is `number`, telling -0.0 from 0.0."""
    if x is None or x != number:
        return False
    return x.dtype.kind in "biu" or bool(np.signbit(x) == np.signbit(number))


def _neutral(exact: float, integer: float, commutes: bool) -> Simplification:
    """x op n -> x, where n is `integer`, or `exact` for floats; n op x as well if it commutes."""
    def rule(node: Node, defined: Defined) -> Value | None:
        x, y = node.inputs
        kind = dt.kind(x.type.dtype)
        number = exact if kind == "f" else integer
        if kind == "c":
            return None
        if _same_bits(_splat(y, defined), number):
            return x
        return y if commutes and _same_bits(_splat(x, defined), number) else None
    return rule


def _times(node: Node, defined: Defined) -> Value | None:
    """x * 1 -> x; and for integers x * 0 -> 0."""
    same = _neutral(1.0, 1, True)(node, defined)
    if same is not None or not dt.is_integer(node.inputs[0].type.dtype):
        return same
    return next((v for v in node.inputs if _same_bits(_splat(v, defined), 0)), None)


def _twice(op: OpDef) -> Simplification:
    """op(op(x)) -> x"""
    def rule(node: Node, defined: Defined) -> Value | None:
        inner = _inner(node, defined, op)
        return inner.inputs[0] if inner else None
    return rule


def _select(node: Node, defined: Defined) -> Value | None:
    """Known, or no choice: the operand. Choice by `not p`: the operands exchanged."""
    predicate, x, y = node.inputs
    if x is y:
        return x
    known = _splat(predicate, defined)
    if known is not None:
        return x if known else y
    inner = _inner(node, defined, ew.not_)
    return ew.select(inner.inputs[0], y, x) if inner else None


def _logic(neutral: int, absorbing: int) -> Simplification:
    """x op neutral -> x; x op absorbing -> absorbing; x op x -> x. Numbers are all-ones or zero."""
    def rule(node: Node, defined: Defined) -> Value | None:
        x, y = node.inputs
        if x is y:
            return x
        for known, other in ((y, x), (x, y)):
            number = _splat(known, defined)
            if number is not None and number == np.array(neutral).astype(number.dtype):
                return other
            if number is not None and number == np.array(absorbing).astype(number.dtype):
                return known
        return None
    return rule


def _identity(unchanged: Callable[[Node], bool]) -> Simplification:
    """op(x) -> x where the attributes ask for nothing."""
    return lambda node, defined: node.inputs[0] if unchanged(node) else None


# -- axes ------------------------------------------------------------------------------------------


def _transpose(node: Node, defined: Defined) -> Value | None:
    permutation: Ints = node.attrs["permutation"]
    if permutation == tuple(range(len(permutation))):
        return node.inputs[0]
    inner = _inner(node, defined, st.transpose)
    if inner is None:
        return None
    joint = tuple(inner.attrs["permutation"][d] for d in permutation)
    (x,) = inner.inputs
    straight = joint == tuple(range(len(joint)))
    return x if straight else st.transpose(x, permutation=joint)


def _reshape(node: Node, defined: Defined) -> Value | None:
    inner, shape = _inner(node, defined, st.reshape), node.attrs["shape"]
    x = inner.inputs[0] if inner else node.inputs[0]
    if x.type.shape == shape:
        return x
    return st.reshape(x, shape=shape) if inner else None


def _broadcast(node: Node, defined: Defined) -> Value | None:
    (x,), outer = node.inputs, node.attrs["broadcast_dimensions"]
    if x.type is node.outputs[0].type and outer == tuple(range(x.type.rank)):
        return x
    joint: Ints | None = None
    if inner := _inner(node, defined, st.broadcast_in_dim):
        joint = tuple(outer[d] for d in inner.attrs["broadcast_dimensions"])
    elif inner := _inner(node, defined, st.reshape):
        joint = _past_reshape(inner.inputs[0].type, x.type, node)
    if inner is None or joint is None:
        return None
    result: Value = st.broadcast_in_dim(
        inner.inputs[0], shape=node.attrs["shape"], broadcast_dimensions=joint)
    return result


def _past_reshape(before: Type, after: Type, node: Node) -> Ints | None:
    """Where the axes from before a reshape are broadcast to, if that only added or took units."""
    if [n for n in before.shape if n != 1] != [n for n in after.shape if n != 1]:
        return None
    dimensions = node.attrs["broadcast_dimensions"]
    long = [d for n, d in zip(after.shape, dimensions) if n != 1]
    spare = (d for d in range(len(node.attrs["shape"])) if d not in long)
    places = iter(long)
    joint = [next(spare, -1) if n == 1 else next(places) for n in before.shape]
    return None if -1 in joint else tuple(joint)


def _is_whole_slice(node: Node) -> bool:
    return node.outputs[0].type is node.inputs[0].type


def _pads_nothing(node: Node) -> bool:
    return not any((*node.attrs["low"], *node.attrs["high"], *node.attrs["interior"]))


def _reverses_nothing(node: Node) -> bool:
    return all(node.inputs[0].type.shape[d] <= 1 for d in node.attrs["dimensions"])


def _concatenate(node: Node, defined: Defined) -> Value | None:
    """Without operands that have no elements; one operand alone is the result."""
    parts = [x for x in node.inputs if x.type.size]
    if len(parts) == 1:
        return parts[0]
    if len(parts) in (0, len(node.inputs)):
        return None
    joined: Value = shape.concatenate(*parts, **node.attrs)
    return joined


def _add(node: Node, defined: Defined) -> Value | None:
    """x + -0.0 -> x; arrays among zeros, added up -> the arrays joined."""
    same = _neutral(-0.0, 0, True)(node, defined)
    return _joined(node, defined) if same is None else same


def _joined(node: Node, defined: Defined) -> Value | None:
    """Sums of arrays padded with zeros that fill an axis without overlap, as derivatives of cuts.

    What is joined is x + 0.0, since that is what the sum made of -0.0.
    """
    pads = _terms(node, defined)
    axes = {d for each in pads for d in range(node.outputs[0].type.rank)
            if each.attrs["low"][d] or each.attrs["high"][d]}
    if len(axes) != 1 or not all(_is_among_zeros(each, defined) for each in pads):
        return None
    (axis,) = axes
    pads.sort(key=lambda each: each.attrs["low"][axis])
    ends = [0, *(each.attrs["low"][axis] + each.inputs[0].type.shape[axis] for each in pads)]
    if [each.attrs["low"][axis] for each in pads] != ends[:-1] \
            or ends[-1] != node.outputs[0].type.shape[axis]:
        return None
    parts = [each.inputs[0] for each in pads]
    joined: Value = shape.concatenate(
        *(ew.add(x, full_like(x, 0)) for x in parts), dimension=axis)
    return joined


def _terms(node: Node, defined: Defined) -> list[Node]:
    """The arrays that a sum of sums adds up, if all of them are padded; else none."""
    found: list[Node] = []
    waiting = [node]
    while waiting:
        for value in waiting.pop().inputs:
            source = defined.get(value)
            if source is None or source.op not in (ew.add, shape.pad) or len(found) == _MOST_TERMS:
                return []
            (found if source.op is shape.pad else waiting).append(source)
    return found


def _is_among_zeros(node: Node, defined: Defined) -> bool:
    attrs = node.attrs
    if dt.is_complex(node.outputs[0].type.dtype):
        return False
    return min(*attrs["low"], *attrs["high"]) >= 0 and not any(attrs["interior"]) \
        and node.inputs[0].type.size > 0 and _same_bits(_splat(node.inputs[1], defined), 0.0)


RULES: dict[OpDef, Simplification] = {
    ew.add: _add,
    ew.subtract: _neutral(0.0, 0, False),
    ew.multiply: _times,
    ew.divide: _neutral(1.0, 1, False),
    ew.negate: _twice(ew.negate),
    ew.not_: _twice(ew.not_),
    ew.and_: _logic(-1, 0),
    ew.or_: _logic(0, -1),
    ew.select: _select,
    control.stop_gradient: _identity(lambda node: True),
    checkpoint.named: _identity(lambda node: True),
    placement.constrain: _identity(lambda node: True),
    ew.convert: _identity(lambda node: node.inputs[0].type is node.outputs[0].type),
    st.transpose: _transpose,
    st.reshape: _reshape,
    st.broadcast_in_dim: _broadcast,
    shape.slice_: _identity(_is_whole_slice),
    shape.pad: _identity(_pads_nothing),
    shape.reverse: _identity(_reverses_nothing),
    shape.concatenate: _concatenate,
    **{op: _identity(lambda node: not node.attrs["dimensions"]) for op in (
        st.reduce_add, red.reduce_multiply, red.reduce_maximum, red.reduce_minimum,
        red.reduce_and, red.reduce_or)},
}

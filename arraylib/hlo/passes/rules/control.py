"""Control flow, tuples, tokens and futures; regions that are a function of their arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.hlo.ir import Graph, Type, Value, type_of
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops import control, elementwise as ew, structured as st
from arraylib.hlo.ops.lifted import emit_lifted
from arraylib.hlo.ops.loop import scan
from arraylib.hlo.passes.rules.operation import Foreign, Rule, check_types
from arraylib.hlo.passes.rules.schemes import plain_form
from arraylib.hlo.passes.rules.values import (
    TOKEN,
    Adopted,
    all_leaves,
    form_of,
    forms_of,
    known,
    regrouped,
)

# -- choices ---------------------------------------------------------------------------------------


def _case_again(op: Foreign) -> Sequence[Any]:
    """A case of ours, whose branches get a new form."""
    index, *captured = op.operands
    forms = forms_of(captured)
    branches = [op.adoption.region(g, forms) for g in op.node.attrs["branches"]]
    return _choice(op, index, captured, branches)


def _if(op: Foreign) -> Sequence[Any]:
    if len(op.own) != 1 or len(op.node.attrs["regions"]) != 2:
        raise op.wrong("takes a predicate and has two regions")
    (predicate,) = op.arrays(1)
    if type_of(predicate) is not Type(dt.bool_, ()):
        raise op.wrong("the predicate is no scalar i1")
    array = known(predicate)
    if array is not None:
        return op.inline(0 if array else 1, [])
    yes, no = op.graphs()
    return _choice(op, ew.convert(predicate, dtype=dt.int32), op.captured, [no, yes])


def _case(op: Foreign) -> Sequence[Any]:
    (index,), count = op.arrays(1), len(op.node.attrs["regions"])
    array = known(index)
    if array is not None:
        return op.inline(int(array) if 0 <= int(array) < count else count - 1, [])
    return _choice(op, index, op.captured, op.graphs())


def _choice(op: Foreign, index: Any, captured: Sequence[Any],
            branches: Sequence[Adopted]) -> Sequence[Any]:
    """A case of regions that capture alike and return values of one form."""
    for i, branch in enumerate(branches):
        if branch.outputs != branches[0].outputs:
            raise op.wrong(f"branch {i} gives {branch.outputs} but branch 0 gives "
                           f"{branches[0].outputs}")
    outs = control.case(index, *all_leaves(captured),
                        branches=tuple(branch.graph for branch in branches))
    return regrouped(branches[0].outputs, outs)


# -- loops -----------------------------------------------------------------------------------------


def _while(op: Foreign) -> Sequence[Any]:
    if len(op.node.attrs["regions"]) != 2:
        raise op.wrong("has a condition and a body")
    cond, body = op.node.attrs["regions"]
    return _loop(op, (cond, op.captured), (body, op.captured), op.own)


def _while_again(op: Foreign) -> Sequence[Any]:
    """A loop of ours, whose regions get a new form."""
    attrs, xs = op.node.attrs, op.operands
    n, m = attrs["cond_consts"], attrs["cond_consts"] + attrs["body_consts"]
    return _loop(op, (attrs["cond"], xs[:n]), (attrs["body"], xs[n:m]), xs[m:])


def _loop(op: Foreign, cond: tuple[Graph, Sequence[Any]], body: tuple[Graph, Sequence[Any]],
          carry: Sequence[Any]) -> Sequence[Any]:
    """A while of two regions, each with what it captures, on a carry.

    What the body returns as it came stays known inside, and is the same after the loop.
    """
    graph, n = body[0], len(body[1])
    if len(graph.inputs) != n + len(carry) or len(graph.outputs) != len(carry):
        raise op.wrong(f"its body takes {len(graph.inputs) - n} and returns {len(graph.outputs)} "
                       f"values, not {len(carry)}")
    steady = [out is given for out, given in zip(graph.outputs, graph.inputs[n:])]
    forms = [form_of(x, exact=same) for x, same in zip(carry, steady)]
    test = op.adoption.region(cond[0], [*forms_of(cond[1]), *forms])
    step = op.adoption.region(graph, [*forms_of(body[1]), *forms])
    for i, (found, wanted) in enumerate(zip(step.outputs, forms)):
        check_types(op, f"the body, for part {i} of the carry,", found, wanted)
    consts = all_leaves(cond[1]), all_leaves(body[1])
    outs = control.while_(*consts[0], *consts[1], *all_leaves(carry), cond=test.graph,
                          body=step.graph, cond_consts=len(consts[0]), body_consts=len(consts[1]))
    return [before if same else after
            for before, same, after in zip(carry, steady, regrouped(forms, outs))]


def _scan(op: Foreign) -> Sequence[Any]:
    """chlo.scan: (inputs, carry) -> (outputs, carry) along any axis; ours has the carry first."""
    operands, axis = op.arrays(), op.attribute("dimension")
    segments = op.axes("operandSegmentSizes", (0, 0))
    inputs, carry = operands[:segments[0]], operands[segments[0]:]
    if not inputs or sum(segments) != len(operands):
        raise op.wrong(f"{segments} inputs and initial values among {len(operands)} operands")
    rows = [_moved(x, axis, 0) for x in inputs]
    length = type_of(rows[0]).shape[0]
    each = [type_of(x).with_shape(type_of(x).shape[1:]) for x in rows]
    (step,) = op.graphs(*each, *map(type_of, carry))
    outer = all_leaves(op.captured)
    body = _carry_first(step.graph, len(outer), len(inputs), len(carry))
    outs = scan(*outer, *carry, *rows, body=body, consts=len(outer), carry=len(carry),
                length=length, reverse=bool(op.attributes.get("is_reverse", False)))
    return [*(_moved(x, 0, axis) for x in outs[len(carry):]), *outs[:len(carry)]]


def _carry_first(graph: Graph, consts: int, inputs: int, carry: int) -> Graph:
    captured, rest = graph.inputs[:consts], graph.inputs[consts:]
    outputs = (*graph.outputs[len(graph.outputs) - carry:],
               *graph.outputs[:len(graph.outputs) - carry])
    return Graph((*captured, *rest[inputs:], *rest[:inputs]), graph.nodes, outputs)


def _moved(x: Any, source: int, target: int) -> Any:
    """x with an axis moved to another place."""
    order = [i for i in range(type_of(x).rank) if i != source]
    order.insert(target, source)
    return x if order == sorted(order) else st.transpose(x, permutation=tuple(order))


# -- functions -------------------------------------------------------------------------------------


def _map(op: Foreign) -> Sequence[Any]:
    """A scalar function on whole arrays."""
    operands = op.arrays()
    shape = type_of(operands[0]).shape if operands else ()
    if op.axes("dimensions", tuple(range(len(shape)))) != tuple(range(len(shape))):
        raise op.wrong(f"dimensions {op.axes('dimensions')} are not all axes of {shape} in order")
    if any(type_of(x).shape != shape for x in operands):
        raise op.wrong("its operands have different shapes")
    inner = op.node.attrs["regions"][0].inputs[len(op.captured):]
    if len(inner) != len(operands):
        raise op.wrong(f"its region takes {len(inner)} arguments, not {len(operands)}")
    (region,) = op.graphs(*(plain_form(v.type) for v in inner))
    captured = all_leaves(op.captured)
    if any(type_of(x).rank for x in captured):
        raise op.refusal("its region reads an array from around it", "map takes it as an operand")
    wide = [st.broadcast_in_dim(x, shape=shape, broadcast_dimensions=()) for x in captured]
    return emit_lifted(region.graph, [*wide, *operands])


def _async_start(op: Foreign) -> Sequence[Any]:
    """A future holds what the region returned: here nothing else happens in the meantime."""
    return [tuple(op.inline(0, op.own))]


def _async_done(op: Foreign) -> Sequence[Any]:
    (future,) = op.own
    return list(future)


def _manual(op: Foreign) -> Sequence[Any]:
    """On one device the parts of arrays that it has are the arrays."""
    inner = op.node.attrs["regions"][0].inputs[len(op.captured):]
    for i, (x, part) in enumerate(zip(op.own, inner)):
        if isinstance(x, Value) and isinstance(part.type, Type) and part.type is not x.type:
            raise op.refusal(
                f"argument {i} is {part.type} on each device, a part of {x.type}; this program is "
                "for several devices", "lower it for a mesh of one device, or write it with the "
                "collective operations that it stands for, and hlo.evaluate_parallel")
    return op.inline(0, op.own)


def _barrier(op: Foreign) -> Sequence[Any]:
    return regrouped(forms_of(op.own), control.optimization_barrier(*all_leaves(op.own)))


def _element(op: Foreign) -> Sequence[Any]:
    (whole,), i = op.own, op.attribute("index")
    if not isinstance(whole, tuple) or not 0 <= i < len(whole):
        raise op.wrong(f"there is no part {i}")
    return [whole[i]]


def _same(op: Foreign) -> Sequence[Any]:
    return op.own


def _token(op: Foreign) -> Sequence[Any]:
    return [TOKEN]


RULES: dict[str, Rule] = {
    "stablehlo.if": _if,
    "stablehlo.case": _case,
    "stablehlo.while": _while,
    "stablehlo.map": _map,
    "stablehlo.optimization_barrier": _barrier,
    "stablehlo.tuple": lambda op: [tuple(op.own)],
    "stablehlo.get_tuple_element": _element,
    "stablehlo.after_all": _token,
    "stablehlo.create_token": _token,
    "stablehlo.async_start": _async_start,
    "stablehlo.async_done": _async_done,
    "chlo.scan": _scan,
    "sdy.sharding_constraint": _same,
    "sdy.reshard": _same,
    "sdy.manual_computation": _manual,
}
# Operations of ours whose regions contain operations of others.
AGAIN: dict[OpDef, Rule] = {control.case: _case_again, control.while_: _while_again}

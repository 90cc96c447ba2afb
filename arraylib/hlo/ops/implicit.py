"""Solutions of equations, which depend on what the equation reads as the equation says.

How they were found plays no part in derivatives: x of f(m, x) = 0 moves with m by the implicit
function theorem, whatever steps led to it.

They are not in the table of operations: to all but differentiation and batches they are what their
body does.
"""

from collections.abc import Sequence
from typing import Any

from arraylib.errors import Source, TraceError, mistake
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Graph, Node, Type, emit_like, type_of
from arraylib.hlo.opdef import Attrs, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.control import (
    Pairs,
    batched_region,
    check_region,
    differentiable,
    fill,
    keep,
    run_inside,
)
from arraylib.hlo.ops.shape import repeat_leading


def _results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
    body: Graph = attrs["body"]
    check_region("solve", "its body", body, types, where)
    return body.output_types


def _moved(jvp: Any, equation: Graph, xs: Sequence[Any], consts: Sequence[Any],
           tangents: Sequence[Any]) -> list[Any]:
    """The tangents of the equation's values at a solution that stays where it is."""
    pairs = jvp(equation, [*xs, *consts], [*[None] * len(xs), *tangents])
    return [t for _, t in pairs]


def _with_tangents(outs: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    """Solutions with these; what else the solver told has none."""
    found = [t if differentiable(type_of(x)) else None for x, t in zip(outs, tangents)]
    return list(zip(outs, [*found, *[None] * (len(outs) - len(found))], strict=True))


def _batched(batch: Any, graph: Graph, consts: Sequence[bool], size: int) -> Graph:
    """A region whose own inputs, and all of whose outputs, have a leading axis of examples."""
    own = len(graph.inputs) - len(consts)
    return batched_region(batch, graph, [*[True] * own, *consts], size,
                          [True] * len(graph.outputs))[0]


def _batch(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    """All examples at once: the body decides for them all when it is done."""
    count = node.attrs["count"]
    has = [h for _, h in pairs[count:]]
    attrs = {name: _batched(batch, value, has, size) if isinstance(value, Graph) else value
             for name, value in node.attrs.items()}
    first = [x if h else repeat_leading(x, size) for x, h in pairs[:count]]
    outs = emit_like(node, [*first, *(x for x, _ in pairs[count:])], **attrs)
    return [(x, True) for x in outs]


# -- linear equations ------------------------------------------------------------------------------


def _solve_jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    """A x = b moves so that A dx = db - dA x."""
    count = node.attrs["count"]
    outs, consts = emit_like(node, primals), primals[count:]
    moved = _moved(jvp, node.attrs["matvec"], outs[:count], consts, tangents[count:])
    right = [_difference(b, a) for b, a in zip(tangents[:count], moved)]
    if all(r is None for r in right):
        return _with_tangents(outs, [None] * count)
    filled = [fill(r, type_of(x)) for r, x in zip(right, primals)]
    return _with_tangents(outs, emit_like(node, [*filled, *consts])[:count])


def _difference(x: Any, y: Any) -> Any:
    """x - y, where None is zero."""
    if y is None:
        return x
    return ew.negate(y) if x is None else ew.subtract(x, y)


def _solve_transpose(transpose: Any, node: Node, linear: Sequence[bool],
                     cotangents: Sequence[Any]) -> list[Any]:
    """The transposed equation for the cotangent of the solution."""
    attrs, count = node.attrs, node.attrs["count"]
    if any(linear[count:]) or attrs["back"] is None:
        raise mistake(TraceError, "custom_linear_solve", "has no derivative in reverse mode "
                      "without transpose_solve", where=node.where,
                      hint="pass transpose_solve, or symmetric=True if the equation is")
    given = [fill(ct, type_of(x)) for ct, x in zip(cotangents, node.inputs[:count])]
    body: Graph = attrs["body"]
    forth = Graph(body.inputs, body.nodes, body.outputs[:count])
    outs = linear_solve(*given, *node.inputs[count:], count=count, matvec=attrs["vecmat"],
                        body=attrs["back"], vecmat=attrs["matvec"], back=forth)
    return keep(outs[:count], linear[:count])


# Operands: `count` right sides, then what the regions read from outside, which all of them take
# after their own. matvec: x -> A x; body: b -> x, then what else it tells; vecmat and back: the
# same for the transpose of A, back being None where that is not known.
linear_solve: OpDef = OpDef(
    "linear_solve", "The solution of a linear equation, found by a graph.",
    lambda *xs, body, **attrs: interpret(body, xs), results=_results, multiple=True, grouping=True,
    dialect="arraylib", jvp_node=_solve_jvp, transpose_node=_solve_transpose, batch_node=_batch,
    expand=lambda *xs, body, **attrs: run_inside(body, xs))

# -- equations -------------------------------------------------------------------------------------


def _root_jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    """f(m, x) = 0 moves so that f_x dx = -f_m dm. Where the search began does not matter."""
    count = node.attrs["count"]
    outs, consts = emit_like(node, primals), primals[count:]
    moved = _moved(jvp, node.attrs["f"], outs[:count], consts, tangents[count:])
    if all(t is None for t in moved):
        return _with_tangents(outs, [None] * count)
    right = [fill(t, v.type) for t, v in zip(moved, node.attrs["f"].outputs)]
    found = run_inside(node.attrs["tangent"], [*outs[:count], *right, *consts])
    return _with_tangents(outs, [ew.negate(t) for t in found])


# Operands: `count` first guesses, then what the regions read from outside, which all of them take
# after their own. f: x -> what shall be 0; body: guess -> x, then what else it tells; tangent:
# x, y -> the dx that f_x(x) maps to y.
root = OpDef(
    "root", "Where a function is zero, found by a graph.",
    lambda *xs, body, **attrs: interpret(body, xs), results=_results, multiple=True, grouping=True,
    dialect="arraylib", jvp_node=_root_jvp, batch_node=_batch,
    expand=lambda *xs, body, **attrs: run_inside(body, xs))

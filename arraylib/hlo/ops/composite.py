"""composite: a graph with a name of its own, by which a backend may know a better way."""

from __future__ import annotations

from collections.abc import Sequence

from arraylib.errors import Source
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.opdef import Attrs, Example, OpDef
from arraylib.hlo.ops import control, elementwise as ew
from arraylib.hlo.ops.structured import F32


def _body_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
    control.check_region("composite", "its decomposition", attrs["body"], types, where)
    return attrs["body"].output_types  # type: ignore[no-any-return]


_square = trace_graph([Type(F32, (3,))], lambda x: [ew.multiply(x, ew.sine(x))])

composite = OpDef(
    "composite", "The outputs of a graph that has a name of its own, by which a backend may know "
    "a better way to compute it; `settings` are its attributes, `version` numbers its meaning.",
    lambda *xs, body, **attrs: interpret(body, xs), results=_body_results, multiple=True,
    grouping=True, dtypes=ew.ANY, mixed=True,
    jvp_node=lambda jvp, node, primals, tangents: jvp(node.attrs["body"], primals, tangents),
    transpose_node=control.call.transpose_node, batch_node=control.call.batch_node,
    expand=lambda *xs, body, **attrs: control.run_inside(body, xs),
    constraints=(
        "`body` takes values of the operands' types.",
        "The results are of the types that `body` gives."),
    examples=(Example((Type(F32, (3,)),), {"body": _square, "name": "our.square", "settings": (),
                                           "version": 0}),))

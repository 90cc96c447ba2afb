"""custom_call: functions from outside the program, called by name.

These are not in the table of operations: what they mean, and whether they have a derivative, only
whoever gives the functions knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.errors import Source, TraceError, mistake
from arraylib.hlo.ir import Node, Type, emit_like
from arraylib.hlo.opdef import Attrs, OpDef
from arraylib.hlo.ops import elementwise as ew

Pairs = list[tuple[Any, Any]]

def _results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
    return tuple(attrs["results"])


def _unknown(*xs: Any, target: str, **attrs: Any) -> Any:
    raise mistake(TraceError, "custom_call", f"nobody has said what @{target} does",
                  hint="hlo.evaluate(module, ..., custom_calls={name: function of arrays})")


def _jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    """What has no float among its results has no derivative, either."""
    if any(dt.is_inexact(t.dtype) for t in node.attrs["results"]):
        raise mistake(TraceError, "custom_call", f"the derivative of @{node.attrs['target']} is "
                      "not known", where=node.where)
    return [(out, None) for out in emit_like(node, list(primals))]


def _batch(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    raise mistake(TraceError, "custom_call", f"vmap does not know how @{node.attrs['target']} "
                  "meets a batch", where=node.where)


# Attributes: target, its name; results, types; settings, pairs of a name and an attribute as text
# has it; effect is said by the record.
custom_call = OpDef(
    "custom_call", "What a function from outside the program returns, found by its name.",
    _unknown, results=_results, dtypes=ew.ANY, mixed=True, multiple=True, opaque=True,
    jvp_node=_jvp, batch_node=_batch)
custom_effect = OpDef(
    "custom_effect", "A custom_call with a side effect: it is made once, in order, whoever reads "
    "its results.", _unknown, results=_results, dtypes=ew.ANY, mixed=True, multiple=True,
    opaque=True, effect=True, jvp_node=_jvp, batch_node=_batch)

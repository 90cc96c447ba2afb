"""Attention as a step of its own, on operands wherever they lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from arraylib.backends.lower.plan import AttentionStep, Buffer, View, whole
from arraylib.backends.lower.state import Lowering
from arraylib.hlo.ir import Node
from arraylib.hlo.ops.attention import MOST_MASKS, extras

Rule = Callable[[Lowering, Node, list[View]], Sequence[View] | None]

_RESULTS = 3  # of attention, and of attention_backward


def _step(backward: bool) -> Rule:
    after = _RESULTS + 1 if backward else 0

    def rule(state: Lowering, node: Node, reads: list[View]) -> Sequence[View] | None:
        masks = len(extras(node.inputs, after)) - node.attrs["bias"]
        if not state.supports.attention(reads[0].dtype) or masks > MOST_MASKS \
                or not all(v.size for v in reads):
            return None
        found = [state.in_memory(view) for view in reads]
        if backward:  # the rows' facts
            found[-3:-1] = [state.dense(view) for view in found[-3:-1]]
        writes = tuple(whole(Buffer(v.type)) for v in node.outputs)
        state.step(AttentionStep(node, backward, tuple(found), writes, (node.where,)), found,
                   writes)
        return writes
    return rule


RULES: dict[str, Rule] = {"attention": _step(False), "attention_backward": _step(True)}

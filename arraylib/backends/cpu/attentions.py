"""Attention of a plan as calls of the attention library."""

from __future__ import annotations

from arraylib import dtypes as dt
from arraylib.backends.cpu import pool
from arraylib.backends.cpu.attention import Attention, Operand, Word, scratch_bytes
from arraylib.backends.cpu.matrices import descriptor_bytes
from arraylib.backends.lower.plan import AttentionStep, View
from arraylib.hlo.ops.attention import extras

_RESULTS = (Operand.OUT, Operand.LARGEST, Operand.TOTAL)
_GRADIENTS = (Operand.TO_QUERY, Operand.TO_KEY, Operand.TO_VALUE)


def attention_operands(step: AttentionStep) -> dict[Operand, View]:
    """What is where, by the names that the library has for it."""
    after = (*_RESULTS, Operand.COTANGENT) if step.backward else ()
    more = list(extras(step.reads, len(after)))
    found = dict(zip((Operand.QUERY, Operand.KEY, Operand.VALUE), step.reads))
    if step.node.attrs["bias"]:
        found[Operand.BIAS] = more.pop(0)
    found |= {Operand(Operand.MASK + i): view for i, view in enumerate(more)}
    found |= dict(zip(after, step.reads[len(step.reads) - len(after):]))
    return found | dict(zip(_GRADIENTS if step.backward else _RESULTS, step.writes))


def attention_of(step: AttentionStep) -> Attention:
    """What the library is asked for."""
    q, k, v = step.reads[:3]
    (b, t, n, h), (_, s, heads, _) = q.shape, k.shape
    operands = attention_operands(step)
    strides = {name: tuple(0 if m == 1 else d for m, d in zip(view.shape, view.strides))
               for name, view in operands.items()}
    masks = sum(Operand.MASK <= name <= Operand.MASK_3 for name in operands)
    attrs = step.node.attrs
    return Attention(dt.short_name(q.dtype), b, t, n, s, heads, h, v.shape[-1], strides, masks,
                     attrs["window"], attrs["scale"], step.backward)


def attention_room(step: AttentionStep) -> int:
    """Bytes of memory for the descriptor, and behind it for what the library wants."""
    return descriptor_bytes(Word.COUNT) + scratch_bytes(attention_of(step), pool.threads())

"""Expensive operations of long kernels, and of brief ones, as functions of their own.

Written out where it is used, a sine is forty instructions, and code generation takes time that
grows faster than the length of a loop's body. A kernel with many of them calls one function for
each kind instead: some cycles a call, and a fraction of the time to compile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from arraylib.backends.cpu import native
from arraylib.backends.cpu.emitter import Function, Reg, mangle
from arraylib.backends.cpu.kernel_fold import fold_lanes
from arraylib.dtypes import Dtype, short_name
from arraylib.hlo.ops import TABLE
from arraylib.tile.ir import Apply, Nest, Reduction, Statement, When

EXPENSIVE = frozenset(name for name, op in TABLE.items() if op.expensive)
MOST_INLINE = 8  # expensive operations of one kernel


def count_expensive(body: Sequence[Statement]) -> int:
    """How many expensive operations a block holds."""
    return sum(count_expensive(s.body) if isinstance(s, (Nest, When))
               else isinstance(s, Apply) and s.op in EXPENSIVE for s in body)


def emit_called(f: Function, op: str, dtype: Dtype, operands: Sequence[Reg],
                attrs: Mapping[str, Any], result: Dtype) -> Reg:
    """As `native.emit_elementwise`, in a function that is written the first time it is met."""
    types = [operand.type for operand in operands]
    facts = "".join(f"_{key}_{value}" for key, value in sorted(attrs.items()))
    name = "_".join(["op", op, short_name(dtype), short_name(result), *map(mangle, types)]) + facts
    def write(inner: Function, arguments: Sequence[Reg]) -> Reg:
        return native.emit_elementwise(inner, op, dtype, arguments, attrs, result)

    return _called(f, name, operands, write)


def fold_called(f: Function, reduction: Reduction, vectors: Sequence[Reg]) -> list[Reg]:
    """As `fold_lanes`, in a function of its own where that is one register."""
    if len(vectors) > 1:
        return fold_lanes(f, reduction, vectors)
    value, = reduction.values
    name = "_".join(["fold", reduction.op, short_name(value.dtype), mangle(vectors[0].type)])
    return [_called(f, name, vectors, lambda inner, arguments: fold_lanes(
        inner, reduction, arguments)[0])]


def _called(f: Function, name: str, operands: Sequence[Reg],
            write: Callable[[Function, Sequence[Reg]], Reg]) -> Reg:
    """Call a function that is written the first time it is met; what has no name is written out."""
    if not name.isidentifier():
        return write(f, operands)
    inner = f.module.named.get(name)
    if inner is None:
        inner = Function(f.module, name, [(x.type, f"x{i}") for i, x in enumerate(operands)])
        value = write(inner, inner.args)
        inner.ret(value)
        inner.result = value.type
    called = f.call(name, inner.result, operands)
    assert called is not None
    return called

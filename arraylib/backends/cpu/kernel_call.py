"""Expensive operations of long kernels as functions of their own.

Written out where it is used, a sine is forty instructions, and code generation takes time that
grows faster than the length of a loop's body. A kernel with many of them calls one function for
each kind instead: some cycles a call, and a fraction of the time to compile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from arraylib.backends.cpu import native
from arraylib.backends.cpu.emitter import Function, Reg, mangle
from arraylib.dtypes import Dtype, short_name
from arraylib.hlo.ops import TABLE
from arraylib.tile.ir import Apply, Nest, Statement, When

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
    if not name.isidentifier():
        return native.emit_elementwise(f, op, dtype, operands, attrs, result)
    inner = next((each for each in f.module.functions if each.name == name), None)
    if inner is None:
        inner = Function(f.module, name, [(type, f"x{i}") for i, type in enumerate(types)])
        value = native.emit_elementwise(inner, op, dtype, inner.args, attrs, result)
        inner.ret(value)
        inner.result = value.type
    called = f.call(name, inner.result, operands)
    assert called is not None
    return called

"""The routine `fft`: what to call, and its code."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.backends.cpu import pool, target
from arraylib.backends.cpu.fft.code import define
from arraylib.backends.cpu.fft.plan import plan
from arraylib.backends.cpu.routines.call import Call, symbol
from arraylib.backends.lower.plan import Buffer
from arraylib.hlo.ir import Type

__all__ = ["call", "define"]

_SERIAL_WORK = 200_000   # elementary operations: below, one thread is sooner done


def call(attrs: dict[str, Any], operands: Sequence[Type], results: Sequence[Type]) -> Call | None:
    """The call for numbers of any lengths but 0."""
    (x,), (out,) = operands, results
    if not x.size or not out.size:
        return None
    return _call(attrs["fft_type"], tuple(attrs["fft_length"]), x, target.vector_bytes(),
                 pool.threads())


@functools.lru_cache(maxsize=64)
def _call(kind: str, lengths: tuple[int, ...], x: Type, vector_bytes: int, threads: int) -> Call:
    real = dt.to_real(x.dtype)
    work = 5.0 * x.size * math.log2(max(2, math.prod(lengths)))
    program, table = plan(kind, lengths, x, vector_bytes // real.itemsize,
                          threads if work >= _SERIAL_WORK else 1)
    return Call(symbol("fft", dt.name(real)), program.numbers(), program.scratch, work,
                in_place=((0, 0),) if kind in ("FFT", "IFFT") else (),
                table=Buffer(Type(real, table.shape), table))

"""The bits of an array read as elements of another width."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError, Source, mistake
from arraylib.hlo.ir import Type
from arraylib.hlo.opdef import Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.numeric import bit_width, bitcast
from arraylib.hlo.ops.structured import F32


def _results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    op, (x,), dtype = "bitcast_regroup", types, attrs["dtype"]
    own, new = bit_width(x.dtype), bit_width(dtype)
    if dt.is_complex(x.dtype) != dt.is_complex(dtype):  # (C2)
        raise mistake(DtypeError, op, f"{dt.name(x.dtype)} to {dt.name(dtype)}", where=where,
                      operands=types, hint="complex numbers only to complex numbers")
    if own == new:
        raise mistake(DtypeError, op, f"{dt.name(x.dtype)} and {dt.name(dtype)} both have {own} "
                      "bits", where=where, operands=types, hint="bitcast_convert")
    if max(own, new) % min(own, new):
        raise mistake(DtypeError, op, f"{own} bits of {dt.name(x.dtype)} and {new} of "
                      f"{dt.name(dtype)}: neither is a multiple of the other", where=where,
                      operands=types, hint="a dtype whose bits divide the other's")
    if new < own:  # (C1)
        return (Type(dtype, (*x.shape, own // new)),)
    if not x.rank or x.shape[-1] * own != new:
        raise mistake(ShapeError, op, f"shape {x.shape}, whose last axis is to hold the {new} bits "
                      f"of {dt.name(dtype)} in parts of {own}", where=where, operands=types,
                      hint=f"a last axis of size {new // own}")
    return (Type(dtype, x.shape[:-1]),)


def _numpy(x: Any, *, dtype: np.dtype[Any]) -> Any:
    if bit_width(dtype) < bit_width(x.dtype):
        return bitcast(x[..., None], dtype)
    return bitcast(x, dtype)[..., 0]


bitcast_regroup: OpDef = OpDef(
    "bitcast_regroup", "The bits of x read as a dtype of another width, lowest bits first: the "
    "parts of an element along a new last axis if narrower, or the last axis as one if wider.",
    _numpy, results=_results, dtypes=ew.ANY, jvp=(None,),
    batch=lambda xs, has, size, *, dtype: bitcast_regroup(xs[0], dtype=dtype),
    constraints=(
        "Complex numbers become complex numbers, others others.",
        "The widths of the dtypes differ, and one is a multiple of the other.",
        "If the new dtype is the wider one, the last axis of x has as many elements as fit into "
        "it.",
        "The result has a last axis more, with the parts of an element, or one less."),
    examples=(Example((Type(F32, (2, 3)),), {"dtype": dt.uint8}),
              Example((Type(dt.uint16, (3, 2)),), {"dtype": dt.int32}),
              Example((Type(dt.uint8, (4,)),), {"dtype": F32}),
              Example((Type(dt.uint8, (3,)),), {"dtype": dt.int4})))

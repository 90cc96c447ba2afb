"""Routines of LAPACK in text: calls by the names that XLA's runtime has them under.

    lapack(%0) {routine=potrf}    ->    stablehlo.custom_call @lapack_spotrf_ffi(%0) {...}

LAPACK has matrices by columns, which the layouts of operands and results say.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Node, Type
from arraylib.hlo.mlir.attributes import Attribute, Dense, Dictionary, Integer
from arraylib.hlo.ops.foreign import OtherType
from arraylib.hlo.ops.lapack import PERMUTATION, Routine

_LETTERS = {"float32": "s", "float64": "d", "complex64": "c", "complex128": "z"}
_COUNTS = ("low", "high")  # settings that are numbers
ORDER_OF_PIVOTS = "arraylib.order_of_pivots"  # no routine of LAPACK's


def target_of(node: Node) -> str:
    """The name that text calls a node's routine by."""
    routine: Routine = node.attrs["routine"]
    if routine is PERMUTATION:
        return ORDER_OF_PIVOTS
    return f"lapack_{_LETTERS[dt.name(node.types[0].dtype)]}{routine.name}_ffi"


def properties_of(node: Node) -> dict[str, Attribute]:
    """The properties of the call, whose settings are what LAPACK takes: most are letters."""
    routine: Routine = node.attrs["routine"]
    rank = node.types[0].rank
    settings = tuple((name, _setting(routine, name, value))
                     for name, value in sorted(routine.settings))
    found: dict[str, Attribute] = {"call_target_name": target_of(node)}
    if routine is not PERMUTATION:
        found |= {"mhlo.backend_config": Dictionary(settings),
                  "operand_layouts": tuple(_layout(t, rank) for t in node.types),
                  "result_layouts": tuple(_layout(v.type, rank) for v in node.outputs)}
    return found


def _setting(routine: Routine, name: str, value: Any) -> Attribute:
    if isinstance(value, bool):
        return value
    return Integer(int(value), "i32") if name in _COUNTS else Integer(ord(routine.choice(name)),
                                                                      "ui8")


def _layout(type: Type, rank: int) -> Any:
    """The axes from the one whose elements are next to one another on; a matrix by columns."""
    axes = list(range(type.rank))[::-1]
    if type.rank == rank:
        axes[:2] = axes[1::-1]
    array = np.array(axes, np.int64)
    return Dense(array, OtherType(f"tensor<{len(axes)}xindex>", array.dtype, array.shape))

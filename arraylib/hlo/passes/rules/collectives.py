"""Collective operations by older names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arraylib.hlo.ir import type_of
from arraylib.hlo.mlir.operation import Region
from arraylib.hlo.mlir.shorthand import pairwise
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.passes.rules.operation import Foreign, Rule


def _sum(op: Foreign) -> Sequence[Any]:
    """An all_reduce that adds."""
    (x,) = op.arrays(1)
    region = Region(pairwise(ew.add, type_of(x).dtype))
    return op.read_as("stablehlo.all_reduce", [x], op.written, results=[type_of(x)],
                      regions=[region])


RULES: dict[str, Rule] = {"stablehlo.cross-replica-sum": _sum}

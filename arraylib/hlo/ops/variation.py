"""What may differ along the axis of a mesh, by the meaning that JAX gives to it.

Batching along the axis says which values differ. What `lax.pvary` gives, and all_gather, counts as
different from device to device, though it is the same: while this is asked, `telling()` is true.
Such an operation is nothing to compiled code, and is not in the table: batching leaves it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arraylib.hlo.ir import Node, type_of
from arraylib.hlo.opdef import SAME, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.lifted import cut_slice
from arraylib.hlo.ops.over_axis import telling
from arraylib.hlo.ops.shape import repeat_leading
from arraylib.hlo.ops.structured import reshape


def _over(batch: Any, node: Node, pairs: Sequence[tuple[Any, bool]],
          size: int) -> list[tuple[Any, bool]]:
    ((x, has),) = pairs
    if not telling() or has is not node.attrs["same"]:
        return [(x, has)]
    if not has:
        return [(repeat_leading(x, size), True)]
    return [(reshape(cut_slice(x, 0, 0, 1, 1), shape=type_of(x).shape[1:]), False)]


# Attributes: axis_name, axis_size; same: whether it counts as the same on all devices.
vary: OpDef = OpDef(
    "vary", "x, which counts as different along an axis, or as the same.", lambda x, **attrs: x,
    dtypes=ew.ANY, jvp=(SAME,), transpose=(lambda ct, x, **attrs: ct,), dialect="arraylib",
    batch=lambda xs, has, size, **attrs: vary(xs[0], **attrs), over_axis=_over,
    expand=lambda x, **attrs: x)

"""The largest elements of the last axis, and where they were."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError, Source, mistake
from arraylib.hlo.ir import Node, Type
from arraylib.hlo.opdef import Attrs, Example, OpDef
from arraylib.hlo.ops.numeric import total_order
from arraylib.hlo.ops.sort import take_along
from arraylib.hlo.ops.structured import F32


def _results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, Type]:
    (x,), k = types, attrs["k"]
    if not x.rank or not 0 <= k <= x.shape[-1]:
        raise mistake(ShapeError, "top_k", f"k = {k} of a shape {x.shape}", where=where,
                      operands=types, hint="at most the size of the last axis")
    if dt.is_complex(x.dtype):
        raise mistake(DtypeError, "top_k", "complex numbers have no order", where=where,
                      operands=types, hint="x.real, x.imag or abs(x)")
    shape = (*x.shape[:-1], k)
    return x.with_shape(shape), Type(dt.int32, shape)


_BLOCK = 1 << 18  # elements whose keys are sorted together: what a cache holds


def _descending(x: Any) -> Any:
    """Unsigned integers that ascend where x descends, in the total order of floats."""
    if dt.is_float(x.dtype) and dt.bits(x.dtype) >= 16:
        bits = x.view(f"i{x.itemsize}")
        keys = bits >> dt.bits(x.dtype) - 1  # all ones where x is negative
        keys |= np.iinfo(bits.dtype).min
        keys ^= bits
        return np.invert(keys, out=keys).view(f"u{x.itemsize}")
    if dt.is_float(x.dtype):
        x = total_order(x)
    elif dt.is_bool(x.dtype):
        x = x.view(np.uint8)
    elif dt.bits(x.dtype) < 8:
        x = x.astype(np.int8)
    if x.dtype.kind == "i":
        unsigned = x.view(f"u{x.itemsize}")
        x = unsigned ^ unsigned.dtype.type(1 << 8 * x.itemsize - 1)
    return ~x


def _places(rows: Any, k: int) -> Any:
    """Where the first k of each row are. Places are sorted with the elements, as their low bits."""
    keys, n = _descending(rows), rows.shape[-1]
    if keys.itemsize == 8:  # no room for a place
        return np.argsort(keys, axis=-1, kind="stable")[:, :k]
    keys = keys.astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= np.arange(n, dtype=np.uint64)
    if 0 < k < n:
        keys.partition(k - 1, axis=-1)
    return np.sort(keys[:, :k], axis=-1) & np.uint64(2**32 - 1)


def _top_k(x: Any, *, k: int) -> tuple[Any, Any]:
    """Of equals the first come first; as many rows at a time as a cache holds."""
    n = x.shape[-1]
    rows = np.ascontiguousarray(x).reshape(math.prod(x.shape[:-1]), n)
    order, step = np.empty((len(rows), k), np.int32), max(1, _BLOCK // max(n, 1))
    for first in range(0, len(rows), step):
        order[first:first + step] = _places(rows[first:first + step], k)
    order = order.reshape(*x.shape[:-1], k)
    return np.take_along_axis(x, order, axis=-1), order


def _jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    values, places = top_k(*primals, **node.attrs)
    rank = len(node.types[0].shape)
    return [(values, take_along(tangents[0], places, rank - 1)), (places, None)]


top_k: OpDef = OpDef(
    "top_k", "The k largest elements of the last axis, largest first, and their places as int32; "
    "of equals the first comes first, nan is the largest, -0 less than 0.",
    _top_k, results=_results, dtypes="biuf", dialect="chlo", multiple=True, jvp_node=_jvp,
    batch=lambda xs, has, size, *, k: top_k(xs[0], k=k), expensive=True,
    constraints=(
        "`k` is from 0 to the size of the last axis of x, which there must be.",
        "x is not complex.",
        "The results have x's shape with a last axis of size `k`, and the dtypes of x and int32."),
    examples=(Example((Type(F32, (3, 5)),), {"k": 2}), Example((Type(dt.int32, (6,)),), {"k": 6})))

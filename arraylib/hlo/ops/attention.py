"""Attention in one pass, its derivative forwards and backwards, without the matrix of all shares.

    logits = query key^T * scale + bias; LOWEST where a mask is false or the window ends
    shares = exp(logits - largest) / total; out = shares value

query [b, t, n, h], key [b, s, k, h], value [b, s, k, d], where n is a multiple of k and each key
head serves n / k query heads. Then come bias [b, n, t, s], if there is one, and masks; their axes
may be of size 1. Row i sees the columns from i - left to i + right, where `window` is (left,
right). out is [b, t, n, d]; largest and total are [b, n, t], in the dtype that sums are in.

A logit that is LOWEST counts as masked. A backend may leave out whole blocks of columns that the
window hides: nan behind it may or may not be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError, Source, mistake
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Graph, Node, Type, emit_like, trace_graph, type_of
from arraylib.hlo.opdef import Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import full_like, iota, zeros
from arraylib.hlo.ops.control import Pairs
from arraylib.hlo.ops.reduction import contract, reduce_maximum
from arraylib.hlo.ops.shape import repeat_leading
from arraylib.hlo.ops.structured import F32, broadcast_in_dim, reduce_add, reshape

LOWEST = -0.7 * float(np.finfo(np.float32).max)  # finite: a row all masked has no nan
UNLIMITED = 1 << 40  # of a window
MOST_MASKS = 3

# -- types -----------------------------------------------------------------------------------------


def extras(node_inputs: Sequence[Any], after: int) -> Sequence[Any]:
    """Bias and masks among the operands, of which `after` follow."""
    return node_inputs[3:len(node_inputs) - after]


def wide_dtype(type: Type) -> np.dtype[Any]:
    """The dtype in which sums are."""
    return dt.promote(type.dtype, dt.float32)


def _check(types: Sequence[Type], more: Sequence[Type], attrs: Attrs,
           where: Source | None) -> None:
    def refuse(error: type[Exception], problem: str) -> Exception:
        return mistake(error, "attention", problem, where=where, operands=types)

    q, k, v = types
    if any(x.rank != 4 for x in types):
        raise refuse(ShapeError, "query, key and value have four axes")
    if not dt.kind(q.dtype) == "f" or any(x.dtype != q.dtype for x in types):
        raise refuse(DtypeError, "query, key and value are floats of one dtype")
    (b, t, n, h), (_, s, heads, _), d = q.shape, k.shape, v.shape[-1]
    if k.shape != (b, s, heads, h) or v.shape != (b, s, heads, d) or not heads or n % heads:
        raise refuse(ShapeError, "query, key and value do not fit together")
    for i, x in enumerate(more):
        if x.rank != 4 or any(m not in (1, w) for m, w in zip(x.shape, (b, n, t, s))):
            raise refuse(ShapeError, f"{x.shape} does not spread to {(b, n, t, s)}")
        if x.dtype != (wide_dtype(q) if attrs["bias"] and i == 0 else dt.bool_):
            raise refuse(DtypeError, "bias is of the dtype of sums, masks are of bool")


def _results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
    _check(types[:3], types[3:], attrs, where)
    (b, t, n, _), d = types[0].shape, types[2].shape[-1]
    rows = Type(wide_dtype(types[0]), (b, n, t))
    return types[0].with_shape((b, t, n, d)), rows, rows


def _check_known(op: str, types: Sequence[Type], attrs: Attrs, where: Source | None,
                 more: Sequence[Type]) -> tuple[Type, ...]:
    """The results of attention among the operands, and `more` types after these."""
    count = len(types) - 3 - len(more)
    found = types[count:]
    if count < 3 + attrs["bias"]:
        raise mistake(ShapeError, op, f"{len(types)} operands are too few", where=where,
                      operands=types)
    results = _results(types[:count], attrs, where)
    for type, wanted in zip(found, (*results, *more)):
        if type != wanted:
            error = ShapeError if type.shape != wanted.shape else DtypeError
            raise mistake(error, op, f"{type} where {wanted} is needed", where=where,
                          operands=types)
    return results


def _tangent_results(types: Sequence[Type], attrs: Attrs,
                     where: Source | None) -> tuple[Type, ...]:
    return _check_known("attention_tangent", types, attrs, where, types[:3])[:1]


def _backward_results(types: Sequence[Type], attrs: Attrs,
                      where: Source | None) -> tuple[Type, ...]:
    _check_known("attention_backward", types, attrs, where, types[-4:-3])
    return tuple(types[:3])


# -- written out -----------------------------------------------------------------------------------

# Inside, heads of queries are [k, g]: matrices of logits are [b, k, g, t, s].


def _grouped(x: Any, heads: int) -> Any:
    b, t, n, h = type_of(x).shape
    return reshape(x, shape=(b, t, heads, n // heads, h))


def _spread(x: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    return broadcast_in_dim(x, shape=shape, broadcast_dimensions=axes)


def _over_logits(x: Any, shape: tuple[int, ...]) -> Any:
    """[b or 1, n or 1, t or 1, s or 1] as [b, k, g, t, s]."""
    b, k, g, t, s = shape
    found = _spread(x, (b, k * g, t, s), (0, 1, 2, 3))
    return reshape(found, shape=shape)


def _rows(x: Any, shape: tuple[int, ...]) -> Any:
    """[b, n, t] repeated over the columns of [b, k, g, t, s]."""
    return _spread(reshape(x, shape=shape[:4]), shape, (0, 1, 2, 3))


def _wide(x: Any) -> Any:
    dtype = wide_dtype(type_of(x))
    return x if type_of(x).dtype == dtype else ew.convert(x, dtype=dtype)


def _inside(shape: tuple[int, ...], window: tuple[int, int]) -> list[Any]:
    """Masks of the window's ends, where there are any."""
    (t, s), (left, right) = shape[3:], window
    if left >= UNLIMITED and right >= UNLIMITED:
        return []
    row, column = (iota(shape=(t, s), dimension=i, dtype=dt.int64) for i in (0, 1))
    found = []
    if right < UNLIMITED:
        limit = ew.add(row, full_like(row, right))
        found.append(ew.compare(column, limit, direction="LE"))
    if left < UNLIMITED:
        limit = ew.subtract(row, full_like(row, left))
        found.append(ew.compare(column, limit, direction="GE"))
    return [_spread(x, shape, (3, 4)) for x in found]


def _logits(q: Any, k: Any, more: Sequence[Any], attrs: Attrs) -> tuple[Any, list[Any]]:
    """The logits [b, k, g, t, s] and the masks over them."""
    heads = type_of(k).shape[2]
    logits = contract("btkgh,bskh->bkgts", _grouped(_wide(q), heads), _wide(k))
    logits = ew.multiply(logits, full_like(logits, attrs["scale"]))
    shape = type_of(logits).shape
    if attrs["bias"]:
        logits = ew.add(logits, _over_logits(more[0], shape))
    masks = [_over_logits(m, shape) for m in more[attrs["bias"]:]]
    masks += _inside(shape, attrs["window"])
    for mask in masks:
        logits = ew.select(mask, logits, full_like(logits, LOWEST))
    return logits, masks


def _written_out(q: Any, k: Any, v: Any, *more: Any, **attrs: Any) -> tuple[Any, ...]:
    logits, _ = _logits(q, k, more, attrs)
    shape = type_of(logits).shape
    largest = reduce_maximum(logits, dimensions=(4,))
    finite = ew.compare(largest, full_like(largest, -np.inf), direction="NE")
    largest = ew.select(finite, largest, full_like(largest, 0))
    powers = ew.exponential(ew.subtract(logits, _spread(largest, shape, (0, 1, 2, 3))))
    total = reduce_add(powers, dimensions=(4,))
    shares = ew.divide(powers, _spread(total, shape, (0, 1, 2, 3)))
    out = _values(shares, v, q)
    flat = [reshape(x, shape=(shape[0], shape[1] * shape[2], shape[3])) for x in (largest, total)]
    return out, *flat


def _values(shares: Any, v: Any, q: Any) -> Any:
    """The values, shared out, in the layout of the result."""
    b, t, n, _ = type_of(q).shape
    out = contract("bkgts,bskd->btkgd", shares, _wide(v))
    return _as_type(out, type_of(q).with_shape((b, t, n, type_of(v).shape[-1])))


def _as_type(x: Any, type: Type) -> Any:
    x = reshape(x, shape=type.shape)
    return x if type_of(x).dtype == type.dtype else ew.convert(x, dtype=type.dtype)


def _shares(q: Any, k: Any, more: Sequence[Any], attrs: Attrs, largest: Any,
            total: Any) -> tuple[Any, list[Any]]:
    """The shares, from what is known of their rows, and the masks."""
    logits, masks = _logits(q, k, more, attrs)
    shape = type_of(logits).shape
    powers = ew.exponential(ew.subtract(logits, _rows(largest, shape)))
    return ew.divide(powers, _rows(total, shape)), masks


def _less_mean(shares: Any, x: Any, mean: Any, masks: Sequence[Any], scale: float) -> Any:
    """shares (x - mean) * scale, 0 where masked: softmax's derivative, both ways.

    `mean` is that of each row of x, by shares.
    """
    less = ew.subtract(x, _spread(mean, type_of(x).shape, (0, 1, 2, 3)))
    found = ew.multiply(shares, less)
    found = ew.multiply(found, full_like(found, scale))
    return _unmasked(found, masks)


def _unmasked(x: Any, masks: Sequence[Any]) -> Any:
    for mask in masks:
        x = ew.select(mask, x, full_like(x, 0))
    return x


def _tangent(inputs: Sequence[Any], shares: Any, masks: Sequence[Any], scale: float,
             moved: Sequence[Any]) -> Any:
    """The tangent of the result from those of query, key and value."""
    q, k, v = inputs
    heads = type_of(k).shape[2]
    dq, dk, dv = (_wide(x) for x in moved)
    slope = ew.add(
        contract("btkgh,bskh->bkgts", _grouped(dq, heads), _wide(k)),
        contract("btkgh,bskh->bkgts", _grouped(_wide(q), heads), dk))
    slope = _unmasked(ew.multiply(slope, full_like(slope, scale)), masks)
    mean = reduce_add(ew.multiply(shares, slope), dimensions=(4,))
    first = _values(_less_mean(shares, slope, mean, (), 1.0), v, q)
    return ew.add(first, _values(shares, dv, q))


def _cotangents(inputs: Sequence[Any], out: Any, shares: Any, masks: Sequence[Any],
                scale: float, cotangent: Any) -> tuple[Any, ...]:
    """The cotangents of query, key and value from that of the result, `out`."""
    q, k, v = inputs
    heads = type_of(k).shape[2]
    ct = _grouped(_wide(cotangent), heads)
    mean = contract("btkgd,btkgd->bkgt", ct, _grouped(_wide(out), heads))
    slope = contract("btkgd,bskd->bkgts", ct, _wide(v))
    slope = _less_mean(shares, slope, mean, masks, scale)
    found = (contract("bkgts,bskh->btkgh", slope, _wide(k)),
             contract("bkgts,btkgh->bskh", slope, _grouped(_wide(q), heads)),
             contract("bkgts,btkgd->bskd", shares, ct))
    return tuple(_as_type(x, type_of(y)) for x, y in zip(found, (q, k, v)))


def _tangent_written_out(*xs: Any, **attrs: Any) -> Any:
    *_, largest, total, dq, dk, dv = xs
    shares, masks = _shares(xs[0], xs[1], extras(xs, 6), attrs, largest, total)
    return _tangent(xs[:3], shares, masks, attrs["scale"], (dq, dk, dv))


def _backward_written_out(*xs: Any, **attrs: Any) -> tuple[Any, ...]:
    *_, out, largest, total, cotangent = xs
    shares, masks = _shares(xs[0], xs[1], extras(xs, 4), attrs, largest, total)
    return _cotangents(xs[:3], out, shares, masks, attrs["scale"], cotangent)


def _meaning(written_out: Callable[..., Any]) -> Callable[..., Any]:
    """What the operations that it is written in mean."""
    def numpy(query: Any, key: Any, value: Any, *more: Any, **attrs: Any) -> Any:
        xs = query, key, value, *more
        found = interpret(_graph(written_out, [type_of(x) for x in xs], attrs), xs)
        return found if len(found) > 1 else found[0]
    return numpy


def _graph(function: Callable[..., Any], types: Sequence[Type], attrs: Attrs) -> Graph:
    def flat(*xs: Any) -> Sequence[Any]:
        found = function(*xs, **attrs)
        return found if isinstance(found, tuple) else (found,)
    return trace_graph(types, flat)


# -- derivatives -----------------------------------------------------------------------------------


def _jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    """By `attention_tangent`, unless the bias has a tangent as well.

    The tangents of `largest` and `total` are those of what they are written out in; as a rule
    nobody needs them, and they are left out.
    """
    outs = emit_like(node, list(primals))
    found = _tangents(_written_out, jvp, node, primals, tangents)
    if all(t is None for t in tangents[3:]):
        moved = [zeros(type_of(x)) if t is None else t for x, t in zip(primals, tangents[:3])]
        found[0] = attention_tangent(*primals, *outs, *moved, **node.attrs)
    return list(zip(outs, found))


def _jvp_written_out(function: Callable[..., Any]) -> Callable[..., Pairs]:
    """The derivative of the operations that it is written in."""
    def rule(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
        return list(zip(emit_like(node, list(primals)),
                        _tangents(function, jvp, node, primals, tangents)))
    return rule


def _tangents(function: Callable[..., Any], jvp: Any, node: Node, primals: Sequence[Any],
              tangents: Sequence[Any]) -> list[Any]:
    pairs = jvp(_graph(function, node.types, node.attrs), primals, tangents)
    return [tangent for _, tangent in pairs]


def _tangent_transpose(transpose: Any, node: Node, linear: Sequence[bool],
                       cotangents: Sequence[Any]) -> list[Any]:
    found = attention_backward(*node.inputs[:-3], cotangents[0], **node.attrs)
    return [ct for ct, wanted in zip(found, linear[-3:]) if wanted]


# -- batches ---------------------------------------------------------------------------------------


def _batch(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    """The new axis and the batch as one."""
    b = node.types[0].shape[0]
    merged = [_merged(x, has, size, b) for x, has in pairs]
    outs = emit_like(node, merged)
    return [(reshape(out, shape=(size, *v.type.shape)), True)
            for out, v in zip(outs, node.outputs)]


def _merged(x: Any, has: bool, size: int, b: int) -> Any:
    shape = type_of(x).shape
    if not has:
        if shape[0] == 1 and b != 1:
            return x
        x, shape = repeat_leading(x, size), (size, *shape)
    if shape[1] != b:
        target = (size, b, *shape[2:])
        x, shape = _spread(x, target, tuple(range(len(target)))), target
    return reshape(x, shape=(size * b, *shape[2:]))


_QUERY, _KEY, _VALUE = Type(F32, (2, 3, 4, 2)), Type(F32, (2, 5, 2, 2)), Type(F32, (2, 5, 2, 3))
_BIAS, _MASK = Type(F32, (1, 4, 3, 5)), Type(np.dtype(bool), (2, 1, 3, 5))
_OUT, _ROWS = Type(F32, (2, 3, 4, 3)), Type(F32, (2, 4, 3))


def _examples(*after: Type) -> tuple[Example, ...]:
    """Grouped heads, with a bias and a mask, and in a window; `after` come the other operands."""
    inputs = _QUERY, _KEY, _VALUE
    return (Example((*inputs, *after),
                    {"scale": 0.7, "window": (UNLIMITED, UNLIMITED), "bias": False}),
            Example((*inputs, _BIAS, _MASK, *after),
                    {"scale": 1.0, "window": (UNLIMITED, UNLIMITED), "bias": True}),
            Example((*inputs, *after), {"scale": 0.5, "window": (1, 1), "bias": False}))


# Attributes: scale, a float; window, (left, right), how far a row sees, UNLIMITED for no end; bias,
# whether the fourth operand is one.
attention = OpDef(
    "attention", "Values, each row with its own shares of them: softmax(query key^T) value; and "
    "of each row of logits the largest, and the sum of the powers that shares are made of.",
    _meaning(_written_out), results=_results, dtypes="f", mixed=True, multiple=True,
    expensive=True, dialect="arraylib", jvp_node=_jvp, batch_node=_batch, expand=_written_out,
    constraints=(
        "query, key and value are floats of one dtype.",
        "query is [b, t, n, h], key [b, s, k, h] and value [b, s, k, d]; n is a multiple of k.",
        "Bias and masks have four axes, each of size 1 or that of [b, n, t, s].",
        "The bias is of the dtype of sums, float32 or wider; masks are bool.",
        "The results are [b, t, n, d] in the dtype of query, and [b, n, t] twice in that of sums."),
    examples=_examples())

# Operands: those of attention, its results, tangents of query, key and value.
attention_tangent = OpDef(
    "attention_tangent", "The tangent of attention's first result.",
    _meaning(_tangent_written_out), results=_tangent_results, dtypes="f", mixed=True,
    expensive=True, dialect="arraylib",
    jvp_node=_jvp_written_out(_tangent_written_out), transpose_node=_tangent_transpose,
    batch_node=_batch, expand=_tangent_written_out, domain=(0.5, 2.0), tolerance=5e-6,
    constraints=("The operands are those of attention, its results, and tangents of the types of "
                 "query, key and value.", "The result is of the type of attention's first."),
    examples=_examples(_OUT, _ROWS, _ROWS, _QUERY, _KEY, _VALUE))

# Operands: those of attention, its results, the cotangent of the first.
attention_backward = OpDef(
    "attention_backward", "The cotangents of query, key and value.",
    _meaning(_backward_written_out), results=_backward_results, dtypes="f", mixed=True,
    multiple=True, expensive=True, dialect="arraylib",
    jvp_node=_jvp_written_out(_backward_written_out), batch_node=_batch,
    expand=_backward_written_out, domain=(0.5, 2.0), tolerance=5e-6,
    constraints=("The operands are those of attention, its results, and a cotangent of the type of "
                 "the first.", "The results are of the types of query, key and value."),
    examples=_examples(_OUT, _ROWS, _ROWS, _OUT))

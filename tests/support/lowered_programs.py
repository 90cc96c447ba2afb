"""Graphs that tests lower: name -> (function of values, operand types)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops import (
    TABLE,
    constant as c,
    control,
    dynamic,
    elementwise as ew,
    indexed,
    loop,
    reduction as rd,
    shape as sh,
    structured as st,
)

Program = tuple[Callable[..., list[Any]], tuple[Type, ...]]


def f32(*shape: int) -> Type:
    return Type(dt.float32, shape)


def i32(*shape: int) -> Type:
    return Type(dt.int32, shape)


def number(like: Any, value: float) -> Any:
    return c.full_like(like, value)


def along(x: Any, like: Any, *axes: int) -> Any:
    return st.broadcast_in_dim(x, shape=like.type.shape, broadcast_dimensions=axes)


def softmax(x: Any, axis: int = -1) -> list[Any]:
    over = (axis % x.type.rank,)
    highest = rd.reduce_maximum(x, dimensions=over)
    e = ew.exponential(ew.subtract(x, st.spread(highest, x, over)))
    return [ew.divide(e, st.spread(st.reduce_add(e, dimensions=over), x, over))]


def log_sum_exp(x: Any) -> list[Any]:
    over = (x.type.rank - 1,)
    highest = rd.reduce_maximum(x, dimensions=over)
    e = ew.exponential(ew.subtract(x, st.spread(highest, x, over)))
    return [ew.add(ew.log(st.reduce_add(e, dimensions=over)), highest)]


def mean(x: Any, over: tuple[int, ...]) -> Any:
    total = st.reduce_add(x, dimensions=over)
    return ew.divide(total, number(total, x.type.size // max(total.type.size, 1)))


def layer_norm(x: Any, scale: Any, bias: Any) -> list[Any]:
    over = (x.type.rank - 1,)
    mu = mean(x, over)
    centred = ew.subtract(x, st.spread(mu, x, over))
    variance = mean(ew.multiply(centred, centred), over)
    r = ew.rsqrt(ew.add(variance, number(variance, 1e-5)))
    normal = ew.multiply(centred, st.spread(r, x, over))
    y = ew.add(ew.multiply(normal, along(scale, x, *over)), along(bias, x, *over))
    return [y, mu, r]


def layer_norm_backward(x: Any, mu: Any, r: Any, scale: Any, ct: Any) -> list[Any]:
    over = (x.type.rank - 1,)
    rows = tuple(range(x.type.rank - 1))
    normal = ew.multiply(ew.subtract(x, st.spread(mu, x, over)), st.spread(r, x, over))
    d_normal = ew.multiply(ct, along(scale, x, *over))
    first = st.spread(mean(d_normal, over), x, over)
    second = st.spread(mean(ew.multiply(d_normal, normal), over), x, over)
    inner = ew.subtract(ew.subtract(d_normal, first), ew.multiply(normal, second))
    d_x = ew.multiply(inner, st.spread(r, x, over))
    return [d_x, st.reduce_add(ew.multiply(ct, normal), dimensions=rows),
            st.reduce_add(ct, dimensions=rows)]


def gelu(x: Any) -> list[Any]:
    cube = ew.multiply(x, ew.multiply(x, x))
    inner = ew.multiply(number(x, 0.79788456), ew.add(x, ew.multiply(number(x, 0.044715), cube)))
    return [ew.multiply(ew.multiply(x, number(x, 0.5)), ew.add(ew.tanh(inner), number(x, 1)))]


def causal(x: Any) -> list[Any]:
    n = x.type.shape[-1]
    i, j = (c.iota(shape=(n, n), dimension=d, dtype=dt.int32) for d in (0, 1))
    mask = along(ew.compare(i, j, direction="GE"), x, x.type.rank - 2, x.type.rank - 1)
    return softmax(ew.select(mask, x, number(x, -1e9)))


def views(x: Any) -> list[Any]:
    rows, columns = x.type.shape
    return [st.transpose(x, permutation=(1, 0)), sh.reverse(x, dimensions=(0,)),
            sh.reverse(x, dimensions=(1,)),
            sh.slice_(x, start=(1, 0), limit=(rows - 1, columns), strides=(1, 2)),
            st.reshape(st.transpose(x, permutation=(1, 0)), shape=(x.type.size,)), x,
            st.reshape(x, shape=(x.type.size,)), c.full((2, 3), 4.0, dt.float32),
            c.iota(shape=(3, 4), dimension=1, dtype=dt.float32)]


def places(x: Any) -> list[Any]:
    return [rd.argmax(x, dimensions=(1,), dtype=dt.int32),
            rd.argmin(x, dimensions=(0,), dtype=dt.int64),
            rd.argmax(ew.sine(x), dimensions=(1,), dtype=dt.int32)]


def dense_layer(x: Any, w: Any, b: Any) -> list[Any]:
    y = rd.contract("bk,kn->bn", x, w)
    h = ew.maximum(ew.add(y, along(b, y, 1)), number(y, 0))
    return [h, rd.contract("bk,bn->nk", x, h), st.reduce_add(h, dimensions=(0,))]


def attention(q: Any, k: Any, v: Any) -> list[Any]:
    """Heads split off a last axis by reshape and transpose, and joined again."""
    b, t, width = q.type.shape
    heads = lambda x: st.transpose(st.reshape(x, shape=(b, t, 2, width // 2)),
                                   permutation=(0, 2, 1, 3))
    scores = rd.contract("bhid,bhjd->bhij", heads(q), heads(k))
    weights = causal(ew.multiply(scores, number(scores, 0.25)))[0]
    found = rd.contract("bhij,bhjd->bhid", weights, heads(v))
    return [st.reshape(st.transpose(found, permutation=(0, 2, 1, 3)), shape=(b, t, width))]


def joins(x: Any, y: Any) -> list[Any]:
    value = np.float32(2)
    return [sh.concatenate(ew.sine(x), y, x, dimension=1),
            sh.pad(x, value, low=(1, -1), high=(0, 2), interior=(0, 0)),
            sh.pad(x, value, low=(1, -1), high=(-1, 2), interior=(2, 1)),
            sh.pad(x, value, low=(-2, 0), high=(0, 0), interior=(1, 0))]


def slices(x: Any, i: Any, j: Any, u: Any) -> list[Any]:
    at = ew.add(ew.multiply(i, j), i)
    return [dynamic.dynamic_slice(x, at, j, sizes=(2, 3)),
            ew.sine(dynamic.dynamic_slice(ew.cosine(x), i, j, sizes=(1, 4))),
            dynamic.dynamic_update_slice(x, u, at, j),
            ew.add(dynamic.dynamic_update_slice(ew.sine(x), u, i, j), x)]


def stencil(x: Any) -> list[Any]:
    """The inside of an array computed of its neighbours; the border stays."""
    n, m = x.type.shape
    part = lambda i, j: sh.slice_(x, start=(i, j), limit=(n - 2 + i, m - 2 + j), strides=(1, 1))
    inside = ew.add(ew.add(part(0, 1), part(2, 1)), ew.add(part(1, 0), part(1, 2)))
    one = c.full((), 1, dt.int32)
    return [dynamic.dynamic_update_slice(x, ew.multiply(inside, number(inside, 0.25)), one, one)]


def known_windows(x: Any, u: Any) -> list[Any]:
    """Windows whose places are numbers of the program, some of them out of bounds."""
    at = lambda i: c.full((), i, dt.int32)
    put = lambda y, i, j: dynamic.dynamic_update_slice(y, u, at(i), at(j))
    whole = dynamic.dynamic_update_slice(x, ew.sine(x), at(3), at(-1))
    return [put(x, 0, 0), put(x, -5, 99), put(put(x, 1, 0), 0, 2), put(ew.sine(x), 0, 1), whole]


def rows_of(table: Any, ids: Any, updates: Any) -> list[Any]:
    """An embedding: rows read, and added up where they were read."""
    dims = {"index_vector_dim": 1}
    found = indexed.gather(table, ids, offset_dims=(1,), collapsed_slice_dims=(0,),
                           operand_batching_dims=(), start_indices_batching_dims=(),
                           start_index_map=(0,), slice_sizes=(1, table.type.shape[1]), **dims)
    scattered = [indexed.scatter(
        table, ids, updates, kind=kind, update_window_dims=(1,), inserted_window_dims=(0,),
        input_batching_dims=(), scatter_indices_batching_dims=(),
        scatter_dims_to_operand_dims=(0,), unique_indices=False, **dims)
        for kind in ("add", "set", "maximum")]
    return [ew.sine(found), *scattered]


def taken_along(x: Any, ids: Any) -> list[Any]:
    """take_along_axis: each row has places of its own; and single elements added up."""
    x1 = ew.multiply(x, x)
    index = st.reshape(ids, shape=(*ids.type.shape, 1))
    found = indexed.gather(x1, index, offset_dims=(), collapsed_slice_dims=(1,),
                           operand_batching_dims=(0,), start_indices_batching_dims=(0,),
                           start_index_map=(1,), index_vector_dim=2, slice_sizes=(1, 1))
    scattered = indexed.scatter(
        x, index, found, kind="add", update_window_dims=(), inserted_window_dims=(1,),
        input_batching_dims=(0,), scatter_indices_batching_dims=(0,),
        scatter_dims_to_operand_dims=(1,), index_vector_dim=2, unique_indices=False)
    return [found, scattered]


def halves(x: Any) -> list[Any]:
    narrow = ew.convert(x, dtype=dt.bfloat16)
    y = ew.exponential(ew.multiply(narrow, narrow))
    total = st.reduce_add(y, dimensions=(1,))
    return [y, total, ew.convert(ew.convert(x, dtype=dt.float16), dtype=dt.float32),
            rd.reduce_maximum(y, dimensions=(0,))]


def integers(x: Any) -> list[Any]:
    small = ew.convert(x, dtype=dt.int8)
    odd = ew.compare(ew.and_(x, number(x, 1)), number(x, 1), direction="EQ")
    return [ew.multiply(small, small), rd.reduce_and(odd, dimensions=(1,)),
            rd.reduce_or(odd, dimensions=(0,)), st.reduce_add(x, dimensions=(0, 1)),
            ew.convert(odd, dtype=dt.float32), rd.reduce_minimum(small, dimensions=(0,)),
            ew.remainder(x, number(x, 3)), rd.reduce_multiply(x, dimensions=(1,))]


def barrier(x: Any) -> list[Any]:
    y, z = control.optimization_barrier(ew.sine(x), x)
    return [ew.add(ew.cosine(y), z)]


def many_uses(x: Any, y: Any) -> list[Any]:
    """Values used inside and outside of groups, and a reduction of what another one gives."""
    a = ew.add(x, y)
    s = st.reduce_add(a, dimensions=(1,))
    t = rd.reduce_maximum(ew.sine(s), dimensions=(0,))
    shifted = ew.subtract(a, along(t, a))
    return [a, s, t, shifted, st.transpose(ew.multiply(a, shifted), permutation=(1, 0)),
            rd.reduce_maximum(ew.multiply(a, a), dimensions=(0,))]


def two_sums(x: Any, y: Any) -> list[Any]:
    """Rows and columns of one array: two kernels, whichever comes first."""
    z = ew.multiply(x, y)
    return [st.reduce_add(z, dimensions=(0,)), st.reduce_add(z, dimensions=(1,)),
            st.reduce_add(z, dimensions=(0, 1))]


def empties(x: Any) -> list[Any]:
    none = sh.slice_(x, start=(0, 2), limit=(x.type.shape[0], 2), strides=(1, 1))
    return [none, ew.sine(none), st.reduce_add(none, dimensions=(1,)),
            sh.concatenate(none, x, dimension=1), rd.contract("ij,kj->ik", none, none)]


def complex_parts(x: Any) -> list[Any]:
    z = ew.complex_(x, ew.sine(x))
    return [ew.multiply(z, z), ew.imag(z), ew.add(ew.real(z), x)]


def sorted_rows(x: Any) -> list[Any]:
    (y,) = TABLE["sort"](ew.negate(x), dimension=1, num_keys=1)
    return [ew.negate(y)]


def loops(x: Any, n: Any) -> list[Any]:

    row = x.type.with_shape(x.type.shape[1:])
    body = trace_graph([row, row, row], lambda w, carry, v: [
        ew.add(ew.multiply(carry, w), v), ew.sine(carry), w])
    last, ys, ws = loop.scan(number(row_of(x), 0.5), row_of(x), x, body=body, consts=1, carry=1,
                             length=x.type.shape[0], reverse=True)
    cond = trace_graph([i32(), row], lambda i, v: [ew.compare(i, number(i, 0), direction="GT")])
    step = trace_graph([i32(), row], lambda i, v: [ew.subtract(i, number(i, 1)), ew.add(v, v)])
    _, doubled = control.while_(n, last, cond=cond, body=step, cond_consts=0, body_consts=0)
    branches = (trace_graph([row], lambda v: [ew.negate(v)]), trace_graph([row], lambda v: [v]))
    (chosen,) = control.case(n, doubled, branches=branches)
    return [last, ys, ws, chosen]


def row_of(x: Any) -> Any:
    first = sh.slice_(x, start=(0, 0), limit=(1, x.type.shape[1]), strides=(1, 1))
    return st.reshape(first, shape=x.type.shape[1:])


PROGRAMS: dict[str, Program] = {
    "softmax": (softmax, (f32(9, 40),)),
    "softmax of 3 axes": (softmax, (f32(2, 3, 17),)),
    "softmax of columns": (lambda x: softmax(x, 0), (f32(30, 21),)),
    "softmax of the middle": (lambda x: softmax(x, 1), (f32(3, 10, 19),)),
    "softmax of long rows": (softmax, (f32(2, 20000),)),
    "log sum exp": (log_sum_exp, (f32(5, 33),)),
    "layer norm": (layer_norm, (f32(4, 3, 48), f32(48), f32(48))),
    "layer norm backward": (layer_norm_backward,
                            (f32(40, 48), f32(40), f32(40), f32(48), f32(40, 48))),
    "gelu": (gelu, (f32(100, 300),)),
    "sum of squares": (lambda x: [st.reduce_add(ew.multiply(x, x), dimensions=(0, 1))],
                       (f32(64, 1030),)),
    "sum of columns": (lambda x: [st.reduce_add(ew.multiply(x, x), dimensions=(0,))],
                       (f32(512, 300),)),
    "turned": (lambda x: [st.transpose(x, permutation=(1, 0))], (f32(70, 133),)),
    "turned in blocks": (lambda x: [st.transpose(x, permutation=(1, 0))], (f32(129, 400),)),
    "turned in the middle": (lambda x, y: [ew.add(st.transpose(x, permutation=(0, 2, 1, 3)), y)],
                             (f32(2, 33, 5, 16), f32(2, 5, 33, 16))),
    "turned and added": (lambda x, y: [ew.add(st.transpose(x, permutation=(0, 2, 1)), ew.sine(y))],
                         (f32(2, 100, 36), f32(2, 36, 100))),
    "turned narrow": (lambda x: [st.transpose(ew.convert(x, dtype=dt.bfloat16),
                                              permutation=(1, 0))], (f32(80, 40),)),
    "every other": (lambda x: [ew.sine(sh.slice_(x, start=(0, k), limit=x.type.shape,
                                                 strides=(1, 2 + k))) for k in (0, 1, 2)],
                    (f32(3, 200),)),
    "side by side": (lambda x, y: [st.reshape(sh.concatenate(
        st.reshape(x, shape=(300, 1)), st.reshape(ew.sine(y), shape=(300, 1)), dimension=1),
        shape=(600,))], (f32(300), f32(300))),
    "sums of few": (lambda x: [st.reduce_add(x, dimensions=(1,)), rd.reduce_maximum(
        x, dimensions=(1,))], (f32(333, 3),)),
    "three channels": (lambda x, y: [ew.add(x, along(y, x, 2)), st.transpose(
        ew.sine(x), permutation=(0, 2, 1))], (f32(2, 2100, 3), f32(3))),
    "turned and much done": (lambda x, y: [gelu(ew.add(st.transpose(
        x, permutation=(1, 0)), y))[0], ew.compare(st.transpose(x, permutation=(1, 0)), y,
        direction="LT")], (f32(35, 70), f32(70, 35))),
    "few columns": (lambda x: [st.reduce_add(x, dimensions=(0,))], (f32(5, 7),)),
    "short rows": (lambda x: [mean(x, (1,))], (f32(100, 3),)),
    "highest of the middle": (lambda x: [rd.reduce_maximum(x, dimensions=(1,))], (f32(5, 7, 33),)),
    "first and last axes": (lambda x: [st.reduce_add(x, dimensions=(0, 2))], (f32(6, 7, 33),)),
    "causal": (causal, (f32(2, 3, 32, 32),)),
    "views": (views, (f32(5, 6),)),
    "places": (places, (f32(7, 30),)),
    "places of few": (places, (f32(3, 2),)),
    "dense layer": (dense_layer, (f32(4, 5), f32(5, 6), f32(6))),
    "attention": (attention, (f32(2, 8, 12),) * 3),
    "joins": (joins, (f32(3, 4), f32(3, 2))),
    "slices": (slices, (f32(5, 6), i32(), i32(), f32(2, 3))),
    "stencil": (stencil, (f32(20, 37),)),
    "known windows": (known_windows, (f32(3, 8), f32(2, 5))),
    "known windows in much": (known_windows, (f32(30, 8), f32(2, 5))),
    "rows of": (rows_of, (f32(6, 20), i32(9, 1), f32(9, 20))),
    "taken along": (taken_along, (f32(6, 20), i32(6, 33))),
    "taken along much": (taken_along, (f32(400, 50), i32(400, 90))),
    "rows of much": (rows_of, (f32(60, 700), i32(90, 1), f32(90, 700))),
    "slices of much": (slices, (f32(150, 300), i32(), i32(), f32(120, 280))),
    "halves": (halves, (f32(7, 37),)),
    "integers": (integers, (i32(6, 19),)),
    "barrier": (barrier, (f32(33),)),
    "many uses": (many_uses, (f32(8, 9), f32(8, 9))),
    "two sums": (two_sums, (f32(12, 35), f32(12, 35))),
    "empties": (empties, (f32(3, 4),)),
    "complex parts": (complex_parts, (f32(3, 4),)),
    "sorted rows": (sorted_rows, (f32(3, 14),)),
    "loops": (loops, (f32(4, 18), i32())),
    "one number": (lambda x: [ew.add(x, x), st.reshape(x, shape=(1, 1))], (f32(),)),
    "nothing to do": (lambda x: [x, x], (f32(3),)),
}

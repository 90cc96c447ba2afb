"""Windows that slide over an array: folded by any body, or choosing where a source goes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ShapeError, Source, mistake
from arraylib.hlo.ir import Graph, Node, Type, emit_like, trace_graph, type_of
from arraylib.hlo.opdef import Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import constant, full, full_like, iota
from arraylib.hlo.ops.control import fill, run_inside, stop_gradient
from arraylib.hlo.ops.general import Pairs, add_body, differentiate_expansion, with_inits
from arraylib.hlo.ops.general_scatter import scatter_by, scatter_with
from arraylib.hlo.ops.lifted import (
    ARRAYS,
    VALUES,
    Medium,
    accumulators,
    as_dtype,
    check_signature,
    expansion,
    fold_windows,
    single_op,
)
from arraylib.hlo.ops.shape import pad, repeat_leading
from arraylib.hlo.ops.structured import F32
from arraylib.record import record

Ints = tuple[int, ...]
Padding = tuple[tuple[int, int], ...]

# -- windows ---------------------------------------------------------------------------------------


def dilated(n: int, distance: int) -> int:
    """How far n elements reach that stand at this distance."""
    return (n - 1) * distance + 1 if n else 0


def window_count(n: int, padding: tuple[int, int], base: int, size: int, dilation: int,
                 stride: int) -> int:
    """How many windows there are along an axis of n elements: StableHLO's `num_windows`."""
    room, reach = padding[0] + dilated(n, base) + padding[1], dilated(size, dilation)
    return 0 if room <= 0 or reach > room else (room - reach) // stride + 1


def transposed_padding(n: int, padding: tuple[int, int], base: int, size: int, dilation: int,
                       stride: int) -> tuple[int, int]:
    """The padding of a window operation that goes back from the windows to the n elements.

    Strides and base dilations change places, and a window starts as far before an element as the
    last window does that has it.
    """
    count = window_count(n, padding, base, size, dilation, stride)
    reach = dilated(size, dilation)
    low = reach - 1 - padding[0]
    return low, dilated(n, base) + reach - 1 - low - dilated(count, stride)


@record
class _Windows:
    """The attributes: one number, of padding two, for each axis of the array.

    base_dilations: the distance of the array's elements, padding going between them.
    window_dilations: the distance of the elements of a window.
    """

    window_dimensions: Ints
    window_strides: Ints
    base_dilations: Ints
    window_dilations: Ints
    padding: Padding

    def along(self, shape: Ints) -> Iterator[tuple[int, tuple[int, int], int, int, int, int]]:
        """For each axis: elements, padding, base dilation, size, dilation, stride."""
        return zip(shape, self.padding, self.base_dilations, self.window_dimensions,
                   self.window_dilations, self.window_strides)

    def counts(self, shape: Ints) -> Ints:
        return tuple(window_count(*axis) for axis in self.along(shape))


def _windows(attrs: Attrs) -> _Windows:
    """The windows that attributes describe; select_and_scatter has no dilations."""
    ones = (1,) * len(attrs["window_dimensions"])
    return _Windows(attrs["window_dimensions"], attrs["window_strides"],
                    attrs.get("base_dilations", ones), attrs.get("window_dilations", ones),
                    attrs["padding"])


def _with_axis(attrs: Attrs) -> Attrs:
    """The attributes for arrays with a new leading axis, along which a window is one wide."""
    numbers = {name: (1, *attrs[name]) for name in _NUMBERS if name in attrs}
    return {**attrs, **numbers, "padding": ((0, 0), *attrs["padding"])}


_NUMBERS = ("window_dimensions", "window_strides", "base_dilations", "window_dilations")


def _check_windows(op: str, types: Sequence[Type], attrs: Attrs, where: Source | None) -> None:
    """As many numbers as axes, all positive (C4 to C12)."""
    rank = types[0].rank
    for name in _NUMBERS:
        values = attrs.get(name, (1,) * rank)
        if len(values) != rank or min(values, default=1) < 1:
            raise mistake(ShapeError, op, f"{name} {values} for {rank} axes", where=where,
                          operands=types, hint="one positive number an axis")
    padding = attrs["padding"]
    if len(padding) != rank or any(len(pair) != 2 for pair in padding):
        raise mistake(ShapeError, op, f"padding {padding} for {rank} axes", where=where,
                      operands=types, hint="a pair (low, high) an axis")


# -- reduce_window ---------------------------------------------------------------------------------


def _reduce_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
    xs, _ = with_inits("reduce_window", types, where)
    _check_windows("reduce_window", xs, attrs, where)
    dtypes = accumulators("reduce_window", "the body", attrs["body"], xs, where)
    shape = _windows(attrs).counts(xs[0].shape)
    return tuple(Type(d, shape) for d in dtypes)


def _reduce_window(medium: Medium, *operands: Any, body: Graph, **attrs: Any) -> Sequence[Any]:
    """Fold along one axis after the other, the last first, so that the order is kept."""
    w, k = _windows(attrs), len(operands) // 2
    dtypes = [t.dtype for t in body.output_types]
    xs, inits = ([medium.convert(x, d) for x, d in zip(part, dtypes)]
                 for part in (operands[:k], operands[k:]))
    shape = w.counts(type_of(xs[0]).shape)
    first = [medium.spread(x, shape) for x in inits]
    if 0 in shape:
        return first
    xs, combine = [_padded(medium, x, init, w) for x, init in zip(xs, inits)], medium.combine(body)
    for axis in reversed(range(len(shape))):
        window = w.window_dimensions[axis], w.window_strides[axis], w.window_dilations[axis]
        if window[:2] != (1, 1):
            xs = list(fold_windows(xs, axis, window, combine, medium.cut))
    return combine(first, xs)


def _padded(medium: Medium, x: Any, value: Any, w: _Windows) -> Any:
    low, high = (tuple(pair[i] for pair in w.padding) for i in range(2))
    interior = tuple(d - 1 for d in w.base_dilations)
    if not any((*low, *high, *interior)):
        return x
    return medium.apply(pad, x, value, low=low, high=high, interior=interior)


_WINS = {ew.maximum: "GE", ew.minimum: "LE"}
_LOSES = {ew.maximum: -math.inf, ew.minimum: math.inf}  # not in floats of 8 bits


def _reduce_jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    """Sums are linear; of extremes the first place that holds it has the tangent."""
    op = single_op(node.attrs["body"])
    if op is ew.add:
        (out,), (t,) = emit_like(node, primals), emit_like(
            node, [fill(t, type_of(x)) for x, t in zip(primals, tangents)])
        return [(out, t)]
    if op in _WINS and tangents[1] is None and dt.bits(node.outputs[0].type.dtype) > 8:
        (out,) = emit_like(node, primals)
        return [(out, _tangent_of_winner(node, op, out, primals[0], tangents[0]))]
    return differentiate_expansion(jvp, node, primals, tangents)


def _tangent_of_winner(node: Node, op: OpDef, out: Any, x: Any, t: Any) -> Any:
    """The tangent where the winner is, if it wins over the initial value too."""
    dtype = type_of(out).dtype
    x, t = (as_dtype(v, dtype) for v in (stop_gradient(x), t))
    place, zero = _index_dtype(type_of(x)), full((), 0, dtype)
    numbers = {name: node.attrs[name] for name in (*_NUMBERS, "padding")}
    _, _, found = reduce_window(x, _places(VALUES, type_of(x)), t, zero, full((), -1, place), zero,
                                body=_picker(_WINS[op], dtype, place), **numbers)
    (value,) = emit_like(node, [x, full((), _LOSES[op], dtype)])
    chosen = ew.compare(value, stop_gradient(out), direction="EQ")
    return ew.select(chosen, found, full_like(out, 0))


def _index_dtype(type: Type) -> np.dtype[Any]:
    return dt.int32 if type.size < 2**31 else dt.int64


def _places(medium: Medium, type: Type) -> Any:
    """The number of each element."""
    return medium.reshape(medium.apply(
        iota, shape=(type.size,), dimension=0, dtype=_index_dtype(type)), type.shape)


@cache
def _picker(direction: str, dtype: np.dtype[Any], index: np.dtype[Any]) -> Graph:
    """(value, place, tangent) twice -> those of the winner, by a comparison's direction.

    It is one graph for the same arguments, so that the transpose knows what it looks at.
    """
    wins = _comparison(direction, dtype)

    def choose(x: Any, i: Any, t: Any, y: Any, j: Any, s: Any) -> list[Any]:
        first = _is_first(wins, x, i, y, j)
        return [ew.select(first, *pair) for pair in ((x, y), (i, j), (t, s))]
    scalars = [Type(dtype, ()), Type(index, ()), Type(dtype, ())]
    return trace_graph(scalars * 2, choose)


@cache
def _comparison(direction: str, dtype: np.dtype[Any]) -> Graph:
    return trace_graph([Type(dtype, ())] * 2,
                       lambda a, b: [ew.compare(a, b, direction=direction)])


def _winners(medium: Medium, x: Any, wins: Graph, attrs: Attrs) -> tuple[Any, Any]:
    """For each window the element that `wins` (its flat place too) over all others in it.

    A window of padding only has place -1.
    """
    type, index, places = type_of(x), _index_dtype(type_of(x)), _places(medium, type_of(x))
    numbers = {name: attrs[name] for name in (*_NUMBERS, "padding") if name in attrs}
    zero, nowhere = (medium.apply(constant, value=np.asarray(value).astype(dtype))
                     for value, dtype in ((0, type.dtype), (-1, index)))
    found = _reduce_window(medium, x, places, zero, nowhere,
                           body=_choice(wins, type.dtype, index), **numbers)
    return found[0], found[1]


def _choice(wins: Graph, dtype: np.dtype[Any], index: np.dtype[Any]) -> Graph:
    """(value, place, value, place) -> those of the winner; a negative place always loses."""
    def choose(x: Any, i: Any, y: Any, j: Any) -> list[Any]:
        first = _is_first(wins, x, i, y, j)
        return [ew.select(first, x, y), ew.select(first, i, j)]
    return trace_graph([Type(dtype, ()), Type(index, ())] * 2, choose)


def _is_first(wins: Graph, x: Any, i: Any, y: Any, j: Any) -> Any:
    """Whether x, at place i, wins over y; what has a negative place always loses."""
    none = full_like(i, 0)
    real, other = (ew.compare(place, none, direction="GE") for place in (i, j))
    return ew.or_(ew.not_(other), ew.and_(real, run_inside(wins, [x, y])[0]))


def _reduce_transpose(transpose: Any, node: Node, linear: Sequence[bool],
                      cotangents: Sequence[Any]) -> list[Any]:
    """Each element was added to the windows that have it, which again lie in a window."""
    direction = _picked_by(node)
    if direction and list(linear) == [False, False, True, False, False, False]:
        dtype, kept = node.types[0].dtype, ("window_dimensions", "window_strides", "padding")
        numbers = {name: node.attrs[name] for name in kept}
        return [select_and_scatter(node.inputs[0], cotangents[2], full((), 0, dtype), **numbers,
                                   select=_comparison(direction, dtype), scatter=_sum(dtype))]
    if list(linear) != [True, False] or single_op(node.attrs["body"]) is not ew.add:
        operands = [None if m else v for v, m in zip(node.inputs, linear)]
        return transpose(expansion(node), linear, operands, cotangents)  # type: ignore[no-any-return]
    x, w = node.types[0], _windows(node.attrs)
    padding = tuple(transposed_padding(*axis) for axis in w.along(x.shape))
    zero = full((), 0, type_of(cotangents[0]).dtype)
    (back,) = emit_like(node, [cotangents[0], zero], window_strides=w.base_dilations,
                        base_dilations=w.window_strides, padding=padding)
    return [as_dtype(back, x.dtype)]


def _picked_by(node: Node) -> str | None:
    """The direction by which a node picks tangents of winners, if select_and_scatter goes back."""
    attrs, dtypes = node.attrs, [t.dtype for t in node.types]
    if len(dtypes) != 6 or max((*attrs["base_dilations"], *attrs["window_dilations"])) > 1:
        return None
    return next((direction for direction in _WINS.values()
                 if attrs["body"] is _picker(direction, dtypes[0], dtypes[1])), None)


@cache
def _sum(dtype: np.dtype[Any]) -> Graph:
    return trace_graph([Type(dtype, ())] * 2, lambda a, b: [ew.add(a, b)])


def _reduce_batch(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    """An initial value for each example is seen to by the expansion."""
    k = len(pairs) // 2
    if any(h for _, h in pairs[k:]):
        return batch(expansion(node), pairs, size)  # type: ignore[no-any-return]
    xs = [x if h else repeat_leading(x, size) for x, h in pairs[:k]]
    outs = reduce_window(*xs, *(x for x, _ in pairs[k:]), **_with_axis(node.attrs))
    return [(x, True) for x in outs]


_scalar = Type(F32, ())
_greatest = trace_graph([_scalar] * 2, lambda x, y: [ew.maximum(x, y)])
_products = trace_graph([_scalar] * 4, lambda a, b, x, y: [
    ew.multiply(a, x), ew.add(ew.multiply(b, x), y)])
_MIXED = {"window_dimensions": (2, 3), "window_strides": (1, 2), "base_dilations": (2, 1),
          "window_dilations": (1, 2), "padding": ((1, 0), (-1, 2))}
# Padding counts in a sum, unless it is 0; XLA leaves it out. Examples draw initial values at will.
_INSIDE = {**_MIXED, "base_dilations": (1, 1), "padding": ((0, 0), (-1, 0))}
_LONG = {**_INSIDE, "window_dimensions": (5, 1), "window_strides": (1, 2)}

reduce_window: OpDef = OpDef(
    "reduce_window", "For each window the fold of its elements by a body (accumulators, elements) "
    "-> accumulators, after the initial values, which are the padding as well.",
    partial(_reduce_window, ARRAYS), results=_reduce_results, dtypes=ew.ANY, mixed=True,
    multiple=True, jvp_node=_reduce_jvp, transpose_node=_reduce_transpose,
    batch_node=_reduce_batch, expand=partial(_reduce_window, VALUES), expensive=True,
    tolerance=2e-6,
    constraints=(
        "The operands are arrays of one shape, then an initial value for each, a scalar of its "
        "dtype.",
        "`window_dimensions`, `window_strides`, `base_dilations` and `window_dilations` have a "
        "positive number for each axis.",
        "`padding` has a pair (low, high) for each axis.",
        "`body` takes a scalar for each accumulator, then one for each element, and gives the "
        "accumulators; their dtypes are those of the arrays, or wider ones of their kinds.",
        "The results have the dtypes of the accumulators, and as many elements along an axis as "
        "there are windows."),
    examples=(Example((Type(F32, (3, 7)), _scalar), {"body": add_body, **_INSIDE}),
              Example((Type(F32, (3, 7)), _scalar), {"body": _greatest, **_MIXED}),
              Example((Type(F32, (9, 4)),) * 2 + (_scalar,) * 2,
                      {"body": _products, **_LONG})))

# -- select_and_scatter ----------------------------------------------------------------------------


def _select_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    x, source, init = types
    op = "select_and_scatter"
    _check_windows(op, types, attrs, where)
    shape = _windows(attrs).counts(x.shape)
    if source is not Type(x.dtype, shape):  # C1, C2
        raise mistake(ShapeError, op, f"the source is {source}, but the windows of the operand "
                      f"are {Type(x.dtype, shape)}", where=where, operands=types,
                      hint="an array of that type, with one number for each window")
    if init is not Type(x.dtype, ()):  # C3
        raise mistake(ShapeError, op, f"the initial value is {init}, not a scalar of "
                      f"{dt.name(x.dtype)}", where=where, operands=types,
                      hint="a scalar of the operand's dtype")
    scalar = Type(x.dtype, ())
    check_signature(op, "`select`", attrs["select"], [scalar] * 2, [Type(dt.bool_, ())], where)
    (dtype,) = accumulators(op, "`scatter`", attrs["scatter"], [x], where)
    return (x.with_dtype(dtype),)


_FLAT = {"update_window_dims": (), "inserted_window_dims": (0,), "input_batching_dims": (),
         "scatter_indices_batching_dims": (), "scatter_dims_to_operand_dims": (0,),
         "index_vector_dim": 1}


def _select_and_scatter(medium: Medium, x: Any, source: Any, init: Any, *, select: Graph,
                        scatter: Graph, **attrs: Any) -> Any:
    """Find the winner of each window, and scatter the source there."""
    type, dtype = type_of(x), scatter.output_types[0].dtype
    chosen = medium.apply(stop_gradient, x)
    _, places = _winners(medium, chosen, select, attrs)
    apart = all(s >= n for s, n in zip(attrs["window_strides"], attrs["window_dimensions"]))
    start = medium.spread(medium.convert(init, dtype), (type.size,))
    count = math.prod(type_of(source).shape)
    operands = (start, medium.reshape(places, (count, 1)),
                medium.reshape(medium.convert(source, dtype), (count,)))
    by = scatter_with.numpy if medium is ARRAYS else scatter_by
    (out,) = by(*operands, body=scatter, unique_indices=apart, **_FLAT)
    return medium.reshape(out, type.shape)


def _select_batch(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    if pairs[2][1]:
        return batch(expansion(node), pairs, size)  # type: ignore[no-any-return]
    x, source = (v if h else repeat_leading(v, size) for v, h in pairs[:2])
    return [(select_and_scatter(x, source, pairs[2][0], **_with_axis(node.attrs)), True)]


_first_greatest = trace_graph([_scalar] * 2, lambda x, y: [ew.compare(x, y, direction="GE")])
_OVERLAPPING = {"window_dimensions": (2, 3), "window_strides": (1, 2), "padding": ((1, 0), (0, 1))}

select_and_scatter: OpDef = OpDef(
    "select_and_scatter", "An array of the initial value, into which `scatter` combines each "
    "element of the source where in x the element is that wins its window by `select`.",
    partial(_select_and_scatter, ARRAYS), results=_select_results, dtypes=ew.ANY,
    jvp_node=differentiate_expansion, batch_node=_select_batch,
    expand=partial(_select_and_scatter, VALUES), expensive=True, tolerance=2e-6,
    constraints=(
        "`window_dimensions` and `window_strides` have a positive number for each axis of x.",
        "`padding` has a pair (low, high) for each axis.",
        "The source is of x's dtype, with as many elements along an axis as there are windows.",
        "The initial value is a scalar of x's dtype.",
        "`select` takes two scalars of that dtype and gives one bool.",
        "`scatter` takes two scalars and gives one, all of one dtype: x's, or a wider one of its "
        "kind.",
        "The result has x's shape and the dtype of `scatter`."),
    examples=(Example((Type(F32, (3, 6)), Type(F32, (3, 3)), _scalar),
                      {"select": _first_greatest, "scatter": add_body, **_OVERLAPPING}),))

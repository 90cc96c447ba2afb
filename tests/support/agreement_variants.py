"""Further attributes of the structured operations, at any dtype: what their examples leave out.

Each generator gives the cases of some operations at one dtype. Whether the operation takes that
dtype is for its type rule to say.
"""

import numpy as np
from cases import Case

from arraylib import dtypes as dt
from arraylib.errors import DtypeError
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops import TABLE, elementwise as ew
from arraylib.hlo.ops.constant import full

I32, I64 = dt.int32, dt.int64


def variants(dtype):
    """The cases at one dtype; those with a body that does not take it are left out."""
    for part in (_sources, _layout, _cut, _folds, _products, _gathers, _scatters, _dynamic, _order,
                 _regions, _windows, _convolutions, _control, _linear_algebra, _bits):
        yield from part(dtype)


def _case(op, types, /, **attrs):
    return Case(TABLE[op], tuple(types), attrs)


def _array(dtype, *shape):
    return Type(dtype, shape)


def body(dtype, function, count=2):
    """A region over scalars; None if an operation in it does not take the dtype."""
    try:
        return trace_graph([Type(dtype, ())] * count, lambda *xs: [function(*xs)])
    except DtypeError:
        return None


def _bodies(dtype):
    """Ways to combine two scalars that do not depend on the order."""
    found = [body(dtype, op) for op in (ew.add, ew.multiply, ew.maximum, ew.minimum, ew.and_)]
    return [b for b in found if b]


# -- without operands, and of whole axes -----------------------------------------------------------


def _sources(dtype):
    for shape in ((), (3,), (2, 2), (0, 2)):
        n = Type(dtype, shape).size
        value = np.arange(n).astype(dtype).reshape(shape)
        yield _case("constant", (), value=value)
    for shape, dimension in (((5,), 0), ((2, 3), 0), ((2, 3), 1), ((0, 2), 1)):
        if dtype != dt.bool_:
            yield _case("iota", (), shape=shape, dimension=dimension, dtype=dtype)


def _layout(dtype):
    yield _case("transpose", [_array(dtype, 2, 3, 4)], permutation=(1, 2, 0))
    yield _case("transpose", [_array(dtype, 3, 0)], permutation=(1, 0))
    yield _case("broadcast_in_dim", [_array(dtype, 0)], shape=(2, 0), broadcast_dimensions=(1,))
    yield _case("broadcast_in_dim", [_array(dtype, 1, 1)], shape=(2, 3, 2),
                broadcast_dimensions=(0, 2))
    yield _case("reshape", [_array(dtype, 3, 4)], shape=(2, 2, 3))
    yield _case("reshape", [_array(dtype, 0, 3)], shape=(2, 0))
    yield _case("reverse", [_array(dtype, 2, 3, 2)], dimensions=(0, 2))
    yield _case("reverse", [_array(dtype, 3)], dimensions=())
    yield _case("optimization_barrier", [_array(dtype, 2, 3), _array(dtype)])


def _cut(dtype):
    yield _case("slice", [_array(dtype, 7)], start=(1,), limit=(7,), strides=(2,))
    yield _case("slice", [_array(dtype, 3, 4)], start=(0, 3), limit=(3, 4), strides=(2, 1))
    yield _case("slice", [_array(dtype)], start=(), limit=(), strides=())
    for low, high, interior in (((0, 2), (1, 0), (2, 0)), ((-1, 0), (-1, -2), (1, 1)),
                                ((-2, 1), (4, 1), (0, 3))):
        yield _case("pad", [_array(dtype, 3, 4), _array(dtype)], low=low, high=high,
                    interior=interior)
    yield _case("pad", [_array(dtype, 0), _array(dtype)], low=(1,), high=(2,), interior=(3,))
    yield _case("concatenate", [_array(dtype, 2, 2), _array(dtype, 1, 2)], dimension=0)
    yield _case("concatenate", [_array(dtype, 2, 0), _array(dtype, 2, 3)], dimension=1)
    yield _case("concatenate", [_array(dtype, 3)], dimension=0)


# -- reductions and products -----------------------------------------------------------------------


_REDUCTIONS = ("reduce_add", "reduce_multiply", "reduce_maximum", "reduce_minimum", "reduce_and",
               "reduce_or")


def _folds(dtype):
    for name in _REDUCTIONS:
        for shape, dimensions in (((3, 4), ()), ((2, 3, 2), (0, 2)), ((0, 2), (0,)), ((7,), (0,))):
            yield _case(name, [_array(dtype, *shape)], dimensions=dimensions)
    for name in ("argmax", "argmin"):
        for shape, axis, index in (((7,), 0, I64), ((2, 3, 2), 1, I32), ((4, 2), 0, dt.uint8)):
            yield _case(name, [_array(dtype, *shape)], dimensions=(axis,), dtype=index)
    for function in _bodies(dtype):
        yield _case("reduce", [_array(dtype, 2, 5), _array(dtype)], body=function, dimensions=(1,))
    whole = body(dtype, ew.add)
    if whole:
        yield _case("reduce", [_array(dtype, 2, 3), _array(dtype)], body=whole, dimensions=(0, 1))
        yield _case("reduce", [_array(dtype, 0, 3), _array(dtype)], body=whole, dimensions=(0,))


_WIDER = {dt.int8: I32, dt.uint8: dt.uint32, dt.float16: dt.float32, dt.bfloat16: dt.float32}


def _products(dtype):
    def dot(x, y, contracting, batching=((), ()), result=None):
        return _case("dot_general", [_array(dtype, *x), _array(dtype, *y)],
                     lhs_batching=batching[0], rhs_batching=batching[1],
                     lhs_contracting=contracting[0], rhs_contracting=contracting[1], dtype=result)
    yield dot((3,), (3,), ((0,), (0,)))
    yield dot((2,), (3,), ((), ()))
    yield dot((2, 0), (0, 3), ((1,), (0,)))
    yield dot((2, 3, 2), (2, 3, 4), ((2, 1), (0, 1)))
    yield dot((2, 3), (2, 3), ((1,), (1,)), ((0,), (0,)))
    yield dot((5, 9), (9, 4), ((1,), (0,)), result=_WIDER.get(dtype))


# -- places ----------------------------------------------------------------------------------------


def _gather(operand, indices, **attrs):
    defaults = {"operand_batching_dims": (), "start_indices_batching_dims": ()}
    return _case("gather", [operand, indices], **{**defaults, **attrs})


def _gathers(dtype):
    x = _array(dtype, 4, 5)
    yield _gather(x, _array(I64, 3, 2), offset_dims=(1, 2), collapsed_slice_dims=(),
                  start_index_map=(1, 0), index_vector_dim=1, slice_sizes=(2, 3))
    yield _gather(x, _array(dt.uint8, 2, 3), offset_dims=(0,), collapsed_slice_dims=(1,),
                  start_index_map=(1,), index_vector_dim=2, slice_sizes=(4, 1))
    yield _gather(x, _array(I32, 2), offset_dims=(), collapsed_slice_dims=(0, 1),
                  start_index_map=(0, 1), index_vector_dim=0, slice_sizes=(1, 1))
    yield _gather(x, _array(I32, 0, 1), offset_dims=(1,), collapsed_slice_dims=(0,),
                  start_index_map=(0,), index_vector_dim=1, slice_sizes=(1, 5))


_SCATTER = {"input_batching_dims": (), "scatter_indices_batching_dims": ()}


def _scatters(dtype):
    rows = {**_SCATTER, "update_window_dims": (1,), "inserted_window_dims": (1,),
            "scatter_dims_to_operand_dims": (1,), "index_vector_dim": 1}
    corners = {**_SCATTER, "update_window_dims": (1, 2), "inserted_window_dims": (),
               "scatter_dims_to_operand_dims": (1, 0), "index_vector_dim": 1}
    x = _array(dtype, 4, 5)
    to_rows = [x, _array(I64, 3, 1), _array(dtype, 3, 4)]
    to_corners = [x, _array(I32, 2, 2), _array(dtype, 2, 2, 3)]
    for kind in ("set", "add", "multiply", "minimum", "maximum"):
        yield _case("scatter", to_rows, kind=kind, unique_indices=False, **rows)
    for kind in ("set", "add"):
        yield _case("scatter", to_corners, kind=kind, unique_indices=False, **corners)
    yield _case("scatter", [x, _array(I32, 0, 1), _array(dtype, 0, 4)], kind="add",
                unique_indices=True, **rows)
    for function in (*_bodies(dtype)[:2], body(dtype, ew.subtract)):
        if function:
            yield _case("scatter_with", to_rows, body=function, unique_indices=False, **rows)
            yield _case("scatter_with", to_corners, body=function, unique_indices=False, **corners)


def _dynamic(dtype):
    x = _array(dtype, 4, 5)
    yield _case("dynamic_slice", [x, _array(I64), _array(I64)], sizes=(4, 2))
    yield _case("dynamic_slice", [x, _array(dt.uint8), _array(dt.uint8)], sizes=(1, 5))
    yield _case("dynamic_slice", [_array(dtype, 3), _array(I32)], sizes=(0,))
    yield _case("dynamic_update_slice", [x, _array(dtype, 4, 1), _array(I64), _array(I64)])
    yield _case("dynamic_update_slice", [x, _array(dtype, 0, 2), _array(I32), _array(I32)])
    yield _case("dynamic_update_slice", [_array(dtype), _array(dtype)])


# -- order -----------------------------------------------------------------------------------------


def _order(dtype):
    yield _case("sort", [_array(dtype, 7)], dimension=0, num_keys=1)
    yield _case("sort", [_array(dtype, 4, 3), _array(I32, 4, 3)], dimension=0, num_keys=1)
    yield _case("sort", [_array(I32, 2, 9), _array(dtype, 2, 9)], dimension=1, num_keys=2)
    yield _case("sort", [_array(dtype, 2, 0)], dimension=1, num_keys=1)
    if not dt.is_complex(dtype):
        less = body(dtype, lambda x, y: ew.compare(x, y, direction="LT"))
        yield _case("sort_with", [_array(dtype, 3, 6)], dimension=1, is_stable=True,
                    comparator=less)
        yield _case("sort_with", [_array(dtype, 5)], dimension=0, is_stable=False, comparator=less)
        greater = trace_graph([Type(dtype, ())] * 2 + [Type(I32, ())] * 2, lambda x, y, i, j: [
            ew.compare(x, y, direction="GT")])
        yield _case("sort_with", [_array(dtype, 6, 2), _array(I32, 6, 2)], dimension=0,
                    is_stable=True, comparator=greater)
    for shape, k in (((6,), 3), ((2, 3, 4), 1), ((2, 4), 4), ((3,), 0)):
        yield _case("top_k", [_array(dtype, *shape)], k=k)


# -- regions over windows --------------------------------------------------------------------------


def _regions(dtype):
    groups = {"replica_groups": ((0,),), "channel_id": 0}
    for function in _bodies(dtype)[1:]:
        yield _case("all_reduce", [_array(dtype, 2, 2)], body=function,
                    use_global_device_ids=False, **groups)
        yield _case("reduce_scatter", [_array(dtype, 2, 2)], body=function, scatter_dimension=0,
                    use_global_device_ids=False, **groups)
    yield _case("all_to_all", [_array(dtype, 2, 2)], split_dimension=0, concat_dimension=1,
                split_count=1, **groups)


def _windows(dtype):
    def windows(dimensions, strides, padding, base=(1, 1), window=(1, 1)):
        return {"window_dimensions": dimensions, "window_strides": strides, "padding": padding,
                "base_dilations": base, "window_dilations": window}
    none = ((0, 0), (0, 0))
    for function in _bodies(dtype):
        operands = [_array(dtype, 4, 6), _array(dtype)]
        yield _case("reduce_window", operands, body=function, **windows((2, 2), (2, 2), none))
        yield _case("reduce_window", operands, body=function,
                    **windows((1, 3), (1, 1), ((-1, 0), (0, -1)), window=(1, 2)))
    for padding in (((1, 1), (0, 2)), ((2, 0), (-1, 1))):
        for function in _bodies(dtype)[:3]:
            yield _case("reduce_window", operands, body=function,
                        **windows((2, 3), (1, 2), padding, (2, 1), (1, 2)))
    for direction, dimensions, strides in (("GE", (2, 2), (2, 2)), ("LE", (2, 3), (1, 1))):
        chosen = body(dtype, lambda x, y, d=direction: ew.compare(x, y, direction=d))
        added = body(dtype, ew.add)
        shape = [(n - size) // step + 1 for n, size, step in zip((4, 6), dimensions, strides)]
        if chosen and added and not dt.is_complex(dtype):
            yield _case("select_and_scatter", [
                _array(dtype, 4, 6), _array(dtype, *shape), _array(dtype)], select=chosen,
                scatter=added, window_dimensions=dimensions, window_strides=strides, padding=none)


_CONVOLUTION = {"lhs_dilation": (1,), "rhs_dilation": (1,), "window_reversal": (False,),
                "window_strides": (1,), "padding": ((0, 0),), "feature_group_count": 1,
                "batch_group_count": 1, "lhs_spec": (0, 1, 2), "rhs_spec": (0, 1, 2),
                "out_spec": (0, 1, 2), "dtype": None}


def _convolutions(dtype):
    def along(x, kernel, **attrs):
        return _case("convolution", [_array(dtype, *x), _array(dtype, *kernel)],
                     **{**_CONVOLUTION, **attrs})
    yield along((2, 3, 6), (4, 3, 2))
    yield along((1, 1, 5), (1, 1, 3), padding=((2, 2),), window_reversal=(True,))
    yield along((2, 4, 5), (4, 1, 2), feature_group_count=4, rhs_dilation=(2,))
    yield along((2, 2, 4), (2, 2, 3), lhs_dilation=(3,), window_strides=(2,), padding=((1, -1),))
    yield along((2, 3, 5), (4, 3, 2), dtype=_WIDER.get(dtype))
    points = {"lhs_dilation": (), "rhs_dilation": (), "window_reversal": (), "window_strides": (),
              "padding": (), **dict.fromkeys(("lhs_spec", "rhs_spec", "out_spec"), (0, 1))}
    yield along((3, 2), (4, 2), **points)


# -- control ---------------------------------------------------------------------------------------


def _control(dtype):
    vector = _array(dtype, 3)
    def of_one(function):
        return trace_graph([vector], lambda x: [function(x)])
    def turned(x):
        return TABLE["reverse"](x, dimensions=(0,))
    yield _case("call", [vector], body=of_one(turned))
    yield _case("checkpoint", [vector], body=of_one(turned))
    yield _case("composite", [vector], body=of_one(turned), name="our.turned", settings=(),
                version=1)
    yield _case("case", [_array(I32), vector], branches=(of_one(turned), of_one(lambda x: x)))
    yield _case("case", [_array(I32), vector], branches=(of_one(turned),))
    carry = [vector, _array(I32)]
    yield _case(
        "while", carry, cond_consts=0, body_consts=0,
        cond=trace_graph(carry, lambda x, i: [ew.compare(i, full((), 4, I32), direction="LT")]),
        body=trace_graph(carry, lambda x, i: [turned(x), ew.add(i, full((), 1, I32))]))
    step = trace_graph([vector] * 3, lambda w, h, x: [
        ew.select(ew.compare(x, w, direction="EQ"), turned(h), x), h])
    for reverse in (False, True):
        yield _case("scan", [vector, vector, _array(dtype, 4, 3)], body=step, consts=1, carry=1,
                    length=4, reverse=reverse)
    yield _case("scan", [vector, vector, _array(dtype, 0, 3)], body=step, consts=1, carry=1,
                length=0, reverse=False)


def _linear_algebra(dtype):
    for lower in (True, False):
        yield _case("cholesky", [_array(dtype, 3, 3)], lower=lower)
        yield _case("cholesky", [_array(dtype, 2, 4, 4)], lower=lower)
    for side in (True, False):
        for transposed in ("NO_TRANSPOSE", "TRANSPOSE", "ADJOINT"):
            yield _case("triangular_solve", [_array(dtype, 2, 3, 3), _array(dtype, 2, 3, 3)],
                        left_side=side, lower=side, unit_diagonal=not side,
                        transpose_a=transposed)
    for kind, n in (("FFT", 1), ("FFT", 8), ("IFFT", 6), ("RFFT", 7), ("RFFT", 8)):
        yield _case("fft", [_array(dtype, 2, n)], fft_type=kind, fft_length=(n,))
    for n in (7, 8):
        yield _case("fft", [_array(dtype, 2, n // 2 + 1)], fft_type="IRFFT", fft_length=(n,))
    yield _case("fft", [_array(dtype, 2, 3, 4)], fft_type="FFT", fft_length=(2, 3, 4))


def _bits(dtype):
    state = _array(dt.uint64, 2)
    for algorithm in ("THREE_FRY", "PHILOX"):
        for shape in ((7,), (2, 2), (0,)):
            yield _case("rng_bit_generator", [state], rng_algorithm=algorithm, shape=shape,
                        dtype=dtype)
    width = 1 if dt.is_bool(dtype) else dt.bits(dtype)
    for other in (dt.uint8, dt.int16, dt.float32, dt.uint64, dt.int4, dt.complex64, dt.complex128):
        new = dt.bits(other)
        if new % width and width % new or new == width:
            continue
        last = (new // width,) if new > width else ()
        yield _case("bitcast_regroup", [_array(dtype, 2, *last)], dtype=other)

"""The constraints that records state: a program that breaks each that asks for something."""

import pytest

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops import TABLE


def f32(*shape):
    return Type(dt.float32, shape)


def i32(*shape):
    return Type(dt.int32, shape)


def f64(*shape):
    return Type(dt.float64, shape)


def c64(*shape):
    return Type(dt.complex64, shape)


def body(*types, results=1):
    """A region that gives its first inputs."""
    return trace_graph(types, lambda *xs: list(xs[:results]))


TWO_TO_ONE = body(f32(), f32())
THREE = body(f32(), f32(), f32())
NARROW = body(Type(dt.float16, ()), Type(dt.float16, ()))
QKV = f32(2, 3, 4, 2), f32(2, 5, 2, 2), f32(2, 5, 2, 3)  # of attention's first example
ROWS = f32(5, 4), i32(6, 1), f32(6, 3)  # of scatter's first example

# Operation, number of the constraint, what the error says, operand types (None: the example's),
# attributes that differ from those of the first example.
BROKEN = [
    ("iota", 1, "dimension 2 of a shape with 2 axes", None, {"dimension": 2}),
    ("select", 1, "the predicate is float32", [f32(3)] * 3, {}),
    ("select", 2, "different dtypes", [Type(dt.bool_, (3,)), f32(3), f64(3)], {}),
    ("bitcast_convert", 1, "float64 has 64", None, {"dtype": dt.float64}),
    ("bitcast_convert", 1, "complex for complex", [f64(3)], {"dtype": dt.complex64}),
    ("transpose", 1, "no permutation of the 3 axes", None, {"permutation": (0, 1, 1)}),
    ("broadcast_in_dim", 1, "different dimensions", None, {"broadcast_dimensions": (0, 0)}),
    ("broadcast_in_dim", 1, "cannot become axis 5", None, {"broadcast_dimensions": (2, 5)}),
    ("broadcast_in_dim", 2, "axis 0 of size 3 cannot become axis 1", None,
     {"broadcast_dimensions": (1, 0)}),
    ("reshape", 1, "12 elements", None, {"shape": (5,)}),
    *[(f"reduce_{name}", 1, "dimensions (0, 0) of 3 axes", None, {"dimensions": (0, 0)})
      for name in ("add", "multiply", "maximum", "minimum", "and", "or")],
    ("reduce_multiply", 2, "does not take bool", [Type(dt.bool_, (3,))], {"dimensions": (0,)}),
    ("reduce_maximum", 2, "does not take complex64", [c64(3)], {"dimensions": (0,)}),
    ("reduce_minimum", 2, "does not take complex64", [c64(3)], {"dimensions": (0,)}),
    ("reduce_and", 2, "does not take float32", [f32(3)], {"dimensions": (0,)}),
    ("reduce_or", 2, "does not take float32", [f32(3)], {"dimensions": (0,)}),
    ("slice", 1, "2 starts, 1 limits", None, {"limit": (4,)}),
    ("slice", 2, "2:1:1 of axis 0", None, {"start": (2, 0), "limit": (1, 7), "strides": (1, 1)}),
    ("slice", 2, "of axis 0 of size 5", None, {"limit": (6, 7)}),
    ("slice", 2, "1:4:0 of axis 0", None, {"strides": (0, 1)}),
    ("pad", 1, "padding (1,)", None, {"low": (1,)}),
    ("pad", 1, "interior >= 0", None, {"interior": (0, -1)}),
    ("pad", 2, "not a scalar of float32", [f32(3, 4), i32()], {}),
    ("pad", 3, "negative padding leaves shape", None, {"low": (-5, 0)}),
    ("concatenate", 1, "dimension 2 of 2 axes", None, {"dimension": 2}),
    ("concatenate", 2, "operand 1 is int32", [f32(2, 3), i32(2, 3)], {}),
    ("concatenate", 3, "axis 0 is 3 in operand 1", [f32(2, 3), f32(3, 3)], {}),
    ("concatenate", 3, "operand 1 has 1 axes", [f32(2, 3), f32(2)], {}),
    ("reverse", 1, "dimensions (2,) of 2 axes", None, {"dimensions": (2,)}),
    ("argmax", 1, "dimension 2 of shape (3, 4)", None, {"dimensions": (2,)}),
    ("argmax", 1, "not empty", [f32(3, 0)], {}),
    ("argmax", 2, "complex numbers have no order", [c64(3, 4)], {}),
    ("argmin", 1, "dimension 2 of shape (3, 4)", None, {"dimensions": (2,)}),
    ("argmin", 2, "complex numbers have no order", [c64(3, 4)], {}),
    ("dot_general", 1, "lhs dimensions (0, 0)", None,
     {"lhs_batching": (0,), "lhs_contracting": (0,)}),
    ("dot_general", 1, "rhs dimensions (2,)", None, {"rhs_contracting": (2,)}),
    ("dot_general", 2, "1 batching axes of x, (0,), but 0 of y", None, {"lhs_batching": (0,)}),
    ("dot_general", 2, "1 contracting axes of x, (1,), but 0 of y", None, {"rhs_contracting": ()}),
    ("dot_general", 3, "is 4 in operand 0", None, {"rhs_contracting": (1,)}),
    ("dot_general", 4, "different dtypes", [f32(3, 4), f64(4, 5)], {}),
    ("gather", 1, "the indices are float32", [f32(5, 4), f32(6, 1)], {}),
    ("gather", 2, "index_vector_dim 3", None, {"index_vector_dim": 3}),
    ("gather", 3, "window axes (2,)", None, {"offset_dims": (2,)}),
    ("gather", 4, "dropped axes (1, 0)", None, {"collapsed_slice_dims": (1, 0)}),
    ("gather", 4, "both dropped and batching", None,
     {"operand_batching_dims": (0,), "start_indices_batching_dims": (0,)}),
    ("gather", 5, "1 window axes for 2", None, {"collapsed_slice_dims": ()}),
    ("gather", 6, "batching axes (2,) of indices", None, {"start_indices_batching_dims": (2,)}),
    ("gather", 6, "sizes () in the operand but (6,)", None, {"start_indices_batching_dims": (0,)}),
    ("gather", 6, "both the index vector's and batching", None,
     {"start_indices_batching_dims": (1,)}),
    ("gather", 7, "moves axes (4,)", None, {"start_index_map": (4,)}),
    ("gather", 7, "1 elements for 2 axes", None, {"start_index_map": (0, 1)}),
    ("gather", 8, "slice_sizes (1, 5) do not fit", None, {"slice_sizes": (1, 5)}),
    ("gather", 8, "slice_sizes (1,) do not fit", None, {"slice_sizes": (1,)}),
    ("gather", 8, "above 1 on an axis", None, {"slice_sizes": (2, 3)}),
    ("scatter", 1, "kind 'subtract' is none of", None, {"kind": "subtract"}),
    ("scatter", 1, "complex numbers have no order", [c64(5, 4), i32(6, 1), c64(6, 3)],
     {"kind": "maximum"}),
    ("scatter", 2, "the updates are float64", [*ROWS[:2], f64(6, 3)], {}),
    ("scatter", 3, "the indices are float32", [ROWS[0], f32(6, 1), ROWS[2]], {}),
    ("scatter", 4, "index_vector_dim 3", None, {"index_vector_dim": 3}),
    ("scatter", 5, "window axes (2,)", None, {"update_window_dims": (2,)}),
    ("scatter", 6, "dropped axes (1, 0)", None, {"inserted_window_dims": (1, 0)}),
    ("scatter", 7, "1 window axes for 2", None, {"inserted_window_dims": ()}),
    ("scatter", 8, "batching axes (2,) of indices", None, {"scatter_indices_batching_dims": (2,)}),
    ("scatter", 9, "moves axes (4,)", None, {"scatter_dims_to_operand_dims": (4,)}),
    ("scatter", 10, "the updates are (7,)", [*ROWS[:2], f32(7, 3)], {}),
    ("scatter", 11, "windows of (5,) do not fit", [*ROWS[:2], f32(6, 5)], {}),
    ("dynamic_slice", 1, "1 starts", [f32(5, 4), i32()], {}),
    ("dynamic_slice", 1, "scalars of one integer dtype", [f32(5, 4), i32(), f32()], {}),
    ("dynamic_slice", 2, "6 elements of axis 0", None, {"sizes": (6, 3)}),
    ("dynamic_slice", 2, "1 sizes", None, {"sizes": (2,)}),
    ("dynamic_update_slice", 1, "the update is float64", [f32(5, 4), f64(2, 3), i32(), i32()], {}),
    ("dynamic_update_slice", 2, "1 starts", [f32(5, 4), f32(2, 3), i32()], {}),
    ("dynamic_update_slice", 3, "6 elements of axis 0", [f32(5, 4), f32(6, 3), i32(), i32()], {}),
    ("dynamic_update_slice", 3, "1 sizes", [f32(5, 4), f32(6), i32(), i32()], {}),
    ("sort", 1, "0 keys", None, {"num_keys": 0}),
    ("sort", 1, "2 keys among 1 operands", None, {"num_keys": 2}),
    ("sort", 2, "dimension 2 of 2 axes", None, {"dimension": 2}),
    ("sort", 3, "operand 1 has shape (3, 4)", [f32(3, 5), f32(3, 4)], {}),
    *[(name, 1, "but gets (f32[4],)", [f32(4)], {}) for name in
      ("call", "checkpoint", "composite")],
    ("case", 1, "the index is f32[]", [f32(), f32(3)], {}),
    ("case", 2, "branch 0 takes (f32[3],), but gets (f32[4],)", [i32(), f32(4)], {}),
    ("case", 3, "branch 1 gives (f32[3],)", None,
     {"branches": (body(f32(3), results=0), body(f32(3)))}),
    ("while", 1, "the condition takes", [f32(4), i32()], {}),
    ("while", 2, "the body takes", None, {"body": body(f32(3))}),
    ("while", 3, "not one bool", None, {"cond": body(f32(3), i32())}),
    ("while", 4, "the body gives (f32[3],) for a carry", None, {"body": body(f32(3), i32())}),
    ("scan", 1, "but there are 4 steps", [f32(3), f32(3), f32(5, 3)], {}),
    ("scan", 2, "the body takes", [f32(2), f32(3), f32(4, 3)], {}),
    ("scan", 3, "for a carry of", None, {"body": body(f32(3), f32(3), f32(3), results=0)}),
    ("cholesky", 1, "ends in no square matrix", [f32(2, 3)], {}),
    ("cholesky", 2, "operand 0 is int32", [i32(2, 2)], {}),
    ("triangular_solve", 1, "transpose_a is 'NO'", None, {"transpose_a": "NO"}),
    ("triangular_solve", 2, "different dtypes", [f32(2, 2), f64(2, 2)], {}),
    ("triangular_solve", 3, "operand 0 is int32", [i32(2, 2)] * 2, {}),
    ("triangular_solve", 4, "ends in no square matrix", [f32(2, 3)] * 2, {}),
    ("triangular_solve", 5, "batches of shapes (2,) and (3,)", [f32(2, 2, 2), f32(3, 2, 2)], {}),
    ("triangular_solve", 6, "but b has 3 rows", [f32(2, 2), f32(3, 2)], {}),
    ("triangular_solve", 6, "but b has 3 columns", [f32(2, 2), f32(2, 3)], {"left_side": False}),
    ("fft", 1, "fft_type is 'DCT'", None, {"fft_type": "DCT"}),
    ("fft", 2, "FFT takes complex64", [f32(2, 5)], {}),
    ("fft", 2, "RFFT takes float32", None, {"fft_type": "RFFT"}),
    ("fft", 3, "0 lengths", None, {"fft_length": ()}),
    ("fft", 3, "3 lengths for 2 axes", None, {"fft_length": (1, 2, 5)}),
    ("fft", 4, "takes last axes of (4,), not (5,)", None, {"fft_length": (4,)}),
    ("fft", 4, "takes last axes of (4,), not (5,)", None,
     {"fft_type": "IRFFT", "fft_length": (6,)}),
    *[(name, 1, "0 operands", [], {}) for name in
      ("all_gather", "all_reduce", "all_to_all", "collective_broadcast", "collective_reduce")],
    *[(name, 2 - (name == "reduce_scatter"), what, None, {"replica_groups": rows})
      for name in ("all_gather", "all_reduce", "all_to_all", "reduce_scatter",
                   "collective_broadcast", "collective_reduce")
      for what, rows in (("different lengths", ((0, 1), (2,))), ("twice", ((0,), (0,))),
                         ("hold -", ((-2,), (0,))))],
    *[(name, 2 - (name == "reduce_scatter"), "leave out 0", None, {"replica_groups": ((1,),)})
      for name in ("all_gather", "all_reduce", "all_to_all", "reduce_scatter")],
    *[(name, 3 - (name == "reduce_scatter"), "use_global_device_ids with channel_id 0", None,
       {"use_global_device_ids": True})
      for name in ("all_gather", "all_reduce", "reduce_scatter")],
    ("all_gather", 4, "is not known", None, {"replica_groups": ()}),
    ("all_gather", 4, "group_size is 2, but", None, {"group_size": 2}),
    ("all_gather", 5, "all_gather_dim is 2", None, {"all_gather_dim": 2}),
    ("all_reduce", 4, "the body is", None, {"body": THREE}),
    ("all_reduce", 4, "combines float16 but operand 0 is float32", None, {"body": NARROW}),
    ("reduce_scatter", 3, "is not known", None, {"replica_groups": ()}),
    ("reduce_scatter", 4, "scatter_dimension is 2", None, {"scatter_dimension": 2}),
    ("reduce_scatter", 4, "no multiple of the 2 parts", None, {"replica_groups": ((0, 1),)}),
    ("reduce_scatter", 5, "combines float16", None, {"body": NARROW}),
    ("all_to_all", 3, "split_count is 2, but", None, {"split_count": 2}),
    ("all_to_all", 3, "split_count is 0, but", None, {"split_count": 0, "replica_groups": ()}),
    ("all_to_all", 4, "concat_dimension is 2", None, {"concat_dimension": 2}),
    ("all_to_all", 5, "no multiple of the 2 parts", None,
     {"split_count": 2, "replica_groups": ((0, 1),)}),
    ("collective_permute", 1, "a source twice", None,
     {"source_target_pairs": ((0, 0), (0, 1))}),
    ("collective_permute", 1, "a target twice", None,
     {"source_target_pairs": ((0, 0), (1, 0))}),
    ("collective_permute", 1, "below 0", None, {"source_target_pairs": ((-1, 0),)}),
    ("collective_broadcast", 3, "must be int32 roots", None, {"has_dynamic_root": True}),
    ("collective_reduce", 3, "must be int32 roots", None, {"has_dynamic_root": True}),
    ("collective_reduce", 4, "combines float16", None, {"body": NARROW}),
    ("reduce", 1, "one initial value for each array", [f32(3, 5)], {}),
    ("reduce", 1, "initial value 0 is i32[]", [f32(3, 5), i32()], {}),
    ("reduce", 1, "operand 1 has shape (3,)", [f32(3, 5), f32(3), f32(), f32()], {}),
    ("reduce", 2, "dimensions (2,) of 2 axes", None, {"dimensions": (2,)}),
    ("reduce", 3, "the body is", None, {"body": THREE}),
    ("reduce", 3, "combines float16 but operand 0", None, {"body": NARROW}),
    ("sort_with", 1, "0 operands", [], {}),
    ("sort_with", 1, "operand 1 has shape (3, 4)", [f32(3, 5), f32(3, 4)], {}),
    ("sort_with", 2, "dimension 2 of 2 axes", None, {"dimension": 2}),
    ("sort_with", 3, "the comparator is", None, {"comparator": TWO_TO_ONE}),
    ("scatter_with", 1, "2 operands", [f32(5, 4), i32(6, 1)], {}),
    ("scatter_with", 1, "operand 1 has shape (5, 3)",
     [f32(5, 4), f32(5, 3), i32(6, 1), f32(6, 3), f32(6, 3)], {}),
    ("scatter_with", 2, "window axes (2,)", None, {"update_window_dims": (2,)}),
    ("scatter_with", 3, "the body is", None, {"body": THREE}),
    ("reduce_window", 1, "initial value 0 is i32[]", [f32(3, 7), i32()], {}),
    ("reduce_window", 2, "window_strides (0, 1)", None, {"window_strides": (0, 1)}),
    ("reduce_window", 2, "window_dimensions (2,) for 2 axes", None, {"window_dimensions": (2,)}),
    ("reduce_window", 3, "padding ((0, 0),) for 2 axes", None, {"padding": ((0, 0),)}),
    ("reduce_window", 4, "the body is", None, {"body": THREE}),
    ("select_and_scatter", 1, "window_strides (0, 1)", None, {"window_strides": (0, 1)}),
    ("select_and_scatter", 2, "padding ((0, 0),) for 2 axes", None, {"padding": ((0, 0),)}),
    ("select_and_scatter", 3, "the source is f32[9,9]", [f32(3, 6), f32(9, 9), f32()], {}),
    ("select_and_scatter", 4, "the initial value is i32[]", [f32(3, 6), f32(3, 3), i32()], {}),
    ("select_and_scatter", 5, "`select` is", None, {"select": TWO_TO_ONE}),
    ("select_and_scatter", 6, "`scatter` combines float16", None, {"scatter": NARROW}),
    ("convolution", 1, "the kernel is float64", [f32(2, 4, 5, 3), f64(3, 2, 3, 4)], {}),
    ("convolution", 2, "a result of int32", None, {"dtype": dt.int32}),
    ("convolution", 3, "a kernel of 3", [f32(2, 4, 5, 3), f32(3, 2, 3)], {}),
    ("convolution", 4, "lhs_spec (0, 0, 1, 2)", None, {"lhs_spec": (0, 0, 1, 2)}),
    ("convolution", 5, "window_strides (1,) for 2", None, {"window_strides": (1,)}),
    ("convolution", 5, "must be positive", None, {"lhs_dilation": (0, 1)}),
    ("convolution", 6, "padding ((0, 0),) for 2", None, {"padding": ((0, 0),)}),
    ("convolution", 6, "window_reversal (True,) for 2", None, {"window_reversal": (True,)}),
    ("convolution", 7, "one must be 1", None, {"feature_group_count": 2, "batch_group_count": 2}),
    ("convolution", 7, "neither less", None, {"feature_group_count": 0}),
    ("convolution", 8, "the batch size, 2, is no multiple", None, {"batch_group_count": 4}),
    ("convolution", 9, "the array has 4 features", [f32(2, 4, 5, 4), f32(3, 2, 3, 4)], {}),
    ("rng_bit_generator", 1, "rng_algorithm is 'COIN'", None, {"rng_algorithm": "COIN"}),
    ("rng_bit_generator", 2, "the state is uint32", [Type(dt.uint32, (2,))], {}),
    ("rng_bit_generator", 3, "a state of shape (3,)", [Type(dt.uint64, (3,))], {}),
    ("rng_bit_generator", 4, "complex64 has no random bits", None, {"dtype": dt.complex64}),
    ("top_k", 1, "k = 6", None, {"k": 6}),
    ("top_k", 1, "k = 0 of a shape ()", [f32()], {"k": 0}),
    ("top_k", 2, "complex numbers have no order", [c64(3, 5)], {}),
    ("bitcast_regroup", 1, "only to complex", None, {"dtype": dt.complex128}),
    ("bitcast_regroup", 2, "both have 32 bits", None, {"dtype": dt.int32}),
    ("bitcast_regroup", 3, "a last axis of size 2", None, {"dtype": dt.float64}),
    ("cumulative", 1, "kind 'divide'", None, {"kind": "divide"}),
    ("cumulative", 2, "dimension 2 of 2 axes", None, {"dimension": 2}),
    ("cumulative", 3, "complex numbers have no order", [c64(3)],
     {"kind": "maximum", "dimension": 0}),
    ("cumulative", 3, "truth values are not numbers", [Type(dt.bool_, (3,))], {"dimension": 0}),
    ("attention", 1, "floats of one dtype", [*QKV[:2], Type(dt.float64, QKV[2].shape)], {}),
    ("attention", 2, "have four axes", [f32(3, 4), *QKV[1:]], {}),
    ("attention", 2, "do not fit together", [QKV[0], f32(2, 5, 3, 2), QKV[2]], {}),
    ("attention", 3, "(2, 4, 3, 4) does not spread to (2, 4, 3, 5)", [*QKV, f32(2, 4, 3, 4)],
     {"bias": True}),
    ("attention", 4, "bias is of the dtype of sums", [*QKV, f64(1, 1, 1, 1)], {"bias": True}),
    ("attention_tangent", 1, "3 operands are too few", QKV, {}),
    ("attention_tangent", 1, "f32[3] where f32[2,3,4,3] is needed",
     [*QKV, f32(3), f32(2, 4, 3), f32(2, 4, 3), *QKV], {}),
    ("attention_backward", 1, "f64[2,3,4,3] where f32[2,3,4,3] is needed",
     [*QKV, f32(2, 3, 4, 3), f32(2, 4, 3), f32(2, 4, 3), f64(2, 3, 4, 3)], {}),
]
GIVES = ("The result", "A result", "An axis of the result")  # constraints that ask for nothing


@pytest.mark.parametrize("name, number, message, types, attrs", BROKEN,
                         ids=[f"{row[0]}-C{row[1]}-{i}" for i, row in enumerate(BROKEN)])
def test_a_constraint_is_checked(name, number, message, types, attrs):
    op = TABLE[name]
    example = op.examples[0]
    types = example.types if types is None else tuple(types)
    with pytest.raises((ShapeError, DtypeError)) as error:
        op.result_types(types, {**example.attrs, **attrs})
    assert message in str(error.value)
    assert str(error.value).split("\n")[0].startswith((f"{name}: ", "scatter: ", "multiply: "))
    assert number <= len(op.constraints)


def test_every_constraint_is_broken_by_a_program():
    asked = {(op.name, i + 1) for op in TABLE.values() for i, text in enumerate(op.constraints)
             if not text.startswith(GIVES)}
    everything_goes = {("reduce_add", 2)}  # it takes every dtype
    assert asked - {row[:2] for row in BROKEN} == everything_goes


def test_every_rule_has_its_constraints_stated():
    assert not [op.name for op in TABLE.values() if not op.elementwise and not op.constraints]
    for op in TABLE.values():
        assert all(text.endswith(".") and "  " not in text for text in op.constraints), op.name

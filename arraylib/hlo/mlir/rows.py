"""The attributes and regions of each operation: its record's, and how text calls them."""

from __future__ import annotations

from arraylib.hlo.mlir.collectives import AXIS, CHANNEL, GROUPED, GROUPS, PAIRS, ROOT
from arraylib.hlo.mlir.convolutions import CONVOLUTION
from arraylib.hlo.mlir.fields import (
    DTYPE,
    OTHER_DTYPE,
    SHAPE,
    Field,
    choice,
    flag,
    integer,
    ints,
    mark,
    noted,
    pairs,
    structure,
)
from arraylib.hlo.mlir.operation import Operation
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops import (
    bits,
    collective,
    constant as const,
    convolution as conv,
    dynamic,
    elementwise as ew,
    general,
    general_scatter,
    indexed,
    linalg,
    random_bits,
    reduction as red,
    rooted,
    shape,
    structured as st,
    top_k as top,
    window,
)
from arraylib.hlo.ops.elementwise_extra import compare_total


def _ones(name: str) -> Field:
    """Integers that are 1 where text leaves them out, one for each axis of the first operand."""
    return ints(name, default=lambda operation: (1,) * _rank(operation))


def _rank(operation: Operation) -> int:
    return operation.operands[0].type.rank


_NO_PADDING = pairs("padding", default=lambda operation: ((0, 0),) * _rank(operation))
_DIRECTION = choice("direction", "comparison_direction", "comparison_direction")
_GATHER = structure("dimension_numbers", "gather", {name: name for name in (
    "offset_dims", "collapsed_slice_dims", "operand_batching_dims", "start_indices_batching_dims",
    "start_index_map", "index_vector_dim")})
_SCATTER = structure("scatter_dimension_numbers", "scatter", {name: name for name in (
    "update_window_dims", "inserted_window_dims", "input_batching_dims",
    "scatter_indices_batching_dims", "scatter_dims_to_operand_dims", "index_vector_dim")})
_DOT = structure("dot_dimension_numbers", "dot", {
    f"{side}_{kind}": f"{side}_{kind}_dimensions"
    for kind in ("batching", "contracting") for side in ("lhs", "rhs")})
_SORTED = noted("indices_are_sorted")

FIELDS: dict[OpDef, tuple[Field, ...]] = {
    const.iota: (integer("dimension", "iota_dimension"), SHAPE, DTYPE),
    ew.compare: (_DIRECTION,),
    compare_total: (_DIRECTION,),
    ew.convert: (DTYPE,),
    ew.bitcast_convert: (DTYPE,),
    bits.bitcast_regroup: (DTYPE,),
    ew.reduce_precision: (integer("exponent_bits", type="i32"),
                          integer("mantissa_bits", type="i32")),
    st.transpose: (ints("permutation"),),
    st.broadcast_in_dim: (ints("broadcast_dimensions"), SHAPE),
    st.reshape: (SHAPE,),
    shape.slice_: (ints("start", "start_indices"), ints("limit", "limit_indices"),
                   ints("strides")),
    shape.pad: (ints("low", "edge_padding_low"), ints("high", "edge_padding_high"),
                ints("interior", "interior_padding")),
    shape.concatenate: (integer("dimension"),),
    shape.reverse: (ints("dimensions"),),
    red.dot_general: (*_DOT, OTHER_DTYPE),
    dynamic.dynamic_slice: (ints("sizes", "slice_sizes"),),
    indexed.gather: (*_GATHER, ints("slice_sizes"), _SORTED),
    general_scatter.scatter_with: (*_SCATTER, flag("unique_indices", False), _SORTED),
    general.reduce: (ints("dimensions"),),
    general.sort_with: (integer("dimension", default=-1), flag("is_stable", False)),
    window.reduce_window: (
        ints("window_dimensions"), _ones("window_strides"), _ones("base_dilations"),
        _ones("window_dilations"), _NO_PADDING),
    window.select_and_scatter: (ints("window_dimensions"), _ones("window_strides"), _NO_PADDING),
    conv.convolution: CONVOLUTION,
    linalg.cholesky: (mark("lower"),),
    linalg.triangular_solve: (
        flag("left_side"), flag("lower"), flag("unit_diagonal"),
        choice("transpose_a", "transpose_a", "transpose")),
    linalg.fft: (choice("fft_type", "fft_type", "fft_type"), ints("fft_length")),
    random_bits.rng_bit_generator: (
        choice("rng_algorithm", "rng_algorithm", "rng_algorithm"), SHAPE, DTYPE),
    top.top_k: (integer("k"),),
    collective.all_gather: (integer("all_gather_dim"), *GROUPED),
    collective.all_reduce: GROUPED,
    collective.reduce_scatter: (integer("scatter_dimension"), *GROUPED),
    collective.all_to_all: (
        integer("split_dimension"), integer("concat_dimension"), integer("split_count"), GROUPS,
        CHANNEL, *AXIS),
    collective.collective_permute: (PAIRS, CHANNEL, *AXIS),
    collective.replica_id: AXIS,
    rooted.collective_broadcast: (GROUPS, CHANNEL, ROOT),
    rooted.collective_reduce: (GROUPS, CHANNEL, ROOT),
}

REGIONS: dict[OpDef, tuple[str, ...]] = {
    general.reduce: ("body",), general.sort_with: ("comparator",),
    general_scatter.scatter_with: ("body",), window.reduce_window: ("body",),
    window.select_and_scatter: ("select", "scatter"), collective.all_reduce: ("body",),
    collective.reduce_scatter: ("body",), rooted.collective_reduce: ("body",)}

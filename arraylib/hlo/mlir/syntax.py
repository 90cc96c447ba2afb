"""The forms in which MLIR prints operations, a row each; see `pieces`."""

from __future__ import annotations

from arraylib import dtypes as dt
from arraylib.hlo.mlir.convolutions import DIMENSIONS, WINDOW
from arraylib.hlo.mlir.operation import Operation
from arraylib.hlo.mlir.pieces import (
    CONSTRAINT,
    DOT,
    FORMAT,
    FUNCTION,
    INDEX,
    LISTED,
    NAME,
    OPERANDS,
    PRECISION,
    RANGES,
    TARGET,
    VALUE,
    Row,
    array,
    boolean,
    enum,
    integer,
    optional,
    row,
    string,
    written_dictionary,
)


def _constant_name(operation: Operation) -> tuple[str, ...]:
    dtype = operation.results[0].dtype
    return ("cst" if dtype is not None and dt.is_inexact(dtype) else "c",)


SAME = row(OPERANDS, types="same")
PLAIN = row(OPERANDS)
CHLO = row(OPERANDS, types="arrow")
_CALL = row(FUNCTION, "(", LISTED, ")")

ROWS: dict[str, Row] = {
    "stablehlo.constant": row(VALUE, types="none", names=_constant_name),
    "arith.constant": row(VALUE, types="none"),
    "chlo.constant": row(VALUE, types="none"),
    "stablehlo.iota": row(" dim = ", integer("iota_dimension"), types="result"),
    "stablehlo.complex": row(OPERANDS, types="complex"),
    "stablehlo.compare": row(
        " ", enum("comparison_direction", "comparison_direction"), ",", OPERANDS,
        optional("compare_type", "", enum("compare_type", "comparison_type"))),
    "stablehlo.select": row(OPERANDS, types="select"),
    "stablehlo.reduce_precision": row(OPERANDS, ", format = ",
                                      FORMAT, types="same"),
    **dict.fromkeys(("stablehlo.bitcast_convert", "stablehlo.reshape", "stablehlo.is_finite",
                     "stablehlo.dynamic_update_slice"), PLAIN),
    "stablehlo.transpose": row(OPERANDS, ", dims = ", array("permutation")),
    "stablehlo.broadcast_in_dim": row(OPERANDS, ", dims = ", array("broadcast_dimensions")),
    "stablehlo.slice": row(OPERANDS, RANGES),
    "stablehlo.pad": row(OPERANDS, ", low = ", array("edge_padding_low"), ", high = ",
                         array("edge_padding_high"), ", interior = ", array("interior_padding")),
    "stablehlo.concatenate": row(OPERANDS, ", dim = ", integer("dimension")),
    "stablehlo.reverse": row(OPERANDS, ", dims = ", array("dimensions"), types="same"),
    "stablehlo.dynamic_slice": row(OPERANDS, ", sizes = ", array("slice_sizes")),
    "stablehlo.dot_general": row(OPERANDS, DOT, PRECISION),
    "stablehlo.convolution": row(
        "(", LISTED, ") dim_numbers = ", DIMENSIONS, ", window = ", WINDOW,
        written_dictionary("dimension_numbers", "window_strides", "padding", "lhs_dilation",
                           "rhs_dilation", "window_reversal")),
    "stablehlo.fft": row(OPERANDS, ", type = ", enum("fft_type", "fft_type"), ", length = ",
                         array("fft_length")),
    "stablehlo.cholesky": row(OPERANDS, optional("lower", "lower = ", boolean("lower")),
                              types="same"),
    "stablehlo.rng_bit_generator": row(OPERANDS, ", algorithm = ",
                                       enum("rng_algorithm", "rng_algorithm"),
                                       names=("output_state", "output")),
    "stablehlo.optimization_barrier": row(OPERANDS, types="each"),
    "stablehlo.partition_id": row(types="result"),
    "stablehlo.replica_id": row(written_dictionary(), types="result"),
    "stablehlo.custom_call": row(
        TARGET, "(", LISTED, ")",
        written_dictionary("call_target_name")),
    "stablehlo.composite": row(NAME, OPERANDS,
                               written_dictionary("name")),
    "call": _CALL,
    "func.call": _CALL,
    "chlo.top_k": row("(", LISTED, ", k = ", integer("k"), ")", types="arrow",
                      names=("values", "indices")),
    # Not written by us in these forms, but read.
    "stablehlo.broadcast": row(OPERANDS, ", sizes = ", array("broadcast_sizes")),
    "stablehlo.dynamic_iota": row(OPERANDS, ", dim = ", integer("iota_dimension")),
    "stablehlo.dynamic_broadcast_in_dim": row(OPERANDS, ", dims = ", array("broadcast_dimensions")),
    "stablehlo.get_dimension_size": row(OPERANDS, ", dim = ", integer("dimension")),
    "stablehlo.set_dimension_size": row(OPERANDS, ", dim = ", integer("dimension")),
    "stablehlo.dot": row(OPERANDS, PRECISION),
    "stablehlo.einsum": row(OPERANDS, ", config = ", string("einsum_config")),
    "stablehlo.unary_einsum": row(OPERANDS, ", config = ", string("einsum_config")),
    "stablehlo.rng": row(OPERANDS, ", distribution = ",
                         enum("rng_distribution", "rng_distribution")),
    "stablehlo.get_tuple_element": row(OPERANDS, INDEX),
    "stablehlo.tuple": row(OPERANDS, types="tuple"),
    "stablehlo.create_token": row(types="result"),
    "sdy.sharding_constraint": row(OPERANDS, CONSTRAINT, types="same"),
}

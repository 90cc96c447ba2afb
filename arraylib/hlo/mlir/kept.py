"""The operations of StableHLO and CHLO that have no record: text keeps them as they are written.

`passes/adopt.py` writes them in terms of others.
"""

_BROADCASTING = (
    "add", "and", "atan2", "compare", "complex", "divide", "maximum", "minimum", "multiply",
    "next_after", "or", "polygamma", "power", "remainder", "select", "shift_left",
    "shift_right_arithmetic", "shift_right_logical", "subtract", "xor", "zeta")

KEPT = frozenset((
    *(f"chlo.broadcast_{name}" for name in _BROADCASTING),
    *(f"chlo.{name}" for name in ("constant_like", "ragged_dot", "scan")),
    *(f"stablehlo.{name}" for name in (
        "after_all", "async_done", "async_start", "batch_norm_grad", "batch_norm_inference",
        "batch_norm_training", "broadcast", "create_token", "cross-replica-sum", "dot",
        "dynamic_broadcast_in_dim", "dynamic_conv", "dynamic_gather", "dynamic_iota",
        "dynamic_pad", "dynamic_reshape", "einsum", "get_dimension_size", "get_tuple_element",
        "if", "infeed", "map", "outfeed", "real_dynamic_slice", "recv", "rng", "send",
        "set_dimension_size", "torch_index_select", "trace", "tuple", "unary_einsum",
        "uniform_dequantize", "uniform_quantize"))))

"""The operations: one record each, by family, and the table of them all."""

from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops import (
    attention,
    bits,
    checkpoint,
    collective,
    composite,
    constant,
    control,
    convolution,
    cumulative,
    dynamic,
    elementwise,
    elementwise_extra,
    general,
    general_scatter,
    indexed,
    linalg,
    loop,
    placement,
    random_bits,
    reduction,
    rooted,
    shape,
    sort,
    structured,
    top_k,
    window,
)

FAMILIES = (constant, elementwise, structured, shape, reduction, indexed, dynamic, sort, control,
            checkpoint, placement, loop, linalg, collective, rooted, elementwise_extra, general,
            general_scatter, window, convolution, random_bits, composite, top_k, bits, cumulative,
            attention)

TABLE: dict[str, OpDef] = {
    op.name: op
    for family in FAMILIES
    for op in vars(family).values()
    if isinstance(op, OpDef)
}

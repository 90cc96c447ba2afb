"""The operations: one record each, by family, and the table of them all."""

from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops import (
    constant,
    control,
    dynamic,
    elementwise,
    indexed,
    loop,
    reduction,
    shape,
    sort,
    structured,
)

FAMILIES = (constant, elementwise, structured, shape, reduction, indexed, dynamic, sort, control,
             loop)

TABLE: dict[str, OpDef] = {
    op.name: op
    for family in FAMILIES
    for op in vars(family).values()
    if isinstance(op, OpDef)
}

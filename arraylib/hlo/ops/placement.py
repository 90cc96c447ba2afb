"""The operation that says how a value lies on a mesh of devices: constrain."""

from typing import Any

from arraylib.hlo.ir import Type
from arraylib.hlo.opdef import Example, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.structured import F32


def _batch(operands: Any, has: Any, size: int, *, axes: str, mesh: str) -> Any:
    """The axis of examples, in front, is not split."""
    return constrain(operands[0], axes=";" + axes if operands[0].type.rank > 1 else "", mesh=mesh)


constrain: OpDef = OpDef(
    "constrain", "x, which lies on the mesh named `mesh` as `axes` says: for each axis of x, the "
    "axes of the mesh that split it by their numbers, `0,1;;2` of three axes.",
    lambda x, *, axes, mesh: x,
    dtypes=ew.ANY, jvp=(lambda t, out, x, **settings: constrain(t, **settings),),
    transpose=(lambda ct, x, **settings: constrain(ct, **settings),),
    batch=_batch, expand=lambda x, axes, mesh: x, dialect="arraylib",
    constraints=("The result is of the operand's type.",),
    examples=(Example((Type(F32, (4, 3)),), {"axes": "0,1;", "mesh": "m"}),))

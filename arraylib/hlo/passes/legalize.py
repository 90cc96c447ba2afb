"""Leave only what StableHLO has, so that what we print runs wherever StableHLO does.

    %1, %2 = scan(%0) {body}    ->    while, dynamic_slice, dynamic_update_slice
"""

from arraylib.hlo.ir import Graph
from arraylib.hlo.mlir.shorthand import SHORTHAND
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops.control import call
from arraylib.hlo.ops.lapack import lapack
from arraylib.hlo.passes.expand import expand
from arraylib.hlo.passes.rewrite import everywhere


def legalize(graph: Graph) -> Graph:
    """`graph` with operations that have no form in StableHLO text written out."""
    return everywhere(lambda g: expand(g, lambda op, node: _is_standard(op)))(graph)


def _is_standard(op: OpDef) -> bool:
    return op.dialect != "arraylib" or op in SHORTHAND or op in (call, lapack)

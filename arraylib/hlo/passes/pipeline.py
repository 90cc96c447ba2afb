"""The optimiser: every pass, once, in order."""

from collections.abc import Callable

from arraylib.config import config
from arraylib.hlo.ir import Graph
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.passes.cse import cse
from arraylib.hlo.passes.dce import dce
from arraylib.hlo.passes.expand import expand
from arraylib.hlo.passes.fold import fold
from arraylib.hlo.passes.hoist import hoist
from arraylib.hlo.passes.inline import inline
from arraylib.hlo.passes.rewrite import everywhere
from arraylib.hlo.passes.simplify import simplify
from arraylib.hlo.verify import verify


def optimize(graph: Graph, native: Callable[[OpDef], bool] | None = None) -> Graph:
    """A graph that means the same and costs less, of operations that are `native` or basic.

    Without `native`, every operation counts as native.
    """
    passes = (
        dce,  # first: derivatives leave much behind that nobody needs
        inline,  # before all that looks for patterns, which do not reach through calls
        lambda g: expand(g, native or (lambda op: True)),  # so that expansions are optimised too
        fold,  # constants become splats, which simplify looks for
        simplify,
        cse,  # after simplify, which makes more nodes equal
        hoist,  # after cse, so that a loop carries each invariant value out once
        dce,  # last: what was folded, merged or moved has left its operands behind
    )
    if config.verify_passes:
        verify(graph)
    for change in passes:
        graph = everywhere(change)(graph)
        if config.verify_passes:
            verify(graph)
    return graph

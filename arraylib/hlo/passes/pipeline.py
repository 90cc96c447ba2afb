"""The optimiser: every pass, once, in order."""

from arraylib.config import config
from arraylib.hlo.ir import Graph
from arraylib.hlo.passes.afterwards import afterwards
from arraylib.hlo.passes.ahead import ahead
from arraylib.hlo.passes.attend import attend
from arraylib.hlo.passes.cse import cse
from arraylib.hlo.passes.dce import dce
from arraylib.hlo.passes.expand import Native, expand
from arraylib.hlo.passes.fold import fold
from arraylib.hlo.passes.hoist import hoist
from arraylib.hlo.passes.inline import inline
from arraylib.hlo.passes.parts import in_parts
from arraylib.hlo.passes.rewrite import Pass, everywhere
from arraylib.hlo.passes.simplify import simplify
from arraylib.hlo.passes.variance import in_one_sweep
from arraylib.hlo.verify import verify


def pipeline(native: Native | None = None) -> tuple[tuple[str, Pass], ...]:
    """The passes and their names, in order; without `native`, every operation counts as native."""
    return (
        ("dce", dce),  # first: derivatives leave much behind that nobody needs
        ("inline", inline),  # before all that looks for patterns, which do not reach through calls
        ("attend", attend),
        # for all that comes after it
        ("expand", lambda g: expand(g, native or (lambda op, node: True))),
        ("fold", fold),  # constants become splats, which simplify looks for
        ("simplify", simplify),
        ("cse", cse),  # after simplify, which makes more nodes equal
        ("variance", in_one_sweep),  # after cse, so that a sum is one where it is used twice
        ("hoist", hoist),  # after cse, so that a loop carries each invariant value out once
        ("afterwards", afterwards),  # after hoist, which tells what is the same in every step
        ("ahead", ahead),  # after afterwards: results of steps need not go through the loop
        ("parts", in_parts),  # after ahead, which leaves arithmetic of its products in the loop
        ("last dce", dce),  # what was folded, merged or moved has left its operands behind
    )


PASSES = pipeline()


def optimize(graph: Graph, native: Native | None = None) -> Graph:
    """A graph that means the same and costs less, of operations that are `native` or basic."""
    if config.verify_passes:
        verify(graph)
    for _, change in pipeline(native):
        graph = everywhere(change)(graph)
        if config.verify_passes:
            verify(graph)
    return graph

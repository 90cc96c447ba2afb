"""jit of functions that read and write refs, passed or closed over.

What each ref holds is one more argument of the program, and what those hold that were written to is
one more result, in the memory of the argument: the arrays of refs are always donated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from arraylib import tree
from arraylib.array import Array
from arraylib.compile import compile_graph
from arraylib.launch import copied, donating_launcher, launcher
from arraylib.tracing.cells import Ref, contents, only_once, put
from arraylib.tracing.checked import guarded, results
from arraylib.tracing.stages import Entry, Traced


def passed(leaves: Sequence[Any]) -> tuple[int, ...]:
    """The numbers of the leaves that are refs."""
    return tuple([i for i, x in enumerate(leaves) if x.__class__ is Ref])


def is_impure(traced: Traced) -> bool:
    """Whether a function takes, reads or writes refs of the outside."""
    return bool(traced.written or traced.passed or passed(traced.captured))


def write_back(traced: Traced, leaves: Sequence[Any], outputs: Sequence[Any]) -> Sequence[Any]:
    """Put the last outputs into the refs that were written to; the others are returned."""
    count = len(outputs) - len(traced.written)
    for ref, value in zip(traced.written, outputs[count:]):
        put(leaves[ref] if ref.__class__ is int else ref, value, shared=False)
    return outputs[:count]


def impure_entry(function: str, traced: Traced, donated: Sequence[int],
                 names: Callable[[int], str]) -> Entry:
    """Compile, and tie results to their containers and refs."""
    everything = len(traced.graph.inputs) - len(traced.captured)
    held = {ref: everything + i for i, ref in enumerate(traced.captured) if ref.__class__ is Ref}
    taken = {ref if ref.__class__ is int else held[ref]
             for ref in traced.written if ref.__class__ is int or ref in held}
    gone = tuple(sorted({*donated, *taken}))
    checked = guarded(traced.graph, names, lambda number: "a result")
    executable = compile_graph(checked.graph if checked else traced.graph, frozenset(gone))
    plain = launcher(executable)
    launch = donating_launcher(executable, gone, names) if gone else \
        lambda arrays: plain([x.address for x in arrays])
    rebuild = tree.rebuilder(traced.output)

    def run(leaves: Sequence[Any]) -> Any:
        only_once(function, [leaves[i] for i in passed(leaves)], traced.captured)
        arrays = [_array(x, i in taken) for i, x in enumerate((*leaves, *traced.captured))]
        found = launch(arrays)
        outputs = results(checked, found) if checked else found
        return rebuild(write_back(traced, leaves, outputs))

    return Entry(run, None, executable, (), traced.output, native=False)


def _array(x: Any, taken: bool) -> Array:
    """An operand of the program; of a ref, what it holds."""
    if x.__class__ is not Ref:
        return x  # type: ignore[no-any-return]
    array: Array = contents(x)
    return copied(array) if taken and x._shared else array  # what others hold stays

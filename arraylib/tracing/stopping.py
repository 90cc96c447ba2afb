"""debug.breakpoint: Python's debugger, with the values of a program."""

from __future__ import annotations

import sys
from typing import Any

from arraylib import tree
from arraylib.errors import ArgumentError, Source, here, mistake, users_frame
from arraylib.hlo.ir import Value, is_tracing, known
from arraylib.record import record
from arraylib.tracing.callbacks import debug_callback


@record(eq=False)
class _Stop:
    """Stop at a line, among variables of which those that were traced are given."""

    where: Source
    variables: dict[str, Any]

    def __call__(self, **values: Any) -> None:
        names = {**self.variables, **values, "_stop": sys.breakpointhook}
        # Code that seems to stand in the user's file, so that the debugger shows that.
        exec(compile("\n" * (self.where.line - 1) + "_stop()", self.where.file, "exec"), names)


def debug_breakpoint(*, ordered: bool = False, **values: Any) -> None:
    """Stop in Python's debugger where the program gets there, with the values it has then.

    The debugger is that of `breakpoint()`: see sys.breakpointhook. It sees the variables of the
    function that calls this, those that are traced with the values of this run, and `values` by
    their names. Under vmap it stops for each example, in loops in every step. Without jit
    (`config.jit = False`) the program stops at once, and so do operations outside of jit.

    Raises: ArgumentError if one of `values` is no array.

        >>> jit(lambda x: (debug.breakpoint(), x + 1)[1])(1.0)  # doctest: +SKIP
        (Pdb) p x
        Array(1., dtype=float32)
    """
    frame = users_frame()
    if frame is None:
        raise mistake(ArgumentError, "debug.breakpoint", "no line of yours calls this")
    variables = {**frame.f_locals, **values}
    traced = {name: value for name, value in variables.items() if _is_traced(value)}
    rest = {name: value for name, value in variables.items() if name not in traced}
    rest = {**frame.f_globals, **rest}
    if is_tracing() and any(map(_waits, tree.leaves(traced))):
        given = {name: value for name, value in traced.items() if _is_current(value)}
        debug_callback(_Stop(here(), rest), ordered=ordered, **given)
    else:
        _Stop(here(), rest)(**{name: tree.map(_at_once, x) for name, x in traced.items()})


def _is_traced(value: Any) -> bool:
    return any(isinstance(leaf, Value) for leaf in tree.leaves(value))


def _waits(leaf: Any) -> bool:
    return isinstance(leaf, Value) and not leaf.builder.closed and known(leaf) is None


def _is_current(value: Any) -> bool:
    """Whether a variable can be handed on: nothing in it outlives its function or is no array."""
    return all(not leaf.builder.closed if isinstance(leaf, Value) else hasattr(leaf, "dtype")
               for leaf in tree.leaves(value))


def _at_once(leaf: Any) -> Any:
    """A traced value by what it is known to be."""
    return known(leaf) if isinstance(leaf, Value) and not leaf.builder.closed else leaf

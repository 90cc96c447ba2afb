"""Checks as values: `checkify(f)` returns what went wrong first, next to what `f` returns.

    err, y = jit(checkify(f, errors=all_checks))(x)
    err.throw()                        # raises what happened, if anything did

A checked function is an ordinary one, under jit, vmap, grad and in loops. See "Error values" in
JAX's documentation of checkify, whose names these are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from arraylib import tree
from arraylib.config import config
from arraylib.errors import CheckError
from arraylib.hlo.ir import Builder, Graph, Node, current, rebuild, run, type_of
from arraylib.hlo.ops.check import check as check_op
from arraylib.hlo.passes import watch
from arraylib.hlo.passes.dce import dce
from arraylib.hlo.passes.guard import Guarded, guard
from arraylib.hlo.passes.rewrite import map_regions
from arraylib.tracing.checks import check as check
from arraylib.tracing.core import Flat, flatten_call, trace

Errors = frozenset[str]

user_checks: Errors = frozenset({"user"})  # check(...)
nan_checks: Errors = frozenset({"nan"})  # operations that give nan
index_checks: Errors = frozenset({"index"})  # x[i] and x.at[i] with i outside of the axis
div_checks: Errors = frozenset({"div"})  # divisions by zero
float_checks: Errors = nan_checks | div_checks
automatic_checks: Errors = float_checks | index_checks
all_checks: Errors = automatic_checks | user_checks

JaxRuntimeError = CheckError


class Error:
    """The first failure of a program's checks, if any; a container of arrays.

    Under vmap it has one for each example.
    """

    def __init__(self, guarded: Guarded | None = None, state: Sequence[Any] = ()) -> None:
        self._guarded, self._state = guarded, tuple(state)

    def get(self) -> str | None:
        """What is wrong, as text; None if nothing is."""
        found = self._errors()
        if not found or not found[0][0]:
            return str(found[0][1]) if found else None
        return "\n".join(f"at mapped index {', '.join(map(str, index))}: {error}"
                         for index, error in found)

    def throw(self) -> None:
        """Raise it, if anything is wrong: a CheckError, and an IndexError for an index, etc.

        In a program that is being traced, the check is made when it runs.
        """
        check_error(self)

    def _errors(self) -> list[tuple[tuple[int, ...], Exception]]:
        """The error of each example that has one."""
        if self._guarded is None:
            return []
        state = [np.asarray(x) for x in self._state]
        each = []
        for index in np.ndindex(state[0].shape):
            error = self._guarded.error([x[index] for x in state])
            each += [(index, error)] if error else []
        return each

    def __repr__(self) -> str:
        return "Error(none)" if not self._state else f"Error({self._state[0]})"


tree.register_node(Error, lambda err: (err._state, err._guarded),
                   lambda guarded, state: Error(guarded, tuple(state)))


def checkify(f: Callable[..., Any], errors: Errors = user_checks) -> Callable[..., Any]:
    """`f` as a function that returns a pair: an Error, and what `f` returns.

    Args:
        f: a function of arrays in containers. errors: which checks it makes, a union of the sets
            of this module; `check` does nothing where it is left out.

    Nothing is raised: after a failure the program goes on as it would without checks, but
    that a while_loop ends.

        >>> err, y = checkify.checkify(jnp.log, errors=checkify.nan_checks)(-1.0)
        >>> print(err.get())
        log: gives nan...
    """
    errors = frozenset(errors)

    @wraps(f)
    def checked(*args: Any, **kwargs: Any) -> tuple[Error, Any]:
        operands, structure = flatten_call("checkify", args, kwargs)
        flat = Flat("checkify", lambda args, kwargs: f(*args, **kwargs), structure)
        with config.using(**_settings(errors)):
            graph, captured = trace(flat, [type_of(x) for x in operands])
        graph = _chosen(graph, errors)
        guarded = guard(graph)
        inputs = [*operands, *captured]
        if guarded is None:
            return Error(), flat.unflatten(run(graph, inputs))[0]
        outs = run(guarded.graph, inputs)
        state = outs[guarded.count:]
        return Error(guarded, state), flat.unflatten(outs[:guarded.count])[0]

    return checked


def check_error(error: Error) -> None:
    """Raise what an Error holds, or make it a check of the program that is being traced.

        >>> err, y = checkify.checkify(jnp.log, errors=checkify.nan_checks)(2.0)
        >>> checkify.check_error(err)
    """
    if error._guarded is not None:
        error._guarded.checks(error._state)


def _settings(errors: Errors) -> dict[str, Any]:
    """What tracing needs to know; settings that stay as they are cost nothing."""
    mode = "raise" if "index" in errors else "clip"
    wanted = {"index_mode": mode, "debug_nans": "nan" in errors, "debug_infs": False}
    return {name: value for name, value in wanted.items() if getattr(config, name) != value}


def _chosen(graph: Graph, errors: Errors) -> Graph:
    """The graph with these checks."""
    graph = _of_categories(graph, errors)
    if "nan" in errors:
        graph = watch.everywhere(dce(graph), ("nan",))
    return watch.divisions(dce(graph)) if "div" in errors else graph


def _of_categories(graph: Graph, errors: Errors) -> Graph:
    """The graph without checks of other categories; none of those left is quiet."""
    def rule(node: Node, operands: list[Any]) -> Sequence[Any]:
        if node.op.thread or node.op.grouping:
            node = map_regions(node, lambda inner: _of_categories(inner, errors))
        attrs = node.attrs
        if node.op is check_op:
            if attrs["report"].category not in {*errors, "several"}:
                return [np.zeros((), np.bool_)]
            attrs = {**attrs, "report": attrs["report"].loud()}
        outs: Sequence[Any] = current().emit(node.op, operands, attrs, node.where)
        return outs

    with Builder() as b:
        inputs = [b.input(v.type) for v in graph.inputs]
        return b.build_closed(rebuild(graph, inputs, rule))

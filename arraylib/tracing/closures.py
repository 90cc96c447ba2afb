"""Derivatives of what a function closes over: custom_gradient, closure_convert."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from arraylib import tree
from arraylib.errors import StructureError, mistake
from arraylib.hlo.ir import Graph, given_type, run, type_of
from arraylib.record import record
from arraylib.tracing.core import Flat, alike, as_operand, flatten_arguments, trace
from arraylib.tracing.custom import custom_vjp

Function = Callable[..., Any]


def custom_gradient(fun: Function) -> Function:
    """A function from one that returns (output, function from cotangent to cotangents).

        >>> @custom_gradient
        ... def square(x):
        ...     return x * x, lambda ct: 3 * x * ct
        >>> grad(square)(2.0)
        Array(6., dtype=float32)
    """
    name = getattr(fun, "__name__", "custom_gradient")

    def value(*args: Any) -> Any:
        return fun(*args)[0]

    def forward(*args: Any) -> Any:
        out, back = fun(*args)
        leaves, structure = tree.flatten(out)
        types = [type_of(as_operand(x, name, lambda: "the output")) for x in leaves]
        flat = Flat(name, lambda *xs: back(tree.unflatten(structure, xs)), tree.structure(types))
        graph, captured = trace(flat, types)
        return out, (_Back(graph, flat), tuple(captured))

    def backward(residuals: Any, cotangent: Any) -> Any:
        back, captured = residuals
        found = back.flat.unflatten(run(back.graph, [*tree.leaves(cotangent), *captured]))[0]
        return found if isinstance(found, tuple) else (found,)

    wrapped = custom_vjp(update_wrapper(value, fun))
    wrapped.defvjp(forward, backward)
    return wrapped


@tree.register_static
@record(eq=False)
class _Back:
    """A function from cotangents, as a graph whose last inputs are what it closed over."""

    graph: Graph
    flat: Flat


def closure_convert(fun: Function, *example_args: Any) -> tuple[Function, list[Any]]:
    """(function, values): `function(*args, *values)` is `fun(*args)`, which closed over values.

    Then a rule may take derivatives in them.

        >>> y = jnp.float32(3)
        >>> f, values = closure_convert(lambda x: x * y, 2.0)
        >>> f(2.0, *values)
        Array(6., dtype=float32)
    """
    operands, structure = flatten_arguments("closure_convert", example_args)
    flat = Flat("closure_convert", fun, structure)
    graph, captured = trace(flat, list(map(given_type, operands)))

    def converted(*args: Any) -> Any:
        own, values = args[:len(args) - len(captured)], args[len(args) - len(captured):]
        given, found = flatten_arguments("closure_convert", own)
        if found is not structure:
            raise mistake(StructureError, "closure_convert", f"called with {found}, but the "
                          f"example's structure is {structure}",
                          hint="call it with arguments like the examples")
        return flat.unflatten(list(map(alike, run(graph, [*given, *values]), flat.weak)))[0]

    return converted, list(captured)

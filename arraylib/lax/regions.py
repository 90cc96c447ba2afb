"""Operations that a Python function is part of: reductions by it, and graphs under a name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from arraylib import dtypes as dt, tree
from arraylib.config import config
from arraylib.device import default_backend
from arraylib.errors import ArgumentError, DtypeError, ShapeError, TraceError, mistake, what_is
from arraylib.hlo.ir import Graph, Type, Value, run, trace_graph, type_of
from arraylib.hlo.mlir.attributes import Dense, Float, Integer
from arraylib.hlo.mlir.floats import float_text
from arraylib.hlo.ops.composite import composite as composite_op
from arraylib.hlo.ops.constant import constant
from arraylib.hlo.ops.general import reduce as reduce_op
from arraylib.lax.elementwise import bitwise_xor
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    as_axes,
    converted,
    operand as owned,
    operands as all_owned,
    shape_of,
)
from arraylib.tracing.core import Flat, flatten_arguments, trace

Computation = Callable[..., Any]

# -- functions as graphs ---------------------------------------------------------------------------

_known: WeakKeyDictionary[Computation, dict[Any, Graph]] = WeakKeyDictionary()


def region(op: str, function: Computation, types: Sequence[Type], structure: Any) -> Graph:
    """The graph of (accumulators, elements) -> accumulators, two containers of `structure`.

    As long as a function lives it is traced once for the same types. Raises TraceError where it
    uses traced values from outside; StructureError, ShapeError, DtypeError where it returns others.
    """
    key = (op, *types, structure, astuple(config))
    try:
        graphs = _known.setdefault(function, {})
    except TypeError:  # it cannot be a key
        graphs = {}
    if key not in graphs:
        graphs[key] = _traced(op, function, types, structure)
    return graphs[key]


def _traced(op: str, function: Computation, types: Sequence[Type], structure: Any) -> Graph:
    """The function's graph, which gives what it takes."""
    two = tree.structure((tree.unflatten(structure, range(structure.num_leaves)),) * 2)
    flat = Flat(op, function, two)
    graph, captured = trace(flat, (*types, *types))
    result = tree.structure(flat.unflatten(range(len(graph.outputs)))[0])
    tree.check_same(structure, result, op=op,
                    names=("the operands", "what the computation returns"),
                    hint="it takes two of them, accumulators and elements, and returns one")
    for given, found in zip(types, graph.output_types):
        if found is not given:
            raise mistake(ShapeError if found.shape else DtypeError, op, "the computation takes "
                          f"{given} and {given} but returns {found}",
                          hint=f"convert with .astype({dt.name(given.dtype)})")
    return closed(op, graph, captured)


def closed(op: str, graph: Graph, captured: Sequence[Any]) -> Graph:
    """The graph with the arrays it captured written into it; TraceError for traced values."""
    if not captured:
        return graph
    for x in captured:
        if isinstance(x, Value):
            raise mistake(TraceError, op, f"the function uses a traced {x.type} from outside",
                          hint="all it reads must come in through its arguments")
    own = graph.input_types[:len(graph.inputs) - len(captured)]
    arrays = [np.array(x, order="C") for x in captured]
    return trace_graph(own, lambda *xs: run(graph, [*xs, *[constant(value=a) for a in arrays]]))


# -- reductions ------------------------------------------------------------------------------------


def with_initials(op: str, operands: Any, init_values: Any) -> tuple[list[Array], Any]:
    """The arrays of a container, an initial value for each in its dtype, and the structure."""
    xs, structure = tree.flatten(operands)
    tree.check_same(structure, tree.structure(init_values), op=op,
                    names=("the operands", "the initial values"),
                    hint="one initial value, a scalar, for each operand")
    if not xs:
        raise mistake(ArgumentError, op, "no arrays are given", hint="at least one")
    xs = all_owned(op, xs)
    starts = [converted(op, v, type_of(x).dtype) for x, v in zip(xs, tree.leaves(init_values))]
    return [*xs, *starts], structure


def scalars(xs: Sequence[Array]) -> list[Type]:
    """The types of the elements of the first half: what a computation takes."""
    return [Type(type_of(x).dtype, ()) for x in xs[:len(xs) // 2]]


def reduce(operands: Any, init_values: Any, computation: Computation,
           dimensions: Sequence[int]) -> Any:
    """What an associative computation makes of all elements over axes, and of an initial value.

    Args:
        operands: an array, or a container of arrays of one shape that are reduced together.
        init_values: for each a scalar that changes nothing: 0 for a sum.
        computation: of two scalars (or containers of them), such as lax.add, or any function.
        dimensions: the axes that go.

        >>> lax.reduce(jnp.arange(4.), 1., lax.mul, (0,))
        Array(0., dtype=float32)
    """
    xs, structure = with_initials("reduce", operands, init_values)
    axes = as_axes("reduce", tuple(dimensions), len(shape_of(xs[0])))
    body = region("reduce", computation, scalars(xs), structure)
    return tree.unflatten(structure, reduce_op(*xs, body=body, dimensions=axes))


def reduce_xor(operand: ArrayLike, axes: Sequence[int]) -> Array:
    """The bits that are set in an odd number of the elements over axes; of truth values, one.

    >>> lax.reduce_xor(jnp.array([6, 3]), (0,))
    Array(5, dtype=int32)
    """
    x = owned("reduce_xor", operand)
    return reduce(x, np.zeros((), type_of(x).dtype), bitwise_xor, axes)


# -- composites ------------------------------------------------------------------------------------


def composite(decomposition: Callable[..., Any], name: str, version: int = 0
              ) -> Callable[..., Any]:
    """`decomposition` as one operation of the graph, under a name and a version of its own.

    It means and computes what the function does; printed as StableHLO it is one operation with a
    name, for which another compiler may have something better. Positional arguments are arrays,
    keyword arguments settings that are printed with it (but for those that are None).

        >>> double = lax.composite(lambda x, *, by: x * by, "my.scale")
        >>> double(jnp.arange(3.), by=2)
        Array([0., 2., 4.], dtype=float32)
    """
    def emit(*args: Any, **settings: Any) -> Any:
        operands, structure = flatten_arguments("composite", args)
        flat = Flat("composite", lambda *xs: decomposition(*xs, **settings), structure)
        graph, captured = trace(flat, [type_of(x) for x in operands])
        written = tuple((key, _attribute(key, settings[key])) for key in sorted(settings)
                        if settings[key] is not None)
        outs = composite_op(*operands, body=closed("composite", graph, captured), name=name,
                            settings=written, version=int(version))
        return flat.unflatten(outs)[0]
    return emit


def _attribute(name: str, value: Any) -> Any:
    """A setting as an attribute of MLIR."""
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, (list, tuple)):
        return tuple(_attribute(name, v) for v in value)
    if not isinstance(value, (int, float, np.ndarray, np.generic)):
        raise mistake(ArgumentError, "composite", f"the setting {name} is {what_is(value)}",
                      hint="a number, a string, a truth value or a list of them; arrays are "
                           "positional arguments")
    array = np.asarray(value)
    kind = dt.hlo_name(array.dtype)
    if array.ndim:
        return Dense(array, Type(array.dtype, array.shape))
    if dt.is_integer(array.dtype):
        return Integer(int(array), kind)
    return Float(float_text(array[()]), kind)


# -- functions for kinds of devices ----------------------------------------------------------------


def platform_dependent(*args: Any, default: Computation | None = None,
                       **per_platform: Computation) -> Any:
    """The result of the function for the devices that the program runs on: `cpu=`, or `default`.

    Raises: ArgumentError where there is neither.

        >>> platform_dependent(2.0, cpu=lambda x: x + 1, default=lambda x: x)
        3.0
    """
    platform = default_backend()
    chosen = per_platform.get(platform, default)
    if chosen is None:
        raise mistake(ArgumentError, "platform_dependent", f"no function for {platform!r}, but for "
                      f"{', '.join(map(repr, per_platform)) or 'none'}",
                      hint=f"{platform}=..., or default=...")
    return chosen(*args)

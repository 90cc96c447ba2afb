"""Functions of functions that look at the graph: make_graph, eval_shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, wraps
from typing import Any

from arraylib import hlo, tree
from arraylib.hlo.ir import Graph, given_type
from arraylib.hlo.ops.constant import zeros
from arraylib.hlo.pretty import pretty
from arraylib.hlo.split import needed
from arraylib.on_demand import module
from arraylib.record import record
from arraylib.tracing.core import Flat, ShapeDtypeStruct, flatten_call, trace

Function = Callable[..., Any]


@record(eq=False)
class TracedGraph:
    """A traced function: its graph, and the arrays it closed over, the graph's last inputs."""

    graph: Graph
    captured: tuple[Any, ...] = ()
    name: str = "main"

    def text(self, *, locations: bool = False) -> str:
        """The graph as StableHLO text, which `hlo.parse` reads back; see `hlo.text`."""
        return hlo.text(self.graph, self.name, locations=locations)

    def pretty(self) -> str:
        """The graph as a short list of definitions, for people."""
        return pretty(self.graph)

    @property
    def in_avals(self) -> tuple[Any, ...]:
        return self.graph.input_types

    @property
    def out_avals(self) -> tuple[Any, ...]:
        return self.graph.output_types

    @property
    def jaxpr(self) -> TracedGraph:
        """Itself, under the name that programs written for JAX ask for."""
        return self

    @cached_property
    def _view(self) -> Any:
        """The program in JAX's terms."""
        return module("as_jax.jaxpr").closed(self.graph, self.captured)

    consts = property(lambda self: self._view.consts, doc="The values of `constvars`.")
    eqns = property(lambda self: self._view.eqns, doc="The operations, in JAX's terms.")
    constvars = property(lambda self: self._view.jaxpr.constvars,
                         doc="Of the equations, the variables that were closed over.")
    invars = property(lambda self: self._view.jaxpr.invars,
                      doc="Of the equations, the variables that are arguments.")
    outvars = property(lambda self: self._view.jaxpr.outvars,
                       doc="Of the equations, what is returned.")

    def __str__(self) -> str:
        return self.pretty()

    __repr__ = __str__


def _traced(name: str, fun: Function, args: Any, kwargs: Any) -> tuple[Flat, Graph, list[Any]]:
    operands, structure = flatten_call(name, args, kwargs)
    flat = Flat(name, lambda args, kwargs: fun(*args, **kwargs), structure, refs=True)
    graph, captured = trace(flat, [given_type(x) for x in operands])
    return flat, graph, captured


def make_graph(fun: Function) -> Function:
    """A function that returns the graph `fun` draws for its arguments, which prints itself.

        >>> make_graph(lambda x: x * 2)(jnp.zeros(3))
        (a: f32[3])
          b: f32[3] = constant 2.0
          c: f32[3] = multiply a b
          return c
    """
    @wraps(fun)
    def traced(*args: Any, **kwargs: Any) -> TracedGraph:
        _, graph, captured = _traced("make_graph", fun, args, kwargs)
        return TracedGraph(needed(graph), tuple(captured), getattr(fun, "__name__", "main"))
    return traced


def eval_shape(fun: Function, *args: Any, **kwargs: Any) -> Any:
    """The shapes and dtypes of fun(*args, **kwargs), without computing it.

    Arguments may be arrays or ShapeDtypeStruct, and what the function returns as well.

        >>> eval_shape(jnp.dot, jnp.zeros((2, 3)), jnp.zeros((3, 4)))
        ShapeDtypeStruct(shape=(2, 4), dtype=float32)
    """
    def filled(*args: Any, **kwargs: Any) -> Any:
        return tree.map(lambda x: zeros(x.type) if x.__class__ is ShapeDtypeStruct else x,
                        fun(*args, **kwargs))

    flat, graph, _ = _traced("eval_shape", filled, args, kwargs)
    types = [ShapeDtypeStruct(t.shape, t.dtype, weak)
             for t, weak in zip(graph.output_types, flat.weak)]
    return flat.unflatten(types)[0]

"""Programs in JAX's terms: jaxprs, made of our graphs, which can be evaluated and printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, wraps
from typing import Any

import numpy as np

from arraylib import tree
from arraylib.as_jax.known import known
from arraylib.as_jax.primitive import OF_OPERATION, Params
from arraylib.as_jax.util import safe_map
from arraylib.dtypes import short_name
from arraylib.hlo.ir import Graph, Node, Type, Value
from arraylib.hlo.ops.constant import constant
from arraylib.record import field, record
from arraylib.tracing.core import ShapeDtypeStruct, trace
from arraylib.tracing.program import make_graph


class Var:
    """A variable of a jaxpr."""

    def __init__(self, aval: Type) -> None:
        self.aval = aval

    def __repr__(self) -> str:
        return f"Var(id={id(self)}):{self.aval}"


class DropVar(Var):
    """A variable that nobody reads."""

    def __repr__(self) -> str:
        return "_"


@record(eq=False)
class Literal:
    """A constant that is written in the program: its value and type."""

    val: Any
    aval: Type

    def __repr__(self) -> str:
        if np.ndim(self.val) == 0:
            return str(self.val)
        return f"{self.val.ravel()[0]}.." if self.val.size else "[]"


Atom = Var | Literal


@record(eq=False)
class JaxprEqn:
    """One operation: `outvars = primitive[params] invars`."""

    invars: Sequence[Atom]
    outvars: Sequence[Var]
    primitive: Any
    params: dict[str, Any]
    effects: Any = frozenset()
    source_info: Any = None

    def replace(self, **changes: Any) -> JaxprEqn:
        """The same with some of the parts replaced."""
        return JaxprEqn(**(self.__dict__ | changes))

    def __str__(self) -> str:
        return _equation(self, _Names())


@record(eq=False)
class Jaxpr:
    """A program: `constvars` and `invars` are given, `outvars` are what it returns."""

    constvars: Sequence[Var]
    invars: Sequence[Var]
    outvars: Sequence[Atom]
    eqns: Sequence[JaxprEqn]
    effects: Any = frozenset()
    debug_info: Any = None

    def replace(self, **changes: Any) -> Jaxpr:
        """The same with some of the parts replaced."""
        return Jaxpr(**(self.__dict__ | changes))

    @property
    def in_avals(self) -> list[Type]:
        return [v.aval for v in self.invars]

    @property
    def out_avals(self) -> list[Type]:
        return [v.aval for v in self.outvars]

    def __str__(self) -> str:
        return _program(self, _Names())

    __repr__ = __str__


@record(eq=False)
class ClosedJaxpr:
    """A program with the values of its `constvars`."""

    jaxpr: Jaxpr
    consts: Sequence[Any] = ()
    made_of: Graph | None = field(default=None, repr=False)

    @cached_property
    def graph(self) -> Graph:
        """Ours: that of which it was made, or what it computes."""
        if self.made_of is not None:
            return self.made_of
        return trace(lambda *xs: eval_jaxpr(
            self.jaxpr, [constant(value=np.asarray(x)) for x in self.consts], *xs),
            self.in_avals)[0]

    @property
    def literals(self) -> Sequence[Any]:
        return self.consts

    @property
    def eqns(self) -> Sequence[JaxprEqn]:
        return self.jaxpr.eqns

    @property
    def in_avals(self) -> list[Type]:
        return self.jaxpr.in_avals

    @property
    def out_avals(self) -> list[Type]:
        return self.jaxpr.out_avals

    @property
    def effects(self) -> Any:
        return self.jaxpr.effects

    def replace(self, *, jaxpr: Jaxpr | None = None, consts: Sequence[Any] | None = None
                ) -> ClosedJaxpr:
        """The same with another program or other values."""
        return ClosedJaxpr(jaxpr or self.jaxpr, self.consts if consts is None else consts)

    def __str__(self) -> str:
        return str(self.jaxpr)

    __repr__ = __str__


# -- from graphs and back --------------------------------------------------------------------------


def of_graph(graph: Graph, constants: int = 0) -> Jaxpr:
    """The jaxpr of a graph, whose last inputs are the given number of constants."""
    read = {v for node in graph.nodes for v in node.inputs}.union(graph.outputs)
    atoms: dict[Value, Any] = {v: Var(v.type) for v in graph.inputs}
    equations = []
    for node in graph.nodes:
        if node.op is constant:
            atoms[node.outputs[0]] = Literal(_number(node.attrs["value"]), node.outputs[0].type)
            continue
        outs = [Var(v.type) if v in read else DropVar(v.type) for v in node.outputs]
        atoms.update(zip(node.outputs, outs))
        equations.append(JaxprEqn([atoms[v] for v in node.inputs], outs, _primitive(node),
                                  _params(node), source_info=node.where))
    inputs = [atoms[v] for v in graph.inputs]
    own = len(inputs) - constants
    return Jaxpr(inputs[own:], inputs[:own], [atoms[v] for v in graph.outputs], equations)


def closed(graph: Graph, captured: Sequence[Any]) -> ClosedJaxpr:
    """The closed jaxpr of a graph, whose last inputs are what was captured."""
    return ClosedJaxpr(of_graph(graph, len(captured)), list(captured))


def _number(value: Any) -> Any:
    """A constant as a scalar if all its elements are one number that is repeated."""
    array = np.asarray(value)
    return array.ravel()[0] if array.size and not any(array.strides) else array


def _primitive(node: Node) -> Any:
    return OF_OPERATION.get(node.op) or known(node.op)


def _params(node: Node) -> dict[str, Any]:
    found = node.attrs.get("params")
    return dict(found.values) if isinstance(found, Params) else {
        name: _shown(value) for name, value in node.attrs.items()}


def _shown(value: Any) -> Any:
    """A setting with graphs as jaxprs."""
    if isinstance(value, Graph):
        return ClosedJaxpr(of_graph(value), (), value)
    if isinstance(value, tuple) and value and isinstance(value[0], Graph):
        return tuple(map(_shown, value))
    return value


# -- evaluation ------------------------------------------------------------------------------------


def eval_jaxpr(jaxpr: Jaxpr, consts: Sequence[Any], *args: Any, **options: Any) -> list[Any]:
    """What a program returns for these constants and arguments, a flat list."""
    values: dict[Var, Any] = {}

    def read(atom: Atom) -> Any:
        if isinstance(atom, Var):
            return values[atom]
        return np.broadcast_to(np.asarray(atom.val, atom.aval.dtype), atom.aval.shape)

    safe_map(values.__setitem__, jaxpr.constvars, consts)
    safe_map(values.__setitem__, jaxpr.invars, args)
    for equation in jaxpr.eqns:
        _, params = equation.primitive.get_bind_params(equation.params)
        out = equation.primitive.bind(*map(read, equation.invars), **params)
        outs = out if equation.primitive.multiple_results else [out]
        safe_map(values.__setitem__, equation.outvars, outs)
    return [read(atom) for atom in jaxpr.outvars]


def jaxpr_as_fun(jaxpr: ClosedJaxpr) -> Callable[..., list[Any]]:
    """A closed program as a function of its arguments."""
    return lambda *args: eval_jaxpr(jaxpr.jaxpr, jaxpr.consts, *args)


def make_jaxpr(fun: Callable[..., Any], static_argnums: Any = (), axis_env: Any = None,
               return_shape: bool = False, **options: Any) -> Callable[..., Any]:
    """A function that returns the program that `fun` is for its arguments, in JAX's terms.

    Args:
        fun: a function of arrays in nested containers.
        static_argnums: arguments that are settings: their values are in the program.
        return_shape: return (program, shapes and dtypes of the output).

        >>> make_jaxpr(jnp.sin)(1.0)
        { lambda ; a:f32[]. let b:f32[] = sin a in (b,) }
    """
    numbers = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)

    @wraps(fun)
    def traced(*args: Any, **kwargs: Any) -> Any:
        fixed = {i % len(args): args[i] for i in numbers}
        structure: list[Any] = []

        def partly(*rest: Any, **kwargs: Any) -> Any:
            given = iter(rest)
            out = fun(*[fixed[i] if i in fixed else next(given) for i in range(len(args))],
                      **kwargs)
            structure[:] = [tree.structure(out)]
            return out

        found = make_graph(partly)(*[x for i, x in enumerate(args) if i not in fixed], **kwargs)
        view = closed(found.graph, found.captured)
        shapes = [ShapeDtypeStruct(t.shape, t.dtype) for t in found.out_avals]
        return (view, tree.unflatten(structure[0], shapes)) if return_shape else view
    return traced


def subjaxprs(jaxpr: Jaxpr) -> Iterator[Jaxpr]:
    """The programs among the settings of a program's equations."""
    for equation in jaxpr.eqns:
        yield from jaxprs_in_params(equation.params)


def jaxprs_in_params(params: dict[str, Any]) -> Iterator[Jaxpr]:
    """The programs among settings."""
    for value in params.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(item, (Jaxpr, ClosedJaxpr)):
                yield item.jaxpr if isinstance(item, ClosedJaxpr) else item


def new_jaxpr_eqn(invars: Sequence[Atom], outvars: Sequence[Var], primitive: Any,
                  params: dict[str, Any], effects: Any = frozenset(), source_info: Any = None,
                  **options: Any) -> JaxprEqn:
    """One operation of a program."""
    return JaxprEqn(invars, outvars, primitive, params, effects, source_info)


# -- printing --------------------------------------------------------------------------------------


class _Names(dict[Var, str]):
    """Letters for variables, in the order in which they are met."""

    def __missing__(self, variable: Var) -> str:
        number, name = len(self), ""
        while True:
            number, digit = divmod(number, 26)
            name = chr(ord("a") + digit) + name
            if number == 0:
                break
            number -= 1
        self[variable] = name
        return name


def _atom(atom: Atom, names: _Names) -> str:
    if isinstance(atom, Literal):
        return f"{atom}:{_type(atom.aval)}"
    return "_" if isinstance(atom, DropVar) else names[atom]


def _type(aval: Type) -> str:
    return f"{short_name(aval.dtype)}[{','.join(map(str, aval.shape))}]"


def _bound(variables: Sequence[Var], names: _Names) -> str:
    return " ".join(f"{_atom(v, names)}:{_type(v.aval)}" for v in variables)


def _equation(equation: JaxprEqn, names: _Names, indent: str = "") -> str:
    params = "".join(f"\n{indent}    {key}={_setting(value, indent + '    ')}"
                     for key, value in sorted(equation.params.items()))
    settings = f"[{params}\n{indent}  ]" if params else ""
    operands = "".join(f" {_atom(atom, names)}" for atom in equation.invars)
    return f"{_bound(equation.outvars, names)} = {equation.primitive}{settings}{operands}"


def _setting(value: Any, indent: str) -> str:
    if isinstance(value, tuple) and value and isinstance(value[0], ClosedJaxpr):
        return "(" + " ".join(_setting(item, indent) for item in value) + ")"
    if isinstance(value, ClosedJaxpr):
        return _program(value.jaxpr, _Names(), indent)
    return str(value)


def _program(jaxpr: Jaxpr, names: _Names, indent: str = "") -> str:
    head = f"{{ lambda {_bound(jaxpr.constvars, names)}; {_bound(jaxpr.invars, names)}. let"
    lines = [f"{indent}    {_equation(e, names, indent + '  ')}" for e in jaxpr.eqns]
    outs = ", ".join(_atom(atom, names) for atom in jaxpr.outvars)
    outs += "," if len(jaxpr.outvars) == 1 else ""
    return "\n".join([head, *lines, f"{indent}  in ({outs}) }}"])

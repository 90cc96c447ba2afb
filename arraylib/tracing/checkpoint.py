"""checkpoint: derivatives that compute a function again instead of keeping what is inside.

Policies say what they keep all the same. A policy is asked for each operation of the function, as
`policy(operation, *operand_types, **attributes)`, and returns whether its results are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any, overload

from arraylib import dtypes as dt, tree
from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.ir import Builder, Graph, Node, Type, Value, given_type, type_of
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops.checkpoint import checkpoint as checkpoint_op, named
from arraylib.hlo.ops.control import call, run_inside
from arraylib.hlo.ops.convolution import convolution
from arraylib.hlo.ops.reduction import dot_general
from arraylib.hlo.passes.rewrite import rewrite
from arraylib.record import record
from arraylib.tracing.core import Flat, as_operand, call_path, flatten_call, marked, trace
from arraylib.tracing.derivatives import linearized
from arraylib.tracing.typed import Given, Result

Function = Callable[..., Any]
Policy = Callable[..., bool]


@overload
def checkpoint(fun: Callable[Given, Result], **settings: Any) -> Callable[Given, Result]: ...


@overload
def checkpoint(fun: None = None, **settings: Any
               ) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]: ...


def checkpoint(fun: Function | None = None, *,  # type: ignore[misc]
               prevent_cse: bool = True,
               policy: Policy | None = None, static_argnums: int | tuple[int, ...] = ()
               ) -> Function:
    """`fun`, of which derivatives keep only the arguments and compute the rest again.

    Saves memory in the backward pass at the price of a second forward pass.

    Args:
        fun: a function of arrays in nested containers; without it, a decorator is returned.
        prevent_cse: accepted for compatibility; the second computation is always kept apart.
        policy: one of `checkpoint_policies`: which values inside are kept all the same. Loops and
            branches inside are computed again whole; their bodies can be checkpoints themselves.
        static_argnums: arguments that are settings, passed on as they are.

    Raises: ArgumentError if static_argnums names an argument that is not given, or the policy is
    no function.

    Griewank and Walther, "Revolve" (2000).

        >>> grad(lambda x: checkpoint(jnp.sin)(x) ** 2)(1.0)
        Array(0.90929747, dtype=float32)
    """
    if policy is not None and not callable(policy):
        raise mistake(ArgumentError, "checkpoint", f"policy is {policy!r}, not a function",
                      hint="take one of arraylib.checkpoint_policies")
    if fun is None:
        return partial(checkpoint, prevent_cse=prevent_cse, policy=policy,
                       static_argnums=static_argnums)
    numbers = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)

    @wraps(fun)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        static = _static(args, numbers)
        moving = tuple(x for i, x in enumerate(args) if i not in static)
        operands, structure = flatten_call("checkpoint", moving, kwargs)
        flat = Flat("checkpoint", lambda args, kwargs: fun(*_merged(args, static), **kwargs),
                    structure)
        graph, captured = trace(flat, list(map(given_type, operands)), alike=operands)
        attrs = {"body": graph} if policy is None else _with_saved(graph, policy)
        outs = checkpoint_op(*operands, *captured, **attrs)
        return flat.unflatten(marked(outs[:len(graph.outputs)], flat.weak))[0]
    return wrapped


def _static(args: tuple[Any, ...], numbers: tuple[int, ...]) -> dict[int, Any]:
    for i in numbers:
        if not -len(args) <= i < len(args):
            raise mistake(ArgumentError, "checkpoint", f"static_argnums names argument {i}, but "
                          f"the call has {len(args)} positional arguments",
                          hint="pass the static arguments by position")
    return {i % len(args): args[i] for i in numbers}


def _merged(args: tuple[Any, ...], static: dict[int, Any]) -> Iterator[Any]:
    rest = iter(args)
    return (static[i] if i in static else next(rest) for i in range(len(args) + len(static)))


def _with_saved(graph: Graph, policy: Policy) -> dict[str, Any]:
    """The attributes of a checkpoint that keeps what the policy says."""
    graph = rewrite(graph, lambda node, _: run_inside(node.attrs["body"], node.inputs)
                    if node.op is call else None)
    saved = [v for node in graph.nodes if node.inputs and _keeps(policy, node)
             for v in node.outputs]
    return {"body": Graph(graph.inputs, graph.nodes, (*graph.outputs, *saved)),
            "saved": len(saved)}


def _keeps(policy: Policy, node: Node) -> bool:
    return bool(policy(node.op, *node.types, **node.attrs))


@record
class Verdict:
    """What a policy may return in the place of a bool; as a bool, whether a value is kept."""

    name: str
    kept: bool

    def __bool__(self) -> bool:
        return self.kept

    def __repr__(self) -> str:
        return self.name


Saveable, Recompute = Verdict("Saveable", True), Verdict("Recompute", False)


@record
class Offloadable:
    """Keep a value in another memory; there is one, so it is kept where it is."""

    src: str
    dst: str


def checkpoint_name(x: Any, name: str) -> Any:
    """x, or the arrays of a container, which policies of `checkpoint` know by `name`.

        >>> policy = checkpoint_policies.save_only_these_names("hidden")
        >>> f = checkpoint(lambda x: checkpoint_name(jnp.sin(x), "hidden") ** 2, policy=policy)
        >>> grad(f)(1.0)
        Array(0.90929747, dtype=float32)
    """
    def mark(leaf: Any) -> Value:
        operand = as_operand(leaf, "checkpoint_name", lambda: "its argument")
        return named(operand, name=name)  # type: ignore[no-any-return]
    return tree.map(mark, x)


@record
class Residual:
    """An array that the backward pass of a function reads: its type, and what it is."""

    type: Type
    what: str

    def __str__(self) -> str:
        return f"{self.type}  {self.what}"


def saved_residuals(fun: Function, *args: Any, **kwargs: Any) -> list[Residual]:
    """What is kept of `fun(*args, **kwargs)` for its derivative by all arguments that are floats.

        >>> saved_residuals(lambda x: jnp.sin(jnp.sin(x)), 1.0)
        [Residual(type=f32[], what='cosine ...'), Residual(type=f32[], what='cosine ...')]
    """
    operands, structure = flatten_call("saved_residuals", args, kwargs)
    flat = Flat("saved_residuals", lambda args, kwargs: fun(*args, **kwargs), structure)
    wrt = [i for i, x in enumerate(operands) if dt.is_inexact(type_of(x).dtype)]
    with Builder() as b:
        inputs = [b.input(type_of(x)) for x in operands]
        _, linear = linearized("saved_residuals", flat, inputs, wrt)
        kept = {id(x): x for x in linear.residuals}
        graph, _ = b.build(list(kept.values()))
    what: dict[Any, str] = _origins(graph)
    what |= {v: "a captured array" for v in graph.inputs[len(operands):]}
    what |= {v: call_path(args, kwargs, i) for i, v in enumerate(inputs)}
    return [Residual(v.type, what[v]) for v in graph.outputs]


def _origins(graph: Graph) -> dict[Value, str]:
    """What computes each value of a graph, and where; inside of what is grouped."""
    found = {}
    for node in graph.nodes:
        inside = _origins(node.attrs["body"]) if node.op.grouping else {}
        outs = node.attrs["body"].outputs if node.op.grouping else node.outputs
        for value, out in zip(node.outputs, outs):
            found[value] = inside.get(out, f"{node.op.name} at {node.where}")
    return found


def print_saved_residuals(fun: Function, *args: Any, **kwargs: Any) -> None:
    """Print what `saved_residuals` finds, a line each.

    >>> print_saved_residuals(jnp.sin, 1.0)
    f32[]  cosine at ...
    """
    for residual in saved_residuals(fun, *args, **kwargs):
        print(residual)


class checkpoint_policies:  # a namespace
    """What derivatives of a `checkpoint` keep. Names and meanings are those of JAX.

    There is one memory, so that what JAX would offload to the host's is kept where it is.
    """

    @staticmethod
    def everything_saveable(op: OpDef, *types: Any, **attrs: Any) -> bool:
        """Every value: nothing is computed again."""
        return True

    @staticmethod
    def nothing_saveable(op: OpDef, *types: Any, **attrs: Any) -> bool:
        """Nothing but the arguments; as without a policy."""
        return False

    @staticmethod
    def dots_saveable(op: OpDef, *types: Any, **attrs: Any) -> bool:
        """The results of matrix products and convolutions."""
        return op is dot_general or op is convolution

    checkpoint_dots = dots_saveable

    @staticmethod
    def dots_with_no_batch_dims_saveable(op: OpDef, *types: Any, **attrs: Any) -> bool:
        """The results of matrix products without batch axes: of activations with weights."""
        return op is dot_general and not attrs["lhs_batching"]

    checkpoint_dots_with_no_batch_dims = dots_with_no_batch_dims_saveable

    @staticmethod
    def save_only_these_names(*names: str) -> Policy:
        """The values that `checkpoint_name` gives one of these names."""
        return lambda op, *types, **attrs: op is named and attrs["name"] in names

    @staticmethod
    def save_any_names_but_these(*names: str) -> Policy:
        """The values that `checkpoint_name` gives another name."""
        return lambda op, *types, **attrs: op is named and attrs["name"] not in names

    @staticmethod
    def save_anything_except_these_names(*names: str) -> Policy:
        """All values but those that `checkpoint_name` gives one of these names."""
        return lambda op, *types, **attrs: op is not named or attrs["name"] not in names

    @staticmethod
    def save_from_both_policies(first: Policy, second: Policy) -> Policy:
        """What one of two policies keeps."""
        return lambda op, *types, **attrs: bool(
            first(op, *types, **attrs) or second(op, *types, **attrs))

    @staticmethod
    def save_and_offload_only_these_names(
            *, names_which_can_be_saved: list[str], names_which_can_be_offloaded: list[str],
            offload_src: str, offload_dst: str) -> Policy:
        """The values of these names; those to be offloaded stay in the one memory."""
        return checkpoint_policies.save_only_these_names(
            *names_which_can_be_saved, *names_which_can_be_offloaded)

    @staticmethod
    def offload_dot_with_no_batch_dims(offload_src: str, offload_dst: str) -> Policy:
        """As dots_with_no_batch_dims_saveable, in the one memory."""
        return checkpoint_policies.dots_with_no_batch_dims_saveable

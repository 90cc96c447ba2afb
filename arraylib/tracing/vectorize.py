"""vmap: a function on one example as a function on many."""

from collections.abc import Callable, Hashable, Sequence
from functools import partial, wraps
from operator import index
from typing import Any

import numpy as np

from arraylib import tree
from arraylib.config import config
from arraylib.errors import ArgumentError, ShapeError, mistake, what_is
from arraylib.hlo.batch import batch
from arraylib.hlo.ir import Graph, given_type, is_tracing, type_of
from arraylib.hlo.ops.shape import repeat_leading
from arraylib.hlo.ops.structured import transpose
from arraylib.hlo.passes.guard import settled
from arraylib.on_demand import module
from arraylib.tracing.axis_names import binding
from arraylib.tracing.cells import Ref, only_once, put, resolved, shown
from arraylib.tracing.core import (
    Flat,
    as_operand,
    call_path,
    has_no_tangent,
    marked,
    must_call,
    owned,
    trace_with_refs,
)
from arraylib.tracing.jit import derived, jit
from arraylib.tracing.replay import Emission, recalled
from arraylib.tracing.typed import Given, Result

Function = Callable[..., Any]


def vmap(fun: Callable[Given, Result], in_axes: Any = 0, out_axes: Any = 0,
         axis_name: Hashable | None = None, axis_size: int | None = None,
         spmd_axis_name: Any = None) -> Callable[Given, Result]:
    """`fun` over an axis of its arguments, as one batched computation.

    Args:
        fun: a function of one example, on arrays in nested containers.
        in_axes: for each positional argument the axis of examples, or None if it is shared and
            passed on as it is; a container may stand for an argument's containers. Keyword
            arguments use axis 0.
        out_axes: where the axis goes in each output; None if the output is the same for all.
        axis_name: a name for the axis, by which `lax.psum`, `lax.axis_index` and other collectives
            inside `fun` compute along it.
        axis_size: the number of examples, needed if no argument has the axis.
        spmd_axis_name: the axis of a mesh along which examples are spread over devices; there is
            one device, so it changes nothing.

    Raises: ShapeError where two arguments disagree on the number of examples, or an argument or
    output has no such axis; StructureError where in_axes or out_axes do not fit the containers;
    ArgumentError for settings that are of no use.

        >>> vmap(lambda x, y: x * y, in_axes=(0, None))(jnp.arange(3.), 2.0)
        Array([0., 2., 4.], dtype=float32)
    """
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    must_call("vmap", fun)
    axis_size = _count(axis_size)
    _check_name(axis_name)

    @wraps(fun)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree.flatten((args, kwargs))
        axes = _input_axes(in_axes, args, kwargs)
        many = {i: as_operand(_held(leaves[i]), "vmap", partial(call_path, args, kwargs, i))
                for i, axis in enumerate(axes) if axis is not None}
        passed = {n: leaves[i] for n, i in enumerate(many) if leaves[i].__class__ is Ref}
        size = _examples(args, kwargs, many, axes, axis_size)
        moved = owned([_move(x, axes[i], 0) for i, x in many.items()])

        def one(*examples: Any) -> Any:
            given = dict(zip(many, examples))
            own, named = tree.unflatten(structure, [given.get(i, x) for i, x in enumerate(leaves)])
            return fun(*own, **named)

        flat = Flat("vmap", one, tree.structure(tuple(moved)), refs=True, passed=tuple(passed))
        with binding(axis_name, size) as label:
            graph, captured = trace_with_refs(
                flat, [t.with_shape(t.shape[1:]) for t in map(given_type, moved)], alike=moved)
        only_once("vmap", list(passed.values()), captured)
        if config.watched:
            graph = module("hlo.passes.watch").sources(graph, config.watched)
        graph = settled(graph)
        batched = recalled(("vmap", size, len(moved), label), graph,
                           lambda: _Batched(graph, size, len(moved), label))
        outs = batched([*moved, *resolved(captured)])
        if flat.written:
            _write_back(flat, outs, size, passed, [axes[i] for i in many])
        return _place(outs, size, flat, out_axes)

    @wraps(fun)
    def watching(*args: Any, **kwargs: Any) -> Any:
        # One program, whose results are looked at: what comes up on the way may be as it should.
        whole = config.watched and config.jit and not is_tracing()
        return (jit(mapped) if whole else mapped)(*args, **kwargs)

    return derived("vmap", watching, fun, in_axes, out_axes, axis_name, axis_size)


class _Batched:
    """A graph over a leading axis of its first inputs, of which there are `mapped`.

    The axis has the name `label` for the collectives inside.
    """

    def __init__(self, graph: Graph, size: int, mapped: int, label: str | None) -> None:
        self._graph, self._size, self._mapped, self._label = graph, size, mapped, label
        self._has: tuple[bool, ...] = ()
        self._emission = Emission(self._emit)

    def __call__(self, operands: Sequence[Any]) -> list[tuple[Any, bool]]:
        """The outputs, and of each whether it has the axis."""
        outputs = self._emission(operands)
        return list(zip(outputs, self._has, strict=True))

    def _emit(self, *operands: Any) -> list[Any]:
        pairs = batch(self._graph, [(x, i < self._mapped) for i, x in enumerate(operands)],
                      self._size, self._label)
        self._has = tuple([has for _, has in pairs])
        return [x for x, _ in pairs]


def _is_none(x: Any) -> bool:
    return x is None


def _count(axis_size: Any) -> int | None:
    """How many examples there are said to be."""
    if axis_size is None:
        return None
    count = _integer(axis_size)
    if count is None or count < 0:
        raise mistake(ArgumentError, "vmap", f"axis_size = {axis_size!r}",
                      hint="the number of examples, an integer from 0 on")
    return count


def _integer(x: Any) -> int | None:
    """A number of an axis or of examples; None for what is none, among them True and 1.0."""
    return None if isinstance(x, bool) or not hasattr(x, "__index__") else index(x)


def _check_name(axis_name: Any) -> None:
    try:
        hash(axis_name)
    except TypeError:
        raise mistake(ArgumentError, "vmap", f"the axis_name {axis_name!r} is "
                      f"{what_is(axis_name)}, which cannot be hashed", hint="a text") from None


def _axis(name: str, axis: Any, rank: int, what: str, verb: str) -> int:
    """An axis of an array, or of a result, counted from 0."""
    place = _integer(axis)
    if place is None:
        raise mistake(ArgumentError, "vmap", f"{name} has {axis!r} for {what}",
                      hint="the number of an axis, or None for what all examples share")
    if not -rank <= place < rank:
        raise mistake(ShapeError, "vmap", f"{what}, but {name} {verb} its axis {place}",
                      hint="None shares an argument among all examples" if name == "in_axes" else
                      f"an axis from {-rank} to {rank - 1}, that of examples counted")
    return place % rank


def _input_axes(in_axes: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    if isinstance(in_axes, tuple) and len(in_axes) != len(args):
        raise mistake(ArgumentError, "vmap", f"in_axes has {len(in_axes)} entries, but the call "
                      f"has {len(args)} positional arguments",
                      hint="one entry an argument; None for what all examples share")
    axes = tree.broadcast_prefix(in_axes, args, _is_none, op="vmap", names=("in_axes", "arguments"))
    return axes + [0] * len(tree.leaves(kwargs))


def _examples(args: Any, kwargs: Any, many: dict[int, Any], axes: list[Any],
              size: int | None) -> int:
    """The number of examples, on which all mapped arguments must agree."""
    source = "axis_size"
    for i, x in many.items():
        shape, path = type_of(x).shape, call_path(args, kwargs, i)
        axis = axes[i] = _axis("in_axes", axes[i], len(shape), f"{path} has shape {shape}", "maps")
        if size is None:
            size, source = shape[axis], path
        elif shape[axis] != size:
            raise mistake(ShapeError, "vmap", f"axis {axis} of {path} has {shape[axis]} examples, "
                          f"but {source} has {size}", operands=[type_of(v) for v in many.values()],
                          hint="give in_axes=None for an argument without examples")
    if size is None:
        raise mistake(ArgumentError, "vmap", "no argument has an axis of examples",
                      hint="pass axis_size=n, or an in_axes that is not None everywhere")
    return size


def _move(x: Any, source: int, target: int) -> Any:
    """x with one axis moved, the others in their order."""
    rank = len(type_of(x).shape)
    source, target = source % rank, target % rank
    if source == target:
        return x
    order = [i for i in range(rank) if i != source]
    order.insert(target, source)
    return transpose(x, permutation=tuple(order))


def _place(outs: list[tuple[Any, bool]], size: int, flat: Flat, out_axes: Any) -> Any:
    """The outputs with their axis of examples where out_axes wants it."""
    outs = [(marked([x], [weak])[0], has) for (x, has), weak in zip(outs, flat.weak)]
    out, _ = flat.unflatten([x for x, _ in outs])
    axes = tree.broadcast_prefix(out_axes, out, _is_none, op="vmap", names=("out_axes", "outputs"))
    placed, rest = [], iter(outs)
    for i, (leaf, axis) in enumerate(zip(tree.leaves(out), axes, strict=True)):
        if has_no_tangent(leaf):
            placed.append(leaf if axis is None else _repeated(leaf, size, axis))
            continue
        x, has = next(rest)
        if axis is None and has:
            raise mistake(ArgumentError, "vmap", f"out_axes is None for output {i}, which differs "
                          "from example to example", hint="out_axes=0 keeps all of them")
        if axis is not None:
            x = x if has else repeat_leading(x, size)
            shape = type_of(x).shape
            x = _move(x, 0, _axis("out_axes", axis, len(shape), f"output {i} has shape "
                                  f"{shape[1:]} for each example", "puts examples at"))
        placed.append(x)
    return tree.unflatten(tree.structure(out), placed)


def _held(leaf: Any) -> Any:
    """An argument, or what it holds where it is a ref."""
    return shown(leaf) if leaf.__class__ is Ref else leaf


def _write_back(flat: Flat, outs: Sequence[tuple[Any, bool]], size: int, passed: dict[int, Ref],
                axes: Sequence[int]) -> None:
    """Put what refs hold after all examples into those that were passed."""
    for number, (x, has) in zip(flat.written, outs[len(outs) - len(flat.written):]):
        if number.__class__ is not int:
            raise mistake(ArgumentError, "vmap", f"every example writes to one {number.type}",
                          hint="pass the ref as an argument with an axis of examples")
        put(passed[number], _move(x if has else repeat_leading(x, size), 0, axes[number]))


def _repeated(zero: Any, size: int, axis: int) -> Any:
    """Zeros without elements for so many examples."""
    return np.zeros(np.insert(zero.shape, axis % (zero.ndim + 1), size).astype(int), zero.dtype)

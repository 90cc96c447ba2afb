"""Batches that users write: custom_vmap, sequential_vmap.

A function becomes one operation whose body is what the function does, and whose batch is a graph
that is traced when vmap first meets it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from arraylib import dtypes as dt, tree
from arraylib.errors import ArgumentError, DtypeError, ShapeError, StructureError, mistake, what_is
from arraylib.hlo.ir import Type, given_type, is_tracing, type_of
from arraylib.hlo.ops.custom_batch import Batched, BatchRule, Mask, custom_vmap as custom_vmap_op
from arraylib.tracing.axis_names import within_axes
from arraylib.tracing.cells import resolved
from arraylib.tracing.core import Flat, as_operand, flatten_arguments, marked, trace
from arraylib.tracing.custom import Ruled, drawn
from arraylib.tracing.mapping import map_

Function = Callable[..., Any]


class custom_vmap(Ruled):  # a decorator's name
    """A function that vmap maps as `def_vmap` says.

    Args:
        fun: a function of arrays in nested containers.

    Its derivatives are those of `fun`; under vmap, those of the rule. A value that `fun` reads from
    outside must be the same for all examples.

    Raises: under vmap, TraceError if there is no rule, or `fun` reads what differs from example to
    example; StructureError, ShapeError, DtypeError where what the rule returns does not fit.

        >>> @custom_vmap
        ... def f(x, y):
        ...     return x + y
        >>> @f.def_vmap
        ... def rule(axis_size, in_batched, x, y):
        ...     return x + y + 100, True
        >>> vmap(f)(jnp.arange(2), jnp.arange(2)), f(1, 1)
        (Array([100, 102], dtype=int32), 2)
    """

    kind = "custom_vmap"

    def __init__(self, fun: Function) -> None:
        super().__init__(fun)
        self.rule: Function | None = None

    def def_vmap(self, vmap_rule: Function) -> Function:
        """Take `rule(axis_size, in_batched, *args) -> (output, out_batched)` for the batch.

        `in_batched` has a container like each argument, of whether its leaves have an axis of
        `axis_size` examples, which is the first; `out_batched` says the same of the output. Of the
        arguments one at least has it.
        """
        self.rule = vmap_rule
        return vmap_rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        bound = self._bound(args, kwargs)
        if not is_tracing():
            return self.fun(*bound)
        return _Call(self, bound).emitted()


class _Call:
    """One call while tracing, of which many may be made at once."""

    def __init__(self, custom: custom_vmap, args: tuple[Any, ...]) -> None:
        self.custom, self.name = custom, custom.name
        self.operands, self.structure = flatten_arguments(self.name, args)
        self.types = [type_of(x) for x in self.operands]
        self.flat = Flat(self.name, custom.fun, self.structure)
        self.graph, self.captured = trace(self.flat, list(map(given_type, self.operands)))

    def emitted(self) -> Any:
        rule = BatchRule(within_axes(self.batched))
        outs = custom_vmap_op(*self.operands, *self.captured, body=self.graph, rule=rule,
                              closed=len(self.captured), name=self.name)
        return self.flat.unflatten(marked(outs, self.flat.weak))[0]

    def batched(self, size: int, has: Mask) -> Batched:
        """The graph of the rule."""
        types = [t.with_shape((size, *t.shape)) if h else t for t, h in zip(self.types, has)]
        marks: list[bool] = []
        graph, outer = drawn(partial(self._rule, size, has, marks), types)
        return graph, tuple(resolved(outer)), marks

    def _rule(self, size: int, has: Mask, marks: list[bool], *xs: Any) -> list[Any]:
        """The rule on flat values; notes which outputs have the axis."""
        if self.custom.rule is None:
            raise mistake(ArgumentError, self.name, "has no batching rule yet",
                          hint=f"define it by @{self.name}.def_vmap")
        found = self.custom.rule(size, list(tree.unflatten(self.structure, has)),
                                 *tree.unflatten(self.structure, xs))
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise mistake(StructureError, self.name, "its batching rule must return a pair "
                          f"(output, which leaves have examples), not {what_is(found)}",
                          hint="return output, True")
        out, batched = found
        wanted = tree.structure(self.flat.unflatten(self.graph.outputs)[0])
        tree.check_same(wanted, tree.structure(out), op=self.name,
                        names=("what the function returns", "what its batching rule returns"),
                        hint="the rule returns the same, with an axis of examples")
        tree.check_same(wanted, tree.structure(batched), op=self.name,
                        names=("what the function returns", "out_batched"),
                        hint="a truth value for each leaf: tree.map(lambda x: True, output)")
        marks[:] = [bool(mark) for mark in tree.leaves(batched)]
        return [self._checked(path, x, type, mark, size) for (path, x), type, mark in
                zip(tree.flatten_with_path(out)[0], self.graph.output_types, marks, strict=True)]

    def _checked(self, path: Any, x: Any, type: Type, mark: bool, size: int) -> Any:
        """A leaf of what the rule returned as a value of the type it must have."""
        what = f"the output{tree.keystr(path)}"
        x = as_operand(x, self.name, lambda: what)
        shape = (size, *type.shape) if mark else type.shape
        if type_of(x).shape != shape:
            raise mistake(ShapeError, self.name, f"its batching rule returned {what} of shape "
                          f"{type_of(x).shape}, but {shape} is needed, as out_batched is {mark} "
                          f"there for {size} examples of shape {type.shape}",
                          hint="the axis of examples is the first")
        if type_of(x).dtype != type.dtype:
            raise mistake(DtypeError, self.name, f"its batching rule returned {what} of dtype "
                          f"{dt.name(type_of(x).dtype)}, but the function's is "
                          f"{dt.name(type.dtype)}", hint="convert it with x.astype(...)")
        return x


def sequential_vmap(f: Function) -> custom_vmap:
    """`f` as a function that vmap maps by `lax.map`: one example after the other.

        >>> vmap(sequential_vmap(lambda x: x ** 2))(jnp.arange(3))
        Array([0, 1, 4], dtype=int32)
    """
    custom = custom_vmap(f)

    @custom.def_vmap
    def rule(axis_size: int, in_batched: Sequence[Any], *args: Any) -> tuple[Any, Any]:
        leaves, structure = tree.flatten(args)
        has = tree.leaves(in_batched)

        def one(examples: Sequence[Any]) -> Any:
            rest = iter(examples)
            return custom(*tree.unflatten(structure, [next(rest) if h else x
                                                      for x, h in zip(leaves, has)]))

        out = map_(one, [x for x, h in zip(leaves, has) if h])
        return out, tree.map(lambda _: True, out)

    return custom

"""Primitives: JAX's view of our operations, and operations that a user defines in JAX's terms.

A primitive that a user makes is one record of ours, whose fields ask the rules that were registered
for it when a transform needs them: what it computes, its types, derivative, transpose, batch, and
the program that compiled code runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from arraylib.array import Array
from arraylib.as_jax import rules
from arraylib.as_jax.rules import UndefinedPrimal, Zero
from arraylib.errors import Source, TraceError, mistake
from arraylib.hlo.ir import Node, Type, Value, current, eagerly, is_tracing, type_of
from arraylib.hlo.opdef import Attrs, OpDef
from arraylib.hlo.ops.constant import constant
from arraylib.hlo.ops.control import Pairs, run_inside
from arraylib.record import record
from arraylib.tracing.core import as_operand, trace
from arraylib.transfer import effects_barrier

Rule = Callable[..., Any]


class MissingRuleError(TraceError, NotImplementedError):
    """A transform met a primitive that has no rule for it."""


@record(eq=False)
class Params:
    """The settings of one use of a primitive: whatever the user passes, compared by identity."""

    values: dict[str, Any]


class Primitive:
    """An operation with rules that are registered one by one.

        p = Primitive("double")
        p.def_impl(lambda x: 2 * x)
        p.def_abstract_eval(lambda aval: aval)
        mlir.register_lowering(p, mlir.lower_fun(lambda x: 2 * x, multiple_results=False))
    """

    multiple_results = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.impl: Rule | None = None
        self.abstract_eval: Rule | None = None
        self._effectful = False
        self.op = OpDef(
            name, f"The primitive {name} of a user.", self._evaluate, results=self._results,
            multiple=True, grouping=True, dialect="arraylib", jvp_node=self._jvp,
            transpose_node=self._transpose, batch_node=self._batch, expand=self._expand)
        OF_OPERATION[self.op] = self

    def __repr__(self) -> str:
        return self.name

    def def_impl(self, impl: Rule) -> Rule:
        """What it computes of arrays."""
        self.impl = impl
        return impl

    def def_abstract_eval(self, rule: Rule) -> Rule:
        """The type of its result, or types of its results, from those of its operands."""
        self.abstract_eval, self._effectful = rule, False
        return rule

    def def_effectful_abstract_eval(self, rule: Rule) -> Rule:
        """The same for a rule that returns a set of effects besides."""
        self.abstract_eval, self._effectful = rule, True
        return rule

    def get_bind_params(self, params: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Functions and settings with which `bind` repeats an equation."""
        return [], params

    def bind(self, *args: Any, **params: Any) -> Any:
        """Compute it, or draw it where a graph is being drawn."""
        if is_tracing() or any([isinstance(x, Value) for x in args]):
            operands = [as_operand(x, self.name, lambda: "an operand") for x in args]
            outs = current().emit(self.op, operands, {"params": Params(params)})
            return list(outs) if self.multiple_results else outs[0]
        if self.impl is None:
            raise self._lacks("evaluation rule", "p.def_impl(function)")
        return self.impl(*args, **params)

    def _lacks(self, what: str, hint: str, where: Source | None = None) -> Exception:
        return mistake(MissingRuleError, self.name, f"the primitive has no {what}", where=where,
                       hint=hint)

    def _flat(self, out: Any) -> list[Any]:
        return list(out) if self.multiple_results else [out]

    def _results(self, types: Sequence[Type], attrs: Attrs,
                 where: Source | None) -> tuple[Type, ...]:
        if self.abstract_eval is None:
            raise self._lacks("rule for its types", "p.def_abstract_eval(function)", where)
        found = self.abstract_eval(*types, **attrs["params"].values)
        return tuple(self._flat(found[0] if self._effectful else found))

    def _evaluate(self, *arrays: Any, params: Params) -> tuple[Any, ...]:
        """The results as NumPy arrays: by `impl`, else by what compiled code does."""
        operands = [Array(x, x.dtype) for x in arrays]
        with eagerly():
            outs = (self._expand(*operands, params=params) if self.impl is None else
                    self._flat(self.impl(*operands, **params.values)))
        types = self._results(list(map(type_of, operands)), {"params": params}, None)
        return tuple([np.asarray(x, t.dtype) for x, t in zip(outs, types)])

    def _expand(self, *operands: Any, params: Params) -> list[Any]:
        lowering = rules.lowerings.get(self)
        if lowering is None:
            raise self._lacks("rule for compiled code", "mlir.register_lowering(p, rule)")
        return _drawn(lambda *xs: _values(lowering(rules.LoweringContext(self), *xs,
                                                   **params.values)), operands)

    def _jvp(self, jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
        rule, params = rules.primitive_jvps.get(self), node.attrs["params"].values
        if rule is None:
            raise self._lacks("derivative", "ad.primitive_jvps[p] = rule", node.where)
        moved: list[bool] = []

        def outputs(*xs: Any) -> list[Any]:
            rest = iter(xs[len(primals):])
            given = [Zero(v.type) if t is None else next(rest)
                     for v, t in zip(node.inputs, tangents)]
            out, out_t = rule(xs[:len(primals)], tuple(given), **params)
            ts = self._flat(out_t)
            moved[:] = [t is not None and not isinstance(t, Zero) for t in ts]
            return [*self._flat(out), *[t for t, m in zip(ts, moved) if m]]

        found = _drawn(outputs, [*primals, *[t for t in tangents if t is not None]])
        rest = iter(found[len(node.outputs):])
        return list(zip(found, [next(rest) if m else None for m in moved]))

    def _transpose(self, transpose: Any, node: Node, linear: Sequence[bool],
                   cotangents: Sequence[Any]) -> list[Any]:
        rule, params = rules.primitive_transposes.get(self), node.attrs["params"].values
        if rule is None:
            raise self._lacks("transpose", "ad.primitive_transposes[p] = rule", node.where)
        known = [v for v, m in zip(node.inputs, linear) if not m]
        given = [ct for ct in cotangents if ct is not None]
        found: list[bool] = []

        def outputs(*xs: Any) -> list[Any]:
            rest = iter(xs)
            operands = [UndefinedPrimal(v.type) if m else next(rest)
                        for v, m in zip(node.inputs, linear)]
            cts = [Zero(v.type) if ct is None else next(rest)
                   for v, ct in zip(node.outputs, cotangents)]
            outs = rule(cts if self.multiple_results else cts[0], *operands, **params)
            outs = [None] * len(linear) if outs is Zero else outs
            own = [ct for ct, m in zip(outs, linear) if m]
            found[:] = [ct is not None and not isinstance(ct, Zero) for ct in own]
            return [ct for ct, f in zip(own, found) if f]

        rest = iter(_drawn(outputs, [*known, *given]))
        return [next(rest) if f else None for f in found]

    def _batch(self, batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
        params, dims = node.attrs["params"].values, [0 if h else None for _, h in pairs]
        rule, outer = rules.primitive_batchers.get(self), rules.axis_primitive_batchers.get(self)
        fancy, has = rules.fancy_primitive_batchers.get(self), list[bool]()
        name = getattr(batch, "keywords", {}).get("axis")
        if fancy is not None:
            rule = partial(fancy, rules.AxisData(name, size))
        elif outer is not None:
            rule = lambda xs, dims, **params: outer(size, name, None, xs, dims, **params)
        if rule is None:
            raise self._lacks("batch", "batching.primitive_batchers[p] = rule", node.where)

        def outputs(*xs: Any) -> list[Any]:
            outs, out_dims = rule(xs, tuple(dims), **params)
            places = list(out_dims) if self.multiple_results else [out_dims]
            has[:] = [place is not None for place in places]
            return [rules.to_front(x, place) for x, place in zip(self._flat(outs), places)]

        found = _drawn(outputs, [x for x, _ in pairs])
        return list(zip(found, has))


OF_OPERATION: dict[OpDef, Any] = {}  # what stands for an operation in JAX's terms


def _values(outs: Any) -> list[Any]:
    """The results of a rule for compiled code, which may be operations that have one."""
    listed = outs if isinstance(outs, (list, tuple)) else [outs]
    return [getattr(x, "result", x) for x in listed]


def _drawn(function: Callable[..., Any], operands: Sequence[Any]) -> list[Any]:
    """Emit what a function of the user's does to values that it may write arithmetic with.

    Arrays that it reads are constants: a compiled program asks too late for another argument.
    """
    graph, captured = trace(function, [type_of(x) for x in operands])
    read = [x if isinstance(x, Value) else constant(value=np.asarray(x)) for x in captured]
    return list(run_inside(graph, [*operands, *read]))


def apply_primitive(primitive: Primitive, *args: Any, **params: Any) -> Any:
    """The primitive as compiled code computes it: what many give to `def_impl`."""
    operands = [as_operand(x, primitive.name, lambda: "an operand") for x in args]
    outs = primitive._expand(*operands, params=Params(params))
    return list(outs) if primitive.multiple_results else outs[0]


def wait_for_tokens() -> None:
    """Wait for effects: `effects_barrier`, as JAX calls it inside."""
    effects_barrier()

"""Derivatives that are taken inside of shard_map with `check_vma`: those of one program of all.

Each device computes, by the rules that collectives have under vmap, what the sum of everybody's
outputs does to its own operands. An operand that is the same on all devices is one operand: its
cotangent is the sum of theirs. An output that is the same is one output, not as many as there are
devices: each has a part of its cotangent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.ir import Graph, type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.collective import all_reduce, body_of
from arraylib.hlo.ops.constant import full_like
from arraylib.record import record
from arraylib.tracing.layouts import PlacingBuilder, variation_of
from arraylib.tracing.manual import checked_axes, checking_variation
from arraylib.tracing.variation import Variation

Axes = tuple[tuple[str, int], ...]  # labels and sizes


@record
class Shares:
    """Along which axes each operand, and each output, is the same on all devices."""

    operands: tuple[Axes, ...]
    outputs: tuple[Axes, ...]

    def parts(self, cotangents: Sequence[Any]) -> list[Any]:
        """This device's part of what all have."""
        return [_part(ct, axes) for ct, axes in zip(cotangents, self.outputs, strict=True)]

    def totals(self, cotangents: Sequence[Any]) -> list[Any]:
        """What all devices together have for operands that they share."""
        return [_total(ct, axes) for ct, axes in zip(cotangents, self.operands, strict=True)]


def shares(name: str, operands: Sequence[Any], outputs: Sequence[Any]) -> Shares | None:
    """What devices share of these; None outside of shard_map."""
    axes = checked_axes()
    if not axes:
        return None
    return Shares(tuple([_shared(name, x, axes) for x in operands]),
                  tuple([_shared(name, x, axes) for x in outputs]))


def _shared(name: str, x: Any, axes: Mapping[str, int]) -> Axes:
    differs = variation_of(x)
    if differs is None:
        refuse_unknown(name)
        return ()
    return tuple([(label, size) for label, size in axes.items() if label not in differs])


def refuse_unknown(name: str) -> None:
    """ArgumentError inside of shard_map, where it cannot be found out what devices share."""
    if checked_axes():
        raise mistake(
            ArgumentError, name, "a gradient is taken inside of shard_map with check_vma, where it "
            "is not known what differs from device to device: in a rule of a user's, say",
            hint="take the gradient of the function that shard_map gives; or check_vma=False, and "
                 "lax.psum of the gradients of what devices share")


def _part(ct: Any, axes: Axes) -> Any:
    differs = None if ct is None else variation_of(ct)
    for label, _ in axes:
        if differs is not None and label in differs:
            raise mistake(ArgumentError, "vjp", f"a cotangent differs along {label!r}, but the "
                          "output that it belongs to is the same on all devices",
                          hint=f"lax.psum or lax.pmean of it over {label!r}")
    return None if ct is None else _divided(ct, math.prod(size for _, size in axes))


def _divided(ct: Any, count: int) -> Any:
    return ct if count == 1 else ew.divide(ct, full_like(ct, count))


def _total(ct: Any, axes: Axes) -> Any:
    if ct is None:
        return None
    for label, size in axes:
        (ct,) = all_reduce(ct, body=body_of(type_of(ct).dtype), replica_groups=(), channel_id=0,
                           use_global_device_ids=False, axis_name=label, axis_size=size)
    return ct


@record
class Spread:
    """How the operands of a rule of a user's differ: each, and together, as its outputs may."""

    each: tuple[Variation, ...]
    together: Variation
    axes: Mapping[str, int]

    @staticmethod
    def of(operands: Sequence[Any]) -> Spread | None:
        """None outside of shard_map."""
        axes = checked_axes()
        if not axes:
            return None
        each = tuple(map(variation_of, operands))
        known = [labels for labels in each if labels is not None]
        return Spread(each, frozenset[str]().union(*known) if len(known) == len(each) else None,
                      axes)

    def parts(self, cotangents: Sequence[Any]) -> list[Any]:
        """Of each cotangent that is that of all devices, as its operand is, each one's part."""
        return [self._part(ct, own) for ct, own in zip(cotangents, self.each)]

    def _part(self, ct: Any, own: Variation) -> Any:
        found = None if ct is None else variation_of(ct)
        if found is None or own is None or self.together is None:
            return ct
        same = self.together - own - found
        return _divided(ct, math.prod(self.axes[label] for label in same))


def within_checks(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with the axes of shard_map that are there now, whenever it is called."""
    axes = checked_axes()

    def called(*args: Any) -> Any:
        with checking_variation(axes):
            return function(*args)
    return called if axes else function


def check_carry(name: str, graph: Graph, carry: Sequence[Any], after: Sequence[int]) -> None:
    """ArgumentError where a body took a carry for the same on all devices, and it does not stay so.

    `after` says which outputs of the graph are the next carry.
    """
    for x, place in zip(carry, after, strict=True):
        builder = graph.outputs[place].builder
        if not isinstance(builder, PlacingBuilder) or not builder.asked:
            continue  # nobody looked
        before, then = variation_of(x), variation_of(graph.outputs[place])
        if before is not None and then is not None and not then <= before:
            label = min(then - before)
            raise mistake(ArgumentError, name, f"a carry of type {type_of(x)} is the same along "
                          f"{label!r} at first, but differs after a step, and a gradient is taken "
                          "in the body", hint=f"start with lax.pcast(x, {label!r}, to='varying'); "
                          f"or lax.psum or lax.pmean over {label!r} in the body")

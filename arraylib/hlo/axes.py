"""Axis labels: how an operation's operand axes relate to its result axes.

`"bik,bkj->bij"` says: axis b of both operands is axis b of the result, k is summed, i and j come
from one operand each. A label that only the result has is a new axis. Shape errors, batching,
sharding, loop nests and flop counts all read this one fact, which each operation derives from
its StableHLO attributes.
"""

from collections.abc import Sequence
from typing import Any

from arraylib.errors import ShapeError, Source, mistake
from arraylib.hlo.ir import Type

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY"
BATCH = "Z"  # kept free for the axis that batching adds


def parse(axes: str) -> tuple[list[str], str]:
    """The labels of each operand, and those of the result."""
    left, right = axes.split("->")
    return left.split(","), right


def elementwise(types: Sequence[Type]) -> str:
    """The labels of an operation that works element by element."""
    labels = LETTERS[: max((t.rank for t in types), default=0)]
    return ",".join([labels] * len(types)) + "->" + labels


def sizes(op: str, types: Sequence[Type], axes: str, where: Source | None) -> dict[str, int]:
    """The size of each axis label; ShapeError where two operands disagree."""
    operands, _ = parse(axes)
    found: dict[str, int] = {}
    first: dict[str, str] = {}
    for i, (labels, type) in enumerate(zip(operands, types)):
        if len(labels) != type.rank:
            raise disagreement(op, types, axes, where, (
                f"operand {i} has {type.rank} axes, but {len(labels)} are needed "
                f"({' '.join(labels) or 'a scalar'})"),
                "reshape it; functions of arraylib.numpy broadcast, those of lax do not")
        for j, (label, size) in enumerate(zip(labels, type.shape)):
            if found.setdefault(label, size) != size:
                raise disagreement(op, types, axes, where, (
                    f"axis {label} is {found[label]} in {first[label]} "
                    f"but {size} in operand {i} (axis {j})"),
                    "axes of one letter have one size: slice, pad or broadcast one of them")
            first.setdefault(label, f"operand {i} (axis {j})")
    return found


def disagreement(op: str, types: Sequence[Type], axes: str, where: Source | None, problem: str,
                 hint: str = "") -> Exception:
    """A ShapeError that shows each operand with its axis labels."""
    operands, _ = parse(axes)
    shown = [f"{t}  axes {' '.join(a) or '(scalar)'}" for t, a in zip(types, operands)]
    return mistake(ShapeError, op, problem, where=where, operands=shown, hint=hint)


def batched(axes: str, has: Sequence[bool]) -> str:
    """The labels with a batch axis in front of the operands in `has` and of the result."""
    operands, result = parse(axes)
    left = ",".join(BATCH * h + labels for h, labels in zip(has, operands, strict=True))
    return f"{left}->{BATCH}{result}"


def in_terms_of(natural: str, operands: Sequence[str]) -> str:
    """The result labels of `natural`, in the labels that `operands` give the same axes."""
    theirs, result = parse(natural)
    ours = {a: b for labels, own in zip(theirs, operands) for a, b in zip(labels, own)}
    return "".join(ours[a] for a in result)


def flops(axes: str, types: Sequence[Type]) -> int:
    """How many multiply-adds a sum of products with these labels needs."""
    size: dict[str, Any] = {}
    for labels, type in zip(parse(axes)[0], types):
        size.update(zip(labels, type.shape))
    total = 1
    for n in size.values():
        total *= n
    return total

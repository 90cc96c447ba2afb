"""All partial results of an associative function, in a logarithmic number of steps."""

from collections.abc import Callable, Sequence
from typing import Any

from arraylib import tree
from arraylib.errors import ShapeError, count, mistake
from arraylib.hlo.ir import Type, type_of
from arraylib.hlo.ops.shape import concatenate, reverse as reverse_op, slice_
from arraylib.hlo.ops.structured import reshape
from arraylib.tracing.core import flatten_arguments, must_call

Function = Callable[..., Any]


def associative_scan(fn: Function, elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All partial results of an associative function along an axis, in log(n) steps.

    fn takes two containers like `elems` and combines them element by element along the axis.
    Ladner and Fischer (1980).

        >>> associative_scan(jnp.add, jnp.arange(5))
        Array([ 0,  1,  3,  6, 10], dtype=int32)
    """
    must_call("associative_scan", fn)
    leaves, structure = flatten_arguments("associative_scan", (elems,))
    axis = _common_axis([type_of(x) for x in leaves], axis)
    if reverse:
        leaves = [reverse_op(x, dimensions=(axis,)) for x in leaves]
    def combine(xs: Sequence[Any], ys: Sequence[Any]) -> list[Any]:
        out = fn(tree.unflatten(structure, xs)[0], tree.unflatten(structure, ys)[0])
        tree.check_same(tree.structure(elems), tree.structure(out), op="associative_scan",
                        names=("the elements", "what the function returns"),
                        hint="return a container like its arguments")
        return tree.leaves(out)
    results = _associative(combine, leaves, axis) if leaves else []
    if reverse:
        results = [reverse_op(x, dimensions=(axis,)) for x in results]
    return tree.unflatten(structure, results)[0]


def _common_axis(types: Sequence[Type], axis: int) -> int:
    """The axis, counted from the front, along which all leaves have one size."""
    for i, t in enumerate(types):
        rank = len(t.shape)
        if not -rank <= axis < rank:
            raise mistake(ShapeError, "associative_scan", f"leaf {i} has {count(rank, 'axis')}, "
                          f"but axis = {axis}", operands=types,
                          hint="every leaf is scanned along this axis")
        if t.shape[axis] != types[0].shape[axis]:
            raise mistake(ShapeError, "associative_scan", f"axis {axis} of leaf {i} has size "
                          f"{t.shape[axis]}, but that of leaf 0 {types[0].shape[axis]}",
                          operands=types, hint="all leaves have one size along the axis")
    return axis % len(types[0].shape) if types else 0


def _associative(combine: Callable[..., list[Any]], xs: list[Any], axis: int) -> list[Any]:
    n = type_of(xs[0]).shape[axis]
    if n < 2:
        return xs
    pairs = combine([_every_other(x, axis, 0, n - 1) for x in xs],
                    [_every_other(x, axis, 1, n) for x in xs])
    odd = _associative(combine, pairs, axis)
    shorter = [_every_other(x, axis, 0, n // 2 - (n % 2 == 0), 1) for x in odd]
    rest = [_every_other(x, axis, 2, n) for x in xs]
    even = combine(shorter, rest) if type_of(rest[0]).shape[axis] else rest
    firsts = [_every_other(x, axis, 0, 1) for x in xs]
    evens = [concatenate(a, b, dimension=axis) for a, b in zip(firsts, even)]
    return [_interleave(e, o, axis) for e, o in zip(evens, odd)]


def _every_other(x: Any, axis: int, start: int, limit: int, step: int = 2) -> Any:
    shape = type_of(x).shape
    return slice_(
        x, start=tuple(start if d == axis else 0 for d in range(len(shape))),
        limit=tuple(max(start, limit) if d == axis else n for d, n in enumerate(shape)),
        strides=tuple(step if d == axis else 1 for d in range(len(shape))))


def _interleave(even: Any, odd: Any, axis: int) -> Any:
    """even[0], odd[0], even[1], ... along the axis; even may have one more."""
    n, m = type_of(even).shape[axis], type_of(odd).shape[axis]
    head = _every_other(even, axis, 0, m, 1)
    shape = type_of(odd).shape
    wide = (*shape[:axis + 1], 1, *shape[axis + 1:])
    both = concatenate(reshape(head, shape=wide), reshape(odd, shape=wide), dimension=axis + 1)
    woven = reshape(both, shape=(*shape[:axis], 2 * m, *shape[axis + 1:]))
    if n == m:
        return woven
    return concatenate(woven, _every_other(even, axis, m, n, 1), dimension=axis)

"""Working on whole trees: map, reduce, transpose, broadcast."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable
from typing import Any

from arraylib.tree.structures import (
    IsLeaf,
    Leaf,
    Structure,
    Tree,
    flatten,
    flatten_up_to,
    leaves,
    paths,
    structure,
    unflatten,
)


def map(f: Callable[..., Any], tree: Tree, *rest: Tree, is_leaf: IsLeaf = None) -> Tree:
    """The tree of `f(leaf, *counterparts)`, a call for each leaf of the first tree.

    The other trees may go on below a leaf of the first: `f` then gets what stands there.
    """
    first, form = flatten(tree, is_leaf)
    columns = [_counterparts(form, other, number, is_leaf) for number, other in enumerate(rest, 1)]
    return unflatten(form, [f(*row) for row in zip(first, *columns, strict=True)])


def _counterparts(form: Structure, tree: Tree, number: int, is_leaf: IsLeaf) -> list[Tree]:
    found, other = flatten(tree, is_leaf)
    if other is form:
        return found
    return flatten_up_to(form, tree, op="tree.map", names=("tree 0", f"tree {number}"))


def map_with_path(f: Callable[..., Any], tree: Tree, *rest: Tree, is_leaf: IsLeaf = None) -> Tree:
    """As `map`, with the key path as the first argument of `f`."""
    where = iter(paths(structure(tree, is_leaf)))
    return map(lambda *row: f(next(where), *row), tree, *rest, is_leaf=is_leaf)


_NOTHING = object()


def reduce(
    f: Callable[[Any, Any], Any], tree: Tree, initializer: Any = _NOTHING, is_leaf: IsLeaf = None
) -> Any:
    """`functools.reduce` over the leaves."""
    start = () if initializer is _NOTHING else (initializer,)
    return functools.reduce(f, leaves(tree, is_leaf), *start)


def all(tree: Tree, *, is_leaf: IsLeaf = None) -> bool:
    """Whether every leaf is true."""
    return builtins.all(leaves(tree, is_leaf))


def transpose(outer: Structure, inner: Structure | None, tree: Tree) -> Tree:
    """Turn a tree of structure `outer`, with a tree `inner` at each leaf, inside out.

    `inner=None` takes the structure that stands at the first leaf.
    """
    columns = flatten_up_to(outer, tree, op="tree.transpose", names=("the outer structure", "tree"))
    if inner is None:
        inner = structure(columns[0])
    names = ("the inner structure", "what stands at a leaf of the outer one")
    rows = [flatten_up_to(inner, column, op="tree.transpose", names=names) for column in columns]
    return unflatten(inner, [unflatten(outer, row) for row in zip(*rows, strict=True)])


def broadcast_prefix(
    prefix: Tree,
    tree: Tree,
    is_leaf: IsLeaf = None,
    *,
    op: str = "tree.broadcast_prefix",
    names: tuple[str, str] = ("the prefix", "the tree"),
) -> list[Leaf]:
    """For each leaf of `tree`, the leaf of `prefix` that stands at or above it.

    As for `in_axes`: `broadcast_prefix((0, None), (tree1, tree2), lambda x: x is None)`. Raises
    StructureError, which calls the two sides by `names`.
    """
    values, form = flatten(prefix, is_leaf)
    subtrees = flatten_up_to(form, tree, op=op, names=names)
    result: list[Leaf] = []
    for value, subtree in zip(values, subtrees, strict=True):
        result += [value] * structure(subtree).num_leaves
    return result

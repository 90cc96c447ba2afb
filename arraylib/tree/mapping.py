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
    flatten_with_path,
    leaves,
    structure,
    unflatten,
)


def map(f: Callable[..., Any], tree: Tree, *rest: Tree, is_leaf: IsLeaf = None) -> Tree:
    """The tree of `f(leaf, *counterparts)`, a call for each leaf of the first tree.

    The other trees may go on below a leaf of the first: `f` then gets what stands there.

    >>> tree.map(lambda x, y: x + y, {"a": 1, "b": [2]}, {"a": 10, "b": [20]})
    {'a': 11, 'b': [22]}
    """
    first, form = flatten(tree, is_leaf)
    columns = [_counterparts(form, other, number, is_leaf) for number, other in enumerate(rest, 1)]
    return unflatten(form, [f(*row) for row in zip(first, *columns, strict=True)])


def _counterparts(form: Structure, tree: Tree, number: int, is_leaf: IsLeaf) -> list[Tree]:
    found, other = flatten(tree, is_leaf)
    if other is form:
        return found
    return flatten_up_to(form, tree, op="tree.map", names=("tree 0", f"tree {number}"))


def map_with_path(
    f: Callable[..., Any],
    tree: Tree,
    *rest: Tree,
    is_leaf: Callable[..., bool] | None = None,
    is_leaf_takes_path: bool = False,
) -> Tree:
    """As `map`, with the key path as the first argument of `f`.

    With `is_leaf_takes_path` it is `is_leaf(path, subtree)` that says what is a leaf.

    >>> tree.map_with_path(lambda path, x: tree.keystr(path), {"a": 1, "b": [2]})
    {'a': "['a']", 'b': ["['b'][0]"]}
    """
    pairs, form = flatten_with_path(tree, is_leaf, is_leaf_takes_path)
    columns = [flatten_up_to(form, other, op="tree.map", names=("tree 0", f"tree {number}"))
               for number, other in enumerate(rest, 1)]
    rows = zip(pairs, *columns, strict=True)
    return unflatten(form, [f(path, leaf, *row) for (path, leaf), *row in rows])


_NOTHING = object()


def reduce(
    f: Callable[[Any, Any], Any], tree: Tree, initializer: Any = _NOTHING, is_leaf: IsLeaf = None
) -> Any:
    """`functools.reduce` over the leaves.

    >>> tree.reduce(lambda x, y: x + y, {"a": 1, "b": [2, 3]})
    6
    """
    start = () if initializer is _NOTHING else (initializer,)
    return functools.reduce(f, leaves(tree, is_leaf), *start)


def reduce_associative(
    operation: Callable[[Any, Any], Any],
    tree: Tree,
    *,
    identity: Any = _NOTHING,
    is_leaf: IsLeaf = None,
) -> Any:
    """The leaves combined in pairs, the results in pairs and so on: a short chain of operations.

    `operation` must be associative. `identity` is the result for a tree without leaves.

    Raises: TypeError for a tree without leaves where there is no identity.

        >>> reduce_associative(operator.add, [1, (2, 3), [4, 5, 6]])
        21
    """
    found = leaves(tree, is_leaf)
    if not found:
        if identity is _NOTHING:
            raise TypeError("tree.reduce_associative: a tree without leaves, and no identity")
        return identity
    while len(found) > 1:
        odd = found[len(found) - len(found) % 2 :]
        found = [operation(a, b) for a, b in zip(found[::2], found[1::2])] + odd
    return found[0]


def all(tree: Tree, *, is_leaf: IsLeaf = None) -> bool:
    """Whether every leaf is true.

    >>> tree.all({"a": True, "b": [False]})
    False
    """
    return builtins.all(leaves(tree, is_leaf))


def transpose(
    outer_treedef: Structure, inner_treedef: Structure | None, pytree_to_transpose: Tree
) -> Tree:
    """Turn a tree of the outer structure, with an inner tree at each leaf, inside out.

    `inner_treedef=None` takes the structure that stands at the first leaf.

        >>> transpose(structure([0, 0]), structure((0, 0)), [(1, 2), (3, 4)])
        ([1, 3], [2, 4])
    """
    op, names = "tree.transpose", ("the outer structure", "tree")
    columns = flatten_up_to(outer_treedef, pytree_to_transpose, op=op, names=names)
    inner = structure(columns[0]) if inner_treedef is None else inner_treedef
    names = ("the inner structure", "what stands at a leaf of the outer one")
    rows = [flatten_up_to(inner, column, op=op, names=names) for column in columns]
    return unflatten(inner, [unflatten(outer_treedef, row) for row in zip(*rows, strict=True)])


def broadcast(prefix_tree: Tree, full_tree: Tree, is_leaf: IsLeaf = None) -> Tree:
    """A tree like `full_tree`, with the leaf of `prefix_tree` that stands at or above each leaf.

    `is_leaf` says what is a leaf of either. Raises StructureError where the two differ.

        >>> broadcast((1, 2), (0, {"a": 0, "b": [0, 0]}))
        (1, {'a': 2, 'b': [2, 2]})
    """
    values, form = flatten(prefix_tree, is_leaf)
    names = ("the prefix", "the tree")
    subtrees = flatten_up_to(form, full_tree, op="tree.broadcast", names=names)
    filled = [map(lambda _, value=value: value, part, is_leaf=is_leaf)
              for value, part in zip(values, subtrees, strict=True)]
    return unflatten(form, filled)


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

    >>> tree.broadcast_prefix((0, 1), (5, [6, 7]))
    [0, 1, 1]
    """
    values, form = flatten(prefix, is_leaf)
    subtrees = flatten_up_to(form, tree, op=op, names=names)
    result: list[Leaf] = []
    for value, subtree in zip(values, subtrees, strict=True):
        result += [value] * structure(subtree).num_leaves
    return result

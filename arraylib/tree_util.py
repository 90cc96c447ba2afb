"""The tree functions under JAX's names."""

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from arraylib import tree
from arraylib.tree import (
    DictKey as DictKey,
    FlattenedIndexKey as FlattenedIndexKey,
    GetAttrKey as GetAttrKey,
    Key,
    KeyPath as KeyPath,
    SequenceKey as SequenceKey,
    Structure,
    register_dataclass as register_dataclass,
    register_static as register_static,
)

Class = TypeVar("Class", bound=type)

PyTreeDef = Structure
tree_all = tree.all
tree_flatten = tree.flatten
tree_flatten_with_path = tree.flatten_with_path
tree_leaves = tree.leaves
tree_leaves_with_path = tree.leaves_with_path
tree_map = tree.map
tree_map_with_path = tree.map_with_path
tree_reduce = tree.reduce
tree_structure = tree.structure
tree_transpose = tree.transpose
tree_unflatten = tree.unflatten
register_pytree_node = tree.register_node
register_pytree_with_keys = tree.register_node_with_keys


def register_pytree_node_class(cls: Class) -> Class:
    """Register a class that has `tree_flatten(self)` and a classmethod `tree_unflatten`."""
    kind: Any = cls
    tree.register_node(cls, lambda x: x.tree_flatten(), kind.tree_unflatten)
    return cls


def register_pytree_with_keys_class(cls: Class) -> Class:
    """Register a class that has `tree_flatten_with_keys(self)` and `tree_unflatten`."""
    kind: Any = cls
    tree.register_node_with_keys(cls, lambda x: x.tree_flatten_with_keys(), kind.tree_unflatten)
    return cls


def all_leaves(values: Iterable[Any], is_leaf: tree.IsLeaf = None) -> bool:
    """Whether none of the values is a container."""
    return all([tree.structure(value, is_leaf) is tree.LEAF for value in values])


def treedef_is_leaf(treedef: Structure) -> bool:
    """Whether the structure is that of a leaf."""
    return treedef is tree.LEAF


def treedef_children(treedef: Structure) -> list[Structure]:
    """The structures of the root's children."""
    return list(treedef.children)


def treedef_tuple(treedefs: Iterable[Structure]) -> Structure:
    """The structure of a tuple of trees of these structures."""
    kind = tree.kind_of(tuple)
    assert kind is not None
    return tree.make(kind, None, tuple(treedefs))


def keystr(keys: Iterable[Key], *, simple: bool = False, separator: str = "") -> str:
    """The path as text; `simple` leaves out brackets and dots: `layers/1/w` with separator "/"."""
    return separator.join([_bare(key) if simple else str(key) for key in keys])


def _bare(key: Key) -> str:
    for field in ("key", "idx", "name"):
        if hasattr(key, field):
            return str(getattr(key, field))
    return str(key)


class Partial(functools.partial[Any]):
    """`functools.partial` as a container of its arguments, so that it can be passed to `jit`."""


def _rebuild_partial(function: Callable[..., Any], children: Iterable[Any]) -> Partial:
    arguments, keywords = children
    return Partial(function, *arguments, **keywords)


tree.register_node(Partial, lambda p: ((p.args, p.keywords), p.func), _rebuild_partial,
                   fields=("args", "keywords"), constants=("func",))

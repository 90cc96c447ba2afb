"""The tree functions under JAX's names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from arraylib import tree
from arraylib.tree import (
    DictKey as DictKey,
    FlattenedIndexKey as FlattenedIndexKey,
    GetAttrKey as GetAttrKey,
    Key as KeyEntry,
    KeyPath as KeyPath,
    SequenceKey as SequenceKey,
    Structure,
    register_dataclass as register_dataclass,
    register_static as register_static,
)

Class = TypeVar("Class", bound=type)

PyTreeDef = Structure
tree_all = tree.all
tree_broadcast = tree.broadcast
tree_flatten = tree.flatten
tree_flatten_with_path = tree.flatten_with_path
tree_leaves = tree.leaves
tree_leaves_with_path = tree.leaves_with_path
tree_map = tree.map
tree_map_with_path = tree.map_with_path
tree_reduce = tree.reduce
tree_reduce_associative = tree.reduce_associative
tree_structure = tree.structure
tree_transpose = tree.transpose
tree_unflatten = tree.unflatten

Flatten = Callable[[Any], tuple[Iterable[Any], Any]]
FlattenWithKeys = Callable[[Any], tuple[Iterable[tuple[KeyEntry, Any]], Any]]
Unflatten = Callable[[Any, Iterable[Any]], Any]


def register_pytree_node(nodetype: type, flatten_func: Flatten, unflatten_func: Unflatten,
                         flatten_with_keys_func: FlattenWithKeys | None = None) -> None:
    """Make a class a container: `flatten_func(x)` gives its children and what else it has.

    `unflatten_func(rest, children)` is the way back; `flatten_with_keys_func` names the children
    in paths. Raises ValueError for a class that is a container already.

    >>> class Pair:
    ...     def __init__(self, a, b):
    ...         self.a, self.b = a, b
    >>> register_pytree_node(Pair, lambda p: ((p.a, p.b), None), lambda _, parts: Pair(*parts))
    >>> tree_leaves(Pair(1, [2, 3]))
    [1, 2, 3]
    """
    if flatten_with_keys_func is None:
        tree.register_node(nodetype, flatten_func, unflatten_func)
    else:
        tree.register_node_with_keys(nodetype, flatten_with_keys_func, unflatten_func)


def register_pytree_with_keys(nodetype: type, flatten_with_keys: FlattenWithKeys,
                              unflatten_func: Unflatten,
                              flatten_func: Flatten | None = None) -> None:
    """As `register_pytree_node`, where flattening gives pairs of a key and a child.

    `flatten_func` would give the children alone; it is not needed.

    >>> class Pair:
    ...     def __init__(self, a, b):
    ...         self.a, self.b = a, b
    >>> def named(pair):
    ...     return [(GetAttrKey("a"), pair.a), (GetAttrKey("b"), pair.b)], None
    >>> register_pytree_with_keys(Pair, named, lambda _, parts: Pair(*parts))
    >>> tree_leaves(Pair(1, [2, 3]))
    [1, 2, 3]
    """
    tree.register_node_with_keys(nodetype, flatten_with_keys, unflatten_func)


def register_pytree_node_class(cls: Class) -> Class:
    """Register a class that has `tree_flatten(self)` and a classmethod `tree_unflatten`.

    >>> @register_pytree_node_class
    ... class Pair(tuple):
    ...     def tree_flatten(self):
    ...         return tuple(self), None
    ...     @classmethod
    ...     def tree_unflatten(cls, rest, children):
    ...         return cls(children)
    >>> tree_leaves(Pair((1, [2, 3])))
    [1, 2, 3]
    """
    kind: Any = cls
    tree.register_node(cls, lambda x: x.tree_flatten(), kind.tree_unflatten)
    return cls


def register_pytree_with_keys_class(cls: Class) -> Class:
    """Register a class that has `tree_flatten_with_keys(self)` and `tree_unflatten`.

    >>> @register_pytree_with_keys_class
    ... class Pair(tuple):
    ...     def tree_flatten_with_keys(self):
    ...         return [(SequenceKey(i), x) for i, x in enumerate(self)], None
    ...     @classmethod
    ...     def tree_unflatten(cls, rest, children):
    ...         return cls(children)
    >>> tree_leaves(Pair((1, [2, 3])))
    [1, 2, 3]
    """
    kind: Any = cls
    tree.register_node_with_keys(cls, lambda x: x.tree_flatten_with_keys(), kind.tree_unflatten)
    return cls


def all_leaves(values: Iterable[Any], is_leaf: tree.IsLeaf = None) -> bool:
    """Whether none of the values is a container.

    >>> tree_util.all_leaves([1, 2.0, (3,)])
    False
    """
    return all([tree.structure(value, is_leaf) is tree.LEAF for value in values])


def treedef_is_leaf(treedef: Structure) -> bool:
    """Whether the structure is that of a leaf.

    >>> tree_util.treedef_is_leaf(tree.structure(1))
    True
    """
    return treedef is tree.LEAF


def treedef_children(treedef: Structure) -> list[Structure]:
    """The structures of the root's children.

    >>> tree_util.treedef_children(tree.structure((1, [2])))
    [*, [*]]
    """
    return list(treedef.children)


def treedef_tuple(treedefs: Iterable[Structure]) -> Structure:
    """The structure of a tuple of trees of these structures.

    >>> tree_util.treedef_tuple([tree.structure(1), tree.structure([2])])
    (*, [*])
    """
    kind = tree.kind_of(tuple)
    assert kind is not None
    return tree.make(kind, None, tuple(treedefs))


def is_tree_node(typ: type) -> bool:
    """Whether instances of exactly this class are containers.

    >>> tree_util.is_tree_node(dict), tree_util.is_tree_node(int)
    (True, False)
    """
    return tree.kind_of(typ) is not None


def flatten_one_level(tree: Any) -> tuple[list[Any], Any]:
    """The children of a container and its metadata; ValueError for a leaf.

        >>> flatten_one_level({"a": [1, 2], "b": 3})
        ([[1, 2], 3], ('a', 'b'))
    """
    children, metadata = _outermost(tree).flatten(tree)
    return list(children), metadata


def flatten_one_level_with_keys(tree: Any) -> tuple[list[tuple[KeyEntry, Any]], Any]:
    """As `flatten_one_level`, with the key of each child.

        >>> flatten_one_level_with_keys([5])
        ([(SequenceKey(idx=0), 5)], None)
    """
    kind = _outermost(tree)
    children, metadata = kind.flatten(tree)
    return list(zip(kind.keys(metadata, len(children)), children, strict=True)), metadata


def _outermost(value: Any) -> tree.Kind:
    kind = tree.kind_of(type(value))
    if kind is None:
        raise ValueError(f"{type(value).__name__} is not a container, but a leaf")
    return kind


def keystr(keys: Iterable[KeyEntry], *, simple: bool = False, separator: str = "") -> str:
    """The path as text; `simple` leaves out brackets and dots: `layers/1/w` with separator "/".

    >>> path = (tree_util.DictKey("a"), tree_util.SequenceKey(0))
    >>> tree_util.keystr(path, simple=True, separator="/")
    'a/0'
    """
    return separator.join([_bare(key) if simple else str(key) for key in keys])


def _bare(key: KeyEntry) -> str:
    for field in ("key", "idx", "name"):
        if hasattr(key, field):
            return str(getattr(key, field))
    return str(key)


class _Whole:
    """A `functools.partial` as a function with nothing to look into."""

    def __init__(self, partial: functools.partial[Any]) -> None:
        self.partial = partial

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.partial(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        partial = other.partial if isinstance(other, _Whole) else other
        return partial is self.partial or isinstance(partial, functools.partial) and (
            _parts(partial) == _parts(self.partial))

    def __hash__(self) -> int:
        return hash(self.partial.func)


def _parts(partial: functools.partial[Any]) -> tuple[Any, ...]:
    """What two that do the same have equal: arguments that are no numbers or text are the same."""
    plain = (int, float, complex, str, bytes)
    value = lambda x: (type(x), repr(x)) if type(x) in plain else id(x)
    return (partial.func, [value(x) for x in partial.args],
            {name: value(x) for name, x in partial.keywords.items()})


class Partial(functools.partial[Any]):
    """`functools.partial` as a container of its arguments, so that it can be passed to `jit`.

    Those of a `functools.partial` inside belong to the function.

    >>> double = tree_util.Partial(jnp.multiply, 2)
    >>> arraylib.jit(lambda f, x: f(x))(double, 3)
    Array(6, dtype=int32)
    """

    def __new__(cls, func: Callable[..., Any], /, *args: Any, **keywords: Any) -> Partial:
        if isinstance(func, functools.partial) and not isinstance(func, Partial):
            func = _Whole(func)
        return super().__new__(cls, func, *args, **keywords)


def _rebuild_partial(function: Callable[..., Any], children: Iterable[Any]) -> Partial:
    arguments, keywords = children
    return Partial(function, *arguments, **keywords)


tree.register_node(Partial, lambda p: ((p.args, p.keywords), p.func), _rebuild_partial,
                   fields=("args", "keywords"), constants=("func",))

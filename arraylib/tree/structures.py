"""Structures, and the way from a tree to its leaves and structure and back."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import count, islice
from operator import itemgetter
from typing import Any, TypeAlias

from arraylib.errors import StructureError, mistake
from arraylib.record import record
from arraylib.tree.keys import GetAttrKey, Key, KeyPath, keystr

Tree: TypeAlias = Any
Leaf: TypeAlias = Any
IsLeaf: TypeAlias = "Callable[[Any], bool] | None"


@record(slots=True, eq=False)
class Kind:
    """How one container type is taken apart, put together and written."""

    type: type
    flatten: Callable[[Any], tuple[Sequence[Any], Any]]  # -> children, metadata
    unflatten: Callable[[Any, Iterable[Any]], Any]  # metadata, children -> container
    keys: Callable[[Any, int], Sequence[Key]]  # metadata, number of children -> one key for each
    show: Callable[[Any, list[str]], str]  # metadata, children's text -> text
    sequence: bool = False  # the children are the items, and there is no metadata
    fields: tuple[str, ...] = ()  # attributes that are the children, where that is all there is
    constants: tuple[str, ...] = ()  # and those that are the metadata then
    by_name: bool = False  # put together by calling the type with fields and constants by name

    def __reduce__(self) -> tuple[Any, ...]:
        return kind_of, (self.type,)


class Children(tuple["Structure", ...]):
    """The structures of a container's children; called, as JAX's are, a list of them."""

    __slots__ = ()

    def __call__(self) -> list[Structure]:
        return list(self)


@record(slots=True, eq=False, repr=False, weakref_slot=True)
class Structure:
    """A tree without its leaves. Equal structures are the same object; `*` stands for a leaf."""

    kind: Kind | None  # None: a leaf
    metadata: Any
    children: Children
    num_leaves: int

    def __repr__(self) -> str:
        if self.kind is None:
            return "*"
        return self.kind.show(self.metadata, [repr(child) for child in self.children])

    def __reduce__(self) -> str | tuple[Any, ...]:
        return "LEAF" if self.kind is None else (make, (self.kind, self.metadata, self.children))

    def unflatten(self, leaves: Iterable[Leaf]) -> Tree:
        """The tree of this structure with these leaves."""
        return unflatten(self, leaves)

    def flatten_up_to(self, tree: Tree) -> list[Tree]:
        """The subtrees of `tree` that stand where this structure has its leaves."""
        return flatten_up_to(self, tree)

    @property
    def num_nodes(self) -> int:
        """How many leaves and containers there are."""
        return 1 + sum([child.num_nodes for child in self.children])

    def walk(self, node: Callable[[tuple[Any, ...], Any], Any],
             leaf: Callable[[Any], Any] | None, leaves: Iterable[Leaf]) -> Any:
        """What `node(results of the children, metadata)` gives for the root, from leaves upwards.

        A leaf's result is `leaf(value)`, or the value itself where `leaf` is None. A dict's
        metadata are its keys, a list.
        """
        return _walk(self, node, leaf, iter(leaves))

    def node_data(self) -> tuple[type, Any] | None:
        """The class of the outermost container and its metadata; None for a leaf."""
        return None if self.kind is None else (self.kind.type, self.metadata)

    def compose(self, inner: Structure) -> Structure:
        """This structure with `inner` in the place of every leaf."""
        if self.kind is None:
            return inner
        return make(self.kind, self.metadata, tuple([c.compose(inner) for c in self.children]))


LEAF = Structure(None, None, Children(), 1)

_INTERNED: dict[Any, weakref.KeyedRef[Any, Structure]] = {}
_LAST: deque[Structure] = deque(maxlen=64)  # kept alive though nobody has them just now
_LOCK = threading.RLock()  # reentrant: a structure may be collected while another is being made


def make(kind: Kind, metadata: Any, children: tuple[Structure, ...]) -> Structure:
    """The one structure of these parts.

    >>> tree.make(tree.kind_of(tuple), None, (tree.LEAF, tree.LEAF)) is tree.structure((1, 2))
    True
    """
    key: Any = (kind, metadata, children)
    try:
        reference = _INTERNED.get(key)
    except TypeError:
        key = (kind, _Unhashable(metadata), children)
        reference = _INTERNED.get(key)
    found = reference() if reference is not None else None
    return found if found is not None else _make_new(key, metadata)


def _make_new(key: Any, metadata: Any) -> Structure:
    kind, _, children = key
    with _LOCK:
        reference = _INTERNED.get(key)
        found = reference() if reference is not None else None
        if found is None:
            size = sum([child.num_leaves for child in children])
            found = Structure(kind, metadata, Children(children), size)
            _INTERNED[key] = weakref.KeyedRef(found, _forget, key)
            if kind.type is tuple:  # arguments of calls, which come again
                _LAST.append(found)
    return found


def _forget(
    reference: weakref.KeyedRef[Any, Structure],
    table: dict[Any, Any] = _INTERNED,  # bound here: globals may be gone when Python exits
    lock: Any = _LOCK,
) -> None:
    with lock:
        if table.get(reference.key) is reference:
            del table[reference.key]


class _Unhashable:
    """Metadata that can only be compared, such as a dict, as part of a key."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return hash(type(self.value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Unhashable) and _equal(self.value, other.value)


def _equal(left: Any, right: Any) -> bool:
    """Whether two nodes' metadata agree."""
    try:
        return bool(left == right)
    except ValueError:  # NumPy's word for an array that is neither true nor false
        problem = f"metadata that cannot be compared: {left!r}"
        hint = "make arrays children of the container, not part of its structure"
        raise mistake(StructureError, "tree.flatten", problem, hint=hint) from None


# The kind of each class of containers.


class _Kinds(dict[type, "Kind | None"]):
    """The kind of every type met so far; None for the types of leaves."""

    def __missing__(self, cls: type) -> Kind | None:
        named = issubclass(cls, tuple) and hasattr(cls, "_fields")
        found = self[cls] = _namedtuple_kind(cls) if named else None
        return found


_KINDS = _Kinds()


def _namedtuple_kind(cls: Any) -> Kind:
    return Kind(
        cls,
        lambda tree: (tuple(tree), None),
        lambda metadata, children: tuple.__new__(cls, children),  # which may have its own len()
        lambda metadata, count: [GetAttrKey(field) for field in cls._fields],
        lambda metadata, parts: show_fields(cls, cls._fields, parts),
        sequence=True,
    )


def show_fields(cls: type, fields: Iterable[str], parts: Iterable[Any]) -> str:
    """`Point(x=*, y=*)`."""
    items = [f"{field}={part}" for field, part in zip(fields, parts, strict=True)]
    return f"{cls.__name__}({', '.join(items)})"


def kind_of(cls: type) -> Kind | None:
    """How containers of exactly this class are handled; None if its instances are leaves.

    >>> tree.kind_of(float) is None
    True
    """
    return _KINDS[cls]


def register(kind: Kind) -> None:
    """Make instances of `kind.type` containers from now on."""
    if _KINDS.get(kind.type) is not None:
        raise ValueError(f"{kind.type.__qualname__} is already registered as a container")
    _KINDS[kind.type] = kind


# Taking apart and putting together.


def flatten(tree: Tree, is_leaf: IsLeaf = None) -> tuple[list[Leaf], Structure]:
    """The leaves of a tree, in order, and its structure.

    Where `is_leaf(subtree)` is true the subtree is a leaf, whatever it is.

    >>> tree.flatten({"b": [1, 2], "a": 3})
    ([3, 1, 2], {'a': *, 'b': [*, *]})
    """
    leaves: list[Leaf] = []
    if is_leaf is not None:
        return leaves, _flatten_until(tree, leaves, is_leaf)
    return leaves, _flatten(tree, leaves)


def _flatten(tree: Tree, leaves: list[Leaf]) -> Structure:
    cls = type(tree)
    kind = _KINDS[cls]
    if kind is None:
        leaves.append(tree)
        return LEAF
    children, metadata = (tree, None) if cls is tuple or cls is list else kind.flatten(tree)
    for below in {*map(type, children)} if len(children) > 4 else map(type, children):
        if _KINDS[below] is not None:
            return make(kind, metadata, tuple([_flatten(child, leaves) for child in children]))
    leaves.extend(children)  # the usual case, and the fast one: all children are leaves
    return make(kind, metadata, (LEAF,) * len(children))


def _flatten_until(tree: Tree, leaves: list[Leaf], is_leaf: Callable[[Any], bool]) -> Structure:
    kind = None if is_leaf(tree) else _KINDS[type(tree)]
    if kind is None:
        leaves.append(tree)
        return LEAF
    children, metadata = kind.flatten(tree)
    below = [_flatten_until(child, leaves, is_leaf) for child in children]
    return make(kind, metadata, tuple(below))


def unflatten(structure: Structure, leaves: Iterable[Leaf]) -> Tree:
    """The tree of this structure with these leaves; StructureError if their number is wrong.

    >>> leaves, structure = tree.flatten({"b": [1, 2], "a": 3})
    >>> tree.unflatten(structure, [10, 20, 30])
    {'a': 10, 'b': [20, 30]}
    """
    leaves = leaves if isinstance(leaves, (list, tuple)) else list(leaves)
    if len(leaves) != structure.num_leaves:
        problem = f"{len(leaves)} leaves for a structure that has {structure.num_leaves}"
        raise mistake(StructureError, "tree.unflatten", problem, operands=[structure],
                      hint="as many leaves as the structure has stars")
    return _build(structure, iter(leaves))


def _build(structure: Structure, leaves: Iterator[Leaf]) -> Tree:
    kind, children = structure.kind, structure.children
    if kind is None:
        return next(leaves)
    if structure.num_leaves == len(children) and children.count(LEAF) == len(children):
        return kind.unflatten(structure.metadata, islice(leaves, len(children)))
    below = [next(leaves) if child is LEAF else _build(child, leaves) for child in children]
    return kind.unflatten(structure.metadata, below)


def _walk(structure: Structure, node: Callable[[tuple[Any, ...], Any], Any],
          leaf: Callable[[Any], Any] | None, leaves: Iterator[Leaf]) -> Any:
    if structure.kind is None:
        value = next(leaves)
        return value if leaf is None else leaf(value)
    below = tuple([_walk(child, node, leaf, leaves) for child in structure.children])
    of_dict = structure.kind.type is dict
    return node(below, list(structure.metadata) if of_dict else structure.metadata)


def rebuilder(structure: Structure) -> Callable[[Sequence[Leaf]], Tree]:
    """`unflatten` for this structure alone and without its check, compiled to one expression.

    >>> tree.rebuilder(tree.structure((0, [0])))([1, 2])
    (1, [2])
    """
    if _depth(structure) > 50:  # Python's parser has a limit
        return lambda leaves: _build(structure, iter(leaves))
    names: dict[str, Any] = {}
    source = _expression(structure, count(), names)
    return eval(f"lambda leaves: {source}", names)  # type: ignore[no-any-return]


def _expression(structure: Structure, positions: Iterator[int], names: dict[str, Any]) -> str:
    """Source that builds a tree out of `leaves`; what it cannot spell it adds to `names`."""
    if structure.kind is None:
        return f"leaves[{next(positions)}]"
    below = [_expression(child, positions, names) for child in structure.children]
    items = "".join([f"{source}, " for source in below])
    if structure.kind.type is tuple:
        return f"({items})"
    if structure.kind.type is list:
        return f"[{items}]"
    if _is_text_dict(structure):
        pairs = zip(structure.metadata, below, strict=True)
        return "{" + ", ".join([f"{key!r}: {source}" for key, source in pairs]) + "}"
    name = f"build{len(names)}"
    names[name] = partial(structure.kind.unflatten, structure.metadata)
    return f"{name}(({items}))"


def flattener(structure: Structure) -> Callable[[Tree], list[Any]]:
    """What stands in a tree where this structure has its leaves: a function compiled for that.

    It raises KeyError or ValueError for a tree that differs above the leaves. Where all that it
    found are leaves, the tree has this structure: it is for the caller to see whether they are.

    >>> tree.flattener(tree.structure((0, [0])))((1, [2]))
    [1, 2]
    """
    lines: list[str] = []
    names: dict[str, Any] = {"NoneType": type(None)}
    items = _take_apart(structure, "tree", lines, names, count())
    body = "\n    ".join([*lines, f"return [{', '.join(items)}]"])
    exec(f"def flatten(tree):\n    {body}", names)
    return names["flatten"]  # type: ignore[no-any-return]


def _take_apart(structure: Structure, tree: str, lines: list[str], names: dict[str, Any],
                numbers: Iterator[int]) -> list[str]:
    """Source of the leaves in the variable `tree`, after `lines` that check and unpack it."""
    if structure.kind is None:
        return [tree]
    cls, children, number = structure.kind.type, structure.children, next(numbers)
    if not (cls in (tuple, list, type(None)) or _is_text_dict(structure)):
        names[f"below{number}"] = partial(_flatten_alike, structure)
        return [f"*below{number}({tree})"]
    size = "" if cls is type(None) else f" or len({tree}) != {len(children)}"
    lines.append(f"if type({tree}) is not {cls.__name__}{size}: raise ValueError")
    if not children:
        return []
    if cls is dict:
        names[f"pick{number}"] = itemgetter(*structure.metadata)
        tree = f"pick{number}({tree})" if len(children) > 1 else f"[pick{number}({tree})]"
    if children.count(LEAF) == len(children):
        return [f"*{tree}"]
    parts = [f"part{number}_{i}" for i in range(len(children))]
    lines.append(f"{', '.join(parts)}, = {tree}")
    return [item for child, part in zip(children, parts, strict=True)
            for item in _take_apart(child, part, lines, names, numbers)]


def _flatten_alike(structure: Structure, tree: Tree) -> list[Leaf]:
    """The leaves of a tree; ValueError if it is not of this structure."""
    found, form = flatten(tree)
    if form is not structure:
        raise ValueError("another structure")
    return found


def _is_text_dict(structure: Structure) -> bool:
    """Whether this is a dict whose keys are strings, which source can spell and sorting knows."""
    kind = structure.kind
    return kind is not None and kind.type is dict and {*map(type, structure.metadata)} <= {str}


def _depth(structure: Structure) -> int:
    return 1 + max([_depth(child) for child in structure.children], default=0)


def leaves(tree: Tree, is_leaf: IsLeaf = None) -> list[Leaf]:
    """The leaves of a tree, in order.

    >>> tree.leaves({"b": [1, 2], "a": 3})
    [3, 1, 2]
    """
    return flatten(tree, is_leaf)[0]


def structure(tree: Tree, is_leaf: IsLeaf = None) -> Structure:
    """The structure of a tree.

    >>> tree.structure({"b": [1, 2], "a": 3})
    {'a': *, 'b': [*, *]}
    """
    return flatten(tree, is_leaf)[1]


def paths(structure: Structure, root: KeyPath = ()) -> list[KeyPath]:
    """The key path of every leaf, in order.

    >>> tree.paths(tree.structure({"b": [1], "a": 3}))
    [(DictKey(key='a'),), (DictKey(key='b'), SequenceKey(idx=0))]
    """
    if structure.kind is None:
        return [root]
    return [
        path for key, child in _keyed_children(structure) for path in paths(child, (*root, key))
    ]


def _keyed_children(structure: Structure) -> Iterator[tuple[Key, Structure]]:
    children = structure.children
    keys = structure.kind.keys(structure.metadata, len(children)) if structure.kind else ()
    return zip(keys, children, strict=True)


def flatten_with_path(
    tree: Tree, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> tuple[list[tuple[KeyPath, Leaf]], Structure]:
    """The leaves, each with its key path, and the structure.

    With `is_leaf_takes_path` it is `is_leaf(path, subtree)` that says what is a leaf.

        >>> flatten_with_path({"a": [1, 2]}, lambda path, x: len(path) == 1, True)[0]
        [((DictKey(key='a'),), [1, 2])]
    """
    if is_leaf is not None and is_leaf_takes_path:
        pairs: list[tuple[KeyPath, Leaf]] = []
        return pairs, _flatten_along((), tree, pairs, is_leaf)
    found, form = flatten(tree, is_leaf)
    return list(zip(paths(form), found, strict=True)), form


def _flatten_along(
    path: KeyPath, tree: Tree, pairs: list[tuple[KeyPath, Leaf]], is_leaf: Callable[..., bool]
) -> Structure:
    kind = None if is_leaf(path, tree) else _KINDS[type(tree)]
    if kind is None:
        pairs.append((path, tree))
        return LEAF
    children, metadata = kind.flatten(tree)
    keyed = zip(kind.keys(metadata, len(children)), children, strict=True)
    below = [_flatten_along((*path, key), child, pairs, is_leaf) for key, child in keyed]
    return make(kind, metadata, tuple(below))


def leaves_with_path(
    tree: Tree, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> list[tuple[KeyPath, Leaf]]:
    """The leaves, each with its key path; `is_leaf` as for `flatten_with_path`.

    >>> found = tree.leaves_with_path({"b": [1], "a": 3})
    >>> [(tree.keystr(path), leaf) for path, leaf in found]
    [("['a']", 3), ("['b'][0]", 1)]
    """
    return flatten_with_path(tree, is_leaf, is_leaf_takes_path)[0]


def flatten_up_to(
    structure: Structure,
    tree: Tree,
    *,
    op: str = "tree.flatten_up_to",
    names: tuple[str, str] = ("the structure", "the tree"),
) -> list[Tree]:
    """The subtrees of `tree` that stand where `structure` has its leaves.

    Raises StructureError, which calls the two sides by `names`, where they differ above.

    >>> tree.flatten_up_to(tree.structure((0, 0)), (1, [2, 3]))
    [1, [2, 3]]
    """
    found: list[Tree] = []
    if not _collect(structure, tree, found):
        _refuse(structure, flatten(tree)[1], op, names, prefix=True)
    return found


def _collect(structure: Structure, tree: Tree, found: list[Tree]) -> bool:
    if structure.kind is None:
        found.append(tree)
        return True
    if _KINDS[type(tree)] is not structure.kind:
        return False
    children, metadata = structure.kind.flatten(tree)
    if len(children) != len(structure.children) or not _equal(metadata, structure.metadata):
        return False
    for below, child in zip(structure.children, children, strict=True):
        if not _collect(below, child, found):
            return False
    return True


# Differences.


def check_same(
    expected: Structure, found: Structure, *, op: str, names: tuple[str, str], hint: str = ""
) -> None:
    """Raise StructureError if two structures differ, with the first path where they do.

    >>> one, other = tree.structure((0, 0)), tree.structure((1, 2))
    >>> tree.check_same(one, other, op="f", names=("one", "other"))
    """
    if expected is not found:
        _refuse(expected, found, op, names, hint=hint)


def _refuse(
    expected: Structure,
    found: Structure,
    op: str,
    names: tuple[str, str],
    *,
    prefix: bool = False,
    hint: str = "",
) -> None:
    difference = _first_difference(expected, found, (), prefix)
    assert difference is not None, (expected, found)
    path, left, right = difference
    problem = f"at {keystr(path) or 'the root'}, {_contrast(left, right, names)}"
    sides = [
        f"{name}: {_shortened(form)}" for name, form in zip(names, (expected, found), strict=True)
    ]
    raise mistake(StructureError, op, problem, operands=sides,
                  hint=hint or f"nest {names[1]} like {names[0]}")


def _first_difference(
    left: Structure, right: Structure, path: KeyPath, prefix: bool
) -> tuple[KeyPath, Structure, Structure] | None:
    """Where two structures first differ; as a prefix, a leaf on the left is like anything."""
    if left is right or (prefix and left is LEAF):
        return None
    alike = left.kind is right.kind and _equal(left.metadata, right.metadata)
    if not alike or len(left.children) != len(right.children):
        return path, left, right
    for (key, below), other in zip(_keyed_children(left), right.children, strict=True):
        difference = _first_difference(below, other, (*path, key), prefix)
        if difference is not None:
            return difference
    return None


def _contrast(left: Structure, right: Structure, names: tuple[str, str]) -> str:
    """In words, how two structures differ whose nodes are unlike."""
    expected, found = names
    if left.kind is not right.kind or len(left.children) == len(right.children) == 0:
        return f"{found} has {_describe(right)} where {expected} has {_describe(left)}"
    keys = [[str(key) for key, _ in _keyed_children(side)] for side in (left, right)]
    lacking = [key for key in keys[0] if key not in set(keys[1])]
    surplus = [key for key in keys[1] if key not in set(keys[0])]
    if lacking and not surplus:
        return f"{found} lacks {_some(lacking)}, which {expected} has"
    if surplus and not lacking:
        return f"{found} has {_some(surplus)}, which {expected} lacks"
    if surplus:
        return f"{found} has {_some(surplus)} where {expected} has {_some(lacking)}"
    return f"{found} has metadata {right.metadata!r} where {expected} has {left.metadata!r}"


def _describe(structure: Structure) -> str:
    if structure.kind is None:
        return "a leaf"
    if not structure.children:
        return repr(structure)
    return f"a {structure.kind.type.__name__} of {len(structure.children)}"


def _some(keys: list[str], limit: int = 5) -> str:
    return ", ".join(keys[:limit]) + (f" and {len(keys) - limit} more" if keys[limit:] else "")


def _shortened(structure: Structure, width: int = 400) -> str:
    text = repr(structure)
    return text if len(text) <= width else text[: width - 3] + "..."

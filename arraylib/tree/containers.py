"""The containers: Python's own, and the ways to register a class as one."""

from __future__ import annotations

import collections
import dataclasses
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from arraylib.tree.keys import DictKey, FlattenedIndexKey, GetAttrKey, Key, SequenceKey
from arraylib.tree.structures import Kind, register, show_fields

Class = TypeVar("Class", bound=type)


def _in_brackets(opening: str, closing: str) -> Callable[[Any, list[str]], str]:
    return lambda metadata, parts: opening + ", ".join(parts) + closing


def _show_tuple(metadata: None, parts: list[str]) -> str:
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


def _show_dict(keys: tuple[Any, ...], parts: list[str]) -> str:
    items = [f"{key!r}: {part}" for key, part in zip(keys, parts, strict=True)]
    return "{" + ", ".join(items) + "}"


def _flatten_dict(tree: dict[Any, Any]) -> tuple[Sequence[Any], Any]:
    keys = list(tree)
    try:
        ordered = sorted(keys)
    except TypeError:  # keys of several types
        ordered = sorted(keys, key=lambda key: (type(key).__qualname__, key))
    if ordered == keys:
        return list(tree.values()), tuple(keys)
    return [tree[key] for key in ordered], tuple(ordered)


def _flatten_defaultdict(tree: Any) -> tuple[Sequence[Any], Any]:
    children, keys = _flatten_dict(tree)
    return children, (tree.default_factory, keys)


def _index_keys(metadata: Any, count: int) -> Sequence[Key]:
    return [SequenceKey(index) for index in range(count)]


def _dict_keys(keys: tuple[Any, ...], count: int) -> Sequence[Key]:
    return [DictKey(key) for key in keys]


_BUILTIN_KINDS = (
    Kind(
        type(None),
        lambda tree: ((), None),
        lambda metadata, children: None,
        _index_keys,
        lambda metadata, parts: "None",
    ),
    Kind(
        list,
        lambda tree: (tree, None),
        lambda metadata, children: list(children),
        _index_keys,
        _in_brackets("[", "]"),
        sequence=True,
    ),
    Kind(
        tuple,
        lambda tree: (tree, None),
        lambda metadata, children: tuple(children),
        _index_keys,
        _show_tuple,
        sequence=True,
    ),
    Kind(
        dict,
        _flatten_dict,
        lambda keys, children: dict(zip(keys, children, strict=True)),
        _dict_keys,
        _show_dict,
    ),
    Kind(
        collections.OrderedDict,
        lambda tree: (list(tree.values()), tuple(tree)),
        lambda keys, children: collections.OrderedDict(zip(keys, children, strict=True)),
        _dict_keys,
        lambda keys, parts: f"OrderedDict({_show_dict(keys, parts)})",
    ),
    Kind(
        collections.defaultdict,
        _flatten_defaultdict,
        lambda meta, children: collections.defaultdict(
            meta[0], zip(meta[1], children, strict=True)
        ),
        lambda meta, count: _dict_keys(meta[1], count),
        lambda meta, parts: f"defaultdict({meta[0]!r}, {_show_dict(meta[1], parts)})",
    ),
)

for _kind in _BUILTIN_KINDS:
    register(_kind)


# Registration.


def register_node(
    cls: type,
    flatten: Callable[[Any], tuple[Iterable[Any], Any]],
    unflatten: Callable[[Any, Iterable[Any]], Any],
    *,
    fields: Sequence[str] = (),
    constants: Sequence[str] = (),
) -> None:
    """Make `cls` a container: `flatten(x) -> (children, metadata)`, and the way back.

    Metadata is what distinguishes structures; it must support `==`, and be hashable to be fast.
    `fields` may name the attributes that are the children, if `flatten` does nothing but read them,
    and `constants` those that make up the metadata: jitted functions read these by themselves.

    >>> class Pair:
    ...     def __init__(self, a, b):
    ...         self.a, self.b = a, b
    >>> tree.register_node(Pair, lambda p: ((p.a, p.b), None), lambda _, parts: Pair(*parts))
    >>> tree.leaves(Pair(1, [2, 3]))
    [1, 2, 3]
    """

    def flatten_once(tree: Any) -> tuple[Sequence[Any], Any]:
        children, metadata = flatten(tree)
        return tuple(children), metadata

    def rebuild(metadata: Any, children: Iterable[Any]) -> Any:
        return unflatten(metadata, tuple(children))

    def keys(metadata: Any, count: int) -> Sequence[Key]:
        return [FlattenedIndexKey(index) for index in range(count)]

    def show(metadata: Any, parts: list[str]) -> str:
        return f"{cls.__name__}[{metadata!r}]({', '.join(parts)})"

    register(Kind(cls, flatten_once, rebuild, keys, show, fields=tuple(fields),
                  constants=tuple(constants)))


def register_node_with_keys(
    cls: type,
    flatten_with_keys: Callable[[Any], tuple[Iterable[tuple[Key, Any]], Any]],
    unflatten: Callable[[Any, Iterable[Any]], Any],
) -> None:
    """As `register_node`, where flattening gives pairs of a key, for paths, and a child.

    >>> class Pair:
    ...     def __init__(self, a, b):
    ...         self.a, self.b = a, b
    >>> def named(pair):
    ...     return [(tree.GetAttrKey("a"), pair.a), (tree.GetAttrKey("b"), pair.b)], None
    >>> tree.register_node_with_keys(Pair, named, lambda _, parts: Pair(*parts))
    >>> [tree.keystr(path) for path, _ in tree.leaves_with_path(Pair(1, [2]))]
    ['.a', '.b[0]']
    """

    def flatten_once(tree: Any) -> tuple[Sequence[Any], Any]:
        pairs, metadata = flatten_with_keys(tree)
        pairs = list(pairs)
        return [child for _, child in pairs], (metadata, tuple([key for key, _ in pairs]))

    def rebuild(metadata: Any, children: Iterable[Any]) -> Any:
        return unflatten(metadata[0], tuple(children))

    def show(metadata: Any, parts: list[str]) -> str:
        items = [f"{key}: {part}" for key, part in zip(metadata[1], parts, strict=True)]
        return f"{cls.__name__}[{metadata[0]!r}]({', '.join(items)})"

    register(Kind(cls, flatten_once, rebuild, lambda metadata, count: metadata[1], show))


def register_dataclass(
    cls: Class,
    data_fields: Sequence[str] | None = None,
    meta_fields: Sequence[str] | None = None,
    drop_fields: Sequence[str] = (),
) -> Class:
    """Make a dataclass a container of its `data_fields`; `meta_fields` belong to the structure.

    Without lists, fields declared by `static()` are metadata, all others data. `drop_fields` are
    neither: they have their default after a transform. Usable as a decorator above `@dataclass`;
    returns the class.

    Of a class that is no dataclass both lists are needed, and hold what it is called with.

    Raises: ValueError unless every field that the class is called with is in exactly one list, and
    without lists for fields that it is not called with and that are not dropped.

    >>> from dataclasses import dataclass
    >>> @tree.register_dataclass
    ... @dataclass
    ... class Layer:
    ...     weights: float
    ...     width: int = tree.static(default=3)
    >>> tree.leaves(Layer(0.5))
    [0.5]
    """
    declared: tuple[Any, ...] = ()
    if dataclasses.is_dataclass(cls) or data_fields is None or meta_fields is None:
        declared = dataclasses.fields(cls)
    wanted = [field for field in declared if field.name not in drop_fields]
    if data_fields is None:
        data_fields = [field.name for field in wanted if not field.metadata.get("static")]
        meta_fields = [field.name for field in wanted if field.metadata.get("static")]
    data, meta = tuple(data_fields), tuple(meta_fields or ())
    unknown = {*data} & {*meta}
    if declared:
        unknown |= {field.name for field in wanted if field.init} ^ {*data, *meta}
    if unknown:
        problem = f"fields {sorted(unknown)} of {cls.__name__} must be in exactly one list"
        raise ValueError(f"register_dataclass: {problem}, data_fields or meta_fields")
    get_data, get_meta = _attributes(data), _attributes(meta)

    def take(instance: Any) -> tuple[Sequence[Any], Any]:
        return get_data(instance), get_meta(instance)

    def rebuild(metadata: Any, children: Iterable[Any]) -> Any:
        return cls(**dict(zip((*data, *meta), (*children, *metadata), strict=True)))

    def show(metadata: Any, parts: list[str]) -> str:
        return show_fields(cls, data + meta, [*parts, *map(repr, metadata)])

    keys = [GetAttrKey(field) for field in data]
    register(Kind(cls, take, rebuild, lambda metadata, count: keys, show, fields=data,
                  constants=meta, by_name=True))
    return cls


def _attributes(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda instance: tuple([getattr(instance, name) for name in names])


def static(**options: Any) -> Any:
    """A field of a dataclass that is metadata: `dataclasses.field` with `metadata` to say so.

        >>> @register_dataclass
        ... @dataclasses.dataclass
        ... class Layer:
        ...     weight: object
        ...     activation: str = static(default="relu")
    """
    metadata = {"static": True, **(options.pop("metadata", None) or {})}
    return dataclasses.field(metadata=metadata, **options)


def register_static(cls: Class) -> Class:
    """Make instances of `cls` part of the structure: containers without leaves. A decorator.

    >>> @tree.register_static
    ... class Name(str):
    ...     pass
    >>> tree.leaves((Name("w"), 1))
    [1]
    """
    kind = Kind(
        cls,
        lambda tree: ((), tree),
        lambda metadata, children: metadata,
        _index_keys,
        lambda metadata, parts: repr(metadata),
    )
    register(kind)
    return cls

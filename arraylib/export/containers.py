"""Structures of containers as data: what a file says of a program's arguments and results.

A leaf is `"*"`, None is `null`, and any other container is an object with one key, its kind:

    {"tuple": ["*", {"dict": [["w", "*"], ["b", null]]}]}

A class of the user is written by the name under which it is registered; what reads the file makes
such containers only if a class is registered there under that name. Nothing is ever imported or
called because a file says so.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from arraylib import tree
from arraylib.errors import ArgumentError, StructureError, mistake
from arraylib.record import record
from arraylib.tracing.core import NoTangent

Data = Any  # what JSON has: None, bool, int, float, str, lists and dicts
_DEEPEST = 64  # containers in one another, as in programs' text


@record
class _Registered:
    """A class that files may name, and its metadata as data and back."""

    cls: type
    name: str
    encode: Callable[[Any], Data]
    decode: Callable[[Data], Any]


_BY_NAME: dict[str, _Registered] = {}
_BY_CLASS: dict[type, _Registered] = {}


def register(cls: type, name: str | None = None, *, encode: Callable[[Any], Data] | None = None,
             decode: Callable[[Data], Any] | None = None) -> type:
    """Let exported programs take and return containers of class `cls`; returns the class.

    A program that is exported calls them `name` (the class's own if not given), and one that is
    loaded needs a class registered under that name. Without that a namedtuple still has its field
    names, and comes back as a namedtuple of the same name; other classes are refused.

    Args:
        encode, decode: metadata of the container, such as the fields of a dataclass that are no
            arrays, as something JSON can say, and back. Not needed where the metadata are made of
            numbers, strings, None, tuples, lists and dicts.

    Raises ArgumentError if another class has the name, or `cls` is no container.

        >>> from collections import namedtuple
        >>> Point = namedtuple("Point", "x y")
        >>> export.register(Point, "geometry.Point") is Point
        True
    """
    name = cls.__qualname__ if name is None else name
    if tree.kind_of(cls) is None:
        raise mistake(ArgumentError, "export.register", f"{cls.__qualname__} is no container",
                      hint="tree.register_dataclass or tree.register_node first")
    if cls in _RESERVED:
        raise mistake(ArgumentError, "export.register",
                      f"{cls.__qualname__} needs no registration")
    other = _BY_NAME.get(name)
    if other is not None and other.cls is not cls:
        raise mistake(ArgumentError, "export.register", f"{name!r} is the name of {other.cls}",
                      hint="register(cls, 'package.Name')")
    found = _Registered(cls, name, encode or _metadata_data, decode or _metadata)
    _BY_NAME[name] = _BY_CLASS[cls] = found
    return cls


# -- writing ---------------------------------------------------------------------------------------


def structure_data(structure: tree.Structure) -> Data:
    """A structure as data; StructureError for a container that cannot be written."""
    if structure.kind is None:
        return "*"
    cls, children = structure.kind.type, list(map(structure_data, structure.children))
    if cls is type(None):
        return None
    if cls in _SEQUENCES:
        return {_SEQUENCES[cls]: children}
    if cls in _MAPPINGS:
        keys = [_key_data(key) for key in structure.metadata]
        return {_MAPPINGS[cls]: [list(item) for item in zip(keys, children, strict=True)]}
    known = _BY_CLASS.get(cls)
    if hasattr(cls, "_fields"):
        return {"namedtuple": {"name": known.name if known else cls.__name__,
                               "fields": list(cls._fields), "children": children}}
    if known is None:
        raise mistake(StructureError, "export", f"containers of class {cls.__qualname__} cannot be "
                      "written to a file", operands=[structure],
                      hint=f"export.register({cls.__name__}), here and where the program is "
                           "loaded; or pass a dict")
    return {"node": {"name": known.name, "metadata": _encoded(known, structure.metadata),
                     "children": children}}


def _encoded(known: _Registered, metadata: Any) -> Data:
    try:
        return known.encode(metadata)
    except TypeError as error:
        raise mistake(StructureError, "export", f"metadata of {known.cls.__qualname__} cannot be "
                      f"written to a file: {error}",
                      hint="export.register(cls, name, encode=..., decode=...)") from None


def _key_data(key: Any) -> Data:
    if key is None or type(key) in (str, bool, int, float):
        return key
    raise mistake(StructureError, "export", f"a dict has the key {key!r}, which cannot be written "
                  "to a file", hint="strings or numbers for keys")


def _metadata_data(value: Any) -> Data:
    """Metadata as data in which tuples, dicts and keys of paths can be told apart."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return list(map(_metadata_data, value))
    if isinstance(value, tuple):
        return {"tuple": list(map(_metadata_data, value))}
    if isinstance(value, dict):
        return {"dict": [[_key_data(key), _metadata_data(item)] for key, item in value.items()]}
    for name, (cls, field) in _PATH_KEYS.items():
        if type(value) is cls:
            return {name: _metadata_data(getattr(value, field))}
    raise TypeError(f"{value!r:.80} is {type(value).__name__}")


_PATH_KEYS: dict[str, tuple[Callable[..., Any], str]] = {
    "key": (tree.DictKey, "key"), "index": (tree.SequenceKey, "idx"),
    "attribute": (tree.GetAttrKey, "name"), "flat": (tree.FlattenedIndexKey, "key")}
_SEQUENCES: dict[type, str] = {list: "list", tuple: "tuple"}
_MAPPINGS: dict[type, str] = {dict: "dict", collections.OrderedDict: "ordereddict"}
_RESERVED = {*_SEQUENCES, *_MAPPINGS, type(None), collections.defaultdict}

# -- reading ---------------------------------------------------------------------------------------


def structure_of(data: Data, depth: int = 0) -> tree.Structure:
    """The structure that data stand for.

    Raises ValueError, whose text says what is wrong, for data that stand for none, and
    StructureError for a class that is not registered here.
    """
    if depth > _DEEPEST:
        raise ValueError(f"containers nested more than {_DEEPEST} deep")
    if data == "*":
        return tree.LEAF
    if data is None:
        return tree.structure(None)
    if not isinstance(data, dict) or len(data) != 1:
        raise ValueError(f"{data!r:.60} is no container")
    ((kind, inside),) = data.items()

    def structures(parts: Any) -> list[tree.Structure]:
        return [structure_of(part, depth + 1) for part in _list(parts)]
    for cls, name in _SEQUENCES.items():
        if name == kind:
            return _made(cls, None, structures(inside))
    for cls, name in _MAPPINGS.items():
        if name == kind:
            keys, parts = _items(inside)
            return _made(cls, tuple(keys), structures(parts))
    make = {"namedtuple": _namedtuple, "node": _node}.get(kind)
    if make is None or not isinstance(inside, dict):
        raise ValueError(f"{kind!r} is no kind of container")
    return make(inside, structures(inside.get("children")))


def _made(cls: type, metadata: Any, children: Sequence[tree.Structure]) -> tree.Structure:
    kind = tree.kind_of(cls)
    assert kind is not None, cls
    return tree.make(kind, metadata, tuple(children))


def _list(data: Data) -> list[Data]:
    if not isinstance(data, list):
        raise ValueError(f"{data!r:.60} is no list")
    return data


def _items(data: Data) -> tuple[list[Any], list[Data]]:
    pairs = _list(data)
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise ValueError(f"{data!r:.60} are no pairs of a key and what it stands for")
    keys = [key for key, _ in pairs]
    if any(isinstance(key, (list, dict)) for key in keys) or len({*keys}) != len(keys):
        raise ValueError(f"{keys!r:.60} are no keys of a dict")
    return keys, [part for _, part in pairs]


def _namedtuple(inside: dict[str, Data], children: Sequence[tree.Structure]) -> tree.Structure:
    name, fields = inside.get("name"), tuple(_list(inside.get("fields")))
    if not isinstance(name, str) or not all(isinstance(field, str) for field in fields):
        raise ValueError(f"{inside!r:.60} is no namedtuple")
    if len(fields) != len(children):
        raise ValueError(f"{len(children)} children for the fields {', '.join(fields)}")
    known = _BY_NAME.get(name)
    if known is not None and getattr(known.cls, "_fields", None) == fields:
        return _made(known.cls, None, children)
    return _made(_stand_in(name, fields), None, children)


@lru_cache(maxsize=1024)
def _stand_in(name: str, fields: tuple[str, ...]) -> type:
    """A namedtuple with these fields; ValueError if they are no names."""
    last = name.rpartition(".")[2]
    return collections.namedtuple(last if last.isidentifier() else "Fields", fields)


def _node(inside: dict[str, Data], children: Sequence[tree.Structure]) -> tree.Structure:
    known = _BY_NAME.get(str(inside.get("name")))
    if known is None:
        raise mistake(StructureError, "export.load", "the program has containers of class "
                      f"{inside.get('name')!r}, which is not registered here",
                      hint=f"export.register(cls, {inside.get('name')!r}) before loading")
    return _made(known.cls, known.decode(inside.get("metadata")), children)


def _metadata(data: Data) -> Any:
    """The inverse of `_metadata_data`."""
    if isinstance(data, list):
        return list(map(_metadata, data))
    if not isinstance(data, dict):
        return data
    ((kind, inside),) = data.items()
    if kind == "tuple":
        return tuple(map(_metadata, _list(inside)))
    if kind == "dict":
        return {key: _metadata(value) for key, value in zip(*_items(inside))}
    if kind in _PATH_KEYS:
        return _PATH_KEYS[kind][0](_metadata(inside))
    raise ValueError(f"{kind!r} is no kind of metadata")


def alike(expected: tree.Structure, found: tree.Structure) -> bool:
    """Whether two structures are written in the same way, whatever class a namedtuple has."""
    if expected is found:
        return True
    kinds, children = (expected.kind, found.kind), (expected.children, found.children)
    if None in kinds or len(children[0]) != len(children[1]):
        return False
    fields = [getattr(kind.type, "_fields", None) for kind in kinds if kind is not None]
    same = expected.kind is found.kind and expected.metadata == found.metadata
    return (same or fields[0] is not None and fields[0] == fields[1]) and all(
        map(alike, *children))


register(NoTangent, "arraylib.float0")  # in gradients of integers

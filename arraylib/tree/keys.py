"""Key paths: how to reach a leaf from the root of a tree, one entry a container."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class DictKey:
    """The entry of a dict under `key`."""

    key: Hashable

    def __str__(self) -> str:
        return f"[{self.key!r}]"


@dataclass(frozen=True, slots=True)
class SequenceKey:
    """Item `idx` of a list or tuple."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx}]"


@dataclass(frozen=True, slots=True)
class GetAttrKey:
    """The field `name` of a dataclass or namedtuple."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"


@dataclass(frozen=True, slots=True)
class FlattenedIndexKey:
    """Child number `key` of a registered type that does not name its children."""

    key: int

    def __str__(self) -> str:
        return f"[<flat index {self.key}>]"


Key: TypeAlias = Any  # one of the above, or what a registered type uses
KeyPath: TypeAlias = tuple[Key, ...]


def keystr(path: Iterable[Key], root: str = "") -> str:
    """The path as source text: `keystr(path, "params")` is `params['layers'][0].w`."""
    return root + "".join([str(key) for key in path])

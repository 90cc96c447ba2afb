"""Key paths: how to reach a leaf from the root of a tree, one entry a container."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, TypeAlias

from arraylib.record import record


@record(slots=True)
class DictKey:
    """The entry of a dict under `key`.

    >>> tree.leaves_with_path({"w": 1})
    [((DictKey(key='w'),), 1)]
    """

    key: Hashable

    def __str__(self) -> str:
        return f"[{self.key!r}]"


@record(slots=True)
class SequenceKey:
    """Item `idx` of a list or tuple.

    >>> tree.leaves_with_path([1])
    [((SequenceKey(idx=0),), 1)]
    """

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx}]"


@record(slots=True)
class GetAttrKey:
    """The field `name` of a dataclass or namedtuple.

    >>> str(tree.GetAttrKey("mean"))
    '.mean'
    """

    name: str

    def __str__(self) -> str:
        return f".{self.name}"


@record(slots=True)
class FlattenedIndexKey:
    """Child number `key` of a registered type that does not name its children.

    >>> str(tree.FlattenedIndexKey(3))
    '[<flat index 3>]'
    """

    key: int

    def __str__(self) -> str:
        return f"[<flat index {self.key}>]"


Key: TypeAlias = Any  # one of the above, or what a registered type uses
KeyPath: TypeAlias = tuple[Key, ...]


def keystr(path: Iterable[Key], root: str = "") -> str:
    """The path as source text: `keystr(path, "params")` is `params['layers'][0].w`.

    >>> tree.keystr((tree.DictKey("layers"), tree.SequenceKey(0)))
    "['layers'][0]"
    """
    return root + "".join([str(key) for key in path])

"""PartitionSpec: along which axes of a mesh each axis of an array is split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


class _Unconstrained:
    """Stands in a spec for an axis of which nothing is said."""

    def __repr__(self) -> str:
        return "UNCONSTRAINED"

    def __reduce__(self) -> str:
        return "UNCONSTRAINED"


UNCONSTRAINED = _Unconstrained()


class PartitionSpec:
    """For each axis of an array the axis of a mesh that splits it, several in order, or None.

    Axes without an entry are not split. `unreduced` names axes along which the parts are still to
    be added up, `reduced` those along which cotangents are.

        >>> PartitionSpec("x", ("y", "z"), None)
        P('x', ('y', 'z'), None)
    """

    __slots__ = ("_entries", "reduced", "unreduced")
    UNCONSTRAINED = UNCONSTRAINED

    def __init__(self, *entries: Any, unreduced: Iterable[Any] = (),
                 reduced: Iterable[Any] = ()) -> None:
        self._entries = tuple(map(_entry, entries))
        self.unreduced = frozenset(unreduced)
        self.reduced = frozenset(reduced)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: Any) -> Any:
        return self._entries[index]

    def __add__(self, other: Any) -> PartitionSpec:
        return PartitionSpec(*self._entries, *other, unreduced=self.unreduced,
                             reduced=self.reduced)

    def __radd__(self, other: Any) -> PartitionSpec:
        return PartitionSpec(*other, *self._entries, unreduced=self.unreduced,
                             reduced=self.reduced)

    def _key(self) -> tuple[Any, ...]:
        return self._entries, self.unreduced, self.reduced

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartitionSpec) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        parts = [repr(e) for e in self._entries]
        parts += [f"{name}={set(found)!r}" for name, found in
                  (("unreduced", self.unreduced), ("reduced", self.reduced)) if found]
        comma = "," if len(parts) == 1 and self._entries else ""
        return f"P({', '.join(parts)}{comma})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, self._key()

    def update(self, **changed: Any) -> PartitionSpec:
        """The same with other entries (`partitions=`), or other `unreduced` or `reduced` axes."""
        return _rebuild(changed.get("partitions", self._entries),
                        changed.get("unreduced", self.unreduced),
                        changed.get("reduced", self.reduced))


def _rebuild(entries: Iterable[Any], unreduced: Any, reduced: Any) -> PartitionSpec:
    return PartitionSpec(*entries, unreduced=unreduced, reduced=reduced)


def _entry(entry: Any) -> Any:
    """An entry in its one form: a name, several, or None."""
    if isinstance(entry, (list, tuple)):
        found = tuple(entry)
        return None if not found else found[0] if len(found) == 1 else found
    return entry


def axes_of(entry: Any) -> tuple[Any, ...]:
    """The names in an entry."""
    if entry is None or entry is UNCONSTRAINED:
        return ()
    return entry if isinstance(entry, tuple) else (entry,)

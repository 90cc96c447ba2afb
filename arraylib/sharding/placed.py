"""Which sharding each array has: a table beside the arrays.

Arrays that nobody has placed are not in it; they are on the first device and go where others are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import ref

from arraylib.config import config
from arraylib.device import Device
from arraylib.record import record
from arraylib.sharding.named import Index, Sharding, SingleDeviceSharding

_table: dict[int, tuple[Any, Sharding]] = {}  # by id: a weak reference to the array, its sharding


def placed(x: Any) -> Sharding | None:
    """The sharding that an array was given; None if nobody has."""
    found = _table.get(id(x))
    return found[1] if found is not None and found[0]() is x else None


def place(x: Any, sharding: Sharding | None) -> Any:
    """The array itself, which has this sharding from now on."""
    if sharding is None:
        _table.pop(id(x), None)
        return x
    config.place()
    key = id(x)

    def forget(gone: Any) -> None:
        if key in _table and _table[key][0] is gone:
            del _table[key]

    _table[key] = ref(x, forget), sharding
    return x


@record(eq=False)
class Shard:
    """The part of an array that one device has."""

    device: Device
    index: Index
    replica_id: int  # how many devices before this one have the same part
    data: Any

    def __repr__(self) -> str:
        return (f"Shard(device={self.device!r}, index={self.index}, "
                f"replica_id={self.replica_id}, data={self.data})")


def shards(sharding: Sharding, shape: Sequence[int], cut: Callable[[Index], Any]) -> list[Shard]:
    """The parts of an array of this shape, of which `cut` makes arrays."""
    found: list[Shard] = []
    seen: dict[str, int] = {}
    for device, index in sharding.devices_indices_map(shape).items():
        key = str(index)
        seen[key] = seen.get(key, -1) + 1
        data = place(cut(index), SingleDeviceSharding(device))
        found.append(Shard(device, index, seen[key], data))
    return found

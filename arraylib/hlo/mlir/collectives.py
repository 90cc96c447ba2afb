"""The attributes of collective operations: groups of processes and channels."""

from __future__ import annotations

import re
from typing import Any

from arraylib.hlo.ir import Type
from arraylib.hlo.mlir.attributes import Dense, Integer, Unit, Verbatim
from arraylib.hlo.mlir.cursor import DIGITS
from arraylib.hlo.mlir.fields import Field, matrix, pairs, wrong
from arraylib.hlo.mlir.operation import Operation

_HANDLE = re.compile(rf"handle\s*=\s*({DIGITS})\b")


def _read_channel(operation: Operation) -> int:
    attribute = operation.take("channel_handle", operation.take("channel_id"))
    if attribute is None:
        return 0
    if isinstance(attribute, Integer):
        return attribute.value
    found = _HANDLE.search(attribute.text) if isinstance(attribute, Verbatim) else None
    if not found:
        raise wrong(operation, "channel_handle", attribute, "#stablehlo.channel_handle<...>")
    return int(found.group(1))


def _write_channel(value: int, operation: Operation) -> None:
    if value:
        operation.properties["channel_handle"] = Verbatim(
            f"#stablehlo.channel_handle<handle = {value}, type = 0>")


def _read_groups(operation: Operation) -> tuple[tuple[int, ...], ...]:
    attribute = operation.take("replica_groups")
    if not isinstance(attribute, Dense) or attribute.array.ndim != 2:
        raise wrong(operation, "replica_groups", attribute, "a matrix of process numbers")
    return tuple(tuple(int(v) for v in row) for row in attribute.array if len(row))


def _write_groups(value: Any, operation: Operation) -> None:
    operation.properties["replica_groups"] = matrix(value) if value else matrix(((),))


def _read_global(operation: Operation) -> bool:
    return operation.take("use_global_device_ids") in (True, Unit())


def _write_global(value: bool, operation: Operation) -> None:
    if value:
        operation.properties["use_global_device_ids"] = Unit()


def _read_size(operation: Operation) -> int | None:
    """How many processes a group has, by how much the result is larger; None if as listed."""
    if _AXIS_NAME in operation.properties:
        return None
    groups = operation.properties.get("replica_groups", operation.notes.get("replica_groups"))
    listed = None
    if isinstance(groups, Dense) and groups.array.ndim and groups.array.size:
        listed = groups.array.shape[-1]
    x, out = operation.operands[0].type, operation.results[0]
    assert isinstance(out, Type), "a row is read for arrays of known shape alone"
    large, small = max(x.size, out.size), min(x.size, out.size)
    found = large // small if small else None
    return None if found == listed else found


def _read_root(operation: Operation) -> bool | None:
    return True if operation.take("has_dynamic_root") in (True, Unit()) else None


_AXIS_NAME, _AXIS_SIZE = "arraylib.axis_name", "arraylib.axis_size"


def _read_axis_name(operation: Operation) -> str | None:
    name = operation.take(_AXIS_NAME)
    return name if isinstance(name, str) else None


def _read_axis_size(operation: Operation) -> int | None:
    size = operation.take(_AXIS_SIZE)
    return size.value if isinstance(size, Integer) else None


def _write_axis_name(value: str | None, operation: Operation) -> None:
    if value is not None:
        operation.properties[_AXIS_NAME] = value


def _write_axis_size(value: int | None, operation: Operation) -> None:
    if value is not None:
        operation.properties[_AXIS_SIZE] = Integer(value)


# Of a function under vmap that is written on its own: the axis whose examples are the processes.
AXIS = (Field("axis_name", _read_axis_name, _write_axis_name),
        Field("axis_size", _read_axis_size, _write_axis_size))
GROUPS = Field("replica_groups", _read_groups, _write_groups)
CHANNEL = Field("channel_id", _read_channel, _write_channel)
SIZE = Field("group_size", _read_size, lambda value, operation: None)
ROOT = Field("has_dynamic_root", _read_root, lambda value, operation: None if not value else
             operation.properties.update(has_dynamic_root=True))
PAIRS = pairs("source_target_pairs")
GROUPED = (SIZE, GROUPS, CHANNEL, Field("use_global_device_ids", _read_global, _write_global),
           *AXIS)

"""The meaning of kernels, in NumPy: a debugger works in it, and no index may be out of bounds.

Each value is an array: one number, or one per turn of the innermost nest with lanes. Statements
run in the order in which they are written.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ops import TABLE
from arraylib.tile.ir import (
    LOCAL,
    Apply,
    Constant,
    Count,
    Index,
    Kernel,
    Load,
    Nest,
    Pointer,
    Prefetch,
    Reduction,
    Statement,
    Store,
    Value,
    When,
    identity,
)

Memory = tuple[np.ndarray[Any, Any], int]


def run(kernel: Kernel, memory: Sequence[Memory], chunk: int, extent: int = 0) -> None:
    """Run one chunk; `memory` has, for each argument, a flat array and where element 0 lies."""
    given = iter(memory)
    places = {p: (np.zeros(p.size, p.dtype), 0) if p.kind == LOCAL else next(given)
              for p in kernel.pointers}
    machine = _Machine(places, {kernel.chunk: np.int64(chunk)})
    if kernel.extent is not None:
        machine.values[kernel.extent] = np.int64(extent)
    with np.errstate(all="ignore"):
        machine.block(kernel.body)


class _Machine:
    """The values defined so far, and memory."""

    def __init__(self, memory: dict[Pointer, Memory], values: dict[Value, Any]) -> None:
        self.memory = memory
        self.values = values

    def block(self, body: Sequence[Statement]) -> None:
        for statement in body:
            self.statement(statement)

    def statement(self, statement: Statement) -> None:
        values = self.values
        match statement:
            case Constant(result, value):
                values[result] = np.asarray(value).astype(result.dtype)
            case Count(result, index):
                values[result] = np.asarray(self.place(index)).astype(result.dtype)
            case Load(result, pointer, index):
                values[result] = self.at(pointer, index)
            case Store(pointer, index, value):
                self.store(pointer, index, values[value])
            case Prefetch():
                pass  # it has no meaning
            case Apply(result, op, operands, attrs):
                found = TABLE[op].numpy(*self.broadcast(operands), **dict(attrs))
                values[result] = np.asarray(found)
                assert values[result].dtype == result.dtype, f"{statement}: {found.dtype}"
            case When(condition, body):
                if np.all(values[condition]):
                    self.block(body)
            case Nest():
                self.nest(statement)

    def broadcast(self, operands: Sequence[Value]) -> list[Any]:
        return [np.array(x) for x in np.broadcast_arrays(*[self.values[v] for v in operands])]

    def place(self, index: Index) -> Any:
        return index.offset + sum(self.values[v] * np.int64(factor) for v, factor in index.terms)

    def checked(self, pointer: Pointer, index: Index) -> tuple[Any, Any]:
        array, start = self.memory[pointer]
        assert array.dtype == pointer.dtype, f"{pointer} is {pointer.dtype}, got {array.dtype}"
        place = start + self.place(index)
        low, high = np.min(place, initial=array.size), np.max(place, initial=-1)
        if np.size(place) and not 0 <= low <= high < array.size:
            raise IndexError(f"{pointer}[{index}] is {low}..{high} of {array.size} elements")
        return array, place

    def at(self, pointer: Pointer, index: Index) -> Any:
        array, place = self.checked(pointer, index)
        return array[place]

    def store(self, pointer: Pointer, index: Index, value: Any) -> None:
        array, place = self.checked(pointer, index)
        array[place] = value

    def nest(self, nest: Nest) -> None:
        """Serial loops turn by turn, the loop over lanes in one go."""
        ranges = [range(int(self.place(low)), int(self.place(high)))
                  for low, high in zip(nest.lows, nest.highs)]
        collected: list[list[list[Any]]] = [[[] for _ in r.values] for r in nest.reductions]
        serial = ranges[:-1] if nest.lanes else ranges
        lanes = np.arange(ranges[-1].start, ranges[-1].stop) if nest.lanes else None
        for turn in itertools.product(*serial):
            self.values.update(zip(nest.indices, map(np.int64, turn)))
            if lanes is not None:
                self.values[nest.indices[-1]] = lanes
            self.block(nest.body)
            for reduction, lists in zip(nest.reductions, collected):
                turn_values = self.broadcast(reduction.values)
                for value, found in zip(turn_values, lists):
                    found.append(value if lanes is None else np.broadcast_to(value, lanes.shape))
        for reduction, lists in zip(nest.reductions, collected):
            axes = (0, -1) if nest.lanes else (0,)
            self.values.update(zip(reduction.results, _reduced(reduction, lists, axes)))


def _reduced(reduction: Reduction, turns: list[list[Any]], axes: tuple[int, ...]) -> list[Any]:
    """Fold the given axes of the values of all turns; of none, what the operation starts from."""
    if turns == [[]]:
        dtype = reduction.results[0].dtype
        return [np.asarray(identity(reduction.op, dtype), dtype)]
    arrays = [np.stack(found) for found in turns]
    if reduction.op in ("argmax", "argmin"):
        return _extreme(reduction.op, arrays[0], arrays[1], axes)
    (array,) = arrays
    wide = array.astype(np.float32) if dt.is_narrow_float(array.dtype) else array
    folded = tuple(a % array.ndim for a in axes)
    result = TABLE[f"reduce_{reduction.op}"].numpy(wide, dimensions=folded)
    return [np.asarray(result).astype(array.dtype)]


def _extreme(op: str, keys: Any, places: Any, axes: tuple[int, ...]) -> list[Any]:
    """The extreme key and the lowest place where it is."""
    keys = np.moveaxis(keys, axes, range(len(axes)))
    places = np.moveaxis(places, axes, range(len(axes)))
    keys = keys.reshape(-1, *keys.shape[len(axes):])
    places = places.reshape(keys.shape)
    reduce = "reduce_maximum" if op == "argmax" else "reduce_minimum"
    best = TABLE[reduce].numpy(keys, dimensions=(0,))
    holds = (keys == best) | ((keys != keys) & (best != best))
    last = np.iinfo(places.dtype).max
    return [np.asarray(best), np.where(holds, places, last).min(axis=0)]

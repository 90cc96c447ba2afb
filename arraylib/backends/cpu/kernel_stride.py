"""Elements a few places apart, read and written by whole vectors and shuffles.

A gather takes an instruction a lane; the elements 0, s, 2 s, ... of a small stride s lie in s
vectors side by side, of which the last few elements are left alone: they may not be ours.
"""

from __future__ import annotations

from arraylib.backends.cpu import native
from arraylib.backends.cpu.emitter import Function, Reg, lanes, vector
from arraylib.backends.cpu.representation import memory_element
from arraylib.dtypes import Dtype

LARGEST = 4


def load_strided(f: Function, address: Reg, dtype: Dtype, count: int, stride: int) -> Reg:
    """The elements 0, stride, 2 stride, ... from an address on."""
    element = memory_element(dtype)
    found: Reg | None = None
    for part in range(stride):
        mask = _mask(f, count, part == stride - 1 and count - stride + 1)
        piece = native.load(f, f.gep(address, part * count, element), dtype, count, mask)
        if found is None:
            found = piece
        else:
            # Lane i is at i * stride: in this piece if that is beyond those before.
            places = [i * stride - part * count for i in range(count)]
            found = f.shuffle(found, piece, [
                count + p if 0 <= p < count else _first(i, part, stride, count)
                for i, p in enumerate(places)])
    assert found is not None
    return found


def _first(lane: int, part: int, stride: int, count: int) -> int:
    """Where a lane that is in no later piece is in the vector put together so far."""
    return lane * stride % count if part == 1 else lane


def store_strided(f: Function, address: Reg, value: Reg, dtype: Dtype, stride: int) -> None:
    """Write the lanes to places 0, stride, 2 stride, ... and leave what is between.

    A single one is no vector: of 16 bits, LLVM (22.1) would store 32 where a mask has one lane.
    """
    count, element = lanes(value.type), memory_element(dtype)
    for part in range(stride):
        places = [part * count + i for i in range(count)]
        ours = [p for p in places if p % stride == 0]
        if len(ours) == 1:
            lane = f.extract(value, ours[0] // stride)
            native.store(f, f.gep(address, ours[0], element), lane, dtype, 1)
            continue
        chosen = [p // stride if p % stride == 0 else 0 for p in places]
        mask = f.const(vector("i1", count), [p % stride == 0 for p in places])
        spread = f.shuffle(value, None, chosen)
        native.store(f, f.gep(address, part * count, element), spread, dtype, count, mask)


def _mask(f: Function, count: int, first: int | bool) -> Reg | None:
    """A mask of the first lanes; None for all."""
    if first is False:
        return None
    return f.const(vector("i1", count), [i < first for i in range(count)])

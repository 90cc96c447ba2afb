"""The safetensors format: a length, a header in JSON, and the elements of all arrays in a row.

https://huggingface.co/docs/safetensors#format
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, mistake
from arraylib.files.whole import Damaged

_DTYPES: dict[str, dt.Dtype] = {
    "BOOL": dt.bool_, "U8": dt.uint8, "U16": dt.uint16, "U32": dt.uint32, "U64": dt.uint64,
    "I8": dt.int8, "I16": dt.int16, "I32": dt.int32, "I64": dt.int64, "F16": dt.float16,
    "BF16": dt.bfloat16, "F32": dt.float32, "F64": dt.float64, "C64": dt.complex64,
    "F8_E4M3": dt.float8_e4m3fn, "F8_E5M2": dt.float8_e5m2, "F8_E8M0": dt.float8_e8m0fnu,
    "F8_E4M3FNUZ": dt.float8_e4m3fnuz, "F8_E5M2FNUZ": dt.float8_e5m2fnuz}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_METADATA, _NOTE = "__metadata__", "arraylib"
_LONGEST = 100_000_000  # bytes of a header, as in the reference implementation


def write(stream: BinaryIO, arrays: Mapping[str, np.ndarray[Any, Any]], note: str) -> None:
    """Write named arrays; those of wide elements come first, so that all are aligned."""
    header: dict[str, Any] = {_METADATA: {_NOTE: note}}
    ordered = sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize)
    end = 0
    for name, x in ordered:
        if x.dtype not in _NAMES:
            raise mistake(DtypeError, "files.save", f"{name} is {x.dtype.name}, which safetensors "
                          "has no name for", hint="a .npz file has all dtypes")
        if name == _METADATA:
            raise mistake(DtypeError, "files.save", f"{name} is a word of the format's own")
        start, end = end, end + x.nbytes
        header[name] = {"dtype": _NAMES[x.dtype], "shape": x.shape, "data_offsets": (start, end)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    stream.write(len(text).to_bytes(8, "little") + text)
    for _, x in ordered:
        stream.write(np.ascontiguousarray(x).reshape(-1).view(np.uint8).data)


def read(stream: BinaryIO) -> tuple[dict[str, np.ndarray[Any, Any]], str | None]:
    """The arrays by name, in the order in which they lie, and the note if there is one."""
    size = os.fstat(stream.fileno()).st_size
    length = int.from_bytes(stream.read(8), "little")
    if size < 8 or length > min(size - 8, _LONGEST):
        raise Damaged(f"a header of {length} bytes in a file of {size}")
    rows = _header(stream.read(length))
    metadata = rows.pop(_METADATA, {})
    found, place = {}, 0
    for name, row in sorted(rows.items(), key=lambda item: _offsets(*item)):
        dtype, shape = _described(name, row)
        start, end = _offsets(name, row)
        if start != place or end - start != math.prod(shape) * dtype.itemsize:
            raise Damaged(f"{name!r:.60} is said to lie from byte {start} to {end}")
        place = end
        if end > size - 8 - length:
            raise Damaged(f"it ends before {name!r:.60} does")
        found[name] = _elements(stream, name, dtype, shape, end - start)
    if place != size - 8 - length:
        raise Damaged(f"{size - 8 - length - place} bytes that belong to no array")
    note = metadata.get(_NOTE) if isinstance(metadata, dict) else None
    return found, note if isinstance(note, str) else None


def _header(text: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise Damaged("a name occurs twice")
        return dict(pairs)

    try:
        rows = json.loads(text.decode(), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"its header: {error}") from None
    if not isinstance(rows, dict):
        raise Damaged("its header is no table")
    return rows


def _described(name: str, row: Any) -> tuple[dt.Dtype, tuple[int, ...]]:
    dtype, shape = _DTYPES.get(str(row.get("dtype"))), row.get("shape")
    if dtype is None:
        raise Damaged(f"{name!r:.60} has the unknown dtype {row.get('dtype')!r:.60}")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise Damaged(f"{name!r:.60} has no shape")
    return dtype, tuple(shape)


def _offsets(name: str, row: Any) -> tuple[int, int]:
    found = row.get("data_offsets") if isinstance(row, dict) else None
    if not isinstance(found, list) or [type(n) for n in found] != [int, int]:
        raise Damaged(f"{name!r:.60} has no place")
    return found[0], found[1]


def _elements(stream: BinaryIO, name: str, dtype: dt.Dtype, shape: tuple[int, ...], nbytes: int
              ) -> np.ndarray[Any, Any]:
    data = np.empty(nbytes, np.uint8)
    if stream.readinto(data.data) != nbytes:  # type: ignore[attr-defined]
        raise Damaged(f"it ends before {name!r:.60} does")
    if dt.is_bool(dtype) and nbytes and data.max() > 1:
        raise Damaged(f"{name!r:.60} has truth values that are neither 0 nor 1")
    try:
        return data.view(dtype).reshape(shape)
    except (ValueError, OverflowError) as error:
        raise Damaged(f"{name!r:.60}: {error}") from None

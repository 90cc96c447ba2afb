"""NumPy's npz format: a zip archive of `.npy` files, one an array. Objects are never unpickled.

NumPy has no names for bfloat16 and its like, and stores them as bytes without a meaning; what they
are is said in `arraylib.json`, a file in the archive beside the arrays.
"""

from __future__ import annotations

import json
import math
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, mistake
from arraylib.files.whole import Damaged

_NOTE = "arraylib.json"
_ENDING = ".npy"
_LONGEST = 100_000_000  # bytes of the note
_LONGEST_NAME = 65_000  # bytes; there are 16 bits for the length
# What zipfile and NumPy raise for archives that are none.
_ERRORS = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError, RuntimeError,
           KeyError, TypeError, SyntaxError, tokenize.TokenError, MemoryError, OverflowError,
           OSError)


def write(stream: BinaryIO, arrays: Mapping[str, np.ndarray[Any, Any]], note: str) -> None:
    """Write named arrays and the note, which is JSON."""
    named = {name: x.dtype.name for name, x in arrays.items() if x.dtype.isbuiltin != 1}
    for name in arrays:
        _check_name(name)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, x in arrays.items():
            data = x.view(f"V{x.dtype.itemsize}") if name in named else x
            with archive.open(name + _ENDING, "w", force_zip64=True) as member:
                npy.write_array(member, data, allow_pickle=False)
        archive.writestr(_NOTE, json.dumps({"dtypes": named, "tree": note}))


def _check_name(name: str) -> None:
    """ArgumentError for what an archive would call otherwise, or not at all."""
    length = len(name.encode(errors="replace"))
    if zipfile.ZipInfo(name).filename != name or length > _LONGEST_NAME \
            or not name.isascii() and any("\ud800" <= letter <= "\udfff" for letter in name):
        raise mistake(ArgumentError, "files.save", f"{name!r:.60} is no name of a file in an "
                      "archive", hint="a .safetensors file has any names")


def read(stream: BinaryIO) -> tuple[dict[str, np.ndarray[Any, Any]], str | None]:
    """The arrays by name, in order, and the note if there is one."""
    try:
        with zipfile.ZipFile(stream) as archive:
            return _members(archive)
    except Damaged:
        raise
    except _ERRORS as error:
        raise Damaged(str(error) or type(error).__name__) from None


def _members(archive: zipfile.ZipFile) -> tuple[dict[str, np.ndarray[Any, Any]], str | None]:
    names = archive.namelist()
    if len({*names}) != len(names):
        raise Damaged("a name occurs twice")
    note: dict[str, Any] = {}
    if _NOTE in names:
        if archive.getinfo(_NOTE).file_size > _LONGEST:
            raise Damaged(f"{_NOTE} is too long")
        note = json.loads(archive.read(_NOTE))
    if not isinstance(note, dict) or not isinstance(note.get("dtypes", {}), dict):
        raise Damaged(f"{_NOTE} is no table")
    found = {}
    for info in archive.infolist():
        if info.filename != _NOTE:
            name = info.filename.removesuffix(_ENDING)
            if name in found:
                raise Damaged(f"there are two of {name!r:.60}")
            found[name] = _array(archive, info, note.get("dtypes", {}).get(name))
    text = note.get("tree")
    return found, text if isinstance(text, str) else None


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, named: Any) -> np.ndarray[Any, Any]:
    """The array in a member, whose size is compared with its header before there is memory."""
    with archive.open(info) as member:
        version = npy.read_magic(member)
        header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        if version not in header:
            raise Damaged(f"{info.filename!r:.60} is of version {version}")
        shape, columns, dtype = header[version](member)
        nbytes = math.prod(shape) * dtype.itemsize
        if dtype.hasobject or any(n < 0 for n in shape):
            raise Damaged(f"{info.filename!r:.60} holds objects, not numbers")
        if nbytes != info.file_size - member.tell():
            raise Damaged(f"{info.filename!r:.60} has {info.file_size - member.tell()} bytes for "
                          f"{shape} elements of {dtype}")
        data = np.frombuffer(bytearray(member.read()), dtype=np.uint8)
    wanted = dt.dtype(named) if named is not None else dtype.newbyteorder("=")
    if wanted.itemsize != dtype.itemsize or named is not None and dtype.kind != "V":
        raise Damaged(f"{info.filename!r:.60} is no {wanted}")
    if wanted.kind == "b" and data.size and data.max() > 1:
        raise Damaged(f"{info.filename!r:.60} has truth values that are neither 0 nor 1")
    typed = data.view(dtype).reshape(shape, order="F" if columns else "C")
    return typed.view(wanted) if named is not None else typed.astype(dt.dtype(wanted), copy=False)

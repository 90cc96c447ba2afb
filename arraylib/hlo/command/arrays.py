"""Arrays for a program's inputs, from a file or made up, and its results in a file.

NumPy's files know NumPy's own dtypes. An array of another one is stored as its bits, unsigned
integers of the same size, under a name that ends in the dtype: `arg1.bfloat16` is a uint16 array.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.command.files import CommandError
from arraylib.hlo.ir import Type
from arraylib.hlo.module import Function
from arraylib.hlo.ops.foreign import OtherType

Array = np.ndarray[Any, Any]
AnyType = Type | OtherType

_POSITION = re.compile(r"(?:arg|arr_)(\d+)")
_MADE = re.compile(r"(zeros|ones|random)(?::(\d+))?")
_LARGEST = 10  # random integers are below

RAW = {dt.name(d): d for d in (*dt.ALL, *dt.STORAGE) if d.isbuiltin != 1}  # not NumPy's own

# -- names -----------------------------------------------------------------------------------------


def _split(name: str) -> tuple[str, dt.Dtype | None]:
    """A name in a file without its dtype, and that dtype if it has one."""
    stem, _, suffix = name.rpartition(".")
    return (stem, RAW[suffix]) if suffix in RAW else (name, None)


def _joined(stem: str, type: AnyType) -> str:
    """The name under which an array of a type is stored."""
    raw = type.dtype is not None and type.dtype in RAW.values()
    return f"{stem}.{dt.name(type.dtype)}" if raw else stem  # type: ignore[arg-type]


def _takes(types: Sequence[AnyType]) -> str:
    """What a program takes, under the names that a file may give it."""
    rows = [f"    {_joined(f'arg{i}', t)}: {t}" for i, t in enumerate(types)]
    return "\n".join(["  the program takes", *rows]) if rows else "  the program takes no inputs"


# -- inputs ----------------------------------------------------------------------------------------


def is_made(source: str) -> bool:
    """Whether inputs are to be made up rather than read from a file of this name."""
    return _MADE.fullmatch(source) is not None


def inputs(source: str, types: Sequence[AnyType]) -> list[Array]:
    """Arrays of these types: from a file, or as `zeros`, `ones`, `random:seed` says."""
    made = _MADE.fullmatch(source)
    if made:
        rule = _rule(made.group(1), int(made.group(2) or 0))
        return [_make(rule, i, t) for i, t in enumerate(types)]
    stored = _by_position(source, _load(source), types)
    return [_checked(source, name, x, i, t)
            for i, ((name, x), t) in enumerate(zip(stored, types))]


def _rule(kind: str, seed: int) -> Callable[[Type], Array]:
    if kind != "random":
        return lambda type: np.full(type.shape, int(kind == "ones")).astype(type.dtype)
    generator = np.random.default_rng(seed)
    return lambda type: _random(type, generator)


def _random(type: Type, generator: np.random.Generator) -> Array:
    """Normal numbers; integers from 0 to 9, which are more often in bounds than others."""
    if dt.is_inexact(type.dtype):
        numbers = generator.standard_normal(type.shape)
        if dt.is_complex(type.dtype):
            numbers = numbers + 1j * generator.standard_normal(type.shape)
        return np.asarray(numbers).astype(type.dtype)
    limit = 2 if dt.is_bool(type.dtype) else min(_LARGEST, int(dt.iinfo(type.dtype).max) + 1)
    return np.asarray(generator.integers(0, limit, type.shape)).astype(type.dtype)


def _make(rule: Callable[[Type], Array], i: int, type: AnyType) -> Array:
    if isinstance(type, OtherType):
        raise CommandError(f"input {i} is {type}: an array can be made for known sizes only\n"
                           "  try: --run FILE.npz")
    return rule(type)


def _load(file: str) -> dict[str, Array]:
    """The arrays in a .npz or .npy file; nothing in it is executed."""
    with open(file, "rb") as stream:
        try:
            found = np.load(stream, allow_pickle=False)
            return dict(found) if isinstance(found, Mapping) else {"arg0": found}
        except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise CommandError(f"{file}: {error}\n  try: write it with numpy.savez; dtypes that "
                               "are not NumPy's own as unsigned integers, under names such as "
                               "arg0.bfloat16") from error


def _by_position(file: str, stored: Mapping[str, Array],
                 types: Sequence[AnyType]) -> list[tuple[str, Array]]:
    """Name and array for each input: as the names say, if all do, else in the file's order."""
    positions = [_POSITION.fullmatch(_split(name)[0]) for name in stored]
    numbers = [int(found.group(1)) for found in positions if found]
    if len(numbers) < len(stored):
        numbers = list(range(len(stored)))
    given = dict(zip(numbers, stored.items()))
    count = len(types)
    missing = [i for i in range(count) if i not in given]
    spare = [name for i, (name, _) in zip(numbers, stored.items()) if i >= count]
    if len(given) < len(stored):
        problem = f"two arrays for one input among {', '.join(stored)}"
    elif missing:
        problem = "no array for " + ", ".join(f"input {i}" for i in missing)
    elif spare:
        problem = f"no input for {', '.join(spare)}"
    else:
        return [given[i] for i in range(count)]
    raise CommandError(f"{file}: {problem}\n{_takes(types)}")


def _checked(file: str, name: str, x: Array, i: int, type: AnyType) -> Array:
    """The array as the input's dtype, once it is sure that it fits."""
    x = _with_dtype(file, name, x, type)
    if type.dtype is None or type.shape is None:
        raise CommandError(f"{file}: input {i} is {type}, which no array is")
    if x.dtype != type.dtype:
        raise CommandError(f"{file}: {name} is {x.dtype}, but input {i} is {type}\n"
                           f"  try: {_advice(type.dtype, i)}")
    if len(x.shape) != len(type.shape) or any(
            m not in (None, n) for n, m in zip(x.shape, type.shape)):
        raise CommandError(f"{file}: {name} has shape {x.shape}, but input {i} is {type}")
    return x


def _advice(dtype: dt.Dtype, i: int) -> str:
    if dtype in RAW.values():
        bits = f"uint{8 * dtype.itemsize}"
        return f"store its bits, .view({bits!r}), under the name arg{i}.{dt.name(dtype)}"
    return f"convert it with .astype({dt.name(dtype)!r})"


def _with_dtype(file: str, name: str, x: Array, type: AnyType) -> Array:
    """The array that raw bits stand for; other arrays in this machine's order of bytes."""
    _, raw = _split(name)
    if raw is None and x.dtype.kind == "V" and type.dtype in RAW.values():
        raw = type.dtype  # numpy.savez makes this of a bfloat16 array
    if raw is None:
        return x if x.dtype.isnative else x.astype(x.dtype.newbyteorder("="))
    if x.dtype.kind not in "uiV" or x.dtype.itemsize != raw.itemsize:
        raise CommandError(f"{file}: {name} is {x.dtype}, but the bits of {dt.name(raw)} are "
                           f"uint{8 * raw.itemsize}")
    return _cut(x.view(f"u{raw.itemsize}"), raw).view(raw)


def _cut(bits: Array, dtype: dt.Dtype) -> Array:
    """Bits without those that an element of less than a byte does not have."""
    width = dt.bits(dtype)
    return bits & np.uint8((1 << width) - 1) if width < 8 else bits


# -- results ---------------------------------------------------------------------------------------


def save(stream: BinaryIO, results: Sequence[Array]) -> None:
    """Write `result0`, `result1`, ... as .npz."""
    named = {_joined(f"result{i}", Type(x.dtype, x.shape)): _raw(x) for i, x in enumerate(results)}
    np.savez(stream, **named)  # type: ignore[arg-type]


def _raw(x: Array) -> Array:
    return _cut(x.view(f"u{x.dtype.itemsize}"), x.dtype) if x.dtype in RAW.values() else x


def shown(results: Sequence[Array], function: Function) -> str:
    """The results as NumPy prints them, large ones shortened, with what the program calls them."""
    parts = []
    with np.printoptions(threshold=60, edgeitems=3, linewidth=100):
        for i, x in enumerate(results):
            notes = dict(function.results[i]) if i < len(function.results) else {}
            info = notes.get("jax.result_info")
            name = f" ({info})" if isinstance(info, str) and info else ""
            parts.append(f"result {i}{name}: {Type(x.dtype, x.shape)}\n{x!r}")
    return "\n".join(parts)

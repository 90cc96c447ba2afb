"""A tree as named arrays and a note that says what containers they were in, and back."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from arraylib import dtypes as dt, tree
from arraylib.array import Array
from arraylib.errors import ArgumentError, DtypeError, ShapeError, StructureError, mistake, what_is
from arraylib.export.containers import structure_data, structure_of
from arraylib.files import npz, safetensors
from arraylib.files.whole import Damaged, replacing
from arraylib.numpy.promotion import is_operand, own_type
from arraylib.sharding.placed import placed
from arraylib.transfer import device_put

_FORMATS: dict[str, ModuleType] = {".npz": npz, ".safetensors": safetensors}
_SHOWN = 5  # names that a message lists


def save(file: str | os.PathLike[str], container: Any) -> None:
    """Write the arrays of nested containers to a file, `.safetensors` or `.npz`.

    The file is written under another name first: after a crash it is the old one or the new.
    Arrays are called by their paths, `layers.0.w`. Numbers become arrays without axes.

        >>> files.save("params.npz", {"w": jnp.ones((2, 3)), "b": jnp.zeros(3)})

    Raises ArgumentError for another ending, DtypeError for a leaf that is no array and a dtype
    that the format has no name for. https://huggingface.co/docs/safetensors
    """
    path, leaves = Path(file), []
    writer = _format("files.save", path)
    for keys, leaf in tree.flatten_with_path(container)[0]:
        if not is_operand(leaf):
            raise mistake(DtypeError, "files.save", f"{tree.keystr(keys) or 'the tree'} is "
                          f"{what_is(leaf)}, which is no array", hint="arrays and numbers")
        leaves.append(_elements(leaf))
    names = _names(container)
    note: dict[str, Any] = {"format": 1, "names": names}
    try:
        data = structure_data(tree.structure(container))
        structure_of(data)
        note["tree"] = data
    except (StructureError, ValueError):  # of other classes, or too deep: read by `like=`
        pass
    with replacing(path) as stream:
        writer.write(stream, dict(zip(names, leaves, strict=True)), json.dumps(note))


def load(file: str | os.PathLike[str], like: Any = None) -> Any:
    """The containers of arrays in a file that `save` or another library wrote.

    Args:
        like: containers of arrays, or of `ShapeDtypeStruct`s, that the file must agree with: the
            result has their containers, and lies on the devices on which they lie.

    Without `like` it has the containers that were saved; in a file from elsewhere, and of classes
    that are not registered (`export.register`), a dict from names to arrays.

        >>> files.save("params.npz", {"b": jnp.zeros(3)})
        >>> files.load("params.npz")["b"]
        Array([0., 0., 0.], dtype=float32)

    Raises ArgumentError for a file that is damaged, or of another format; StructureError,
    ShapeError or DtypeError where it and `like` differ.
    """
    path = Path(file)
    reader = _format("files.load", path)
    try:
        with path.open("rb") as stream:
            arrays, text = reader.read(stream)
        names, structure = _noted(text, arrays)
    except Damaged as error:
        raise mistake(ArgumentError, "files.load", f"{path} is no {path.suffix} file, or damaged: "
                      f"{error}") from None
    if like is not None:
        return _alike(arrays, like)
    found = {name: Array.from_numpy(arrays[name]) for name in names}
    return found if structure is None else tree.unflatten(structure, found.values())


def _elements(leaf: Any) -> np.ndarray[Any, Any]:
    """The elements of an array or number, in this machine's order of bytes; of our dtypes alone."""
    if own_type(leaf) is not None:
        return np.asarray(leaf)
    if not isinstance(leaf, (np.ndarray, np.generic)):
        return np.asarray(Array(leaf))
    dt.check_unmasked(leaf, "files.save")
    dtype = dt.dtype(leaf.dtype.newbyteorder("="), op="files.save")
    return np.asarray(leaf).astype(dtype, copy=False)


def _format(op: str, path: Path) -> ModuleType:
    found = _FORMATS.get(path.suffix)
    if found is None:
        raise mistake(ArgumentError, op, f"{path} ends in {path.suffix!r}",
                      hint=f"one of {', '.join(_FORMATS)}")
    return found


def _names(container: Any) -> list[str]:
    """What the leaves are called: `layers.0.w`; with brackets where two would be the same."""
    paths = [path for path, _ in tree.flatten_with_path(container)[0]]
    short = [".".join(map(_word, path)) or "value" for path in paths]
    return short if len({*short}) == len(short) else [tree.keystr(path) for path in paths]


def _word(key: Any) -> str:
    for field in ("key", "idx", "name"):
        if hasattr(key, field):
            return str(getattr(key, field))
    return str(key)


def _noted(text: str | None, arrays: Mapping[str, Any]) -> tuple[Sequence[str], Any]:
    """The names in order, and the structure if it is known here; Damaged if they do not fit."""
    if text is None:
        return list(arrays), None
    try:
        note = json.loads(text)
        names = note["names"]
        data = note.get("tree", ...)
        if sorted(names) != sorted(arrays):
            raise ValueError("the note names other arrays than there are")
        structure = None if data is ... else structure_of(data)
    except StructureError:
        return names, None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(f"its note on containers is none: {error}") from None
    if structure is not None and structure.num_leaves != len(names):
        raise Damaged(f"{len(names)} arrays for {structure.num_leaves} places in containers")
    return names, structure


def _alike(arrays: Mapping[str, np.ndarray[Any, Any]], like: Any) -> Any:
    """The arrays in the containers of `like`, which must agree with them."""
    names = _names(like)
    lacking, more = [n for n in names if n not in arrays], [n for n in arrays if n not in names]
    if lacking or more:
        said = [f"{kind} {', '.join(some[:_SHOWN])}{', ...' if len(some) > _SHOWN else ''}"
                for kind, some in (("lacks", lacking), ("also has", more)) if some]
        raise mistake(StructureError, "files.load", f"the file {' and '.join(said)}",
                      hint="files.load(file) without like= gives all that is there")
    leaves = [_fitting(name, arrays[name], leaf) for name, leaf in zip(names, tree.leaves(like))]
    return tree.unflatten(tree.structure(like), leaves)


def _fitting(name: str, found: np.ndarray[Any, Any], leaf: Any) -> Any:
    """An array where `leaf` is; ShapeError or DtypeError if it is another kind of array."""
    shape = tuple(leaf.shape) if hasattr(leaf, "shape") else np.shape(leaf)
    dtype = leaf.dtype if hasattr(leaf, "dtype") else dt.of(leaf)
    if found.shape != shape:
        raise mistake(ShapeError, "files.load", f"{name} has shape {found.shape} in the file and "
                      f"{shape} in like=")
    if found.dtype != dtype:
        raise mistake(DtypeError, "files.load", f"{name} has dtype {found.dtype.name} in the file "
                      f"and {dt.name(dtype)} in like=", hint="load it without, and convert it")
    array = Array.from_numpy(found)
    place = placed(leaf) if leaf.__class__ is Array else None
    return array if place is None else device_put(array, place)

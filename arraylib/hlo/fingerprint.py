"""A graph's fingerprint: equal for graphs that differ in nothing but where they were written.

What is hashed names operations, attributes, input types and wiring by position. Types of
inner values follow from these, and source lines do not count, so neither is part of it.
"""

from __future__ import annotations

import functools
import hashlib
import marshal
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Graph, Type
from arraylib.hlo.ops.derivative import Later
from arraylib.hlo.ops.lapack import Routine
from arraylib.record import record


@record(slots=True)
class Fingerprint:
    """A hash in hexadecimal digits; `portable` unless it names objects of this process."""

    digest: str
    portable: bool


def fingerprint(graph: Graph) -> Fingerprint:
    """The fingerprint of a graph and of the regions inside it."""
    parts: list[Any] = []
    portable = _describe(graph, parts)
    # Version 0 writes equal things as equal bytes, whether or not they are the same object.
    return Fingerprint(hashlib.blake2b(marshal.dumps(parts, 0), digest_size=20).hexdigest(),
                       portable)


def _describe(graph: Graph, parts: list[Any]) -> bool:
    """Append one tuple per node; false if one names an object that only this process has."""
    number = {value: i for i, value in enumerate(graph.inputs)}
    parts.append(repr(graph.input_types))
    portable = True
    for node in graph.nodes:
        attrs: Sequence[Any] = ()
        if node.attrs:
            pairs = node.attrs.items()
            attrs = [_attribute(name, value, parts)
                     for name, value in (sorted(pairs) if len(pairs) > 1 else pairs)]
            portable = portable and None not in attrs
        parts.append((node.op.name, *[number[value] for value in node.inputs], *attrs))
        for value in node.outputs:
            number[value] = len(number)
    parts.append(("return", *[number[value] for value in graph.outputs]))
    return portable


def _attribute(name: str, value: Any, parts: list[Any]) -> tuple[Any, ...] | None:
    """An attribute's name and itself, if it is plain, or `is` and a text that says what it is.

    None for an object without a text, whose id is appended.
    """
    cls = value.__class__
    if cls in _PLAIN or cls is tuple and _PLAIN.issuperset(map(type, value)):
        return name, value
    text = _text(value, parts)
    if text is None:
        parts.append((name, type(value).__qualname__, id(value)))
        return None
    return name, "is", text


def _text(value: Any, parts: list[Any]) -> str | None:
    show = _TEXTS.get(type(value))
    if show is not None:
        return show(value)
    if isinstance(value, tuple):
        if _PLAIN.issuperset(map(type, value)):
            return repr(value)
        texts = [_text(item, parts) for item in value]
        return None if None in texts else f"({','.join(text for text in texts if text)})"
    if isinstance(value, np.dtype):
        return dt.name(value)
    if isinstance(value, Graph):
        parts.append("region")
        return "region" if _describe(value, parts) else None
    if isinstance(value, np.generic):
        return _array_text(np.asarray(value))
    if isinstance(value, Later):
        return "rule"  # what is compiled is the body
    if isinstance(value, Routine) and (name := _own_function(value.function)):
        settings = _text(value.settings, parts)
        return None if settings is None else f"{value.name} {settings} by {name}"
    return None


def _own_function(function: Any) -> str | None:
    """What this library calls a function of its own, bound to others of its own or not."""
    if isinstance(function, partial):
        parts = [_own_function(part) for part in (function.func, *function.args)]
        return None if function.keywords or None in parts else " ".join(filter(None, parts))
    module = str(getattr(function, "__module__", ""))
    name = getattr(function, "__qualname__", "<unknown>")
    return f"{module}.{name}" if module.startswith("arraylib.") and "<" not in name else None


# These, and tuples of them, are written as they are.
_PLAIN = frozenset((bool, int, float, complex, str, bytes, type(None)))


def _array_text(array: np.ndarray[Any, Any]) -> str:
    """An array's type and its one element where it repeats that, else a hash of its elements."""
    type = _type_text(Type(array.dtype, array.shape))
    strides = array.strides
    if any(strides):
        strides = tuple(0 if n == 1 else s for n, s in zip(array.shape, strides, strict=True))
    if array.size > 0 and not any(strides):
        return f"{type}splat{array[(0,) * array.ndim].tobytes().hex()}"
    return f"{type}data{hashlib.blake2b(array.tobytes(), digest_size=20).hexdigest()}"


_type_text = functools.lru_cache(4096)(Type.__repr__)

_TEXTS: dict[type, Callable[[Any], str]] = {**dict.fromkeys(
    (bool, int, float, complex, str, bytes, type(None)), repr), Type: _type_text,
    np.ndarray: _array_text}

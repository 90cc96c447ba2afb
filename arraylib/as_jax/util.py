"""jax._src.util: small functions that interpreters of programs borrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps as wraps
from typing import Any

from arraylib.errors import ArgumentError, mistake


def _same_length(name: str, sequences: Sequence[Sequence[Any]]) -> None:
    if len({len(found) for found in sequences}) > 1:
        raise mistake(ArgumentError, name, f"lengths {[len(found) for found in sequences]}",
                      hint="sequences of one length")


def safe_zip(*sequences: Iterable[Any]) -> list[tuple[Any, ...]]:
    """zip for sequences of one length."""
    listed = [list(found) for found in sequences]
    _same_length("safe_zip", listed)
    return list(zip(*listed))


def safe_map(function: Callable[..., Any], *sequences: Iterable[Any]) -> list[Any]:
    """map for sequences of one length, done at once."""
    listed = [list(found) for found in sequences]
    _same_length("safe_map", listed)
    return list(map(function, *listed))


def unzip2(pairs: Iterable[tuple[Any, Any]]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The first and the second of each pair."""
    listed = list(pairs)
    return tuple([x for x, _ in listed]), tuple([y for _, y in listed])


def split_list(sequence: Sequence[Any], sizes: Sequence[int]) -> list[list[Any]]:
    """Parts of these lengths, and the rest."""
    parts, start = [], 0
    for size in sizes:
        parts.append(list(sequence[start:start + size]))
        start += size
    return [*parts, list(sequence[start:])]

"""What is known of a program beside its code."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from arraylib.backends.cpu.host import HostCall
from arraylib.backends.interface import Result
from arraylib.hlo.ir import Type

ENTRY = "program"  # the function that callers know


class Program(NamedTuple):
    """A plan as IR text, and the facts that a caller needs."""

    text: str  # empty where the code was on disk, or the text handed on in parts
    input_types: tuple[Type, ...]
    results: tuple[Result, ...]
    blocks: tuple[int, ...]
    arena_bytes: int
    work: float  # rough number of elementary operations
    symbols: tuple[str, ...]  # imported
    constants: tuple[np.ndarray[Any, Any], ...]
    host_calls: tuple[HostCall, ...]

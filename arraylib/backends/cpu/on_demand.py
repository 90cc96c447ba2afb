"""The parts of this backend that are imported at the first use, since they are slow to import."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any


@cache
def part(name: str) -> Any:
    """A module of `arraylib.backends.cpu`, by the end of its name."""
    return importlib.import_module(f"arraylib.backends.cpu.{name}")

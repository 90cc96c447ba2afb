"""The parts of this backend that are imported at the first use, since they are slow to import."""

from __future__ import annotations

from typing import Any

from arraylib.on_demand import module


def part(name: str) -> Any:
    """A module of `arraylib.backends.cpu`, by the end of its name."""
    return module(f"backends.cpu.{name}")

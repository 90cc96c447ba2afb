"""Modules that are imported at their first use: slow to import, and many programs do without them.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any


@cache
def module(name: str) -> Any:
    """A module of this library: "hlo.passes.pipeline"."""
    return importlib.import_module(f"arraylib.{name}")

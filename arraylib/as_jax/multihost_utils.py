"""jax.experimental.multihost_utils for the one process that there is."""

from __future__ import annotations

from typing import Any

from arraylib import tree
from arraylib.numpy import asarray


def sync_global_devices(name: str) -> None:
    """Wait for all processes: for none."""


def broadcast_one_to_all(in_tree: Any, is_source: bool | None = None) -> Any:
    """What the first process has."""
    return in_tree


def process_allgather(in_tree: Any, tiled: bool = False) -> Any:
    """What all processes have: along a new first axis unless `tiled`."""
    return tree.map(lambda x: asarray(x) if tiled else asarray(x)[None], in_tree)


def assert_equal(in_tree: Any, fail_message: str = "") -> None:
    """Check that all processes have the same, which one does."""

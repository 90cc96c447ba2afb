"""jax.experimental.compilation_cache.compilation_cache: where compiled code is kept on disk."""

from __future__ import annotations

from arraylib.config import config


def set_cache_dir(path: str) -> None:
    """Keep compiled code in this folder."""
    config.cache_dir = str(path)


def reset_cache() -> None:
    """Use the folder that is set from now on; there is nothing else to be forgotten."""

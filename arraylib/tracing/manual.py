"""Inside shard_map: which rules hold for derivatives there.

With `check_vma`, JAX's derivatives inside of shard_map are those of one program of all devices: the
cotangent of what all devices share is added up over them by itself. Here collectives have the
derivatives of functions under vmap, as with `check_vma=False`; where the two may differ, it is
refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from arraylib.errors import ArgumentError, mistake

_checked: ContextVar[bool] = ContextVar("arraylib_check_vma", default=False)


@contextmanager
def checking_variation() -> Iterator[None]:
    """Inside, values may not be taken for the same on all devices where they differ."""
    token = _checked.set(True)
    try:
        yield
    finally:
        _checked.reset(token)


def is_checking() -> bool:
    """Whether values may not be taken for the same where they differ."""
    return _checked.get()


def refuse_transposes() -> None:
    """ArgumentError where cotangents would have to be added up over devices."""
    if is_checking():
        raise mistake(
            ArgumentError, "shard_map", "a gradient is taken inside of shard_map with check_vma, "
            "where what devices share gets the cotangents of all of them",
            hint="take the gradient of the function that shard_map gives; or check_vma=False, and "
                 "lax.psum of the gradients of what devices share")

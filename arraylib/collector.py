"""Python's collector of garbage, kept from looking again and again at graphs that are growing."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def resting() -> Iterator[None]:
    """No collections inside: what is read, traced or compiled there is kept, so that they find
    little, and take a tenth to a fifth of the time.

    Threads that are inside at once may switch it on for one another, which costs time alone.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()

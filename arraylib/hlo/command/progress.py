"""A sign of life on long work."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

try:
    from tqdm import tqdm
except ImportError:  # then there is no bar
    tqdm = None

_DELAY = 1.0  # seconds: what takes less shows nothing


@contextmanager
def progress(what: str, steps: int | None = None,
             hidden: bool = False) -> Iterator[Callable[[], object]]:
    """A bar on standard error, if that is a terminal; call what it yields after each of `steps`.

    It has the time that has gone by; without `steps`, nothing else.
    """
    if tqdm is None or hidden or not sys.stderr.isatty():
        yield lambda: None
        return
    done = threading.Event()
    with tqdm(desc=what, total=steps, delay=_DELAY, leave=False, bar_format=(
            "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}, {elapsed}" if steps
            else "{desc}, {elapsed}")) as bar:
        ticking = threading.Thread(target=_tick, args=(bar, done), daemon=True)
        ticking.start()
        try:
            yield bar.update
        finally:
            done.set()
            ticking.join()


def _tick(bar: tqdm, done: threading.Event) -> None:
    """Draw the bar twice a second, once it has taken long enough."""
    wait = _DELAY
    while not done.wait(wait):
        bar.refresh()
        wait = 0.5

"""Recording what a program does when: jitted functions, compilations, and parts that it names.

    with arraylib.profiler.trace("traces"):
        for batch in batches:
            with arraylib.profiler.TraceAnnotation("step"):
                state = step(state, batch)

writes a file to be opened at https://ui.perfetto.dev. The names are those of jax.profiler. What
takes the time inside of one jitted function is what `jitted.profile(x)` measures.
"""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from arraylib import spans
from arraylib.errors import ArgumentError, mistake

Function = TypeVar("Function", bound=Callable[..., Any])

_folders: list[Path] = []  # where the trace that is being made will be written


def start_trace(log_dir: str | os.PathLike[str], create_perfetto_link: bool = False,
                create_perfetto_trace: bool = True, profiler_options: Any = None) -> None:
    """Record from now on what jitted functions, and the parts that are annotated, do when.

    Args:
        log_dir: the folder below which `stop_trace` writes the trace.
        create_perfetto_link: refused if true; the file is opened by hand.
        create_perfetto_trace, profiler_options: accepted for JAX's sake.

    Raises: ArgumentError if a trace is being made already. As in JAX there is one at a time.

    >>> arraylib.profiler.start_trace("traces")
    >>> file = arraylib.profiler.stop_trace()
    """
    if create_perfetto_link:
        raise mistake(ArgumentError, "start_trace", "create_perfetto_link=True would need a server",
                      hint="open the file that stop_trace writes at https://ui.perfetto.dev")
    if not spans.begin():
        raise mistake(ArgumentError, "start_trace", "a trace is being made already",
                      hint="stop_trace() first")
    _folders[:] = [Path(log_dir)]


def stop_trace() -> Path:
    """Write what has been recorded since `start_trace`, and return the file.

    It is `plugins/profile/TIME/perfetto_trace.json.gz` below the folder: Chrome's trace events.
    Raises: ArgumentError if nothing is being recorded.

    >>> arraylib.profiler.start_trace("traces")
    >>> arraylib.profiler.stop_trace().name
    'perfetto_trace.json.gz'
    """
    recording = spans.end()
    if recording is None:
        raise mistake(ArgumentError, "stop_trace", "no trace is being made",
                      hint="start_trace(folder) first")
    folder = _new_folder(_folders.pop() / "plugins" / "profile")
    path = folder / "perfetto_trace.json.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        json.dump(_events(recording), file)
    return path


def _new_folder(root: Path) -> Path:
    """A folder called by the time; with a number behind it if there is one of that second."""
    stamp = time.strftime("%Y_%m_%d_%H_%M_%S")
    for number in count():
        folder = root / (f"{stamp}_{number}" if number else stamp)
        if not folder.exists():
            break
    folder.mkdir(parents=True)
    return folder


@contextmanager
def trace(log_dir: str | os.PathLike[str], create_perfetto_link: bool = False,
          create_perfetto_trace: bool = True, profiler_options: Any = None) -> Iterator[None]:
    """Record what happens in the `with` block: `start_trace` and `stop_trace`.

    >>> with arraylib.profiler.trace("traces"):
    ...     y = jit(jnp.sin)(1.0)
    """
    start_trace(log_dir, create_perfetto_link, create_perfetto_trace, profiler_options)
    try:
        yield
    finally:
        stop_trace()


class TraceAnnotation:
    """What happens in its `with` block is one thing with this name, if a trace is being made.

        with arraylib.profiler.TraceAnnotation("load", file="a.npz"): ...
    """

    def __init__(self, name: str, **metadata: Any) -> None:
        self.name, self.metadata = name, metadata

    def __enter__(self) -> TraceAnnotation:
        self._start = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        spans.add(self.name, "annotation", self._start, **self.metadata)


class StepTraceAnnotation(TraceAnnotation):
    """The same for a step of training, whose number is in its name.

        with arraylib.profiler.StepTraceAnnotation("train", step_num=3): ...
    """

    def __init__(self, name: str, **metadata: Any) -> None:
        number = metadata.get("step_num")
        super().__init__(name if number is None else f"{name} {number}", **metadata)


def annotate_function(func: Function, name: str | None = None, **metadata: Any) -> Function:
    """A function whose calls are things with its name: a decorator; see `TraceAnnotation`.

    >>> @arraylib.profiler.annotate_function
    ... def load(path):
    ...     return jnp.load(path)
    """
    called = name or str(getattr(func, "__qualname__", type(func).__name__))
    return spans.spanned(func, called, "annotation", **metadata)


def _events(recording: spans.Recording) -> dict[str, Any]:
    """The recording as Chrome's trace events: a row for each thread."""
    rows = {thread: i + 1 for i, thread in enumerate(
        dict.fromkeys(["MainThread", *[span.thread for span in recording.spans]]))}
    names: list[dict[str, Any]] = [
        {"name": "process_name", "ph": "M", "pid": 1, "tid": 1, "args": {"name": "arraylib"}},
        *[{"name": "thread_name", "ph": "M", "pid": 1, "tid": i, "args": {"name": thread}}
          for thread, i in rows.items()]]
    return {"displayTimeUnit": "ns", "traceEvents": names + [
        {"name": span.name, "cat": span.kind, "ph": "X", "ts": 1e6 * span.start,
         "dur": 1e6 * span.seconds, "pid": 1, "tid": rows[span.thread],
         "args": {name: str(value) for name, value in span.facts.items()}}
        for span in recording.spans]}

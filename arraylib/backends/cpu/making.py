"""Functions of libraries being made: written, compiled together with a program, kept on disk."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from arraylib.backends.cpu import kept, libraries, objects, target
from arraylib.backends.cpu.jobs import Job, Jobs
from arraylib.record import record


@record
class Piece:
    """A function of a library; `text()` writes its code for the current target.

    quick: compiled in a tenth of the time, to slower code. tight: its loops are so short that it
    matters what they count with, which takes LLVM a third of the time.
    """

    name: str
    text: Callable[[], str]
    quick: bool = False
    tight: bool = False

    def key(self) -> str:
        """What its code is found by: writing it takes longer than asking what writes it."""
        return kept.key_of([self.name.encode()], self.quick)


class Making:
    """Pieces on the way to being linked: those that are not on disk are jobs for threads."""

    def __init__(self, pieces: Sequence[Piece], jobs: Jobs) -> None:
        target.check_runs()
        self._wanted = {piece.name: piece.key() for piece in pieces}
        self._found: dict[str, bytes] = {}  # by key, as what follows
        self._jobs: dict[str, Job[bytes]] = {}
        # Tight ones last: they are not compiled while others are that are not.
        for piece in sorted(pieces, key=lambda piece: piece.tight):
            key = self._wanted[piece.name]
            libraries.keys[piece.name, target.current()] = key
            if key not in libraries.places:
                self._start(piece, key, jobs)

    def _start(self, piece: Piece, key: str, jobs: Jobs) -> None:
        content = objects.load(key)
        if content is None:
            self._jobs[key] = jobs.add(functools.partial(
                target.compile_object, piece.text(), target.current(), quick=piece.quick,
                counters=piece.tight))
        else:
            self._found[key] = content

    def link(self) -> dict[str, int]:
        """Where the pieces are, when all jobs are done."""
        for key, job in self._jobs.items():
            self._found[key] = target.loadable(job.result)
            objects.store(key, self._found[key])
        for name, key in self._wanted.items():
            if key in self._found:
                libraries.place(name, key, self._found[key])
        return {name: libraries.places[key] for name, key in self._wanted.items()}


def addresses(pieces: Sequence[Piece]) -> dict[str, int]:
    """Where pieces are, made and linked if need be."""
    with Jobs() as jobs:
        making = Making(pieces, jobs)
        jobs.finish()
        return making.link()

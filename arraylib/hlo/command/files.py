"""Reading programs and writing results: whole files, or none."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from arraylib.errors import ArraylibError


class CommandError(ArraylibError):
    """What somebody did wrong on the command line, said in full."""


def read_program(file: str) -> tuple[bytes, str]:
    """The bytes of a program, and what errors call the place they come from."""
    if file == "-":
        return sys.stdin.buffer.read(), "<stdin>"
    return Path(file).read_bytes(), file


@contextmanager
def replacing(file: str) -> Iterator[BinaryIO]:
    """Where to write what `file` will be: it is replaced at the end, unless an error comes up."""
    final = os.path.realpath(file)  # a link stays, and what it leads to is replaced
    if os.path.exists(final) and not os.path.isfile(final):
        raise CommandError(f"{file}: no file, and so it cannot be replaced")
    draft = f"{final}.{os.getpid()}.new"
    try:
        try:
            stream = open(draft, "xb")
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from error
        with stream:
            yield stream
        os.replace(draft, final)
    finally:
        Path(draft).unlink(missing_ok=True)

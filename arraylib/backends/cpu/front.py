"""The CPU backend as seen from above: a program that is on disk is loaded here, without LLVM.

All else that a backend does is in `backend`, which is imported when it is asked for: what lowers
graphs and writes code takes longer to import than a program takes to load.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from arraylib.backends.cpu import host, interrupt, libraries, objects, pool, pool_state, target
from arraylib.backends.cpu.block import address_of
from arraylib.backends.cpu.on_demand import part
from arraylib.backends.cpu.record import ENTRY, Program
from arraylib.backends.cpu.stored import from_bytes, parts_of
from arraylib.backends.interface import Executable, Key

name = "cpu"

# Imported symbols that no library has, and where their addresses come from.
_OWN: dict[str, Callable[[], dict[str, int]]] = {
    pool_state.PARFOR: pool.symbols,
    host.SYMBOL: host.symbols,
    interrupt.STOP: interrupt.symbols,
}

# Elementary operations below which a call keeps Python's lock: giving it up and taking it back
# costs 40 ns when nobody wants it; kept, others wait a few microseconds at most.
_QUICK = 50_000


def __getattr__(name: str) -> Any:
    """What only `backend` has."""
    return getattr(part("backend"), name)


def full(key: Key) -> Key:
    """The key of a stored program: code depends on the processor, schedules on the threads."""
    return key.also(**target.facts(), threads=str(pool.threads()))


def stored(program: str) -> list[Key]:
    """The keys under which a program's code is on disk."""
    contents = map(objects.load, objects.names(program))
    return [Key(program, parts_of(content)) for content in contents if content]


def load(key: Key) -> Executable | None:
    """The executable stored on disk under `key`, if any."""
    target.check_runs()
    content = objects.load(full(key).name)
    if not content:
        return None
    program, images, pieces = from_bytes(content)
    known = {symbol: libraries.again(symbol, key) for symbol, key in pieces.items()}
    found = {symbol: address for symbol, address in known.items() if address is not None}
    if len(found) < len(known):
        found = part("backend").library_addresses(program)
    return link(program, images, found)


def link(program: Program, images: Sequence[bytes], pieces: Mapping[str, int]) -> Executable:
    """Load the code into this process and put together what it reads at run time.

    `pieces` is where the functions of libraries are that it calls.
    """
    imports = dict(pieces)
    for symbol in program.symbols:
        if symbol in _OWN:
            imports |= _OWN[symbol]()
    address = target.link(images, [ENTRY], imports)[ENTRY]
    calls = host.HostCalls(program.host_calls)
    context = np.array([calls.number, *map(address_of, program.constants)], np.uint64)
    quick = program.work <= _QUICK and not program.host_calls
    prototype = ctypes.PYFUNCTYPE if quick else ctypes.CFUNCTYPE
    native: Any = prototype(None, ctypes.c_void_p)(address)
    native.keep = context, program.constants, calls  # as long as somebody can call it
    entry = interrupt.raising(native) if interrupt.STOP in program.symbols else native
    return Executable(program.input_types, program.results, program.blocks,
                      host.guarded(entry) if program.host_calls else entry,
                      address_of(context), 0 if program.host_calls else address, quick,
                      program.arena_bytes)

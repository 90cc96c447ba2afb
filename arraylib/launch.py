"""Run compiled programs on Arrays, with as few Python objects per call as the results need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import memmove
from functools import partial
from typing import Any

import numpy as np

from arraylib.array import Array, Gone, hold, new
from arraylib.backends.cpu.block import Block
from arraylib.backends.cpu.memory import allocate, home
from arraylib.backends.interface import Executable
from arraylib.errors import DonatedError, Source, here, mistake

Launch = Callable[[Sequence[int]], Any]  # addresses of the inputs -> results


def launcher(executable: Executable) -> Launch:
    """A function that runs the program and returns a list of its results.

    It is for programs that take over no donated memory.
    """
    if len(executable.blocks) == 1:
        return _one_block_launcher(executable)
    entry, pack, context = executable.entry, executable.pack, executable.context
    sizes = executable.blocks
    rows = [(result.type, result.block, result.offset) for result in executable.results]

    def launch(addresses: Sequence[int]) -> list[Array]:
        blocks = [Block(size) for size in sizes]
        starts = [block.address for block in blocks]
        entry(pack(*addresses, *starts, context))
        results = []
        for type, number, offset in rows:
            array = new(Array)
            array.type = type
            array.place = starts[number] + offset
            array.owner = blocks[number]
            results.append(array)
        return results

    return launch


def _one_block_launcher(executable: Executable) -> Launch:
    """The same where all results are small and share a block."""
    entry, pack, context = executable.entry, executable.pack, executable.context
    (size,) = executable.blocks
    rows = [(result.type, result.offset) for result in executable.results]

    def launch(addresses: Sequence[int]) -> list[Array]:
        block = Block(size)
        start = block.address
        entry(pack(*addresses, start, context))
        results = []
        for type, offset in rows:
            array = new(Array)
            array.type = type
            array.place = start + offset
            array.owner = block
            results.append(array)
        return results

    return launch


def single_launcher(executable: Executable) -> Launch:
    """The same for a program with one result, which is returned as it is."""
    entry, pack, context = executable.entry, executable.pack, executable.context
    if len(executable.blocks) > 1:
        several = launcher(executable)
        return lambda addresses: several(addresses)[0]
    (size,), (result,) = executable.blocks, executable.results
    type, source = result.type, home(size)
    # What Block(size) does, without its calls: this is the hottest path of all.
    pop = source.pop if isinstance(source, list) else partial(allocate, size)

    def launch(addresses: Sequence[int]) -> Array:
        try:
            address = pop()
        except IndexError:
            address = allocate(size)
        block = new(Block)
        block.home = source
        block.address = address
        entry(pack(*addresses, address, context))
        array = new(Array)
        array.type = type
        array.place = address
        array.owner = block
        return array

    return launch


def donating_launcher(executable: Executable, donated: Sequence[int],
                      names: Callable[[int], str]) -> Callable[[list[Array]], list[Array]]:
    """A function that runs a program on Arrays and takes those in `donated` from the caller.

    An input whose memory NumPy can see is copied first. `names(i)` is what the user calls input i.
    """
    entry, pack, context = executable.entry, executable.pack, executable.context
    sizes, count = executable.blocks, len(executable.input_types)
    # Memory comes from the list of inputs with the blocks after it: a donor's, or a block's.
    rows = [(r.type, count + r.block if r.donor is None else r.donor, r.offset)
            for r in executable.results]

    def launch(arrays: list[Array]) -> list[Array]:
        addresses = [x.address for x in arrays]
        if len(set(addresses)) < count:
            _refuse_twice(arrays, donated, names)
        owners = [hold(x) if x.owner is None else x.owner for x in arrays]
        for number in donated:
            if owners[number].__class__ is np.ndarray:
                owners[number] = _in_block(arrays[number])
                addresses[number] = owners[number].address
        blocks = [Block(size) for size in sizes]
        owners += blocks
        addresses += [block.address for block in blocks]
        gone = donated_as(names, here())
        for number in donated:  # before the call, which may fail half way
            arrays[number].place = 0
            arrays[number].owner = gone, number
        entry(pack(*addresses, context))
        results = []
        for type, memory, offset in rows:
            array = new(Array)
            array.type = type
            array.place = addresses[memory] + offset
            array.owner = owners[memory]
            results.append(array)
        return results

    return launch


def donated_as(names: Callable[[int], str], where: Source | None = None) -> Gone:
    """Why donated arrays are gone."""
    return Gone(lambda number: f"its memory was donated as {names(number)}", where)


def copied(array: Array) -> Array:
    """An array of the same elements in a Block of its own."""
    copy, block = new(Array), _in_block(array)
    copy.type, copy.place, copy.owner = array.type, block.address, block
    return copy


def _in_block(array: Array) -> Block:
    """The elements of an array in a Block of their own."""
    block = Block(array.type.nbytes)
    memmove(block.address, array.address, array.type.nbytes)
    return block


def _refuse_twice(arrays: Sequence[Array], donated: Sequence[int],
                  names: Callable[[int], str]) -> None:
    """DonatedError if donated memory is passed a second time in the same call."""
    seen: dict[int, int] = {}
    for number in donated:
        if not arrays[number].type.nbytes:
            continue
        other = seen.setdefault(arrays[number].address, number)
        if other != number:
            raise _twice(names(number), names(other))
    if len(seen) == len(arrays):
        return
    given = set(donated)
    for number, array in enumerate(arrays):
        if number not in given and array.type.nbytes and array.address in seen:
            raise _twice(names(number), names(seen[array.address]))


def _twice(one: str, other: str) -> Exception:
    return mistake(DonatedError, "jit", f"{one} is the same array as {other}, which is donated",
                   hint="pass a copy (jnp.array(x)), or do not donate it")

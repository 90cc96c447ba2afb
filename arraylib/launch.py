"""Run compiled programs on Arrays, with as few Python objects per call as the results need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import memmove
from functools import partial
from typing import Any

from arraylib.array import Array, bury, new, owned_memory
from arraylib.backends.cpu.block import Block
from arraylib.backends.cpu.memory import allocate, home
from arraylib.backends.interface import Executable
from arraylib.errors import DonatedError, here, mistake

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
            array.address = starts[number] + offset
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
            array.address = start + offset
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
    type, place = result.type, home(size)
    # What Block(size) does, without its calls: this is the hottest path of all.
    pop = place.pop if isinstance(place, list) else partial(allocate, size)

    def launch(addresses: Sequence[int]) -> Array:
        block = new(Block)
        block.home = place
        try:
            address = block.address = pop()
        except IndexError:
            address = block.address = allocate(size)
        entry(pack(*addresses, address, context))
        array = new(Array)
        array.type = type
        array.address = address
        array.owner = block
        return array

    return launch


def launch_donated(executable: Executable, arrays: Sequence[Array], donated: Sequence[int],
                   names: Callable[[int], str]) -> list[Array]:
    """Run a program that takes over the memory of the inputs in `donated`, which are gone then.

    An input whose memory NumPy can see is copied first. `names(i)` is what the user calls input i.
    """
    inputs = list(arrays)
    _refuse_twice(inputs, donated, names)
    for number in donated:
        if not owned_memory(inputs[number]):
            inputs[number] = _copied(inputs[number])
    blocks = [Block(size) for size in executable.blocks]
    starts = [block.address for block in blocks]
    executable.entry(executable.pack(*[x.address for x in inputs], *starts, executable.context))
    results = []
    for row in executable.results:
        array = new(Array)
        array.type = row.type
        if row.donor is None:
            array.address, array.owner = starts[row.block] + row.offset, blocks[row.block]
        else:
            array.address, array.owner = inputs[row.donor].address, inputs[row.donor].owner
        results.append(array)
    where = here()
    for number in donated:
        bury(arrays[number], _Donation(names, number), where)
    return results


class _Donation:
    """Says on demand which argument was donated: the name is only wanted in an error."""

    __slots__ = ("names", "number")

    def __init__(self, names: Callable[[int], str], number: int) -> None:
        self.names, self.number = names, number

    def __str__(self) -> str:
        return f"its memory was donated as {self.names(self.number)}"


def _copied(array: Array) -> Array:
    """The same array in a Block of its own."""
    block = Block(array.type.nbytes)
    copy = new(Array)
    copy.type, copy.address, copy.owner = array.type, block.address, block
    memmove(block.address, array.address, array.type.nbytes)
    return copy


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

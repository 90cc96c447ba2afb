"""What a backend makes of a graph: an Executable, which anyone can run who has addresses.

A program takes one block of 64-bit words: the addresses of its inputs, of the memory blocks that it
works in, and its context. Blocks hold the results (small ones share one) and the arena; the caller
allocates them, so that a result's memory lives as long as somebody uses it. A donated input may
give its memory to a result instead.
"""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from arraylib.backends.cpu.block import Block, address_of, view
from arraylib.hlo.ir import Graph, Node, Type
from arraylib.hlo.opdef import OpDef
from arraylib.record import field, record

if TYPE_CHECKING:
    from arraylib.reports.compilation import Census
    from arraylib.reports.cost import CostReport
    from arraylib.reports.memory import MemoryReport
    from arraylib.reports.profile import Profile

SHARED_BYTES = 1 << 12  # results up to this size share a block
_SHARED_TOTAL = 1 << 16


@record(slots=True)
class Result:
    """Where an output is: in a block at an offset, or in the memory of the input `donor`."""

    type: Type
    block: int
    offset: int
    donor: int | None = None


@record
class Key:
    """What a stored program is found by: the hash of its graph, and what else its code depends on.

    Its name begins with the graph's hash, so that other versions of the same program can be found.
    """

    program: str  # hexadecimal
    parts: Mapping[str, str]

    def also(self, **parts: str) -> Key:
        """The key of what depends on these as well."""
        return Key(self.program, {**self.parts, **parts})

    @property
    def name(self) -> str:
        """Hexadecimal digits: the graph's, then those of all the rest."""
        rest = hashlib.blake2b(repr(sorted(self.parts.items())).encode(), digest_size=20)
        return self.program + rest.hexdigest()


@record
class Lookup:
    """How a program was searched for on disk: `found` is "disk" or "nowhere".

    key: None where the program refers to objects of this process. obstacle: what else was in the
    way. what: the program, for people.
    """

    found: str
    key: Key | None
    obstacle: str
    what: str


class Texts(Mapping[str, str]):
    """Texts by the name of their stage, each written when it is asked for."""

    def __init__(self, writers: Mapping[str, Callable[[], str]]) -> None:
        self._writers = dict(writers)

    def __getitem__(self, stage: str) -> str:
        return self._writers[stage]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._writers)

    def __len__(self) -> int:
        return len(self._writers)


@record(eq=False)
class Executable:
    """A compiled program.

    `entry(words)` runs it; `words` are the packed addresses of inputs and blocks, and `context`.
    Whoever holds the entry may call it: it keeps alive all that the program reads.
    `texts` makes the stages that `text` shows, on demand. `code` is the entry as the address of a C
    function, where that needs nothing around it; `quick`: it is not worth giving up Python's lock.
    """

    input_types: tuple[Type, ...]
    results: tuple[Result, ...]
    blocks: tuple[int, ...]  # bytes of each; one that no result names is the arena
    entry: Callable[[bytes], None]
    context: int = 0
    code: int = 0
    quick: bool = False
    arena_bytes: int = 0
    timings: dict[str, float] = field(default_factory=dict)  # seconds by phase
    texts: Callable[[], dict[str, Callable[[], str]]] = dict
    lookup: Lookup | None = None
    made: float = field(default_factory=time.perf_counter)

    @property
    def output_types(self) -> tuple[Type, ...]:
        return tuple(result.type for result in self.results)

    @cached_property
    def text(self) -> Texts:
        """The program at each stage of its making, for people to read."""
        return Texts(self.texts())

    @cached_property
    def pack(self) -> Callable[..., bytes]:
        """The words of a call from its addresses."""
        return struct.Struct(f"={len(self.input_types) + len(self.blocks) + 1}Q").pack

    def with_facts(self, timings: dict[str, float],
                   texts: Callable[[], dict[str, Callable[[], str]]] | None = None,
                   lookup: Lookup | None = None) -> Executable:
        """The same program with more timings, before its own, and perhaps other facts."""
        return replace(self, timings={**timings, **self.timings}, texts=texts or self.texts,
                       lookup=lookup or self.lookup)

    def run(self, arrays: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
        """NumPy arrays in, NumPy arrays out. A donated input is overwritten."""
        inputs = [np.ascontiguousarray(x, dtype=t.dtype).reshape(t.shape)
                  for x, t in zip(arrays, self.input_types, strict=True)]
        blocks = [Block(nbytes) for nbytes in self.blocks]
        addresses = [address_of(x) for x in inputs]
        self.entry(self.pack(*addresses, *[block.address for block in blocks], self.context))
        return [inputs[r.donor].view(r.type.dtype).reshape(r.type.shape) if r.donor is not None
                else view(blocks[r.block].address + r.offset, r.type, blocks[r.block], True)
                for r in self.results]


class Backend(Protocol):
    """Turns graphs into executables."""

    name: str

    def native(self, op: OpDef, node: Node | None = None) -> bool:
        """Whether the backend takes the operation itself, rather than its expansion; of some it
        can tell only with a node."""

    def load(self, key: Key) -> Executable | None:
        """The program that `compile` stored on disk under this key."""

    def full(self, key: Key) -> Key:
        """The key with what the backend's code depends on as well."""

    def stored(self, program: str) -> list[Key]:
        """The keys under which a program's code is on disk."""

    def compile(self, graph: Graph, donated: frozenset[int], key: Key | None) -> Executable:
        """The program of an optimised graph, stored on disk if there is a key.

        Results may take the memory of the inputs in `donated`.
        """

    def texts(self, graph: Graph, donated: frozenset[int]) -> dict[str, Callable[[], str]]:
        """The stages between an optimised graph and its code, for people to read."""

    def census(self, graph: Graph) -> Census:
        """How many operations and kernels an optimised graph's program has."""

    def costs(self, graph: Graph) -> CostReport:
        """What each step of an optimised graph's program costs."""

    def memory(self, graph: Graph, donated: frozenset[int]) -> MemoryReport:
        """What memory the program of an optimised graph needs at its peak."""

    def peaks(self, donated: frozenset[int]) -> Callable[[Graph], int]:
        """The bytes of that memory, as a function of graphs that have much in common."""

    def why(self, graph: Graph, one: str | int, other: str | int) -> str:
        """The rule that keeps two operations of an optimised graph in different kernels."""

    def profile(self, graph: Graph, arrays: Sequence[Any]) -> Profile:
        """Where the time goes in the program of an optimised graph, run on these arrays."""


def place_results(types: Sequence[Type], donors: dict[int, int]) -> tuple[list[Result], list[int]]:
    """Blocks for outputs of these types: large ones alone, small ones together."""
    blocks: list[int] = []
    results = []
    shared, end = -1, 0
    for number, type in enumerate(types):
        size = -(-type.nbytes // 64) * 64
        if number in donors:
            results.append(Result(type, -1, 0, donors[number]))
        elif size > SHARED_BYTES:
            results.append(Result(type, len(blocks), 0))
            blocks.append(size)
        else:
            if shared < 0 or end + size > _SHARED_TOTAL:
                shared, end = len(blocks), 0
                blocks.append(0)
            results.append(Result(type, shared, end))
            end += size
            blocks[shared] = end
    return results, blocks

"""The processes that run a program together, and how they meet.

Processes form a grid of replicas by partitions (StableHLO: "Parallel execution"). A process is
known here by its number, replica * partitions + partition. A collective operation splits the grid
into groups, and the members of a group meet: each brings its operands, all wait until the last has
come, and each leaves with its own results. Outside `arraylib.hlo.parallel.evaluate_parallel`, which
runs many, there is one process, alone in a grid of one by one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from arraylib.errors import ArraylibError, Source, mistake
from arraylib.hlo.ir import Type
from arraylib.record import record

Groups = tuple[tuple[int, ...], ...]
Arrays = tuple[Any, ...]
Joint = Callable[[list[Arrays]], Sequence[Arrays]]  # of all members, in the order of the group


class CommunicationError(ArraylibError, RuntimeError):
    """Processes that should meet do not, or not for the same operation."""


@record
class Grid:
    """How many processes there are."""

    replicas: int = 1
    partitions: int = 1

    @property
    def size(self) -> int:
        return self.replicas * self.partitions

    def name(self, number: int) -> str:
        """What an error calls a process."""
        replica, partition = divmod(number, self.partitions)
        return f"process {number} (replica {replica}, partition {partition})"


@record(eq=False)
class Call:
    """What a process brings to a meeting.

    settings: what all members must agree on besides the types of the operands. joint: computes
    the results of all members; that of the last to come is called.
    """

    op: str
    group: tuple[int, ...]
    arrays: Arrays
    types: tuple[Type, ...]
    settings: Any
    joint: Joint
    where: Source

    def __str__(self) -> str:
        return f"{self.op}({', '.join(map(str, self.types))})"

    def fits(self, other: Call) -> bool:
        """Whether both can be members' parts in one operation."""
        return (self.op, self.types, self.settings) == (other.op, other.types, other.settings)


@record(eq=False)
class Process:
    """One process, and where it meets others."""

    number: int
    grid: Grid
    meet: Callable[[Call], Arrays]

    @property
    def replica(self) -> int:
        return self.number // self.grid.partitions

    @property
    def partition(self) -> int:
        return self.number % self.grid.partitions


def _meet_nobody(call: Call) -> Arrays:
    return tuple(call.joint([call.arrays])[0])


_ALONE = Process(0, Grid(), _meet_nobody)
_process: ContextVar[Process] = ContextVar("arraylib_process", default=_ALONE)


def this_process() -> Process:
    """The process that is running now."""
    return _process.get()


def become(process: Process) -> None:
    """Let what runs in the current context from now on be this process."""
    _process.set(process)


# -- groups ----------------------------------------------------------------------------------------


def _cross_replica(groups: Groups, grid: Grid) -> Groups:
    """Groups of replicas, for each partition on its own."""
    return tuple(tuple(r * grid.partitions + p for r in group)
                 for group in groups for p in range(grid.partitions))


def _cross_partition(groups: Groups, grid: Grid) -> Groups:
    """Groups of partitions, for each replica on its own."""
    return tuple(tuple(r * grid.partitions + p for p in group)
                 for group in groups for r in range(grid.replicas))


def _cross_both(groups: Groups, grid: Grid) -> Groups:
    """All partitions of the replicas of a group, partition by partition."""
    return tuple(tuple(r * grid.partitions + p for p in range(grid.partitions) for r in group)
                 for group in groups)


def _flattened(groups: Groups, grid: Grid) -> Groups:
    """Groups of process numbers."""
    return groups


@record
class Strategy:
    """What the numbers in `replica_groups` mean: what is counted, and the groups of processes."""

    name: str
    counted: str
    count: Callable[[Grid], int]
    processes: Callable[[Groups, Grid], Groups]


CROSS_REPLICA = Strategy("cross_replica", "replica", lambda grid: grid.replicas, _cross_replica)
CROSS_PARTITION = Strategy("cross_partition", "partition", lambda grid: grid.partitions,
                           _cross_partition)
CROSS_BOTH = Strategy("cross_replica_and_partition", "replica", lambda grid: grid.replicas,
                      _cross_both)
FLATTENED = Strategy("flattened_ids", "process", lambda grid: grid.size, _flattened)


@functools.lru_cache(maxsize=4096)
def group_of(number: int, groups: Groups, strategy: Strategy, grid: Grid) -> tuple[int, ...] | None:
    """The process numbers of the group that a process is in; None if it is in no group.

    Without groups, all that the strategy counts are in one.
    """
    given = tuple(tuple(i for i in group if i >= 0) for group in groups)
    given = given or (tuple(range(strategy.count(grid))),)
    return next((g for g in strategy.processes(given, grid) if number in g), None)


def check_groups(op: str, groups: Groups, strategy: Strategy, grid: Grid, covers: bool,
                 where: Source | None) -> None:
    """CommunicationError unless the grid has all that is named; and names all, if it `covers`."""
    named = {i for group in groups for i in group if i >= 0}
    count = strategy.count(grid)
    beyond = [i for i in named if i >= count]
    missing = [i for i in range(count) if i not in named] if covers and groups else []
    if not beyond and not missing:
        return
    verb, which = ("name", min(beyond)) if beyond else ("leave out", missing[0])
    raise mistake(
        CommunicationError, op, f"the groups {groups} {verb} {strategy.counted} {which}, but there "
        f"{'is 1' if count == 1 else f'are {count}'} ({strategy.name})", where=where,
        hint="" if grid.size > 1 else "arraylib.hlo.parallel.evaluate_parallel, which runs a "
        "program in many processes; here it runs in one")

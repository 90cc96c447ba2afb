"""Run programs in many processes at once: the reference meaning of collective operations.

Each process of a grid interprets its program on its own arguments, in a thread. One runs at a
time, the lowest number first, until it finishes or has to wait for others in a collective; so a
run goes the same way every time, and when nobody can go on, that is known at once: processes that
wait for one that has finished, or for each other, make an error that says who waits for whom.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from contextvars import copy_context
from typing import Any

import numpy as np

from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Graph, type_of
from arraylib.hlo.processes import (
    Arrays,
    Call,
    CommunicationError,
    Grid,
    Process,
    become,
)
from arraylib.record import field, record

_SHOWN = 8  # processes in an error

Programs = Graph | Sequence[Sequence[Graph]]


def evaluate_parallel(programs: Programs, arguments: Sequence[Sequence[Any]],
                      num_replicas: int | None = None,
                      num_partitions: int | None = None) -> list[tuple[Any, ...]]:
    """What each process of a grid returns; its number is replica * num_partitions + partition.

    `programs` is one graph for all processes, or `programs[replica][partition]`, from which the
    size of the grid follows; `arguments` has the arrays of each process in turn. An exception in
    one process ends the others and is raised here.
    """
    table, grid = _grid(programs, num_replicas, num_partitions)
    if len(arguments) != grid.size:
        raise _misuse(f"{len(arguments)} lists of arguments for {grid.replicas} replicas of "
                      f"{grid.partitions} partitions, {grid.size} processes")
    workers = [_Worker(i, program, _checked(i, program, given, grid))
               for i, (program, given) in enumerate(zip(table, arguments))]
    return _Schedule(grid, workers).run()


def _misuse(problem: str, hint: str = "") -> Exception:
    return mistake(ArgumentError, "evaluate_parallel", problem, hint=hint)


def _grid(programs: Programs, num_replicas: int | None,
          num_partitions: int | None) -> tuple[list[Graph], Grid]:
    """The program of each process, and how many there are."""
    if isinstance(programs, Graph):
        grid = Grid(1 if num_replicas is None else num_replicas,
                    1 if num_partitions is None else num_partitions)
        if grid.replicas < 1 or grid.partitions < 1:
            raise _misuse(f"a grid of {grid.replicas} replicas by {grid.partitions} partitions")
        return [programs] * grid.size, grid
    rows = [list(row) for row in programs]
    widths = {len(row) for row in rows}
    if len(widths) != 1 or 0 in widths:
        raise _misuse(f"rows of {sorted(widths)} programs", "programs[replica][partition], as many "
                      "partitions in each replica")
    grid = Grid(len(rows), *widths)
    for what, given, found in (("replicas", num_replicas, grid.replicas),
                               ("partitions", num_partitions, grid.partitions)):
        if given is not None and given != found:
            raise _misuse(f"num_{what} is {given}, but there are programs for {found}")
    return [program for row in rows for program in row], grid


def _checked(number: int, program: Graph, given: Sequence[Any], grid: Grid) -> list[Any]:
    """The arguments as arrays; an error unless their types are those of the program's inputs."""
    arrays = [np.asarray(x) for x in given]
    found, wanted = tuple(map(type_of, arrays)), program.input_types
    if found != wanted:
        raise _misuse(f"{grid.name(number)} gets {_list(found)}, but its program takes "
                      f"{_list(wanted)}")
    return arrays


def _list(types: Sequence[Any]) -> str:
    return f"({', '.join(map(str, types))})"


class _Stopped(BaseException):
    """Ends a process that waits, because another has failed."""


@record(frozen=False, eq=False)
class _Worker:
    """One process: its thread, and what has become of it."""

    number: int
    program: Graph
    arrays: list[Any]
    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    thread: threading.Thread | None = None
    waits: Call | None = None  # in this meeting, for others
    received: Arrays = ()
    outputs: tuple[Any, ...] = ()
    error: BaseException | None = None
    finished: bool = False


class _Schedule:
    """Whose turn it is, and the meetings for which somebody waits."""

    def __init__(self, grid: Grid, workers: Sequence[_Worker]) -> None:
        self.grid = grid
        self.workers = workers
        self.ready = deque(workers)
        self.back = threading.Semaphore(0)  # released when a process gives up its turn
        self.pending: dict[tuple[int, ...], dict[int, Call]] = {}
        self.running: _Worker | None = None
        self.stopped = False

    def run(self) -> list[tuple[Any, ...]]:
        """Give turns until all have finished."""
        try:
            while self.ready:
                worker = self.ready.popleft()
                self._give_turn(worker)
                if worker.error is not None:
                    worker.error.add_note(f"in {self.grid.name(worker.number)}")
                    raise worker.error
            if not all(worker.finished for worker in self.workers):
                raise self._deadlock()
            return [worker.outputs for worker in self.workers]
        finally:
            self._stop()

    def _give_turn(self, worker: _Worker) -> None:
        """Let a process run until it waits or ends."""
        self.running = worker
        if worker.thread is None:
            context = copy_context()
            worker.thread = threading.Thread(
                target=context.run, args=(self._live, worker), daemon=True,
                name=f"process {worker.number}")
            worker.thread.start()
        else:
            worker.turn.release()
        self.back.acquire()
        self.running = None

    def _live(self, worker: _Worker) -> None:
        """What the thread of a process does."""
        become(Process(worker.number, self.grid, lambda call: self._meet(worker, call)))
        try:
            worker.outputs = interpret(worker.program, worker.arrays)
            worker.finished = True
        except _Stopped:
            pass  # the exception that stopped this process is on its way to the caller
        except BaseException as error:  # whatever it is, the caller gets it
            worker.error = error
        finally:
            self.back.release()

    def _meet(self, worker: _Worker, call: Call) -> Arrays:
        """The results of this process, once all members of the group are here."""
        present = self.pending.setdefault(call.group, {})
        for number, other in present.items():
            if not call.fits(other):
                raise self._mismatch(worker.number, call, number, other)
        present[worker.number] = call
        if len(present) < len(call.group):
            worker.waits = call
            self.back.release()
            worker.turn.acquire()
            if self.stopped:
                raise _Stopped
            return worker.received
        del self.pending[call.group]
        results = call.joint([present[number].arrays for number in call.group])
        for number, arrays in zip(call.group, results, strict=True):
            member = self.workers[number]
            member.received, member.waits = arrays, None
        self.ready.extend(self.workers[n] for n in sorted(call.group) if n != worker.number)
        return worker.received

    def _stop(self) -> None:
        """End the processes that have not finished; one that is running, when it next waits."""
        self.stopped = True
        for worker in self.workers:
            worker.turn.release()
            if worker.thread is not None and worker is not self.running:
                worker.thread.join()

    # -- errors ------------------------------------------------------------------------------------

    def _mismatch(self, number: int, call: Call, other_number: int, other: Call) -> Exception:
        if (call.op, call.types) == (other.op, other.types):
            calls = (f"{call} with {_differing(call.settings, other.settings)}",
                     f"it with {_differing(other.settings, call.settings)}")
        else:
            calls = str(call), str(other)
        return mistake(
            CommunicationError, call.op, f"{self.grid.name(number)} calls {calls[0]}, but "
            f"{self.grid.name(other_number)} of its group calls {calls[1]}\n"
            f"  at {other.where}, the other", where=call.where,
            hint="all members of a group must call the same collectives in the same order")

    def _deadlock(self) -> Exception:
        """Each process that waits, where, and for whom."""
        waiting = [(worker, worker.waits) for worker in self.workers if worker.waits is not None]
        lines = []
        for worker, call in waiting[:_SHOWN]:
            missing = [n for n in call.group if n not in self.pending[call.group]]
            lines.append(f"  {self.grid.name(worker.number)} waits in {call} for "
                         f"{', '.join(map(self._state, missing[:_SHOWN]))}{_more(missing)}"
                         f"\n    at {call.where}")
        first = waiting[0][1]
        return mistake(CommunicationError, first.op, "\n".join(
            [f"no process can go on{_more(waiting)}", *lines]), where=first.where,
            hint="all members of a group must call the same collectives in the same order, also "
                 "in loops and branches")

    def _state(self, number: int) -> str:
        call = self.workers[number].waits
        return f"process {number}, " + ("which has finished" if call is None
                                        else f"which waits in {call}")


def _more(items: Sequence[Any]) -> str:
    return f", and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""


def _differing(settings: dict[str, Any], others: dict[str, Any]) -> str:
    """The settings that are not the other's."""
    return ", ".join(f"{k}={v}" for k, v in settings.items() if others.get(k) != v)

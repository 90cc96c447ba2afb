"""The thread pool's native code: `arraylib_parfor(function, args, chunks)`, a fork and a join.

A parallel call is a *job*. The caller writes it into a ring of slots, makes it visible by a new
generation number, and then works like everybody else: threads take chunk numbers from one 64-bit
counter whose upper half is the generation. Taking a chunk is a compare-and-swap of that whole word,
so a thread that is late by a job, or by a thousand, can never touch a newer one. The caller waits
for finished *chunks*, not for workers: a sleeping or preempted worker that holds no chunk delays
nobody.

One flag admits one job at a time. Whoever finds it taken runs its chunks by itself, which covers
both a second Python thread and a parallel call from inside a chunk.

Workers spin for a while after a job, then sleep: on the generation number itself through a futex
where the system has one (Linux), else on a condition variable. They are created by the first
parallel call after their number changed; older ones notice that their *epoch* is over and leave.
They block all signals and never enter Python.
"""

from __future__ import annotations

from collections.abc import Callable

from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.pool_state import (
    BUSY,
    CONDITION,
    COUNTER,
    EPOCH,
    FINISHED,
    GENERATION,
    MUTEX,
    PARFOR,
    RESET,
    SLEEPERS,
    SLOTS,
    SPINS,
    STAFFED,
    STATE,
    STATE_BYTES,
    WANTED,
    System,
)

__all__ = ["PARFOR", "RESET", "SPINS", "STATE", "WANTED", "System", "module", "pause"]

_SLOT_COUNT, _SLOT_BYTES = 16, 32
_SPINS_BEFORE_YIELD = 2000
_EVERYBODY = 0x7FFFFFFF
_FUTEX_WAIT, _FUTEX_WAKE = 128, 129      # the private kinds: one process


def module(system: System, empty: Module) -> Module:
    """Fill an empty module with the pool's code for a system."""
    empty.add_global("state", f"[{STATE_BYTES} x i8]", "zeroinitializer", align=128)
    _define_state(empty)
    if system.threads:
        _define_run_chunks(empty)
        _define_wait(empty, system)
        _define_worker(empty, system)
        _define_hire(empty, system)
    _define_reset(empty, system)
    _define_parfor(empty, system)
    return empty


# Small pieces

def _do(f: Function, callee: str | Reg, *args: Reg, result: str = "i32") -> None:
    """Call for the effect alone."""
    f.call(callee, result, args)


def _ask(f: Function, name: str, *args: Reg) -> Reg:
    """Call for a number."""
    found = f.call(name, "i32", args)
    assert found is not None
    return found


def _field(f: Function, offset: int) -> Reg:
    return f.gep(f.address("state"), offset, "i8")


def _load(f: Function, offset: int, type: str = "i32", order: str = "seq_cst") -> Reg:
    size = 8 if type == "i64" else 4
    return f.value(type, f"load atomic {type}, {_field(f, offset)} {order}, align {size}")


def _store(f: Function, value: Reg, offset: int, order: str = "seq_cst") -> None:
    size = 8 if value.type == "i64" else 4
    f.emit(f"store atomic {value}, {_field(f, offset)} {order}, align {size}")


def _add(f: Function, offset: int, value: int, type: str = "i32") -> Reg:
    """Atomic addition; gives the value before."""
    return f.value(type, f"atomicrmw add {_field(f, offset)}, {type} {value} seq_cst")


def _exchange(f: Function, offset: int, expected: Reg, new: Reg) -> Reg:
    """Put `new` where `expected` is; gives whether it was."""
    pair = f"{{ {new.type}, i1 }}"
    found = f.value(pair, f"cmpxchg {_field(f, offset)}, {expected}, {new} seq_cst seq_cst")
    return f.value("i1", f"extractvalue {found}, 1")


def _slot(f: Function, generation: Reg) -> Reg:
    index = f.cast("zext", generation & (_SLOT_COUNT - 1), "i64")
    return f.gep(_field(f, SLOTS), index * _SLOT_BYTES, "i8")


def pause(f: Function, system: System, turn: Reg) -> None:
    """The turn-th pause of a wait for another thread, which may have lost its processor."""
    _pause(f, system)
    if system.threads:
        f.branch(turn > _SPINS_BEFORE_YIELD, lambda: _do(f, "sched_yield"))


def _pause(f: Function, system: System) -> None:
    if system.pause.startswith("llvm."):
        f.call(system.pause, "void", [])
    elif system.pause:
        f.emit(f'call void asm sideeffect "{system.pause}", ""()')


def _futex(f: Function, system: System, operation: int, value: Reg) -> None:
    f.module.declarations["syscall"] = "declare i64 @syscall(i64, ...)"
    f.value("i64", f"call i64 (i64, ...) @syscall(i64 {system.futex}, "
                   f"{_field(f, GENERATION)}, i32 {operation}, {value}, ptr null)")


def _locked(f: Function, body: Callable[[], None]) -> None:
    _do(f, "pthread_mutex_lock", _field(f, MUTEX))
    body()
    _do(f, "pthread_mutex_unlock", _field(f, MUTEX))


# What threads do

def _define_state(module: Module) -> None:
    f = Function(module, STATE, [], result="ptr", internal=False)
    f.ret(f.address("state"))


def _define_run_chunks(module: Module) -> None:
    """Take chunks of one generation's job and run them until none is left."""
    f = Function(module, "run_chunks", [("i32", "generation")])
    (generation,) = f.args
    slot = _slot(f, generation)
    function, args = f.load(slot, "ptr"), f.load(f.gep(slot, 8, "i8"), "ptr")
    chunks = f.load(f.gep(slot, 16, "i8"), "i64")

    def is_ours(carried: list[Reg]) -> Reg:
        (word,) = carried
        tag = f.cast("trunc", word.lshr(32), "i32")
        more = (word & 0xFFFFFFFF) < chunks
        return f.compare("eq", tag, generation) & more

    def take(carried: list[Reg]) -> list[Reg]:
        (word,) = carried

        def run() -> None:
            f.call(function, "void", [args, word & 0xFFFFFFFF])
            _add(f, FINISHED, 1, "i64")

        f.branch(_exchange(f, COUNTER, word, word + 1), run)
        return [_load(f, COUNTER, "i64")]

    f.while_loop([_load(f, COUNTER, "i64")], is_ours, take)
    f.ret()


def _define_wait(module: Module, system: System) -> None:
    """Wait until the generation differs from `seen`, and return it: spin first, then sleep."""
    f = Function(module, "wait", [("i32", "seen")], result="i32")
    (seen,) = f.args
    limit = _load(f, SPINS, order="monotonic")

    def same(generation: Reg) -> Reg:
        return f.compare("eq", generation, seen)

    def spin(carried: list[Reg]) -> list[Reg]:
        _pause(f, system)
        return [_load(f, GENERATION), carried[1] + 1]

    def sleep(carried: list[Reg]) -> list[Reg]:
        _sleep(f, system, seen)
        return [_load(f, GENERATION)]

    spun = f.while_loop([_load(f, GENERATION), f.const("i32", 0)],
                        lambda carried: same(carried[0]) & (carried[1] < limit), spin)
    slept = f.while_loop([spun[0]], lambda carried: same(carried[0]), sleep)
    f.ret(slept[0])


def _sleep(f: Function, system: System, seen: Reg) -> None:
    """Sleep unless the generation has moved on from `seen`; may wake for no reason.

    The caller of a job writes the generation and then reads SLEEPERS, a worker the other way
    round, so at least one of the two sees the other.
    """
    def wait() -> None:
        _add(f, SLEEPERS, 1)
        if system.futex:
            _futex(f, system, _FUTEX_WAIT, seen)
        else:
            same = f.compare("eq", _load(f, GENERATION), seen)
            f.branch(same, lambda: _do(
                f, "pthread_cond_wait", _field(f, CONDITION), _field(f, MUTEX)))
        _add(f, SLEEPERS, -1)

    if system.futex:
        wait()
    else:
        _locked(f, wait)


def _wake(f: Function, system: System, count: Reg) -> None:
    """Wake up to `count` sleepers, if there are any."""
    def wake() -> None:
        if system.futex:
            _futex(f, system, _FUTEX_WAKE, count)
        else:
            _locked(f, lambda: _do(f, "pthread_cond_broadcast", _field(f, CONDITION)))

    f.branch(_load(f, SLEEPERS) > 0, wake)


def _define_worker(module: Module, system: System) -> None:
    """A worker's life: from job to job until its epoch is over."""
    f = Function(module, "worker", [("ptr", "epoch")], result="ptr")
    epoch = f.cast("trunc", f.cast("ptrtoint", f.args[0], "i64"), "i32")
    signals = f.alloca("i8", 128, align=16)   # the largest sigset_t
    _do(f, "sigfillset", signals)
    _do(f, "pthread_sigmask", f.const("i32", system.set_mask), signals, f.const("ptr", 0))

    def employed() -> Reg:
        return f.compare("eq", _load(f, EPOCH), epoch)

    def live(carried: list[Reg]) -> list[Reg]:
        generation = _ask(f, "wait", *carried)
        f.branch(employed(), lambda: _do(f, "run_chunks", generation, result="void"))
        return [generation]

    f.while_loop([f.const("i32", 0)], lambda _: employed(), live)
    f.ret(f.const("ptr", 0))


# What the caller does

def _define_hire(module: Module, system: System) -> None:
    """Dismiss all workers and create `wanted - 1` new ones. If the system refuses some, the
    pool works with fewer: the caller itself runs whatever nobody takes."""
    f = Function(module, "hire", [("i32", "wanted")])
    (wanted,) = f.args
    epoch = _add(f, EPOCH, 1) + 1
    _store(f, wanted, STAFFED)
    _add(f, GENERATION, 1)   # a generation without a job, so that sleepers look up and leave
    _wake(f, system, f.const("i32", _EVERYBODY))
    name = f.value("ptr", f"inttoptr {f.cast('zext', epoch, 'i64')} to ptr")
    thread = f.alloca("i64", 1)

    def create(index: Reg, _: list[Reg]) -> None:
        failed = _ask(f, "pthread_create", thread, f.const("ptr", 0), f.address("worker"), name)
        f.branch(f.compare("eq", failed, 0), lambda: _do(
            f, "pthread_detach", f.load(thread, "i64")))

    f.loop(1, f.cast("sext", wanted, "i64"), 1, [], create)
    f.ret()


def _define_reset(module: Module, system: System) -> None:
    """Forget all workers and any job: for the first use, and for the child after a fork."""
    f = Function(module, RESET, [], internal=False)
    if system.threads:
        _add(f, EPOCH, 1)
        for field in (SLEEPERS, STAFFED, BUSY):
            _store(f, f.const("i32", 0), field)
        if not system.futex:
            for field, kind in ((MUTEX, "mutex"), (CONDITION, "cond")):
                _do(f, f"pthread_{kind}_init", _field(f, field), f.const("ptr", 0))
    f.ret()


def _define_parfor(module: Module, system: System) -> None:
    """Run `function(args, chunk)` for every chunk in `0 .. chunks - 1`.

    They are started in ascending order, so that a chunk may wait for an earlier one.
    """
    f = Function(module, PARFOR, [("ptr", "function"), ("ptr", "args"), ("i64", "chunks")],
                 internal=False)
    function, args, chunks = f.args

    def serial() -> None:
        f.loop(0, chunks, 1, [], lambda chunk, _: _do(f, function, args, chunk, result="void"))

    def parallel() -> None:
        free, taken = f.const("i32", 0), f.const("i32", 1)
        f.branch(_exchange(f, BUSY, free, taken), admitted, serial)

    def admitted() -> None:
        stale = f.compare("ne", _load(f, STAFFED), wanted)
        f.branch(stale, lambda: _do(f, "hire", wanted, result="void"))
        generation = _post(f, function, args, chunks)
        others = f.minimum(chunks - 1, f.const("i64", _EVERYBODY))
        _wake(f, system, f.cast("trunc", others, "i32"))
        f.call("run_chunks", "void", [generation])
        _join(f, system, chunks)
        _store(f, f.const("i32", 0), BUSY, "release")

    if system.threads:
        wanted = _load(f, WANTED, order="monotonic")
        f.branch((wanted > 1) & (chunks > 1), parallel, serial)
    else:
        serial()
    f.ret()


def _post(f: Function, function: Reg, args: Reg, chunks: Reg) -> Reg:
    """Write a job into its slot and announce it; gives its generation."""
    generation = _load(f, GENERATION) + 1
    slot = _slot(f, generation)
    for offset, value in ((0, function), (8, args), (16, chunks)):
        f.store(value, f.gep(slot, offset, "i8"))
    _store(f, f.const("i64", 0), FINISHED)
    # The counter before the generation: a worker that sees the new number may take chunks at once.
    _store(f, f.cast("zext", generation, "i64") << 32, COUNTER)
    _store(f, generation, GENERATION)
    return generation


def _join(f: Function, system: System, chunks: Reg) -> None:
    """Wait for the chunks that others still run; give way if it takes longer than a pause."""
    def spin(carried: list[Reg]) -> list[Reg]:
        pause(f, system, carried[0])
        return [carried[0] + 1]

    f.while_loop([f.const("i64", 0)], lambda _: _load(f, FINISHED, "i64") < chunks, spin)

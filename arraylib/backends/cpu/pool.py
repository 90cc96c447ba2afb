"""The thread pool as Python sees it: how many threads, where the native code is, and fork.

Compiled programs call `arraylib_parfor` directly (`symbols()` gives its address to the linker); see
`pool_code.py` for how it works. The number of threads is `config.cpu_threads`, or else what the
process's affinity and its control group allow. Workers start with the first parallel call.
"""

from __future__ import annotations

import ctypes
import functools
import math
import os
import platform
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from arraylib.backends.cpu import kept, machine, pool_state, target
from arraylib.backends.cpu.on_demand import part
from arraylib.backends.cpu.once import Once
from arraylib.config import config

if TYPE_CHECKING:
    from arraylib.backends.cpu.emitter import Function, Reg

# About 50 microseconds on current x86 cores: longer than the serial gaps between the kernels of a
# program, much shorter than a scheduler's time slice.
_SPINS = 2000


def symbols() -> dict[str, int]:
    """Addresses to import when a program that calls `arraylib_parfor` is linked."""
    _state()   # a pool whose number of threads is not set yet is serial
    return {pool_state.PARFOR: _library()[pool_state.PARFOR]}


def threads() -> int:
    """Threads that a parallel call may use, the caller among them; starts nothing."""
    if not is_linked():
        return config.cpu_threads or _within(_first_limit())
    return _setting(pool_state.WANTED).value


def is_linked() -> bool:
    """Whether the pool's code is in this process."""
    return _state.done()


def set_threads(count: int) -> None:
    """Use `count` threads from the next parallel call on, until the setting changes."""
    if count < 1:
        raise ValueError(f"a pool has at least 1 thread, not {count}")
    _set(_state(), count)


def _set(address: int, count: int) -> None:
    """So many threads; 0: as many as there are processors."""
    cpus = available_cpus()
    count = count or cpus
    spins = _SPINS if count <= cpus else 0
    ctypes.c_int32.from_address(address + pool_state.SPINS).value = spins
    ctypes.c_int32.from_address(address + pool_state.WANTED).value = count


def available_cpus() -> int:
    """Processors that affinity and control groups leave to this process, at least 1."""
    return _within(_cgroup_limit())


def _within(limit: float) -> int:
    """Processors that affinity leaves to this process, so many at most, but at least 1."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:
        count = os.cpu_count() or 1
    return max(1, math.ceil(min(count, limit)))


@functools.cache
def _first_limit() -> float:
    """The control groups' limit when first asked for: a program asks for each of its products, and
    to read the files takes a third of a millisecond."""
    return _cgroup_limit()


def system() -> pool_state.System:
    """What the pool's code needs to know about the machine this process runs on."""
    name = platform.machine().lower()
    is_x86 = name in ("x86_64", "amd64")
    if sys.platform == "win32":
        return pool_state.System(threads=False)
    futexes = {"x86_64": 202, "aarch64": 98} if sys.platform == "linux" else {}
    return pool_state.System(
        futex=futexes.get(name, 0),
        pause="llvm.x86.sse2.pause" if is_x86 else "isb" if name in ("arm64", "aarch64") else "",
        set_mask=signal.SIG_SETMASK)


def pause(f: Function, turn: Reg) -> None:
    """Inside a chunk that waits for an earlier one, which somebody runs: the turn-th pause."""
    part("pool_code").pause(f, system(), turn)


@Once
def _library() -> dict[str, int]:
    """Link the pool's code and give it its number of threads; survives a fork."""
    image = kept.built(
        [b"pool", repr(system()).encode()],
        lambda: part("pool_code").module(system(), target.new_module()).text())
    exports = (pool_state.PARFOR, pool_state.RESET, pool_state.STATE)
    addresses = target.link([image], exports)
    reset = ctypes.CFUNCTYPE(None)(addresses[pool_state.RESET])
    reset()
    if hasattr(os, "register_at_fork"):
        # The child has no workers, and a job another thread was running is not its own.
        os.register_at_fork(after_in_child=reset)
    return addresses


@Once
def _state() -> int:
    """The address of the pool's state, which follows `config.cpu_threads` from now on."""
    address: int = ctypes.CFUNCTYPE(ctypes.c_void_p)(_library()[pool_state.STATE])()
    _set(address, config.cpu_threads)
    config.watchers.setdefault("cpu_threads", []).append(lambda count: _set(address, count))
    return address


def _setting(offset: int) -> ctypes.c_int32:
    return ctypes.c_int32.from_address(_state() + offset)


def _cgroup_limit() -> float:
    """Processors' worth of time that control groups allow; infinity without a limit."""
    limits = [_read_quota(folder / "cpu.max") for folder in machine.cgroup_folders()]
    version_1 = machine.CGROUPS / "cpu"
    limits.append(_read_quota(version_1 / "cpu.cfs_quota_us", version_1 / "cpu.cfs_period_us"))
    return min(limits)


def _read_quota(*files: Path) -> float:
    """Quota / period, from one file with both numbers or two files with one each."""
    try:
        quota, period = " ".join(file.read_text() for file in files).split()
    except (OSError, ValueError):
        return math.inf
    return math.inf if quota in ("max", "-1") else int(quota) / int(period)

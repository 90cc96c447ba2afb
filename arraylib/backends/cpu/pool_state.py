"""The thread pool as both sides know it: its functions, its state's fields, its system."""

from __future__ import annotations

from typing import NamedTuple

PARFOR, RESET, STATE = "arraylib_parfor", "arraylib_pool_reset", "arraylib_pool_state"

# Offsets into the state; each group of fields that different threads write has its own lines.
GENERATION, SLEEPERS = 0, 4              # i32: number of the current job; threads asleep
SPINS, WANTED = 128, 132                 # i32, set from Python: pauses before sleep; threads
BUSY, STAFFED, EPOCH = 256, 260, 264     # i32: a job runs; threads hired for; hirings so far
COUNTER = 384                            # i64: generation << 32 | next chunk
FINISHED = 512                           # i64: chunks of this job that are done
SLOTS = 640                              # 16 jobs: function, args, chunks, padding
MUTEX, CONDITION = 1152, 1280            # for systems without futex
STATE_BYTES = 1408


class System(NamedTuple):
    """What differs between systems: how a thread pauses and sleeps, and how signals are blocked."""

    threads: bool = True        # False: no POSIX threads; parfor is a plain loop
    futex: int = 0              # number of the futex system call, 0 if there is none
    pause: str = ""             # instruction for spinning: an LLVM call, or nothing
    set_mask: int = 2           # SIG_SETMASK

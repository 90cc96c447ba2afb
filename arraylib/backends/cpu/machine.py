"""What the system leaves to this process: memory, as control groups and the machine allow."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def memory_bytes() -> int:
    """The bytes of memory that this process may have: 2 to the power of 62 if nothing is known.

    The least of the machine's memory and what control groups of either version allow.
    """
    try:
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        machine = 1 << 62
    version_1 = CGROUPS / "memory" / "memory.limit_in_bytes"
    files = [folder / "memory.max" for folder in cgroup_folders()]
    return int(min(machine, *(_number(file) for file in (*files, version_1))))


def cgroup_folders() -> list[Path]:
    """This process's control group (version 2) and those that contain it."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    paths = [Path(line[3:]) for line in lines if line.startswith("0::")]
    return [CGROUPS / str(folder).lstrip("/")
            for path in paths for folder in (path, *path.parents)]


def _number(file: Path) -> float:
    """The number in a file; infinity without one."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return math.inf

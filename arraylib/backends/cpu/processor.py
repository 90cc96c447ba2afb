"""LLVM, and what it says of this machine, which is kept on disk so that LLVM need not be loaded.

Loading LLVM takes 40 ms and 100 MB. A program that only builds graphs, or whose code is on disk,
does without it. What is kept is found by what the system says of its processor and by the files of
llvmlite, so that another processor or LLVM is asked anew.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from arraylib.backends.cpu import objects

_CPUINFO = Path("/proc/cpuinfo")
_BLOCK = 1 << 14  # bytes that hold what the file says of the first processor
_LINES = (b"vendor_id", b"cpu family", b"model", b"stepping", b"microcode", b"flags")


class Host(NamedTuple):
    """This machine by LLVM's names, and the versions of LLVM and of its binding."""

    triple: str
    cpu: str
    features: tuple[str, ...]  # the instruction sets it has
    feature_text: str
    llvm: str
    llvmlite: str


@functools.cache
def llvm() -> Any:
    """LLVM's binding, with the host's code generator started."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    binding.initialize_native_asmparser()
    return binding


@functools.cache
def host() -> Host:
    """This machine; from the disk cache if it has been there before."""
    evidence = _evidence()
    if evidence is None:
        return _asked()
    key = hashlib.blake2b(evidence, digest_size=20).hexdigest()
    stored = objects.load(key)
    if stored is not None:
        facts = json.loads(stored)
        return Host(**{**facts, "features": tuple(facts["features"])})
    found = _asked()
    objects.store(key, json.dumps(found._asdict()).encode())
    return found


def _asked() -> Host:
    """What LLVM says."""
    import llvmlite

    found = llvm().get_host_cpu_features()
    features = sorted(feature for feature, present in found.items() if present)
    return Host(llvm().get_process_triple(), llvm().get_host_cpu_name(), tuple(features),
                found.flatten(), ".".join(map(str, llvm().llvm_version_info)),
                llvmlite.__version__)


def _evidence() -> bytes | None:
    """All that the answer depends on; None where that is not known well enough."""
    spec = importlib.util.find_spec("llvmlite")
    if spec is None or not spec.origin:
        return None
    folder = Path(spec.origin).parent
    try:
        with _CPUINFO.open("rb") as file:
            block = file.read(_BLOCK).split(b"\n\n")[0]
        version = (folder / "_version.py").read_bytes()
        library = (folder / "binding" / "libllvmlite.so").stat()
    except OSError:
        return None
    lines = [line for line in block.splitlines() if line.startswith(_LINES)]
    if not any(line.startswith(b"flags") for line in lines):
        return None  # not an x86 processor: they may differ within one machine
    system = repr((os.uname().release, os.uname().machine, library.st_size, library.st_mtime_ns))
    return b"\n".join([b"host 1", system.encode(), *lines, version])

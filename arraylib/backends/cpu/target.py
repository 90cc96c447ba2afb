"""The machine that code is generated for, and, with `codegen.py`, what has LLVM generate it.

`compile_object` turns IR text into an object file: no middle-end passes run (the emitter writes
vector code already), code generation runs at level 2, or at level 0 for code that need not be fast.
Nearly all does without the pass that rewrites the counters of loops: it takes a third of the time,
and gains some hundredths in the loops of matrix products alone.
`link` loads code into the process: images by themselves, other object files through LLVM.
Object files hold no addresses of this process, so they can be cached under `fingerprint()`.
"""

from __future__ import annotations

import functools
import itertools
import os
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from arraylib.backends.cpu import image
from arraylib.backends.cpu.on_demand import part
from arraylib.backends.cpu.processor import host, llvm
from arraylib.config import config
from arraylib.errors import ArgumentError, mistake

if TYPE_CHECKING:
    from arraylib.backends.cpu.module import Module

CODEGEN_LEVEL = 2


class Target(NamedTuple):
    """A processor: LLVM's name for it and the instruction sets that code may use."""

    triple: str
    cpu: str
    features: frozenset[str]
    feature_text: str

    def has(self, feature: str) -> bool:
        """Whether code may use an instruction set, by LLVM's name (`"avx512bf16"`)."""
        return feature in self.features

    def vector_bytes(self) -> int:
        """Width of the widest vector register: 64, 32 or 16."""
        if self.has("avx512f"):
            return 64
        return 32 if self.has("avx2") else 16

    def new_module(self) -> Module:
        """An empty module whose code suits this target."""
        empty: Module = part("module").Module(8 * self.vector_bytes(), self.features)
        return empty


# What each x86-64 level adds, in LLVM's feature names (the System V ABI's levels).
_LEVEL_2 = {"sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "cx16", "sahf"}
_LEVEL_3 = _LEVEL_2 | {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave"}
_LEVEL_4 = _LEVEL_3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
_BFLOAT16 = {"avx512bf16"}

# The processors that can be asked for: LLVM's name and the instruction sets that matter here.
_PROCESSORS: dict[str, tuple[str, set[str]]] = {
    "sse2": ("x86-64", set()), "avx2": ("x86-64-v3", _LEVEL_3), "avx512": ("x86-64-v4", _LEVEL_4),
    "x86-64": ("x86-64", set()), "x86-64-v2": ("x86-64-v2", _LEVEL_2),
    "x86-64-v3": ("x86-64-v3", _LEVEL_3), "x86-64-v4": ("x86-64-v4", _LEVEL_4),
    "haswell": ("haswell", _LEVEL_3), "znver3": ("znver3", _LEVEL_3),
    "skylake-avx512": ("skylake-avx512", _LEVEL_4), "znver4": ("znver4", _LEVEL_4 | _BFLOAT16),
    "znver5": ("znver5", _LEVEL_4 | _BFLOAT16),
    "sapphirerapids": ("sapphirerapids", _LEVEL_4 | _BFLOAT16),
    "neon": ("generic", {"neon", "fma"}),
    "generic-arm": ("generic", {"neon", "fma"}), "apple-m1": ("apple-m1", {"neon", "fma"}),
    "neoverse-n1": ("neoverse-n1", {"neon", "fma"})}


_TRIPLES = {"x86_64": "x86_64-unknown-linux-gnu", "aarch64": "aarch64-unknown-linux-gnu"}


def _triple(name: str) -> str:
    """This machine's system, unless the processor is of another kind."""
    here = host().triple
    if not name or name not in _PROCESSORS:
        return here
    kind = "aarch64" if "neon" in _PROCESSORS[name][1] else "x86_64"
    return here if _kind(here) == kind else _TRIPLES[kind]


def _kind(triple: str) -> str:
    """The family of processors that a triple is for."""
    first = triple.split("-")[0]
    return "aarch64" if first.startswith("arm64") else first


def find(name: str, triple: str | None = None) -> Target:
    """A named processor; the empty name is the machine this process runs on.

    One of another family than this machine's is for Linux. ValueError for a name that is not in
    the table.
    """
    triple = triple or _triple(name)
    if not name:
        features = frozenset(host().features)
        if "neon" in features:
            features |= {"fma"}  # part of NEON there, not a feature of its own
        return Target(triple, host().cpu, features, host().feature_text)
    if name not in _PROCESSORS:
        raise ValueError(f"cpu_target {name!r} is not one of {', '.join(_PROCESSORS)}")
    cpu, known = _PROCESSORS[name]
    return Target(triple, cpu, frozenset(known), "")


@functools.cache
def _current(name: str) -> Target:
    return find(name)


def current() -> Target:
    """The target that `config.cpu_target` selects."""
    return _current(config.cpu_target)


def has(feature: str) -> bool:
    """Whether the current target has an instruction set."""
    return current().has(feature)


def vector_bytes() -> int:
    """Width of the current target's vector registers in bytes."""
    return current().vector_bytes()


def new_module() -> Module:
    """An empty module for the current target."""
    return current().new_module()


def _new_machine(target: Target, level: int = CODEGEN_LEVEL) -> Any:
    """A code generator; making one costs a millisecond."""
    if _kind(target.triple) != _kind(llvm().get_process_triple()):
        llvm().initialize_all_targets()
        llvm().initialize_all_asmprinters()
    found = llvm().Target.from_triple(target.triple)
    return found.create_target_machine(
        cpu=target.cpu, features=target.feature_text, opt=level, reloc="pic",
        codemodel="small", jit=True)


_idle: dict[tuple[Target, int], list[Any]] = {}  # code generators that no thread uses


@contextmanager
def _machine(target: Target, level: int = CODEGEN_LEVEL) -> Iterator[Any]:
    """A code generator of this thread's own."""
    idle = _idle.setdefault((target, level), [])
    try:
        machine = idle.pop()
    except IndexError:
        machine = _new_machine(target, level)
    try:
        yield machine
    finally:
        idle.append(machine)


@functools.cache
def _header(target: Target) -> str:
    """The lines that say what a module is for."""
    with _machine(target) as machine:
        layout = machine.target_data
    return f'target triple = "{target.triple}"\ntarget datalayout = "{layout}"\n'


def _parse(text: str) -> Any:
    module = llvm().parse_assembly(text)
    module.verify()
    return module


def compile_object(text: str, target: Target | None = None, *, quick: bool = False,
                   counters: bool = True) -> bytes:
    """Object file of a module's text. Raises RuntimeError, LLVM's message, for malformed IR.

    Being `quick` takes a tenth of the time, and its code three times as long to run. With
    `counters`, LLVM may rewrite what loops count with (loop strength reduction). Threads may call
    this at one time.
    """
    target = target or current()
    whole = _header(target) + text
    with _machine(target, 0 if quick else CODEGEN_LEVEL) as machine, _rewriting(counters, quick):
        content: bytes | None = part("codegen").generate(llvm(), machine, whole)
        if content is None:
            content = machine.emit_object(_parse(whole))
        return content


def assembly(text: str, target: Target | None = None, counters: bool = True) -> str:
    """The instructions that `compile_object` would produce, as text."""
    target = target or current()
    with _machine(target) as machine, _rewriting(counters):
        found: str = machine.emit_assembly(_parse(_header(target) + text))
    return found


class _Option:
    """LLVM's option for loop strength reduction, which the threads of a process have in common.

    Who wants it the other way waits until nobody is generating code. Nobody being there, it is
    LLVM's default: what other users of the binding compile meanwhile may be without that pass,
    which costs them only speed.
    """

    def __init__(self) -> None:
        self._renew()
        self._on: bool | None = True
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def _renew(self) -> None:
        self._changed = threading.Condition()
        self._users = 0

    def _forked(self) -> None:
        """Who was at it in the parent is not in the child, and would be waited for without end.

        How the option is, nobody knows if one of them was changing it: the next user sets it. Here
        that might wait for the binding's own lock.
        """
        self._renew()
        self._on = None

    def enter(self, on: bool) -> None:
        """Wait until it can be so, and have it so until `leave`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._users or self._on == on)
            self._set(on)
            self._users += 1

    def leave(self) -> None:
        """Be done."""
        with self._changed:
            self._users -= 1
            if not self._users:
                self._set(True)
                self._changed.notify_all()

    def _set(self, on: bool) -> None:
        if self._on != on:
            llvm().set_option("", f"-disable-lsr={int(not on)}")
            self._on = on


_option = _Option()


@contextmanager
def _rewriting(counters: bool, quick: bool = False) -> Iterator[None]:
    """Code generation with or without loop strength reduction; where it is quick it has none."""
    if quick:
        yield
        return
    _option.enter(counters)
    try:
        yield
    finally:
        _option.leave()


@functools.cache
def _linker() -> Any:
    """The process's linker; immortal, since code that it placed may run until the very end."""
    return llvm().create_lljit_compiler(_new_machine(current()), use_jit_link=True)


def check_runs() -> None:
    """ArgumentError if this machine cannot run code for the current target."""
    if config.cpu_target:
        _check_runs(current())


@functools.cache
def _check_runs(target: Target) -> None:
    here = _current("")
    if _kind(target.triple) != _kind(here.triple):
        lacking = _kind(target.triple)
    elif missing := target.features - here.features:
        lacking = ", ".join(sorted(missing))
    else:
        return
    raise mistake(
        ArgumentError, "cpu_target", f"this machine, {here.cpu}, cannot run code for {target.cpu}: "
        f"it lacks {lacking}", hint="jit(f).lower(x).text('asm') shows the code; to run it, leave "
        "config.cpu_target empty")


_library_numbers = itertools.count()
# Linked code lives for ever: objects made by it may outlive every Python reference to it.
_linked: list[Any] = []


def loadable(content: bytes, others: Collection[str] = ()) -> bytes:
    """An object file as an image, if it can be one; an image as it is.

    `others` are symbols of what is loaded before it.
    """
    if image.is_image(content):
        return content
    found: bytes | None = part("elf").image_of(content, others)
    return content if found is None else found


def all_loadable(objects: Sequence[bytes]) -> list[bytes]:
    """The object files of one program as images, if all can be; each may use those before it."""
    if len(objects) == 1:
        return [loadable(objects[0])]
    found, names = list[bytes](), set[str]()
    for content in objects:
        found.append(loadable(content, names))
        if not image.is_image(found[-1]):
            return list(objects)
        names.update(image.read(found[-1]).exports)
    return found


def link(objects: Sequence[bytes], exports: Sequence[str],
         imports: Mapping[str, int] | None = None) -> dict[str, int]:
    """Load images, or object files, together and return the addresses of the exported symbols.

    `imports` gives addresses for symbols that they leave open; other open symbols are those of
    objects before, or are looked up in the process (libc, libm, CPython).
    """
    contents = objects if all(map(image.is_image, objects)) else all_loadable(objects)
    if not all(map(image.is_image, contents)):
        return _link_by_llvm(contents, exports, imports or {})
    found = dict(imports or {})
    for content in contents:
        found |= image.placed(content, found)
    return {name: found[name] for name in exports}


def _link_by_llvm(objects: Sequence[bytes], exports: Sequence[str],
                  imports: Mapping[str, int]) -> dict[str, int]:
    builder = llvm().JITLibraryBuilder()
    for content in objects:
        builder.add_object_img(content)
    builder.add_current_process()
    for name, address in imports.items():
        builder.import_symbol(name, address)
    for name in exports:
        builder.export_symbol(name)
    # A library's name cannot be used again, not even after a fork that shares the counter.
    library = builder.link(_linker(), f"arraylib_{os.getpid()}_{next(_library_numbers)}")
    _linked.append(library)
    return {name: library[name] for name in exports}


def linked() -> list[Any]:
    """What keeps the code that LLVM linked in memory."""
    return [_linker(), *_linked] if _linked else []


def fingerprint() -> str:
    """Everything beside the text that an object file depends on, for cache keys."""
    return "; ".join(f"{name} {value}" for name, value in facts().items())


def facts() -> dict[str, str]:
    """The parts of the fingerprint."""
    target = current()
    return {"llvmlite": host().llvmlite, "llvm": host().llvm, "triple": target.triple,
            "processor": target.cpu, "features": target.feature_text,
            "codegen": f"{CODEGEN_LEVEL} pic small"}

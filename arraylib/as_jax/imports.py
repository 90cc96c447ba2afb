"""Answers to imports: modules that look their names up in ours, and a list of what is missing."""

from __future__ import annotations

import atexit
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any

from arraylib.as_jax.names import BELOW, MODULES, PRIVATE
from arraylib.config import config, flags_of_xla
from arraylib.errors import ArgumentError, mistake
from arraylib.record import record

TABLE = MODULES | PRIVATE
_ROOTS = {name for name in TABLE if "." not in name}
_NOTHING = object()
_BESIDE = __name__.rpartition(".")[0]


@record
class Missing:
    """A name of JAX that a program asked for, and the line that did."""

    name: str
    where: str

    def __str__(self) -> str:
        return f"{self.name}  {self.where}"


_missing: dict[Missing, None] = {}  # in the order in which they were asked for


def missing() -> list[Missing]:
    """The names of JAX that were asked for in this process and that this library lacks.

    A program that has an answer of its own (`hasattr`, `except ImportError`) is listed too.
    """
    return list(_missing)


def report() -> str:
    """`missing()` for people: one line a name, with all the lines that asked for it."""
    places: dict[str, list[str]] = {}
    for found in _missing:
        places.setdefault(found.name, []).append(found.where)
    width = max(map(len, places), default=0)
    return "\n".join(f"  {name:{width}}  {', '.join(places[name])}" for name in sorted(places))


def install(report: bool = False) -> None:
    """Answer imports of `jax` and its modules from now on; a second call changes nothing.

    Args:
        report: print what was asked for and is missing to standard error when the process ends.

    Raises: ArgumentError if JAX itself has been imported in this process.

        >>> import arraylib.as_jax
        >>> arraylib.as_jax.install()
        >>> import jax.numpy as jnp
        >>> jnp.arange(3) + 1
        Array([1, 2, 3], dtype=int32)
    """
    loaded = [sys.modules[root] for root in sorted(_ROOTS) if root in sys.modules]
    if any(not isinstance(module, StandIn) for module in loaded):
        raise mistake(ArgumentError, "as_jax.install", "jax has been imported in this process",
                      hint="install before anything imports it: python -m arraylib.as_jax SCRIPT")
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())
    if report:
        atexit.unregister(_print_report)
        atexit.register(_print_report)


def _print_report() -> None:
    if _missing:
        print(f"as_jax: the program asked for {len({found.name for found in _missing})} names of "
              f"JAX that arraylib lacks:\n{report()}", file=sys.stderr)


class StandIn(ModuleType):
    """A module under JAX's name: each name is looked up in ours when it is first asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"arraylib in place of {name}.")
        self.__path__: list[str] = []  # so that modules may be imported below it

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return [found for found in dir(self) if not found.startswith("_")]
        if name.startswith("__") and name not in ("__version__", "__version_info__"):
            raise AttributeError(name)  # what Python itself asks of modules
        full = f"{self.__name__}.{name}"
        known = answers(full) is not None
        value = importlib.import_module(full) if known else _found(self.__name__, name)
        if value is _NOTHING:
            _note(full)
            raise AttributeError(f"arraylib has no answer to {full!r}")
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        prefix = f"{self.__name__}."
        names = {name.removeprefix(prefix) for name in MODULES if name.startswith(prefix)}
        for source in _sources(self.__name__):
            names |= {name for name in dir(source) if not name.startswith("_")
                      and (not isinstance(getattr(source, name), ModuleType)
                           or answers(prefix + name) is not None)}
        return sorted(name for name in names if "." not in name)


@cache
def answers(module: str) -> tuple[str, ...] | None:
    """The modules of ours that answer for one of JAX; None if it is missing."""
    if module not in TABLE and module.startswith(tuple(f"{parent}." for parent in BELOW)):
        same = module.removeprefix("jax.")
        parent = module.rpartition(".")[0]
        if any(source == same.rpartition(".")[0] and hasattr(place, "__path__")
               for source, place in zip(answers(parent) or (), _sources(parent))):
            return (same,) if importlib.util.find_spec(_ours(same)) else None
    return TABLE.get(module)


def _sources(module: str) -> list[Any]:
    return [importlib.import_module(_ours(source)) for source in answers(module) or ()]


def _ours(source: str) -> str:
    """The full name of a module of ours that the table names."""
    if source.startswith("here."):
        return _BESIDE + source.removeprefix("here")
    return f"arraylib.{source}".removesuffix(".")


def _found(module: str, name: str) -> Any:
    """What ours have under this name, which is no module of ours; _NOTHING if they have none."""
    for source in _sources(module):
        value = getattr(source, name, _NOTHING)
        if value is not _NOTHING and not isinstance(value, ModuleType):
            return value
    return _NOTHING


def follow_flags(flags: str) -> None:
    """Take from XLA's flags how many devices there are, which programs set before they import jax.

    The other flags are XLA's own.
    """
    count = re.search(r"--xla_force_host_platform_device_count=(\d+)", flags)
    if count and config.num_cpu_devices == 1:
        config.update("num_cpu_devices", int(count[1]))


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds JAX's modules in the table; those that are not there are missing."""

    def find_spec(self, fullname: str, path: Sequence[str] | None = None,
                  target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        root = fullname.partition(".")[0]
        if root not in _ROOTS:
            return None
        if answers(fullname) is not None:
            return importlib.util.spec_from_loader(fullname, self, is_package=True)
        parent, _, name = fullname.rpartition(".")
        if not hasattr(sys.modules.get(parent), name):  # which notes that it is missing
            _note(fullname)
        raise ModuleNotFoundError(f"arraylib has no answer to {fullname!r}", name=fullname)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        if spec.name == "jax":
            follow_flags(flags_of_xla())
            config.numpy_functions = "numpy"  # which is what the program knows
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is executed: names are looked up when they are asked for."""


def _note(name: str) -> None:
    """Remember that the innermost frame outside of imports asked for a missing name."""
    frame = sys._getframe(1)
    while frame.f_back is not None and (
            frame.f_code.co_filename == __file__ or "importlib" in frame.f_code.co_filename):
        frame = frame.f_back
    _missing[Missing(name, f"{frame.f_code.co_filename}:{frame.f_lineno}")] = None

"""The compiled library: an object file for each piece, made at its first use and kept on disk."""

from __future__ import annotations

import functools
import sys

from arraylib.backends.cpu import emitter, llvm_types, target
from arraylib.backends.cpu.emitter import Module
from arraylib.backends.cpu.gemm.pieces import PREFIX, define, is_quick
from arraylib.backends.cpu.libraries import linked


def is_symbol(name: str) -> bool:
    """Whether an imported symbol is a piece of this library."""
    return name.startswith(PREFIX)


def symbols(name: str) -> dict[str, int]:
    """The address to import when a program that names a piece is linked."""
    return {name: address(name)}


def address(name: str) -> int:
    """Where a piece is, compiled and linked if need be."""
    return _address(name, target.current())


@functools.cache
def _address(name: str, machine: target.Target) -> int:
    sources = [sys.modules[__package__], emitter, llvm_types]
    return linked(name, [name], sources, lambda: module(name, machine).text(),
                  quick=is_quick(name))[name]


def module(name: str, machine: target.Target) -> Module:
    """The code of a piece on a machine."""
    empty = machine.new_module()
    define(empty, name, machine)
    return empty

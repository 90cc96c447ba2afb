"""The compiled library: an object file for each piece, made at its first use and kept on disk."""

from __future__ import annotations

from arraylib.backends.cpu import target
from arraylib.backends.cpu.emitter import Module
from arraylib.backends.cpu.gemm.pieces import PREFIX, define, is_quick, is_tight
from arraylib.backends.cpu.making import Piece


def is_symbol(name: str) -> bool:
    """Whether an imported symbol is a piece of this library."""
    return name.startswith(PREFIX)


def piece(name: str) -> Piece:
    """What is made where a program names it."""
    return Piece(name, lambda: module(name, target.current()).text(), is_quick(name),
                 is_tight(name))


def module(name: str, machine: target.Target) -> Module:
    """The code of a piece on a machine."""
    empty = machine.new_module()
    define(empty, name, machine)
    return empty

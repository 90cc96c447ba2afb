"""The compiled library: an object file for each entry, made at its first use and kept on disk."""

from __future__ import annotations

from arraylib.backends.cpu import pool_code, target
from arraylib.backends.cpu.attention.backward import define_backward
from arraylib.backends.cpu.attention.descriptor import PREFIX, Word, tile_of
from arraylib.backends.cpu.attention.forward import define_forward
from arraylib.backends.cpu.attention.lines import define_lines
from arraylib.backends.cpu.attention.scores import define_scores
from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.gemm.packing import define_packed
from arraylib.backends.cpu.making import Piece

DTYPES = ("f32", "bf16", "f16", "f64")


def is_symbol(name: str) -> bool:
    """Whether an imported symbol is an entry of this library."""
    return name.startswith(PREFIX)


def piece(name: str) -> Piece:
    """What is made where a program names it."""
    return Piece(name, lambda: module(name, target.current()).text())


def module(name: str, machine: target.Target) -> Module:
    """All code behind an entry on a machine, but for micro-kernels."""
    dtype, way, scores = name.removeprefix(PREFIX).split(".")
    tile, empty = tile_of(dtype), machine.new_module()
    define_packed(empty, "pack_a", tile, tile.a_width)
    define_packed(empty, "pack_b", tile, tile.columns)
    define_lines(empty, tile)
    define_scores(empty, tile, plain=scores == "plain")
    {"forward": define_forward, "backward": define_backward}[way](empty, tile)
    _define_entry(empty, name, way)
    return empty


def _define_entry(module: Module, name: str, kind: str) -> None:
    """`name(descriptor, scratch)`: all chunks, in parallel."""
    _define_chunk(module, kind)
    f = Function(module, name, [("ptr", "descriptor"), ("ptr", "scratch")], internal=False)
    descriptor, scratch = f.args
    args = f.alloca("ptr", 2)
    f.store(descriptor, args)
    f.store(scratch, f.gep(args, 1, "ptr"))
    chunks = _word(f, descriptor, Word.CHUNKS)
    f.call(pool_code.PARFOR, "void", [f.address(f"{kind}_chunk"), args, chunks])
    f.ret()


def _define_chunk(module: Module, kind: str) -> None:
    """A chunk's tasks, with its own piece of scratch memory."""
    f = Function(module, f"{kind}_chunk", [("ptr", "args"), ("i64", "chunk")])
    args, chunk = f.args
    descriptor = f.load(args, "ptr")
    scratch = f.gep(f.load(f.gep(args, 1, "ptr"), "ptr"),
                    chunk * _word(f, descriptor, Word.CHUNK_BYTES), "i8")
    start = chunk * _word(f, descriptor, Word.TASKS_PER_CHUNK)
    stop = f.minimum(start + _word(f, descriptor, Word.TASKS_PER_CHUNK),
                     _word(f, descriptor, Word.TASKS))

    def task(number: Reg, _: list[Reg]) -> None:
        f.call(f"{kind}_part", "void", [descriptor, scratch, number])

    f.loop(start, stop, 1, [], task)
    f.ret()


def _word(f: Function, descriptor: Reg, word: Word) -> Reg:
    return f.load(f.gep(descriptor, int(word), "i64"), "i64")

"""What the parts of a program's code generator share: the function being written and its scopes.

A Scope says where the buffers of one plan are. An address is emitted anew at each use: it is a load
and an addition, cheaper than keeping hundreds of them in registers across calls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from arraylib.backends.cpu.arena import Layout
from arraylib.backends.cpu.emitter import Function, Reg
from arraylib.backends.cpu.host import HostCall
from arraylib.backends.lower.plan import Buffer, Plan, View, row_major

CONSTANT_BYTES = 1 << 12  # larger constants are not part of the code: the context points to them

Place: TypeAlias = Callable[[], Reg]  # emits the address of a buffer


@dataclass(eq=False)
class Writer:
    """The native function of a program, and what it needs from outside."""

    function: Function
    arena: Reg
    context: Reg
    arguments: Reg  # room for the pointers of one kernel call
    descriptor: Reg | None = None  # room for that of a matrix product
    kernels: dict[Any, str] = field(default_factory=dict)  # kernel key -> function name
    constants: list[np.ndarray[Any, Any]] = field(default_factory=list)  # context words 1, 2, ...
    host_calls: list[HostCall] = field(default_factory=list)
    placed_constants: dict[int, Place] = field(default_factory=dict)

    def offset(self, pointer: Reg, nbytes: int | Reg) -> Reg:
        """An address some bytes further on."""
        return self.function.gep(pointer, nbytes, "i8")

    def word(self, words: Reg, index: int) -> Reg:
        """A pointer out of an array of them."""
        return self.function.load(self.function.gep(words, index, "ptr"), "ptr")

    def copy(self, target: Reg, source: Reg, nbytes: int) -> None:
        """Copy memory that does not overlap."""
        f = self.function
        f.call("llvm.memcpy.p0.p0.i64", "void",
               [target, source, f.const("i64", nbytes), f.const("i1", 0)])

    def constant(self, buffer: Buffer) -> Place:
        """Where a constant is: in the module if it is small, else behind a word of the context."""
        found = self.placed_constants.get(id(buffer))
        if found is None:
            assert buffer.constant is not None
            data = np.ascontiguousarray(buffer.constant)
            found = self.placed_constants[id(buffer)] = self._place_constant(data)
        return found

    def _place_constant(self, data: np.ndarray[Any, Any]) -> Place:
        if data.nbytes > CONSTANT_BYTES:
            self.constants.append(data)
            number = len(self.constants)
            return lambda: self.word(self.context, number)
        return lambda: self.data(data.tobytes())

    def data(self, content: bytes) -> Reg:
        """The address of these bytes, which become part of the module, once."""
        name = f"constant_{hashlib.blake2b(content, digest_size=8).hexdigest()}"
        text = "".join(f"\\{byte:02X}" for byte in content)
        self.function.module.add_global(name, f"[{len(content)} x i8]", f'c"{text}"', constant=True)
        return self.function.address(name)


@dataclass(frozen=True, eq=False)
class Scope:
    """The places of one plan's buffers: given from outside, or in the arena from `base` on."""

    writer: Writer
    layout: Layout
    base: int
    places: dict[Buffer, Place]

    def place(self, buffer: Buffer) -> Reg:
        """Emit the address of a buffer."""
        if buffer.constant is not None:
            return self.writer.constant(buffer)()
        place = self.places.get(buffer)
        if place is not None:
            return place()
        return self.writer.offset(self.writer.arena, self.base + self.layout.offsets[buffer])

    def address(self, view: View) -> Reg:
        """Emit the address of a view's first element."""
        return self.writer.offset(self.place(view.buffer), view.offset * view.dtype.itemsize)

    def dense(self, view: View) -> Reg:
        """The address of a view that has to be in row-major order."""
        assert view.strides == row_major(view.shape), f"a strided view where none can be: {view}"
        return self.address(view)

    def spare(self, nbytes: int) -> Place:
        """The place at an offset of this plan's arena."""
        return lambda: self.writer.offset(self.writer.arena, self.base + nbytes)


def inner_scope(outer: Scope, plan: Plan, layout: Layout, base: int,
                inputs: Sequence[Place], outputs: Sequence[Place]) -> Scope:
    """The scope of a plan inside a step: its inputs and outputs are where the step says."""
    places = dict(zip(plan.inputs, inputs, strict=True))
    for buffer, place in zip(plan.outputs, outputs, strict=True):
        places.setdefault(buffer, place)
    return Scope(outer.writer, layout, base, places)


def copy_repeated(scope: Scope, plan: Plan, outputs: Sequence[Place]) -> None:
    """After the steps of a plan: an output listed again is copied to its other places."""
    first: dict[Buffer, int] = {}
    for number, buffer in enumerate(plan.outputs):
        if first.setdefault(buffer, number) != number and buffer.type.nbytes:
            scope.writer.copy(outputs[number](), outputs[first[buffer]](), buffer.type.nbytes)

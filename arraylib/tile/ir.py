"""The kernel IR: loop nests over flat memory, written for one element at a time.

A Kernel is run for chunk numbers 0, 1, ... in any order or at once. Its statements define values
(single assignment; a value is visible to the end of the block that defines it), load and store
elements, and repeat blocks in a Nest. A Nest with `lanes` says that the turns of its innermost
loop are independent, so that a backend runs many at once in a vector; what such a nest carries
out are Reductions, whose order of combination is the backend's but fixed. There are no vectors
and no masks in the IR: the backend chooses the width and deals with the ends.

    kernel(p0: read f32, p1: write f32):
      %0 = maximum(...)
      lanes %1 in 0..1024 { %2 = p0[%1]; %3 = exponential %2; p1[%1] = %3 }

Places in memory are affine Indexes: `offset + sum(coefficient * value)`, in elements, from the
address that the kernel was given. Two kernels that do the same print the same text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from arraylib import dtypes as dt
from arraylib.record import field, record

Dtype: TypeAlias = "np.dtype[Any]"

READ, WRITE, LOCAL = "read", "write", "local"


@record(slots=True)
class Value:
    """A number that a statement defines: one per lane inside a nest with lanes."""

    number: int
    dtype: Dtype

    def __str__(self) -> str:
        return f"%{self.number}"


@record(slots=True)
class Index:
    """An affine expression of int64 values: a place in memory, or a bound of a loop."""

    offset: int = 0
    terms: tuple[tuple[Value, int], ...] = ()

    def __add__(self, other: Index | int) -> Index:
        if isinstance(other, int):
            return Index(self.offset + other, self.terms)
        total = dict(self.terms)
        for value, factor in other.terms:
            total[value] = total.get(value, 0) + factor
        terms = tuple((value, factor) for value, factor in total.items() if factor)
        return Index(self.offset + other.offset, terms)

    def __mul__(self, factor: int) -> Index:
        if not factor:
            return Index()
        return Index(self.offset * factor, tuple((v, c * factor) for v, c in self.terms))

    def coefficient(self, value: Value) -> int:
        """What `value` is multiplied by."""
        return next((factor for v, factor in self.terms if v is value or v == value), 0)

    def __str__(self) -> str:
        parts = [f"{factor} * {v}" if factor != 1 else str(v) for v, factor in self.terms]
        return " + ".join(parts + [str(self.offset)] * (self.offset != 0 or not parts))


def index(value: Value, factor: int = 1) -> Index:
    """`factor * value`."""
    return Index(0, ((value, factor),)) if factor else Index()


@record(slots=True)
class Pointer:
    """An argument of the kernel, or (LOCAL) room of `size` elements that only one chunk sees."""

    number: int
    dtype: Dtype
    kind: str
    size: int = 0

    def __str__(self) -> str:
        return f"p{self.number}"


@record(slots=True)
class Constant:
    """A number written in the program."""

    result: Value
    value: bool | int | float

    def __str__(self) -> str:
        return f"{self.result} = constant {self.value!r} : {dt.short_name(self.result.dtype)}"


@record(slots=True)
class Count:
    """An index as a number of the result's dtype, wrapped if it does not fit."""

    result: Value
    index: Index

    def __str__(self) -> str:
        return f"{self.result} = count {self.index} : {dt.short_name(self.result.dtype)}"


@record(slots=True)
class Load:
    """The element at an index."""

    result: Value
    pointer: Pointer
    index: Index

    def __str__(self) -> str:
        return f"{self.result} = {self.pointer}[{self.index}]"


@record(slots=True)
class Store:
    """Write an element; `stream` says that nothing will read it soon."""

    pointer: Pointer
    index: Index
    value: Value
    stream: bool = False

    def __str__(self) -> str:
        return f"{self.pointer}[{self.index}] = {self.value}{' stream' if self.stream else ''}"


@record(slots=True)
class Prefetch:
    """A hint that an element will be read soon. The index may lie outside: nothing is read then."""

    pointer: Pointer
    index: Index

    def __str__(self) -> str:
        return f"prefetch {self.pointer}[{self.index}]"


@record(slots=True)
class Apply:
    """An elementwise operation of the graph's table."""

    result: Value
    op: str
    operands: tuple[Value, ...]
    attrs: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        attrs = "".join(f" {name}={_attribute(value)}" for name, value in self.attrs)
        operands = " ".join(map(str, self.operands))
        return f"{self.result} = {self.op} {operands}{attrs} : {dt.short_name(self.result.dtype)}"


def _attribute(value: Any) -> str:
    return dt.short_name(value) if isinstance(value, np.dtype) else str(value)


@record(slots=True)
class Reduction:
    """All turns of a nest combined into one by `op`, starting from nothing.

    `op` is an elementwise operation of two operands (add, maximum, ...). argmax and argmin
    combine pairs (value, place): the extreme value (nan above all) with the lowest place.
    """

    results: tuple[Value, ...]
    op: str
    values: tuple[Value, ...]  # defined by the nest's body

    def __str__(self) -> str:
        return f"{' '.join(map(str, self.results))} = {self.op} {' '.join(map(str, self.values))}"


def identity(op: str, dtype: Dtype) -> float:
    """What a reduction by `op` starts from: combined with anything it gives that."""
    if op in ("add", "or"):
        return 0
    if op == "multiply":
        return 1
    if dt.is_bool(dtype):
        return op != "maximum"
    if op == "and":
        return -1 if dt.is_signed(dtype) else dt.iinfo(dtype).max
    if dt.is_float(dtype) and dt.has_infinity(dtype):
        return -math.inf if op == "maximum" else math.inf
    limits = dt.finfo(dtype) if dt.is_float(dtype) else dt.iinfo(dtype)
    extreme = limits.min if op == "maximum" else limits.max
    return float(extreme) if dt.is_float(dtype) else int(extreme)


@record(slots=True)
class Nest:
    """Loops one in the other: index i goes from lows[i] to highs[i] - 1.

    With `lanes`, the turns of the last loop are independent of one another; every extent of it is
    a multiple of `multiple`. `registers` is how many vector registers wide a turn had best be.
    Without `lanes` turns run in order, unless they are `independent`: then some may run at once,
    which lets a backend turn squares of elements over where memory is contiguous along this loop.
    """

    indices: tuple[Value, ...]
    lows: tuple[Index, ...]
    highs: tuple[Index, ...]
    body: tuple[Statement, ...]
    reductions: tuple[Reduction, ...] = ()
    lanes: bool = False
    multiple: int = 1
    registers: int = 1
    independent: bool = False


@record(slots=True)
class When:
    """Run a block only where the condition, a truth value that is the same in all lanes, holds."""

    condition: Value
    body: tuple[Statement, ...]


Statement: TypeAlias = Constant | Count | Load | Store | Prefetch | Apply | Nest | When


@record
class Kernel:
    """A program over memory; `chunk` is the number it is run for.

    A kernel with `copies` writes just what it reads: where both are the same memory it may be
    left out. One with an `extent` is told at run time how long its arrays are. A `brief` one is
    better compiled quickly than run quickly.
    """

    pointers: tuple[Pointer, ...]
    chunk: Value
    body: tuple[Statement, ...] = field(repr=False)
    copies: bool = False
    extent: Value | None = None
    brief: bool = False

    @cached_property
    def text(self) -> str:
        """The kernel for people to read."""
        pointers = ", ".join(
            f"{p}: {p.kind} {dt.short_name(p.dtype)}" + f"[{p.size}]" * (p.kind == LOCAL)
            for p in self.pointers)
        extent = f", extent {self.extent}" if self.extent else ""
        facts = " copies" * self.copies + " brief" * self.brief
        head = f"kernel{facts}({pointers}), chunk {self.chunk}{extent}:"
        return "\n".join([head, *_lines(self.body, "  ")])

    def key(self) -> str:
        """Equal for kernels that do the same: each is compiled once."""
        return self.text

    def __hash__(self) -> int:
        return hash(self.text)


def _lines(body: tuple[Statement, ...], indent: str) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, Nest):
            yield from _nest_lines(statement, indent)
        elif isinstance(statement, When):
            yield f"{indent}when {statement.condition}:"
            yield from _lines(statement.body, indent + "  ")
        else:
            yield indent + str(statement)


def _nest_lines(nest: Nest, indent: str) -> Iterator[str]:
    ranges = ", ".join(f"{i} in {low}..{high}"
                       for i, low, high in zip(nest.indices, nest.lows, nest.highs))
    facts = f" (multiple {nest.multiple}, registers {nest.registers})" if nest.lanes else ""
    word = "lanes" if nest.lanes else "each" if nest.independent else "for"
    yield f"{indent}{word} {ranges}{facts}:"
    yield from _lines(nest.body, indent + "  ")
    for reduction in nest.reductions:
        yield f"{indent}{reduction}"

"""A kernel of the kernel IR as one LLVM function on explicit vectors.

`emit_kernel` makes `void name(ptr args, i64 chunk)`; `args` points to the addresses of the
kernel's arguments, after which comes its extent if it has one. A nest with lanes becomes a loop
over vectors, as wide as the widest element they hold allows times the nest's `registers` (LLVM
splits wider vectors, which gives as many independent sums); what is left at the end is done under
a mask. Values that are the same in all lanes stay scalars until they meet a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from arraylib import dtypes as dt
from arraylib.backends.cpu import native, representation
from arraylib.backends.cpu.emitter import Function, Module, Reg, lanes, part, vector
from arraylib.backends.cpu.kernel_call import (
    EXPENSIVE,
    MOST_INLINE,
    count_expensive,
    emit_called,
    fold_called,
)
from arraylib.backends.cpu.kernel_fold import (
    combine,
    fold_lanes,
    identities,
    kept_where,
    lifted,
    register_count,
    settled,
)
from arraylib.backends.cpu.kernel_square import emit_square, strides_in_squares
from arraylib.backends.cpu.kernel_stride import LARGEST, load_strided, store_strided
from arraylib.backends.cpu.kernel_width import Width, width_of
from arraylib.backends.cpu.representation import memory_element
from arraylib.record import record
from arraylib.tile.ir import (
    LOCAL,
    Apply,
    Constant,
    Count,
    Index,
    Kernel,
    Load,
    Nest,
    Pointer,
    Prefetch,
    Reduction,
    Statement,
    Store,
    Value,
    When,
)

LINE = 64  # bytes of a cache line


def emit_kernel(module: Module, kernel: Kernel, name: str, *, internal: bool = True) -> None:
    """Add the kernel to a module under a name."""
    streamed = tuple(p for p in kernel.pointers if _is_streamed(p, kernel.body))
    if streamed:
        _emit(module, kernel, name + "_cached", internal=True)
    _emit(module, kernel, name, streamed, internal=internal)


def _emit(module: Module, kernel: Kernel, name: str, streamed: tuple[Pointer, ...] = (), *,
          internal: bool) -> None:
    """The kernel with stores to some arguments bypassing the caches."""
    f = Function(module, name, [("ptr", "args"), ("i64", "chunk")], internal=internal)
    pointers = _pointers(f, kernel)
    if kernel.copies:
        # Laid over its operand the result is there already.
        f.branch(f.compare("eq", *pointers.values()), f.ret)
    for pointer in streamed:
        # Memory that was not allocated here may begin anywhere; such stores need whole lines.
        address = f.value("i64", f"ptrtoint {pointers[pointer]} to i64")
        f.branch(f.compare("ne", address & 63, 0), lambda: _instead(f, name + "_cached"))
    emitter = _Emitter(f, pointers, module.vector_bits // 8, streamed,
                       calls=kernel.brief or count_expensive(kernel.body) > MOST_INLINE,
                       brief=kernel.brief)
    emitter.values[kernel.chunk] = f.args[1]
    if kernel.extent is not None:
        given = sum(1 for pointer in kernel.pointers if pointer.kind != LOCAL)
        emitter.values[kernel.extent] = f.load(f.gep(f.args[0], given, "i64"), "i64")
    emitter.block(kernel.body)
    f.ret()


def _instead(f: Function, name: str) -> None:
    f.call(name, "void", f.args)
    f.ret()


def _is_streamed(pointer: Pointer, body: Sequence[Statement]) -> bool:
    return any(s.stream and s.pointer == pointer if isinstance(s, Store)
               else isinstance(s, (Nest, When)) and _is_streamed(pointer, s.body) for s in body)


def _pointers(f: Function, kernel: Kernel) -> dict[Pointer, Reg]:
    found, number = {}, 0
    for pointer in kernel.pointers:
        if pointer.kind == LOCAL:
            found[pointer] = f.alloca(memory_element(pointer.dtype), pointer.size, align=64)
        else:
            found[pointer] = f.load(f.gep(f.args[0], number, "ptr"), "ptr")
            number += 1
    return found


@record
class _Lanes:
    """The vector loop being written: lane i is at index `base` + i."""

    index: Value
    base: Reg
    count: int
    mask: Reg | None
    step: int  # `base` is a multiple of this many elements


@record
class _Place:
    """An index taken apart: `base` for all lanes, `stride` from lane to lane, and what is its own
    for each lane."""

    base: Reg
    stride: int
    own: Reg | None


class _Emitter:
    """The function being written, and the register of each value in sight."""

    def __init__(self, f: Function, pointers: dict[Pointer, Reg], vector_bytes: int,
                 streamed: tuple[Pointer, ...], calls: bool, brief: bool) -> None:
        self.f, self.pointers, self.vector_bytes = f, pointers, vector_bytes
        self.streamed, self.calls, self.brief = streamed, calls, brief
        self.values: dict[Value, Reg] = {}
        self.lanes: _Lanes | None = None
        self._splats: dict[Reg, Reg] = {}
        self._bases: dict[Index, Reg] = {}

    def block(self, body: Sequence[Statement]) -> None:
        """Statements in a block of their own: what was derived inside is forgotten after."""
        splats, bases = self._splats, self._bases
        self._splats, self._bases = dict(splats), dict(bases)
        for statement in body:
            self.statement(statement)
        self._splats, self._bases = splats, bases

    def statement(self, statement: Statement) -> None:
        values = self.values
        match statement:
            case Constant(result, value):
                values[result] = representation.number(self.f, value, result.dtype)
            case Count(result, index):
                values[result] = self.count(result, index)
            case Load(result, pointer, index):
                values[result] = self.load(pointer, index)
            case Store():
                self.store(statement)
            case Prefetch(pointer, index):
                self.prefetch(pointer, index)
            case Apply(result, op, operands, attrs):
                emit = emit_called if self.calls and op in EXPENSIVE else native.emit_elementwise
                values[result] = emit(self.f, op, operands[-1].dtype, self.alike(operands),
                                      dict(attrs), result.dtype)
            case When(condition, body):
                self.f.branch(values[condition], lambda: self.block(body))
            case Nest():
                self.nest(statement)

    # -- values -----------------------------------------------------------------------------------

    def alike(self, operands: Sequence[Value]) -> list[Reg]:
        """The operands' registers, all scalars or all vectors."""
        found = [self.values[v] for v in operands]
        count = max(lanes(reg.type) for reg in found)
        return [self.spread(reg, count) for reg in found]

    def spread(self, reg: Reg, count: int) -> Reg:
        """A scalar in all lanes; a vector as it is."""
        if count == 1 or lanes(reg.type) == count:
            return reg
        if part(reg.type):
            return self.f.on_parts(lambda each: self.spread(each, count), reg)
        if reg.text[0] != "%":  # a constant
            return Reg(f"splat ({reg.type} {reg.text})", vector(reg.type, count), self.f)
        if reg not in self._splats:
            self._splats[reg] = self.f.splat(reg, count)
        return self._splats[reg]

    def count(self, result: Value, index: Index) -> Reg:
        """An index as a number: in the result's own integers where that is exact."""
        place, dtype, f = self.place(index), result.dtype, self.f
        if dt.is_integer(dtype) and dt.bits(dtype) >= 8 and place.own is None:
            base = representation.convert(place.base, dt.int64, dtype)
            if not place.stride:
                return base
            assert self.lanes is not None
            type = vector(base.type, self.lanes.count)
            steps = f.const(type, [_wrapped(i * place.stride, dtype) for i in
                                   range(self.lanes.count)])
            return self.spread(base, self.lanes.count) + steps
        return representation.convert(self.whole(place), dt.int64, dtype)

    def whole(self, place: _Place) -> Reg:
        """A place as one register: a vector if lanes differ."""
        if not place.stride and place.own is None:
            return place.base
        assert self.lanes is not None
        type = vector("i64", self.lanes.count)
        found = self.spread(place.base, self.lanes.count)
        if place.stride:
            found = found + self.f.const(type, [i * place.stride for i in range(self.lanes.count)])
        return found if place.own is None else found + place.own

    def place(self, index: Index) -> _Place:
        """Take an index apart; its part that is one for all lanes is computed once a block."""
        stride, own, shared = 0, None, []
        for value, factor in index.terms:
            if self.lanes is not None and value == self.lanes.index:
                stride = factor
                shared.append((value, factor))
            elif lanes(self.values[value].type) > 1:
                term = self._times(self.values[value], factor)
                own = term if own is None else own + term
            else:
                shared.append((value, factor))
        return _Place(self.scalar_place(Index(index.offset, tuple(shared))), stride, own)

    def scalar_place(self, index: Index) -> Reg:
        """An index that is one for all lanes, or of the first lane."""
        found = self._bases.get(index)
        if found is None:
            total: Reg | None = None
            for value, factor in index.terms:
                is_lane = self.lanes is not None and value == self.lanes.index
                reg = self.lanes.base if is_lane and self.lanes else self.values[value]
                term = self._times(reg, factor)
                total = term if total is None else total + term
            if total is None:
                found = self.f.const("i64", index.offset)
            else:
                found = total + index.offset if index.offset else total
            self._bases[index] = found
        return found

    def _times(self, reg: Reg, factor: int) -> Reg:
        return reg if factor == 1 else reg * factor

    # -- memory -----------------------------------------------------------------------------------

    def load(self, pointer: Pointer, index: Index) -> Reg:
        place, f, dtype = self.place(index), self.f, pointer.dtype
        element = memory_element(dtype)
        address = f.gep(self.pointers[pointer], place.base, element)
        if not place.stride and place.own is None:
            return native.load(f, address, dtype, 1)
        assert self.lanes is not None
        count, mask = self.lanes.count, self.lanes.mask
        if place.own is None and place.stride == 1:
            return native.load(f, address, dtype, count, mask)
        if place.own is None and place.stride == -1:
            found = native.load(f, f.gep(address, 1 - count, element), dtype, count,
                                mask and self.reversed(mask))
            return self.reversed(found)
        if place.own is None and mask is None and 1 < place.stride <= min(LARGEST, count):
            return load_strided(f, address, dtype, count, place.stride)
        addresses = self.addresses(pointer, place)
        return representation.gather(f, addresses, dtype, self.every(mask))

    def store(self, statement: Store) -> None:
        pointer, f = statement.pointer, self.f
        place, dtype = self.place(statement.index), pointer.dtype
        element = memory_element(dtype)
        value = self.values[statement.value]
        address = f.gep(self.pointers[pointer], place.base, element)
        if not place.stride and place.own is None:
            native.store(f, address, f.extract(value, 0), dtype, 1)
            return
        assert self.lanes is not None
        count, mask = self.lanes.count, self.lanes.mask
        value = self.spread(value, count)
        if place.own is None and place.stride in (1, -1):
            if place.stride == -1:
                value, mask = self.reversed(value), mask and self.reversed(mask)
                address = f.gep(address, 1 - count, element)
            stream = statement.stream and pointer in self.streamed and mask is None \
                and self.is_aligned(statement.index)
            native.store(f, address, value, dtype, count, mask, nontemporal=stream)
            return
        if place.own is None and mask is None and 1 < place.stride <= LARGEST:
            store_strided(f, address, value, dtype, place.stride)
            return
        addresses = self.addresses(pointer, place)
        representation.scatter(f, addresses, value, dtype, self.every(mask))

    def prefetch(self, pointer: Pointer, index: Index) -> None:
        """Ask for the lines of whole vectors that are in one piece."""
        place, f = self.place(index), self.f
        if place.own is not None or place.stride != 1 or not self.lanes or self.lanes.mask:
            return
        element = memory_element(pointer.dtype)
        address = f.gep(self.pointers[pointer], place.base, element)
        for start in range(0, self.lanes.count * pointer.dtype.itemsize, LINE):
            f.prefetch(f.gep(address, start, "i8"))

    def addresses(self, pointer: Pointer, place: _Place) -> Reg:
        element = memory_element(pointer.dtype)
        return self.f.gep(self.pointers[pointer], self.whole(place), element)

    def reversed(self, x: Reg) -> Reg:
        return self.f.shuffle(x, None, range(lanes(x.type) - 1, -1, -1))

    def every(self, mask: Reg | None) -> Reg:
        """The mask, or one that lets all lanes through."""
        assert self.lanes is not None
        return mask or self.f.const(vector("i1", self.lanes.count), True)

    def is_aligned(self, index: Index) -> bool:
        """Whether a vector stored there begins at a multiple of its own size."""
        assert self.lanes is not None
        count = self.lanes.count
        others = [factor for value, factor in index.terms if value != self.lanes.index]
        return self.lanes.step % count == 0 and all(n % count == 0 for n in (index.offset, *others))

    # -- loops ------------------------------------------------------------------------------------

    def nest(self, nest: Nest) -> None:
        lane = self.lanes
        if lane and lane.mask is None and strides_in_squares(nest, lane.index, lane.count):
            self._squares(nest, lane)
            return
        outside = self.lanes.count if self.lanes else 1
        width = width_of(nest, self.vector_bytes, self.brief) if nest.lanes else None
        count = width.lanes if width else outside
        start = [reg for r in nest.reductions for reg in identities(self.f, r, count)]
        found = self._loops(nest, 0, start, width)
        position = 0
        for reduction in nest.reductions:
            size = register_count(self.f, reduction)
            parts = found[position:position + size]
            if width:
                parts = (fold_called if self.brief else fold_lanes)(self.f, reduction, parts)
            self.values.update(zip(reduction.results, settled(self.f, reduction, parts)))
            position += size

    def _squares(self, nest: Nest, lane: _Lanes) -> None:
        """As many turns at once as there are lanes, then the rest one by one."""
        f, count = self.f, lane.count
        low, high = self.scalar_place(nest.lows[0]), self.scalar_place(nest.highs[0])
        end = low + ((high - low) & -count)

        def square(base: Reg, _: list[Reg]) -> list[Reg]:
            return self.scoped(lambda: emit_square(self, nest, lane.index, base, count))

        def turn(index: Reg, _: list[Reg]) -> None:
            self.values[nest.indices[0]] = index
            self._turn(nest, [])

        f.loop(low, end, count, [], square)
        f.loop(end, high, 1, [], turn)

    def _loops(self, nest: Nest, depth: int, carried: list[Reg], width: Width | None) -> list[Reg]:
        """Loops `depth` and further in; returns the sums carried through them."""
        low, high = self._bound(nest.lows[depth]), self._bound(nest.highs[depth])
        if depth == len(nest.indices) - 1 and width:
            return self._vectors(nest, low, high, carried, width)

        def turn(index: Reg, sums: list[Reg]) -> list[Reg]:
            self.values[nest.indices[depth]] = index
            if depth < len(nest.indices) - 1:
                return self.scoped(lambda: self._loops(nest, depth + 1, sums, width))
            return self._turn(nest, sums)

        return self.f.loop(low, high, 1, carried, turn)

    def _bound(self, bound: Index) -> Reg | int:
        return self.scalar_place(bound) if bound.terms else bound.offset

    def scoped(self, body: Callable[[], list[Reg]]) -> list[Reg]:
        splats, bases = self._splats, self._bases
        self._splats, self._bases = dict(splats), dict(bases)
        found = body()
        self._splats, self._bases = splats, bases
        return found

    def _vectors(self, nest: Nest, low: Reg | int, high: Reg | int, carried: list[Reg],
                 width: Width) -> list[Reg]:
        """Whole vectors, then what is left under a mask."""
        f, count = self.f, width.lanes
        once = isinstance(low, int) and isinstance(high, int) and high - low <= count
        if self.brief and not once and nest.multiple % count and "avx512bw" in f.module.features:
            return self._masked_vectors(nest, low, high, carried, count)
        if isinstance(low, int) and isinstance(high, int):
            end = low + (high - low) // count * count
            sums = self._whole_vectors(nest, low, end, carried, width)
            if end < high:
                inside = [i < high - end for i in range(width.tail)]
                mask = f.const(vector("i1", width.tail), inside)
                lane = _Lanes(nest.indices[-1], f.const("i64", end), width.tail, mask, 1)
                sums = self._vector(nest, lane, sums)
            return sums
        if nest.multiple % count == 0:
            return self._whole_vectors(nest, low, high, carried, width)
        assert not nest.reductions, "sums in lanes run between constant bounds"
        first, last = (x if isinstance(x, Reg) else f.const("i64", x) for x in (low, high))
        left = (last - first) & (count - 1)
        end_at = last - left
        self._whole_vectors(nest, low, end_at, carried, width)

        def tail() -> None:
            lane = _Lanes(nest.indices[-1], end_at, count, f.first_lanes(left, count), 1)
            self._vector(nest, lane, carried)

        f.branch(f.compare("ne", left, 0), tail)
        return carried

    def _masked_vectors(self, nest: Nest, low: Reg | int, high: Reg | int, carried: list[Reg],
                        count: int) -> list[Reg]:
        """All vectors under a mask, which makes the body's code half as long."""
        f, step = self.f, _step_of(nest.lows[-1], count)
        last = high if isinstance(high, Reg) else f.const("i64", high)

        def turn(base: Reg, sums: list[Reg]) -> list[Reg]:
            ones = f.const("i64", -1).lshr(64 - f.minimum(last - base, count))
            mask = f.bitcast(f.cast("trunc", ones, f"i{count}"), vector("i1", count))
            return self._vector(nest, _Lanes(nest.indices[-1], base, count, mask, step), sums)

        return f.loop(low, high, count, carried, turn)

    def _whole_vectors(self, nest: Nest, low: Reg | int, high: Reg | int, carried: list[Reg],
                       width: Width) -> list[Reg]:
        if isinstance(low, int) and isinstance(high, int) and low >= high:
            return carried
        if isinstance(low, int) and isinstance(high, int) and high - low == width.lanes:
            lane = _Lanes(nest.indices[-1], self.f.const("i64", low), width.lanes, None, low)
            return self._vector(nest, lane, carried)
        step = _step_of(nest.lows[-1], width.lanes)

        def turn(base: Reg, sums: list[Reg]) -> list[Reg]:
            lane = _Lanes(nest.indices[-1], base, width.lanes, None, step)
            return self._vector(nest, lane, sums)

        return self.f.loop(low, high, width.lanes, carried, turn)

    def _vector(self, nest: Nest, lane: _Lanes, sums: list[Reg]) -> list[Reg]:
        outside, self.lanes = self.lanes, lane
        assert outside is None, "lanes inside lanes"
        found = self.scoped(lambda: self._in_lanes(nest, lane, sums))
        self.lanes = outside
        return found

    def _in_lanes(self, nest: Nest, lane: _Lanes, sums: list[Reg]) -> list[Reg]:
        self._splats.clear()  # the width may be another
        type = vector("i64", lane.count)
        self.values[lane.index] = self.spread(lane.base, lane.count) + self.f.iota(type) \
            if _is_number(nest, lane.index) else lane.base
        return self._turn(nest, sums)

    def _turn(self, nest: Nest, sums: list[Reg]) -> list[Reg]:
        """The body once, and what it adds to the sums."""
        splats, bases = self._splats, self._bases
        self._splats, self._bases = dict(splats), dict(bases)
        for statement in nest.body:
            self.statement(statement)
        found: list[Reg] = []
        for reduction in nest.reductions:
            sofar = sums[len(found):len(found) + register_count(self.f, reduction)]
            found += self._added(reduction, sofar)
        self._splats, self._bases = splats, bases
        return found

    def _added(self, reduction: Reduction, sofar: list[Reg]) -> list[Reg]:
        count = self.lanes.count if self.lanes else 1
        values = [self.spread(self.values[v], count) for v in reduction.values]
        new = lifted(self.f, reduction, values)
        mask = self.lanes.mask if self.lanes else None
        if mask is not None and lanes(sofar[0].type) != count:
            return kept_where(self.f, reduction, sofar, new, mask)
        both = combine(self.f, reduction, sofar, new)
        if mask is None:
            return both
        return [self.f.select(mask, b, a) for a, b in zip(sofar, both)]


def _wrapped(value: int, dtype: dt.Dtype) -> int:
    """A number brought into the range of a signed integer of the dtype's width."""
    half = 1 << dt.bits(dtype) - 1
    return (value + half) % (2 * half) - half


def _step_of(low: Index, count: int) -> int:
    """What every base of a vector loop is a multiple of."""
    return count if all(n % count == 0 for n in (low.offset, *(c for _, c in low.terms))) else 1


def _is_number(block: Nest | When, value: Value) -> bool:
    """Whether a block uses an index as a number, not only in indices."""
    if isinstance(block, Nest) and any(value in r.values for r in block.reductions):
        return True
    for statement in block.body:
        if isinstance(statement, Apply) and value in statement.operands:
            return True
        if isinstance(statement, Store) and value == statement.value:
            return True
        if isinstance(statement, (Nest, When)) and _is_number(statement, value):
            return True
    return False

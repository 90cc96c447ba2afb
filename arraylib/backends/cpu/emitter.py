"""LLVM IR as text, written through Python operators.

A `Module` holds functions; a `Function` appends one instruction per call and knows the current
block, so that loops and branches are ordinary Python calls that take the body as a function; a
`Reg` is one SSA value (or constant) and its operators emit instructions into its function:

    module = Module()
    kernel = Function(module, "scale", [("ptr", "x"), ("i64", "count")], internal=False)
    x, count = kernel.args

    def body(index, carried):
        place = kernel.gep(x, index, "float")
        kernel.store(kernel.load(place, "<16 x float>") * 2.0, place)

    kernel.loop(0, count, 16, [], body)
    kernel.ret()

Meaning is exact: no fast-math flag is ever set, and only `fma` contracts. Integer `+ - *` wrap.
Signedness is chosen by the method (`sdiv`, `udiv`, `ashr`, `lshr`); `< <= > >=` on integers are
signed. Nothing here imports LLVM; `target.py` compiles the text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from arraylib.backends.cpu.llvm_types import (
    bits,
    constant_text,
    element_bytes,
    is_float,
    lanes,
    like,
    mangle,
    pair,
    part,
    scalar,
    vector,
)
from arraylib.backends.cpu.module import Module
from arraylib.record import field, record

__all__ = ["Function", "Module", "Reg", "bits", "constant_text", "element_bytes", "is_float",
           "lanes", "like", "mangle", "pair", "part", "scalar", "vector"]


@record(eq=False, slots=True)
class Reg:
    """An SSA value or constant of one function: its text, its type, and where operators emit."""

    text: str
    type: str
    function: Function = field(repr=False)

    def __str__(self) -> str:
        return f"{self.type} {self.text}"

    def _other(self, value: Reg | complex) -> Reg:
        if not isinstance(value, Reg):
            return self.function.const(self.type, value)
        assert value.type == self.type, f"operand types differ: {self.type} and {value.type}"
        return value

    def _binary(self, opcode: str, other: Reg | float, *, swap: bool = False) -> Reg:
        left, right = self, self._other(other)
        if swap:
            left, right = right, left
        return self.function.value(self.type, f"{opcode} {left}, {right.text}")

    def _arithmetic(self, name: str, other: Reg | float, *, swap: bool = False) -> Reg:
        return self._binary("f" + name if is_float(self.type) else name, other, swap=swap)

    def __add__(self, other: Reg | float) -> Reg:
        return self._arithmetic("add", other)

    def __radd__(self, other: float) -> Reg:
        return self._arithmetic("add", other, swap=True)

    def __sub__(self, other: Reg | float) -> Reg:
        return self._arithmetic("sub", other)

    def __rsub__(self, other: float) -> Reg:
        return self._arithmetic("sub", other, swap=True)

    def __mul__(self, other: Reg | float) -> Reg:
        return self._arithmetic("mul", other)

    def __rmul__(self, other: float) -> Reg:
        return self._arithmetic("mul", other, swap=True)

    def __truediv__(self, other: Reg | float) -> Reg:
        return self._binary("fdiv", other)

    def __rtruediv__(self, other: float) -> Reg:
        return self._binary("fdiv", other, swap=True)

    def __neg__(self) -> Reg:
        if is_float(self.type):
            return self.function.value(self.type, f"fneg {self}")
        return self._binary("sub", 0, swap=True)

    def __and__(self, other: Reg | int) -> Reg:
        return self._binary("and", other)

    def __or__(self, other: Reg | int) -> Reg:
        return self._binary("or", other)

    def __xor__(self, other: Reg | int) -> Reg:
        return self._binary("xor", other)

    def __invert__(self) -> Reg:
        return self._binary("xor", -1)

    def __lshift__(self, other: Reg | int) -> Reg:
        return self._binary("shl", other)

    def ashr(self, other: Reg | int) -> Reg:
        """Shift right, copying the sign bit."""
        return self._binary("ashr", other)

    def lshr(self, other: Reg | int) -> Reg:
        """Shift right, filling with zeros."""
        return self._binary("lshr", other)

    def sdiv(self, other: Reg | int) -> Reg:
        """Signed quotient, rounded towards zero; undefined for 0 and for minimum / -1."""
        return self._binary("sdiv", other)

    def udiv(self, other: Reg | int) -> Reg:
        """Unsigned quotient; undefined for a divisor of 0."""
        return self._binary("udiv", other)

    def srem(self, other: Reg | int) -> Reg:
        """Signed remainder with the dividend's sign; undefined where `sdiv` is."""
        return self._binary("srem", other)

    def urem(self, other: Reg | int) -> Reg:
        """Unsigned remainder; undefined for a divisor of 0."""
        return self._binary("urem", other)

    def frem(self, other: Reg | float) -> Reg:
        """C's `fmod`."""
        return self._binary("frem", other)

    def _order(self, name: str, other: Reg | float) -> Reg:
        prefix = "o" if is_float(self.type) else "s"
        return self.function.compare(prefix + name, self, other)

    def __lt__(self, other: Reg | float) -> Reg:
        return self._order("lt", other)

    def __le__(self, other: Reg | float) -> Reg:
        return self._order("le", other)

    def __gt__(self, other: Reg | float) -> Reg:
        return self._order("gt", other)

    def __ge__(self, other: Reg | float) -> Reg:
        return self._order("ge", other)


class Function:
    """One LLVM function under construction; instructions go to the end of the current block.

    A parameter's type may carry attributes (`"ptr noalias"`); `args` holds the parameters as
    registers. `internal` functions are visible in their module only. `plain` ones are translated
    instruction by instruction: for long ones without loops, where that is all there is to do.
    """

    def __init__(self, module: Module, name: str,
                 params: Sequence[tuple[str, str]] = (("ptr", "args"),), *,
                 result: str = "void", internal: bool = True, plain: bool = False) -> None:
        self.module, self.name, self.result, self.internal = module, name, result, internal
        self.plain = plain
        self._params = ", ".join(f"{type} %{param}" for type, param in params)
        self._lines: list[str] = ["entry:"]
        self._entry_allocations: list[str] = []
        self._count = 0
        self._block = "entry"
        self._open = True
        self._pairs: dict[Reg, tuple[Reg, Reg]] = {}
        self.codes: dict[Reg, Reg] = {}  # of registers that were rounded to a narrow format
        self.args = tuple(Reg(f"%{param}", type.split(" ")[0] if type.startswith("ptr") else type,
                              self) for type, param in params)
        module.functions.append(self)
        module.named[name] = self

    @property
    def is_complete(self) -> bool:
        """Whether its last block has ended."""
        return not self._open

    @property
    def declaration(self) -> str:
        """What other modules know it by."""
        types = ", ".join(arg.type for arg in self.args)
        return f"declare {self.result} @{self.name}({types})"

    def definition(self, *, apart: bool = False) -> str:
        """The text of the whole function; `apart`: other modules of the same object see it too."""
        assert not self._open, f"{self.name}: the last block has no terminator; call ret()"
        scope = "" if not self.internal else "hidden " if apart else "internal "
        head = f"define {scope}{self.result} @{self.name}"
        attributes = "#1" if self.plain else "#0"
        lines = [self._lines[0], *self._entry_allocations, *self._lines[1:]]
        return f"{head}({self._params}) {attributes} {{\n" + "\n".join(lines) + "\n}"

    # Values and single instructions

    def const(self, type: str, value: complex | Sequence[float]) -> Reg:
        """A constant: a Python number (splat over all lanes) or a sequence, one value per lane."""
        return Reg(constant_text(type, value), type, self)

    def iota(self, type: str) -> Reg:
        """The constant 0, 1, 2, ... of an integer vector type."""
        return self.const(type, range(lanes(type)) if lanes(type) > 1 else 0)

    def emit(self, text: str) -> None:
        """Append an instruction that has no result."""
        assert self._open, f"{self.name}: instruction after the end of a block: {text}"
        self._lines.append("  " + text)

    def value(self, type: str, text: str) -> Reg:
        """Append `%tN = text` and return the new register."""
        self._count += 1
        self.emit(f"%t{self._count} = {text}")
        return Reg(f"%t{self._count}", type, self)

    def intrinsic(self, name: str, *operands: Reg, result: str | None = None,
                  overloads: Sequence[str] | None = None) -> Reg:
        """Call an LLVM intrinsic overloaded on the first operand's type, or on `overloads`.

        An x86 intrinsic is not overloaded: pass `overloads=()`.
        """
        result = result or operands[0].type
        overloads = [operands[0].type] if overloads is None else overloads
        full = ".".join([name, *(mangle(type) for type in overloads)])
        found = self.call(full, result, operands)
        assert found is not None
        return found

    def call(self, callee: str | Reg, result: str, args: Sequence[Reg]) -> Reg | None:
        """Call a function by name (declared here if the module lacks it) or by pointer."""
        if isinstance(callee, str):
            self.module.declare(callee, result, [arg.type for arg in args])
            target = "@" + callee
        else:
            target = callee.text
        text = f"call {result} {target}({', '.join(map(str, args))})"
        if result == "void":
            self.emit(text)
            return None
        return self.value(result, text)

    def address(self, name: str) -> Reg:
        """The address of a global or function of the module."""
        return Reg("@" + name, "ptr", self)

    def fma(self, a: Reg, b: Reg | float, c: Reg | float) -> Reg:
        """`a * b + c`, rounded once where the target has the instruction, else twice."""
        b, c = a._other(b), a._other(c)
        if "fma" not in self.module.features:
            return a * b + c
        return self.intrinsic("llvm.fma", a, b, c)

    def select(self, mask: Reg, yes: Reg | complex, no: Reg | complex) -> Reg:
        """`yes` where the mask is set, else `no`; one of the two must be a register."""
        model = yes if isinstance(yes, Reg) else no
        assert isinstance(model, Reg), "select: the type comes from a register"
        yes, no = model._other(yes), model._other(no)
        if part(model.type):
            return self.on_parts(lambda a, b: self.select(mask, a, b), yes, no)
        return self.value(model.type, f"select {mask}, {yes}, {no}")

    def compare(self, predicate: str, a: Reg, b: Reg | float) -> Reg:
        """`fcmp` or `icmp`, by the operands' type, giving `i1` lanes."""
        opcode = "fcmp" if is_float(a.type) else "icmp"
        return self.value(like(a.type, "i1"), f"{opcode} {predicate} {a}, {a._other(b).text}")

    def cast(self, opcode: str, x: Reg, type: str) -> Reg:
        """A conversion such as `fptosi`, `zext`, `trunc`; the same type gives `x` itself."""
        return x if x.type == type else self.value(type, f"{opcode} {x} to {type}")

    def bitcast(self, x: Reg, type: str) -> Reg:
        """The same bits read as another type."""
        return self.cast("bitcast", x, type)

    def freeze(self, x: Reg) -> Reg:
        """An arbitrary but fixed value where `x` is poison (as an overflowing `fptosi` is)."""
        return self.value(x.type, f"freeze {x}")

    def absolute(self, x: Reg) -> Reg:
        """Absolute value of a float."""
        return self.intrinsic("llvm.fabs", x)

    def copysign(self, magnitude: Reg | float, sign: Reg) -> Reg:
        """The magnitude of the first with the sign bit of the second."""
        return self.intrinsic("llvm.copysign", sign._other(magnitude), sign)

    def maximum(self, a: Reg, b: Reg | float) -> Reg:
        """Signed maximum; of floats IEEE `maximum`: NaN wins, and +0 is above -0."""
        name = "llvm.maximum" if is_float(a.type) else "llvm.smax"
        return self.intrinsic(name, a, a._other(b))

    def minimum(self, a: Reg, b: Reg | float) -> Reg:
        """Signed minimum; of floats IEEE `minimum`: NaN wins, and -0 is below +0."""
        name = "llvm.minimum" if is_float(a.type) else "llvm.smin"
        return self.intrinsic(name, a, a._other(b))

    # Pairs

    def pair(self, first: Reg, second: Reg) -> Reg:
        """Two registers as one."""
        type = pair(first.type)
        assert first.type == second.type, f"parts differ: {first.type} and {second.type}"
        half = self.value(type, f"insertvalue {type} poison, {first}, 0")
        found = self.value(type, f"insertvalue {half}, {second}, 1")
        self._pairs[found] = first, second
        return found

    def parts(self, x: Reg) -> tuple[Reg, Reg]:
        """The two registers of a pair."""
        found, inner = self._pairs.get(x), part(x.type)
        if found is not None:
            return found
        assert inner, f"{x.type} is no pair"
        return (self.value(inner, f"extractvalue {x}, 0"),
                self.value(inner, f"extractvalue {x}, 1"))

    def on_parts(self, function: Callable[..., Reg], *pairs: Reg) -> Reg:
        """The pair of what a function gives on the first parts, and on the second."""
        first, second = zip(*map(self.parts, pairs))
        return self.pair(function(*first), function(*second))

    # Lanes

    def splat(self, x: Reg, count: int) -> Reg:
        """A scalar in every one of `count` lanes."""
        if count == 1:
            return x
        if part(x.type):
            return self.on_parts(lambda each: self.splat(each, count), x)
        type = vector(x.type, count)
        first = self.value(type, f"insertelement {type} poison, {x}, i64 0")
        return self.shuffle(first, None, [0] * count)

    def extract(self, x: Reg, index: Reg | int) -> Reg:
        """One lane as a scalar; the only lane of a scalar is itself."""
        if lanes(x.type) == 1:
            return x
        if part(x.type):
            return self.on_parts(lambda each: self.extract(each, index), x)
        return self.value(scalar(x.type), f"extractelement {x}, {self._index(index)}")

    def insert(self, x: Reg, item: Reg, index: Reg | int) -> Reg:
        """`x` with one lane replaced by a scalar."""
        if part(x.type):
            return self.on_parts(lambda all, one: self.insert(all, one, index), x, item)
        return self.value(x.type, f"insertelement {x}, {item}, {self._index(index)}")

    def shuffle(self, a: Reg, b: Reg | None, indices: Sequence[int]) -> Reg:
        """Lanes chosen from `a` and then `b` by constant indices."""
        if part(a.type):
            if b is None:
                return self.on_parts(lambda each: self.shuffle(each, None, indices), a)
            return self.on_parts(lambda x, y: self.shuffle(x, y, indices), a, b)
        second = b.text if b is not None else "poison"
        mask = constant_text(vector("i32", len(indices)), list(indices))
        if len(set(indices)) == 1:
            mask = f"splat (i32 {indices[0]})" if indices[0] else "zeroinitializer"
        text = f"shufflevector {a}, {a.type} {second}, <{len(indices)} x i32> {mask}"
        return self.value(vector(a.type, len(indices)), text)

    def horizontal(self, operation: str, x: Reg) -> Reg:
        """All lanes folded into a scalar by `add mul max min and or xor umax umin`.

        Halves are combined with each other until one lane is left, so the order is fixed.
        """
        combine: dict[str, Callable[[Reg, Reg], Reg]] = {
            "add": lambda a, b: a + b, "mul": lambda a, b: a * b,
            "and": lambda a, b: a & b, "or": lambda a, b: a | b, "xor": lambda a, b: a ^ b,
            "max": self.maximum, "min": self.minimum,
            "umax": lambda a, b: self.intrinsic("llvm.umax", a, b),
            "umin": lambda a, b: self.intrinsic("llvm.umin", a, b)}
        count = lanes(x.type)
        assert count & (count - 1) == 0, f"horizontal: {x.type} is not a power of two wide"
        while count > 1:
            count //= 2
            if count == 1:
                low, high = self.extract(x, 0), self.extract(x, 1)
            else:
                low = self.shuffle(x, None, range(count))
                high = self.shuffle(x, None, range(count, 2 * count))
            x = combine[operation](low, high)
        return x

    def any(self, mask: Reg) -> Reg:
        """Whether some lane of the mask is set, as one `i1`."""
        if lanes(mask.type) == 1:
            return mask
        packed = self.bitcast(mask, f"i{lanes(mask.type)}")
        return self.compare("ne", packed, 0)

    # Memory

    def _index(self, index: Reg | int) -> Reg:
        return index if isinstance(index, Reg) else self.const("i64", index)

    def gep(self, pointer: Reg, index: Reg | int, element: str) -> Reg:
        """Address of element `index`; a vector of indices gives a vector of addresses."""
        if isinstance(index, int) and index == 0:
            return pointer
        place = self._index(index)
        type = vector("ptr", max(lanes(place.type), lanes(pointer.type)))
        return self.value(type, f"getelementptr {element}, {pointer}, {place}")

    def load(self, pointer: Reg, type: str, align: int | None = None) -> Reg:
        """Load a scalar or vector; the alignment is the element's unless given."""
        return self.value(type, f"load {type}, {pointer}, align {align or element_bytes(type)}")

    def store(self, value: Reg, pointer: Reg, align: int | None = None,
              nontemporal: bool = False) -> None:
        """Store; `nontemporal` bypasses the caches and wants the vector's full alignment."""
        hint = ", !nontemporal !0" if nontemporal else ""
        self.emit(f"store {value}, {pointer}, align {align or element_bytes(value.type)}{hint}")

    @staticmethod
    def _aligned(pointer: Reg, type: str) -> str:
        """The pointer as an argument that carries its alignment."""
        return f"{pointer.type} align {element_bytes(type)} {pointer.text}"

    def masked_load(self, pointer: Reg, type: str, mask: Reg, other: Reg | None = None) -> Reg:
        """Load the lanes whose mask is set; the others are those of `other`, zero by default."""
        return self._masked("llvm.masked.load", pointer, type, mask, other)

    def gather(self, pointers: Reg, type: str, mask: Reg, other: Reg | None = None) -> Reg:
        """Load each lane from its own address where the mask is set."""
        return self._masked("llvm.masked.gather", pointers, type, mask, other)

    def _masked(self, name: str, pointer: Reg, type: str, mask: Reg, other: Reg | None) -> Reg:
        other = other or Reg("zeroinitializer", type, self)
        overloads = (type, pointer.type)
        full = ".".join([name, *map(mangle, overloads)])
        self.module.declare(full, type, [pointer.type, mask.type, type])
        return self.value(type, f"call {type} @{full}({self._aligned(pointer, type)}, "
                                f"{mask}, {other})")

    def masked_store(self, value: Reg, pointer: Reg, mask: Reg) -> None:
        """Store only the lanes whose mask is set."""
        self._masked_store("llvm.masked.store", value, pointer, mask)

    def scatter(self, value: Reg, pointers: Reg, mask: Reg) -> None:
        """Store each lane to its own address where the mask is set, lowest lane first."""
        self._masked_store("llvm.masked.scatter", value, pointers, mask)

    def _masked_store(self, name: str, value: Reg, pointer: Reg, mask: Reg) -> None:
        full = ".".join([name, mangle(value.type), mangle(pointer.type)])
        self.module.declare(full, "void", [value.type, pointer.type, mask.type])
        place = self._aligned(pointer, value.type)
        self.emit(f"call void @{full}({value}, {place}, {mask})")

    def first_lanes(self, count: Reg, lanes: int) -> Reg:
        """Mask of `lanes` lanes whose first `count` (i64) are set: for the end of a row."""
        type = vector("i64", lanes)
        return self.compare("ult", self.iota(type), self.splat(count, lanes))

    def prefetch(self, pointer: Reg, *, write: bool = False, locality: int = 3) -> None:
        """Ask for a cache line ahead of its use."""
        self.module.declare("llvm.prefetch.p0", "void", ["ptr", "i32", "i32", "i32"])
        hints = f"i32 {int(write)}, i32 {locality}, i32 1"
        self.emit(f"call void @llvm.prefetch.p0({pointer}, {hints})")

    def alloca(self, type: str, count: int = 1, align: int | None = None) -> Reg:
        """Stack room for `count` elements, made once at the function's entry."""
        self._count += 1
        name = f"%t{self._count}"
        self._entry_allocations.append(
            f"  {name} = alloca {type}, i64 {count}, align {align or element_bytes(type)}")
        return Reg(name, "ptr", self)

    # Control flow

    def ret(self, value: Reg | None = None) -> None:
        """Return; ends the current block."""
        self.emit("ret void" if value is None else f"ret {value}")
        self._open = False

    def _jump(self, label: str) -> None:
        """Go to `label`, unless the block has already returned."""
        if self._open:
            self.emit(f"br label %{label}")
            self._open = False

    def _start(self, label: str) -> None:
        self._lines.append(f"{label}:")
        self._block, self._open = label, True

    def _labels(self, *names: str) -> list[str]:
        self._count += 1
        return [f"{name}{self._count}" for name in names]

    def branch(self, condition: Reg, then: Callable[[], None],
               otherwise: Callable[[], None] | None = None) -> None:
        """Run `then` where the `i1` holds, else `otherwise`; values leave through memory only."""
        yes, no, end = self._labels("then", "else", "end")
        self.emit(f"br {condition}, label %{yes}, label %{no if otherwise else end}")
        self._open, joined = False, otherwise is None
        for label, body in ((yes, then), (no, otherwise)):
            if body is None:
                continue
            self._start(label)
            body()
            joined = joined or self._open
            self._jump(end)
        if joined:
            self._start(end)

    def _phis(self, values: Sequence[Reg]) -> list[Reg]:
        """Fresh registers for the values that meet at the start of a block."""
        found = []
        for value in values:
            self._count += 1
            found.append(Reg(f"%t{self._count}", value.type, self))
        return found

    def conditional(self, condition: Reg, then: Callable[[], Sequence[Reg]],
                    otherwise: Sequence[Reg]) -> list[Reg]:
        """The values of `then()` where the `i1` holds, else `otherwise`, known before.

        Marked as rarely taken: it is for the lanes that a fast path cannot serve.
        """
        rare, end = self._labels("rare", "end")
        before = self._block
        self.emit(f"br {condition}, label %{rare}, label %{end}, !prof !1")
        self._start(rare)
        found = list(then())
        last = self._block
        self._jump(end)
        self._start(end)
        results = self._phis(otherwise)
        self._lines += self._phi_lines(results, (before, otherwise), (last, found))
        return results

    @staticmethod
    def _phi_lines(phis: Sequence[Reg], *sources: tuple[str, Sequence[Reg]]) -> list[str]:
        return [f"  {phi.text} = phi {phi.type} "
                + ", ".join(f"[ {values[i].text}, %{label} ]" for label, values in sources)
                for i, phi in enumerate(phis)]

    def loop(self, low: Reg | int, high: Reg | int, step: Reg | int, carried: Sequence[Reg],
             body: Callable[[Reg, list[Reg]], Sequence[Reg] | None]) -> list[Reg]:
        """`for index in range(low, high, step)` with values carried from turn to turn.

        `body(index, carried)` returns the next carried values (or nothing when there are none);
        the last ones are the result. Runs zero times when `low >= high` (signed `i64`).
        """
        runs_at_least_once = isinstance(low, int) and isinstance(high, int) and low < high
        start, stop = self._index(low), self._index(high)
        top, end = self._labels("loop", "done")
        before = self._block
        if runs_at_least_once:
            self.emit(f"br label %{top}")
        else:
            self.emit(f"br {start < stop}, label %{top}, label %{end}")
        index, *entering = self._phis([start, *carried])
        self._start(top)
        place = len(self._lines)
        following = list(body(index, list(entering)) or ())
        assert len(following) == len(carried), f"loop carries {len(carried)}, got {len(following)}"
        advanced = index + self._index(step)
        self.emit(f"br {advanced < stop}, label %{top}, label %{end}")
        latch = self._block
        self._lines[place:place] = self._phi_lines(
            [index, *entering], (before, [start, *carried]), (latch, [advanced, *following]))
        self._start(end)
        if runs_at_least_once:
            return following
        leaving = self._phis(carried)
        self._lines += self._phi_lines(leaving, (before, carried), (latch, following))
        return leaving

    def while_loop(self, carried: Sequence[Reg], condition: Callable[[list[Reg]], Reg],
                   body: Callable[[list[Reg]], Sequence[Reg]]) -> list[Reg]:
        """Repeat `carried = body(carried)` while `condition(carried)`, an `i1`, holds."""
        test, inside, end = self._labels("test", "body", "done")
        before = self._block
        self._jump(test)
        current = self._phis(carried)
        self._start(test)
        place = len(self._lines)
        self.emit(f"br {condition(list(current))}, label %{inside}, label %{end}")
        self._start(inside)
        following = list(body(list(current)))
        latch = self._block
        self._jump(test)
        self._lines[place:place] = self._phi_lines(current, (before, carried), (latch, following))
        self._start(end)
        return current

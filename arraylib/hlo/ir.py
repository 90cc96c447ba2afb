"""The graph: types, values, nodes, graphs, and the builder that appends nodes.

A Graph is a list of nodes in order; a node applies one operation to values and defines new ones.
Values are immutable arrays: a node may be duplicated, moved or dropped without changing what
the graph means, except that nodes of an operation with `effect` stay, in order. Integers wrap;
floating-point operations follow IEEE 754, each rounded to its own type and none contracted with
another; what is undefined in StableHLO (an index out of bounds, say) is stated by each operation.
Nothing is mutated once built: a pass makes a new graph.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from arraylib.dtypes import float0, is_inexact, of as dtype_of, short_name
from arraylib.errors import Source, TraceError, here, mistake
from arraylib.holders import holder
from arraylib.record import record

if TYPE_CHECKING:
    from arraylib.hlo.opdef import OpDef


class Type:
    """The dtype and shape of a value. Interned: equal types are the same object.

    An array made of Python numbers alone has the weak twin of its type: with others, it takes their
    dtype. The values of graphs have strong types; while a graph is built, its builder knows which
    are weak.
    """

    __slots__ = ("dtype", "shape", "size", "nbytes", "weak", "strong")
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    size: int
    nbytes: int
    weak: bool
    strong: Type  # itself, or its twin
    weak_type = property(lambda self: self.weak)  # what programs written for JAX ask of types
    sharding = None

    def __new__(cls, dtype: Any, shape: Sequence[int]) -> Type:
        key = (dtype, shape)
        try:
            return _types[key]  # type: ignore[index]
        except (KeyError, TypeError):
            return _intern(np.dtype(dtype), tuple(int(n) for n in shape))

    @property
    def rank(self) -> int:
        return len(self.shape)

    ndim = rank

    @property
    def weakened(self) -> Type:
        """The weak twin; bools have none, for they promote as numbers do either way."""
        return _weak_types.get(self.strong) or _intern_weak(self.strong)

    def to_tangent_aval(self) -> Type:
        """The type of its tangents, by JAX's name for that: float0 for integers."""
        return self if is_inexact(self.dtype) else Type(float0, self.shape)

    def with_shape(self, shape: Sequence[int]) -> Type:
        changed = Type(self.dtype, tuple(shape))
        return changed.weakened if self.weak else changed

    def with_dtype(self, dtype: Any) -> Type:
        return Type(dtype, self.shape)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a Type cannot be changed")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_intern_weak, (self.strong,)) if self.weak else (Type, (self.dtype, self.shape))

    def __repr__(self) -> str:
        name = "float0" if self.dtype == float0 else short_name(self.dtype)
        return f"{name}[{','.join(map(str, self.shape))}]"


_types: dict[tuple[np.dtype[Any], tuple[int, ...]], Type] = {}
_weak_types: dict[Type, Type] = {}


def _intern(dtype: np.dtype[Any], shape: tuple[int, ...]) -> Type:
    found = _types.get((dtype, shape))
    if found is None:
        found = object.__new__(Type)
        size = int(np.prod(shape, dtype=object)) if shape else 1
        for name, value in (("dtype", dtype), ("shape", shape), ("size", size), ("strong", found),
                            ("nbytes", size * dtype.itemsize), ("weak", False)):
            object.__setattr__(found, name, value)
        found = _types.setdefault((dtype, shape), found)
    return found


def _intern_weak(strong: Type) -> Type:
    found = strong if strong.dtype.kind == "b" else _weak_types.get(strong)
    if found is None:
        found = object.__new__(Type)
        for name in Type.__slots__:
            object.__setattr__(found, name, True if name == "weak" else getattr(strong, name))
        found = _weak_types.setdefault(strong, found)
    return found


class Value:
    """One array of a graph: an input, or an output of a node."""

    __slots__ = ("type", "builder", "__weakref__")

    def __init__(self, type: Type, builder: Builder) -> None:
        self.type = type
        self.builder = builder


@record(frozen=False, eq=False, slots=True)  # to make a frozen one takes four times as long
class Node:
    """One application of an operation. Nobody changes it."""

    op: Final[OpDef]
    inputs: Final[tuple[Value, ...]]
    attrs: Final[dict[str, Any]]
    outputs: Final[tuple[Value, ...]]
    where: Final[Source]
    notes: Final[tuple[tuple[str, Any], ...]] = ()  # what others wrote and means nothing here

    @property
    def types(self) -> tuple[Type, ...]:
        """The types of the operands."""
        return tuple(v.type for v in self.inputs)


@record(eq=False)
class Graph:
    """Inputs, nodes in an order in which each value is defined before its use, outputs."""

    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Value, ...]

    @property
    def input_types(self) -> tuple[Type, ...]:
        return tuple(v.type for v in self.inputs)

    @property
    def output_types(self) -> tuple[Type, ...]:
        return tuple(v.type for v in self.outputs)


def regions(node: Node) -> list[Graph]:
    """The graphs among the attributes of a node."""
    found: list[Graph] = []
    if not node.attrs:  # most have none, and every pass asks
        return found
    for value in node.attrs.values():
        if value.__class__ is Graph:
            found.append(value)
        elif value.__class__ is tuple and value and value[0].__class__ is Graph:
            found += value
    return found


def has_effect(node: Node) -> bool:
    """Whether a node, or one inside its regions, must stay even if nobody reads its results."""
    if node.op.effect:
        return True
    inner = regions(node)
    return bool(inner) and any(has_effect(n) for g in inner for n in g.nodes)


class Builder:
    """Appends nodes; `with builder:` makes it the place where operations go.

    A builder made with `concrete=True` may be told the arrays its inputs stand for (`know`); then
    `known(value)` computes, on demand, the array that any of its values equals.
    """

    def __init__(self, value_class: type[Value] = Value, concrete: bool = False) -> None:
        self.value_class = value_class
        self.concrete = concrete
        self.closed = False
        self.inputs: list[Value] = []
        self.nodes: list[Node] = []
        self.captured: dict[int, tuple[Any, Value]] = {}
        self.arrays: dict[Value, Any] = {}
        self.cells: dict[Any, Value] = {}  # what mutable references hold now, where touched here
        self.changed: dict[Any, None] = {}  # those of the outside that were written to
        self.weak: set[Value] = set()  # what depends on Python numbers alone
        self.keeps_programs = False  # whether a function that is one program stays one call
        self.numbers: dict[Any, Value] = {}  # constants that many read: see ops/constant.py
        self.shared: dict[Value, Any] = {}  # what these are of
        self._tokens: list[Any] = []

    @property
    def main(self) -> Builder:
        """Itself: what programs written for JAX compare to tell whether two traces are one."""
        return self

    @property
    def outside(self) -> Any:
        """Where operations went before this builder was entered."""
        before = self._tokens[-1][0].old_value
        return _bottom[0] if before is Token.MISSING else before

    def input(self, type: Type) -> Value:
        """A new input of the graph being built."""
        weak = type.__class__ is Type and type.weak  # programs of others have other types, too
        value = self.value_class(type.strong if weak else type, self)
        self.inputs.append(value)
        if weak:
            self.weak.add(value)
        return value

    def inputs_like(self, values: Sequence[Value]) -> list[Value]:
        return [self.input(v.type) for v in values]

    def placeholder(self, type: Type) -> Value:
        """A value that no node defines: it must be gone from the graph when it is built."""
        return self.value_class(type, self)

    def capture(self, outer: Any) -> Value:
        """The value here that stands for `outer`, a value or array of the scope outside."""
        found = self.captured.get(id(outer))
        if found is None:
            if isinstance(outer, Value) and outer.builder.closed:
                raise _leak(outer)
            found = (outer, self.value_class(type_of(outer), self))
            self.captured[id(outer)] = found
            if is_weak(outer):
                self.weak.add(found[1])
            if self.concrete and (array := known(outer)) is not None:
                self.arrays[found[1]] = array
        return found[1]

    def own(self, x: Any) -> Value:
        """`x` as a value of this graph: itself, a constant, or captured from the scope outside."""
        if isinstance(x, Value) and x.builder is self:
            return x
        if not isinstance(x, Value) and (small := constant_of(x)) is not None:
            from_constant: Value = self.emit(small[0], (), small[1])[0]
            return weakened(from_constant) if is_weak(x) else from_constant
        return self.capture(x)

    def emit(self, op: OpDef, inputs: Sequence[Any], attrs: dict[str, Any],
             where: Source | None = None) -> tuple[Value, ...]:
        """Append a node and return its outputs; raises the operation's own errors on misuse."""
        if self.closed:
            raise mistake(TraceError, op.name, "the graph being built here is already finished")
        if where is None:
            where = _where.get() or here()
        make = self.value_class
        owned = [x if x.__class__ is make and x.builder is self else self.own(x) for x in inputs]
        results = op.result_types(tuple([v.type for v in owned]), attrs, where)
        outputs = (make(results[0], self),) if len(results) == 1 else \
            tuple([make(t, self) for t in results])
        self.nodes.append(Node(op, tuple(owned), attrs, outputs, where))
        if not self.weak.isdisjoint(owned) and op.is_weak([v in self.weak for v in owned]):
            self.weak.update([v for v in outputs if v.type.weakened.weak])
        return outputs

    def again(self, node: Node, inputs: Sequence[Any]) -> tuple[Value, ...]:
        """Append what a node does, on other operands.

        As a rule they have the types of the node's own, and then so do the results.
        """
        owned = [x if isinstance(x, Value) and x.builder is self else self.own(x) for x in inputs]
        for value, before in zip(owned, node.inputs):
            if value.type is not before.type:
                return self.emit(node.op, owned, node.attrs, node.where)
        if self.closed or len(owned) != len(node.inputs):
            return self.emit(node.op, owned, node.attrs, node.where)
        make = self.value_class
        outputs = tuple([make(v.type, self) for v in node.outputs])
        self.nodes.append(Node(node.op, tuple(owned), node.attrs, outputs, node.where))
        return outputs

    def weakened(self, value: Value) -> Value:
        """A value that nobody has seen yet, as one of Python numbers alone."""
        data = self.shared.get(value)
        if data is not None:  # others have seen this one
            value, = self.emit(_constant_op[0], (), {"value": data})
        self.weak.add(value)
        return value

    def paste(self, graph: Graph, inputs: Sequence[Any]) -> list[Any]:
        """Append a copy of a graph's nodes, and return what its outputs are here.

        The operands have the types of the graph's inputs, so that all results have theirs.
        """
        given, found = dict(zip(graph.inputs, inputs, strict=True)), dict[Value, Value]()
        make, append = self.value_class, self.nodes.append
        for node in graph.nodes:
            for v in node.inputs:
                if v not in found:  # an input when it is first read
                    found[v] = self.own(given[v])
            outputs = tuple([make(v.type, self) for v in node.outputs])
            append(Node(node.op, tuple([found[v] for v in node.inputs]), node.attrs, outputs,
                        node.where))
            found.update(zip(node.outputs, outputs))
        return [found[v] if v in found else given[v] for v in graph.outputs]

    def build(self, outputs: Sequence[Any]) -> tuple[Graph, list[Any]]:
        """The finished graph, and the outer values it captured (its last inputs)."""
        if self.changed:
            raise _changed(next(iter(self.changed)))
        owned = tuple(self.own(x) for x in outputs)
        outer = [o for o, _ in self.captured.values()]
        inner = [v for _, v in self.captured.values()]
        graph = Graph((*self.inputs, *inner), tuple(self.nodes), owned)
        self.closed = True
        self.captured, self.arrays, self.cells, self.nodes = {}, {}, {}, []
        self.weak, self.numbers, self.shared = set(), {}, {}
        return graph, outer

    def build_closed(self, outputs: Sequence[Any]) -> Graph:
        """The finished graph of a region, which gets all that it reads as inputs."""
        graph, outer = self.build(outputs)
        if outer:
            raise mistake(TraceError, "closed graph", f"the rule of a derivative reads a traced "
                          f"{type_of(outer[0])} from outside a loop, branch or checkpoint",
                          hint="pass the value as an argument; see closure_convert")
        return graph

    def __enter__(self) -> Builder:
        with _counting:
            building.value += 1
        self._tokens.append((_current.set(self), _where.set(None)))
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        current, where = self._tokens.pop()
        _current.reset(current)
        _where.reset(where)
        with _counting:
            building.value -= 1
        if kind is not None:
            self.closed = True


def kept_in(value: Value) -> str:
    """`; it was kept as ...`: for the message about a leaked value."""
    where = holder(value)
    return f"; it was kept as {where}" if where else ""


def _leak(value: Value) -> Exception:
    return mistake(
        TraceError, "leaked value",
        f"a traced {value.type} is used after the function that made it has returned"
        + kept_in(value),
        hint="return it from the traced function instead of keeping it in a global, an attribute "
             "or a list; inside jit, debug with print(x) on the value that is passed out")


def _changed(ref: Any) -> Exception:
    return mistake(
        TraceError, "ref", f"a {ref.type} of the outside is written to where only values go out: "
        "in a checkpoint, a solver, or a function with a derivative or batching rule of its own",
        hint="return the value and write it to the ref outside; or make a new ref inside")


building = ctypes.c_int64()  # how many builders are entered, in all threads: for native code
_counting = threading.Lock()
_current: ContextVar[Any] = ContextVar("arraylib_builder")
_where: ContextVar[Source | None] = ContextVar("arraylib_where", default=None)


def current() -> Any:
    """Where operations go now: the innermost graph being built, or the eager builder."""
    return _current.get(_bottom[0])


def is_tracing() -> bool:
    """Whether operations are being recorded in a graph rather than run at once."""
    return isinstance(current(), Builder)


@contextmanager
def eagerly(place: Any = None) -> Iterator[None]:
    """Inside, operations run at once, even where a graph is being built outside.

    They go to `place`; by default to what runs operations outside of every trace.
    """
    token = _current.set(place or _bottom[0])
    try:
        yield
    finally:
        _current.reset(token)


class Interpreter:
    """The builder at the bottom of the stack until another is installed: runs NumPy at once."""

    def emit(self, op: OpDef, inputs: Sequence[Any], attrs: dict[str, Any],
             where: Source | None = None) -> tuple[Any, ...]:
        op.result_types(tuple(type_of(x) for x in inputs), attrs, where or _where.get() or here())
        return op.evaluate([np.asarray(x) for x in inputs], attrs)

    def again(self, node: Node, inputs: Sequence[Any]) -> tuple[Any, ...]:
        return self.emit(node.op, inputs, node.attrs, node.where)

    def own(self, x: Any) -> Any:
        return np.asarray(x)


_bottom: list[Any] = [Interpreter()]


def install_bottom(builder: Any) -> None:
    """Make `builder` the one that runs operations outside every trace."""
    _bottom[0] = builder


@contextmanager
def located(where: Source | None) -> Iterator[None]:
    """Nodes emitted inside belong to this line of the user's program."""
    token = _where.set(where)
    try:
        yield
    finally:
        _where.reset(token)


def locate(where: Source | None) -> None:
    """From now on nodes belong to this line, until the innermost `located` ends."""
    _where.set(where)


def type_of(x: Any) -> Type:
    """The type of a value, array or number; never a weak one."""
    found = getattr(x, "type", None)
    if found.__class__ is Type:
        return found.strong
    if isinstance(x, Value):
        return found  # type: ignore[return-value]
    if isinstance(x, (np.ndarray, np.generic)):
        return Type(x.dtype, x.shape)
    return Type(dtype_of(x), ())


class Number(np.ndarray[Any, Any]):
    """A Python number as NumPy data without axes, which is still weak."""

    weak_type = True

    @classmethod
    def of(cls, x: Any) -> np.ndarray[Any, Any]:
        """A Python number, or NumPy's data, as data; weak if it is an int, float or complex."""
        data = np.asarray(x, dtype_of(x))
        return data.view(cls) if is_weak(x) else data


_WEAK = frozenset((int, float, complex))


def is_weak(x: Any) -> bool:
    """Whether an array, value or number depends on Python numbers alone; bools are not weak."""
    return x.__class__ in _WEAK or getattr(x, "weak_type", False)


def given_type(x: Any) -> Type:
    """The type of an operand, weak if the operand is: what a graph that takes it is traced at."""
    type = type_of(x)
    return type.weakened if is_weak(x) else type


def weakened(x: Any) -> Any:
    """What has just been made, of Python numbers alone: nobody has seen it yet."""
    if isinstance(x, Value):
        return x.builder.weakened(x) if x.type.weakened.weak else x
    elif isinstance(x, np.ndarray):
        return x.view(Number) if not x.ndim else x
    else:
        x.type = x.type.weakened
    return x


def constant_of(x: Any) -> tuple[OpDef, dict[str, Any]] | None:
    """The constant operation for a number or a scalar of NumPy's; None for larger data.

    An array of no axes is copied: who passed it may change it.
    """
    if isinstance(x, (bool, int, float, complex)):
        return _constant_op[0], {"value": np.asarray(x, dtype_of(x))}
    if isinstance(x, np.generic) or isinstance(x, np.ndarray) and x.ndim == 0:
        return _constant_op[0], {"value": np.array(x)}
    return None


_constant_op: list[Any] = []  # set once by hlo/ops/constant.py, which defines the operation


def known(x: Any) -> Any:
    """The array that `x` is or is known to equal; None when that waits for run time."""
    if not isinstance(x, Value):
        return np.asarray(x)
    builder = x.builder
    if not builder.concrete:
        return None
    if x not in builder.arrays:
        _evaluate(builder, x)
    return builder.arrays.get(x)


def _evaluate(builder: Builder, wanted: Value) -> None:
    """Compute the nodes of a concrete builder that `wanted` depends on."""
    needed = {wanted}
    plan = []
    for node in reversed(builder.nodes):
        if any(v in needed and v not in builder.arrays for v in node.outputs):
            plan.append(node)
            needed.update(node.inputs)
    for node in reversed(plan):
        if "axis_name" in node.attrs or not all(v in builder.arrays for v in node.inputs):
            return  # over an axis of examples, it is vmap that says what the value is
        arrays = node.op.evaluate([builder.arrays[v] for v in node.inputs], node.attrs)
        builder.arrays.update(zip(node.outputs, arrays, strict=True))


Rule = Callable[[Node, list[Any]], Sequence[Any]]


def rebuild(graph: Graph, inputs: Sequence[Any], rule: Rule) -> tuple[Any, ...]:
    """Walk `graph` in order; `rule(node, new_inputs)` gives the new meaning of a node's outputs.

    Every pass is a call of this function with its own rule. What a rule emits belongs to the line
    of the node it comes from.
    """
    env = dict(zip(graph.inputs, inputs, strict=True))
    before = _where.set(None)
    try:
        for node in graph.nodes:
            _where.set(node.where)
            results = rule(node, [env[v] for v in node.inputs])
            env.update(zip(node.outputs, results, strict=True))
    finally:
        _where.reset(before)
    return tuple([env[v] for v in graph.outputs])


def run(graph: Graph, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """Emit `graph` where operations go now: into an outer graph, or at once on arrays."""
    target = current()
    if target.__class__ is Builder and not target.closed and _fit(graph, inputs):
        return tuple(target.paste(graph, inputs))
    return rebuild(graph, inputs, target.again)


def _fit(graph: Graph, inputs: Sequence[Any]) -> bool:
    """Whether operands have the types of a graph's inputs."""
    return [type_of(x) for x in inputs] == [v.type for v in graph.inputs]


def emit_like(node: Node, inputs: Sequence[Any], **changed: Any) -> tuple[Any, ...]:
    """The same operation on other operands, its attributes changed where given."""
    builder = current()
    if not changed:
        return builder.again(node, inputs)  # type: ignore[no-any-return]
    attrs = {**node.attrs, **changed}
    return builder.emit(node.op, inputs, attrs, node.where)  # type: ignore[no-any-return]


def trace_graph(types: Sequence[Type], function: Callable[..., Sequence[Any]]) -> Graph:
    """The graph of `function`, which takes and returns values and captures none."""
    with Builder() as builder:
        outputs = function(*[builder.input(t) for t in types])
        graph, captured = builder.build(outputs)
    assert not captured, "a closed graph captured values from outside"
    return graph

"""The builder at the bottom of the stack: runs each operation when it is emitted.

Small operands go to NumPy, whose call is cheaper than starting a program of our own; large ones
and operations with regions (loops, branches) are compiled as programs of one node.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.array import Array, adopt, new, share, to_numpy, wrap
from arraylib.backends.cpu.block import address_of
from arraylib.backends.cpu.on_demand import part
from arraylib.compile import Executable, backend, compile_graph
from arraylib.config import config
from arraylib.errors import ArgumentError, Source, TraceError, mistake, what_is
from arraylib.hlo.ir import (
    Graph,
    Node,
    Number,
    Type,
    Value,
    current,
    eagerly,
    given_type,
    install_bottom,
    kept_in,
    trace_graph,
    type_of,
    weakened,
)
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops.reduction import (
    reduce_and,
    reduce_maximum,
    reduce_minimum,
    reduce_multiply,
    reduce_or,
)
from arraylib.hlo.ops.structured import broadcast_in_dim, reduce_add
from arraylib.launch import Launch, launcher
from arraylib.on_demand import module
from arraylib.tracing.checked import check_finite, guarded, results
from arraylib.tracing.lengths import AnyLength, any_length

_LARGE = 256 << 10  # bytes of operands and results above which a program pays

_Run = Callable[[Sequence[Array], dict[str, Any]], tuple[Array, ...]]


class Eager:
    """Runs operations at once on Arrays; what it takes and returns has the methods of Builder."""

    def emit(self, op: OpDef, inputs: Sequence[Any], attrs: dict[str, Any],
             where: Source | None = None) -> tuple[Array, ...]:
        """The results of an operation; raises the operation's own errors on misuse."""
        if not inputs and not op.multiple:
            type, = op.result_types((), attrs, where)
            return (adopt(op.numpy(**attrs), type),)
        arrays = [x if x.__class__ is Array
                  else _once(x) if op.elementwise and _is_number(x) else self.own(x)
                  for x in inputs]
        key = (op, tuple([x.type for x in arrays]), tuple(attrs.items()))
        try:
            run = _runs[key]
        except KeyError:
            run = _remember(key, _choose(op, key[1], attrs, where))
        except TypeError:  # an attribute that cannot be hashed, such as a constant's value
            run = _choose(op, key[1], attrs, where)
        return run(arrays, attrs)

    def again(self, node: Node, inputs: Sequence[Any]) -> tuple[Array, ...]:
        """The results of what a node does, on other operands."""
        return self.emit(node.op, inputs, node.attrs, node.where)

    def own(self, x: Any) -> Array:
        """Anything array-like as an Array; NumPy data is copied and keeps its dtype.

        Who takes data from users has narrowed what is to be narrowed: `numpy.promotion.operand`.
        """
        if x.__class__ is Array:
            return x  # type: ignore[no-any-return]
        if isinstance(x, Value):
            raise _foreign(x)
        if isinstance(x, (np.ndarray, np.generic)):
            data = np.array(x, order="C")
            return adopt(data, given_type(x)) if x.__class__ is Number else wrap(data)
        if isinstance(x, (bool, int, float, complex)):
            return adopt(np.array(x, dt.of(x)), given_type(x))
        raise mistake(ArgumentError, "array", f"{what_is(x)} is neither an array nor a number",
                      hint="convert it with jnp.array(...)")


def _is_number(data: Any) -> bool:
    """Whether this is NumPy's view of one number that repeats it."""
    return data.__class__ is np.ndarray and data.size > 1 and not any(data.strides)


def _once(data: np.ndarray[Any, Any]) -> Array:
    """The operand for a repeated number, which lives as long as the operation and is not dense.

    Its address is that of the one element.
    """
    array = new(Array)
    array.type = Type(data.dtype, data.shape)
    array.owner = data
    array.place = 0
    return array


_runs: dict[Any, _Run] = {}  # by operation, operand types and attributes
_programs: dict[Any, Launch] = {}
_lengths: dict[Any, AnyLength | None] = {}  # by operation, dtypes and attributes
_ENTRIES = 1 << 14


def _remember(key: Any, run: _Run) -> _Run:
    if len(_runs) >= _ENTRIES:
        _runs.clear()
    _runs[key] = run
    return run


def _choose(op: OpDef, types: tuple[Type, ...], attrs: dict[str, Any],
            where: Source | None) -> _Run:
    """Check the types; then NumPy or a program, by the size of the data."""
    weak = op.is_weak([t.weak for t in types])
    types = tuple([t.strong for t in types])
    results = op.result_types(types, attrs, where)
    if weak:
        return partial(_run_weak, _choose(op, types, attrs, where))
    in_numpy: _Run = _numpy_runner(_function(op, types, attrs), results[0]) if _is_plain(op) \
        else partial(_run_reference, op)
    if _pays(op, types, results, attrs):
        return partial(_run_program, op, in_numpy)
    return in_numpy


def _run_weak(run: _Run, arrays: Sequence[Array], attrs: dict[str, Any]) -> tuple[Array, ...]:
    """What depends on Python numbers alone."""
    return tuple(map(weakened, run(arrays, attrs)))


def _is_plain(op: OpDef) -> bool:
    """Whether an operation has one result, and does nothing else."""
    return not op.effect and not op.multiple


def _pays(op: OpDef, types: Sequence[Type], results: Sequence[Type],
          attrs: dict[str, Any]) -> bool:
    """Whether a program of the operation is faster than NumPy."""
    nbytes = sum([t.nbytes for t in types]) + sum([t.nbytes for t in results])
    large = nbytes > _LARGE and (op.expand or backend().native(op))
    return bool(types) and not op.effect and bool(large or _has_regions(attrs))


def numpy_alone(op: OpDef, types: tuple[Type, ...],
                attrs: dict[str, Any]) -> Callable[..., Any] | None:
    """The function that an operation is on NumPy's arrays, if outside of jit it is no more."""
    plain = _is_plain(op) and not _pays(op, types, op.result_types(types, attrs), attrs)
    return _function(op, types, attrs) if plain else None


_FOLDS = frozenset((
    reduce_add, reduce_multiply, reduce_maximum, reduce_minimum, reduce_and, reduce_or))


def _function(op: OpDef, types: Sequence[Type], attrs: dict[str, Any]) -> Callable[..., Any]:
    """An operation on NumPy's arrays: its meaning or, for sums and the like, code for any shape."""
    if op not in _FOLDS:
        return op.numpy
    meaning, result = op.numpy, op.result_types(types, attrs)[0]
    program = cache(lambda: part("folds").fold(op, types[0], attrs, result))

    def folded(x: Any, *, dimensions: tuple[int, ...]) -> Any:
        compiles = config.jit and config.backend == "cpu" and not config.cpu_target
        executable = program() if compiles else None
        if executable is None:
            return meaning(x, dimensions=dimensions)
        dense, found = np.ascontiguousarray(x), np.empty(result.shape, result.dtype)
        executable.entry(executable.pack(address_of(dense), address_of(found), executable.context))
        return found

    return folded


def _has_regions(attrs: dict[str, Any]) -> bool:
    return any(isinstance(part, Graph) for value in attrs.values()
               for part in (value if isinstance(value, tuple) else (value,)))


class _Quiet(threading.local):
    """A context for each thread in which NumPy does not warn of overflows and the like.

    Entering a context costs a twentieth of what `np.errstate` does.
    """

    def __init__(self) -> None:
        context = contextvars.copy_context()
        context.run(np.seterr, all="ignore")
        self.run = context.run


_quiet = _Quiet()


def quietly(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function of NumPy, which runs no code of users, without its warnings."""
    return _quiet.run(function, *args, **kwargs)


def _numpy_runner(function: Callable[..., Any], type: Type) -> _Run:
    """The way of a small operation with one result, whose type is known by now."""
    def run(arrays: Sequence[Array], attrs: dict[str, Any]) -> tuple[Array]:
        data = _quiet.run(function, *[to_numpy(x) for x in arrays], **attrs)
        return (adopt(data, type),)

    return run


def _run_reference(op: OpDef, arrays: Sequence[Array], attrs: dict[str, Any]) -> tuple[Array, ...]:
    return tuple([wrap(x) for x in op.evaluate([to_numpy(x) for x in arrays], attrs)])


def _run_program(op: OpDef, in_numpy: _Run, arrays: Sequence[Array],
                 attrs: dict[str, Any]) -> tuple[Array, ...]:
    if not config.jit or config.backend == "reference":
        return in_numpy(arrays, attrs)
    numbers = tuple([_is_number(x.owner) for x in arrays])
    launch = _program(op, [x.type.strong for x in arrays], numbers, attrs)
    return tuple(launch([x.address for x in arrays]))


def _program(op: OpDef, types: Sequence[Type], numbers: tuple[bool, ...],
             attrs: dict[str, Any]) -> Launch:
    """The program of one operation; operands that are `numbers` are read from one element.

    Attributes are looked up by their text: 0.0 and -0.0, or 1 and True, are equal keys otherwise.
    """
    plain = not _has_regions(attrs)
    key = (op, *types, numbers, repr(attrs), config.key())
    found = _programs.get(key) if plain else None
    if found is None and not plain:
        found = _region_launcher(_graph(op, types, numbers, attrs))
    if found is None:
        executable = of_any_length(op, types, numbers, attrs) if op.elementwise else None
        found = launcher(executable or compile_graph(_graph(op, types, numbers, attrs)))
        if plain:
            if len(_programs) >= _ENTRIES:
                _programs.clear()
            _programs[key] = found
    return found


def _region_launcher(graph: Graph) -> Launch:
    """What runs a graph, which may have checks."""
    checked = guarded(graph)
    if checked is None:
        return launcher(compile_graph(graph))
    launch = launcher(compile_graph(checked.graph))
    return lambda addresses: results(checked, launch(addresses))


def _graph(op: OpDef, types: Sequence[Type], numbers: tuple[bool, ...],
           attrs: dict[str, Any]) -> Graph:
    """The graph of one operation on operands of these types, of which `numbers` are scalars."""
    def apply(*operands: Any) -> Any:
        return current().emit(op, [
            broadcast_in_dim(x, shape=t.shape, broadcast_dimensions=()) if number else x
            for x, t, number in zip(operands, types, numbers, strict=True)], attrs)

    inputs = [Type(t.dtype, ()) if number else t for t, number in zip(types, numbers, strict=True)]
    return trace_graph(inputs, apply)


def of_any_length(op: OpDef, types: Sequence[Type], numbers: tuple[bool, ...],
                   attrs: dict[str, Any]) -> Executable | None:
    """The program of an elementwise operation, compiled for all shapes at once; None if it cannot.
    """
    key = (op, tuple([t.dtype for t in types]), numbers, repr(attrs), config.key())
    if key not in _lengths:
        def at(length: int) -> Graph:
            return _graph(op, [t.with_shape((length,)) for t in types], numbers, attrs)
        _lengths[key] = any_length(at, len(types))
    found = _lengths[key]
    inputs = [Type(t.dtype, ()) if number else t for t, number in zip(types, numbers, strict=True)]
    return found.at(inputs, types[0].with_dtype(found.dtype)) if found else None


def _foreign(value: Value) -> Exception:
    return mistake(
        TraceError, "leaked value",
        f"a traced {value.type} is used outside the function that is being traced"
        + kept_in(value),
        hint="return it from the traced function instead of keeping it in a global, an attribute "
             "or a list")


class _Watching(Eager):
    """The same where each result is looked at: `config.debug_nans` and `debug_infs`."""

    def emit(self, op: OpDef, inputs: Sequence[Any], attrs: dict[str, Any],
             where: Source | None = None) -> tuple[Array, ...]:
        found = super().emit(op, inputs, attrs, where)
        if inputs:
            check_finite(op.name, [type_of(x) for x in inputs], found, where)
        return found


class _KnownFirst:
    """At once what can be; what reads traced values goes to the graph they belong to."""

    def __init__(self, traced: Any, eager: Any) -> None:
        self.traced, self.eager = traced, eager

    def emit(self, op: OpDef, inputs: Sequence[Any], attrs: dict[str, Any],
             where: Source | None = None) -> tuple[Any, ...]:
        found: tuple[Any, ...] = self._place(inputs).emit(op, inputs, attrs, where)
        return found

    def again(self, node: Node, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """The results of what a node does, on other operands."""
        return self.emit(node.op, inputs, node.attrs, node.where)

    def own(self, x: Any) -> Any:
        """`x` where operations on it go."""
        return self._place([x]).own(x)

    def _place(self, inputs: Sequence[Any]) -> Any:
        return self.traced if any(isinstance(x, Value) for x in inputs) else self.eager


@contextmanager
def ensure_compile_time_eval() -> Iterator[None]:
    """Inside the `with` block operations run at once, even in a function that is being traced.

    Those that read a traced value are recorded as ever.

        >>> with ensure_compile_time_eval():
        ...     table = jnp.cumsum(jnp.ones(4))
    """
    traced = current()
    with eagerly():
        bottom = current()
        with eagerly(None if traced is bottom else _KnownFirst(traced, bottom)):
            yield


eager, _watching = Eager(), _Watching()
install_bottom(_watching if config.watched else eager)


def _choose_bottom(setting: bool) -> None:
    plain = _watching if config.watched else eager
    install_bottom(module("tracing.placing").Placing(plain) if config.placing else plain)


for _name in ("debug_nans", "debug_infs", "placing"):
    config.watchers.setdefault(_name, []).append(_choose_bottom)


def concrete(leaf: Any) -> Array:
    """An argument as an Array; NumPy memory is shared for the length of the call."""
    if leaf.__class__ is Array:
        return leaf  # type: ignore[no-any-return]
    return share(leaf) if isinstance(leaf, np.ndarray) else eager.own(leaf)

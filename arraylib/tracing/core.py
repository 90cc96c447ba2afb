"""Tracing: run a Python function on stand-ins and keep the graph it draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

import numpy as np

from arraylib import dtypes as dt, tree
from arraylib.config import config
from arraylib.errors import (
    ArgumentError,
    DepthError,
    TraceError,
    mistake,
    shorten,
    what_is,
)
from arraylib.hlo.ir import (
    Builder,
    Graph,
    Number,
    Type,
    Value,
    current,
    given_type,
    is_tracing,
    is_weak,
    known,
    type_of,
    weakened,
)
from arraylib.hlo.ops.elementwise import convert, strong
from arraylib.holders import first_held
from arraylib.operators import Operators
from arraylib.record import record
from arraylib.tracing.cells import Ref, changed, claim, contents, put, resolved, stand_in
from arraylib.tracing.layouts import PlacingBuilder, lay_inputs, placed_type


def _is_looked_up(value: Any) -> bool:
    """Whether a value is compared by a pass, which asks for identity, and not in a user's program.

    Values of finished graphs are, and those that passes make, which no user ever sees.
    """
    return isinstance(value, Value) and (value.__class__ is Value or value.builder.closed)


class Tracer(Operators, Value):
    """A value of a graph being drawn, with which a user can write arithmetic.

    Under `grad` outside `jit` its array is known, and Python may look at it; under `jit` or `vmap`
    it stands for arrays to come, and `if x > 0` is refused.
    """

    __slots__ = ()

    dtype = property(lambda self: self.type.dtype)
    shape = property(lambda self: self.type.shape)
    ndim = property(lambda self: len(self.type.shape))
    size = property(lambda self: self.type.size)
    nbytes = property(lambda self: self.type.nbytes)
    itemsize = property(lambda self: self.type.dtype.itemsize)
    weak_type = property(lambda self: self in self.builder.weak,
                         doc="Whether it depends on Python numbers alone.")
    aval = property(placed_type, doc="Its type, as programs written for JAX call it.")
    _trace = property(lambda self: self.builder, doc="What draws it, by JAX's name for that.")

    __hash__ = object.__hash__  # passes look values up all the time

    def __eq__(self, other: Any) -> Any:
        return self is other if _is_looked_up(other) else super().__eq__(other)

    def __ne__(self, other: Any) -> Any:
        return self is not other if _is_looked_up(other) else super().__ne__(other)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self._known("NumPy needs its elements", _ADVICE["array"]), dtype=dtype)

    def __bool__(self) -> bool:
        return bool(self._known("Python's `if`, `while`, `and`, `or`, `not` need a truth value",
                                _ADVICE["bool"]))

    def __int__(self) -> int:
        return int(self._known("int() needs a number", _ADVICE["number"]))

    def __float__(self) -> float:
        return float(self._known("float() needs a number", _ADVICE["number"]))

    def __complex__(self) -> complex:
        return complex(self._known("complex() needs a number", _ADVICE["number"]))

    def __index__(self) -> int:
        if not dt.is_integer(self.dtype) or self.shape:
            raise TypeError(f"only a scalar integer can be an index, not {self.type}")
        return int(self._known("Python needs an integer (range, a shape, a list index)",
                               _ADVICE["index"]))

    def item(self) -> Any:
        return self._known("item() needs a number", _ADVICE["number"]).item()

    def tolist(self) -> Any:
        return self._known("tolist() needs its elements", _ADVICE["array"]).tolist()

    def block_until_ready(self) -> Tracer:
        return self

    def __deepcopy__(self, memo: Any) -> Tracer:
        return self  # it cannot change

    def __copy__(self) -> Tracer:
        return self

    def __reduce__(self) -> Any:
        raise mistake(TraceError, "traced value", f"this {self.type} has no elements to be pickled "
                      "while the function is being traced",
                      hint="return it and save it outside jit")

    def __format__(self, specification: str) -> str:
        if not specification:
            return str(self)
        return format(self._known("a format such as :.2f needs a number", _ADVICE["format"]),
                      specification)

    def __repr__(self) -> str:
        array = None if self.builder.closed else known(self)
        return f"Tracer({self.type})" if array is None else f"Tracer({self.type}, {array})"

    def _known(self, need: str, advice: str) -> Any:
        if self.builder.closed:
            current().own(self)  # raises the error about leaked values
        array = known(self)
        if array is None:
            raise mistake(TraceError, "traced value", f"{need}, but this {self.type} has none "
                          "while the function is being traced", hint=advice)
        return array


_ADVICE = {
    "bool": "jnp.where(c, x, y) to choose between arrays, lax.cond or lax.while_loop for control "
            "flow, or static_argnums if the value is a setting",
    "number": "keep it an array (x.astype(...)), or move the conversion outside jit",
    "index": "mark the argument static (static_argnums, static_argnames), or use "
             "lax.fori_loop / lax.dynamic_slice with the traced value",
    "format": "return it and print it outside jit; f'{x}' without a format shows its type",
    "array": "use arraylib.numpy instead of numpy here, or move this outside jit and vmap",
}


# -- arguments ------------------------------------------------------------------------------------


@record
class ShapeDtypeStruct:
    """The shape and dtype of an array without its elements; stands for one in eval_shape."""

    shape: tuple[int, ...]
    dtype: Any
    weak_type: bool = False
    sharding: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        if not (isinstance(self.dtype, np.dtype) and self.dtype == dt.float0):
            object.__setattr__(self, "dtype", dt.dtype(self.dtype, op="ShapeDtypeStruct"))

    def __repr__(self) -> str:
        weak = ", weak_type=True" if self.weak_type else ""
        name = "float0" if self.dtype == dt.float0 else dt.name(self.dtype)
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={name}{weak})"

    @classmethod
    def like(cls, x: Any) -> ShapeDtypeStruct:
        """The shape and dtype of an array or number."""
        return cls.of(given_type(as_operand(x, "ShapeDtypeStruct.like", lambda: "it")))

    @classmethod
    def of(cls, type: Type) -> ShapeDtypeStruct:
        """A type's shape and dtype."""
        return cls(type.shape, type.dtype, type.weak)

    @property
    def type(self) -> Type:
        found = Type(self.dtype, self.shape)
        return found.weakened if self.weak_type else found

    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: self.type.size)


def typeof(x: Any) -> Any:
    """The type of an array, a number or a ref: dtype, shape and, on a mesh, its sharding.

        >>> typeof(jnp.zeros((2, 3)))
        f32[2,3]
    """
    return x.type if x.__class__ is Ref else placed_type(x)


def as_operand(x: Any, name: str, path: Callable[[], str], hint: str = "",
               beside: dt.Dtype | None = None) -> Any:
    """A leaf of a user's argument as something with a Type: numbers and NumPy data are converted.

    NumPy data keeps 64 bits `beside` a dtype of 64 bits, to which it is converted.
    Raises ArgumentError for anything that is no array, naming where in the argument it is.
    """
    if getattr(x, "type", None).__class__ is Type:
        return x
    if isinstance(x, (np.ndarray, np.generic, bool, int, float, complex)):
        dtype = dt.of(x, op=name, beside=beside)
        return Number.of(x) if is_weak(x) else np.asarray(x).astype(dtype, copy=False)
    if x.__class__ is Ref:
        raise mistake(ArgumentError, name, f"{path()} is a {x.type}, where an array belongs",
                      hint="read it: ref[...]")
    raise mistake(ArgumentError, name, f"{path()} is {what_is(x)}, which is no array",
                  hint=hint or "pass arrays or numbers; a setting can be a static argument of jit, "
                               "or be bound with functools.partial or a lambda")


def must_call(name: str, function: Any, role: str = "its argument") -> None:
    """Refuse what is no function where one is expected, before anything is done with it."""
    if not callable(function):
        raise mistake(ArgumentError, name, f"{role} is {what_is(function)}, not a function",
                      hint="pass the function itself, without calling it")


def hold_refs(x: Any) -> Any:
    """A tree in which refs are no leaves: whoever takes it apart keeps them in its structure."""
    return tree.map(lambda leaf: _Held(leaf) if leaf.__class__ is Ref else leaf, x)


def flatten_arguments(name: str, args: Any) -> tuple[list[Any], Any]:
    """The leaves of a tuple of arguments as operands, and their structure."""
    leaves, structure = tree.flatten(args)
    if any([x.__class__ is Ref for x in leaves]):
        leaves, structure = tree.flatten(hold_refs(args))
    operands = [as_operand(x, name, partial(argument_path, args, i))
                for i, x in enumerate(leaves)]
    return operands, structure


def flatten_call(name: str, args: Any, kwargs: Any) -> tuple[list[Any], Any]:
    """The leaves of a call's positional and keyword arguments as operands, and their structure."""
    leaves, structure = tree.flatten((args, kwargs))
    if any([x.__class__ is Ref for x in leaves]):
        leaves, structure = tree.flatten(hold_refs((args, kwargs)))
    operands = [as_operand(x, name, partial(call_path, args, kwargs, i))
                for i, x in enumerate(leaves)]
    return operands, structure


class _Held:
    """A ref among arguments, as a container without leaves: the function closes over it."""

    def __init__(self, ref: Ref) -> None:
        self.ref = ref


tree.register_node(_Held, lambda held: ((), held.ref), lambda ref, _: ref)


def call_path(args: Any, kwargs: Any, leaf: int) -> str:
    """Where the leaf with this number is in a call: `argument 0['w']`, `argument scale`."""
    positional = len(tree.leaves(args))
    if leaf < positional:
        return argument_path(args, leaf)
    path = tree.flatten_with_path(kwargs)[0][leaf - positional][0]
    return f"argument {path[0].key}{tree.keystr(path[1:])}"


def argument_path(args: Any, leaf: int) -> str:
    """`argument 0['layers'][1]`: where the leaf with this number is."""
    path = tree.flatten_with_path(args)[0][leaf][0]
    return f"argument {_index(path[0])}{tree.keystr(path[1:])}"


def _index(key: Any) -> Any:
    return getattr(key, "idx", getattr(key, "index", key))


# -- tracing --------------------------------------------------------------------------------------


def trace(function: Callable[..., Sequence[Any]], types: Sequence[Type],
          values: Sequence[Any] | None = None,
          alike: Sequence[Any] | None = None) -> tuple[Graph, list[Any]]:
    """The graph of a flat function at these types, and the outer values it closed over.

    With `values`, what is known is computed when Python asks for it, so that control flow may look
    at it; such a graph holds for these values only. Along which axes of shard_map the inputs may
    differ is as it is for `alike`, or for the values.
    """
    graph, outer = trace_with_refs(function, types, values, alike)
    return graph, resolved(outer)


def trace_with_refs(function: Callable[..., Sequence[Any]], types: Sequence[Type],
                    values: Sequence[Any] | None = None,
                    alike: Sequence[Any] | None = None) -> tuple[Graph, list[Any]]:
    """As `trace`, but a ref that was closed over is itself among the outer values."""
    graph, outer = _traced(function, types, values, alike)
    if config.check_leaks:
        _refuse_leaks(graph)
    return graph, [x if x.__class__ is Ref else owned([x])[0] for x in outer]


def owned(xs: Sequence[Any]) -> list[Any]:
    """Operands as they are now: outside of all traces, NumPy data is copied.

    Who passed it may change it while results and derivatives are still to be made of it.
    """
    return list(xs) if is_tracing() else list(map(current().own, xs))


def _traced(function: Callable[..., Sequence[Any]], types: Sequence[Type],
            values: Sequence[Any] | None,
            alike: Sequence[Any] | None) -> tuple[Graph, list[Any]]:
    make = PlacingBuilder if config.placing else Builder
    with make(Tracer, concrete=values is not None) as builder:
        inputs = [builder.input(t) for t in types]
        if config.placing:
            lay_inputs(inputs, values, alike)
        for tracer, x in zip(inputs, values or ()):
            if (array := known(x)) is not None:
                builder.arrays[tracer] = array
        try:
            found = function(*inputs)
        except RecursionError as error:
            if isinstance(error, DepthError):
                raise
            raise mistake(DepthError, getattr(function, "name", "trace"), "the recursion is too "
                          "deep while the function is being traced", hint="what is traced cannot "
                          "end a recursion: lax.while_loop, lax.fori_loop or lax.cond can; where "
                          "it does end, sys.setrecursionlimit(...)") from None
        except Exception as error:
            if config.tracebacks == "user":
                shorten(error)
            raise
        outputs = [x if isinstance(x, Value) else as_operand(x, "returned value", lambda: "it")
                   for x in found]
        return builder.build(outputs)


def _refuse_leaks(graph: Graph) -> None:
    """TraceError if a value of a finished graph is kept by anyone but the graph."""
    makers = {value: node.where for node in graph.nodes for value in node.outputs}
    found = first_held([*graph.inputs, *makers])
    if found is not None:
        value, kept = found
        made = f"made at {makers[value]}" if value in makers else "an argument"
        raise mistake(TraceError, "leaked value", f"a traced {value.type}, {made}, is kept as "
                      f"{kept}", hint="return it from the traced function instead")


def marked(outputs: Sequence[Any], weak: Sequence[bool]) -> list[Any]:
    """Results that have just been made, which are weak where `weak` says so, and only there.

    What comes after them goes into refs, and is not weak.
    """
    return [x if is_weak(x) == w else weakened(x) if w else strong(x)
            for x, w in zip_longest(outputs, weak, fillvalue=False)]


def alike(x: Any, weak: bool) -> Any:
    """x, weak or not; a copy if that changes, for x may be what the user has given."""
    if not weak or is_weak(x):
        return x if weak else strong(x)
    return weakened(convert(x, dtype=type_of(x).dtype))


class NoTangent:
    """Stands in structures for zeros of dtype float0, which no graph computes."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape


tree.register_node(NoTangent, lambda zero: ((), zero.shape),
                   lambda shape, _: np.zeros(shape, dt.float0))


def has_no_tangent(x: Any) -> bool:
    """Whether x is the tangent of integers or bools: zeros of dtype float0."""
    return isinstance(x, np.ndarray) and x.dtype == dt.float0


def _hidden(out: Any) -> Any:
    """`out` with zeros of float0 as containers without leaves."""
    if not any(map(has_no_tangent, tree.leaves(out))):
        return out
    return tree.map(lambda x: NoTangent(x.shape) if has_no_tangent(x) else x, out)


class Flat:
    """A function on nested containers as one on flat lists; keeps the structure it returned.

    With `refs`, what refs hold that the function writes to comes after the outputs, and
    `write_back` puts it into the refs; `passed` are the numbers of the leaves that stand for what
    refs hold, in whose place the function gets refs.
    """

    def __init__(self, name: str, function: Callable[..., Any], structure: Any,
                 has_aux: bool = False, refs: bool = False, passed: Sequence[int] = ()) -> None:
        self.name, self.function, self.structure = name, function, structure
        self.has_aux, self.refs, self.passed = has_aux, refs, passed
        self.output: Any = None
        self.main: int = 0  # how many of the outputs are not auxiliary
        self.written: list[Any] = []  # refs of the outside, and numbers of leaves
        self.weak: tuple[bool, ...] = ()  # which outputs depend on Python numbers alone

    def __call__(self, *leaves: Any) -> list[Any]:
        given = list(leaves)
        for i in self.passed:
            given[i] = stand_in(leaves[i])
        return [*self._outputs(given), *self._contents(leaves, given)]

    def _contents(self, leaves: Sequence[Any], given: Sequence[Any]) -> list[Any]:
        """What the refs hold that were written to."""
        if not self.refs:
            return []
        outside = changed()
        inside = [i for i in self.passed if contents(given[i]) is not leaves[i]]
        self.written = [*outside, *inside]
        return [*claim(outside), *[contents(given[i]) for i in inside]]

    def write_back(self, results: Sequence[Any], leaves: Sequence[Any] = ()) -> None:
        """Put what comes after the outputs into the refs outside, which are among `leaves`."""
        last = results[len(results) - len(self.written):]
        for ref, value in zip(self.written, last):
            put(leaves[ref] if ref.__class__ is int else ref, value)

    def _outputs(self, leaves: Sequence[Any]) -> list[Any]:
        out = self.function(*tree.unflatten(self.structure, leaves))
        main, aux = map(_hidden, self._pair(out) if self.has_aux else (out, ()))
        flat, _ = tree.flatten(main)
        self.main = len(flat)
        everything, self.output = tree.flatten((main, aux))
        outputs = [as_operand(x, self.name, partial(self._where, main, aux, i),
                              "return arrays, numbers, None and containers of them")
                   for i, x in enumerate(everything)]
        self.weak = tuple(map(is_weak, outputs))
        return outputs

    def _pair(self, out: Any) -> tuple[Any, Any]:
        if isinstance(out, tuple) and len(out) == 2:
            return out
        raise mistake(ArgumentError, self.name, f"with has_aux=True the function must return a "
                      f"pair (output, auxiliary data), not {what_is(out)}",
                      hint="return loss, {'accuracy': accuracy}")

    def _where(self, main: Any, aux: Any, leaf: int) -> str:
        path = tree.flatten_with_path((main, aux))[0][leaf][0]
        return f"the result{tree.keystr(path[1:])}"

    def unflatten(self, leaves: Sequence[Any]) -> tuple[Any, Any]:
        """(output, auxiliary data) from the flat outputs."""
        return tree.unflatten(  # type: ignore[no-any-return]
            self.output, leaves[:self.output.num_leaves])

    def tangents(self, leaves: Sequence[Any]) -> Any:
        """What is like the output, without auxiliary data, from as many leaves."""
        return tree.unflatten(self.output.children[0], leaves)

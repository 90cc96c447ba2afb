"""Functions outside of jit that only move elements, or that choose, or that no element decides.

`x[1:3]`, `x.T`, `jnp.concatenate([x, y])`, `jnp.zeros(4)`: what they do depends on types and on
arguments that are no arrays. Once one has been used a few times in the same way, it is found out
where each element of its result comes from, by a call with numbered elements; from then on native
code moves them. That is for small arrays, for which Python takes longer than the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from types import EllipsisType, NoneType
from typing import Any

import numpy as np

from arraylib import dtypes as dt, tree
from arraylib.array import Array, adopt, to_numpy
from arraylib.backends.cpu.calls.ndarrays import SCALARS
from arraylib.backends.cpu.on_demand import part
from arraylib.compile import compile_graph
from arraylib.config import config
from arraylib.errors import ArraylibError
from arraylib.hlo.ir import Graph, Type, current, is_tracing
from arraylib.hlo.ops.constant import constant
from arraylib.hlo.ops.control import call
from arraylib.hlo.ops.structured import reshape
from arraylib.hlo.split import needed
from arraylib.launch import launcher
from arraylib.numpy.programs import OneProgram
from arraylib.numpy.types import ScalarType
from arraylib.numpy.updates import Update
from arraylib.on_demand import module
from arraylib.tracing.checked import guarded
from arraylib.tracing.core import trace
from arraylib.tracing.operation import KNOWN, Operation

_MOST_BYTES = 1 << 12  # of a result
_MOST_PARTS = 64  # of a container
_MOST_ELEMENTS = 1 << 16  # of the operands, which are numbered
_FIXED = frozenset((bool, str, NoneType, EllipsisType, type, ScalarType))
_NUMBERS = frozenset((int, float))
_PYTHON = frozenset((bool, int, float, complex))
_CONTAINERS = frozenset((tuple, list))
_FIELDS = {Update: ("array", "index")}  # of classes that are containers as well

METHODS = ("reshape", "transpose", "ravel", "flatten", "squeeze", "swapaxes", "repeat", "diagonal",
           "copy")
PROPERTIES = ("T", "mT")
FUNCTIONS = ("reshape", "transpose", "matrix_transpose", "ravel", "squeeze", "expand_dims",
             "swapaxes", "moveaxis", "flip", "fliplr", "flipud", "roll", "rot90", "broadcast_to",
             "tile", "repeat", "concatenate", "stack", "vstack", "hstack", "dstack", "diagonal")
FOLDS = ("sum", "max", "min")
EXACT_METHODS = ("argmax", "argmin", "any", "all", "astype", "argsort")
TAKES = ("take",)  # a function and a method
EXACT_FUNCTIONS = ("argmax", "argmin", "any", "all", "where", "sign", "sort", "argsort")
CONSTANTS = ("zeros", "ones", "full", "empty", "arange", "linspace", "eye", "identity",
             "zeros_like", "ones_like", "full_like", "empty_like")
GIVEN = ("array", "asarray")


class Movement(Operation):
    """A function or method whose result has elements of its first argument, an array or several."""

    often, very_often = 8, 64
    most_bytes = _MOST_BYTES  # of a result whose uses are counted
    most_served = _MOST_BYTES

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        epoch = config.epoch  # before the settings are read: others may change them meanwhile
        result = self._method(*args, **kwargs)
        if self._is_small(result) and config.jit \
                and config.backend == "cpu" and not config.observed \
                and not config.debug_key_reuse and not is_tracing():
            self._note(args, kwargs, result, epoch)
        return result

    def _is_small(self, result: Any) -> bool:
        """Whether a result is one that native code may make."""
        return result.__class__ is Array and result.type.nbytes <= self.most_bytes

    def _note(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Array,
              epoch: int) -> None:
        """Count a use; native code takes over what is used often."""
        if self._epoch != config.epoch:
            self._forget()
        try:
            key = _key(args), *((name, _key(value)) for name, value in kwargs.items())
        except TypeError:  # an argument that may change
            return
        if len(self._uses) > KNOWN:
            self._uses.clear()
        uses = self._uses[key] = self._uses.get(key, 0) + 1
        if uses in (self._often, self.very_often):
            self._take_over(args, kwargs, result, uses, epoch)

    def _take_over(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any,
                   uses: int, epoch: int) -> None:
        entries = part("calls.entries")
        guard, leaves = entries.fixed_guard(args, kwargs, Array, is_fixed, _FIELDS)
        wanted, output = tree.flatten(result)
        if guard.possible and len(leaves) == 1 and result is leaves[0]:
            self._serve((), part("moves").copy(result.type), epoch, guard, given=True)
        if not guard.possible or not all([0 < x.type.nbytes <= self.most_served for x in wanted]) \
                or any(x is y for x in leaves for y in wanted):
            return
        made = self._made(args, kwargs, leaves, result) if uses == self._often \
            else self._compiled_for(args, kwargs, leaves)
        if made is None:
            return
        executable, captured = made
        found = launcher(executable)([x.address for x in (*leaves, *captured)])
        if all(map(_same_bits, found, wanted)):
            self._serve((), executable, epoch, guard, captured, output)

    def _compiled_for(self, args: tuple[Any, ...], kwargs: dict[str, Any],
                      leaves: Sequence[Array]) -> Any:
        """A program for these very types, for what is used very often; None if there is none."""
        return None

    def _made(self, args: tuple[Any, ...], kwargs: dict[str, Any], leaves: Sequence[Array],
              result: Array) -> Any:
        """The program for arguments like these, and what it captures; None if there is none."""
        moves = part("moves")
        sizes = [x.type.size for x in leaves]
        if not 0 < len(leaves) <= moves.MOST_OPERANDS or _count(args[:1]) != len(leaves) \
                or sum(sizes) > _MOST_ELEMENTS \
                or any(x.type.dtype != result.type.dtype for x in leaves):
            return None
        starts = [0, *accumulate(sizes)]
        numbered = iter([Array(np.arange(start, start + size, dtype=np.int32).reshape(x.type.shape))
                         for x, start, size in zip(leaves, starts, sizes, strict=False)])
        found = self._method(_with(args[0], numbered), *args[1:], **kwargs)
        places = np.asarray(found).ravel()
        if places.dtype != np.int32 or places.min() < 0 or places.max() >= starts[-1]:
            return None  # numbers were converted by a dtype among the arguments, or others came
        operands = np.searchsorted(starts, places, "right") - 1
        elements = places - np.asarray(starts)[operands]
        return moves.moves([x.type for x in leaves], operands, elements, result.type), ()


class Constant(Movement):
    """A function of settings, whose result is the same whenever they are: zeros, arange.

    Of an array as its first argument, it asks the type only, if its name ends in `like`.
    """

    def _made(self, args: tuple[Any, ...], kwargs: dict[str, Any], leaves: Sequence[Array],
              result: Array) -> Any:
        if leaves and not (self.__name__.endswith("_like") and len(leaves) == 1
                           and args and args[0] is leaves[0]):
            return None
        kept = Array(result, result.type.dtype)
        kept.place = kept.address  # native code asks nobody
        types = [x.type for x in (*leaves, kept)]
        size = result.type.size
        operands = np.full(size, len(leaves))
        return part("moves").moves(types, operands, np.arange(size), result.type), (kept,)


class Given(Constant):
    """A function that makes an array of data: of NumPy data, a number or an array it is a copy."""

    soon, most_copied = 2, 1 << 16

    def _is_small(self, result: Any) -> bool:
        return result.__class__ is Array and result.type.nbytes <= self.most_copied

    def _note(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Array,
              epoch: int) -> None:
        data = args[0] if args else None
        kind = _data_key(data)
        if kind is None or result is data:
            if result.type.nbytes <= self.most_bytes:
                super()._note(args, kwargs, result, epoch)
        elif len(args) <= 2 and not kwargs.keys() - {"dtype"}:
            self._note_data(kind, args, kwargs, result, epoch)

    def _note_data(self, kind: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Array,
                   epoch: int) -> None:
        """Count a use with data of a kind; the second leads to native code."""
        if self._epoch != config.epoch:
            self._forget()
        try:
            key = kind, _key(args[1:]), *((name, _key(value)) for name, value in kwargs.items())
        except TypeError:  # a dtype that is no fixed object
            return
        if len(self._uses) > KNOWN:
            self._uses.clear()
        uses = self._uses[key] = self._uses.get(key, 0) + 1
        if uses != self.soon or args[0].__class__ in _PYTHON and (len(args) > 1 or kwargs):
            return
        data, type = args[0], result.type
        given = data.type if data.__class__ is Array else type
        guard = part("calls.entries").data_guard(args, kwargs, given, is_fixed)
        if guard.possible and given.dtype == type.dtype and given.size == type.size:
            made = part("moves").copy(type.strong)
            rows = [replace(row, type=type) for row in made.results]
            self._serve((), replace(made, results=tuple(rows)), epoch, guard)


class Composed(Movement):
    """A function that does the same for all arrays of a type: programs for any shape do it as well,
    where these give the same bits.
    """

    def _is_small(self, result: Any) -> bool:
        if result.__class__ is Array:
            return super()._is_small(result)
        return result.__class__ in _CONTAINERS and 0 < len(result) <= _MOST_PARTS \
            and all([super(Composed, self)._is_small(x) for x in result])

    def _made(self, args: tuple[Any, ...], kwargs: dict[str, Any], leaves: Sequence[Array],
              result: Any) -> Any:
        if self._method.__class__ is OneProgram:
            entry = self._method.entry_of(args, kwargs, leaves)
            if entry is not None:
                return (entry.executable, entry.captured) if entry.native else None
        graph = self._drawn(args, kwargs, leaves)
        types = [x.type for x in tree.leaves(result)]
        if graph is None or [v.type.strong for v in graph.outputs] != [t.strong for t in types]:
            return None
        made = _one_call(graph, types)
        if made is not None:
            return made
        made = module("tracing.chained").chained(graph, types)
        return None if made is None else (made, ())

    def _drawn(self, args: tuple[Any, ...], kwargs: dict[str, Any],
               leaves: Sequence[Array]) -> Graph | None:
        """The function's graph; None if it has to see the elements."""
        def apply(*operands: Any) -> list[Any]:
            current().keeps_programs = True
            rest = iter(operands)
            given = _with(args, rest)
            return tree.leaves(
                self._method(*given, **{name: _with(x, rest) for name, x in kwargs.items()}))

        try:
            graph, captured = trace(apply, [x.type for x in leaves])
        except ArraylibError:
            return None
        return None if captured else graph


def _one_call(graph: Graph, results: Sequence[Type]) -> Any:
    """The program that a graph is one call of, and its last operands, which are constants; or None.

    That program has run for the calls before, so that the bits are the same.
    """
    graph = needed(graph)
    constants = {node.outputs[0]: node.attrs["value"] for node in graph.nodes
                 if node.op is constant}
    others = [node for node in graph.nodes if node.op is not constant]
    node = others[0] if len(others) == 1 and others[0].op is call else None
    count = len(graph.inputs)
    if node is None or node.outputs != graph.outputs or node.inputs[:count] != graph.inputs \
            or any([v not in constants for v in node.inputs[count:]]):
        return None
    checked = guarded(node.attrs["body"])
    if checked is not None:
        return None
    made = compile_graph(node.attrs["body"])
    rows = [replace(row, type=type) for row, type in zip(made.results, results, strict=True)]
    captured = [Array(constants[v], v.type.dtype) for v in node.inputs[count:]]
    for each in captured:
        each.place = each.address  # native code asks nobody
    return replace(made, results=tuple(rows)), tuple(captured)


class Program(Composed):
    """The same of a function that does little more than run a program, on large arrays as well."""

    most_bytes = most_served = 1 << 24


class Exact(Composed):
    """The same of a function that is never rounded: a program for these very types gives the bits
    that NumPy gives. It is compiled for what is used very often.
    """

    def _compiled_for(self, args: tuple[Any, ...], kwargs: dict[str, Any],
                      leaves: Sequence[Array]) -> Any:
        graph = self._drawn(args, kwargs, leaves)
        return None if graph is None else (compile_graph(graph), ())


class Fold(Composed):
    """A sum or extreme over axes, of which small ones are folded by code for any shape."""

    def _made(self, args: tuple[Any, ...], kwargs: dict[str, Any], leaves: Sequence[Array],
              result: Any) -> Any:
        found = self._alone(args, kwargs, leaves, result)
        return super()._made(args, kwargs, leaves, result) if found is None else (found, ())

    def _alone(self, args: tuple[Any, ...], kwargs: dict[str, Any], leaves: Sequence[Array],
               result: Any) -> Any:
        """The program where there is one operation, and the axes that it leaves."""
        if len(leaves) != 1 or not args or args[0] is not leaves[0] or config.cpu_target:
            return None
        graph = self._drawn(args, kwargs, leaves)
        first, *others = graph.nodes if graph and graph.nodes else (None,)
        if first is None or graph is None or first.inputs != graph.inputs \
                or any(node.op is not reshape for node in others):
            return None
        return part("folds").fold(first.op, leaves[0].type, first.attrs, result.type)


class Taking(Movement):
    """Rows of an array at integers, which code that is there for any type copies."""

    most_bytes = 1 << 16

    def _note(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Array,
              epoch: int) -> None:
        if len(args) not in (2, 3) or args[0].__class__ is not Array or kwargs.keys() - {"axis"}:
            return
        axis, = args[2:] or kwargs.values() or (None,)
        if axis.__class__ is int and axis == 0 or axis is None and len(args[0].type.shape) == 1:
            self._note_places(args, kwargs, result, epoch)

    def _note_places(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Array,
                     epoch: int) -> None:
        """The first use with an array and integers of these types leads to native code."""
        if self._epoch != config.epoch:
            self._forget()
        x, places = args[0].type, args[1].type if args[1].__class__ is Array else None
        gathers, key = part("gathers"), (x, places, args[2:], *kwargs.items())
        if len(self._uses) > KNOWN:
            self._uses.clear()
        if places is None or places.dtype not in gathers.DTYPES or key in self._uses \
                or not (x.shape and result.type.size) or config.cpu_target:
            return
        self._uses[key] = 1
        guard = part("calls.entries").places_guard(args, kwargs, is_fixed)
        self._serve((), gathers.gather(x, places), epoch, guard)


class Indexing(Taking):
    """x[i], x[i, j]: integers are served by code that is there for any type; slices are moves.

    How many elements x[mask] has, the mask decides: small ones are left to NumPy without detours.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 2 and args[1].__class__ is Array and args[1].type.dtype is dt.bool_:
            x, mask = args
            rank = len(mask.type.shape)
            if x.__class__ is Array and rank and x.type.shape[:rank] == mask.type.shape \
                    and x.type.nbytes <= self.most_bytes and not (is_tracing() or config.observed):
                data = to_numpy(x)[to_numpy(mask)]
                found = Type(data.dtype, data.shape)
                return adopt(data, found.weakened if x.type.weak else found)
        return super().__call__(*args, **kwargs)

    def _note(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Array,
              epoch: int) -> None:
        """The first use with an array of this type leads to native code."""
        if len(args) < 2:  # given by name: seldom, and no reader's habit
            return
        type, index = args[0].type, args[1]
        indices = index if index.__class__ is tuple else (index,)
        if index.__class__ is Array:
            self._note_places(args, kwargs, result, epoch)
        elif not all([i.__class__ is int for i in indices]):
            if not any([i.__class__ is Array for i in indices]):  # whose elements decide
                Movement._note(self, args, kwargs, result, epoch)
        elif 0 < len(indices) <= part("rows").MOST_INDICES:
            self._note_integers(type, index, len(indices), epoch)

    def _note_integers(self, type: Type, index: Any, count: int, epoch: int) -> None:
        if self._epoch != config.epoch:
            self._forget()
        key, rows = (type, index.__class__, count), part("rows")
        if key not in self._uses and count <= len(type.shape):
            self._uses[key] = 1
            guard = part("calls.entries").index_guard(type, count, index.__class__ is tuple)
            self._serve((), rows.row(type, count), epoch, guard)


def _same_bits(found: Array, wanted: Array) -> bool:
    """Whether two arrays of one type have the same elements; of nan the sign says nothing."""
    x, y = np.asarray(found), np.asarray(wanted)
    if x.tobytes() == y.tobytes() or not dt.is_float(x.dtype):
        return x.tobytes() == y.tobytes()
    nans = np.isnan(x)
    return np.array_equal(nans, np.isnan(y)) and x[~nans].tobytes() == y[~nans].tobytes()


def _key(value: Any) -> Any:
    """What is the same for arguments that are used in the same way; TypeError if they may change.
    """
    cls = value.__class__
    if cls is Array:
        return value.type
    if cls in _CONTAINERS and len(value) <= _MOST_PARTS:
        return cls, *map(_key, value)
    if cls in _FIELDS:
        return cls, *[_key(getattr(value, name)) for name in _FIELDS[cls]]
    if cls is slice:
        return cls, _key(value.start), _key(value.stop), _key(value.step)
    if cls in _NUMBERS or is_fixed(value):
        return cls, value
    raise TypeError


def _data_key(value: Any) -> Any:
    """What is the same for data that is copied in the same way; None for what is no data."""
    cls = value.__class__
    if cls is Array:
        return value.type
    if cls is np.ndarray or cls in SCALARS:
        return cls, value.dtype, value.shape
    return cls if cls in _PYTHON else None


def is_fixed(value: Any) -> bool:
    """Whether an argument stays what it is, as a number does."""
    return value.__class__ in _FIXED or value.__class__ in _NUMBERS or isinstance(value, np.dtype)


def _count(value: Any) -> int:
    """How many arrays there are in an argument."""
    if value.__class__ in _CONTAINERS:
        return sum(map(_count, value))
    if value.__class__ in _FIELDS:
        return sum([_count(getattr(value, name)) for name in _FIELDS[value.__class__]])
    return int(value.__class__ is Array)


def _with(value: Any, arrays: Any) -> Any:
    """The argument with others for its arrays, in order."""
    if value.__class__ in _CONTAINERS:
        return value.__class__([_with(part, arrays) for part in value])
    if value.__class__ in _FIELDS:
        parts = [getattr(value, name) for name in _FIELDS[value.__class__]]
        return value.__class__(*[_with(part, arrays) for part in parts])
    return next(arrays) if value.__class__ is Array else value

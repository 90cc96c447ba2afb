"""Mutable references: cells whose contents are threaded through what is traced.

A `Ref` has contents in each scope that touches it. Outside of all traces it holds an Array. A graph
that is being built keeps the value that stands for the contents now in `Builder.cells`: at first an
input captured from the scope outside, after a write the value written. Nothing in a graph is ever
mutated. Who builds the graph returns the values of the refs that were written to and puts them
into the scope outside (`claim`, `put`); where nobody does, `Builder.build` refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.array import Array, adopt, hold, new, to_numpy
from arraylib.errors import ArgumentError, DtypeError, ShapeError, TraceError, mistake
from arraylib.hlo.ir import Builder, Type, Value, current, known, type_of
from arraylib.launch import copied
from arraylib.numpy.creation import asarray
from arraylib.numpy.layout import broadcast_to
from arraylib.record import record
from arraylib.sharding.placed import place, placed


@record
class RefType:
    """The type of a reference to an array of this type."""

    type: Type

    def __repr__(self) -> str:
        return f"Ref{{{self.type}}}"


class Ref:
    """An array in a place of its own, read and written by indices; made by `new_ref`.

    `ref[...]` is all that it holds now, `ref[0, :3]` a part; `ref[...] = x`, `ref[0] += 1` write.
    No other operation takes a ref.
    """

    __slots__ = ("_home", "_array", "_shared", "_passed", "_gone", "type", "__weakref__")

    def __init__(self, value: Any, home: Builder | None = None) -> None:
        self.type = RefType(type_of(value))
        self._home = home  # the graph that it lives in; None outside of all
        self._passed = False  # whether it stands for an argument of what is being traced
        self._gone = ""  # why it cannot be used any more
        self._shared = True  # whether others hold the array
        self._array = None if home else _apart(value)
        if home:
            home.cells[self] = value

    dtype = property(lambda self: self.type.type.dtype)
    shape = property(lambda self: self.type.type.shape)
    ndim = property(lambda self: len(self.type.type.shape))
    size = property(lambda self: self.type.type.size)

    def __getitem__(self, index: Any) -> Any:
        whole = contents(self)
        if whole.__class__ is Array and not _is_whole(index):
            return _part(whole, index)
        whole = shown(self)  # in a trace, what reads a part may pass on all
        return whole if _is_whole(index) else whole[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        write(self, index, value)

    def __copy__(self) -> Ref:
        return self  # there is one place, of which copy.deepcopy makes another

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a ref to an array without axes")
        return int(self.shape[0])

    def __iter__(self) -> Any:
        raise TypeError(f"a {self.type} is no sequence: read it first, as in iter(ref[...])")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError(f"a {self.type} is no array: read it first, as in np.asarray(ref[...])")

    def __bool__(self) -> bool:
        raise TypeError(f"a {self.type} has no truth value: read it first, as in bool(ref[...])")

    def __repr__(self) -> str:
        if self._gone:
            return f"<{self.type}, {self._gone}>"
        if self._home is not None:
            return f"<{self.type}, traced>"
        return f"Ref{repr(self._array).removeprefix('Array')}"

    def unsafe_buffer_pointer(self) -> int:
        """The address of the first element; outside of traces."""
        address: int = contents(self).address
        return address


# -- contents --------------------------------------------------------------------------------------


def contents(ref: Ref) -> Any:
    """What a ref holds now, as a value of the scope that operations go to."""
    return _contents(ref, current())


def _contents(ref: Ref, scope: Any) -> Any:
    if ref._gone:
        raise mistake(ArgumentError, "ref", f"this {ref.type} is used after it was {ref._gone}",
                      hint="use the array that freeze returned")
    if not isinstance(scope, Builder):
        if ref._home is not None:
            raise _leak(ref)
        return ref._array
    found = scope.cells.get(ref)
    return _captured(ref, scope) if found is None else found


def _captured(ref: Ref, scope: Builder) -> Any:
    """The value in this graph that stands for what the ref holds outside."""
    outer = _contents(ref, scope.outside)
    value = scope.value_class(type_of(outer), scope)
    # By the ref and not by what it holds: two may hold one array, and other ones at the next call.
    scope.captured[id(ref)] = (ref, value)
    scope.cells[ref] = value
    if scope.concrete and (array := known(outer)) is not None:
        scope.arrays[value] = array
    return value


def _leak(ref: Ref) -> Exception:
    return mistake(TraceError, "ref", f"this {ref.type} was made in a function that has been "
                   "traced and has returned", hint="return what it holds, freeze(ref) or ref[...]")


def is_traced(x: Any) -> bool:
    """Whether x is a value of a graph that is being built, or a ref that was made in one."""
    return isinstance(x, Value) or x.__class__ is Ref and x._home is not None


def _part(whole: Array, index: Any) -> Any:
    """A part of what a ref holds, in memory of its own: the ref may be written in place after it.
    """
    twin = new(Array)  # of which NumPy may see the memory
    twin.type, twin.place, twin.owner = whole.type, whole.address, hold(whole)
    found = twin[index]
    inside = 0 <= found.address - whole.address < whole.nbytes
    return copied(found) if inside else found


def _apart(x: Any) -> Any:
    """The same elements as another array, in the same memory: either may be donated, with a copy.
    """
    if x.__class__ is not Array:
        return x
    return place(adopt(to_numpy(x), x.type), placed(x))


def shown(ref: Ref) -> Any:
    """What a ref holds now, for those who may keep it."""
    ref._shared = True
    return _apart(contents(ref))


def resolved(captured: Sequence[Any]) -> list[Any]:
    """What graphs captured, with what refs among it hold now."""
    return [shown(x) if x.__class__ is Ref else x for x in captured]


def put(ref: Ref, value: Any, shared: bool = True) -> None:
    """Let a ref hold a value of its type, which `shared` says others may hold as well."""
    scope = current()
    if isinstance(scope, Builder):
        if ref._home is not scope:
            scope.changed[ref] = None
        scope.cells[ref] = scope.own(value)
    else:
        own = scope.own(value)
        ref._array, ref._shared = _apart(own) if shared else own, shared


def ended(name: str, ref: Ref, how: str) -> Any:
    """What a ref holds at last, which cannot be used any more after that."""
    found, scope = contents(ref), current()
    if ref._home is not (scope if isinstance(scope, Builder) else None) or ref._passed:
        raise mistake(TraceError, name, f"this {ref.type} was not made here",
                      hint="end a ref in the function that made it; ref[...] reads it everywhere")
    ref._gone, ref._array = how, None
    return found


def put_all(refs: Sequence[Ref], values: Sequence[Any]) -> None:
    """Let each ref hold its value."""
    for ref, value in zip(refs, values, strict=True):
        put(ref, value)


def write(ref: Ref, index: Any, value: Any, add: bool = False) -> None:
    """Set what the index names in a ref, or add to it.

    Raises: DtypeError for a value that is not of the ref's dtype; ShapeError if it does not fit.
    """
    value = _fitting(ref, value)
    old = contents(ref)
    if _is_whole(index):
        if value.shape != ref.shape:
            value = _spread(ref, value)
        put(ref, old + value if add else value, shared=not add)
    else:
        place = old.at[index]
        put(ref, place.add(value) if add else place.set(value), shared=False)


def _is_whole(index: Any) -> bool:
    return index is ... or index.__class__ is tuple and not index


_RANK = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 3}  # of numbers, which become the wider kind


def _fitting(ref: Ref, value: Any) -> Any:
    """The value as an array of the ref's dtype."""
    if value.__class__ is Ref:
        raise mistake(ArgumentError, "ref", "refs hold no refs", hint="write what it holds: "
                      "ref[...] = other[...]")
    number = isinstance(value, (bool, int, float, complex))
    given = dt.of(value) if number else type_of(asarray(value)).dtype
    if given != ref.dtype and not (number and _RANK[dt.kind(given)] <= _RANK[dt.kind(ref.dtype)]):
        raise mistake(DtypeError, "ref", f"a value of dtype {dt.name(given)} is written to a "
                      f"{ref.type}", hint=f"convert it: value.astype({dt.name(ref.dtype)!r})")
    return asarray(value, ref.dtype)


def _spread(ref: Ref, value: Any) -> Any:
    try:
        return broadcast_to(value, ref.shape)
    except ValueError as error:
        raise mistake(ShapeError, "ref", f"a value of shape {value.shape} is written to a "
                      f"{ref.type}", hint="a value of the shape of what it replaces") from error


# -- scopes ----------------------------------------------------------------------------------------


def changed() -> list[Ref]:
    """The refs of the outside that were written to in the graph being built."""
    scope = current()
    return list(scope.changed) if isinstance(scope, Builder) else []


def claim(refs: Sequence[Ref]) -> list[Any]:
    """What these refs hold at the end of the graph being built: its user puts that back outside."""
    scope = current()
    found = [contents(ref) for ref in refs]
    for ref in refs:
        scope.changed.pop(ref, None)
    return found


def stand_in(value: Any) -> Ref:
    """A ref of the graph being built for one that the function is called with, which holds value.
    """
    ref = Ref(value, current())
    ref._passed = True
    return ref


def threaded(function: Callable[..., Any], refs: Sequence[Ref]) -> Callable[..., Any]:
    """(what the refs hold, arguments) -> (what they hold after it, result), for a traced body."""
    def body(held: Sequence[Any], *args: Any) -> tuple[list[Any], Any]:
        for ref, value in zip(refs, held, strict=True):
            current().cells[ref] = value
        out = function(*args)
        return claim(refs), out
    return body


def only_once(name: str, passed: Sequence[Ref], captured: Sequence[Any]) -> None:
    """Refuse refs that a function can reach in two ways."""
    held = {id(x) for x in captured if x.__class__ is Ref}
    for i, ref in enumerate(passed):
        twice = any(ref is other for other in passed[:i])
        if twice or id(ref) in held:
            how = "passed twice" if twice else "both passed and closed over"
            raise mistake(ArgumentError, name, f"a {ref.type} is {how}",
                          hint="one way to each ref: what one writes the other would see")

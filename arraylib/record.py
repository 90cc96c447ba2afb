"""Classes that hold facts: dataclasses whose making costs a fraction of the standard library's.

`dataclasses.dataclass` writes and compiles the text of up to six methods for each class, most of a
millisecond that every import of the library would pay some hundred times. Here it finds the fields
only. One method is compiled, `__init__`, when the first instance is made; the others are closures
over the names of the fields. What results is a dataclass: `fields`, `replace`, `astuple` work.

    @record
    class Point:
        x: float
        y: float = 0.0
"""

from __future__ import annotations

import inspect
import operator
import reprlib
from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform, overload

__all__ = ["field", "record"]

T = TypeVar("T")
_set = object.__setattr__


@overload
def record(cls: type[T], /) -> type[T]: ...


@overload
def record(*, frozen: bool = True, eq: bool = True, repr: bool = True, slots: bool = False,
           weakref_slot: bool = False) -> Callable[[type[T]], type[T]]: ...


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type | None = None, /, *, frozen: bool = True, eq: bool = True, repr: bool = True,
           slots: bool = False, weakref_slot: bool = False) -> Any:
    """Make a class a record of its annotated fields: the meaning of `dataclasses.dataclass`.

    Args:
        frozen: an instance does not change; with `eq` it has a hash.
        eq: instances are equal when their fields are; else each is equal to itself alone.
        repr: an instance is shown by its fields.
        slots, weakref_slot: instances hold their fields in slots.

    Raises:
        TypeError, ValueError: for fields as `dataclasses.dataclass` refuses them.

    Source: PEP 557 and PEP 681.

        >>> @record
        ... class Point:
        ...     x: float
        ...     y: float = 0.0
        >>> Point(1.0)
        Point(x=1.0, y=0.0)
    """
    def made(cls: type) -> type:
        hashed, has_own = cls.__dict__.get("__hash__") is not None, "__init__" in cls.__dict__
        inherits = frozen and any(hasattr(base, "__dataclass_params__") for base in cls.__bases__)
        cls = dataclass(init=False, repr=False, eq=False, match_args=True, frozen=inherits,
                        slots=slots, weakref_slot=weakref_slot)(cls)
        params: Any = cls.__dataclass_params__  # type: ignore[attr-defined]
        params.init, params.repr, params.eq, params.frozen = True, repr, eq, frozen
        own = fields(cls)  # type: ignore[arg-type]  # it became a dataclass just now
        if not has_own:
            _initialize_later(cls, own, frozen, slots)
        if repr:
            _offer(cls, "__repr__", _shown(tuple(f.name for f in own if f.repr)))
        if eq:
            values = _values(tuple(f.name for f in own if f.compare))
            _offer(cls, "__eq__", _equal(values))
            if not hashed:
                cls.__hash__ = _hash(values) if frozen else None  # type: ignore[assignment]
        if frozen:
            _freeze(cls, tuple(f.name for f in own), slots)
        return cls

    return made if cls is None else made(cls)


def _offer(cls: type, name: str, method: Callable[..., Any]) -> None:
    """Give the class a method, unless it has its own."""
    if name not in cls.__dict__:
        method.__qualname__ = f"{cls.__qualname__}.{name}"
        setattr(cls, name, method)


def _initialize_later(cls: type, own: tuple[Field[Any], ...], frozen: bool, slots: bool) -> None:
    """Give the class an `__init__` that compiles itself when it is called first."""
    def compiled() -> Callable[..., None]:
        if cls.__dict__["__init__"] is __init__:
            cls.__init__ = _initializer(cls, own, frozen, slots)  # type: ignore[misc]
        method: Callable[..., None] = cls.__dict__["__init__"]
        return method

    def __init__(self: Any, *args: Any, **keywords: Any) -> None:
        compiled()(self, *args, **keywords)

    cls.__init__ = __init__  # type: ignore[misc]
    cls.__signature__ = _Signature(compiled)  # type: ignore[attr-defined]


class _Signature:
    """What `inspect.signature` and `help` show of a record: the parameters of the compiled method.

    A class that inherits from a record, and is none, may have its own `__init__`.
    """

    def __init__(self, compiled: Callable[[], Callable[..., None]]) -> None:
        self.compiled = compiled

    def __get__(self, instance: object, owner: type) -> object:
        if instance is not None:  # what can be called has the parameters of that
            raise AttributeError("__signature__")
        self.compiled()
        found = inspect.signature(owner.__init__)  # type: ignore[misc]
        return found.replace(parameters=list(found.parameters.values())[1:])


def _initializer(cls: type, own: tuple[Field[Any], ...], frozen: bool,
                 slots: bool) -> Callable[..., None]:
    """`__init__`, compiled from text: it is what making an instance costs."""
    given = [f for f in own if f.init]
    known: dict[str, Any] = {"_set": _set, "_MISSING": MISSING, "__name__": cls.__module__}
    known |= {f"_default_{f.name}": f.default for f in own}
    known |= {f"_make_{f.name}": f.default_factory for f in own}
    parameters = ["self", *(_parameter(f) for f in given if not f.kw_only)]
    if any(f.kw_only for f in given):
        parameters += ["*", *(_parameter(f) for f in given if f.kw_only)]
    lines = [f"  _set(self, {f.name!r}, {value})" if frozen else f"  self.{f.name} = {value}"
             for f in own if (value := _initial(f, slots))]
    if hasattr(cls, "__post_init__"):
        lines.append("  self.__post_init__()")
    exec(f"def __init__({', '.join(parameters)}):\n" + "\n".join(lines or ["  pass"]), known)
    method: Callable[..., None] = known["__init__"]
    method.__qualname__ = f"{cls.__qualname__}.__init__"
    method.__annotations__ = {f.name: f.type for f in given} | {"return": "None"}
    return method


def _parameter(f: Field[Any]) -> str:
    if f.default is not MISSING:
        return f"{f.name}=_default_{f.name}"
    return f"{f.name}=_MISSING" if f.default_factory is not MISSING else f.name


def _initial(f: Field[Any], slots: bool) -> str:
    """The expression whose value a field has at first; empty where the class has it."""
    if f.default_factory is not MISSING:
        made = f"_make_{f.name}()"
        return f"{made} if {f.name} is _MISSING else {f.name}" if f.init else made
    if f.init:
        return f.name
    return f"_default_{f.name}" if slots and f.default is not MISSING else ""


def _values(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """The values of these fields, as a tuple."""
    if len(names) > 1:
        return operator.attrgetter(*names)
    if names:
        only = operator.attrgetter(names[0])
        return lambda instance: (only(instance),)
    return lambda instance: ()


def _shown(names: tuple[str, ...]) -> Callable[[Any], str]:
    @reprlib.recursive_repr()
    def __repr__(self: Any) -> str:
        inside = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({inside})"
    return __repr__


def _equal(values: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any, object], bool]:
    def __eq__(self: Any, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self is other or values(self) == values(other)
    return __eq__


def _hash(values: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any], int]:
    def __hash__(self: Any) -> int:
        return hash(values(self))
    return __hash__


def _freeze(cls: type, names: tuple[str, ...], slots: bool) -> None:
    """Refuse to set or delete fields; teach pickling and copying to set them nevertheless."""
    def refuse(self: Any, name: str, *value: Any) -> None:
        if type(self) is cls or name in names:
            raise FrozenInstanceError(f"{cls.__name__}.{name} cannot change: make another, "
                                      "with dataclasses.replace")
        (_set if value else object.__delattr__)(self, name, *value)

    def __getstate__(self: Any) -> list[Any]:
        return [getattr(self, name) for name in names]

    def __setstate__(self: Any, state: list[Any]) -> None:
        for name, value in zip(names, state, strict=True):
            _set(self, name, value)

    cls.__setattr__ = cls.__delattr__ = refuse  # type: ignore[assignment]
    if slots:
        _offer(cls, "__getstate__", __getstate__)
        _offer(cls, "__setstate__", __setstate__)

"""The arguments of a jitted function: which are static, which are donated, what each is called."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

from arraylib import tree
from arraylib.errors import ArgumentError, count, mistake, what_is
from arraylib.record import record

Static = tuple[tuple[int | str, Any, Any], ...]  # position or name, kind, value


@record(eq=False)
class Parameters:
    """What `jit` was told about a function's parameters, by position and by name."""

    function: str
    names: tuple[str, ...]  # of the parameters that can be positional
    static_positions: frozenset[int]
    static_names: frozenset[str]
    donated_positions: frozenset[int]
    donated_names: frozenset[str]
    strict: bool  # donations in vain are errors

    @property
    def plain(self) -> bool:
        """Whether all arguments are arrays that stay the caller's."""
        return not (self.static_positions or self.static_names
                    or self.donated_positions or self.donated_names)


def parameters(function: Callable[..., Any], static_argnums: Any, static_argnames: Any,
               donate_argnums: Any, donate_argnames: Any, donate: Any = None,
               others: Any = None) -> Parameters:
    """Positions and names completed from the function's signature: each implies the other.

    `others` are names that are only checked.
    """
    if donate not in (None, "strict"):
        raise mistake(ArgumentError, "jit", f"donate={donate!r}", hint="donate='strict', with "
                      "donate_argnums or donate_argnames to say what is donated")
    name = getattr(function, "__name__", type(function).__name__)
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a builtin has no signature
        found = []
    positional = tuple(p.name for p in found
                       if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))
    if not any(p.kind is p.VAR_KEYWORD for p in found):
        _check_names(name, [p.name for p in found], static_argnames, donate_argnames,
                     tuple(others or ()))
    most = math.inf if any(p.kind is p.VAR_POSITIONAL for p in found) else len(positional)
    static = _completed(name, positional, most, static_argnums, static_argnames)
    donated = _completed(name, positional, most, donate_argnums, donate_argnames)
    both = (static[0] & donated[0]) | {p for p in static[1] & donated[1] if p not in positional}
    if both:
        raise mistake(ArgumentError, "jit", f"argument {min(map(str, both))} of {name} is static "
                      "and donated", hint="a static argument is no array and has no memory")
    return Parameters(name, positional, *static, *donated, donate == "strict")


def _check_names(function: str, known: list[str], *given: Any) -> None:
    """ArgumentError for a name that is no parameter's, where the parameters are known."""
    for name in [name for names in given for name in _as_tuple(names, str)]:
        if known and name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            raise mistake(ArgumentError, "jit", f"{function} has no parameter {name!r}",
                          hint=f"{close[0]!r}" if close else f"one of {', '.join(known)}")


def _completed(function: str, positional: tuple[str, ...], most: float, numbers: Any,
               names: Any) -> tuple[frozenset[int], frozenset[str]]:
    """Positions and names of parameters, each from the other; `most` arguments can be given."""
    given = _as_tuple(numbers, int)
    for n in given:
        if not isinstance(n, int) or positional and not -len(positional) <= n < most:
            raise mistake(ArgumentError, "jit", f"argument number {n!r} of {function}, which has "
                          f"{count(len(positional), 'positional parameter')}",
                          hint=f"a number from 0 to {len(positional) - 1}, or static_argnames")
    positions = {n % len(positional) if n < 0 else n for n in given}
    words = set(_as_tuple(names, str))
    return (frozenset(positions | {positional.index(w) for w in words if w in positional}),
            frozenset(words | {positional[n] for n in positions if n < len(positional)}))


def _as_tuple(value: Any, kind: type) -> tuple[Any, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, kind) else tuple(value)


def split_static(given: Parameters, args: tuple[Any, ...],
                 kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any], Static]:
    """(positional, keyword, static): the arguments that are traced, and those that are not."""
    if not given.static_positions and not given.static_names:
        return args, kwargs, ()
    static: list[tuple[int | str, Any, Any]] = [
        (i, _kind(args[i]), _one_nan(args[i]))
        for i in sorted(given.static_positions) if i < len(args)]
    static += [(n, _kind(kwargs[n]), _one_nan(kwargs[n]))
               for n in sorted(given.static_names & kwargs.keys())]
    for place, _, value in static:
        try:
            hash(value)
        except TypeError:
            raise mistake(
                ArgumentError, "jit", f"static {argument_name(given, place)} is {what_is(value)}, "
                "which cannot be hashed, so compiled code cannot be found by its value",
                operands=[f"{value!r:.80}"],
                hint="pass a tuple instead of a list, or make it an ordinary argument") from None
    traced = tuple(x for i, x in enumerate(args) if i not in given.static_positions)
    return traced, {k: v for k, v in kwargs.items() if k not in given.static_names}, tuple(static)


def _kind(value: Any) -> Any:
    """What tells equal values apart: 2 is neither 2.0 nor True, nor 0.0 -0.0, in tuples as well.

    It is the class, where that is enough.
    """
    cls = type(value)
    if isinstance(value, tuple):
        return cls, *map(_kind, value)
    if cls is float and not value or cls is complex and not (value.real and value.imag):
        return cls if repr(value) == repr(cls()) else (cls, repr(value))
    return cls


def _one_nan(value: Any) -> Any:
    """The value; for nan, which is equal to no other, the same object every time."""
    is_nan = value.__class__ is float and value != value and math.copysign(1, value) > 0
    return math.nan if is_nan else value


def with_static(function: Callable[..., Any], static: Static) -> Callable[..., Any]:
    """The function of (args, kwargs) without the static ones, which are put back in place."""
    values = {place: value for place, _, value in static}
    words = {k: v for k, v in values.items() if isinstance(k, str)}

    def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        rest = iter(args)
        count = len(args) + len(values) - len(words)
        merged = [values[i] if i in values else next(rest) for i in range(count)]
        return function(*merged, **kwargs, **words)

    return call


def argument_name(given: Parameters, place: int | str) -> str:
    """`argument 'scale'` or `argument 3`, as the function's author wrote it."""
    if isinstance(place, int) and place < len(given.names):
        place = given.names[place]
    return f"argument {place!r} of {given.function}"


def leaf_name(given: Parameters, structure: Any, static: Static, leaf: int) -> str:
    """What the user calls a leaf of (args, kwargs): `argument 'params'['w'] of step`.

    The numbers behind the last leaf are those of captured arrays.
    """
    paths = tree.paths(structure)
    if leaf >= len(paths):
        return f"an array that {given.function} captured"
    return _path_name(given, static, paths[leaf])


def leaf_names(given: Parameters, structure: Any, static: Static) -> list[str]:
    """What the user calls each leaf of (args, kwargs), in order."""
    return [_path_name(given, static, path) for path in tree.paths(structure)]


def _path_name(given: Parameters, static: Static, path: Any) -> str:
    positional = path[0].idx == 0
    place = _original_position(path[1].idx, static) if positional else path[1].key
    head, _, tail = argument_name(given, place).partition(" of ")
    return f"{head}{tree.keystr(path[2:])} of {tail}"


def _original_position(position: int, static: Static) -> int:
    """The position among all arguments, given that among the traced ones."""
    for place in sorted(p for p, _, _ in static if isinstance(p, int)):
        position += place <= position
    return position


def donated_leaves(given: Parameters, structure: Any, static: Static) -> tuple[int, ...]:
    """The numbers of the leaves of (args, kwargs) that belong to donated arguments."""
    return tuple([leaf for place, leaves in leaves_by_argument(structure, static)
                  if place in given.donated_positions or place in given.donated_names
                  for leaf in leaves])


def leaves_by_argument(structure: Any, static: Static) -> list[tuple[int | str, range]]:
    """For each traced argument its position or name, and the numbers of its leaves."""
    args, kwargs = structure.children
    found: list[tuple[int | str, range]] = []
    start = 0
    places: Iterable[Any] = [
        *(_original_position(i, static) for i in range(len(args.children))),
        *_keywords(kwargs)]
    for place, child in zip(places, (*args.children, *kwargs.children), strict=True):
        found.append((place, range(start, start + child.num_leaves)))
        start += child.num_leaves
    return found


def _keywords(structure: Any) -> list[str]:
    """The keys of a dict's structure, in the order of its children."""
    return list(structure.metadata) if structure.children else []

"""The ledger of a jitted function: each compilation, what it cost, and what made it necessary.

A compilation is compared with those before it, and what differs from the nearest is its reason.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from arraylib.backends.interface import Executable
from arraylib.config import config
from arraylib.errors import ArgumentError, CompileLimitError, Source, mistake
from arraylib.hlo.ir import Type
from arraylib.record import field, record
from arraylib.tracing.arguments import Parameters, Static, argument_name, leaf_names
from arraylib.tracing.stages import Traced

_log = logging.getLogger("arraylib")
_COMPARED = 32  # compilations back that a new one is compared with
_SHOWN = 6  # arguments in a line of the ledger, and changes


@record
class Change:
    """What differs from an earlier compilation: its kind, where, both values, and what to do.

    kind: "dtype", "shape", "weak type", "static value", "structure", "config", "function" or
    "cleared".
    """

    kind: str
    what: str
    now: str
    before: str
    advice: str

    def __str__(self) -> str:
        values = f" {self.now} now, {self.before} before" if self.before else f" {self.now}"
        return f"{self.kind} of {self.what}:{values}" if self.what else f"{self.kind}:{values}"


@record(eq=False)
class Signature:
    """What a program is compiled for: types and containers, static values, settings."""

    given: Parameters
    types: tuple[Type, ...]
    structure: Any
    static: Static
    settings: dict[str, Any]
    program: str = ""  # what tells programs apart that differ in nothing else

    def __str__(self) -> str:
        """`step(params['w']: f32[3,4], 'fast'=True)`."""
        def short(name: str) -> str:
            bare = name.removeprefix("argument ").removesuffix(f" of {self.given.function}")
            return bare.replace("'", "", 2) if bare.startswith("'") else bare

        names = leaf_names(self.given, self.structure, self.static)[:_SHOWN]
        leaves = [f"{short(name)}: {type}" for name, type in zip(names, self.types)]
        if len(self.types) > _SHOWN:
            nbytes = sum(type.nbytes for type in self.types)
            leaves.append(f"... {len(self.types)} arrays, {nbytes / 1e6:.3g} MB")
        values = [f"{short(argument_name(self.given, place))}={value!r:.40}"
                  for place, _, value in self.static]
        return f"{self.given.function}({', '.join(leaves + values)})"


@record(repr=False, eq=False)
class Compilation:
    """One line of the ledger: what was compiled, what that cost, and why it had to be.

    found: "nowhere", on "disk" or in this "process". changes: what differs from the nearest of
    the compilations before; none for the first.
    """

    asked: Signature
    milliseconds: float
    phases: dict[str, float]  # seconds
    traced: Traced
    executable: Executable
    found: str
    earlier: tuple[Signature, ...] = ()
    origin: tuple[Change, ...] = ()  # what is known of a first compilation

    @property
    def signature(self) -> str:
        return str(self.asked)

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        return nearest_changes(self.asked, self.earlier) if self.earlier else self.origin

    @property
    def advice(self) -> str:
        """What would save this compilation, in a line; empty for the first one."""
        return self.changes[0].advice if self.changes else ""

    def __str__(self) -> str:
        lines = [f"{self.milliseconds:8.1f} ms  {self.signature}", *_indented(self.changes)]
        return "\n".join([*lines, *([f"{'':13}try: {self.advice}"] if self.advice else [])])

    __repr__ = __str__


class Ledger(list[Compilation]):
    """The compilations in order; printed, a line for each and its reasons."""

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "nothing has been compiled yet"

    __repr__ = __str__


@record(frozen=False, eq=False)
class Recorder:
    """What keeps a function's ledger, and its limit."""

    given: Parameters
    function: Any
    limit: int | None
    lines: list[Compilation] = field(default_factory=list)
    count: int = 0  # since the cache was cleared

    def check(self, asked: Signature) -> None:
        """CompileLimitError, with what has changed, if one more compilation is too many."""
        if self.limit is None or self.count < self.limit:
            return
        changes = nearest_changes(asked, self._earlier())
        raise mistake(
            CompileLimitError, "jit", f"{self.given.function} would be compiled for the "
            f"{_ordinal(self.count + 1)} time, but max_compiles={self.limit}",
            operands=[str(asked), *changes[:_SHOWN]],
            hint=changes[0].advice if changes else "a higher max_compiles")

    def add(self, asked: Signature, spent: float, tracing: float, start: float, traced: Traced,
            executable: Executable) -> None:
        """A new line; the phases of a program that was there before `start` do not count."""
        lookup, there = executable.lookup, executable.made < start
        phases = {"trace": tracing} if there else {"trace": tracing, **executable.timings}
        found = "process" if there else lookup.found if lookup else "nowhere"
        origin = () if self.lines else self._origin()
        self.lines.append(Compilation(asked, 1000 * spent, phases, traced, executable, found,
                                      self._earlier(), origin))
        self.count += 1
        if config.log_compiles:
            _log.warning("compiled %s", str(self.lines[-1]).lstrip())

    def _earlier(self) -> tuple[Signature, ...]:
        return tuple([line.asked for line in self.lines[-_COMPARED:]])

    def _origin(self) -> tuple[Change, ...]:
        """That functions of the same lines of source have been compiled before this one."""
        code = getattr(self.function, "__code__", None)
        if code is None or hasattr(self.function, "__wrapped__"):
            return ()  # what wraps functions is the same source for all of them
        where = Source(code.co_filename, code.co_firstlineno, "")
        before = _functions.get(where, 0)
        _functions[where] = before + 1
        times = "once" if before == 1 else f"{before} times"
        return (Change("function", "", f"another of the same source, {where}, was compiled "
                       f"{times} before", "", "call jit once, outside of loops and functions, and "
                       "keep what it returns"),) if before else ()


_functions: dict[Source, int] = {}  # how many functions of a line have been compiled


# -- what has changed ------------------------------------------------------------------------------


def checked_limit(limit: Any) -> int | None:
    """How often a function may be compiled; ArgumentError for what is no number from 1 on."""
    if limit is None or isinstance(limit, int) and not isinstance(limit, bool) and limit > 0:
        return limit  # type: ignore[no-any-return]
    raise mistake(ArgumentError, "jit", f"max_compiles is {limit!r}",
                  hint="a number from 1 on, such as 3")


def nearest_changes(now: Signature, earlier: Sequence[Signature]) -> tuple[Change, ...]:
    """What differs from the earlier signature with the fewest differences; the last of several."""
    every = [tuple(_changes(now, before)) for before in reversed(earlier)]
    return min(every, key=len, default=())


def _changes(now: Signature, before: Signature) -> Iterator[Change]:
    found = [*_of_settings(now, before), *_of_static(now, before), *_of_arrays(now, before)]
    if not found and now.structure is not before.structure:
        found = [Change("structure", "the arguments", str(now.structure), str(before.structure),
                        "pass arguments in the same way, by position or by name, in containers of "
                        "the same kind")]
    if not found and now.program != before.program:
        found = [Change("function", "", "its sizes lead to another program", "", "let no constant "
                        "depend on the size in other ways than the size itself does")]
    return iter(found or [Change("cleared", "", "clear_cache() was called since", "",
                                 "do not clear the cache")])


def _of_settings(now: Signature, before: Signature) -> Iterator[Change]:
    for name, value in now.settings.items():
        if value != before.settings[name]:
            yield Change("config", f"config.{name}", repr(value), repr(before.settings[name]),
                         "settings belong to the key of compiled code: set them once, at the start")


def _of_static(now: Signature, before: Signature) -> Iterator[Change]:
    here, there = ({place: (kind, value) for place, kind, value in each.static}
                   for each in (now, before))
    for place in [*here, *[p for p in there if p not in here]]:
        one, other = here.get(place), there.get(place)
        if one != other:
            yield Change("static value", argument_name(now.given, place), _shown(one),
                         _shown(other), _static_advice(one, other))


def _shown(value: tuple[type, Any] | None) -> str:
    return "not given" if value is None else f"{value[1]!r:.60}"


def _static_advice(one: tuple[type, Any] | None, other: tuple[type, Any] | None) -> str:
    kinds = [pair[0] for pair in (one, other) if pair]
    if any(kind.__eq__ is object.__eq__ for kind in kinds):
        name = next(kind.__name__ for kind in kinds if kind.__eq__ is object.__eq__)
        return f"pass the same object again, or give {name} an __eq__ and a __hash__ by value: " \
               "without them each object is a new value"
    if all(kind in (int, float, complex, bool) for kind in kinds):
        return "make it an ordinary argument, if only arithmetic needs it: numbers then share code"
    return "every value is compiled for: pass few different ones"


def _of_arrays(now: Signature, before: Signature) -> Iterator[Change]:
    here, there = (dict(zip(leaf_names(each.given, each.structure, each.static), each.types))
                   for each in (now, before))
    for name, type in here.items():
        if name not in there:
            yield _structural(name, f"{type}", "none")
        elif there[name] is not type:
            yield from _of_types(now, name, type, there[name])
    for name, type in there.items():
        if name not in here:
            yield _structural(name, "none", f"{type}")


def _structural(name: str, now: str, before: str) -> Change:
    return Change("structure", name, now, before,
                  "pass the same keys, lengths and Nones in every call")


def _of_types(signature: Signature, name: str, now: Type, before: Type) -> Iterator[Change]:
    if now.dtype != before.dtype:
        yield Change("dtype", name, str(now), str(before),
                     f"convert it before the call: x.astype({str(before.dtype)!r})")
    if now.rank != before.rank:
        yield Change("shape", name, str(now), str(before), "always pass the same number of axes")
    elif now.shape != before.shape:
        axes = [i for i, (n, m) in enumerate(zip(now.shape, before.shape)) if n != m]
        yield Change("shape", name, str(now), str(before), _shape_advice(signature, name, axes))
    if now.weak != before.weak:
        yield Change("weak type", name, _strength(now), _strength(before), "pass always Python "
                     "numbers (or what depends on them alone), or always arrays: x.astype(...)")


def _strength(type: Type) -> str:
    return f"{'weak' if type.weak else 'strong'} {type}"


def _shape_advice(signature: Signature, name: str, axes: Sequence[int]) -> str:
    if signature.program:
        return "larger buckets, of which there are fewer"
    advice = f"pad axis {', '.join(map(str, axes))} of it to one of few sizes"
    parameter = re.match(r"argument ('\w+')", name)
    if parameter is None:
        return advice
    kinds = ", ".join(f"{axis}: 'pow2'" for axis in axes)
    return f"{advice}, as jit(bucket={{{parameter[1]}: {{{kinds}}}}}) does"


def _indented(changes: Sequence[Change]) -> list[str]:
    shown = [f"{'':13}{change}" for change in changes[:_SHOWN]]
    more = len(changes) - _SHOWN
    return shown + ([f"{'':13}and {more} more"] if more > 0 else [])


def _ordinal(number: int) -> str:
    ending = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"

"""A place where random statements are written: what can be read there, and what is known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from program_text import PRELUDE, Body, Known, Statement

import arraylib
from arraylib import dtypes as dt

MOST = 4500  # elements of an array
SIZES = (1, 2, 3, 5, 7, 16, 17, 33)
RARE_SIZES = (0, 130)

# Integers up to here are exact; floats that are not exact stay below LARGE.
EXACT = {dt.bfloat16: 2.0**8, dt.float16: 2.0**11, dt.float32: 2.0**24, dt.float64: 2.0**53}
LARGE = {dt.bfloat16: 1e3, dt.float16: 1e3, dt.float32: 1e4, dt.float64: 1e4,
         dt.complex64: 1e4, dt.complex128: 1e4}


_PRELUDE: dict[str, Any] = {"np": np}
exec(PRELUDE, _PRELUDE)


class Refused(Exception):
    """The library refused a statement of a kind that it should take."""


class Names:
    """Fresh names for values (v), functions (f) and constants (k), and what is known of them."""

    def __init__(self, rng: np.random.Generator, bits: int) -> None:
        self.rng, self.bits = rng, bits
        self.known: dict[str, Known] = {}
        self.constants: dict[str, Known] = {}
        self._count = 0

    def fresh(self, letter: str = "v") -> str:
        self._count += 1
        return f"{letter}{self._count}"


class Scope:
    """The statements of one function body as they are written."""

    def __init__(self, names: Names, depth: int = 0, outer: Scope | None = None,
                 axes: dict[str, int] | None = None) -> None:
        self.names, self.depth, self.outer = names, depth, outer
        self.axes = axes or {}  # of vmaps around, by name, with their sizes
        self.rng = names.rng
        self.here: list[str] = []
        self.statements: list[Statement] = []

    # -- chance ----------------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def choice(self, items: Any) -> Any:
        items = list(items)
        return items[self.rng.integers(len(items))]

    def integer(self, low: int, high: int) -> int:
        """From low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    # -- values ----------------------------------------------------------------------------------

    def known(self, name: str) -> Known:
        return self.names.known[name]

    def visible(self) -> list[str]:
        around = self.outer.visible() if self.outer is not None else []
        return [*around, *self.here]

    def pick(self, fits: Callable[[Known], bool] = lambda k: True) -> str:
        """A value that fits, rather a recent one; Unable if there is none."""
        inner = [n for n in self.here if fits(self.known(n))]
        found = inner if inner and self.chance(0.8) else [
            n for n in self.visible() if fits(self.known(n))]
        if not found:
            raise Unable
        return self.choice(found[-6:] if self.chance(0.6) else found)

    def add(self, known: Known) -> str:
        """A name for a parameter."""
        name = self.names.fresh()
        self.names.known[name] = known
        self.here.append(name)
        return name

    def constant(self, known: Known) -> str:
        name = self.names.fresh("k")
        self.names.known[name] = self.names.constants[name] = known
        return name

    def shape(self, rank: int) -> tuple[int, ...]:
        sizes = [int(self.choice(RARE_SIZES if self.chance(0.04) else SIZES)) for _ in range(rank)]
        while np.prod(sizes) > MOST / 4:
            sizes[int(np.argmax(sizes))] = int(self.choice(SIZES[:4]))
        return tuple(sizes)

    # -- statements ------------------------------------------------------------------------------

    def emit(self, text: str, exact: bool, bound: float, bodies: tuple[Body, ...] = (),
             modes: str = "fr") -> str:
        """The name of what `text` computes; Unable if that is too large."""
        return self.emit_many(text, [(exact, bound)], bodies, modes)[0]

    def emit_many(self, text: str, facts: list[tuple[bool, float]], bodies: tuple[Body, ...] = (),
                  modes: str = "fr") -> tuple[str, ...]:
        statement = Statement((), text, bodies, modes)
        types = self._types(statement)
        several = isinstance(types, (tuple, list))
        knowns = [_settled(type, *fact) for type, fact in zip(types if several else [types], facts)]
        targets = tuple(self.add(k) for k in knowns)
        self.statements.append(replace(statement, targets=targets, several=several))
        return targets

    def _types(self, statement: Statement) -> Any:
        """The type or types of what a statement computes, by tracing it alone."""
        names = sorted(n for n in statement.names() if n in self._all_visible())
        lines = [line for body in statement.bodies for line in body.lines()]
        source = "\n".join(["def alone(m, " + ", ".join(names) + "):",
                            "    jnp, lax, nn = m.numpy, m.lax, m.nn",
                            *("    " + line for line in lines), f"    return {statement.text}"])
        namespace = dict(_PRELUDE)
        exec(source, namespace)
        structs = [arraylib.ShapeDtypeStruct(self.known(n).shape, self.known(n).dtype)
                   for n in names]
        try:
            return self._evaluated(lambda *xs: namespace["alone"](arraylib, *xs), structs)
        except Exception as error:
            raise Refused(f"{source}\n{structs}") from error

    def _evaluated(self, function: Callable[..., Any], structs: list[Any]) -> Any:
        """The types of its results under the named axes that there are here."""
        for axis, n in self.axes.items():
            function = arraylib.vmap(function, in_axes=None, axis_name=axis, axis_size=n)
        out = arraylib.eval_shape(function, *structs)
        return arraylib.tree.map(
            lambda x: arraylib.ShapeDtypeStruct(x.shape[len(self.axes):], x.dtype), out)

    def _all_visible(self) -> set[str]:
        return {*self.visible(), *self.names.constants}


class Unable(Exception):
    """The step that was drawn finds no operands here."""


def _settled(type: Any, exact: bool, bound: float) -> Known:
    dtype = np.dtype(type.dtype)
    known = Known(tuple(type.shape), dtype, exact, bound)
    if known.size > MOST:
        raise Unable
    if known.kind == "b":
        return Known(known.shape, dtype, True, 1)
    if known.kind in "iu":
        limits = np.iinfo(dtype)
        fits = bound <= limits.max
        return Known(known.shape, dtype, True, bound if fits else float(limits.max) + 1)
    if exact and bound <= EXACT.get(dtype, 0):
        return known
    if not bound <= LARGE[dtype]:
        raise Unable
    return Known(known.shape, dtype, False, bound)

"""Programs as text: statements over named arrays, run with our library's names or with JAX's.

A program prints as the Python function that it is, so that a failure can be read, pasted and
bisected. It shrinks by *cuts*: a statement is dropped and what it computed becomes an input.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

NAME = re.compile(r"\b[vk]\d+\b")


@dataclass(frozen=True)
class Known:
    """What is known of a value before it is computed.

    exact: its elements are integers that no rounding touches, whoever computes them; operations
    that jump (comparisons, floor, argmax) take only such values. bound: the largest magnitude.
    """

    shape: tuple[int, ...]
    dtype: Any
    exact: bool
    bound: float

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    @property
    def kind(self) -> str:
        """b, i, u, f or c."""
        return "f" if self.dtype.kind == "V" else self.dtype.kind

    def draw(self, name: str, seed: int) -> np.ndarray[Any, Any]:
        """An array of this kind; the same for the same name and seed."""
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        if self.kind == "b":
            return rng.random(self.shape) < 0.5
        if self.kind == "c":
            parts = rng.uniform(-1, 1, (2, *self.shape)) * min(self.bound, 3)
            return (parts[0] + 1j * parts[1]).astype(self.dtype)
        high = int(min(self.bound, 9))
        low = 0 if self.kind == "u" else -high
        if self.exact or self.kind != "f":
            return rng.integers(low, high + 1, self.shape).astype(self.dtype)
        high = min(self.bound, 3)
        return rng.uniform(-high, high, self.shape).astype(self.dtype)


@dataclass(frozen=True)
class Body:
    """A function defined for one statement, which may read the arrays around it."""

    name: str
    parameters: tuple[str, ...]
    statements: tuple[Statement, ...]
    result: str
    first: str = ""  # a line that takes parameters apart

    def lines(self) -> list[str]:
        inner = [self.first] if self.first else []
        inner += [line for s in self.statements for line in s.lines()]
        return [f"def {self.name}({', '.join(self.parameters)}):",
                *("    " + line for line in (*inner, f"return {self.result}"))]

    def names(self) -> set[str]:
        return set(NAME.findall(self.result)).union(*(s.names() for s in self.statements))


@dataclass(frozen=True)
class Statement:
    targets: tuple[str, ...]
    text: str
    bodies: tuple[Body, ...] = ()
    modes: str = "fr"  # of differentiation: forward, reverse
    several: bool = False  # whether it computes a sequence

    def lines(self) -> list[str]:
        return [*(line for body in self.bodies for line in body.lines()),
                f"{', '.join(self.targets)}{',' if self.several else ''} = {self.text}"]

    def names(self) -> set[str]:
        """Every name that it or its bodies mention."""
        return set(NAME.findall(self.text)).union(*(body.names() for body in self.bodies))

    def size(self) -> int:
        return 1 + sum(s.size() for body in self.bodies for s in body.statements)


@dataclass(frozen=True)
class Transform:
    """jit, checkpoint, grad, jvp, vjp, linearize, or vmap with the axis (None: shared) of each
    mapped input.
    """

    name: str
    axes: dict[str, int] = field(default_factory=dict)
    examples: int = 0

    def line(self, inputs: list[str]) -> str:
        if self.name in ("jit", "checkpoint"):
            return f"f = m.{self.name}(f)"
        if self.name == "vmap":
            axes = "".join(f"{self.axes.get(name)}, " for name in inputs)
            return f"f = m.vmap(f, in_axes=({axes}), axis_size={self.examples})"
        return f"f = {self.name}(m, f)"


PRELUDE = '''
def is_float(m, x):
    return m.numpy.issubdtype(x.dtype, m.numpy.floating)

def leaves(x):
    return [y for part in x for y in leaves(part)] if isinstance(x, (list, tuple)) else [x]

def in_floats(m, f, xs):
    """f as a function of the floats among its arguments, and these."""
    places = [i for i, x in enumerate(xs) if is_float(m, x)]
    def g(*some):
        full = list(xs)
        for i, x in zip(places, some):
            full[i] = x
        return f(*full)
    return g, [xs[i] for i in places]

def grad(m, f):
    """The gradient of a number made of all floats that f returns, in all floats it takes."""
    def gradient(*xs):
        g, some = in_floats(m, f, xs)
        def loss(*some):
            total = m.numpy.zeros((), "float32")
            for y in leaves(g(*some)):
                if is_float(m, y):
                    weights = (m.numpy.arange(y.size) % 5 + 1).reshape(y.shape)
                    total = total + m.numpy.sum(y * weights.astype(y.dtype)).astype("float32")
            return total
        return m.grad(loss, argnums=tuple(range(len(some))))(*some)
    return gradient

def jvp(m, f):
    """What f returns, then the tangents of the floats in it."""
    def pair(*xs):
        g, some = in_floats(m, f, xs)
        def both(*some):
            out = leaves(g(*some))
            return [y for y in out if is_float(m, y)], [y for y in out if not is_float(m, y)]
        primals, tangents, others = m.jvp(
            both, tuple(some), tuple(m.numpy.cos(x) for x in some), has_aux=True)
        return [*primals, *tangents, *others]
    return pair

def parted(m, f, xs):
    """f of the floats in xs, giving the floats of its results and the others; and these floats."""
    g, some = in_floats(m, f, xs)
    def both(*some):
        out = leaves(g(*some))
        return [y for y in out if is_float(m, y)], [y for y in out if not is_float(m, y)]
    return both, some

def own_jvp(m, f):
    """f with a rule of its own, by which its tangents are twice what they were."""
    g = m.custom_jvp(lambda *xs: f(*xs))
    def rule(xs, tangents):
        y, t = m.jvp(f, xs, tangents)
        return y, 2 * t
    g.defjvp(rule)
    return g

def own_vjp(m, f):
    """f with a rule of its own, by which its cotangents are three times what they were."""
    g = m.custom_vjp(lambda *xs: f(*xs))
    def backward(back, ct):
        return tuple(3 * c for c in back(ct))
    g.defvjp(lambda *xs: m.vjp(f, *xs), backward)
    return g

def vjp(m, f):
    """What f returns, then the cotangents of the floats it takes."""
    def pulled(*xs):
        both, some = parted(m, f, xs)
        primals, back, others = m.vjp(both, *some, has_aux=True)
        return [*primals, *back([m.numpy.cos(y) for y in primals]), *others]
    return pulled

def linearize(m, f):
    """What f returns, then the tangents of the floats in it."""
    def pushed(*xs):
        both, some = parted(m, f, xs)
        primals, push, others = m.linearize(both, *some, has_aux=True)
        return [*primals, *push(*[m.numpy.cos(x) for x in some]), *others]
    return pushed
'''


@dataclass(frozen=True)
class Program:
    """`outputs` of `statements` on `inputs`, closed over `constants`, under `transforms`."""

    seed: int
    bits: int  # the width of default numbers
    inputs: dict[str, Known]
    constants: dict[str, Known]
    statements: tuple[Statement, ...]
    outputs: tuple[str, ...]
    transforms: tuple[Transform, ...]
    known: dict[str, Known]  # of all values

    def source(self) -> str:
        inner = [line for s in self.statements for line in s.lines()]
        lines = [
            "def program(m, K):", "    jnp, lax, nn = m.numpy, m.lax, m.nn",
            *(f"    {name} = K['{name}']  # {_note(k)}" for name, k in self.constants.items()),
            f"    def f({', '.join(self.inputs)}):",
            *(f"        # {name}: {_note(k)}" for name, k in self.inputs.items()),
            *("        " + line for line in inner),
            f"        return [{', '.join(self.outputs)}]",
            *("    " + t.line(list(self.inputs)) for t in self.transforms),
            "    return f"]
        return "\n".join(lines) + "\n"

    def function(self, library: Any, constants: dict[str, Any],
                 edit: Callable[[str], str] = str) -> Any:
        """The program with the names of `library`, which has numpy, lax, nn, jit, grad, ..."""
        namespace: dict[str, Any] = {"np": np}
        exec(edit(PRELUDE + self.source()), namespace)
        return namespace["program"](library, constants)

    def arguments(self) -> list[np.ndarray[Any, Any]]:
        """Data for the inputs, with the axes that vmap takes away."""
        return [self._with_axes(name, k).draw(name, self.seed) for name, k in self.inputs.items()]

    def data(self) -> dict[str, np.ndarray[Any, Any]]:
        return {name: k.draw(name, self.seed) for name, k in self.constants.items()}

    def _with_axes(self, name: str, known: Known) -> Known:
        shape = list(known.shape)
        for t in self.transforms:
            if name in t.axes:
                axis = t.axes[name]
                shape.insert(axis if axis >= 0 else len(shape) + 1 + axis, t.examples)
        return replace(known, shape=tuple(shape))

    def size(self) -> int:
        return sum(s.size() for s in self.statements)

    def floats(self) -> set[Any]:
        """The floating-point dtypes of its values, and of their parts."""
        return {np.dtype(f"float{4 * k.dtype.itemsize}") if k.kind == "c" else k.dtype
                for k in self.known.values() if k.kind in "fc"}

    def exact(self) -> list[bool] | None:
        """For each output whether it has to be exact; None where transforms make others."""
        if {t.name for t in self.transforms} & {"grad", "jvp", "vjp", "linearize"}:
            return None
        return [self.known[name].exact or self.known[name].kind not in "fc"
                for name in self.outputs]

    # -- shrinking -------------------------------------------------------------------------------

    def trimmed(self) -> Program:
        """Without statements, inputs and constants that nobody reads."""
        kept, needed = _needed(self.statements, set(self.outputs))
        return replace(
            self, statements=kept,
            inputs={n: k for n, k in self.inputs.items() if n in needed},
            constants={n: k for n, k in self.constants.items() if n in needed})

    def smaller(self) -> list[Program]:
        """Programs with a little less in them, the greatest steps first."""
        found = [replace(self, outputs=(name,)) for name in self.outputs
                 if len(self.outputs) > 1]
        found += [replace(self, transforms=self.transforms[:i] + self.transforms[i + 1:])
                  for i in range(len(self.transforms))]
        found += [self._cut(s) for s in _all(self.statements)]
        found += [replace(self, outputs=(name,)) for s in self.statements for name in s.targets
                  if (name,) != self.outputs]
        return [p.trimmed() for p in found]

    def _cut(self, statement: Statement) -> Program:
        new = {name: self.known[name] for name in statement.targets}
        return replace(self, inputs=self.inputs | new,
                       statements=_without(self.statements, statement),
                       outputs=tuple(n for n in self.outputs if n not in new) or self.outputs)


def _needed(statements: tuple[Statement, ...],
            wanted: set[str]) -> tuple[tuple[Statement, ...], set[str]]:
    """The statements that compute what is wanted, also in bodies; and every name they read."""
    kept: list[Statement] = []
    for s in reversed(statements):
        if wanted & set(s.targets):
            bodies = tuple(replace(b, statements=_needed(
                b.statements, set(NAME.findall(b.result)))[0]) for b in s.bodies)
            s = replace(s, bodies=bodies)
            kept.append(s)
            wanted = wanted | s.names()
    return tuple(reversed(kept)), wanted


def _all(statements: tuple[Statement, ...]) -> list[Statement]:
    """The statements and those in their bodies."""
    return [x for s in statements
            for x in (s, *(y for body in s.bodies for y in _all(body.statements)))]


def _without(statements: tuple[Statement, ...], gone: Statement) -> tuple[Statement, ...]:
    return tuple(
        replace(s, bodies=tuple(replace(b, statements=_without(b.statements, gone))
                                for b in s.bodies))
        for s in statements if s is not gone)


def _note(known: Known) -> str:
    shape = ",".join(map(str, known.shape))
    return f"{known.dtype.name}[{shape}]{' exact' if known.exact else ''}"

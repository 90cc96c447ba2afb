"""Running a random program in every way there is, comparing with JAX, and shrinking failures.

What is exact must be equal bit by bit (nan is nan). For the rest, the error that rounding alone
explains is measured: JAX computes the program a second time in float64. A result may differ from
JAX's by a small multiple of what JAX's own differs from that.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import ml_dtypes
import numpy as np
from program_text import Program

import arraylib
from arraylib import tree
from arraylib.config import config
from arraylib.errors import TraceError

# XLA's optimisations take longer than the programs do, and are not what is asked about here.
jax.config.update("jax_disable_most_optimizations", True)
QUICKLY = {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}

SLACK = 16  # times JAX's own rounding error
EPSILONS = 64  # times the coarsest rounding of one operation


@dataclass(frozen=True)
class Failure:
    mode: str
    problem: str

    def __str__(self) -> str:
        return f"{self.mode}: {self.problem}"


# -- ways to run -----------------------------------------------------------------------------------


def _eager(program: Program) -> list[Any]:
    return _ours(program, lambda f: f)


def _jitted(program: Program) -> list[Any]:
    return _ours(program, arraylib.jit)


def _reference(program: Program) -> list[Any]:
    with config.using(backend="reference"):
        return _ours(program, arraylib.jit)


MODES: dict[str, Callable[[Program], list[Any]]] = {
    "jit": _jitted, "eager": _eager, "reference": _reference}


def _ours(program: Program, wrap: Callable[[Any], Any]) -> list[Any]:
    with config.using(default_bits=program.bits, cache=False), np.errstate(all="ignore"):
        constants = {n: arraylib.Array(x, x.dtype) for n, x in program.data().items()}
        arguments = [arraylib.Array(x, x.dtype) for x in program.arguments()]
        out = wrap(program.function(arraylib, constants))(*arguments)
        return [np.asarray(x) for x in tree.leaves(out)]


def with_jax(program: Program) -> list[np.ndarray[Any, Any]]:
    return _theirs(program.function, program.arguments(), program.data(), program.bits == 64)


def _theirs(function: Any, arguments: Any, data: Any, wide: bool) -> list[np.ndarray[Any, Any]]:
    with jax.enable_x64(wide):
        constants = {n: jax.device_put(x) for n, x in data.items()}
        jitted = jax.jit(function(jax, constants), compiler_options=QUICKLY)
        out = jitted(*map(jax.device_put, arguments))
        return [np.asarray(x) for x in jax.tree.leaves(out)]


_FLOAT = re.compile(r"'(bfloat16|float16|float32)'|\"float32\"")
_COMPLEX = re.compile(r"'complex64'")


def in_double(program: Program) -> list[np.ndarray[Any, Any]]:
    """JAX's results with all floats in double precision."""
    def function(library: Any, constants: Any) -> Any:
        return program.function(library, constants, lambda text: _COMPLEX.sub(
            "'complex128'", _FLOAT.sub("'float64'", text)))
    data = {n: _widened(x) for n, x in program.data().items()}
    return _theirs(function, [_widened(x) for x in program.arguments()], data, True)


def _widened(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    kind = x.dtype.kind
    return x.astype(np.float64 if kind in "fV" else np.complex128 if kind == "c" else x.dtype)


def ways(seed: int) -> tuple[str, ...]:
    """Compiled, and in turn one of the others; running at once takes longest."""
    return "jit", "reference" if seed % 4 else "eager"


# -- comparing -------------------------------------------------------------------------------------


class JaxRefused(Exception):
    """JAX lacks something that a program asks for; ours is right by its own meaning, or refused."""


def check(program: Program, modes: Iterable[str] = tuple(MODES)) -> Failure | None:
    """What is wrong with the program's results, if anything.

    XLA is not always right: what differs from its program has to differ from JAX run operation by
    operation, too.
    """
    try:
        expected = with_jax(program)
    except NotImplementedError as error:
        with contextlib.suppress(TraceError):
            if failure := _compared(program, _reference(program), modes):
                return failure
        raise JaxRefused from error
    failure = _compared(program, expected, modes)
    if failure and "elements differ" in failure.problem:
        with jax.disable_jit():
            return _compared(program, with_jax(program), modes)
    return failure


def _compared(program: Program, expected: list[Any], modes: Iterable[str]) -> Failure | None:
    exact = program.exact() or [False] * len(expected)
    truth = cache(lambda: _truth(program, expected))
    for mode in modes:
        try:
            found = MODES[mode](program)
        except Exception as error:
            return Failure(mode, f"{type(error).__name__}: {error}")
        if len(found) != len(expected):
            return Failure(mode, f"{len(found)} results, not {len(expected)}")
        for i, (mine, theirs) in enumerate(zip(found, expected)):
            problem = _kind_differs(mine, theirs) or _differs(
                program, mine, theirs, exact[i], lambda i=i: truth()[i])
            if problem:
                return Failure(mode, f"result {i}: {problem}")
    return None


def _truth(program: Program, expected: list[Any]) -> list[Any]:
    """The results in double precision; JAX's own where it refuses that, for other dtypes meet."""
    try:
        return in_double(program)
    except TypeError:
        return expected


def _kind_differs(mine: Any, theirs: Any) -> str:
    if mine.dtype != theirs.dtype or mine.shape != theirs.shape:
        return f"{mine.dtype}{list(mine.shape)}, not {theirs.dtype}{list(theirs.shape)}"
    return ""


def _wide(x: Any) -> Any:
    """Its numbers in double precision, complex ones as two."""
    if x.dtype.kind == "c":
        return np.stack([x.real, x.imag], -1).astype(np.float64)
    return x.astype(np.float64) if x.dtype.kind in "fV" else x


def _differs(program: Program, mine: Any, theirs: Any, exact: bool,
             truth: Callable[[], Any]) -> str:
    is_float = mine.dtype.kind in "fVc"
    mine, theirs = np.asarray(_wide(mine)), np.asarray(_wide(theirs))
    if exact or not is_float:
        wrong = (mine != theirs) & ~((mine != mine) & (theirs != theirs))
        return _differences("differ, but are exact", mine, theirs, wrong)
    usable = np.isfinite(theirs)
    scale = np.max(np.abs(theirs[usable]), initial=0)
    coarsest = max(float(ml_dtypes.finfo(d).eps) for d in program.floats())
    allowed = EPSILONS * coarsest * max(scale, 1e-6)
    if not np.any(usable & ~(np.abs(mine - theirs) <= allowed)):
        return ""
    right = np.asarray(_wide(truth()), np.float64)
    usable &= np.isfinite(right)
    rounding = np.max(np.abs(theirs - right)[usable], initial=0)
    if rounding > 0.05 * scale:
        return ""  # nothing can be said
    allowed += SLACK * rounding
    wrong = usable & ~(np.abs(mine - theirs) <= allowed)
    return _differences(f"differ by more than {allowed:.2g}", mine, theirs, wrong)


def _differences(what: str, mine: Any, theirs: Any, wrong: Any) -> str:
    places = np.argwhere(np.atleast_1d(wrong))
    if not len(places):
        return ""
    at = tuple(places[0]) if np.ndim(mine) else ()
    return (f"{len(places)} of {np.size(mine)} elements {what}; "
            f"at {list(map(int, at))} {mine[at]!r}, not {theirs[at]!r}")


# -- shrinking -------------------------------------------------------------------------------------


def shrunk(program: Program, failure: Failure, tries: int = 400) -> tuple[Program, Failure]:
    """A program with as little as possible that fails in the same way of running."""
    seen = set()
    progress = True
    while progress and tries > 0:
        progress = False
        for smaller in program.smaller():
            if smaller.source() in seen or tries <= 0 or smaller.size() > program.size():
                continue
            seen.add(smaller.source())
            tries -= 1
            try:
                found = check(smaller, [failure.mode])
            except Exception:  # JAX refuses it: cut in the wrong place
                continue
            if found and found.problem.split(":")[0] == failure.problem.split(":")[0]:
                program, failure, progress = smaller, found, True
                break
    return program, failure


def report(program: Program, failure: Failure) -> str:
    """All that is needed to see what is wrong."""
    data = [f"# {n} = {x.tolist()}"[:400] for n, x in zip(program.inputs, program.arguments())]
    return "\n".join([f"seed {program.seed}: {failure}", program.source(), *data])

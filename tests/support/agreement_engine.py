"""Runs trials in four ways, many at a time, and measures how far apart results are."""

import numpy as np
import xla
from stablehlo_interpreter import evaluate_all

from arraylib import dtypes as dt, hlo
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Builder, trace_graph
from arraylib.hlo.ops.complexes import of_parts
from arraylib.hlo.ops.constant import constant
from arraylib.hlo.ops.elementwise import imag, real
from arraylib.hlo.passes.legalize import legalize

TOGETHER = 120  # trials in one module: compilers take longer than in proportion for larger ones


def joint_graph(trials):
    """One graph that computes all trials, so that a compiler is called once."""
    with Builder() as builder:
        outputs = []
        for trial in trials:
            out = trial.op(*[builder.input(t) for t in trial.case.types], **trial.case.attrs)
            outputs += out if trial.op.multiple else [out]
        return builder.build(outputs)[0]


def by_interpreter(trials):
    """The results of each trial, of our interpreter."""
    return [tuple(interpret(trial.case.graph(), trial.operands)) for trial in trials]


def by_cpu(trials):
    """The results of each trial, of our compiler."""
    return _in_parts(trials, lambda graph, arrays: hlo.evaluate(graph, *arrays, backend="cpu"))


def by_xla(trials, level=None):
    """The results of each trial, of XLA; an exception for what XLA refuses."""
    return _in_parts(trials, lambda graph, arrays: xla.run(legalize(graph), arrays, level))


def by_xla_quickly(trials):
    """The same, without optimisation by LLVM."""
    return by_xla(trials, level=0)


def _in_parts(trials, run):
    found = []
    for start in range(0, len(trials), TOGETHER):
        found += _together(list(trials[start:start + TOGETHER]), run)
    return found


def _together(trials, run):
    """All in one module; where that fails, halves of it."""
    graph = joint_graph(trials)
    try:
        outputs = iter(run(graph, [x for trial in trials for x in trial.operands]))
    except Exception as error:
        if len(trials) == 1:
            return [error]
        half = len(trials) // 2
        return _together(trials[:half], run) + _together(trials[half:], run)
    counts = [len(trial.op.result_types(trial.case.types, trial.case.attrs)) for trial in trials]
    return [tuple(np.asarray(next(outputs)) for _ in range(n)) for n in counts]


# -- distances -------------------------------------------------------------------------------------


def distance(ours, theirs, scale=0.0, flushed=False, signed=True):
    """How far apart elements are, in units of the last place of theirs (or of `scale`, if larger).

    Integers are apart by 0 or inf; so are nan and infinities and, where `signed`, zeros of
    different signs. Of complex numbers the distance is measured in their absolute value, and zeros
    have no sign. `flushed`: numbers below the normal range are taken for zero, as XLA takes them.
    """
    if not dt.is_inexact(ours.dtype):
        return np.where(ours == theirs, 0.0, np.inf)
    if dt.is_complex(ours.dtype):
        return _complex_distance(ours, theirs, scale, flushed)
    x, y = (_wide(v, flushed) for v in (ours, theirs))
    same = (x == y) & ((x != 0) | (np.signbit(x) == np.signbit(y)) | (not signed))
    same |= np.isnan(x) & np.isnan(y)
    with np.errstate(all="ignore"):
        apart = np.abs(x - y) / _spacing(np.abs(y), scale, ours.dtype)
    apart = np.where(np.isfinite(apart) & (x != y), apart, np.inf)
    return np.where(same, 0.0, apart)


def _wide(x, flushed):
    dtype, wide = x.dtype, x.astype(np.float64)
    if not flushed or dt.bits(dtype) <= 16 and dtype != dt.bfloat16:
        return wide
    return np.where(np.abs(wide) < float(dt.finfo(dtype).smallest_normal),
                    np.copysign(0.0, wide), wide)


def _spacing(size, scale, dtype):
    """The distance of numbers of a dtype that are as large as this."""
    limits = dt.finfo(dtype)
    size = np.maximum(np.maximum(size, scale), float(limits.smallest_normal))
    return float(limits.eps) * np.exp2(np.floor(np.log2(size)))


def _complex_distance(ours, theirs, scale, flushed):
    real = dt.to_real(ours.dtype)
    parts = [(_wide(x.astype(real), flushed), _wide(y.astype(real), flushed))
             for x, y in ((ours.real, theirs.real), (ours.imag, theirs.imag))]
    size = np.hypot(*(np.where(np.isfinite(y), y, 0.0) for _, y in parts))
    far = np.zeros(ours.shape)
    for x, y in parts:
        with np.errstate(all="ignore"):
            apart = np.abs(x - y) / _spacing(size, scale, real)
        same = (x == y) | np.isnan(x) & np.isnan(y)
        far = np.maximum(far, np.where(same, 0.0, np.where(np.isfinite(apart), apart, np.inf)))
    return far


def by_stablehlo(trials):
    """The results of each trial, of StableHLO's interpreter; an exception for what it refuses."""
    return [_parsed(trial, answer)
            for trial, answer in zip(trials, evaluate_all([_closed(t) for t in trials]))]


def _closed(trial):
    """A program without operands and without complex results, which cannot be passed."""
    def program():
        out = trial.op(*[constant(value=np.array(x)) for x in trial.operands], **trial.case.attrs)
        return [part for x in (out if trial.op.multiple else [out]) for part in (
            [real(x), imag(x)] if dt.is_complex(x.type.dtype) else [x])]
    return hlo.text(legalize(trace_graph((), program)))


def _parsed(trial, answer):
    if isinstance(answer, str):
        return RuntimeError(answer)
    parts, found = iter([_array(text) for text in answer]), []
    for type in trial.op.result_types(trial.case.types, trial.case.attrs):
        found.append(of_parts(next(parts), next(parts)) if dt.is_complex(type.dtype)
                     else next(parts))
    return tuple(found)


def _array(attribute):
    """The array of an attribute `dense<...> : tensor<...>`."""
    type = attribute.rpartition(" : ")[2]
    module = hlo.parse(f"func.func @main() -> {type} {{\n  %0 = stablehlo.constant {attribute}\n"
                       f"  return %0 : {type}\n}}")
    return hlo.evaluate(module)[0]

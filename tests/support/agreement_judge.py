"""Whether our two backends agree with another implementation on a trial, and how closely."""

import math
from dataclasses import dataclass, field

import numpy as np
from agreement_engine import by_cpu, by_interpreter, by_stablehlo, by_xla, by_xla_quickly, distance
from agreement_exclusions import EXCLUSIONS, WITHOUT_NAN

from arraylib import dtypes as dt

ORACLES = {"xla": by_xla, "stablehlo": by_stablehlo}
QUICK = {"xla": by_xla_quickly, "stablehlo": by_stablehlo}
ULPS = 4  # unless the operation's record says otherwise
DEFAULT_TOLERANCE = 1e-6  # of a record that says nothing
NEAR_ZERO = {"lgamma", "digamma", "polygamma"}  # exact relative to 1 alone near their zeros


@dataclass
class Verdict:
    """What came of a trial: the largest distance of each backend, and what went wrong."""

    trial: object
    oracle: str
    compared: bool = False
    worst: dict = field(default_factory=dict)
    failures: list = field(default_factory=list)
    needed: set = field(default_factory=set)


def verdicts(trials, oracle, runners=ORACLES):
    """The verdicts of all trials. Both backends are also compared with each other."""
    trials = list(trials)
    ours = {"interpreter": dict(zip(trials, by_interpreter(trials))),
            "cpu": dict(zip(trials, by_cpu(trials)))}
    theirs = _ask(oracle, trials, runners[oracle])
    found = []
    for trial in trials:
        verdict = Verdict(trial, oracle)
        _judge(verdict, {"cpu": ours["cpu"][trial]}, ours["interpreter"][trial],
               rows_of(trial, "interpreter"))
        verdict.worst, verdict.compared = {}, False
        if trial in theirs:
            _judge(verdict, {name: some[trial] for name, some in ours.items()}, theirs[trial],
                   rows_of(trial, oracle))
        found.append(verdict)
    return found


def rows_of(trial, oracle):
    """The exclusions about a trial."""
    return [row for row in EXCLUSIONS if row.covers(trial, oracle)]


def is_compared(trial, oracle):
    """Whether exclusions leave some element to compare."""
    rows = rows_of(trial, oracle)
    if any(row.refused or not row.asked for row in rows):
        return False
    types = trial.op.result_types(trial.case.types, trial.case.attrs)
    return any(_judged(rows, trial, t.shape)[0] for t in types)


def _judged(rows, trial, shape):
    """Whether anything is compared, and by how much each element may differ by exclusions."""
    loose = np.zeros(shape)
    for row in rows:
        inside = _where(row, trial, shape)
        loose[inside] = np.maximum(loose[inside], row.ulps)
    whole = not any(row.where is None and row.ulps == math.inf for row in rows)
    return whole and (not loose.size or bool((loose < math.inf).any())), loose


def _ask(oracle, trials, run):
    """What is known to be refused is asked about alone, as it would take all others with it."""
    asked = {t: rows_of(t, oracle) for t in trials}
    asked = {t: rows for t, rows in asked.items() if all(row.asked for row in rows)}
    together = [t for t, rows in asked.items() if not any(row.refused for row in rows)]
    answers = dict(zip(together, run(together)))
    for trial in asked.keys() - answers.keys():
        answers[trial] = run([trial])[0]
    return answers


def _judge(verdict, ours, theirs, rows):
    trial = verdict.trial
    if isinstance(theirs, Exception):
        refused = [row for row in rows if row.refused]
        verdict.needed.update(refused)
        if not refused:
            verdict.failures.append(f"{trial}: refused: {str(theirs)[:300]}")
        return
    for name, outcome in ours.items():
        if isinstance(outcome, Exception):
            verdict.failures.append(f"{trial}: {name}: {str(outcome)[:300]}")
            continue
        for x, y in zip(outcome, theirs, strict=True):
            _compare(verdict, name, x, y, rows)


def _compare(verdict, name, ours, theirs, rows):
    """Note the largest distance outside what rows exclude, and which rows were needed."""
    trial = verdict.trial
    if (ours.dtype, ours.shape) != (theirs.dtype, theirs.shape):
        typed = [row for row in rows if row.where is None]
        verdict.needed.update(typed)
        if not typed:
            verdict.failures.append(f"{trial}: {name} has {ours.dtype}{ours.shape}, "
                                    f"{verdict.oracle} {theirs.dtype}{theirs.shape}")
        return
    far = _distance(trial, ours, theirs, verdict.oracle)
    bound = np.full(far.shape, float(allowed(trial.op, theirs.dtype)))
    for row in rows:
        inside = _where(row, trial, far.shape)
        if (far[inside] > bound[inside]).any():
            verdict.needed.add(row)
    compared, loose = _judged(rows, trial, far.shape)
    verdict.compared |= compared
    wrong = far > np.maximum(bound, loose)
    counted = far[(loose < math.inf) & ~wrong]
    verdict.worst[name] = max(verdict.worst.get(name, 0.0), counted.max(initial=0.0))
    if wrong.any():
        verdict.failures.append(_describe(trial, name, ours, theirs, np.where(wrong, far, 0)))


def _describe(trial, name, ours, theirs, far):
    place = np.unravel_index(np.argmax(far), far.shape)
    of = [x[place] for x in trial.operands] if trial.op.elementwise else ""
    return (f"{trial}: {(far > 0).sum()} of {far.size}: {name} has {ours[place]!r} where "
            f"{theirs[place]!r} is wanted, {far[place]:.3g} ulp, of {of}")


def _where(row, trial, shape):
    """The elements that a row is about."""
    if row.where is None:
        return np.ones(shape, bool)
    wide = [x.astype(np.complex128 if dt.is_complex(x.dtype) else np.float64)
            if dt.is_inexact(x.dtype) or dt.bits(x.dtype) < 8 else x for x in trial.operands]
    with np.errstate(all="ignore"):
        return np.broadcast_to(row.where(*wide), shape)


def _distance(trial, ours, theirs, oracle):
    flushed = oracle == "xla"
    if trial.op.elementwise:
        signed = theirs.dtype not in WITHOUT_NAN  # where nan would be, there is some zero
        scale = 1.0 if trial.op.name in NEAR_ZERO else 0.0
        return distance(ours, theirs, scale, flushed, signed)
    size = np.abs(theirs.astype(np.complex128)) if dt.is_inexact(theirs.dtype) else np.zeros(0)
    largest = size[np.isfinite(size)].max(initial=1.0)
    return distance(ours, theirs, largest, flushed, signed=False)


def allowed(op, dtype):
    """How many units of the last place results may be apart.

    A record's tolerance is a relative error in float32.
    """
    if not dt.is_inexact(dtype):
        return 0
    if op.tolerance == DEFAULT_TOLERANCE or dt.bits(dtype) < 32:
        return ULPS
    return max(ULPS, op.tolerance / float(np.finfo(np.float32).eps))

"""What agreement with other implementations is tried on: every operation at every dtype.

A trial is an operation with its operands. Families of trials:

- values: numbers of the operation's domain, in several shapes and with several attributes.
- corners: what is special about the dtype: zeros, infinities, nan, limits, large arguments. All
  values there are, for one operand of 8 bits or less.
- subnormal: numbers below the normal range, which XLA takes for zero.
"""

import itertools
import math
import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np
from agreement_variants import variants
from cases import ELEMENTWISE, Case, draw, elementwise, examples, retyped

from arraylib import dtypes as dt
from arraylib.errors import DtypeError
from arraylib.hlo.ir import Type
from arraylib.hlo.ops import TABLE
from arraylib.hlo.ops.bits import bitcast_regroup

DTYPES = (*dt.ALL, *dt.STORAGE)
SHAPES = ((2, 3), (), (5,), (3, 1, 4), (0, 2))
FAMILIES = ("values", "corners", "subnormal")
PAIRS = 200  # how many pairs of special values are tried, where there are more


@dataclass(frozen=True, eq=False)
class Trial:
    """An operation on these arrays, tried for the sake of a dtype."""

    case: Case
    dtype: np.dtype
    family: str
    operands: tuple

    @property
    def op(self):
        return self.case.op

    def __str__(self):
        attrs = ", ".join(f"{name}={value}" for name, value in self.case.attrs.items()
                          if isinstance(value, (str, int, tuple, np.dtype)) and value != ())
        return f"{self.family} of {self.case} {attrs[:120]}"


def main_dtype(case):
    """The dtype that an operation is tried at: others (of indices, say) stay what they are."""
    found = [t.dtype for t in case.types] or [
        d for d in (case.attrs.get("dtype"), getattr(case.attrs.get("value"), "dtype", None)) if d]
    return next((d for d in found if dt.is_inexact(d)), found[0] if found else dt.int32)


@cache
def trials(dtype, family):
    """All trials of a family at one dtype, in a fixed order."""
    if family == "values":
        return tuple(_trial(case, dtype)
                     for case in (*_elementwise(dtype), *_structured(dtype)))
    draw_from = _corners if family == "corners" else _subnormals
    special = (trial for op in ELEMENTWISE for case in _elementwise_of(op, dtype, (2, 3))
               for trial in draw_from(case, dtype))
    return (*special, *(_ordered(dtype) if family == "corners" else ()))


def fewer(dtype, family):
    """Those of them for an interpreter: of elementwise operations only some shapes."""
    return [t for t in trials(dtype, family) if family != "values" or not t.op.elementwise
            or all(x.shape in SHAPES[:2] for x in t.operands)]


def sample(all_trials, share):
    """One trial for each operation and dtype, of storage formats one in `share`."""
    chosen = {}
    for trial in all_trials:
        if trial.dtype in dt.ALL or _number(trial, "whether") % share == 0:
            chosen.setdefault(trial.op, []).append(trial)
    return [some[_number(some[0], "which") % len(some)] for some in chosen.values()]


def _number(trial, salt):
    return zlib.crc32(f"{trial.op.name} {salt} {trial.dtype}".encode())


# -- values ----------------------------------------------------------------------------------------


def _trial(case, dtype):
    rng = np.random.default_rng(zlib.crc32(str(case).encode()))
    operands = [draw(t, rng, case.op.domain) for t in case.types]
    for i, x in enumerate(operands):
        if x.dtype == dt.float8_e8m0fnu:  # has no negative numbers, which would be nan
            operands[i] = np.abs(draw(case.types[i].with_dtype(dt.float32), rng, case.op.domain)
                                 ).astype(x.dtype)
    suited = _SUITED.get(case.op.name)
    return Trial(case, dtype, "values", suited(case, *operands) if suited else tuple(operands))


def _positive(case, a):
    """Matrices that are certainly positive definite."""
    wide = a.astype(np.complex128 if dt.is_complex(a.dtype) else np.float64)
    product = wide @ np.swapaxes(wide, -1, -2).conj() + 2 * np.eye(a.shape[-1])
    return (product.astype(a.dtype),)


def _well_conditioned(case, a, b):
    return (a + 3 * np.eye(a.shape[-1]).astype(a.dtype)).astype(a.dtype), b


def _distinct(case, x, source, init):
    """An array whose windows have one winner, as far as the dtype has numbers enough."""
    numbers = np.random.default_rng(x.size).permutation(x.size).reshape(x.shape)
    return (numbers - (0 if dt.is_unsigned(x.dtype) else x.size // 2)).astype(x.dtype), source, init


def _neutral(case, *operands):
    """In some of the trials initial values that change nothing, so that padding does not either."""
    combine = case.attrs["body"].nodes[0].op.name
    if len(operands) == 2 and combine in ("add", "multiply") and case.attrs["padding"][0] == (2, 0):
        value = 0 if combine == "add" else 1
        return operands[0], np.asarray(value).astype(operands[1].dtype)
    return operands


_SUITED = {"cholesky": _positive, "triangular_solve": _well_conditioned,
           "select_and_scatter": _distinct, "reduce_window": _neutral}


def _elementwise(dtype):
    for shape, op in itertools.product(SHAPES, ELEMENTWISE):
        yield from _elementwise_of(op, dtype, shape)


def _elementwise_of(op, dtype, shape):
    """The cases at a dtype which the type rule allows."""
    return filter(_allowed, elementwise(op, dtype, shape, DTYPES))


def _structured(dtype):
    """The rows' own examples at this dtype, and further attributes."""
    for case in examples():
        own = main_dtype(case)
        if case.op.elementwise or case.op is bitcast_regroup and own != dtype:
            continue  # the shapes of the latter are for this dtype alone
        try:
            there = retyped(case, {own: dtype})
        except DtypeError:  # of an operation in a region: `variants` has one that is allowed
            continue
        if _allowed(there):
            yield there
    yield from filter(_allowed, variants(dtype))


def _allowed(case):
    """Whether the type rule takes this dtype. What else is wrong with a case is our mistake."""
    try:
        case.op.result_types(case.types, case.attrs)
    except DtypeError:
        return False
    return True


# -- corners ---------------------------------------------------------------------------------------


def special_values(dtype):
    """Those values of a dtype at which something may go wrong."""
    with np.errstate(all="ignore"):
        return _special_values(dtype, dt.kind(dtype))


def _special_values(dtype, kind):
    if kind == "b":
        return np.array([False, True])
    if dt.bits(dtype) <= 8:
        every = np.arange(2 ** dt.bits(dtype), dtype=np.uint8)
        return every.view(dtype) if dt.is_float(dtype) else every.astype(dtype)
    if kind in "iu":
        limits, width = np.iinfo(dtype), dt.bits(dtype)
        numbers = {limits.min, limits.min + 1, -width, -2, -1, 0, 1, 2, 7, width - 1, width,
                   width + 1, limits.max // 2, limits.max - 1, limits.max}
        return np.array(sorted(n for n in numbers if limits.min <= n <= limits.max)).astype(dtype)
    if kind == "c":
        parts = np.array([-np.inf, -30.0, -1.0, -0.0, 0.0, 0.5, 1.0, 1e4, np.inf, np.nan])
        found = np.empty((len(parts), len(parts)), dtype)
        found.real, found.imag = parts[:, None], parts
        return found.ravel()
    limits = dt.finfo(dtype)
    positive = [0.0, float(limits.smallest_normal), 1e-4, 0.1, 0.5, 1.0, 1.5, 2.0, 2.5, math.pi,
                17.0, 1000.0, 50000.0, 1e5, float(limits.max), np.inf]
    halves = np.array(positive).astype(dtype)
    return np.concatenate([-halves[::-1], halves, np.array([np.nan]).astype(dtype)])


def _corners(case, dtype):
    yield _special(case, dtype, special_values(dtype), "corners")


def _subnormals(case, dtype):
    """Some numbers below the normal range, with others."""
    if dt.is_float(dtype) and dtype != dt.float8_e8m0fnu and dt.bits(dtype) > 8:
        limits = dt.finfo(dtype)
        least, normal = float(limits.smallest_subnormal), float(limits.smallest_normal)
        numbers = np.array([least, 3 * least, normal / 4, normal - least, 1.0]).astype(dtype)
        yield _special(case, dtype, np.concatenate([numbers, -numbers]), "subnormal")


def _ordered(dtype):
    """Operations that order or add special values: all of them at once, and in pairs.

    One nan is enough: several may have any order among each other.
    """
    values = np.random.default_rng(5).permutation(special_values(dtype))
    if dt.is_float(dtype):
        values = np.concatenate([values[~np.isnan(values)], values[np.isnan(values)][:1]])
    n, pairs = len(values), np.stack([values, np.roll(values, 1)], axis=1)
    places = np.arange(n, dtype=np.int32)
    for name, operands, attrs in (
            ("sort", [values], {"dimension": 0, "num_keys": 1}),
            ("sort", [values, places], {"dimension": 0, "num_keys": 1}),
            ("sort", [pairs], {"dimension": 1, "num_keys": 1}),
            ("top_k", [values], {"k": n}),
            *((name, [pairs], {"dimensions": (1,), "dtype": np.dtype(np.int32)})
              for name in ("argmax", "argmin")),
            *((name, [pairs], {"dimensions": (1,)})
              for name in ("reduce_add", "reduce_maximum", "reduce_minimum"))):
        case = Case(TABLE[name], tuple(Type(x.dtype, x.shape) for x in operands), attrs)
        if _allowed(case):
            yield Trial(case, dtype, "corners", tuple(operands))


def _special(case, dtype, values, family):
    """The operation on all combinations of the values, or on some if they are many."""
    count = sum(not dt.is_bool(t.dtype) or dt.is_bool(values.dtype) for t in case.types)
    total = len(values) ** count
    rng = np.random.default_rng(len(values))
    places = np.arange(total) if total <= PAIRS or count == 1 else rng.choice(
        total, PAIRS, replace=False)
    digits = [values[places // len(values) ** i % len(values)] for i in range(count)]
    drawn = iter(digits)
    operands = tuple(next(drawn) if t.dtype == values.dtype else rng.random(len(places)) < 0.5
                     for t in case.types)
    types = tuple(Type(x.dtype, x.shape) for x in operands)
    return Trial(Case(case.op, types, case.attrs), dtype, family, operands)

"""What is not compared with another implementation, or less closely, and why.

Each row names operations and dtypes; those with a `where` are about some elements alone, and all
others are compared. A row that has become unnecessary fails a test.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from arraylib import dtypes as dt

ALL = (*dt.ALL, *dt.STORAGE)
NARROW = " ".join(d.name for d in ALL if dt.is_float8(d))
WIDE = "bfloat16 float16 float32 float64"
COMPLEX = "complex64 complex128"
INTEGERS = " ".join(d.name for d in ALL if dt.is_integer(d))
WITHOUT_NAN = (dt.float4_e2m1fn, dt.float6_e2m3fn, dt.float6_e3m2fn)


def _always(trial):
    return True


@dataclass(frozen=True)
class Exclusion:
    """Trials that an oracle is not asked about, or elements that may differ from it.

    ops, dtypes: names, separated by blanks; none for all. when: of the trials these alone. where:
    of (*operands), widened, the elements that may differ; None for all. ulps: by how much they
    may. refused: the oracle gives an error. asked: if not, the oracle is not run at all.
    """

    ops: str
    dtypes: str
    reason: str
    families: str = "values corners subnormal"
    oracle: str = "xla"
    when: Callable = _always
    where: Callable | None = None
    ulps: float = math.inf
    refused: bool = False
    asked: bool = True

    def covers(self, trial, oracle):
        """Whether the row is about this trial. Elements are those of elementwise operations."""
        return (oracle == self.oracle and trial.family in self.families.split()
                and (self.where is None or trial.op.elementwise)
                and (not self.ops or trial.op.name in self.ops.split())
                and (not self.dtypes or trial.dtype.name in self.dtypes.split())
                and self.when(trial))

    def __str__(self):
        return f"{self.oracle}: {self.ops or 'all'} of {self.dtypes or 'all'}"[:80]


# -- which trials, and which elements --------------------------------------------------------------


def _with(*dtypes):
    """Trials with one of these dtypes among operands and results."""
    def holds(trial):
        case = trial.case
        results = case.op.result_types(case.types, case.attrs)
        return not {t.dtype for t in (*case.types, *results)}.isdisjoint(dtypes)
    return holds


def _to(kinds):
    """Conversions to dtypes of these kinds."""
    return lambda trial: dt.kind(trial.case.attrs["dtype"]) in kinds


def _reduces_by(*names):
    """Trials whose body is one of these operations."""
    return lambda trial: trial.case.attrs["body"].nodes[0].op.name in names


def _pads(trial):
    """Whether a window has padding, and it matters: 0 in a sum does not."""
    attrs = trial.case.attrs
    padded = any(max(pair) > 0 for pair in attrs["padding"]) or max(
        attrs.get("base_dilations", (1,))) > 1
    return padded and not neutral(trial)


def neutral(trial):
    """Whether the initial value of a window operation changes nothing."""
    value = {"add": 0, "multiply": 1}.get(trial.case.attrs["body"].nodes[0].op.name)
    return value is not None and bool((trial.operands[-1] == value).all())


def _not_finite(*xs):
    return ~np.logical_and.reduce([np.isfinite(x) for x in xs])


def _flushed(dtype):
    """Where an operand is so small that a step in between is subnormal."""
    return lambda x: np.abs(x) < 4 * float(dt.finfo(dtype).smallest_normal)


def _zeros(*xs):
    """Where two operands are zeros, which may have different signs."""
    return sum((x == 0).astype(int) for x in xs) > 1


# -- XLA -------------------------------------------------------------------------------------------

SMALLEST = " ".join(d.name for d in WITHOUT_NAN)
TINY = "int2 uint2 int4 uint4"
EXTREMES = "maximum minimum clamp"
PERIODIC = "sine cosine tan tanh sinh cosh"
INVERSE = "asin acos atan asinh acosh atanh"

XLA = (
    Exclusion("", "bfloat16 float32 float64",
              "XLA takes subnormal numbers for zero; our backends and StableHLO's do not",
              "subnormal", asked=False),
    Exclusion("", "", "XLA has no formats of six bits", asked=False,
              when=_with(dt.float6_e2m3fn, dt.float6_e3m2fn)),
    Exclusion("bitcast_regroup", "complex64", "XLA ends its process", asked=False,
              when=_with(dt.complex128)),
    Exclusion("concatenate pad reverse", "int2 uint2", "XLA ends its process", asked=False),
    # not there, or not the same operation
    Exclusion("collective_broadcast collective_reduce", "",
              "XLA on the CPU has no broadcast, and jaxlib's dialect no reduction to one process",
              refused=True),
    Exclusion("iota", "bool", "StableHLO has no such operation", refused=True),
    Exclusion("all_reduce reduce_scatter", INTEGERS, "XLA on the CPU has no such reduction",
              refused=True, when=_reduces_by("and")),
    Exclusion("reduce_scatter all_reduce", COMPLEX, "XLA on the CPU has no such reduction",
              refused=True, when=_reduces_by("maximum", "minimum")),
    Exclusion("sort_with", COMPLEX, "XLA has no order of complex numbers", refused=True),
    Exclusion("erfc bessel_i1e", NARROW, "XLA has no such function of narrow floats",
              refused=True),
    Exclusion("top_k", TINY + " float4_e2m1fn", "XLA has no such operation below 8 bits",
              refused=True),
    Exclusion("argmax argmin reduce", "int2 uint2", "XLA has no reduction of 2 bits with an index",
              refused=True, when=_with(dt.int32, dt.int64, dt.uint8)),
    Exclusion("bitcast_regroup", "complex128", "XLA refuses complex numbers", refused=True,
              when=_with(dt.complex64)),
    Exclusion("bitcast_regroup", "bool", "a truth value of XLA has 8 bits", refused=True),
    Exclusion("cbrt", COMPLEX, "XLA has no such function of complex numbers", refused=True),
    Exclusion("dot_general convolution all_reduce reduce_scatter", "int2 uint2",
              "XLA has no such operation of 2 bits", refused=True),
    Exclusion("sort sort_with", "int2 uint2", "XLA takes operands for ones of other shapes",
              refused=True, when=_with(dt.int32)),
    Exclusion("rng_bit_generator", " ".join(d.name for d in ALL if not dt.is_unsigned(d)),
              "XLA gives the unsigned integers of that width"),
    # wrong, or less exact
    Exclusion("reduce_window", "", "XLA leaves padding out; in StableHLO it is initial values",
              when=_pads),
    Exclusion("power", INTEGERS, "XLA is wrong for exponents of more than 6 bits", "corners",
              where=lambda x, y: (y >= 64) | (y < 0)),
    Exclusion("popcnt", "int4", "XLA counts the sign as if it had 8 bits"),
    Exclusion("mulhi", TINY, "XLA takes the upper half of a byte"),
    Exclusion("sort sort_with", "int2 uint2", "XLA sorts them in a wrong order"),
    Exclusion("log_plus_one atanh", "float64", "XLA is less exact", ulps=256),
    Exclusion("log", COMPLEX, "XLA is less exact near |x| = 1", ulps=64),
    Exclusion("power", COMPLEX, "the error of the logarithm grows with the power", ulps=256),
    Exclusion("cholesky", NARROW, "XLA rounds every step to the narrow format, we the result"),
    Exclusion("is_inf is_pos_inf is_neg_inf", "float4_e2m1fn", "XLA takes 0 for infinity, which "
              "the format has not", where=lambda x: x == 0),
    Exclusion("convert", "float4_e2m1fn", "XLA takes the largest number for infinity", "corners",
              when=_to("iu"), where=lambda x: np.abs(x) == 6),
    Exclusion("", "float8_e8m0fnu", "XLA takes the least number for zero, which the format has "
              "not", "corners", where=lambda *xs: sum(x < 2e-38 for x in xs) > 0),
    Exclusion("divide asin atan2 atanh asinh trigamma clamp square multiply lgamma imag next_after "
              "reduce_add triangular_solve collective_permute argmax reduce_minimum",
              "float8_e8m0fnu",
              "steps in between are zero or negative, which the format has not"),
    # corners
    Exclusion("sort top_k", "float8_e5m2fnuz", "XLA orders them in float16, of which it takes "
              "subnormal numbers for zero", "corners"),
    Exclusion(EXTREMES, NARROW + " " + WIDE, "either zero may be the result", where=_zeros),
    Exclusion("asin", WIDE, "XLA takes a subnormal step in between for zero", "corners",
              where=_flushed(dt.float32)),
    Exclusion("trigamma", WIDE, "XLA gives nan, not 0", "corners", where=np.isposinf),
    Exclusion("trigamma", NARROW, "XLA gives nan, not 0, and overflows in between", "corners",
              where=lambda x: (x < 0) | np.isposinf(x)),
    Exclusion("zeta", NARROW + " " + WIDE, "XLA gives nan for large numbers, and differs for s < 1",
              "corners", where=lambda s, q: (s < 1) | (s > 100) | (q <= 0) | ~np.isfinite(q)),
    Exclusion("polygamma", NARROW + " " + WIDE, "XLA gives nan for large orders and at poles",
              "corners", where=lambda n, x: (n > 30) | (x <= 0) | ~np.isfinite(x)),
    Exclusion(f"{PERIODIC} {INVERSE} abs sign exponential exponential_minus_one log log_plus_one "
              "logistic sqrt", COMPLEX, "XLA does not follow C99 here (Annex G)", "corners",
              where=_not_finite),
    Exclusion("maximum minimum", COMPLEX, "of nan either operand may be the result", "corners",
              where=lambda x, y: np.isnan(x) | np.isnan(y)),
    Exclusion("divide", COMPLEX, "XLA does not follow C99 here (Annex G)", "corners",
              where=lambda x, y: _not_finite(x, y) | (y == 0)),
    Exclusion("power", COMPLEX, "neither follows C99 at 0 and infinity; XLA is less exact",
              "corners", where=lambda x, y: _not_finite(x, y) | (x == 0) | (np.abs(y) > 100)),
    Exclusion("atan2", COMPLEX, "XLA is less exact, and takes -0 for 0", "corners",
              where=lambda y, x: np.ones_like(x, bool)),
    Exclusion("maximum minimum", COMPLEX, "XLA does not go on to the imaginary parts", "corners",
              where=lambda x, y: x.real == y.real),
    Exclusion(f"sqrt sine cosine {INVERSE}", COMPLEX, "XLA takes -0 for 0 at a branch cut",
              "corners", where=lambda x: (x.real == 0) | (x.imag == 0)),
    Exclusion("scan", "complex128", "an error of several steps", ulps=8),
)

# -- our own backends ------------------------------------------------------------------------------

OURS = (
    Exclusion("bessel_i1e", "float8_e8m0fnu", "no zero to underflow to", "corners",
              oracle="interpreter", where=lambda x: x < 2e-38),
    Exclusion("power", COMPLEX, "NumPy multiplies for whole exponents, which of infinity gives nan",
              "corners", oracle="interpreter", where=_not_finite),
    Exclusion("power", "complex128", "the error of the logarithm grows with the power, in NumPy",
              "corners", oracle="interpreter", ulps=256),
)

# -- StableHLO's interpreter -----------------------------------------------------------------------


def _chlo(trial):
    return trial.op.dialect == "chlo" or trial.op.name == "trigamma"


def _cuts(trial):
    """A convolution of which padding takes something away."""
    return any(min(pair) < 0 for pair in trial.case.attrs["padding"])


def _empty_sums(trial):
    return any(0 in t.shape for t in trial.case.types)


def _compares(trial):
    """Whether a body orders its operands."""
    attrs = trial.case.attrs
    bodies = [attrs[name] for name in ("body", "comparator", "select") if name in attrs]
    return any(node.op.name == "compare" for body in bodies for node in body.nodes)


def _has_wide_windows(trial):
    return len(trial.case.attrs["update_window_dims"]) > 0


def _poles(*xs):
    """Where a function of narrow floats may be infinite, which becomes the largest number."""
    return np.logical_or.reduce([(x == 0) | (x == -1) for x in xs])


def _to_less(trial):
    return trial.case.attrs["dtype"] in (*WITHOUT_NAN, dt.float8_e8m0fnu)


COLLECTIVE = ("all_gather all_reduce reduce_scatter all_to_all collective_permute "
              "collective_broadcast collective_reduce replica_id partition_id")


def _stablehlo(*args, **facts):
    return Exclusion(*args, **facts, oracle="stablehlo")


STABLEHLO = (
    _stablehlo("", "", "CHLO is not part of it", asked=False, when=_chlo),
    _stablehlo("cholesky triangular_solve fft rng_bit_generator", "", "it does not have them, and "
               "ends its process", asked=False),
    _stablehlo(COLLECTIVE, "", "it ends its process outside a grid of processes", asked=False),
    _stablehlo("convolution", "", "it ends its process where padding is negative", asked=False,
               when=_cuts),
    _stablehlo("dot_general", "", "it ends its process", asked=False, when=_empty_sums),
    _stablehlo("reduce sort_with select_and_scatter", COMPLEX, "it has no order of complex "
               "numbers, and ends its process", asked=False, when=_compares),
    _stablehlo("iota", "bool", "StableHLO has no such operation", refused=True),
    _stablehlo("select_and_scatter", "", "it adds the initial value once for each element"),
    _stablehlo("scatter scatter_with", "", "of windows that are partly outside it writes the part "
               "inside; we, as XLA, nothing", when=_has_wide_windows),
    _stablehlo("negate subtract multiply divide remainder power log logistic rsqrt sine cosine tan "
               "tanh atan2 floor round_nearest_even round_nearest_afz reduce_precision bessel_i0e "
               "iota reduce_add", "float8_e8m0fnu", "what is negative becomes positive, what is "
               "zero or nan some number"),
    _stablehlo("compare_total", "", "it does not know the total order"),
    _stablehlo("sort", NARROW + " " + WIDE + " " + COMPLEX, "it does not know the total order",
               "corners"),
    _stablehlo("divide remainder", INTEGERS, "it ends its process for a divisor of 0", asked=False,
               when=lambda trial: bool((trial.operands[1] == 0).any())),
    _stablehlo("convolution", "", "it multiplies in the operands' dtype",
               when=lambda trial: trial.case.attrs["dtype"] not in (None, trial.dtype)),
    _stablehlo("divide power log log_plus_one rsqrt", SMALLEST, "what is infinite becomes 0, with "
               "us the largest number", where=_poles),
    _stablehlo("floor ceil round_nearest_even round_nearest_afz", "float6_e2m3fn float8_e3m4",
               "it is wrong: 0 or nan"),
    _stablehlo("logistic", NARROW, "it overflows in between", "corners", where=lambda x: x < -2),
    _stablehlo("convert", "", "what a format does not hold becomes 0 or positive", "corners values",
               when=_to_less, where=lambda x: _not_finite(x) | (np.real(x) < 1e-38)),
    _stablehlo("convert", "float8_e8m0fnu", "it takes nan for infinity", "corners",
               where=np.isnan),
    _stablehlo("convert", "", "it takes the absolute value, and the least for zero", "subnormal",
               when=_to_less, where=lambda x: x < 1e-38),
    _stablehlo(EXTREMES, NARROW + " " + WIDE, "either zero may be the result", where=_zeros),
    _stablehlo("maximum minimum", COMPLEX, "of nan either operand may be the result", "corners",
               where=lambda x, y: np.isnan(x) | np.isnan(y)),
    _stablehlo("divide power sign exponential exponential_minus_one log_plus_one", COMPLEX,
               "it does not follow C99 here (Annex G)", "corners", where=_not_finite),
    _stablehlo("log_plus_one", COMPLEX, "it takes -0 for 0 at a branch cut", "corners",
               where=lambda x: x.imag == 0),
    _stablehlo("power", COMPLEX, "it is less exact", "corners", ulps=512),
    _stablehlo("power", COMPLEX, "neither follows C99 at 0", "corners", where=lambda x, y: x == 0),
    _stablehlo("atan2", COMPLEX, "it is less exact, and takes -0 for 0", "corners",
               where=lambda y, x: np.ones_like(x, bool)),
)

EXCLUSIONS = XLA + OURS + STABLEHLO

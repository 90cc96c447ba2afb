"""Prints the polynomial coefficients that `arraylib/backends/cpu/math` uses.

    python tests/support/minimax.py [name ...]          (needs mpmath)

Each row of `FITS` names a function, an interval and how much an absolute error of the polynomial
weighs in the final result; Remez' exchange algorithm finds the polynomial whose largest weighted
error is smallest. The error printed, in bits, leaves out only the rounding of the evaluation.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from mpmath import (
    asin,
    atan,
    cos,
    erf,
    erfc,
    erfinv,
    exp,
    expm1,
    fabs,
    log,
    lu_solve,
    matrix,
    mp,
    mpf,
    pi,
    polyval,
    sin,
    sinh,
    sqrt,
    tan,
)

mp.prec = 200
Real = Callable[[mpf], mpf]


@dataclass(frozen=True)
class Fit:
    """A function to approximate on [low, high], with the degrees for float and double or 0."""

    function: Real
    weight: Real
    low: float
    high: float
    single: int
    double: int
    high_double: float = 0.0  # where double needs a longer interval


def _odd(function: Real) -> tuple[Real, Real]:
    """(f(r) - r) / r^3 as a function of z = r^2, and its weight relative to f(r)."""
    def remainder(z: mpf) -> mpf:
        r = sqrt(z)
        return (function(r) - r) / (r * z)

    def weight(z: mpf) -> mpf:
        r = sqrt(z)
        return r * z / function(r)
    return remainder, weight


def _log_remainder(z: mpf) -> mpf:
    s = sqrt(z)
    return (log((1 + s) / (1 - s)) - 2 * s) / (s * z)


def _erfc_scaled(q: mpf) -> mpf:
    """exp(x^2) erfc(x) (1 + 2x) where q = (x - 4) / (x + 4)."""
    x = 4 * (1 + q) / (1 - q)
    return exp(x * x) * erfc(x) * (1 + 2 * x)


def _erf_inverse_centre(w: mpf) -> mpf:
    """erfinv(x) / x where w = -log(1 - x^2)."""
    x = sqrt(-expm1(-w))
    return erfinv(x) / x if w else sqrt(pi) / 2


def _erf_inverse_tail(d: mpf) -> mpf:
    """The same where d = sqrt(w) - 3.25; close to x = 1 by Newton's method on erfc."""
    r = d + 3.25
    w = r * r
    x = sqrt(-expm1(-w))
    rest = exp(-w) / (1 + x)  # 1 - x
    y = r
    for _ in range(60):
        step = (erfc(y) - rest) / (2 / sqrt(pi) * exp(-y * y))
        y += step
        if fabs(step) < mpf(2) ** -150:
            break
    return y / x


def _relative(function: Real) -> Real:
    return lambda x: 1 / function(x)


FITS = {
    "exponential": Fit(lambda r: (expm1(r) - r) / r**2, lambda r: r**2 / exp(r),
                       -0.3475, 0.3475, 4, 9),
    "logarithm_near": Fit(lambda f: (log(1 + f) - f + f * f / 2) / f**3,
                          lambda f: f**3 / log(1 + f), -0.29295, 0.41425, 7, 0),
    "logarithm": Fit(_log_remainder, lambda z: z / 2, 0, 0.02945, 0, 6),
    "sine": Fit(*_odd(sin), 0, 2.4675, 3, 8),
    "tangent": Fit(*_odd(tan), 0, 0.6169, 6, 14),
    "arc_tangent": Fit(*_odd(atan), 0, 1.0, 8, 19),
    "arc_sine": Fit(*_odd(asin), 0, 0.25, 5, 12),
    "hyperbolic_sine": Fit(*_odd(sinh), 0, 1.0, 3, 6),
    "error": Fit(lambda z: erf(sqrt(z)) / sqrt(z) - 1, lambda z: sqrt(z) / erf(sqrt(z)),
                 0, 0.88, 6, 11),
    "error_tail": Fit(lambda t: log(erfc(t)), lambda t: erfc(t) / erf(t),
                      0.93, 4.0, 6, 19, high_double=6.0),
    "error_complement": Fit(_erfc_scaled, _relative(_erfc_scaled), -1, 0.4422, 10, 23, 0.7445),
    "error_inverse": Fit(_erf_inverse_centre, _relative(_erf_inverse_centre), 0, 6.25, 10, 24),
    "error_inverse_tail": Fit(_erf_inverse_tail, _relative(_erf_inverse_tail),
                              -0.75, 0.75, 8, 28, high_double=2.76),
}


def solve(fit: Fit, nodes: list[mpf], degree: int) -> tuple[list[mpf], mpf]:
    """The polynomial whose weighted error is +e, -e, +e, ... at the nodes, and e."""
    size = degree + 2
    system, right = matrix(size, size), matrix(size, 1)
    for i, x in enumerate(nodes):
        for j in range(degree + 1):
            system[i, j] = x**j
        system[i, degree + 1] = (-1) ** i / fit.weight(x)
        right[i] = fit.function(x)
    found = lu_solve(system, right)
    return [found[j] for j in range(degree + 1)], found[degree + 1]


def minimax(fit: Fit, degree: int, high: float) -> tuple[list[mpf], mpf]:
    """Coefficients, lowest first, and the largest weighted error."""
    low, high = mpf(fit.low), mpf(high)
    # The functions divide by zero at 0: an odd count and a margin keep the points beside it.
    margin, count = (high - low) / 2**40, 40 * degree + 1
    points = [(low + high) / 2 - (high - low - 2 * margin) / 2 * cos(pi * i / count)
              for i in range(count + 1)]
    values = [fit.function(x) for x in points]
    weights = [fit.weight(x) for x in points]
    nodes = [points[round((i + 0.5) * count / (degree + 2))] for i in range(degree + 2)]
    for _ in range(12):
        found, level = solve(fit, nodes, degree)
        errors = [w * (polyval(found[::-1], x) - v) for x, v, w in zip(points, values, weights)]
        worst = max(map(fabs, errors))
        if worst < 1.02 * fabs(level):
            break
        nodes = _exchange(points, errors, nodes)
    return found, worst


def _exchange(points: list[mpf], errors: list[mpf], nodes: list[mpf]) -> list[mpf]:
    """The largest error of each run of equal signs."""
    peaks: list[int] = []
    for i, error in enumerate(errors):
        if peaks and (error > 0) == (errors[peaks[-1]] > 0):
            if fabs(error) > fabs(errors[peaks[-1]]):
                peaks[-1] = i
        else:
            peaks.append(i)
    while len(peaks) > len(nodes):
        peaks.pop(0 if fabs(errors[peaks[0]]) < fabs(errors[peaks[-1]]) else -1)
    return [points[i] for i in peaks] if len(peaks) == len(nodes) else nodes


def main() -> None:
    for name in sys.argv[1:] or FITS:
        fit = FITS[name]
        for type, degree in (("float", fit.single), ("double", fit.double)):
            if not degree:
                continue
            high = fit.high_double if type == "double" and fit.high_double else fit.high
            found, worst = minimax(fit, degree, high)
            print(f"# {name} {type}: error 2^{float(log(worst, 2)):.1f}")
            digits = 10 if type == "float" else 18
            print(f"    {', '.join(mp.nstr(c, digits) for c in reversed(found))}", flush=True)


if __name__ == "__main__":
    main()

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
    besseli,
    cos,
    digamma,
    erf,
    erfc,
    erfinv,
    exp,
    expm1,
    fabs,
    findroot,
    log,
    loggamma,
    lu_solve,
    matrix,
    mp,
    mpf,
    pi,
    polyval,
    psi,
    sin,
    sinh,
    sqrt,
    tan,
    tanh,
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


def _log_second_remainder(z: mpf) -> mpf:
    return (_log_remainder(z) - mpf(2) / 3) / z


def _erfc_scaled(q: mpf) -> mpf:
    """exp(x^2) erfc(x) (1 + 2x) where q = (x - 4) / (x + 4)."""
    x = 4 * (1 + q) / (1 - q)
    return exp(x * x) * erfc(x) * (1 + 2 * x)


def _erf_inverse_centre(t: mpf) -> mpf:
    """erfinv(x) / x where t = -log(1 - x^2) - 25/8."""
    w = t + mpf(3.125)
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


DIGAMMA_ROOT = findroot(digamma, 1.4616321449683622)


def _digamma_centre(t: mpf) -> mpf:
    """digamma(2 + t) over the distance to its root."""
    return digamma(2 + t) / (2 + t - DIGAMMA_ROOT)


def _place(z: mpf) -> mpf:
    """x where z = 1 / (x - 1/2)^2, the variable of the series for large x."""
    return 1 / sqrt(z) + mpf(0.5)


def _digamma_tail(z: mpf) -> mpf:
    x = _place(z)
    return (digamma(x) - log(x - mpf(0.5))) / z


def _trigamma_tail(z: mpf) -> mpf:
    return (psi(1, _place(z)) / sqrt(z) - 1) / z


def _lgamma_centre(t: mpf) -> mpf:
    """lgamma(2 + t) over its zeros."""
    return loggamma(2 + t) / (t * (1 + t))


def _lgamma_tail(z: mpf) -> mpf:
    h = 1 / sqrt(z)
    return (loggamma(h + mpf(0.5)) - h * (log(h) - 1) - log(2 * pi) / 2) * h


def _bessel(order: int) -> tuple[Real, Real]:
    """(I(x) / (x/2)^order - 1) / w where w = (x/2)^2, and its weight."""
    def value(w: mpf) -> mpf:
        return besseli(order, 2 * sqrt(w)) / sqrt(w) ** order
    return lambda w: (value(w) - 1) / w, lambda w: w / value(w)


def _bessel_tail(order: int) -> Real:
    """exp(-x) I(x) sqrt(x) where t = 1 / x - 0.0646; of very large x by the asymptotic series."""
    def value(t: mpf) -> mpf:
        x = 1 / (t + mpf(0.0646))
        if x < 2000:
            return exp(-x) * besseli(order, x) * sqrt(x)
        total = term = mpf(1)
        for k in range(1, 60):
            term *= -(mpf(4 * order**2) - (2 * k - 1) ** 2) / (8 * k * x)
            total += term
        return total / sqrt(2 * pi)
    return value


def _relative(function: Real) -> Real:
    return lambda x: 1 / function(x)


FITS = {
    "exponential": Fit(lambda r: (expm1(r) - r) / r**2, lambda r: r**2 / exp(r),
                       -0.3475, 0.3475, 4, 9),
    "logarithm_near": Fit(lambda f: (log(1 + f) - f + f * f / 2) / f**3,
                          lambda f: f**3 / log(1 + f), -0.29295, 0.41425, 7, 0),
    "logarithm": Fit(_log_remainder, lambda z: z / 2, 0, 0.02945, 0, 6),
    "logarithm_pair": Fit(_log_second_remainder, lambda z: z * z / 2, 0, 0.02945, 0, 7),
    "sine": Fit(*_odd(sin), 0, 2.4675, 3, 8),
    "tangent": Fit(*_odd(tan), 0, 0.6169, 6, 14),
    "arc_tangent": Fit(*_odd(atan), 0, 1.0, 8, 19),
    "arc_sine": Fit(*_odd(asin), 0, 0.25, 5, 12),
    "hyperbolic_sine": Fit(*_odd(sinh), 0, 1.0, 3, 6),
    "hyperbolic_tangent": Fit(*_odd(tanh), 0, 0.3026, 4, 9),
    "error": Fit(lambda z: erf(sqrt(z)) / sqrt(z) - 1, lambda z: sqrt(z) / erf(sqrt(z)),
                 0, 0.88, 6, 11),
    "error_tail": Fit(lambda t: log(erfc(t)), lambda t: erfc(t) / erf(t),
                      0.93, 4.0, 6, 19, high_double=6.0),
    "error_complement": Fit(_erfc_scaled, _relative(_erfc_scaled), -0.7778, 0.4422, 10, 20, 0.7445),
    "error_inverse": Fit(_erf_inverse_centre, _relative(_erf_inverse_centre),
                         -3.125, 3.125, 10, 24),
    "error_inverse_tail": Fit(_erf_inverse_tail, _relative(_erf_inverse_tail),
                              -0.75, 0.75, 8, 28, high_double=2.76),
    "digamma_centre": Fit(_digamma_centre, _relative(_digamma_centre), -1, 0.5, 14, 27),
    "digamma_tail": Fit(_digamma_tail, lambda z: z / digamma(_place(z)), 0, 0.25, 5, 14),
    "trigamma_centre": Fit(lambda t: psi(1, 2 + t), _relative(lambda t: psi(1, 2 + t)),
                           -1, 0.5, 15, 28),
    "trigamma_tail": Fit(_trigamma_tail, lambda z: z * sqrt(z) / psi(1, _place(z)),
                         0, 0.25, 6, 17),
    "lgamma_centre": Fit(_lgamma_centre, _relative(_lgamma_centre), -1, 0.5, 13, 26),
    "lgamma_tail": Fit(_lgamma_tail, lambda z: sqrt(z) / loggamma(_place(z)), 0, 0.25, 4, 13),
    "bessel_zero": Fit(*_bessel(0), 0, 15.0156, 8, 14, high_double=15.0156),
    "bessel_one": Fit(*_bessel(1), 0, 15.0156, 8, 14, high_double=15.0156),
    "bessel_zero_tail": Fit(_bessel_tail(0), _relative(_bessel_tail(0)),
                            -0.0646, 0.0646, 6, 26),
    "bessel_one_tail": Fit(_bessel_tail(1), _relative(_bessel_tail(1)),
                           -0.0646, 0.0646, 6, 26),
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

"""Prints the table of `arraylib/backends/cpu/math/erf_inverse.py` (needs mpmath).

Row by row, highest power first: the coefficient that each octave of v has, octaves of v = 1 - x^2
from 2^-1 downwards. Each octave's polynomial is a minimax fit of `minimax.py`.
"""

from minimax import Fit, minimax
from mpmath import erfinv, mp, mpf, pi, sqrt

OCTAVES, DEGREE = 24, 8


def _inverse(v: mpf) -> mpf:
    """erfinv(x) / x where v = 1 - x^2."""
    x = sqrt(1 - v)
    return erfinv(x) / x if x else sqrt(pi) / 2


def _octave(number: int) -> list[mpf]:
    """Coefficients in t, lowest first, where v = (t + 3/2) 2^-number."""
    def function(t: mpf) -> mpf:
        return _inverse((t + mpf(1.5)) * mpf(2) ** -number)

    return minimax(Fit(function, lambda t: 1 / function(t), -0.5, 0.5, DEGREE, 0), DEGREE, 0.5)[0]


def main() -> None:
    octaves = [_octave(number) for number in range(1, OCTAVES + 1)]
    for power in reversed(range(DEGREE + 1)):
        print(f"    ({', '.join(mp.nstr(found[power], 10) for found in octaves)}),")


if __name__ == "__main__":
    main()

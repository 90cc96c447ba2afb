"""Lengths taken apart: which radices a transform goes through, and how a long one is split."""

from __future__ import annotations

import math
from functools import cache

RADICES = (8, 13, 11, 7, 5, 4, 3, 2)
_PRIMES = (2, 3, 5, 7, 11, 13)
_SHORTEST_SPLIT = 64     # elements: shorter rows are not split
_LONGEST_WHOLE = 4096    # longer rows are split whatever their number


@cache
def radices(n: int) -> tuple[int, ...]:
    """Radices whose product is n, which is `smooth`."""
    found: list[int] = []
    for radix in RADICES:
        while n % radix == 0:
            # 16 is 4 * 4, not 8 * 2: passes of 2 do little between reading and writing.
            if radix == 8 and n // 8 % 8 and n // 8 % 4 and n // 8 % 2 == 0:
                break
            found.append(radix)
            n //= radix
    assert n == 1, f"{n} is no product of small primes"
    return tuple(found)


@cache
def is_smooth(n: int) -> bool:
    """Whether n is a product of primes that have a pass of their own."""
    for prime in _PRIMES:
        while n % prime == 0:
            n //= prime
    return n == 1


def _waste(count: int, lanes: int) -> float:
    """How many lanes work for each that is needed."""
    return -(-count // lanes) * lanes / count


@cache
def split(n: int, lanes: int) -> tuple[int, int] | None:
    """Factors of n, alike in size, that fill vectors well: the smallest sum, padded."""
    if n < _SHORTEST_SPLIT:
        return None
    pairs = [(a, n // a) for a in range(2, math.isqrt(n) + 1) if n % a == 0]
    pairs += [(b, a) for a, b in pairs]
    return min(pairs, default=None, key=lambda pair: _split_cost(pair[0], pair[1], lanes))


def _split_cost(first: int, second: int, lanes: int) -> float:
    """Work for each element in the two parts, the longer of them out of the first cache."""
    work = sum(_waste(other, lanes) * (1 + len(radices(part))) * (1.5 if part > 256 else 1)
               for part, other in ((first, second), (second, first)))
    return work * (1 + 1e-3 * abs(math.log(first / second)))


def prefers_split(n: int, rows: int, lanes: int) -> bool:
    """Whether rows of a smooth length n are split, each for itself, or done side by side."""
    parts = split(n, lanes)
    if parts is None:
        return False
    if n > _LONGEST_WHOLE:
        return True
    whole = _waste(rows, lanes) * (3 + len(radices(n))) * (1.5 if n > 128 else 1)
    return _split_cost(*parts, lanes) + 1 < whole


@cache
def convolution_length(n: int) -> int:
    """A length of at least 2 n - 1 that is quick to transform."""
    least = 2 * n - 1
    candidates = (odd << max(0, (-(-least // odd) - 1).bit_length())
                  for odd in (1, 3, 5, 9, 15))
    return min(candidates, key=lambda m: m * (1 + 0.2 * len(radices(m))))

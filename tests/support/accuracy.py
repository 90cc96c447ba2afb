"""Measures how far the math functions are from the truth, and writes the figures of docs/math.md.

    python tests/support/accuracy.py [name ...] [--type float32] [--every 1] [--write]

float32 functions of one operand are measured on every n-th of all 2^32 bit patterns (`--every 1`
takes minutes a function), all others on the samples of `true_values.py`. `--write` puts what was
found into the table of the document.
"""

import argparse
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from elementwise_kernel import compiled, ulps
from true_values import REFERENCES, points, size_of_place, truth

DOCUMENT = Path(__file__).parents[2] / "docs" / "math.md"
CHUNK = 1 << 18
# Where sampling looks most closely; functions not named: (-10, 10).
INTERVALS = {
    "exponential": (-110, 90), "exponential_minus_one": (-20, 20), "log": (0, 10),
    "log_plus_one": (-1, 3), "logistic": (-100, 100), "sinh": (-90, 90), "cosh": (-90, 90),
    "acosh": (1, 10), "atanh": (-1, 1), "sine": (-1000, 1000), "cosine": (-1000, 1000),
    "tan": (-1000, 1000), "asin": (-1, 1), "acos": (-1, 1), "sqrt": (0, 10), "rsqrt": (0, 10),
    "erf": (-4, 4), "erfc": (-5, 27), "erf_inv": (-1, 1), "lgamma": (-10, 20),
    "digamma": (-10, 20), "trigamma": (-10, 20), "bessel_i0e": (-40, 40),
    "bessel_i1e": (-40, 40)}
BINARY = ("power", "atan2", "remainder")


def errors(name: str, found: np.ndarray, xs: tuple[np.ndarray, ...]) -> np.ndarray:
    """In places of the result, or of what is its size where the function crosses zero."""
    return ulps(found, truth(name, *xs), size_of_place(name, xs[0]))


def pairs(dtype: type, count: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of special values, then random ones of all sizes, and powers near 1 and the limits.
    """
    info = np.finfo(dtype)
    special = np.array([0.0, 0.5, 1, 1.5, 2, 3, 1e10, 1e-10, 2**24 + 1, 1e38, 1e-40, 0.99999,
                        1.00001, info.max, info.tiny, info.smallest_subnormal, np.inf], dtype)
    special = np.concatenate([special, -special, [dtype(np.nan)]])
    left, right = (grid.ravel() for grid in np.meshgrid(special, special))
    random = np.random.default_rng(3)
    x = 10.0 ** random.uniform(-3, 3, count)
    y = random.uniform(-10, 10, count)
    reach = math.log(float(info.max))
    base = np.abs(1 + random.choice([-1, 1], count) * 2.0 ** -random.uniform(1, info.nmant, count))
    power = random.uniform(-1.1, 1.1, count) * reach / np.log(base.astype(dtype))
    return (np.concatenate([left, x.astype(dtype), base.astype(dtype)]),
            np.concatenate([right, y.astype(dtype), power.astype(dtype)]))


def _patterns(every: int) -> Iterator[np.ndarray]:
    """Every n-th float32, chunk by chunk."""
    for start in range(0, 1 << 32, CHUNK * every):
        stop = min(start + CHUNK * every, 1 << 32)
        yield np.arange(start, stop, every, dtype=np.int64).astype(np.uint32).view(np.float32)


def operands(name: str, dtype: type, every: int) -> Iterator[tuple[np.ndarray, ...]]:
    """What a function is measured on."""
    if name in BINARY:
        yield pairs(dtype)
        return
    yield (points(dtype, *INTERVALS.get(name, (-10, 10)), count=400_000),)
    if dtype is np.float32 and every:
        for x in _patterns(every):
            yield (x,)


def measure(name: str, dtype: type, every: int) -> tuple[float, tuple[float, ...]]:
    """The largest error in ulp, and the operands that have it."""
    arity = 2 if name in BINARY else 1
    function = compiled(name, (np.dtype(dtype),) * arity, np.dtype(dtype), {}, None)
    worst, where = -1.0, ()
    for xs in operands(name, dtype, every):
        error = errors(name, function(*xs), xs)
        place = int(np.argmax(error))
        if error[place] > worst:
            worst, where = float(error[place]), tuple(x[place] for x in xs)
    return worst, where


def write(name: str, column: int, worst: float) -> None:
    """Put a figure into the table, rounded up to two digits."""
    text = "exact" if worst == 0 else f"{math.ceil(worst * 100) / 100:.2f}"
    lines = DOCUMENT.read_text().splitlines(keepends=True)
    for i, line in enumerate(lines):
        if re.match(rf"\| `{name}` \|", line):
            cells = line.split(" | ")
            cells[column] = text
            lines[i] = " | ".join(cells)
    DOCUMENT.write_text("".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--type", choices=["float32", "float64"])
    parser.add_argument("--every", type=int, default=257)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    types = [options.type] if options.type else ["float32", "float64"]
    for name in options.names or REFERENCES:
        for type in types:
            start = time.perf_counter()
            worst, where = measure(name, getattr(np, type), options.every)
            print(f"{name:22} {type} {worst:9.3f} ulp at {', '.join(map(repr, where))}"
                  f"  ({time.perf_counter() - start:.1f} s)", flush=True)
            if options.write:
                write(name, 1 if type == "float32" else 2, worst)


if __name__ == "__main__":
    main()

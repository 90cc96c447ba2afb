"""Random programs on arrays large enough for vectors, with axes moved, joined, cut and folded."""

import math

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Builder, Type
from arraylib.hlo.ops import (
    constant as c,
    elementwise as ew,
    reduction as rd,
    shape as sh,
    structured as st,
)

SIZES = (1, 2, 3, 4, 8, 16, 17, 33)
UNARY = (ew.negate, ew.sine, ew.tanh, ew.abs, ew.exponential)
BINARY = (ew.add, ew.subtract, ew.multiply, ew.maximum)


def random_arrays(seed, size=25):
    """A closed graph of about `size` operations on arrays of up to four axes."""
    rng = np.random.default_rng(seed)
    with Builder() as builder:
        pool = [builder.input(Type(dt.float32, _shape(rng))) for _ in range(3)]
        while len(builder.nodes) < size:
            x = pool[rng.integers(max(0, len(pool) - 8), len(pool))]
            made = STEPS[rng.integers(len(STEPS))](rng, pool, x)
            if made is not None and 0 < made.type.size <= 1 << 13:
                pool.append(made)
        outputs = [pool[i] for i in rng.integers(len(pool), size=3)]
        return builder.build([*outputs, pool[-1]])[0]


def _shape(rng):
    return tuple(int(n) for n in rng.choice(SIZES, size=rng.integers(1, 4)))


def _some_axes(rng, x):
    axes = [d for d in range(x.type.rank) if rng.random() < 0.5]
    return tuple(axes) or ((int(rng.integers(x.type.rank)),) if x.type.rank else ())


def _unary(rng, pool, x):
    return UNARY[rng.integers(len(UNARY))](x)


def _binary(rng, pool, x):
    same = [y for y in pool if y.type == x.type]
    return BINARY[rng.integers(len(BINARY))](x, same[rng.integers(len(same))])


def _with_number(rng, pool, x):
    return BINARY[rng.integers(len(BINARY))](c.full_like(x, float(rng.integers(-2, 3))), x)


def _reduce(rng, pool, x):
    op = (st.reduce_add, rd.reduce_maximum, rd.reduce_minimum)[rng.integers(3)]
    over = _some_axes(rng, x)
    folded = op(x, dimensions=over)
    if rng.random() < 0.6:
        return BINARY[rng.integers(len(BINARY))](x, st.spread(folded, x, over))
    return folded


def _place(rng, pool, x):
    if not x.type.rank:
        return None
    op = (rd.argmax, rd.argmin)[rng.integers(2)]
    found = op(x, dimensions=(int(rng.integers(x.type.rank)),), dtype=dt.int32)
    return ew.convert(found, dtype=dt.float32)


def _transpose(rng, pool, x):
    return st.transpose(x, permutation=tuple(int(d) for d in rng.permutation(x.type.rank)))


def _reshape(rng, pool, x):
    shape, left = [], x.type.size
    while left > 1 and len(shape) < 3:
        divisors = [n for n in range(1, left + 1) if left % n == 0]
        shape.append(int(rng.choice(divisors)))
        left //= shape[-1]
    shape.append(left)
    assert math.prod(shape) == x.type.size
    return st.reshape(x, shape=tuple(shape))


def _broadcast(rng, pool, x):
    shape = [*x.type.shape]
    kept = list(range(len(shape) + 1))
    at = int(rng.integers(len(shape) + 1))
    shape.insert(at, int(rng.choice(SIZES)))
    kept.remove(at)
    return st.broadcast_in_dim(x, shape=tuple(shape), broadcast_dimensions=tuple(kept))


def _slice(rng, pool, x):
    start = tuple(int(rng.integers(0, n)) for n in x.type.shape)
    steps = tuple(int(n) for n in rng.integers(1, 3, size=x.type.rank))
    return sh.slice_(x, start=start, limit=x.type.shape, strides=steps)


def _reverse(rng, pool, x):
    return sh.reverse(x, dimensions=_some_axes(rng, x))


def _concatenate(rng, pool, x):
    if not x.type.rank:
        return None
    axis = int(rng.integers(x.type.rank))
    fits = [y for y in pool if y.type.rank == x.type.rank and all(
        a == b or d == axis for d, (a, b) in enumerate(zip(x.type.shape, y.type.shape)))]
    return sh.concatenate(x, fits[rng.integers(len(fits))], dimension=axis)


def _pad(rng, pool, x):
    low, high = (tuple(int(n) for n in rng.integers(-1, 3, size=x.type.rank)) for _ in range(2))
    if any(n + a + b < 1 for n, a, b in zip(x.type.shape, low, high)):
        return None
    interior = tuple(int(n) for n in rng.integers(0, 2, size=x.type.rank) * (rng.random() < 0.3))
    return sh.pad(x, np.float32(0.5), low=low, high=high, interior=interior)


def _mask(rng, pool, x):
    if x.type.rank < 2:
        return None
    i, j = (c.iota(shape=x.type.shape, dimension=d, dtype=dt.int32) for d in (0, 1))
    return ew.select(ew.compare(i, j, direction="GE"), x, c.full_like(x, -1))


def _product(rng, pool, x):
    fits = [y for y in pool if x.type.rank and y.type.rank
            and y.type.shape[0] == x.type.shape[-1]]
    if not fits:
        return None
    y = fits[rng.integers(len(fits))]
    scaled = ew.multiply(y, c.full_like(y, 1 / y.type.shape[0]))
    return rd.dot_general(x, scaled, lhs_batching=(), rhs_batching=(),
                          lhs_contracting=(x.type.rank - 1,), rhs_contracting=(0,), dtype=None)


STEPS = (_unary, _binary, _with_number, _reduce, _place, _transpose, _reshape, _broadcast, _slice,
         _reverse, _concatenate, _pad, _mask, _product, _binary, _reduce, _unary, _reshape)

"""Random convolutions: shapes and attributes that fit, and numbers for them."""

import numpy as np
from hypothesis import strategies as st

from arraylib import dtypes as dt


@st.composite
def convolutions(draw, empty=False):
    """The shapes of an array and a kernel, and attributes that fit them."""
    rank = draw(st.integers(0, 3))
    def numbers(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(rank))
    least = 0 if empty else 1
    spatial, window = numbers(least, 5), numbers(1, 3)
    groups = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (3, 1), (1, 2), (1, 3)]))
    batch, feature = draw(st.integers(least, 3)), draw(st.integers(1, 3))
    out = draw(st.integers(1, 2)) * max(groups)
    array = (batch * groups[1], feature * groups[0], *spatial)
    kernel = (out, feature, *window)
    padding = tuple((draw(st.integers(-2, 3)), draw(st.integers(-2, 3))) for _ in range(rank))
    specs = [tuple(draw(st.permutations(range(rank + 2)))) for _ in range(3)]
    attrs = {"lhs_spec": specs[0], "rhs_spec": specs[1], "out_spec": specs[2],
             "window_strides": numbers(1, 3), "padding": padding, "lhs_dilation": numbers(1, 3),
             "rhs_dilation": numbers(1, 3),
             "window_reversal": tuple(draw(st.booleans()) for _ in range(rank)),
             "feature_group_count": groups[0], "batch_group_count": groups[1], "dtype": None}
    return permuted(array, specs[0]), permuted(kernel, specs[1]), attrs


def permuted(shape, spec):
    return tuple(shape[spec.index(d)] for d in range(len(shape)))


def numbers(shape, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.integers(0 if dt.kind(np.dtype(dtype)) in "bu" else -4, 5, shape)
    if dt.is_complex(np.dtype(dtype)):
        x = x + 1j * rng.integers(-4, 5, shape)
    return x.astype(dtype)

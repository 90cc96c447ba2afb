"""Comparing our functions with JAX's, case by case."""

from typing import Any

import jax
import jax.numpy as theirs
import ml_dtypes
import numpy as np

import arraylib.numpy as ours

RTOL = {"float64": 1e-6, "float32": 2e-6, "float16": 2e-3, "bfloat16": 1.6e-2,
        "complex64": 2e-6, "complex128": 1e-6}


def numbers(shape: Any, dtype: Any = np.float32, seed: int = 0, low: float = -3,
            high: float = 3) -> Any:
    """Numbers of any dtype, some of them equal; NumPy data."""
    generator = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        return generator.random(shape) < 0.5
    if dtype.kind in "iu":
        return generator.integers(0 if dtype.kind == "u" else int(low), int(high) + 1,
                                  shape).astype(dtype)
    values = generator.uniform(low, high, shape)
    if dtype.kind == "c":
        values = values + 1j * generator.uniform(low, high, shape)
    return np.asarray(values).astype(dtype)


def leaves(x: Any) -> list[Any]:
    if isinstance(x, (list, tuple)):
        return [leaf for item in x for leaf in leaves(item)]
    return [x]


def assert_same(mine: Any, expected: Any, rtol: float | None = None, atol: float = 1e-6,
                dtype: bool = True) -> None:
    """The same structure, shapes, dtypes and values."""
    mine, expected = leaves(mine), leaves(expected)
    assert len(mine) == len(expected)
    for a, b in zip(mine, expected):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape, (a.shape, b.shape)
        if dtype:
            assert a.dtype == b.dtype, (a.dtype, b.dtype)
        if b.dtype.kind in "biu":
            np.testing.assert_array_equal(a, b)
            continue
        wide = np.complex128 if b.dtype.kind == "c" else np.float64
        tolerance = RTOL[b.dtype.name] if rtol is None else rtol
        np.testing.assert_allclose(a.astype(wide), b.astype(wide), rtol=tolerance,
                                   atol=max(atol, tolerance if tolerance > 1e-3 else 0))


def agree(name: str, *args: Any, rtol: float | None = None, atol: float = 1e-6,
          **kwargs: Any) -> None:
    """`name` of our module and of JAX's give the same for these arguments."""
    mine, expected = ours, theirs
    for part in name.split("."):
        mine, expected = getattr(mine, part), getattr(expected, part)
    jax_args = jax.tree.map(lambda x: theirs.asarray(x) if isinstance(x, np.ndarray) else x, args)
    assert_same(mine(*args, **kwargs), expected(*jax_args, **kwargs), rtol, atol)


BFLOAT16 = np.dtype(ml_dtypes.bfloat16)

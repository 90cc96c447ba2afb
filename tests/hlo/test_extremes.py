"""Which of two zeros is the larger: +0, in the meaning of every operation and in compiled code."""

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import dtypes as dt, jit, lax
from arraylib.config import config

FLOATS = [dt.float32, dt.float64, dt.float16, dt.bfloat16, dt.float8_e4m3fn, dt.float8_e5m2]
FEW = [0.0, -0.0, 1.0, -1.0, np.inf, np.nan]
SCATTER = {"max": lambda x, i, v: x.at[i].max(v), "min": lambda x, i, v: x.at[i].min(v)}


def _pairs(dtype):
    """Every pair of a few numbers, as two vectors."""
    some = np.array(FEW, np.float32)
    x, y = np.meshgrid(some, some)
    with np.errstate(all="ignore"):
        return x.ravel().astype(dtype), y.ravel().astype(dtype)


def _larger(x, y):
    """The definition, on numbers of Python."""
    if np.isnan(x) or np.isnan(y):
        return np.nan
    return x if (x, not np.signbit(x)) > (y, not np.signbit(y)) else y


def _same(found, wanted):
    found, wanted = (np.asarray(a).astype(np.float32) for a in (found, wanted))
    np.testing.assert_array_equal(found, wanted)
    numbers = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(found)[numbers], np.signbit(wanted)[numbers])


def _both(function, *operands):
    """What the interpreter and compiled code make of it, which must be the same."""
    with config.using(backend="reference"):
        meaning = np.asarray(jit(function)(*operands))
    _same(jit(function)(*operands), meaning)
    return meaning


@pytest.mark.parametrize("dtype", FLOATS, ids=dt.name)
def test_of_two_numbers(dtype):
    x, y = _pairs(dtype)
    wanted = np.array([_larger(*pair) for pair in zip(*(a.astype(np.float32) for a in (x, y)))])
    _same(_both(jnp.maximum, x, y), wanted)
    _same(_both(lambda x, y: -jnp.minimum(-x, -y), x, y), wanted)
    most = min(float(dt.finfo(dtype).max), 2.0**127)
    _same(_both(lambda x, y: lax.clamp(x, y, jnp.full_like(x, most)), x, y),
          np.minimum(wanted, np.float32(most)))
    _same(jnp.maximum(x, y), wanted)


@pytest.mark.parametrize("dtype", FLOATS[:4], ids=dt.name)
@pytest.mark.parametrize("name", ["max", "min"])
def test_of_many(name, dtype):
    rows = np.random.default_rng(0).choice(np.array([0.0, -0.0], np.float32), (40, 3))
    rows[3::4] = np.abs(rows[3::4])
    rows[2::4] = -np.abs(rows[2::4])
    x = np.copysign(rows, -1) if name == "max" else np.copysign(rows, 1)
    x[5, 1] = rows[5, 1] = -x[0, 0]
    x, rows = x.astype(dtype), rows.astype(dtype)
    pick = (lambda a, axis: ~np.any(~np.signbit(a), axis)) if name == "max" \
        else (lambda a, axis: np.any(np.signbit(a), axis))
    for a in (x, rows):
        for axis in (0, 1, (0, 1)):
            wanted = np.where(pick(a, axis), np.float32(-0.0), np.float32(0))
            _same(_both(lambda a, axis=axis: getattr(jnp, name)(a, axis), a), wanted)
    of_all = {"max": lax.cummax, "min": lax.cummin}[name]
    running = np.stack([pick(rows[:i + 1], 0) for i in range(len(rows))])
    _same(_both(lambda a: of_all(a, axis=0), rows), np.where(running, np.float32(-0.0), 0))


@pytest.mark.parametrize("name", ["max", "min"])
def test_at_places(name):
    x = np.array([0.0, -0.0, 0.0, -0.0, 1.0], np.float32)
    places = np.array([0, 1, 1, 2, 3, 3, 4])
    values = np.array([-0.0, -0.0, 0.0, -0.0, -0.0, -0.0, 0.0], np.float32)
    wanted = {"max": [0.0, 0.0, 0.0, -0.0, 1.0], "min": [-0.0, -0.0, -0.0, -0.0, 0.0]}[name]
    _same(_both(SCATTER[name], x, places, values), wanted)


def test_results_outside_of_jit_do_not_depend_on_how_often():
    x, y = (arraylib.numpy.array(a) for a in _pairs(np.float32))
    first = np.asarray(jnp.maximum(x, y)).tobytes(), np.asarray(jnp.clip(y, -0.0, 0.0)).tobytes()
    for _ in range(40):
        again = jnp.maximum(x, y), jnp.clip(y, -0.0, 0.0)
    assert tuple(np.asarray(a).tobytes() for a in again) == first

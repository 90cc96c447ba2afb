"""Numbers without a register form (complex, 8-bit floats) as constants of compiled programs."""

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp

CONSTANTS = [(np.complex64, 1 - 2j), (np.complex128, -3.5 + 1e300j), (jnp.float8_e4m3fn, 1.5)]


@pytest.mark.parametrize("dtype, value", CONSTANTS, ids=lambda x: getattr(x, "__name__", str(x)))
def test_constants(dtype, value):
    out = arraylib.jit(lambda x: jnp.where(x > 0, jnp.full(3, value, dtype), dtype(0)))(
        jnp.array([1.0, -1.0, 2.0]))
    np.testing.assert_array_equal(np.asarray(out), np.array([value, 0, value]).astype(dtype))


def _steps(c):
    """How many steps z -> z * z + c take to leave the circle of radius 2, at most 30."""
    return arraylib.lax.while_loop(lambda s: (jnp.abs(s[0]) <= 2) & (s[1] < 30),
                                   lambda s: (s[0] * s[0] + c, s[1] + 1), (0j, 0))[1]


def _steps_in_python(c):
    z, count = 0j, 0
    while abs(z) <= 2 and count < 30:
        z, count = z * z + c, count + 1
    return count


def test_complex_numbers_in_a_loop():
    points = [0.0, 1.0, -1.0, 0.25 + 0.5j, 1j]
    wanted = [_steps_in_python(c) for c in points]
    assert arraylib.jit(arraylib.vmap(_steps))(jnp.array(points)).tolist() == wanted
    assert [int(_steps(c)) for c in jnp.array(points)] == wanted

"""Arguments that are NumPy arrays of any layout: strided, misaligned, read-only, foreign."""

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import Array, jit
from arraylib.errors import DtypeError

DTYPES = ["float32", "float64", "int16", "complex64", "bool"]


def layouts(data):
    """The same numbers in many layouts, by name."""
    raw = np.zeros(data.nbytes + 1, np.uint8)
    misaligned = raw[1:].view(data.dtype).reshape(data.shape)
    misaligned[...] = data
    spread = np.zeros((2 * data.shape[0], 3 * data.shape[1]), data.dtype)
    spread[1::2, ::3] = data
    fixed = data.copy()
    fixed.flags.writeable = False
    return {"plain": data, "misaligned": misaligned, "strided": spread[1::2, ::3],
            "turned": np.asfortranarray(data), "backwards": data[::-1, ::-1][::-1, ::-1].copy()
            [::-1][::-1], "transposed": data.T.copy().T, "read-only": fixed}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 5), (1, 1), (0, 4), (300, 70)])
def test_layouts(dtype, shape):
    data = (np.arange(np.prod(shape)).reshape(shape) % 97).astype(dtype)
    f = jit(lambda x: (x.T, x[::2], jnp.concatenate([x, x])))
    for name, given in layouts(data).items():
        assert (given == data).all(), name
        before = given.tobytes()
        for made in (given, jnp.array(given, dtype), Array.from_numpy(given)):
            for _ in range(2):
                found = f(made)
                expected = data.T, data[::2], np.concatenate([data, data])
                for a, b in zip(found, expected, strict=True):
                    np.testing.assert_array_equal(np.asarray(a), b, err_msg=name)
        np.testing.assert_array_equal(np.asarray(jnp.array(given, dtype)[:1]), data[:1])
        assert given.tobytes() == before, f"{name}: written to"


def test_foreign_byte_order_is_refused_or_turned():
    data = np.arange(6.0, dtype=">f4")
    for refuse in (jit(lambda x: x), jnp.sin):
        with pytest.raises(DtypeError, match="not a dtype"):
            refuse(data)
    np.testing.assert_array_equal(np.asarray(Array.from_numpy(data) + 1), np.arange(6.0) + 1)


def test_a_copy_is_made_where_numpy_may_write():
    data = np.arange(6.0, dtype=np.float32)
    x = jnp.array(data)
    f = jit(lambda a: a + 1)
    first = np.array(f(x))
    data[:] = -1
    np.testing.assert_array_equal(np.asarray(f(x)), first)

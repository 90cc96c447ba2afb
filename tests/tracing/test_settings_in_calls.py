"""Functions of arrays and settings outside of jit, each of which is one program: native code tells
settings apart as Python does."""

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import lax, nn, tree
from arraylib.backends.cpu.calls.layout import RAW
from arraylib.config import config
from arraylib.numpy import programs
from arraylib.tracing import settings
from arraylib.tracing.movement import Movement

native = pytest.mark.skipif(not RAW, reason="calls stay in Python here")
TIMES = 12  # calls, of which native code serves the last


def bits(found):
    return [(x.dtype, x.shape, x.weak_type, np.asarray(x).tobytes()) for x in tree.leaves(found)]


PROGRAMS = {
    "mean": lambda x: jnp.mean(x), "by name": lambda x: jnp.mean(x, axis=0, keepdims=True),
    "var": lambda x: x.var(-1), "softmax": lambda x: nn.softmax(x, axis=0),
    "matmul": lambda x: x @ x, "nan_to_num": lambda x: jnp.nan_to_num(x, nan=-0.0),
    "divmod": lambda x: jnp.divmod(x, x), "top_k": lambda x: lax.top_k(x, 2),
}


@native
def test_functions_of_arrays_and_settings(monkeypatch):
    x = jnp.array([[1.0, np.nan], [-2.0, 0.5]], "float32")
    with config.using(default_bits=32):
        expected = {name: bits(call(x)) for name, call in PROGRAMS.items()}
        for _ in range(TIMES):
            for call in PROGRAMS.values():
                call(x)
        monkeypatch.setattr(programs, "_serve", [None])
        monkeypatch.setattr(Movement, "_note", None)
        for name, call in PROGRAMS.items():
            assert bits(call(x)) == expected[name]


def test_settings_that_look_alike_are_told_apart():
    x = jnp.array([[3.0, 1.0], [2.0, np.nan]], "float32")
    wanted = [(0,), (1,), (-1,), (None,), ((0, 1),)]
    true = [np.mean(np.asarray(x), *axis) for axis in wanted]
    for _ in range(4):
        for axis, expected in zip(wanted, true, strict=True):
            np.testing.assert_allclose(jnp.mean(x, *axis), expected, 1e-6)
        assert jnp.mean(x, 0, keepdims=True).shape == (1, 2)
        assert jnp.mean(x, 0, keepdims=1).shape == (1, 2)
        signs = [np.signbit(jnp.nan_to_num(x, nan=fill)[1, 1]) for fill in (0.0, -0.0, 0)]
        assert [bool(each) for each in signs] == [False, True, False]
        assert jnp.mean(x.astype("float16")).dtype == jnp.float16
        with config.using(default_bits=64):
            assert jnp.mean(jnp.array([1, 2])).dtype == jnp.float64


def test_many_shapes_make_room(monkeypatch):
    monkeypatch.setattr(settings, "_MOST", 3)
    for _ in range(4):
        for size in range(2, 10):
            assert jnp.ptp(jnp.arange(size, dtype="int32")).tolist() == size - 1

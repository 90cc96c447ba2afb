"""Functions outside of jit that chains of programs serve: the bits are those of their operations.
"""

import sys

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import lax, tree
from arraylib.backends.cpu.calls.layout import RAW
from arraylib.config import config
from arraylib.errors import DonatedError
from arraylib.tracing.movement import Movement

native = pytest.mark.skipif(not RAW, reason="calls stay in Python here")
TIMES = 12  # calls, of which native code serves the last
SPECIAL = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -3.5, 2.5, 1e30, 7.0, -1.0, 0.5]

CALLS = {
    "floor_divide": lambda x, y: x // y, "by a number": lambda x, y: x // 3 + 3 // x,
    "mod": lambda x, y: x % y, "fmod": lambda x, y: jnp.fmod(x, y),
    "power": lambda x, y: x ** 3, "power by name": lambda x, y: jnp.power(x, 2),
    "abs": lambda x, y: abs(x), "round": lambda x, y: jnp.round(x, 1),
    "where": lambda x, y: jnp.where(x > 0, x, y), "a number": lambda x, y: jnp.where(x > y, x, 0),
    "a mask of one": lambda x, y: jnp.where(x[:1] > 0, x, y),
    "sign": lambda x, y: jnp.sign(x), "copysign": lambda x, y: jnp.copysign(x, y),
    "heaviside": lambda x, y: jnp.heaviside(x, y), "signbit": lambda x, y: jnp.signbit(x),
    "any": lambda x, y: jnp.any(x > y), "all": lambda x, y: x.all(axis=-1),
    "argmax": lambda x, y: jnp.argmax(x, axis=0), "argmin": lambda x, y: x.argmin(keepdims=True),
    "prod": lambda x, y: jnp.prod(x, axis=-1), "prod of all": lambda x, y: jnp.prod(x),
    "masked sum": lambda x, y: jnp.sum(x, where=x > y, initial=2),
    "masked max": lambda x, y: jnp.max(x, where=x > y, initial=-1),
    "sum and type": lambda x, y: jnp.sum(x, axis=0, dtype=jnp.float64, keepdims=True),
    "astype": lambda x, y: x.astype(jnp.int8), "to float16": lambda x, y: x.astype("float16"),
    "truth": lambda x, y: jnp.astype(x, bool), "append": lambda x, y: jnp.append(x, y),
    "split": lambda x, y: jnp.split(x, 2, axis=-1), "pad": lambda x, y: jnp.pad(x, 1),
    "edge": lambda x, y: jnp.pad(x, 2, mode="edge"), "diag": lambda x, y: jnp.diag(x),
    "array_split": lambda x, y: jnp.array_split(x, 3, axis=-1),
    "meshgrid": lambda x, y: jnp.meshgrid(x.ravel(), y.ravel()),
    "stack": lambda x, y: jnp.column_stack([x, y]),
    "dynamic_slice": lambda x, y: lax.dynamic_slice(x, (1,) * x.ndim, (1,) * (x.ndim - 1) + (2,)),
    "stop_gradient": lambda x, y: lax.stop_gradient(x), "sort": lambda x, y: jnp.sort(x, axis=-1),
    "argsort": lambda x, y: x.argsort(0), "sorted down": lambda x, y: jnp.sort(x, descending=True),
    "select": lambda x, y: jnp.select([x > 1, y > 1], [x, y], 7),
    "a constant": lambda x, y: jnp.isneginf(x.astype("int32")),
    "lax": lambda x, y: [lax.neg(x), lax.rem(x, y), lax.eq(x, y), lax.select(x > y, x, y),
                         lax.rev(x, (0,)), lax.max(x, y)],
}


def operands(dtype, shape, shift):
    data = np.roll(SPECIAL, shift)[:int(np.prod(shape))].reshape(shape)
    if np.dtype(dtype).kind == "i":
        data = np.nan_to_num(data, nan=3, posinf=100, neginf=-100).clip(-100, 100)
    return jnp.array(data.astype(dtype), dtype), jnp.array(data[..., ::-1].astype(dtype), dtype)


def bits(found):
    """Types and elements; the sign of a nan says nothing."""
    found = [(x, np.array(x)) for x in tree.leaves(found)]
    for _, data in found:
        if np.issubdtype(data.dtype, np.inexact):
            data[np.isnan(data)] = np.nan
    return [(x.dtype, x.shape, x.weak_type, data.tobytes()) for x, data in found]


@pytest.mark.parametrize("name", CALLS)
def test_the_bits_are_the_same_however_often(name, monkeypatch):
    monkeypatch.setattr(Movement, "very_often", 11)
    with np.errstate(all="ignore"):
        for dtype in ("float32", "int32"):
            with config.using(default_bits=32):
                for shape in ((4,), (2, 6)):
                    given = [operands(dtype, shape, shift) for shift in (0, 4, 9)]
                    try:
                        first = [bits(CALLS[name](*xs)) for xs in given]
                    except TypeError:
                        continue  # what there is for floats only
                    for _ in range(TIMES):
                        CALLS[name](*given[0])
                    assert [bits(CALLS[name](*xs)) for xs in given] == first


@native
def test_native_code_serves_them(monkeypatch):
    monkeypatch.setattr(Movement, "very_often", 11)
    x, y = operands("float32", (2, 6), 0)
    with config.using(default_bits=32):
        for _ in range(TIMES):
            expected = {name: bits(call(x, y)) for name, call in CALLS.items() if name != "round"}
        monkeypatch.setattr(Movement, "_note", None)
        for name, want in expected.items():
            assert bits(CALLS[name](x, y)) == want


def test_memory_of_a_chain_is_not_that_of_results():
    x = jnp.array([1.0, -2.0, 3.0, 4.0], "float32")
    kept = [jnp.where(x > n, x, 0) for n in (0.0, 2.0) for _ in range(TIMES)]
    for i, found in enumerate(kept):
        assert found.tolist() == ([1, 0, 3, 4] if i < TIMES else [0, 0, 3, 4])
    parts = [jnp.split(x * n, 2) for n in range(TIMES)]
    for n, (low, high) in enumerate(parts):
        assert low.tolist() == [n, -2 * n] and high.tolist() == [3 * n, 4 * n]
        low.delete()
        assert not high.is_deleted()


SELVES = {
    "asarray": lambda x: jnp.asarray(x), "astype": lambda x: x.astype(x.dtype),
    "real": lambda x: jnp.real(x), "atleast_1d": lambda x: jnp.atleast_1d(x),
    "conj": lambda x: jnp.conj(x), "squeeze": lambda x: jnp.squeeze(x), "T": lambda x: x.T,
    "ravel": lambda x: x.ravel(), "reshape": lambda x: x.reshape(-1),
}


@native
def test_what_is_returned_as_it_is(monkeypatch):
    x, y = (jnp.array([1.0, n], "float32") for n in (2.0, 3.0))
    with config.using(default_bits=32):
        selves = [name for name, call in SELVES.items() if call(x) is x]
        assert {"asarray", "real", "T"} <= {*selves}
        for _ in range(TIMES):
            assert all(SELVES[name](each) is each for name in selves for each in (x, y))
        monkeypatch.setattr(Movement, "_note", None)
        before = sys.getrefcount(x)
        assert all(SELVES[name](each) is each for name in selves for each in (x, y))
        assert sys.getrefcount(x) == before
        monkeypatch.undo()
        x.delete()
        with pytest.raises(DonatedError):
            np.asarray(SELVES["T"](x))

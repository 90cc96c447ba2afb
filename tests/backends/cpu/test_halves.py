"""Conversions in integer arithmetic against NumPy's and ml_dtypes', over all 16-bit numbers."""

import ctypes

import ml_dtypes
import numpy as np
import pytest

from arraylib.backends.cpu import target
from arraylib.backends.cpu.emitter import Function
from arraylib.backends.cpu.gemm import halves


def convert(conversion, source, result_dtype):
    """Apply an emitter of a conversion to a whole array, 16 numbers at a time."""
    types = {np.dtype(np.uint16): "i16", np.dtype(np.float32): "float"}
    module = target.new_module()
    f = Function(module, "convert", [("ptr", "x"), ("ptr", "y"), ("i64", "count")], internal=False)
    x, y, count = f.args
    loaded, stored = types[source.dtype], types[np.dtype(result_dtype)]

    def body(index, _):
        value = conversion(f, f.load(f.gep(x, index, loaded), f"<16 x {loaded}>"))
        f.store(value, f.gep(y, index, stored))

    f.loop(0, count, 16, [], body)
    f.ret()
    result = np.zeros(source.size, result_dtype)
    address = target.link([target.compile_object(module.text())], ["convert"])["convert"]
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(address)(
        source.ctypes.data, result.ctypes.data, source.size)
    return result


ALL = np.arange(1 << 16, dtype=np.uint16)
TYPES = {"half": (np.float16, halves.half_to_float, halves.float_to_half),
         "bfloat": (ml_dtypes.bfloat16, halves.bfloat_to_float, halves.float_to_bfloat)}


def floats():
    """Every 16-bit number of both types, the numbers halfway between them, and neighbours."""
    near = [ALL.view(dtype).astype(np.float32) for dtype, *_ in TYPES.values()]
    raw = np.concatenate([values.view(np.uint32) for values in near])
    ties = [raw + step for step in (0, 0xFFF, 0x1000, 0x1001, 0x7FFF, 0x8000, 0x8001)]
    return np.concatenate(ties).view(np.float32)


@pytest.mark.parametrize("name", TYPES)
def test_widening_is_exact(name):
    dtype, widen, _ = TYPES[name]
    np.testing.assert_array_equal(convert(widen, ALL, np.float32), ALL.view(dtype).astype("f4"))


@pytest.mark.parametrize("name", TYPES)
def test_narrowing_rounds_to_nearest_even(name):
    dtype, _, narrow = TYPES[name]
    source = floats()
    with np.errstate(over="ignore", invalid="ignore"):
        expected = source.astype(dtype)
    got = convert(narrow, source, np.uint16).view(dtype)
    same = (got.view(np.uint16) == expected.view(np.uint16)) | np.isnan(expected) & np.isnan(got)
    assert same.all(), source[~same][:5]

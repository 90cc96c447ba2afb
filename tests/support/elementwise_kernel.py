"""Runs one elementwise operation on NumPy arrays through a compiled kernel of its own."""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from arraylib.backends.cpu import native, target
from arraylib.backends.cpu.emitter import Function, Reg


def kernel_text(name: str, dtypes: tuple[np.dtype, ...], result: np.dtype, attrs: dict[str, Any],
                machine: target.Target | None = None, lanes: int | None = None,
                masked: bool = True) -> str:
    """IR of `kernel(inputs..., output, count)`, one register of elements at a time.

    Without masks `count` is a multiple of what a register holds.
    """
    machine = machine or target.current()
    module = machine.new_module()
    widest = max(4, *(dtype.itemsize for dtype in (*dtypes, result)))
    lanes = lanes or machine.vector_bytes() // widest
    params = [("ptr", f"p{i}") for i in range(len(dtypes) + 1)]
    kernel = Function(module, "kernel", [*params, ("i64", "count")], internal=False)
    *pointers, out, count = kernel.args

    def body(index: Reg, _: list[Reg]) -> None:
        mask = kernel.first_lanes(count - index, lanes) if masked and lanes > 1 else None
        values = [native.load(kernel, place(pointer, index, dtype), dtype, lanes, mask)
                  for pointer, dtype in zip(pointers, dtypes, strict=True)]
        value = native.emit_elementwise(kernel, name, dtypes[-1], values, attrs, result)
        assert value.type == native.register_type(result, lanes)
        native.store(kernel, place(out, index, result), value, result, lanes, mask)

    def place(pointer: Reg, index: Reg, dtype: np.dtype) -> Reg:
        return kernel.gep(pointer, index, f"i{8 * dtype.itemsize}")

    kernel.loop(0, count, lanes, [], body)
    kernel.ret()
    return module.text()


def compiled(name: str, dtypes: tuple[np.dtype, ...], result: np.dtype,
             attrs: dict[str, Any], lanes: int | None) -> Callable[..., np.ndarray]:
    """The operation as a function of arrays of one shape."""
    text = kernel_text(name, dtypes, result, attrs, lanes=lanes)
    address = target.link([target.compile_object(text)], ["kernel"])["kernel"]
    types = [ctypes.c_void_p] * (len(dtypes) + 1) + [ctypes.c_int64]
    kernel = ctypes.CFUNCTYPE(None, *types)(address)

    def call(*arrays: np.ndarray) -> np.ndarray:
        out = np.empty(arrays[0].shape, result)
        kernel(*(a.ctypes.data for a in arrays), out.ctypes.data, out.size)
        return out
    return call


def evaluate(name: str, *arrays: Any, result: Any = None, lanes: int | None = None,
             **attrs: Any) -> np.ndarray:
    """The operation on arrays of one shape; the result has the last operand's dtype by default."""
    arrays = tuple(np.ascontiguousarray(array) for array in arrays)
    dtype = np.dtype(result or arrays[-1].dtype)
    return compiled(name, tuple(a.dtype for a in arrays), dtype, attrs, lanes)(*arrays)


def ulps(found: np.ndarray, exact: np.ndarray, least: np.ndarray | None = None) -> np.ndarray:
    """Distance in units of the last place of the exact value (given more precisely).

    0 where both are the same infinity or nan, inf where only one is. The last place is that of
    `least` where the value is smaller.
    """
    dtype, wide = found.dtype, exact.dtype
    rounded = exact.astype(dtype)
    same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
    with np.errstate(all="ignore"):
        size = np.abs(np.where(np.isfinite(rounded), rounded, 1))
        size = size if least is None else np.maximum(size, least)
        place = np.spacing(size).astype(wide)
        # Just above the largest number, inf is as close as the largest number is.
        error = np.abs(found.astype(wide) - exact) / place
    error = np.where(np.isfinite(found) & np.isfinite(exact), error, np.inf)
    return np.where(same & ~np.isfinite(rounded), 0, error).astype(np.float64)

"""Runs one elementwise operation on NumPy arrays through a compiled kernel of its own."""

import ctypes
from typing import Any

import numpy as np

from arraylib.backends.cpu import native, target
from arraylib.backends.cpu.emitter import Function, Reg


def kernel_text(name: str, dtypes: tuple[np.dtype, ...], result: np.dtype, attrs: dict[str, Any],
                machine: target.Target | None = None, lanes: int | None = None) -> str:
    """IR of `kernel(inputs..., output, count)`, one register of elements at a time."""
    machine = machine or target.current()
    module = machine.new_module()
    widest = max(4, *(dtype.itemsize for dtype in (*dtypes, result)))
    lanes = lanes or machine.vector_bytes() // widest
    params = [("ptr", f"p{i}") for i in range(len(dtypes) + 1)]
    kernel = Function(module, "kernel", [*params, ("i64", "count")], internal=False)
    *pointers, out, count = kernel.args

    def body(index: Reg, _: list[Reg]) -> None:
        mask = kernel.first_lanes(count - index, lanes) if lanes > 1 else None
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


def _compiled(name: str, dtypes: tuple[np.dtype, ...], result: np.dtype,
              attrs: dict[str, Any], lanes: int | None) -> Any:
    text = kernel_text(name, dtypes, result, attrs, lanes=lanes)
    address = target.link([target.compile_object(text)], ["kernel"])["kernel"]
    types = [ctypes.c_void_p] * (len(dtypes) + 1) + [ctypes.c_int64]
    return ctypes.CFUNCTYPE(None, *types)(address)


def evaluate(name: str, *arrays: Any, result: Any = None, lanes: int | None = None,
             **attrs: Any) -> np.ndarray:
    """The operation on arrays of one shape; the result has the last operand's dtype by default."""
    arrays = tuple(np.ascontiguousarray(array) for array in arrays)
    dtype = np.dtype(result or arrays[-1].dtype)
    out = np.empty(arrays[0].shape, dtype)
    kernel = _compiled(name, tuple(a.dtype for a in arrays), dtype, attrs, lanes)
    kernel(*(a.ctypes.data for a in arrays), out.ctypes.data, out.size)
    return out


def ulps(found: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Distance in units of the last place of the exact value (given more precisely).

    0 where both are the same infinity or nan, inf where only one is.
    """
    dtype, wide = found.dtype, exact.dtype
    rounded = exact.astype(dtype)
    same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
    with np.errstate(all="ignore"):
        place = np.spacing(np.abs(np.where(np.isfinite(rounded), rounded, 1))).astype(wide)
        # Just above the largest number, inf is as close as the largest number is.
        error = np.abs(found.astype(wide) - exact) / place
    error = np.where(np.isfinite(found) & np.isfinite(exact), error, np.inf)
    return np.where(same & ~np.isfinite(rounded), 0, error).astype(np.float64)

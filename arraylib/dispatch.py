"""NumPy's own functions on arrays and traced values: `np.sin(x)`, `np.concatenate([x, y])`.

NumPy asks its arguments' classes first (NEP 13 and 18), and the answer is this library's function
of the same name, under `jit` and `grad` as well. Nothing becomes a NumPy array because a function
was taken from there: what has no counterpart here is refused, with the call that converts.

What changes memory is NumPy's where the memory is: `a += x` writes to a NumPy array `a`. Programs
written for JAX find what they know, see `config.numpy_functions`: NumPy's functions convert arrays,
and `a += x` gives the name `a` to a new array.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from arraylib import numpy as jnp, tree
from arraylib.config import config
from arraylib.errors import ArgumentError, TraceError, mistake
from arraylib.hlo.ir import known, type_of
from arraylib.numpy.promotion import is_operand, own_type, refuse_out
from arraylib.numpy.ufuncs import ufunc as Ufunc
from arraylib.on_demand import module

# What writes elements as text or to files, or looks at memory: NumPy does it, and returns no array.
_LOOKS = frozenset({
    np.array2string, np.array_repr, np.array_str, np.save, np.savez, np.savez_compressed,
    np.savetxt, np.shares_memory, np.may_share_memory})
# What asks for a shape or dtype, which traced values have as well.
_ASKS = frozenset({np.shape, np.ndim, np.size, np.iscomplexobj, np.isrealobj})
# What writes to its first argument.
_WRITES = frozenset({np.copyto, np.place, np.put, np.putmask, np.put_along_axis, np.fill_diagonal})
# Arguments that say how memory is laid out or how elements are sorted, which changes no result.
_WITHOUT_EFFECT = frozenset({"kind", "subok"})
# NumPy's names of arguments where ours differ.
_RENAMED = {"a_min": "min", "a_max": "max"}
# Arguments of universal functions that may be given with the value that they have anyway.
_DEFAULTS = {"casting": "same_kind", "order": "K", "subok": True, "where": True, "dtype": None,
             "signature": None}


def call_ufunc(ufunc: np.ufunc, method: str, inputs: Sequence[Any], words: dict[str, Any]) -> Any:
    """What `__array_ufunc__` of arrays and traced values answers."""
    if not all(map(_has_no_say, inputs)):
        return NotImplemented
    op = _name(ufunc, method)
    _check_masks(op, inputs)
    out = words.pop("out", ())
    if method == "at" and own_type(inputs[0]) is None:
        return ufunc.at(*[_in_numpy(op, x) for x in inputs])
    if any(x is not None for x in out):
        return _in_place(ufunc, op, inputs, out, words)
    if config.numpy_functions == "numpy" and not _is_operator(ufunc, method, inputs):
        return getattr(ufunc, method)(*[_in_numpy(op, x) for x in inputs], **words)
    for name in [name for name, value in words.items() if _is_default(name, value)]:
        del words[name]
    if method == "at":
        raise mistake(ArgumentError, op, "arrays cannot be changed", operands=[type_of(inputs[0])],
                      hint=f"y = jnp.{ufunc.__name__}.at(x, indices, values)")
    function = _ufunc(ufunc)
    if method != "__call__" and not isinstance(function, Ufunc):
        function = Ufunc(function, ufunc.nin, ufunc.nout, identity=ufunc.identity)
    called = function if method == "__call__" else getattr(function, method)
    given = [x if is_operand(x) or not isinstance(x, (list, tuple)) else jnp.asarray(x)
             for x in inputs]
    return _call(op, called, given, words)


def call_function(function: Callable[..., Any], types: Iterable[type], args: Sequence[Any],
                  words: Mapping[str, Any]) -> Any:
    """What `__array_function__` of arrays and traced values answers."""
    if not all(issubclass(cls, (jnp.ndarray, np.ndarray)) for cls in types):
        return NotImplemented
    op = _name(function)
    if function in _ASKS:
        return _counterpart(function)(*args, **words)
    if function in _LOOKS or (function in _WRITES and own_type(args[0]) is None) \
            or config.numpy_functions == "numpy":
        return function(*_converted(op, args), **_converted(op, words))
    _check_masks(op, tree.leaves((args, words)))
    refuse_out(op, words.get("out"))
    if function in _WRITES:
        raise mistake(ArgumentError, op, "arrays cannot be changed", operands=[type_of(args[0])],
                      hint="x = x.at[index].set(value)")
    ours = _counterpart(function)
    if ours is None:
        raise _unknown(op)
    return _call(op, ours, args, _needed(function, ours, words))


def _name(function: Any, method: str = "__call__") -> str:
    """`np.linalg.norm`, `np.add.reduce`."""
    where = getattr(function, "__module__", None) or "numpy"
    if isinstance(function, np.ufunc):
        where = "numpy" if _is_of(function, np) else "scipy.special"
    name = f"{where}.{function.__name__}".replace("numpy.", "np.", 1)
    return name if method == "__call__" else f"{name}.{method}"


def _unknown(op: str) -> Exception:
    return mistake(ArgumentError, op, "arraylib has no function of this name, and would have to "
                   "leave its arrays for NumPy's", hint=f"{op}(np.asarray(x)), outside of jit")


def _call(op: str, function: Callable[..., Any], args: Sequence[Any], words: Mapping[str, Any]
          ) -> Any:
    try:
        signature = _signature(function)
        if signature is not None:
            signature.bind(*args, **words)
    except TypeError as error:
        raise mistake(ArgumentError, op, f"arraylib's function of this name does not take these "
                      f"arguments: {error}", hint=f"its own are {signature}") from None
    return function(*args, **words)


@cache
def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # it says nothing of itself
        return None


# -- who answers -----------------------------------------------------------------------------------


def _is_of(ufunc: np.ufunc, namespace: Any) -> bool:
    return getattr(namespace, ufunc.__name__, None) is ufunc


@cache
def _ufunc(ufunc: np.ufunc) -> Any:
    """Our function for NumPy's or SciPy's; ArgumentError if there is none."""
    found = None
    if _is_of(ufunc, np):
        found = getattr(jnp, ufunc.__name__, None)
    elif _is_of(ufunc, sys.modules.get("scipy.special")):
        found = getattr(module("scipy.special"), ufunc.__name__, None)
    if found is None:
        raise _unknown(_name(ufunc))
    return found


@cache
def _counterpart(function: Callable[..., Any]) -> Any:
    """Our function for one of numpy, numpy.linalg or numpy.fft; None if there is none."""
    space = {"numpy": jnp, "numpy.linalg": jnp.linalg, "numpy.fft": jnp.fft}
    return getattr(space.get(function.__module__), function.__name__, None)


def _needed(function: Callable[..., Any], ours: Any, words: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords without those that ours lacks and that change nothing."""
    mine, theirs = _signature(ours), _signature(function)
    if mine is None or any(p.kind is p.VAR_KEYWORD for p in mine.parameters.values()):
        return dict(words)
    defaults = {} if theirs is None else {n: p.default for n, p in theirs.parameters.items()}
    return {_RENAMED.get(name, name): value for name, value in words.items()
            if name in mine.parameters
            or not (name in _WITHOUT_EFFECT or value is defaults.get(name, words))}


def _is_default(name: str, value: Any) -> bool:
    return name in _DEFAULTS and type(value) is type(_DEFAULTS[name]) and value == _DEFAULTS[name]


def _has_no_say(x: Any) -> bool:
    """False for what has an answer of its own to universal functions, such as a pandas Series."""
    return isinstance(x, (jnp.ndarray, np.ndarray)) or not hasattr(type(x), "__array_ufunc__")


def _is_operator(ufunc: np.ufunc, method: str, inputs: Sequence[Any]) -> bool:
    """Whether the call may be `a + x`, with a NumPy array before an array."""
    return method == "__call__" and len(inputs) == 2 and own_type(inputs[0]) is None


def _check_masks(op: str, given: Iterable[Any]) -> None:
    if any(isinstance(x, np.ma.MaskedArray) for x in given):
        raise mistake(ArgumentError, op, "a masked array would lose its mask",
                      hint="jnp.where(mask, fill, x.data)")


# -- with NumPy's memory ---------------------------------------------------------------------------


def _in_place(ufunc: np.ufunc, op: str, inputs: Sequence[Any], out: Sequence[Any],
              words: Mapping[str, Any]) -> Any:
    """`a += x` of a NumPy array `a`, which stays one; another `out=` is refused."""
    if len(out) != 1 or out[0] is not inputs[0]:
        refuse_out(op, out)
    if config.numpy_functions == "numpy":
        return _ufunc(ufunc)(*inputs)
    return ufunc(*[_in_numpy(op, x) for x in inputs], out=tuple(out), **words)


def _in_numpy(op: str, x: Any) -> Any:
    """An array as NumPy's; TraceError for a traced value without elements."""
    if own_type(x) is None:
        return x
    if known(x) is None:
        raise mistake(TraceError, op, "this would be done by NumPy and in its memory, but the "
                      f"{type_of(x)} has no elements while the function is being traced",
                      hint="a = a + x, or a jnp function, instead of a += x")
    return np.asarray(x)


def _converted(op: str, given: Any) -> Any:
    """Arguments with NumPy's arrays in place of ours."""
    return tree.map(lambda x: _in_numpy(op, x), given)

"""NumPy's own functions on arrays and traced values: `np.sin(x)`, `np.concatenate([x, y])`.

NumPy asks its arguments' classes first (NEP 13 and 18), and the answer is this library's function
of the same name, under `jit` and `grad` as well. Nothing becomes a NumPy array because a function
was taken from there: what has no counterpart here is refused, with the call that converts.

What changes memory is NumPy's where the memory is: `a += x` writes to a NumPy array `a`. Programs
written for JAX find what they know, see `config.numpy_functions`: NumPy's functions convert arrays,
and `a += x` gives the name `a` to a new array. Libraries that compute in NumPy's arrays find those,
so that SciPy minimises a function whose gradient is an array.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from types import FrameType
from typing import Any

import numpy as np

from arraylib import dtypes as dt, numpy as jnp, tree
from arraylib.config import config
from arraylib.errors import ArgumentError, TraceError, mistake
from arraylib.hlo.ir import known, type_of
from arraylib.numpy.promotion import own_type, refuse_out
from arraylib.numpy.ufuncs import ufunc as Ufunc
from arraylib.on_demand import module

# What writes elements as text or to files, or looks at memory: NumPy does it, and returns no array.
_LOOKS = frozenset({
    np.array2string, np.array_repr, np.array_str, np.save, np.savez, np.savez_compressed,
    np.savetxt, np.shares_memory, np.may_share_memory, np.common_type, np.min_scalar_type})
# What asks for a shape or dtype, which traced values have as well.
_ASKS = frozenset({np.shape, np.ndim, np.size, np.iscomplexobj, np.isrealobj})
# What writes to its first argument.
_WRITES = frozenset({np.copyto, np.place, np.put, np.putmask, np.put_along_axis, np.fill_diagonal})
_TARGETS = ("dst", "arr", "a")
# Arguments that say how memory is laid out or how elements are sorted, which changes no result.
_WITHOUT_EFFECT = frozenset({"kind", "subok"})
# Packages that compute in NumPy's arrays, and keep them: what they call is NumPy's.
_LIBRARIES = frozenset({
    "h5py", "matplotlib", "mpl_toolkits", "pandas", "plotly", "scipy", "seaborn", "skimage",
    "sklearn", "statsmodels"})
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
    if _in_library(sys._getframe(1), (inputs, words)):
        return getattr(ufunc, method)(*_converted(op, inputs), **_converted(op, words))
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
    wide = _has_wide(inputs)
    given = [_listed(x, wide) if isinstance(x, (list, tuple)) else x for x in inputs]
    return _call(op, called, given, words)


def call_function(function: Callable[..., Any], types: Iterable[type], args: Sequence[Any],
                  words: Mapping[str, Any]) -> Any:
    """What `__array_function__` of arrays and traced values answers."""
    if not all(issubclass(cls, (jnp.ndarray, np.ndarray)) for cls in types):
        return NotImplemented
    op = _name(function)
    if function in _ASKS:
        return _counterpart(function)(*args, **words)
    target = args[0] if args else next((words[n] for n in _TARGETS if n in words), None)
    if function in _LOOKS or (function in _WRITES and own_type(target) is None) \
            or config.numpy_functions == "numpy" or _in_library(sys._getframe(1), (args, words)):
        return function(*_converted(op, args), **_converted(op, words))
    _check_masks(op, tree.leaves((args, words)))
    ours = _counterpart(function)
    args, words = _named(function, ours, args, words)
    refuse_out(op, words.get("out"))
    if function in _WRITES:
        raise mistake(ArgumentError, op, "arrays cannot be changed", operands=[type_of(target)],
                      hint="x = x.at[index].set(value)")
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
    signature = _signature(function)
    if signature is None:
        return function(*args, **words)
    try:
        bound = signature.bind(*args, **words)
    except TypeError as error:
        raise mistake(ArgumentError, op, f"arraylib's function of this name does not take these "
                      f"arguments: {error}", hint=f"its own are {signature}") from None
    for name, value in bound.arguments.items():
        parameter = signature.parameters[name]
        if isinstance(value, (list, tuple)) and str(parameter.annotation).startswith("ArrayLike") \
                and parameter.kind is not parameter.VAR_POSITIONAL:
            bound.arguments[name] = _listed(value, _has_wide((args, words)))
    return function(*bound.args, **bound.kwargs)


def _has_wide(given: Any) -> bool:
    """Whether there is an array of 64 bits beside which lists keep theirs."""
    types = [own_type(x) for x in tree.leaves(given)]
    return any(t is not None and dt.narrowed(t.dtype) != t.dtype for t in types)


def _listed(x: Any, wide: bool) -> Any:
    """A list of numbers or arrays as an array, of NumPy's dtype beside others of 64 bits."""
    return np.asarray(x) if wide and all(own_type(y) is None for y in tree.leaves(x)) \
        else jnp.asarray(x)


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


def _named(function: Callable[..., Any], ours: Any, args: Sequence[Any], words: Mapping[str, Any]
           ) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Arguments by NumPy's names from the first place on where ours has another one."""
    mine, theirs = _places(ours), _places(function)
    if mine is None or theirs is None:
        return args, words
    for place, name in enumerate(theirs[:len(args)]):
        found = mine[place] if place < len(mine) else ""
        if found != name and (not found or found in _names(function) or name in _names(ours)):
            return args[:place], {**dict(zip(theirs[place:], args[place:])), **words}
    return args, words


@cache
def _places(function: Callable[..., Any] | None) -> list[str] | None:
    """The names of arguments that may be given by their places; None if there may be any number."""
    if function is None or _signature(function) is None:
        return None
    found = _names(function)
    if any(p.kind is p.VAR_POSITIONAL for p in found.values()):
        return None
    return [name for name, p in found.items() if p.kind is p.POSITIONAL_ONLY
            or p.kind is p.POSITIONAL_OR_KEYWORD]


def _names(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    signature = _signature(function)
    return {} if signature is None else signature.parameters


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


def _in_library(frame: FrameType, given: Any) -> bool:
    """Whether a library that computes in NumPy's arrays calls with arrays that have elements.

    `frame` is that of `__array_ufunc__` or `__array_function__`.
    """
    caller = frame.f_back
    name = "" if caller is None else caller.f_globals.get("__name__") or ""
    return name.partition(".")[0] in _LIBRARIES and not any(
        own_type(x) is not None and known(x) is None for x in tree.leaves(given))


def _is_operator(ufunc: np.ufunc, method: str, inputs: Sequence[Any]) -> bool:
    """Whether the call may be `a + x`, with a NumPy array before an array."""
    return method == "__call__" and len(inputs) == 2 and own_type(inputs[0]) is None


def _check_masks(op: str, given: Iterable[Any]) -> None:
    for x in given:
        dt.check_unmasked(x, op)


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

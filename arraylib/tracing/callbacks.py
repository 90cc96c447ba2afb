"""Python functions called by compiled programs: for printing, plotting, and code without arrays."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from arraylib import dtypes as dt, tree
from arraylib.array import Array
from arraylib.errors import ArgumentError, DtypeError, ShapeError, mistake
from arraylib.hlo.ir import Type, eagerly, is_tracing, type_of
from arraylib.hlo.ops.host import METHODS, host_call, host_effect
from arraylib.record import record
from arraylib.tracing.core import flatten_call

_log = logging.getLogger("arraylib.debug")
_TOKEN = (Type(dt.bool_, ()),)  # the result of a call that is made for its effect alone


@record
class _OnLeaves:
    """A function of containers as one of flat NumPy arrays, its results checked."""

    name: str
    function: Callable[..., Any]
    arguments: Any  # structure
    results: Any  # structure; None: what the function returns is not used

    def __call__(self, types: tuple[Type, ...], *arrays: Any) -> tuple[Any, ...]:
        # The program's memory is its own: what the function may keep is a copy.
        leaves = [Array(x, x.dtype) for x in arrays]
        args, kwargs = tree.unflatten(self.arguments, leaves)
        with eagerly():
            out = self.function(*args, **kwargs)
        if self.results is None:
            return (np.zeros((), dt.bool_),)
        found, structure = tree.flatten(out)
        if structure is not self.results:
            raise mistake(ArgumentError, self.name, f"{self} returned {structure}, but "
                          f"{self.results} is promised",
                          hint="return what the callback's result types promise")
        return tuple([self._checked(x, type) for x, type in zip(found, types)])

    def _checked(self, x: Any, type: Type) -> Any:
        array = np.asarray(x)
        if array.shape != type.shape:
            raise mistake(ShapeError, self.name, f"{self} returned shape {array.shape}, but "
                          f"{type.shape} is promised", hint="return that shape, or promise another")
        if not np.can_cast(array.dtype, type.dtype, "same_kind") and dt.is_inexact(array.dtype):
            raise mistake(DtypeError, self.name, f"{self} returned {array.dtype}, but "
                          f"{dt.name(type.dtype)} is promised",
                          hint="return that dtype, or promise another")
        return array.astype(type.dtype, copy=False)

    def __str__(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)


# One object for equal calls: programs are found again by the functions in them.
_interned = lru_cache(maxsize=1024)(_OnLeaves)


def _call(name: str, op: Any, function: Callable[..., Any], promised: Any, method: str | None,
          args: Any, kwargs: Any) -> Any:
    """Emit or make a call whose results are like `promised`; None: whose results are not used."""
    if method not in METHODS:
        raise mistake(ArgumentError, name, f"vmap_method={method!r}",
                      hint=f"one of {', '.join(map(repr, METHODS))}")
    operands, arguments = flatten_call(name, args, kwargs)
    leaves, structure = tree.flatten(promised)
    types = tuple(map(type_of, leaves)) if leaves else _TOKEN
    make = _interned if getattr(function, "__hash__", None) else _OnLeaves
    on_leaves = make(name, function, arguments, structure if leaves else None)
    if is_tracing():
        outs = op(*operands, function=on_leaves, results=types, method=method)
    else:
        found = on_leaves(types, *map(np.asarray, operands))
        outs = [Array(x, t.dtype) for x, t in zip(found, types)]
    return tree.unflatten(structure, outs if leaves else [])


def pure_callback(callback: Callable[..., Any], result_shape_dtypes: Any, *args: Any,
                  vmap_method: str | None = None, **kwargs: Any) -> Any:
    """`callback(*args, **kwargs)`, called by Python when the program gets there.

    Args:
        callback: a function of arrays in containers. It must be pure: it may be called more or
            fewer times than it is written.
        result_shape_dtypes: a container of ShapeDtypeStruct or arrays, like what it returns.
        vmap_method: under vmap, "sequential" calls it for each example; "broadcast_all" once,
            with a leading axis on all arguments; "expand_dims" with one of size 1 on those that
            all examples share. None refuses.

        >>> pure_callback(np.sort, ShapeDtypeStruct((3,), jnp.float32), jnp.array([3., 1., 2.]))
        Array([1., 2., 3.], dtype=float32)
    """
    return _call("pure_callback", host_call, callback, result_shape_dtypes, vmap_method, args,
                 kwargs)


def io_callback(callback: Callable[..., Any], result_shape_dtypes: Any, *args: Any,
                ordered: bool = False, **kwargs: Any) -> Any:
    """The same for a function with side effects: it is called exactly as often as it is written.

    Calls keep their order, `ordered` or not; under vmap there is one for each example.

    >>> seen = []
    >>> arraylib.io_callback(seen.append, None, jnp.arange(2))
    >>> seen
    [Array([0, 1], dtype=int32)]
    """
    return _call("io_callback", host_effect, callback, result_shape_dtypes, "sequential", args,
                 kwargs)


def debug_callback(callback: Callable[..., Any], *args: Any, ordered: bool = False,
                   **kwargs: Any) -> None:
    """Call a function for what it does with the values, wherever the program is compiled.

    Calls keep their order; under vmap there is one for each example; derivatives ignore it.

    >>> seen = []
    >>> jit(lambda x: arraylib.debug.callback(seen.append, x + 1))(1)
    >>> seen
    [Array(2, dtype=int32)]
    """
    _call("debug.callback", host_effect, callback, None, "sequential", args, kwargs)


@record
class _Printer:
    text: str

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        print(self.text.format(*args, **kwargs))

    __name__ = "print"


def debug_print(fmt: str, *args: Any, ordered: bool = False, **kwargs: Any) -> None:
    """Print `fmt.format(*args, **kwargs)` with the values that the program computes.

        >>> jit(lambda x: debug.print("x is {x:.2f}", x=x))(3.14159)
        x is 3.14
    """
    debug_callback(_Printer(fmt), *args, ordered=ordered, **kwargs)


@record
class _Logger:
    text: str

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        _log.info("%s", self.text.format(*args, **kwargs))

    __name__ = "log"


def debug_log(fmt: str, *args: Any, ordered: bool = False, **kwargs: Any) -> None:
    """As `debug.print`, into Python's logging: to the logger "arraylib.debug", at level INFO.

    >>> import logging
    >>> logging.basicConfig(level=logging.INFO)
    >>> jit(lambda x: debug.log("x is {}", x))(3.0)
    """
    debug_callback(_Logger(fmt), *args, ordered=ordered, **kwargs)

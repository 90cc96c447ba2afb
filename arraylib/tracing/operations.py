"""Which operators, methods and functions of arrays native code serves outside of jit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from arraylib import numpy
from arraylib.array import Array
from arraylib.backends.cpu.calls.layout import RAW
from arraylib.numpy.ufuncs import ufunc
from arraylib.operators import Operators
from arraylib.tracing.movement import (
    CONSTANTS,
    EXACT_FUNCTIONS,
    EXACT_METHODS,
    FOLDS,
    FUNCTIONS,
    METHODS,
    PROPERTIES,
    Constant,
    Exact,
    Fold,
    Indexing,
    Movement,
)
from arraylib.tracing.operation import Operation

_OPERATORS = (
    "add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "and", "rand", "or", "ror",
    "xor", "rxor", "eq", "ne", "lt", "le", "gt", "ge", "neg", "invert")
EXACT = (
    "sqrt", "square", "absolute", "floor", "ceil", "trunc", "rint", "negative", "reciprocal",
    "isnan", "isinf", "isfinite", "logical_not", "invert", "add", "subtract", "multiply", "divide",
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and",
    "logical_or", "bitwise_and", "bitwise_or", "bitwise_xor", "maximum", "minimum", "clip")
INEXACT = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "arcsin",
    "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "cbrt")


class Universal(Operation, ufunc):
    """A universal function whose calls native code serves; its methods are as they were."""

    def __init__(self, function: ufunc) -> None:
        super().__init__(function.__wrapped__)
        self.nin, self.nout, self.identity = function.nin, function.nout, function.identity
        self.ways = function.ways


def install_operations() -> None:
    """Give Array and `arraylib.numpy` these operations."""
    functions = vars(numpy)
    found = {id(functions[name]): Operation(functions[name], exact=False) for name in INEXACT}
    if RAW:
        _install_methods()
        found |= {id(functions[name]): _exact(functions[name]) for name in EXACT}
        found |= {id(functions[name]): Movement(functions[name]) for name in FUNCTIONS}
        found |= {id(functions[name]): Fold(functions[name]) for name in FOLDS}
        found |= {id(functions[name]): Exact(functions[name]) for name in EXACT_FUNCTIONS}
        found |= {id(functions[name]): Constant(functions[name]) for name in CONSTANTS}
    for name, value in list(functions.items()):
        if id(value) in found:  # under all of its names
            functions[name] = found[id(value)]


def _exact(function: Callable[..., Any]) -> Operation:
    return Universal(function) if isinstance(function, ufunc) else Operation(function)


def _install_methods() -> None:
    """Give Array its operators, and the methods that move elements."""
    kinds: dict[str, type[Operation]] = {
        **{f"__{name}__": Operation for name in _OPERATORS}, "__getitem__": Indexing,
        **dict.fromkeys(METHODS, Movement), **dict.fromkeys(EXACT_METHODS, Exact),
        **dict.fromkeys(FOLDS, Fold), "clip": Operation}
    for name, kind in kinds.items():
        setattr(Array, name, kind(getattr(Operators, name)))
    for name in PROPERTIES:
        method = getattr(Operators, name).fget
        setattr(Array, name, property(Movement(method), doc=method.__doc__))

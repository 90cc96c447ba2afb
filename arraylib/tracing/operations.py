"""Which operators, methods and functions of arrays native code serves outside of jit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from arraylib import numpy
from arraylib.array import Array
from arraylib.backends.cpu.calls.layout import RAW
from arraylib.numpy.ufuncs import ufunc
from arraylib.numpy.updates import Update
from arraylib.operators import Operators
from arraylib.tracing.movement import (
    CONSTANTS,
    EXACT_FUNCTIONS,
    EXACT_METHODS,
    FOLDS,
    FUNCTIONS,
    GIVEN,
    METHODS,
    PROPERTIES,
    TAKES,
    Composed,
    Constant,
    Exact,
    Fold,
    Given,
    Indexing,
    Movement,
    Program,
    Taking,
)
from arraylib.tracing.operation import Operation

_OPERATORS = (
    "add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "and", "rand", "or", "ror",
    "xor", "rxor", "eq", "ne", "lt", "le", "gt", "ge", "neg", "invert")
_UPDATES = ("set", "add", "subtract", "multiply", "mul", "min", "max")
EXACT = (
    "sqrt", "square", "absolute", "floor", "ceil", "trunc", "rint", "negative", "reciprocal",
    "isnan", "isinf", "isfinite", "logical_not", "invert", "add", "subtract", "multiply", "divide",
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and",
    "logical_or", "bitwise_and", "bitwise_or", "bitwise_xor", "maximum", "minimum", "clip")
_COMPOSED_OPERATORS = (
    "floordiv", "rfloordiv", "mod", "rmod", "pow", "rpow", "lshift", "rlshift", "rshift", "rrshift",
    "abs")
COMPOSED = (
    "prod", "round", "mod", "floor_divide", "fmod", "power", "fabs", "logical_xor", "left_shift",
    "right_shift", "isposinf", "isneginf", "signbit", "copysign", "heaviside", "append", "pad",
    "split", "array_split", "hsplit", "vsplit", "meshgrid", "broadcast_arrays", "diag", "diagflat",
    "column_stack", "resize", "astype", "select", "block", "rollaxis",
    "real", "conj", "atleast_1d", "atleast_2d", "atleast_3d", "einsum")
LAX_COMPOSED = (
    "abs", "add", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "ceil", "clamp", "clz",
    "convert_element_type", "div", "eq", "floor", "ge", "gt", "integer_pow", "is_finite", "le",
    "lt", "max", "min", "mul", "ne", "neg", "population_count", "reciprocal", "rem", "round",
    "select", "select_n", "shift_left", "shift_right_arithmetic", "shift_right_logical", "sign",
    "sqrt", "square", "sub", "broadcast", "broadcast_in_dim", "concatenate", "expand_dims", "pad",
    "reshape", "rev", "slice", "slice_in_dim", "squeeze", "transpose", "dynamic_slice",
    "dynamic_update_slice", "dynamic_slice_in_dim", "dynamic_index_in_dim", "index_in_dim",
    "stop_gradient")
RANDOM_PROGRAMS = ("bits", "split", "normal", "uniform", "randint", "bernoulli", "truncated_normal")
LAX_CONSTANTS = ("iota", "full")
LAX_INEXACT = (
    "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
    "tanh", "asinh", "acosh", "atanh", "cbrt", "rsqrt", "logistic", "erf", "erfc", "erf_inv")
INEXACT = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "arcsin",
    "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "cbrt")


class Universal(Operation, ufunc):
    """A universal function whose calls native code serves; its methods are as they were."""

    def __init__(self, function: ufunc) -> None:
        super().__init__(function.__wrapped__)
        _take_facts(self, function)


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
        found |= {id(functions[name]): Taking(functions[name]) for name in TAKES}
        found |= {id(functions[name]): Given(functions[name]) for name in GIVEN}
        found |= {id(functions[name]): _composed(functions[name]) for name in COMPOSED}
    _put(functions, found)


def serve_functions(functions: dict[str, Any], composed: Sequence[str],
                    inexact: Sequence[str], constants: Sequence[str] = (),
                    programs: Sequence[str] = ()) -> None:
    """Let native code serve functions of a namespace: these names, and all others for them."""
    found = {id(functions[name]): Operation(functions[name], exact=False) for name in inexact}
    if RAW:
        found |= {id(functions[name]): Composed(functions[name]) for name in composed}
        found |= {id(functions[name]): Constant(functions[name]) for name in constants}
        found |= {id(functions[name]): Program(functions[name]) for name in programs}
    _put(functions, found)


def _put(functions: dict[str, Any], found: dict[int, Any]) -> None:
    for name, value in list(functions.items()):
        if id(value) in found:  # under all of its names
            functions[name] = found[id(value)]


class UniversalComposed(Composed, ufunc):
    """The same of several operations."""

    def __init__(self, function: ufunc) -> None:
        super().__init__(function.__wrapped__)
        _take_facts(self, function)


def _take_facts(made: ufunc, function: ufunc) -> None:
    made.nin, made.nout, made.identity = function.nin, function.nout, function.identity
    made.ways = function.ways


def _composed(function: Callable[..., Any]) -> Operation:
    return UniversalComposed(function) if isinstance(function, ufunc) else Composed(function)


def _exact(function: Callable[..., Any]) -> Operation:
    return Universal(function) if isinstance(function, ufunc) else Operation(function)


def _install_methods() -> None:
    """Give Array its operators, and the methods that move elements."""
    kinds: dict[str, type[Operation]] = {
        **{f"__{name}__": Operation for name in _OPERATORS}, "__getitem__": Indexing,
        **dict.fromkeys(METHODS, Movement), **dict.fromkeys(EXACT_METHODS, Exact),
        **dict.fromkeys(FOLDS, Fold), **dict.fromkeys(TAKES, Taking), "clip": Operation,
        **{f"__{name}__": Composed for name in _COMPOSED_OPERATORS}}
    for name, kind in kinds.items():
        setattr(Array, name, kind(getattr(Operators, name)))
    for name in _UPDATES:
        setattr(Update, name, Composed(getattr(Update, name)))
    for name in PROPERTIES:
        method = getattr(Operators, name).fget
        setattr(Array, name, property(Movement(method), doc=method.__doc__))

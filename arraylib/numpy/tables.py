"""Functions that are rows of tables: what each kind does with its operands, and its docstring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from arraylib import dtypes as dt
from arraylib.hlo.ir import is_weak, type_of
from arraylib.numpy.examples import EXAMPLES
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    binary,
    check_kind,
    converted,
    dtype_of,
    inexact,
    literal,
    operand,
    own_type,
    refuse_out,
)

Unary = Callable[..., Array]


def named(function: Callable[..., Any], name: str, doc: str,
          examples: Mapping[str, str] = EXAMPLES) -> Callable[..., Any]:
    """A function under its name, with a docstring that ends in its example, if it has one."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc}\n\n{examples[name]}\n" if name in examples else doc
    return function


def unary(name: str, emit: Callable[[Any], Any], doc: str, kinds: str = "") -> Unary:
    """A function of one array in its own dtype."""
    def function(x: ArrayLike, /, out: None = None) -> Array:
        refuse_out(name, out)
        x = operand(name, x)
        if kinds:
            check_kind(name, type_of(x).dtype, kinds, x)
        return emit(x)
    return named(function, name, doc)


def float_unary(name: str, emit: Callable[[Any], Any], doc: str, kinds: str = "fc") -> Unary:
    """A function of one array; integers and truth values become floats."""
    def function(x: ArrayLike, /, out: None = None) -> Array:
        type = own_type(x)
        if type is not None and out is None and dt.kind(type.dtype) in kinds:
            return emit(x)  # what follows would change nothing
        refuse_out(name, out)
        dtype = inexact(dtype_of(name, x))
        check_kind(name, dtype, kinds)
        return emit(converted(name, x, dtype, is_weak(x)))
    return named(function, name, doc)


def whole_unary(name: str, emit: Callable[[Any], Any], doc: str) -> Unary:
    """A rounding: integers, which are whole already, are returned as they are."""
    def function(x: ArrayLike, /, out: None = None) -> Array:
        refuse_out(name, out)
        x = operand(name, x)
        check_kind(name, type_of(x).dtype, "biuf", x)
        return emit(x) if dt.is_float(type_of(x).dtype) else literal(x)
    return named(function, name, doc)


def of_two(name: str, emit: Callable[[Any, Any], Any], doc: str,
           to: Callable[[dt.Dtype], dt.Dtype] | None = None, kinds: str = "",
           of_complex: Callable[[Any, Any], Any] | None = None) -> Unary:
    """A function of two arrays, promoted and broadcast."""
    def function(x1: ArrayLike, x2: ArrayLike, /, out: None = None) -> Array:
        if out is not None:
            refuse_out(name, out)
        return binary(name, emit, x1, x2, to, kinds, of_complex)
    return named(function, name, doc)


def composed(name: str, emit: Callable[[Any, Any], Any], doc: str, *rest: Any) -> Unary:
    """The same, of many operations."""
    return one_program(2)(of_two(name, emit, doc, *rest))

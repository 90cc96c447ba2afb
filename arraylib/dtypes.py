"""The dtypes, their names and limits, and which dtype an operation on mixed operands has.

A dtype is a `np.dtype` object everywhere inside the library; the ones here are canonical, so `is`
and `==` agree on what `dtype()` returns. Promotion is JAX's lattice: a Python scalar is *weak*, it
never widens an array. Where neither an array nor a `dtype=` decides, `config.default_bits` does.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np

from arraylib.config import config
from arraylib.errors import (
    ArgumentError,
    DtypeError,
    IntegerOverflowError,
    mistake,
    what_is,
)
from arraylib.record import record

Dtype: TypeAlias = "np.dtype[Any]"
DtypeLike: TypeAlias = Any  # a name, a NumPy scalar type, a np.dtype, or bool, int, float, complex

bool_: Dtype = np.dtype(np.bool_)
float0: Dtype = np.dtype([("float0", np.void, 0)])  # of tangents of what has none
int8, int16, int32, int64 = (np.dtype(f"int{bits}") for bits in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (np.dtype(f"uint{bits}") for bits in (8, 16, 32, 64))
float8_e4m3fn: Dtype = np.dtype(ml_dtypes.float8_e4m3fn)
float8_e5m2: Dtype = np.dtype(ml_dtypes.float8_e5m2)
bfloat16: Dtype = np.dtype(ml_dtypes.bfloat16)
float16, float32, float64 = (np.dtype(f"float{bits}") for bits in (16, 32, 64))
complex64, complex128 = (np.dtype(f"complex{bits}") for bits in (64, 128))

# Formats in which data is stored: it is converted, moved and compared, but rarely computed with.
int2, int4 = (np.dtype(getattr(ml_dtypes, f"int{bits}")) for bits in (2, 4))
uint2, uint4 = (np.dtype(getattr(ml_dtypes, f"uint{bits}")) for bits in (2, 4))
float4_e2m1fn: Dtype = np.dtype(ml_dtypes.float4_e2m1fn)
float6_e2m3fn: Dtype = np.dtype(ml_dtypes.float6_e2m3fn)
float6_e3m2fn: Dtype = np.dtype(ml_dtypes.float6_e3m2fn)
float8_e3m4: Dtype = np.dtype(ml_dtypes.float8_e3m4)
float8_e4m3: Dtype = np.dtype(ml_dtypes.float8_e4m3)
float8_e4m3b11fnuz: Dtype = np.dtype(ml_dtypes.float8_e4m3b11fnuz)
float8_e4m3fnuz: Dtype = np.dtype(ml_dtypes.float8_e4m3fnuz)
float8_e5m2fnuz: Dtype = np.dtype(ml_dtypes.float8_e5m2fnuz)
float8_e8m0fnu: Dtype = np.dtype(ml_dtypes.float8_e8m0fnu)


@record(slots=True)
class _Spelling:
    """How one dtype is written: in messages (`short`) and in StableHLO text (`hlo`)."""

    short: str
    hlo: str


_SPELLINGS: dict[Dtype, _Spelling] = {
    bool_: _Spelling("bool", "i1"),
    int8: _Spelling("i8", "i8"),
    int16: _Spelling("i16", "i16"),
    int32: _Spelling("i32", "i32"),
    int64: _Spelling("i64", "i64"),
    uint8: _Spelling("u8", "ui8"),
    uint16: _Spelling("u16", "ui16"),
    uint32: _Spelling("u32", "ui32"),
    uint64: _Spelling("u64", "ui64"),
    float8_e4m3fn: _Spelling("f8_e4m3fn", "f8E4M3FN"),
    float8_e5m2: _Spelling("f8_e5m2", "f8E5M2"),
    bfloat16: _Spelling("bf16", "bf16"),
    float16: _Spelling("f16", "f16"),
    float32: _Spelling("f32", "f32"),
    float64: _Spelling("f64", "f64"),
    complex64: _Spelling("c64", "complex<f32>"),
    complex128: _Spelling("c128", "complex<f64>"),
}
ALL: tuple[Dtype, ...] = tuple(_SPELLINGS)  # those to compute with

_STORED: dict[Dtype, _Spelling] = {
    int2: _Spelling("i2", "i2"),
    int4: _Spelling("i4", "i4"),
    uint2: _Spelling("u2", "ui2"),
    uint4: _Spelling("u4", "ui4"),
    float4_e2m1fn: _Spelling("f4_e2m1fn", "f4E2M1FN"),
    float6_e2m3fn: _Spelling("f6_e2m3fn", "f6E2M3FN"),
    float6_e3m2fn: _Spelling("f6_e3m2fn", "f6E3M2FN"),
    float8_e3m4: _Spelling("f8_e3m4", "f8E3M4"),
    float8_e4m3: _Spelling("f8_e4m3", "f8E4M3"),
    float8_e4m3b11fnuz: _Spelling("f8_e4m3b11fnuz", "f8E4M3B11FNUZ"),
    float8_e4m3fnuz: _Spelling("f8_e4m3fnuz", "f8E4M3FNUZ"),
    float8_e5m2fnuz: _Spelling("f8_e5m2fnuz", "f8E5M2FNUZ"),
    float8_e8m0fnu: _Spelling("f8_e8m0fnu", "f8E8M0FNU"),
}
STORAGE: tuple[Dtype, ...] = tuple(_STORED)
_SPELLINGS |= _STORED

_SIGNED = frozenset({int2, int4, int8, int16, int32, int64})
_UNSIGNED = frozenset({uint2, uint4, uint8, uint16, uint32, uint64})
_INTEGERS = _SIGNED | _UNSIGNED
_FLOAT8 = frozenset({float8_e4m3fn, float8_e5m2}) | {d for d in STORAGE if "float" in d.name}
_HALVES = frozenset({bfloat16, float16})
_FLOATS = _FLOAT8 | _HALVES | {float32, float64}
_COMPLEX = frozenset({complex64, complex128})
_INEXACT = _FLOATS | _COMPLEX

# np.dtype.name itself takes a microsecond
_NAMES: dict[Dtype, str] = {d: d.name for d in (*ALL, *STORAGE)}
_NARROW = {d: int(d.name.removeprefix("u").removeprefix("int").removeprefix("float")[0])
           for d in STORAGE}
_BY_HLO_NAME = {spelling.hlo: d for d, spelling in _SPELLINGS.items()}
_CANONICAL: dict[Any, Dtype] = {spelling: d for d in _NAMES for spelling in (d, d.type, _NAMES[d])}


def is_bool(d: Dtype) -> bool:
    """Whether d is the truth values' dtype."""
    return d is bool_ or d == bool_


def is_integer(d: Dtype) -> bool:
    """Whether d holds integers, signed or not; truth values are no integers."""
    return d in _INTEGERS


def is_signed(d: Dtype) -> bool:
    """Whether d holds signed integers."""
    return d in _SIGNED


def is_unsigned(d: Dtype) -> bool:
    """Whether d holds unsigned integers."""
    return d in _UNSIGNED


def is_float(d: Dtype) -> bool:
    """Whether d holds real floating-point numbers of any width."""
    return d in _FLOATS


def is_float8(d: Dtype) -> bool:
    """Whether d is one of the floating-point formats of 8 bits or less."""
    return d in _FLOAT8


def is_half(d: Dtype) -> bool:
    """Whether d is a 16-bit floating-point format: bfloat16 or float16."""
    return d in _HALVES


def is_narrow_float(d: Dtype) -> bool:
    """Whether d holds real floats of 16 bits or less, which are computed with in float32."""
    return d in _HALVES or d in _FLOAT8


@cache
def has_infinity(d: Dtype) -> bool:
    """Whether an infinity is among the numbers of a floating-point dtype."""
    return not is_float8(d) or bool(np.isinf(np.array(np.inf, np.float32).astype(d)))


def is_complex(d: Dtype) -> bool:
    """Whether d holds complex numbers."""
    return d in _COMPLEX


def is_inexact(d: Dtype) -> bool:
    """Whether d holds real or complex floating-point numbers: what can be differentiated."""
    return d in _INEXACT


_KIND: dict[Dtype, str] = (
    {bool_: "b"}
    | dict.fromkeys(_SIGNED, "i")
    | dict.fromkeys(_UNSIGNED, "u")
    | dict.fromkeys(_FLOATS, "f")
    | dict.fromkeys(_COMPLEX, "c")
)


def kind(d: Dtype) -> str:
    """One letter for the family of d: b(ool), i(nteger), u(nsigned), f(loat), c(omplex)."""
    return _KIND.get(d, "?")


def bits(d: Dtype) -> int:
    """The width of one element in bits; a truth value takes 8.

    Elements of less than 8 bits lie in memory in a byte each.
    """
    return _NARROW.get(d) or 8 * d.itemsize


def name(d: Dtype) -> str:
    """The NumPy name: `float32`, `bool`, `bfloat16`."""
    return _NAMES[d]


def short_name(d: Dtype) -> str:
    """The name in messages and let-lists: `f32`, `bool`, `u8`, `c64`."""
    return _SPELLINGS[d].short


def hlo_name(d: Dtype) -> str:
    """The name in StableHLO text: `f32`, `i1`, `ui8`, `f8E4M3FN`, `complex<f32>`."""
    return _SPELLINGS[d].hlo


def from_hlo_name(text: str) -> Dtype | None:
    """The dtype that StableHLO spells so, or None."""
    return _BY_HLO_NAME.get(text)


def finfo(d: Dtype) -> Any:
    """Limits of a floating-point dtype (of the parts, for a complex one): eps, max, tiny, bits."""
    return ml_dtypes.finfo(d)  # type: ignore[no-untyped-call]


def iinfo(d: Dtype) -> Any:
    """Limits of an integer dtype: min, max, bits."""
    if d in _NARROW:
        return ml_dtypes.iinfo(d)  # type: ignore[no-untyped-call]
    return np.iinfo(d)


def to_real(d: Dtype) -> Dtype:
    """The dtype of the parts of a complex number; other dtypes are returned as they are."""
    return {complex64: float32, complex128: float64}.get(d, d)


def to_complex(d: Dtype) -> Dtype:
    """The complex dtype that holds d without loss where one exists."""
    return complex128 if d in (float64, complex128) else complex64


def default_float() -> Dtype:
    """float32, or float64 under `config.default_bits = 64`."""
    return float64 if config.default_bits == 64 else float32


def default_int() -> Dtype:
    """int32, or int64 under `config.default_bits = 64`."""
    return int64 if config.default_bits == 64 else int32


def default_unsigned() -> Dtype:
    """uint32, or uint64 under `config.default_bits = 64`."""
    return uint64 if config.default_bits == 64 else uint32


def index_dtype(size: int) -> Dtype:
    """The dtype of places on an axis: the default integers, or int64 where these end too early."""
    return default_int() if size <= iinfo(default_int()).max else int64


def default_complex() -> Dtype:
    """complex64, or complex128 under `config.default_bits = 64`."""
    return complex128 if config.default_bits == 64 else complex64


_DEFAULTS: dict[type, Callable[[], Dtype]] = {
    bool: lambda: bool_,
    int: default_int,
    float: default_float,
    complex: default_complex,
}
_PYTHON: dict[Any, Callable[[], Dtype]] = {
    spelling: default for kind, default in _DEFAULTS.items() for spelling in (kind, kind.__name__)
}


def dtype(specification: DtypeLike, *, op: str = "dtype") -> Dtype:
    """The canonical dtype for a name, a NumPy scalar type, a np.dtype or a Python scalar type.

    An explicit width is always honoured; `int`, `float` and `complex` stand for the defaults.
    Raises DtypeError, in the name of `op`, for what the library does not have.
    """
    try:
        found = _CANONICAL.get(specification)
        python = None if found is not None else _PYTHON.get(specification)
    except TypeError:  # not hashable, so none of ours
        found = python = None
    if python is not None:
        return python()
    return _interpreted(specification, op) if found is None else found


def _interpreted(specification: DtypeLike, op: str) -> Dtype:
    """The slow road: other NumPy spellings ('<f4', 'single') and objects with a dtype."""
    carried = getattr(specification, "dtype", None)
    candidate = carried if isinstance(carried, np.dtype) else specification
    try:
        # None is float64 to NumPy: too easily a forgotten argument.
        found = None if candidate is None else _CANONICAL.get(np.dtype(candidate))
    except (TypeError, ValueError):
        found = None
    if found is None:
        raise _unknown(specification, op)
    return found


def _unknown(specification: DtypeLike, op: str) -> Exception:
    text = specification if isinstance(specification, str) else repr(specification)
    by_short_name = {spelling.short: _NAMES[d] for d, spelling in _SPELLINGS.items()}
    by_short_name |= {spelling.hlo: _NAMES[d] for d, spelling in _SPELLINGS.items()}
    close = difflib.get_close_matches(text, _NAMES.values(), n=3, cutoff=0.6)
    meant = [by_short_name[text]] if text in by_short_name else close
    hint = " or ".join(meant) if meant else f"one of {', '.join(map(name, ALL))}"
    return mistake(DtypeError, op=op, problem=f"{text!r} is not a dtype of arraylib", hint=hint)


def of(value: Any, *, op: str = "array", beside: Dtype | None = None) -> Dtype:
    """The dtype that a value becomes where no `dtype=` is given.

    Python scalars take the default of their kind. 64-bit NumPy data goes to 32 bits by default,
    but not `beside` a dtype of 64 bits, in which an operation is done; arrays of the library keep
    theirs. Raises OverflowError for an integer that does not fit.
    """
    kind = type(value)
    if kind is int:
        check_fits(value, default_int(), op=op)
    if kind in _DEFAULTS:
        return _DEFAULTS[kind]()
    if isinstance(value, (np.ndarray, np.generic)):
        return _of_numpy(value, op, beside)
    if isinstance(getattr(value, "dtype", None), np.dtype):
        return dtype(value.dtype, op=op)
    if isinstance(value, int):  # a subclass, such as a member of an IntEnum
        return of(int(value), op=op)
    if isinstance(value, (float, complex)):
        return default_float() if isinstance(value, float) else default_complex()
    raise mistake(DtypeError, op=op, problem=f"{what_is(value)} is neither an array nor a number",
                  hint="convert it with jnp.array(...) first" if np.iterable(value) else "")


def check_unmasked(value: Any, op: str) -> None:
    """ArgumentError for NumPy's masked arrays, of which there would be all elements."""
    if type(value) is not np.ndarray and isinstance(value, np.ndarray) \
            and isinstance(value, np.ma.MaskedArray):
        raise mistake(ArgumentError, op=op, problem="a masked array would lose its mask",
                      hint="jnp.where(x.mask, fill, x.data)")


def _of_numpy(value: np.ndarray | np.generic, op: str, beside: Dtype | None) -> Dtype:
    check_unmasked(value, op)
    given = dtype(value.dtype, op=op)
    narrow = given if beside in _NARROWED else narrowed(given)
    if narrow is not given and is_integer(given) and value.size:
        check_fits(int(value.min()), narrow, op=op)
        check_fits(int(value.max()), narrow, op=op)
    return narrow


def narrowed(d: Dtype) -> Dtype:
    """What `config.default_bits` makes of the dtype of NumPy data."""
    return d if config.default_bits == 64 else _NARROWED.get(d, d)


_NARROWED = {int64: int32, uint64: uint32, float64: float32, complex128: complex64}


def check_fits(value: int, d: Dtype, *, op: str = "array") -> None:
    """Raise OverflowError if the integer `value` is beyond the limits of the integer dtype d."""
    limits = iinfo(d)
    if limits.min <= value <= limits.max:
        return
    problem = f"{value} does not fit {name(d)}, which holds {limits.min} to {limits.max}"
    wide = [name(wider) for wider in (int64, uint64) if _holds(wider, value)]
    hint = f"pass dtype={wide[0]}, or set config.default_bits = 64" if wide else ""
    raise mistake(IntegerOverflowError, op=op, problem=problem, hint=hint)


def _holds(d: Dtype, value: int) -> bool:
    limits = np.iinfo(d)
    return bool(limits.min <= value <= limits.max)


# Promotion. The nodes of the lattice are the dtypes and, for weak scalars, int, float and complex;
# each row names the node's direct upper neighbours. Operands go to their least common upper bound.
_Node: TypeAlias = "Dtype | type"
_ABOVE: dict[_Node, tuple[_Node, ...]] = {
    bool_: (int,),
    int: (uint8, int8, int2, int4, uint2, uint4),
    uint8: (int16, uint16),
    uint16: (int32, uint32),
    uint32: (int64, uint64),
    uint64: (float,),
    int8: (int16,),
    int16: (int32,),
    int32: (int64,),
    int64: (float,),
    float: (*_FLOAT8, bfloat16, float16, complex),
    **dict.fromkeys((float8_e4m3fn, float8_e5m2, *STORAGE), ()),
    bfloat16: (float32,),
    float16: (float32,),
    float32: (float64, complex64),
    float64: (complex128,),
    complex: (complex64,),
    complex64: (complex128,),
    complex128: (),
}


def promote(*operands: Any, op: str = "promote") -> Dtype:
    """The dtype in which an operation on these dtypes, arrays and scalars is done.

    Python scalars (and `int`, `float`, `complex` themselves) are weak: `promote(bfloat16, 1.0)` is
    bfloat16. Raises DtypeError where no dtype holds all of them, as for two 8-bit formats.
    """
    return promote_kinds(*operands, op=op)[0]


def promote_kinds(*operands: Any, op: str = "promote") -> tuple[Dtype, bool]:
    """The same, and whether the result is weak too, for all are but for bools."""
    nodes = tuple([_node(operand, op) for operand in operands])
    found = _least_upper_bound(config.default_bits, nodes)
    if found is None:
        names = " and ".join(n.__name__ if isinstance(n, type) else name(n) for n in nodes)
        hint = "convert one of them explicitly: x.astype(..)"
        raise mistake(DtypeError, op=op, problem=f"{names} have no common dtype", hint=hint)
    return found


def weak_kind(own: Dtype) -> Any:
    """The class of Python numbers that weak arrays of a dtype count as.

    It is the dtype itself for another than Python numbers have by default.
    """
    found = next((number for number in (int, float, complex) if dtype(number) == own), own)
    return found


def _node(operand: Any, op: str) -> _Node:
    try:
        node = _NODES.get(operand)
    except TypeError:  # not hashable: an array
        node = None
    if node is None:
        node = _WEAK.get(type(operand))
    if node is not None:
        return node
    if isinstance(operand, (np.dtype, type, str)):
        return dtype(operand, op=op)
    return of(operand, op=op)


_WEAK: dict[Any, _Node] = {bool: bool_, int: int, float: float, complex: complex}
_NODES: dict[Any, _Node] = {**_CANONICAL, **_WEAK}


@lru_cache(maxsize=4096)
def _least_upper_bound(default_bits: int,
                       nodes: tuple[_Node, ...]) -> tuple[Dtype, bool] | None:
    """The common upper bound that is below all others, if there is one, and whether it is weak.

    Weak ones get a width.
    """
    common = frozenset.intersection(*(_upper_bounds(default_bits, node) for node in nodes))
    least = next((n for n in common if common <= _upper_bounds(default_bits, n)), None)
    return None if least is None else (dtype(least), isinstance(least, type))


@cache
def _upper_bounds(default_bits: int, node: _Node) -> frozenset[_Node]:
    above = _ABOVE[node]
    if node is uint32 and default_bits == 32:
        above = (int32, uint64)  # uint32 with int32 would be the only pair to ask for 64 bits
    return frozenset({node}).union(*(_upper_bounds(default_bits, upper) for upper in above))

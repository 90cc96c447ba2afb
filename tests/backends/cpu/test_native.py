"""Elementwise operations of every dtype do in registers what the operation records say."""

import ctypes
import itertools

import numpy as np
import pytest
from elementwise_kernel import evaluate, ulps

from arraylib import dtypes as dt
from arraylib.backends.cpu import native, target
from arraylib.backends.cpu.emitter import Function
from arraylib.hlo.ops import elementwise

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

INTEGERS = [dt.int8, dt.int16, dt.int32, dt.int64, dt.uint8, dt.uint16, dt.uint32, dt.uint64]
FLOATS = [dt.float16, dt.bfloat16, dt.float32, dt.float64]
DTYPES = [dt.bool_, *INTEGERS, *FLOATS]

RECORDS = {record.name: record for record in vars(elementwise).values()
           if isinstance(record, elementwise.OpDef)}


def values(dtype: np.dtype) -> np.ndarray:
    """The edges of the dtype and numbers in between."""
    random = np.random.default_rng(11)
    if dtype == dt.bool_:
        return np.array([False, True])
    if dt.is_integer(dtype):
        info = dt.iinfo(dtype)
        edges = [info.min, info.min + 1, info.max - 1, info.max, 0, 1, 2, 3, 7, 100]
        edges += [-1, -2, -7] if info.min else [info.max // 2, info.max // 2 + 1]
        return np.concatenate([np.array(edges, dtype),
                               random.integers(info.min, info.max, 12, dtype, endpoint=True)])
    info = dt.finfo(dtype)
    edges = [0, 0.5, 1, 1.5, 2.5, 3, 100, float(info.max), float(info.tiny), np.inf]
    edges = np.array(edges + [-edge for edge in edges] + [np.nan], np.float64)
    return np.concatenate([edges, random.uniform(-4, 4, 12)]).astype(dtype)


def pairs(dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    left, right = np.meshgrid(values(dtype), values(dtype))
    return left.ravel(), right.ravel()


def same(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal, nan included, in value, dtype and the sign of zero."""
    assert found.dtype == expected.dtype
    if found.dtype.kind in "biu":
        np.testing.assert_array_equal(found, expected)
        return
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    np.testing.assert_array_equal(found, expected)
    zero = expected == 0
    np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(expected[zero]))


def reference(name: str, *arrays: np.ndarray, **attrs) -> np.ndarray:
    return RECORDS[name].evaluate(arrays, attrs)[0]


@pytest.mark.parametrize("dtype", INTEGERS, ids=dt.name)
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "remainder", "maximum",
                                  "minimum", "and", "or", "xor", "power"])
def test_integer_pairs(name, dtype):
    x, y = pairs(dtype)
    if name == "power" and dt.is_unsigned(dtype):
        y = y % 19
    same(evaluate(name, x, y), reference(name, x, y))


@pytest.mark.parametrize("dtype", INTEGERS, ids=dt.name)
@pytest.mark.parametrize("name", ["shift_left", "shift_right_logical", "shift_right_arithmetic"])
def test_shifts_by_any_amount(name, dtype):
    x = values(dtype)
    amounts = np.arange(0, 8 * dtype.itemsize + 3).astype(dtype)
    x, y = (grid.ravel() for grid in np.meshgrid(x, amounts))
    same(evaluate(name, x, y), reference(name, x, y))


@pytest.mark.parametrize("dtype", INTEGERS, ids=dt.name)
@pytest.mark.parametrize("name", ["negate", "abs", "sign", "not", "popcnt", "count_leading_zeros"])
def test_integer_single(name, dtype):
    same(evaluate(name, values(dtype)), reference(name, values(dtype)))


@pytest.mark.parametrize("dtype", FLOATS, ids=dt.name)
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "maximum", "minimum",
                                  "remainder"])
def test_float_pairs(name, dtype):
    x, y = pairs(dtype)
    if name in ("maximum", "minimum"):  # NumPy leaves the sign of a zero open
        x, y = x[x != y], y[x != y]
    same(evaluate(name, x, y), reference(name, x, y))


@pytest.mark.parametrize("dtype", FLOATS, ids=dt.name)
def test_maximum_orders_zeros(dtype):
    x, y = np.array([0.0, -0.0], dtype), np.array([-0.0, 0.0], dtype)
    assert not np.signbit(evaluate("maximum", x, y)).any()
    assert np.signbit(evaluate("minimum", x, y)).all()


@pytest.mark.parametrize("dtype", FLOATS, ids=dt.name)
@pytest.mark.parametrize("name", ["negate", "abs", "sign", "floor", "ceil", "round_nearest_even",
                                  "round_nearest_afz", "sqrt"])
def test_float_single(name, dtype):
    x = values(dtype)
    same(evaluate(name, x), reference(name, x))


@pytest.mark.parametrize("dtype", [dt.float16, dt.bfloat16], ids=dt.name)
@pytest.mark.parametrize("name", ["exponential", "log", "tanh", "logistic", "sine", "rsqrt", "erf"])
def test_halves_round_once(name, dtype):
    """All 65536 values: the nearest half, but for the float32 result's last place."""
    x = np.arange(1 << 16, dtype=np.uint16).view(dtype)
    x = np.where(np.isnan(x.astype(np.float32)), dtype.type(1), x)
    record = RECORDS[name]
    exact = record.evaluate([x.astype(np.float64)], {})[0]
    found = evaluate(name, x)
    wrong = found.astype(np.float64) != exact.astype(dtype).astype(np.float64)
    wrong &= ~(np.isnan(exact) & np.isnan(found.astype(np.float64)))
    # Where it is not the nearest, the exact value lies all but halfway.
    assert wrong.sum() < 40
    neighbour = np.abs(found[wrong].view(np.int16).astype(int)
                       - exact[wrong].astype(dtype).view(np.int16).astype(int))
    assert (neighbour <= 1).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=dt.name)
@pytest.mark.parametrize("direction", ["EQ", "NE", "LT", "LE", "GT", "GE"])
def test_compare(direction, dtype):
    x, y = pairs(dtype)
    same(evaluate("compare", x, y, result=bool, direction=direction),
         reference("compare", x, y, direction=direction))


@pytest.mark.parametrize("dtype", FLOATS, ids=dt.name)
def test_is_finite(dtype):
    same(evaluate("is_finite", values(dtype), result=bool), np.isfinite(values(dtype)))


@pytest.mark.parametrize("name", ["add", "multiply", "and", "or", "xor", "maximum", "minimum"])
def test_truth_values(name):
    x, y = pairs(dt.bool_)
    same(evaluate(name, x, y), reference(name, x, y))
    same(evaluate("not", x), ~x)


@pytest.mark.parametrize("dtype", DTYPES, ids=dt.name)
def test_select(dtype):
    x, y = pairs(dtype)
    mask = np.arange(x.size) % 3 == 0
    same(evaluate("select", mask, x, y), np.where(mask, x, y))


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS], ids=dt.name)
def test_clamp(dtype):
    x, _ = pairs(dtype)
    low, high = np.full_like(x, 2), np.full_like(x, 5)
    same(evaluate("clamp", low, x, high), reference("clamp", low, x, high))


@pytest.mark.parametrize("source, result", list(itertools.product(DTYPES, DTYPES)),
                         ids=lambda dtype: dt.name(dtype))
def test_convert(source, result):
    x = values(source)
    same(evaluate("convert", x, result=result, dtype=result), reference("convert", x, dtype=result))


@pytest.mark.parametrize("result", [dt.float16, dt.bfloat16], ids=dt.name)
def test_doubles_become_halves_with_one_rounding(result):
    """Just beside the middle of two halves, where float32 would round onto the middle."""
    halves = np.array([1.0, 1.5, -3.0, 100.0, 2.0**-14]).astype(result).astype(np.float64)
    place = np.spacing(halves.astype(np.float32).astype(result)).astype(np.float64)
    middle = halves + np.abs(place) / 2
    x = np.concatenate([middle * (1 + 1e-12), middle * (1 - 1e-12), middle])
    found = evaluate("convert", x, result=result, dtype=result).astype(np.float64)
    upper = halves + np.abs(place)
    away = np.where(halves > 0, upper, halves)
    near = np.where(halves > 0, halves, upper)
    np.testing.assert_array_equal(found[:5], away)
    np.testing.assert_array_equal(found[5:10], near)


@pytest.mark.parametrize("source, result", [
    (dt.float32, dt.int32), (dt.uint32, dt.float32), (dt.float64, dt.uint64),
    (dt.bfloat16, dt.uint16), (dt.float16, dt.bfloat16), (dt.int16, dt.float16)],
    ids=lambda dtype: dt.name(dtype))
def test_bitcast_convert(source, result):
    x = values(source)
    if dt.is_float(source):
        x = x[~np.isnan(x.astype(np.float64))]
    elif dt.is_float(result):
        x = x[~np.isnan(x.view(result).astype(np.float64))]
    found = evaluate("bitcast_convert", x, result=result, dtype=result)
    np.testing.assert_array_equal(found.view(f"u{x.itemsize}"), x.view(f"u{x.itemsize}"))


@pytest.mark.parametrize("dtype", FLOATS, ids=dt.name)
@pytest.mark.parametrize("exponent, mantissa", [(8, 7), (5, 10), (5, 2), (4, 3), (8, 23), (11, 52)])
def test_reduce_precision(exponent, mantissa, dtype):
    x = np.concatenate([values(dtype), np.random.default_rng(2).normal(size=100).astype(dtype)])
    x = np.concatenate([x, x * dtype.type(1e-5), x * dtype.type(1e4), x * dtype.type(1e-8)])
    attrs = {"exponent_bits": exponent, "mantissa_bits": mantissa}
    same(evaluate("reduce_precision", x, **attrs), reference("reduce_precision", x, **attrs))


@pytest.mark.parametrize("lanes", [1, 2, 32])
@pytest.mark.parametrize("dtype", [dt.bool_, dt.int32, dt.uint8, dt.bfloat16, dt.float64],
                         ids=dt.name)
def test_every_operation_at_any_width(dtype, lanes):
    """Registers narrower and wider than the machine's give the same results."""
    kind = "b" if dtype == dt.bool_ else dt.kind(dtype)
    x, y = pairs(dtype)
    if dt.is_float(dtype):
        x, y = np.abs(x), y  # fewer nan
    for name, row in native.NATIVE.items():
        if kind not in row or name in ("select", "clamp", "compare", "complex") or (
                name == "power" and kind == "u"):
            continue
        arity = row[kind].__code__.co_argcount
        result = bool if name == "is_finite" else None
        same(evaluate(name, *(x, y)[:arity], result=result, lanes=lanes),
             evaluate(name, *(x, y)[:arity], result=result))


def test_every_record_is_native():
    """A new elementwise operation must be added to the table, or expand into others."""
    for name, record in RECORDS.items():
        known = name in native.NATIVE or name in native.CONVERSIONS
        assert known or record.expand is not None, name


def test_what_is_supported():
    assert native.supports("add", [dt.float32] * 2, dt.float32)
    assert native.supports("select", [dt.bool_, dt.int8, dt.int8], dt.int8)
    assert native.supports("convert", [dt.bfloat16], dt.int64)
    assert native.supports("add", [dt.complex64] * 2, dt.complex64)
    assert not native.supports("remainder", [dt.complex64] * 2, dt.complex64)
    assert not native.supports("exponential", [dt.int32], dt.int32)
    assert native.supports("convert", [dt.float32], dt.float8_e5m2)
    assert not native.supports("reduce_precision", [dt.float8_e5m2], dt.float8_e5m2)
    assert not native.supports("bitcast_convert", [dt.float32], dt.int64)
    assert not native.supports("dot_general", [dt.float32] * 2, dt.float32)


@pytest.mark.parametrize("source, result", [
    (dt.float64, dt.int64), (dt.float32, dt.uint32), (dt.int64, dt.float64), (dt.bfloat16, dt.int8),
    (dt.float64, dt.bfloat16), (dt.float64, dt.float16)], ids=lambda dtype: dt.name(dtype))
def test_convert_without_avx512(source, result, monkeypatch):
    monkeypatch.setattr(target, "current", lambda: target.find("avx2"))
    test_convert(source, result)


@pytest.mark.parametrize("dtype", [dt.int8, dt.int32, dt.uint64], ids=dt.name)
def test_integers_without_avx512(dtype, monkeypatch):
    monkeypatch.setattr(target, "current", lambda: target.find("avx2"))
    for name in ("divide", "remainder", "power", "maximum"):
        test_integer_pairs(name, dtype)
    test_shifts_by_any_amount("shift_right_arithmetic", dtype)


def test_ulps_counts_places():
    exact = np.array([1.0, 1.0, np.inf, np.nan, 1.0])
    found = np.array([1.0, np.nextafter(np.float32(1), 2), np.inf, np.nan, np.nan], np.float32)
    np.testing.assert_array_equal(ulps(found, exact), [0, 1, 0, 0, np.inf])


@pytest.mark.parametrize("divisor", [3, -7, 1, 0, -1])
def test_division_by_a_constant(divisor):
    """It becomes a multiplication, or less, also by the divisors with meanings of their own."""
    module = target.new_module()
    function = Function(module, "f", [("ptr", "x"), ("ptr", "y")], internal=False)
    x, y = function.args
    value = native.load(function, x, dt.int32, 8)
    operands = [value, function.const(value.type, divisor)]
    for place, name in enumerate(("divide", "remainder")):
        found = native.emit_elementwise(function, name, dt.int32, operands, {}, dt.int32)
        native.store(function, function.gep(y, 8 * place, "i32"), found, dt.int32, 8)
    function.ret()
    assert "div" not in target.assembly(module.text())
    source = np.array([7, -7, 0, 1, -1, 100, -(1 << 31), (1 << 31) - 1], "i4")
    out = np.zeros(16, "i4")
    address = target.link([target.compile_object(module.text())], ["f"])["f"]
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(address)(
        source.ctypes.data, out.ctypes.data)
    by = np.full_like(source, divisor)
    same(out, np.concatenate([reference("divide", source, by), reference("remainder", source, by)]))

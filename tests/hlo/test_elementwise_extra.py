"""The further elementwise operations: against SciPy, NumPy, XLA and exact arithmetic."""

import fractions
import math

import jax
import numpy as np
import pytest
import scipy.special
from cases import Case, elementwise_at
from xla_text import run_op, tensor

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Builder, Type, trace_graph, type_of
from arraylib.hlo.ops import TABLE, elementwise as ew, elementwise_extra as extra
from arraylib.hlo.ops.bits import bitcast_regroup
from arraylib.hlo.ops.top_k import top_k
from arraylib.tracing.jvp import jvp

FLOATS = [d for d in (*dt.ALL, *dt.STORAGE) if dt.is_float(d)]
CORNERS = [-np.inf, -2.5, -1.0, -1e-3, -0.0, 0.0, 1e-3, 1.0, 2.5, np.inf, np.nan]


def run(op, *arrays, **attrs):
    types = [type_of(x) for x in arrays]
    (wanted,) = op.result_types(types, attrs)
    (found,) = op.evaluate(arrays, attrs)
    assert type_of(found) is wanted
    return found


def expanded(op, *arrays, **attrs):
    """What the operation's expansion means."""
    graph = trace_graph([type_of(x) for x in arrays], lambda *xs: [op.expand(*xs, **attrs)])
    (found,) = interpret(graph, arrays)
    assert type_of(found) is op.result_types([type_of(x) for x in arrays], attrs)[0]
    return found


def derivative(op, which, *arrays):
    """The tangent for a unit tangent of one operand."""
    graph = trace_graph([type_of(x) for x in arrays], lambda *xs: [op(*xs)])
    with Builder() as builder:
        xs = builder.inputs_like(graph.inputs)
        ts = [builder.input(type_of(arrays[i])) if i == which else None for i in range(len(xs))]
        ((_, tangent),) = jvp(graph, xs, ts)
        whole, _ = builder.build([tangent])
    return interpret(whole, [*arrays, np.ones_like(arrays[which])])[0]


def pairs(values, dtype):
    """Every value with every other."""
    with np.errstate(all="ignore"):
        return [np.ravel(x) for x in np.meshgrid(*[np.array(values).astype(dtype)] * 2)]


def equal(x, y):
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(np.asarray(x, np.float64), np.asarray(y, np.float64))


# -- the order of floats ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [dt.float32, dt.float64, dt.float16, dt.bfloat16, dt.float8_e5m2],
                         ids=str)
def test_the_total_order(dtype):
    positive = np.copysign(np.full(1, np.nan, dtype), np.ones(1, dtype))
    ordered = np.concatenate([-positive, np.array(CORNERS[:-1]).astype(dtype), positive])
    ordered = ordered[[i for i in range(len(ordered)) if dtype.itemsize > 1 or abs(i - 6) != 2]]
    x, y = (np.ravel(v) for v in np.meshgrid(ordered, ordered, indexing="ij"))
    i, j = (np.ravel(v) for v in np.indices((len(ordered),) * 2))
    for direction, compare in (("LT", np.less), ("GE", np.greater_equal), ("EQ", np.equal)):
        wanted = compare(i, j)
        assert np.array_equal(run(extra.compare_total, x, y, direction=direction), wanted)
        assert np.array_equal(expanded(extra.compare_total, x, y, direction=direction), wanted)


@pytest.mark.parametrize("dtype", [d for d in FLOATS if dt.bits(d) <= 8], ids=str)
def test_the_order_of_all_small_floats(dtype):
    """Every value of a format of up to 8 bits, against the same in float32."""
    values = np.arange(2 ** dt.bits(dtype), dtype=np.uint8).view(dtype)
    values = values[~np.isnan(values)]
    x, y = (np.ravel(v) for v in np.meshgrid(values, values))
    wanted = run(extra.compare_total, x.astype(np.float32), y.astype(np.float32), direction="LT")
    assert np.array_equal(run(extra.compare_total, x, y, direction="LT"), wanted)
    assert np.array_equal(expanded(extra.compare_total, x, y, direction="LT"), wanted)


@pytest.mark.parametrize("dtype", [dt.float32, dt.float64, dt.float16, dt.bfloat16], ids=str)
def test_next_after_is_that_of_numpy(dtype):
    least = dt.finfo(dtype).smallest_subnormal
    x, y = pairs([*CORNERS, float(least), float(dt.finfo(dtype).max)], dtype)
    with np.errstate(all="ignore"):
        wanted = np.nextafter(x, y)
    for found in (run(extra.next_after, x, y), expanded(extra.next_after, x, y)):
        equal(found, wanted)
        known = (wanted != 0) & ~np.isnan(wanted)  # of 0 and -0 NumPy's halves differ
        assert np.array_equal(np.signbit(found)[known], np.signbit(wanted)[known])
    assert np.array_equal(derivative(extra.next_after, 0, x, y), np.ones(x.shape))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_classification(dtype):
    with np.errstate(all="ignore"):
        x = np.array(CORNERS).astype(dtype)
    wide = x.astype(np.float64)
    for op, wanted in ((extra.is_inf, np.isinf(wide)), (extra.is_pos_inf, wide == np.inf),
                       (extra.is_neg_inf, wide == -np.inf)):
        assert np.array_equal(run(op, x), wanted)
        if dt.bits(dtype) >= 16:
            assert np.array_equal(expanded(op, x), wanted)


# -- arithmetic ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [d for d in (*dt.ALL, *dt.STORAGE) if dt.is_integer(d)], ids=str)
def test_mulhi_is_that_of_exact_arithmetic(dtype):
    limits = dt.iinfo(dtype)
    some = [0, 1, 2, 3, int(limits.max) // 3, int(limits.max) - 1, int(limits.max), int(limits.min)]
    x, y = pairs(sorted({v for v in (*some, *(-v for v in some))
                         if limits.min <= v <= limits.max}), dtype)
    wanted = np.array([(int(a) * int(b)) >> dt.bits(dtype) for a, b in zip(x, y)]).astype(dtype)
    assert np.array_equal(run(extra.mulhi, x, y), wanted)
    if dt.bits(dtype) >= 8:
        assert np.array_equal(expanded(extra.mulhi, x, y), wanted)


def test_square_and_conj():
    x = np.array([1 + 2j, 3e200 + 3e200j, complex(np.inf, 1), 1e-200 - 1e-200j])
    wanted = np.array([-3 + 4j, complex(0, np.inf), complex(np.inf, np.inf), 0])
    for found in (run(extra.square, x), expanded(extra.square, x)):
        np.testing.assert_array_equal(found, wanted)
    for found in (run(extra.conj, x), expanded(extra.conj, x)):
        np.testing.assert_array_equal(found, x.conj())
    real = np.float32([1.5, -3])
    assert np.array_equal(run(extra.square, real), real * real)
    assert np.array_equal(run(extra.conj, real), real)
    assert np.array_equal(expanded(extra.conj, real), real)


# -- special functions -----------------------------------------------------------------------------


def close(found, wanted, tolerance):
    assert np.array_equal(np.isnan(found), np.isnan(wanted))
    np.testing.assert_allclose(found, wanted, rtol=tolerance)


def test_zeta_is_that_of_scipy():
    rng = np.random.default_rng(0)
    s, q = rng.uniform(1, 40, 3000), 10 ** rng.uniform(-2, 5, 3000)
    close(run(extra.zeta, s, q), scipy.special.zeta(s, q), 1e-14)
    s, q = rng.integers(2, 12, 1000).astype(float), rng.uniform(-40, 1, 1000)
    close(run(extra.zeta, s, q), scipy.special.zeta(s, q), 1e-12)
    narrow = run(extra.zeta, s.astype(np.float32), np.float32(q))
    close(narrow, scipy.special.zeta(s, np.float32(q).astype(float)).astype(np.float32), 1e-6)


@pytest.mark.parametrize("s, q, wanted", [
    (1, 2, np.inf), (0.5, 2, np.nan), (2, 0, np.inf), (2, -3, np.inf), (2.5, -1.5, np.nan),
    (np.inf, 2, 0), (np.inf, 1, 1), (2, np.inf, 0), (np.nan, 1, np.nan), (2, np.nan, np.nan),
    (200, 3, 3.764861949599026e-96), (1e10, 2, 0), (2, 1, math.pi**2 / 6), (1e6, 1, 1)])
def test_corners_of_zeta(s, q, wanted):
    close(run(extra.zeta, np.float64(s), np.float64(q)), wanted, 1e-14)


def test_derivatives_of_zeta():
    s, q, step = np.array([1.5, 2.0, 3.7, 8.0]), np.array([0.3, 1.0, 2.5, 7.0]), 1e-6
    for which, move in ((0, (step, 0)), (1, (0, step))):
        ahead, behind = (scipy.special.zeta(s + sign * move[0], q + sign * move[1])
                         for sign in (1, -1))
        np.testing.assert_allclose(derivative(extra.zeta, which, s, q),
                                   (ahead - behind) / (2 * step), rtol=1e-7)


def test_polygamma_is_that_of_scipy():
    rng = np.random.default_rng(0)
    n, x = rng.integers(0, 20, 1000), rng.uniform(-10, 60, 1000)
    close(run(extra.polygamma, n.astype(float), x), scipy.special.polygamma(n, x), 1e-11)
    close(run(extra.polygamma, np.array([1.5, -1, np.nan, 1]), np.array([2.0, 2, 2, 0])),
          [np.nan, np.nan, np.nan, np.inf], 0)
    n, x = np.array([0.0, 1, 2, 3]), np.array([0.7, 1.5, 3.0, 12.0])
    close(derivative(extra.polygamma, 1, n, x), scipy.special.polygamma(n + 1, x), 1e-12)


@pytest.mark.parametrize("op, scipys", [(extra.bessel_i0e, scipy.special.i0e),
                                        (extra.bessel_i1e, scipy.special.i1e)])
def test_bessel_functions_are_those_of_scipy(op, scipys):
    x = np.concatenate([np.linspace(-60, 60, 1201), [0, 1e-300, 1e-8, 500, 1e30, np.inf, np.nan]])
    close(run(op, x), scipys(x), 1e-14)
    close(expanded(op, x), scipys(x), 1e-13)
    for dtype in (dt.float32, dt.bfloat16, dt.float16):
        narrow = x[np.abs(x) < 1000].astype(dtype)
        wanted = scipys(narrow.astype(float))
        assert np.array_equal(run(op, narrow), wanted.astype(dtype))
        np.testing.assert_allclose(expanded(op, narrow).astype(float), wanted,
                                   rtol=8 * float(dt.finfo(dtype).eps))


def test_derivatives_of_bessel_functions():
    x = np.array([-40.0, -2, 0, 1e-9, 0.5, 3, 29.9, 31])
    i0, i1, sign = scipy.special.i0e(x), scipy.special.i1e(x), np.sign(x)
    close(derivative(extra.bessel_i0e, 0, x), i1 - sign * i0, 1e-13)
    ratio = np.where(x == 0, 0.5, i1 / np.where(x == 0, 1, x))
    np.testing.assert_allclose(derivative(extra.bessel_i1e, 0, x), i0 - sign * i1 - ratio,
                               rtol=1e-9, atol=1e-14)


# -- complex numbers -------------------------------------------------------------------------------


def test_the_exponential_of_what_is_infinite_all_ways():
    """As C99 has it (Annex G): of a size that is known, in a direction that is not."""
    x = np.array([complex(a, b) for a in (np.inf, -np.inf) for b in (np.inf, -np.inf, np.nan)])
    found, less_one = run(ew.exponential, x), run(ew.exponential_minus_one, x)
    assert found.real.tolist() == [np.inf] * 3 + [0] * 3
    assert less_one.real.tolist() == [np.inf] * 3 + [-1] * 3
    for y in (found, less_one):
        assert np.isnan(y.imag[:3]).all() and not y.imag[3:].any()
    assert run(ew.exponential, np.array([1j * np.pi]))[0] == pytest.approx(-1)


def exact_real_log_plus_one(z):
    """Half the logarithm of |1 + z| squared, whose excess over 1 is computed exactly."""
    a, b = fractions.Fraction(z.real), fractions.Fraction(z.imag)
    return 0.5 * math.log1p(float(2 * a + a * a + b * b))


@pytest.mark.parametrize("dtype", [dt.complex64, dt.complex128], ids=str)
def test_log_plus_one_near_the_unit_circle(dtype):
    angles = np.linspace(0.1, 3.0, 50)
    tiny = np.array([1e-9 + 1e-5j, -1e-12 + 1e-6j, 1e-18 - 1e-18j, -5e-11 + 1e-5j])
    x = np.concatenate([np.exp(1j * angles) - 1, tiny]).astype(dtype)
    wanted = [exact_real_log_plus_one(complex(z)) for z in x]
    np.testing.assert_allclose(run(ew.log_plus_one, x).real, wanted, rtol=4 * dt.finfo(dtype).eps)


def test_log_plus_one_of_the_largest():
    x = np.array([1.7e308 + 1.7e308j, -1 + 0j, complex(np.inf, 1)])
    found = run(ew.log_plus_one, x)
    assert found[0] == pytest.approx(math.log(1.7e308) + math.log(2) / 2 + 0.25j * math.pi)
    assert found[1].real == -np.inf and found[2].real == np.inf


# -- narrow integers and floats --------------------------------------------------------------------

@pytest.mark.parametrize("dtype", dt.STORAGE, ids=str)
def test_every_elementwise_operation_takes_storage_dtypes(dtype):
    others = [Case(ew.convert, (Type(dtype, (3,)),), {"dtype": d}) for d in dt.STORAGE]
    for case in (*elementwise_at(dtype), *others):
        (found,) = interpret(case.graph(), case.draw())
        assert type_of(found) is case.op.result_types(case.types, case.attrs)[0], str(case)


NARROW = [dt.int2, dt.int4, dt.uint2, dt.uint4]
EXACT = {
    "add": lambda x, y: x + y, "subtract": lambda x, y: x - y, "multiply": lambda x, y: x * y,
    "maximum": max, "minimum": min, "and": lambda x, y: x & y, "or": lambda x, y: x | y,
    "xor": lambda x, y: x ^ y}


def wrapped(value, dtype):
    """An integer as two's complement of the dtype's width has it."""
    width = dt.bits(dtype)
    value &= 2**width - 1
    return value - 2**width if dt.is_signed(dtype) and value >= 2 ** (width - 1) else value


def all_of(dtype):
    limits = dt.iinfo(dtype)
    return np.arange(int(limits.min), int(limits.max) + 1).astype(dtype)


@pytest.mark.parametrize("dtype", NARROW, ids=str)
@pytest.mark.parametrize("name", EXACT)
def test_arithmetic_of_narrow_integers_wraps(name, dtype):
    x, y = pairs(all_of(dtype), dtype)
    wanted = [wrapped(EXACT[name](int(a), int(b)), dtype) for a, b in zip(x, y)]
    assert list(map(int, run(TABLE[name], x, y))) == wanted


@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_shifts_and_bits_of_narrow_integers(dtype):
    x, n = pairs(all_of(dtype), dtype)
    width = dt.bits(dtype)
    for name, exact in (
            ("shift_left", lambda a, k: a << k if k < width else 0),
            ("shift_right_logical", lambda a, k: (a % 2**width) >> k if k < width else 0),
            ("shift_right_arithmetic", lambda a, k: wrapped(a, np_signed(dtype)) >> min(k, width))):
        wanted = [wrapped(exact(int(a), int(k) % 2**width), dtype) for a, k in zip(x, n)]
        assert list(map(int, run(TABLE[name], x, n))) == wanted, name
    whole = [int(a) % 2**width for a in x]
    count = [wrapped(a.bit_count(), dtype) for a in whole]
    zeros = [wrapped(width - a.bit_length(), dtype) for a in whole]
    assert list(map(int, run(TABLE["popcnt"], x))) == count
    assert list(map(int, run(TABLE["count_leading_zeros"], x))) == zeros


def np_signed(dtype):
    return {dt.uint2: dt.int2, dt.uint4: dt.int4}.get(dtype, dtype)


@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_division_of_narrow_integers(dtype):
    x, y = pairs(all_of(dtype), dtype)
    def quotient(a, b):
        return -1 if b == 0 else int(fractions.Fraction(a, b))
    wanted = [wrapped(quotient(int(a), int(b)), dtype) for a, b in zip(x, y)]
    assert list(map(int, run(TABLE["divide"], x, y))) == wanted
    rest = [int(a) if b == 0 else int(a) - int(b) * quotient(int(a), int(b)) for a, b in zip(x, y)]
    assert list(map(int, run(TABLE["remainder"], x, y))) == rest
    if dt.is_signed(dtype):
        assert list(map(int, run(TABLE["abs"], x))) == [wrapped(abs(int(a)), dtype) for a in x]
        assert list(map(int, run(TABLE["negate"], x))) == [wrapped(-int(a), dtype) for a in x]


@pytest.mark.parametrize("dtype", [d for d in FLOATS if dt.bits(d) <= 8], ids=str)
def test_arithmetic_of_narrow_floats_is_rounded_once(dtype):
    x, y = pairs(np.arange(2 ** dt.bits(dtype), dtype=np.uint8).view(dtype)[::3], dtype)
    for name in ("add", "multiply", "divide"):
        exact = TABLE[name].evaluate([x.astype(np.float32), y.astype(np.float32)], {})[0]
        equal(run(TABLE[name], x, y), exact.astype(dtype))


# XLA on the CPU has no 6-bit formats.
@pytest.mark.parametrize("d", [d for d in dt.STORAGE if dt.bits(d) != 6], ids=str)
def test_conversions_of_storage_dtypes_are_those_of_xla(d):
    wide = np.array([0, -0.0, 0.1, 0.25, 0.75, 1, -1, 1.5, 2.5, -2.5, 3.5, 5, 6, 7, 7.6, 8, -9,
                     15.5, 16, 100, -100, 240, 250, 448, 465, 1e5, -1e5, 1e-3, 1e-5, np.inf,
                     -np.inf, np.nan], np.float32)
    whole = np.arange(-128, 128).astype(np.int32)
    every = np.arange(2 ** dt.bits(d)).astype(np.uint8)
    every = every.astype(d) if dt.is_integer(d) else every.view(d)
    # Of the least number of float8_e8m0fnu, which is subnormal in float32, XLA makes 0.
    not_zero = every[1:] if d == dt.float8_e8m0fnu else every
    cases = [(wide, d), (whole, d), (every, dt.float32), (not_zero, dt.bool_)]
    if d != dt.float4_e2m1fn:  # of which XLA makes 127 out of 6
        cases.append((every, dt.int8))
    for x, target in cases:
        names = dt.hlo_name(x.dtype), dt.hlo_name(target)
        (wanted,) = run_op("stablehlo.convert", "", [(names[0], x)], [tensor(names[1], x.shape)])
        (found,) = TABLE["convert"].evaluate([x], {"dtype": target})
        assert found.dtype == wanted.dtype == target
        np.testing.assert_array_equal(found.astype(np.float64), wanted.astype(np.float64))


# -- bits of another width -------------------------------------------------------------------------

REGROUPED = [
    (dt.float32, (2, 3), dt.uint8), (dt.uint8, (3, 4), dt.int32), (dt.float64, (2,), dt.float16),
    (dt.uint16, (2, 2), dt.float32), (dt.uint8, (3,), dt.int4), (dt.uint4, (3, 2), dt.int8),
    (dt.uint8, (2,), dt.uint2), (dt.float32, (2,), dt.uint4), (dt.uint2, (2, 2), dt.int4)]


@pytest.mark.parametrize("source, shape, target", REGROUPED, ids=str)
def test_bits_are_regrouped_as_by_xla_and_back(source, shape, target):
    x = np.random.default_rng(0).integers(0, 2 ** min(dt.bits(source), 31), shape).astype(source)
    (result,) = bitcast_regroup.result_types([type_of(x)], {"dtype": target})
    found = run(bitcast_regroup, x, dtype=target)
    names = dt.hlo_name(source), dt.hlo_name(target)
    (wanted,) = run_op("stablehlo.bitcast_convert", "", [(names[0], x)],
                       [tensor(names[1], result.shape)])
    assert found.dtype == wanted.dtype and found.tobytes() == wanted.tobytes()
    assert run(bitcast_regroup, found, dtype=source).tobytes() == x.tobytes()


def test_truth_values_have_one_bit():
    x = np.int16(0b0000_0101_0000_0011)
    bits = run(bitcast_regroup, x, dtype=dt.bool_)
    assert bits.tolist() == [True, True, *[False] * 6, True, False, True, *[False] * 5]
    assert run(bitcast_regroup, bits, dtype=dt.int16) == x


def test_complex_numbers_are_regrouped():
    x = np.array([1.5 + 2.5j, -1j])
    found = run(bitcast_regroup, x, dtype=dt.complex64)
    assert found.shape == (2, 2) and found.tobytes() == x.tobytes()
    assert np.array_equal(run(bitcast_regroup, found, dtype=dt.complex128), x)


@pytest.mark.parametrize("source, target", [
    (dt.int4, dt.uint4), (dt.uint4, dt.int4), (dt.uint4, dt.float4_e2m1fn),
    (dt.float8_e4m3, dt.int8), (dt.bool_, dt.bool_), (dt.complex64, dt.complex64)], ids=str)
def test_bits_of_one_width_go_there_and_back(source, target):
    x = (np.arange(8) - 4 * (source == dt.int4)).astype(source)
    there = run(ew.bitcast_convert, x, dtype=target)
    back = run(ew.bitcast_convert, there, dtype=source)
    assert there.dtype == target and back.tobytes() == x.tobytes()
    if target == dt.uint4:
        assert there.astype(int).tolist() == [12, 13, 14, 15, 0, 1, 2, 3]


@pytest.mark.parametrize("op, type, target, error, message", [
    (ew.bitcast_convert, Type(dt.float32, (3,)), dt.int8, DtypeError, "32 bits but int8 has 8"),
    (ew.bitcast_convert, Type(dt.bool_, (3,)), dt.int8, DtypeError, "bool has 1 bits but int8"),
    (ew.bitcast_convert, Type(dt.complex64, ()), dt.float64, DtypeError, "complex64 has 64 bits"),
    (bitcast_regroup, Type(dt.float32, (3,)), dt.int32, DtypeError, "both have 32 bits"),
    (bitcast_regroup, Type(dt.int8, (3,)), dt.int32, ShapeError, r"\(3,\), whose last axis"),
    (bitcast_regroup, Type(dt.int8, ()), dt.int32, ShapeError, r"shape \(\), whose last axis"),
    (bitcast_regroup, Type(dt.int8, (3,)), dt.float6_e2m3fn, DtypeError, "neither is a multiple"),
    (bitcast_regroup, Type(dt.complex128, ()), dt.float64, DtypeError, "complex128 to float64")])
def test_bits_that_do_not_fit_are_refused(op, type, target, error, message):
    with pytest.raises(error, match=message):
        op.result_types([type], {"dtype": target})


# -- top_k -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [d for d in dt.ALL if not dt.is_complex(d)], ids=str)
def test_the_largest_are_those_of_xla(dtype):
    x = np.array([CORNERS + [0.0, -np.nan, 1.0, -0.0]])
    if not dt.is_float(dtype):
        x = np.array([[3, 1, 3, 100, 2, 100, 0, 1]])
    x = x.astype(dtype)
    for k in (0, 1, 4, x.shape[1]):
        values, places = top_k.evaluate([x], {"k": k})
        with jax.enable_x64(True):
            their_values, their_places = jax.lax.top_k(x, k)
        assert np.array_equal(places, their_places) and places.dtype == dt.int32
        their_values = np.asarray(their_values)
        equal(values, their_values)
        if dt.is_float(dtype):
            known = ~np.isnan(values)
            assert np.array_equal(np.signbit(values[known]), np.signbit(their_values[known]))


def test_many_equal_elements_come_in_their_order():
    x = np.random.default_rng(0).integers(0, 20, (3, 500))
    for dtype in (np.float32, np.float64):
        wanted = np.argsort(-x, axis=1, kind="stable")[:, :60]
        assert np.array_equal(top_k.evaluate([x.astype(dtype)], {"k": 60})[1], wanted)


@pytest.mark.parametrize("type, k, error, message", [
    (Type(dt.float32, (3, 4)), 5, ShapeError, r"k = 5 of a shape \(3, 4\)"),
    (Type(dt.float32, ()), 0, ShapeError, r"k = 0 of a shape \(\)"),
    (Type(dt.complex64, (3,)), 1, DtypeError, "complex numbers have no order")])
def test_what_has_no_largest_is_refused(type, k, error, message):
    with pytest.raises(error, match=f"top_k: {message}"):
        top_k.result_types([type], {"k": k})

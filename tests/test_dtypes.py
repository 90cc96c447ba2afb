"""Dtypes: spellings, predicates, defaults, and the promotion lattice against JAX's."""

import enum
import itertools
import json
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

from arraylib import dtypes
from arraylib.config import config
from arraylib.errors import DtypeError

SCALARS = {"int": 1, "float": 1.0, "complex": 1j, "bool": True}
NAMES = [dtypes.name(d) for d in dtypes.ALL]

ORACLE = """
import itertools, json, sys
import jax, jax.numpy as jnp
names, scalars = json.loads(sys.argv[1]), {"int": 1, "float": 1.0, "complex": 1j, "bool": True}
table = {}
for bits in 32, 64:
    jax.config.update("jax_enable_x64", bits == 64)
    for pair in itertools.product([*names, *scalars], repeat=2):
        if bits == 32 and any("64" in n and n != "complex64" or "128" in n for n in pair):
            continue  # JAX truncates these
        try:
            found = jnp.result_type(*[scalars.get(n, n) for n in pair]).name
        except Exception as error:
            found = type(error).__name__
        table[" ".join((str(bits), *pair))] = found
print(json.dumps(table))
"""


@pytest.fixture(scope="module")
def oracle() -> dict[str, str]:
    """What JAX promotes every pair of dtypes and scalars to, with 32 and with 64 bits."""
    pytest.importorskip("jax")
    command = [sys.executable, "-c", ORACLE, json.dumps(NAMES)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("bits", [32, 64])
def test_promotion_is_that_of_jax(oracle, bits):
    checked = 0
    with config.using(default_bits=bits):
        for pair in itertools.product([*NAMES, *SCALARS], repeat=2):
            expected = oracle.get(" ".join((str(bits), *pair)))
            if expected is None:
                continue
            try:
                found = dtypes.promote(*[SCALARS.get(n, n) for n in pair]).name
            except DtypeError:
                found = "TypePromotionError"
            assert found == expected, pair
            checked += 1
    assert checked == {32: 17**2, 64: 21**2}[bits]


@pytest.mark.parametrize("bits", [32, 64])
def test_promotion_does_not_depend_on_the_order(bits):
    def join(*operands):
        try:
            return dtypes.promote(*operands)
        except DtypeError:
            return None

    with config.using(default_bits=bits):
        for a, b, c in itertools.combinations_with_replacement(dtypes.ALL, 3):
            assert len({join(*p) for p in itertools.permutations((a, b, c))}) == 1


def test_all_operands_are_promoted_at_once():
    """int64 with uint64 is a weak float, which a half then decides; pair by pair it is float32."""
    first = dtypes.promote(dtypes.int64, dtypes.uint64)
    assert dtypes.promote(dtypes.int64, dtypes.uint64, dtypes.float16) is dtypes.float16
    assert dtypes.promote(first, dtypes.float16) is dtypes.float32


def test_a_python_scalar_never_widens():
    for d in dtypes.ALL:
        assert dtypes.promote(d, True) is d
        if dtypes.is_inexact(d):
            assert dtypes.promote(d, 2) is d and dtypes.promote(d, 2.0) is d


def test_explicit_64_bits_are_kept():
    for d in (dtypes.int64, dtypes.uint64, dtypes.float64, dtypes.complex128):
        assert dtypes.dtype(d.name) is d and dtypes.dtype(d.type) is d
        assert dtypes.promote(d, 1) is d
    assert dtypes.promote(np.float64, dtypes.float32) is dtypes.float64


def test_spellings_of_one_dtype_are_one_object():
    for spelling in (np.float32, "float32", "f4", "<f4", "single", np.dtype("float32")):
        assert dtypes.dtype(spelling) is dtypes.float32
    assert dtypes.dtype(np.dtype("longlong")) is dtypes.int64
    assert dtypes.dtype("bfloat16") is dtypes.dtype(ml_dtypes.bfloat16) is dtypes.bfloat16


@pytest.mark.parametrize(
    ("given", "narrow", "wide"),
    [(int, "int32", "int64"), (float, "float32", "float64"), (complex, "complex64", "complex128")],
)
def test_python_types_stand_for_the_defaults(given, narrow, wide):
    assert dtypes.dtype(given) == dtypes.dtype(given.__name__) == dtypes.of(given(3)) == narrow
    with config.using(default_bits=64):
        assert dtypes.dtype(given) == dtypes.dtype(given.__name__) == dtypes.of(given(3)) == wide


def test_numpy_data_narrows_by_default_only():
    narrowed = {"int64": "int32", "uint64": "uint32", "float64": "float32"}
    narrowed["complex128"] = "complex64"
    for d in dtypes.ALL:
        data = np.ones(3, d)
        assert dtypes.of(data) == narrowed.get(d.name, d.name)
        assert dtypes.of(data[0]) == narrowed.get(d.name, d.name)
        with config.using(default_bits=64):
            assert dtypes.of(data) is d
    assert dtypes.of(np.ones(0, np.int64)) is dtypes.int32


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2**31, r"array: 2147483648 does not fit int32.*-2147483648 to 2147483647"),
        (-(2**31) - 1, "array: -2147483649 does not fit int32"),
        (np.array([1, 2**40]), "array: 1099511627776 does not fit int32"),
        (np.array([-(2**40), 1]), "array: -1099511627776 does not fit int32"),
        (np.uint64(2**32), "array: 4294967296 does not fit uint32"),
    ],
)
def test_an_integer_that_does_not_fit_is_refused(value, message):
    with pytest.raises(OverflowError, match=message) as caught:
        dtypes.of(value)
    assert "dtype=int64, or set config.default_bits = 64" in str(caught.value)
    with config.using(default_bits=64):
        assert dtypes.bits(dtypes.of(value)) == 64


def test_the_largest_integers_fit():
    assert dtypes.of(2**31 - 1) is dtypes.of(-(2**31)) is dtypes.int32
    assert dtypes.of(np.array([-(2**31), 2**31 - 1])) is dtypes.int32
    dtypes.check_fits(255, dtypes.uint8)
    with pytest.raises(OverflowError, match="add: 256 does not fit uint8, which holds 0 to 255"):
        dtypes.check_fits(256, dtypes.uint8, op="add")
    with pytest.raises(OverflowError) as caught:
        dtypes.of(2**70)
    assert "try" not in str(caught.value)  # no integer dtype holds it


@pytest.mark.parametrize(
    ("given", "hint"),
    [("f32", "float32"), ("f8E5M2", "float8_e5m2"), ("flaot32", "float32"), ("u8x", "one of bool")],
)
def test_an_unknown_name_gets_a_suggestion(given, hint):
    with pytest.raises(DtypeError, match=f"zeros: '{given}' is not a dtype of arraylib") as caught:
        dtypes.dtype(given, op="zeros")
    assert f"try: {hint}" in str(caught.value)


@pytest.mark.parametrize("given", [None, object, ">f4", "M8[s]", "f8,i4", [], np.longdouble, 3])
def test_what_is_no_dtype_is_refused(given):
    with pytest.raises(TypeError, match="is not a dtype of arraylib"):
        dtypes.dtype(given)


@pytest.mark.parametrize("value", ["text", None, object(), np.array(["text"]), np.array([None])])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(DtypeError):
        dtypes.of(value)


def test_subclasses_of_python_numbers():
    class Axis(enum.IntEnum):
        ROWS = 0

    class Length(float):
        pass

    assert dtypes.of(Axis.ROWS) is dtypes.int32 and dtypes.of(Length(2)) is dtypes.float32
    assert dtypes.promote(dtypes.int8, Axis.ROWS) is dtypes.int32  # only plain scalars are weak


def test_an_array_of_any_library_keeps_its_dtype():
    class Carrier:
        dtype = np.dtype(np.float64)

    assert dtypes.of(Carrier()) is dtypes.float64
    assert dtypes.promote(Carrier(), 1.0) is dtypes.float64


def test_predicates_agree_with_numpy_and_ml_dtypes():
    for d in dtypes.ALL:
        low = dtypes.is_half(d) or dtypes.is_float8(d)
        kind = "f" if low else d.kind
        assert dtypes.is_bool(d) == (kind == "b")
        assert (dtypes.is_signed(d), dtypes.is_unsigned(d)) == (kind == "i", kind == "u")
        assert dtypes.is_integer(d) == (kind in "iu")
        assert (dtypes.is_float(d), dtypes.is_complex(d)) == (kind == "f", kind == "c")
        assert dtypes.is_inexact(d) == (kind in "fc")
        assert dtypes.bits(d) == 8 * np.zeros((), d).nbytes
        assert low == (kind == "f" and dtypes.bits(d) < 32)


def test_names_are_distinct_and_lead_back():
    for d in dtypes.ALL:
        assert dtypes.name(d) == d.name and dtypes.dtype(dtypes.name(d)) is d
        assert dtypes.from_hlo_name(dtypes.hlo_name(d)) is d
    assert len({dtypes.short_name(d) for d in dtypes.ALL}) == len(dtypes.ALL)
    assert dtypes.from_hlo_name("tf32") is None
    spelled = {dtypes.hlo_name(dtypes.dtype(n)) for n in ("bool", "uint8", "int8", "complex64")}
    assert spelled == {"i1", "ui8", "i8", "complex<f32>"}


def test_limits():
    assert dtypes.finfo(dtypes.bfloat16).eps == 2**-7
    assert dtypes.finfo(dtypes.float8_e4m3fn).max == 448
    assert dtypes.finfo(dtypes.complex64).eps == 2**-23
    assert dtypes.iinfo(dtypes.uint16).max == 65535


def test_parts_of_complex_numbers():
    for real, complex_ in (("float32", "complex64"), ("float64", "complex128")):
        assert dtypes.to_complex(dtypes.dtype(real)) == complex_
        assert dtypes.to_complex(dtypes.dtype(complex_)) == complex_
        assert dtypes.to_real(dtypes.dtype(complex_)) == dtypes.to_real(dtypes.dtype(real)) == real


def test_storage_dtypes_are_those_of_ml_dtypes():
    assert not set(dtypes.STORAGE) & set(dtypes.ALL)
    for d in dtypes.STORAGE:
        assert d == np.dtype(getattr(ml_dtypes, d.name)) and dtypes.name(d) == d.name
        assert dtypes.dtype(d.name) is dtypes.dtype(d.type) is d
        assert dtypes.from_hlo_name(dtypes.hlo_name(d)) is d
        floating = d.name.startswith("float")
        assert dtypes.is_float(d) == dtypes.is_inexact(d) == dtypes.is_float8(d) == floating
        assert dtypes.is_integer(d) != floating
        assert dtypes.kind(d) == ("f" if floating else d.name[0])
    names = [dtypes.short_name(d) for d in (*dtypes.ALL, *dtypes.STORAGE)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "hlo", "bits", "low", "high"),
    [("int2", "i2", 2, -2, 1), ("int4", "i4", 4, -8, 7), ("uint2", "ui2", 2, 0, 3),
     ("uint4", "ui4", 4, 0, 15), ("float4_e2m1fn", "f4E2M1FN", 4, -6, 6),
     ("float6_e2m3fn", "f6E2M3FN", 6, -7.5, 7.5), ("float6_e3m2fn", "f6E3M2FN", 6, -28, 28),
     ("float8_e3m4", "f8E3M4", 8, -15.5, 15.5), ("float8_e4m3", "f8E4M3", 8, -240, 240),
     ("float8_e4m3b11fnuz", "f8E4M3B11FNUZ", 8, -30, 30),
     ("float8_e4m3fnuz", "f8E4M3FNUZ", 8, -240, 240),
     ("float8_e5m2fnuz", "f8E5M2FNUZ", 8, -57344, 57344),
     ("float8_e8m0fnu", "f8E8M0FNU", 8, 2.0**-127, 2.0**127)])
def test_widths_and_limits_of_storage_dtypes(name, hlo, bits, low, high):
    d = dtypes.from_hlo_name(hlo)
    limits = (dtypes.iinfo if dtypes.is_integer(d) else dtypes.finfo)(d)
    assert (d.name, dtypes.bits(d), limits.bits) == (name, bits, bits)
    assert (float(limits.min), float(limits.max)) == (low, high)


STORED_PAIRS = [*itertools.product([d.name for d in dtypes.STORAGE], ["int8", "float32", "bool"]),
                ("int4", "uint4"), ("float4_e2m1fn", "float8_e4m3fn"), ("uint2", "uint2")]


def test_storage_dtypes_are_promoted_as_by_jax():
    """They keep Python scalars and truth values, and mix with little else."""
    jnp = pytest.importorskip("jax.numpy")
    for first, second in [*STORED_PAIRS, *itertools.product(
            [d.name for d in dtypes.STORAGE], SCALARS)]:
        try:
            wanted = jnp.result_type(first, SCALARS.get(second, second)).name
        except Exception:
            wanted = DtypeError
        try:
            found = dtypes.promote(first, SCALARS.get(second, second)).name
        except DtypeError:
            found = DtypeError
        assert found == wanted, (first, second)

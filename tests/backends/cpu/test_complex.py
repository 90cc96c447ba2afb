"""Complex numbers in kernels: the functions, memory as it lies, sums; and as constants."""

import numpy as np
import pytest
from agreement_engine import distance
from elementwise_kernel import evaluate, kernel_text

import arraylib
import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.backends.cpu import native, target
from arraylib.hlo.ops import TABLE

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

BOTH = [dt.complex64, dt.complex128]
CONSTANTS = [(np.complex64, 1 - 2j), (np.complex128, -3.5 + 1e300j), (jnp.float8_e4m3fn, 1.5)]


@pytest.mark.parametrize("dtype, value", CONSTANTS, ids=lambda x: getattr(x, "__name__", str(x)))
def test_constants(dtype, value):
    out = arraylib.jit(lambda x: jnp.where(x > 0, jnp.full(3, value, dtype), dtype(0)))(
        jnp.array([1.0, -1.0, 2.0]))
    np.testing.assert_array_equal(np.asarray(out), np.array([value, 0, value]).astype(dtype))


def _steps(c):
    """How many steps z -> z * z + c take to leave the circle of radius 2, at most 30."""
    return arraylib.lax.while_loop(lambda s: (jnp.abs(s[0]) <= 2) & (s[1] < 30),
                                   lambda s: (s[0] * s[0] + c, s[1] + 1), (0j, 0))[1]


def _steps_in_python(c):
    z, count = 0j, 0
    while abs(z) <= 2 and count < 30:
        z, count = z * z + c, count + 1
    return count


def test_complex_numbers_in_a_loop():
    points = [0.0, 1.0, -1.0, 0.25 + 0.5j, 1j]
    wanted = [_steps_in_python(c) for c in points]
    assert arraylib.jit(arraylib.vmap(_steps))(jnp.array(points)).tolist() == wanted
    assert [int(_steps(c)) for c in jnp.array(points)] == wanted


# -- functions -------------------------------------------------------------------------------------

# The most, in units of the last place of the absolute value.
MOST = {"tanh": 6, "tan": 6, "atan": 6, "exponential_minus_one": 6, "divide": 5, "rsqrt": 5,
        "power": 64}
UNARY = [name for name, row in native.NATIVE.items()
         if "c" in row and row["c"].__code__.co_argcount == 1]
BINARY = ["add", "subtract", "multiply", "divide", "power", "maximum", "minimum"]
EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, 3.0, 1e-30, -95.0, np.inf, -np.inf, np.nan]


def numbers(dtype, seed=0):
    """Around 0 and 1, of many sizes, and on the unit circle."""
    random, n = np.random.default_rng(seed), 500
    turn, size = random.uniform(0, 7, n), 10 ** random.uniform(-8, 1, n)
    parts = [(random.normal(size=n), random.normal(size=n)),
             (random.normal(size=n) * size, random.normal(size=n) * size),
             (1 + random.normal(size=n) * size / 10, random.normal(size=n) * size / 10),
             (np.cos(turn), np.sin(turn))]
    return np.concatenate([a + 1j * b for a, b in parts]).astype(dtype)


def grid(dtype, values):
    """All numbers with these parts."""
    real, imag = np.meshgrid(np.array(values), np.array(values))
    found = np.empty(real.size, dtype)
    found.real, found.imag = real.ravel(), imag.ravel()
    return found


def reference(name, *operands):
    """What the record says, complex64 in complex128."""
    wide = [x.astype(np.complex128) for x in operands]
    found = np.asarray(TABLE[name].numpy(*wide))
    return found.astype(np.complex64 if np.iscomplexobj(found) else np.float32) \
        if operands[0].dtype == dt.complex64 else found


@pytest.mark.parametrize("dtype", BOTH, ids=str)
@pytest.mark.parametrize("name", UNARY)
def test_functions(name, dtype):
    x = numbers(dtype)
    wanted = reference(name, x)
    far = distance(evaluate(name, x, result=wanted.dtype), wanted)
    if name == "logistic":  # near a pole a little of x is much of the result
        far = far[np.abs(wanted) < 10] / 4
    assert far.max() <= MOST.get(name, 4)


@pytest.mark.parametrize("dtype", BOTH, ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two(name, dtype):
    x, y = numbers(dtype), numbers(dtype, seed=1)
    if name == "power":
        y = np.where(np.abs(y) > 4, 0.5, y).astype(dtype)
    assert distance(evaluate(name, x, y), reference(name, x, y)).max() <= MOST.get(name, 4)


@pytest.mark.parametrize("dtype", BOTH, ids=str)
@pytest.mark.parametrize("name", [n for n in UNARY if n not in ("logistic", "rsqrt", "cbrt")])
def test_special_values(name, dtype):
    """Those of NumPy, which has C99's (Annex G)."""
    x = grid(dtype, EDGES)
    wanted = np.asarray(TABLE[name].numpy(x))
    found = evaluate(name, x, result=wanted.dtype)
    for part in (np.real, np.imag):
        a, b = part(found), part(wanted)
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        np.testing.assert_array_equal(np.isinf(a) * np.sign(a), np.isinf(b) * np.sign(b))
    assert distance(found, wanted).max() <= 4


@pytest.mark.parametrize("processor", ["avx2", "sse2"])
@pytest.mark.parametrize("dtype", BOTH, ids=str)
@pytest.mark.parametrize("name", ["exponential", "sinh", "cosh", "tanh", "log", "sqrt", "asin"])
def test_large_parts_on_older_processors(name, dtype, processor, monkeypatch):
    """There a power of two is multiplied with in two steps, which do not reach as far."""
    monkeypatch.setattr(target, "current", lambda: target.find(processor))
    x = grid(dtype, [*EDGES, 50.0, -100.0, 150.0, 185.0, 800.0, -1200.0, 1430.0, 1e6, 1e30])
    wanted = reference(name, x) if dtype == dt.complex64 else TABLE[name].numpy(x)
    assert distance(evaluate(name, x), wanted).max() <= MOST.get(name, 4) + 2


@pytest.mark.parametrize("dtype", BOTH, ids=str)
def test_quotients_of_special_values(dtype):
    parts = [0.0, -0.0, 1.0, -2.0, np.inf, -np.inf, np.nan]
    x, y = (v.ravel() for v in np.meshgrid(grid(dtype, parts), grid(dtype, parts)))
    found, wanted = evaluate("divide", x, y), TABLE["divide"].numpy(x, y)
    ends = (y == 0) | np.isfinite(x) | np.isfinite(y)
    assert distance(found, wanted)[ends].max() <= 2


@pytest.mark.parametrize("scale", [1e-308, 1e-160, 1e160, 1e307])
def test_no_step_overflows_or_vanishes(scale):
    z = np.array([3 + 4j, -1 + 2j, 0.5 - 1j, 4 + 0j, -2j]) * scale
    unit = z / scale
    assert np.allclose(evaluate("abs", z, result=float), np.abs(z), rtol=1e-14, atol=0)
    assert np.allclose(evaluate("sign", z), np.sign(unit), rtol=1e-14)
    assert np.allclose(evaluate("divide", z, z[::-1]), unit / unit[::-1], rtol=1e-13)
    assert np.allclose(evaluate("sqrt", z), np.sqrt(unit) * np.sqrt(scale), rtol=1e-13, atol=0)
    assert np.allclose(evaluate("log", z), np.log(unit) + np.log(scale), rtol=1e-14)


@pytest.mark.parametrize("direction", ["EQ", "NE", "LT", "LE", "GT", "GE"])
def test_comparison(direction):
    x, y = (v.ravel() for v in np.meshgrid(*[grid(dt.complex64, [0.0, 1.0, -1.0, np.nan])] * 2))
    np.testing.assert_array_equal(
        evaluate("compare", x, y, result=bool, direction=direction),
        TABLE["compare"].numpy(x, y, direction=direction))


@pytest.mark.parametrize("name", UNARY + BINARY)
def test_no_library_is_called(name):
    """Only the module's own function for angles far from zero."""
    dtype = dt.complex64
    operands = [np.ones(1, dtype)] * (1 if name in UNARY else 2)
    result = TABLE[name].numpy(*operands).dtype
    text = kernel_text(name, (dtype,) * len(operands), result, {})
    called = {line.split()[1].split("@")[0] for line in target.assembly(text).splitlines()
              if "\tcall" in line}
    assert all(symbol.startswith("far_") for symbol in called), called


# -- memory ----------------------------------------------------------------------------------------


def run(function, x):
    """What a program gives; the host has no part in it."""
    program = arraylib.jit(function)
    given = jnp.array(x, dtype=x.dtype)
    assert "host" not in program.lower(given).text("plan")
    return np.asarray(program(given))


def array(dtype, *shape):
    random = np.random.default_rng(len(shape))
    return (random.normal(size=shape) + 1j * random.normal(size=shape)).astype(dtype)


MOVES = {
    "conjugate transpose": (lambda x: jnp.conj(x.T), lambda x: np.conj(x.T)),
    "every other, backwards": (lambda x: -x[:, ::-2], lambda x: -x[:, ::-2]),
    "every fifth row": (lambda x: x[::5, 3:] * 2, lambda x: x[::5, 3:] * 2),
    "columns taken": (lambda x: x[:, jnp.array([3, 0, 30])] + 1, lambda x: x[:, [3, 0, 30]] + 1),
    "joined": (lambda x: jnp.concatenate([x, x * 1j], axis=1),
               lambda x: np.concatenate([x, x * np.complex64(1j)], axis=1)),
    "padded": (lambda x: jnp.pad(x, 2), lambda x: np.pad(x, 2)),
    "spread": (lambda x: x[:, :1] + x, lambda x: x[:, :1] + x),
    "chosen": (lambda x: jnp.where(x.real > 0, x, 1 - 1j), lambda x: np.where(
        x.real > 0, x, np.complex64(1 - 1j))),
    "parts": (lambda x: jnp.real(x) - jnp.imag(x), lambda x: x.real - x.imag),
    "counted": (lambda x: x + jnp.arange(37).astype(x.dtype), lambda x: x + np.arange(37).astype(
        x.dtype)),
    "updated": (lambda x: x.at[3, 4:].set(2j), lambda x: _updated(x)),
    "integers": (lambda x: x.real.astype(jnp.int32), lambda x: x.real.astype(np.int32)),
}


def _updated(x):
    found = x.copy()
    found[3, 4:] = 2j
    return found


@pytest.mark.parametrize("dtype", BOTH, ids=str)
@pytest.mark.parametrize("name", MOVES)
def test_memory(name, dtype):
    ours, numpy = MOVES[name]
    x = array(dtype, 43, 37)
    np.testing.assert_array_equal(run(ours, x), numpy(x))


FOLDS = {
    "all": (jnp.sum, np.sum),
    "rows": (lambda x: jnp.sum(x, axis=1), lambda x: np.sum(x, axis=1)),
    "columns": (lambda x: jnp.sum(x, axis=0), lambda x: np.sum(x, axis=0)),
    "products": (lambda x: jnp.prod(x[:, :9], axis=1), lambda x: np.prod(x[:, :9], axis=1)),
    "running along": (lambda x: jnp.cumsum(x, axis=1), lambda x: np.cumsum(x, axis=1)),
    "running across": (lambda x: jnp.cumsum(x, axis=0), lambda x: np.cumsum(x, axis=0)),
    "norm": (lambda x: jnp.sqrt(jnp.sum(jnp.abs(x) ** 2)), np.linalg.norm),
    "added": (lambda x: jnp.zeros(7, x.dtype).at[jnp.arange(41) % 7].add(x[:41, 0]),
              lambda x: np.array([x[i:41:7, 0].sum() for i in range(7)])),
}


@pytest.mark.parametrize("shape", [(43, 37), (64, 1024), (1, 40000)], ids=str)
@pytest.mark.parametrize("dtype", BOTH, ids=str)
@pytest.mark.parametrize("name", FOLDS)
def test_sums(name, dtype, shape):
    ours, numpy = FOLDS[name]
    if shape[0] < 41 and name == "added":
        return
    x = array(dtype, *shape)
    found, wanted = run(ours, x), numpy(x.astype(np.complex128))
    assert found.dtype == (dt.to_real(dtype) if name == "norm" else dtype)
    np.testing.assert_allclose(found, wanted, rtol=1e-4 if dtype == dt.complex64 else 1e-11,
                               atol=dt.finfo(dtype).eps * np.abs(wanted).max() * 30)

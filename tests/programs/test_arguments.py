"""What goes into a compiled program and what comes out: donation, many arguments, odd sizes."""

import ml_dtypes
import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import tree
from arraylib.backends.cpu import pool
from arraylib.config import config
from arraylib.errors import DonatedError

DTYPES = ("bool", "int8", "uint8", "int16", "int32", "uint32", "int64", "uint64", "float16",
          "bfloat16", "float32", "float64", "complex64", "complex128", "float8_e4m3fn")
SIZES = (*range(1, 41), 63, 64, 65, 1000, 4097)


def dtype_of(name):
    return np.dtype(getattr(ml_dtypes, name, name))


def own(x):
    """An array with its dtype kept."""
    return arraylib.Array(x, x.dtype)


def numbers(shape, name, seed=0):
    rng = np.random.default_rng(seed)
    dtype = dtype_of(name)
    if name == "bool":
        return rng.random(shape) < 0.7
    return rng.integers(0 if dtype.kind == "u" else -8, 9, shape).astype(dtype)


def exact(x):
    """Bytes, with one for all nans."""
    x = np.asarray(x)
    return x.astype(np.float64) if x.dtype.kind in "fV" else x


def assert_as_interpreted(function, *arrays):
    xs = [own(x) for x in arrays]
    found = tree.leaves(arraylib.jit(function)(*xs))
    with config.using(backend="reference"):
        wanted = tree.leaves(arraylib.jit(function)(*xs))
    for i, (a, b) in enumerate(zip(found, wanted, strict=True)):
        assert a.dtype == b.dtype and a.shape == b.shape, i
        np.testing.assert_array_equal(exact(a), exact(b), err_msg=str(i))


# -- sizes -----------------------------------------------------------------------------------------

REDUCTIONS = {
    "sum": lambda x, a: jnp.sum(x, a, dtype=None if x.dtype == bool else x.dtype),
    "max": jnp.max,
    "argmin": lambda x, a: jnp.argmin(x, a if isinstance(a, int) else None),
    "any": jnp.any,
}
KINDS = {  # shapes with one axis of size n, and the axes that are reduced
    "vector": (lambda n: (n,), 0), "row": (lambda n: (3, n), 1), "column": (lambda n: (n, 3), 0),
    "wide column": (lambda n: (3, n), 0), "middle": (lambda n: (2, n, 5), 1),
    "outer": (lambda n: (3, n, 2), (0, 2)), "all": (lambda n: (2, n, 3), (0, 1, 2)),
}


@pytest.mark.parametrize("dtype", DTYPES[:12])
def test_reductions_of_all_sizes(dtype):
    """Whole numbers small enough to add up without rounding."""
    for i, (shape, axes) in enumerate(KINDS.values()):
        sizes = SIZES[i % 2::2]
        arrays = [numbers(shape(n), dtype, n) for n in sizes]
        name = [*REDUCTIONS][(i + DTYPES.index(dtype)) % 4]
        assert_as_interpreted(lambda *xs, f=REDUCTIONS[name], a=axes: [f(x, a) for x in xs],
                              *arrays)


@pytest.mark.parametrize("dtype", DTYPES)
def test_moves_of_all_sizes(dtype):
    arrays = [numbers((n, 3) if n % 2 else (2, n), dtype, n) for n in SIZES[::2]]
    assert_as_interpreted(lambda *xs: [x[::-1] for x in xs] + [x[:, ::-2] for x in xs], *arrays)
    assert_as_interpreted(lambda *xs: [jnp.where(x[:1] == x, x, x[:, :1]).T for x in xs], *arrays)


@pytest.mark.parametrize("n", [1, 7, 16, 33, 65])
def test_unit_axes_against_long_ones(n):
    x, y, z = (numbers(shape, "float32", i) for i, shape in enumerate(((n, 1), (1, n), (1, 1, 1))))
    assert_as_interpreted(lambda x, y, z: [x + y, x * y - z, (x - y).sum(0) + y, x.T - y, z + x],
                          x, y, z)


# -- results ---------------------------------------------------------------------------------------


def test_results_that_are_arguments():
    x, y = own(np.arange(5.0, dtype=np.float32)), own(np.arange(3, dtype=np.int8))
    a, b, c, d, e = arraylib.jit(lambda x, y: (y, x, x, x + 1, x))(x, y)
    for found, wanted in ((a, y), (b, x), (c, x), (e, x)):
        np.testing.assert_array_equal(found, wanted)
    b.delete()  # results are arrays of their own
    np.testing.assert_array_equal(c, np.arange(5))
    np.testing.assert_array_equal(x, np.arange(5))
    np.testing.assert_array_equal(d, np.arange(5) + 1)


@pytest.mark.parametrize("name", DTYPES)
def test_constants(name):
    data = numbers((3, 5), name, 4)
    large = numbers((70, 33), name, 5)
    held = own(large)

    def function(x):
        return jnp.asarray(data, dtype_of(name)), held, x, jnp.full((4,), data[0, 0], data.dtype)

    a, b, c, d = arraylib.jit(function)(own(data))
    for found, wanted in ((a, data), (b, large), (c, data), (d, np.full(4, data[0, 0]))):
        assert found.dtype == data.dtype
        np.testing.assert_array_equal(np.asarray(found).astype(complex), wanted.astype(complex))


@pytest.mark.parametrize("count", [1, 17, 300])
def test_many_arguments(count):
    arrays = [own(np.full((i % 5,), i, np.float32)) for i in range(count)]
    out = arraylib.jit(lambda *xs: ([x + 1 for x in xs], sum(map(jnp.sum, xs)), xs[::-1]))(*arrays)
    for i, x in enumerate(out[0]):
        np.testing.assert_array_equal(x, np.full((i % 5,), i + 1))
    assert float(out[1]) == sum(i * (i % 5) for i in range(count))
    for i, x in enumerate(reversed(out[2])):
        np.testing.assert_array_equal(x, np.full((i % 5,), i))


def test_scalars_and_empty_arrays():
    for shape in ((), (0,), (0, 3), (2, 0), (1, 1, 1)):
        x = np.ones(shape, np.float32)
        assert_as_interpreted(lambda x: [
            x * 2, jnp.sum(x), jnp.sum(x, keepdims=True), x.reshape(-1), jnp.floor(x).T,
            jnp.stack([x, x]), x.astype("int8"), jnp.any(x > 0), jnp.cumsum(x),
            jnp.sort(x.ravel())], x)
    assert_as_interpreted(lambda x, y: [x @ y, jnp.einsum("ij,jk->k", x, y)],
                          np.ones((3, 0), np.float32), np.ones((0, 2), np.float32))


# -- donation --------------------------------------------------------------------------------------

STEPS = {
    "same": lambda x, y: (x + y,),
    "turned over": lambda x, y: (x.T * 2 + y,),
    "reversed": lambda x, y: (x[::-1] + 1, x[:, ::-1]),
    "twice": lambda x, y: (x + 1, x * 2, y),
    "itself": lambda x, y: (x, y - x),
    "reduced": lambda x, y: (x - x.sum(0), x.max(1, keepdims=True) + y),
    "moved on": lambda x, y: (jnp.roll(x, 1, 0) + x, jnp.concatenate([x[1:], y[:1]])),
    "scattered": lambda x, y: (x.at[1].set(y[0]), x.at[np.array([0, 2])].add(y[:2])),
    "sliced": lambda x, y: (x.at[1:, 2:].multiply(3), x[1:]),
    "product": lambda x, y: (x @ y, x),
    "sorted": lambda x, y: (jnp.sort(x, 0), jnp.cumsum(x, 1)),
    "loop": lambda x, y: arraylib.lax.fori_loop(0, 3, lambda i, c: (c[1].T, c[0] + c[1]), (x, y)),
    "swapped": lambda x, y: (y, x),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("donated", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize("n", [5, 33])
def test_donation(name, donated, n):
    """Results are right, what is donated is gone, and nothing else has changed."""
    f, data = STEPS[name], [numbers((n, n), "float32", i) for i in range(2)]
    wanted = [np.asarray(x) for x in f(*map(own, data))]
    jitted = arraylib.jit(f, donate_argnums=donated)
    for _ in range(3):
        # what a program made, what NumPy holds, and what NumPy has looked at
        for arrays in ([own(x) + 0 for x in data], [own(x) for x in data]):
            seen = [np.asarray(x) for x in arrays]
            found = jitted(*arrays)
            for a, b in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(a, b)
            for i, x in enumerate(arrays):
                np.testing.assert_array_equal(seen[i], data[i])
                if i in donated:
                    with pytest.raises(DonatedError, match="donated"):
                        np.asarray(x)
                else:
                    np.testing.assert_array_equal(x, data[i])


def test_donated_arrays_change_hands_many_times():
    step = arraylib.jit(lambda x, y: (y * 0.5, x + y), donate_argnums=(0, 1))
    x, y = jnp.ones((40, 30)), jnp.ones((40, 30))
    a, b = np.ones((40, 30), np.float32), np.ones((40, 30), np.float32)
    for _ in range(20):
        x, y = step(x, y)
        a, b = (b * np.float32(0.5)), a + b
    np.testing.assert_array_equal(x, a)
    np.testing.assert_array_equal(y, b)


def test_one_array_donated_and_kept():
    x = jnp.ones((9, 9))
    with pytest.raises(DonatedError, match="same array"):
        arraylib.jit(lambda x, y: x + y, donate_argnums=0)(x, x)


# -- threads ---------------------------------------------------------------------------------------


def _work(x, y):
    """Something of everything that threads share."""
    return (jnp.sum(x), jnp.sum(x, 0), jnp.mean(jnp.sin(x), 1), x @ y, jnp.cumsum(x, 0),
            arraylib.nn.softmax(x), jnp.argmax(x, 1), (x * x + 1).T, jnp.var(x),
            x.at[np.arange(0, 700, 3)].add(1.0), jnp.sort(x, 1), arraylib.nn.logsumexp(x, 0))


def test_results_do_not_depend_on_the_number_of_threads():
    rng = np.random.default_rng(0)
    x, y = (own(rng.standard_normal(s).astype(np.float32)) for s in ((701, 333), (333, 129)))
    found = []
    for threads in (1, 2, 3):
        with config.using(cpu_threads=threads, cache=False):
            pool.set_threads(threads)
            found.append([np.asarray(a).tobytes() for a in arraylib.jit(_work)(x, y)])
    assert found[0] == found[1] == found[2]


@pytest.fixture(autouse=True)
def as_many_threads_as_before():
    before = pool.threads()
    yield
    pool.set_threads(before)

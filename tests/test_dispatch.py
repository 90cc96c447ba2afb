"""NumPy's functions on arrays: they give arrays, in traces as well, and never NumPy's silently."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import arraylib
import arraylib.numpy as jnp
from arraylib import Array, config, jit
from arraylib.errors import ArgumentError, TraceError

X = np.linspace(-1, 2, 12, dtype=np.float32).reshape(3, 4)
Y = np.linspace(0.5, 3, 12, dtype=np.float32).reshape(3, 4)

CALLS = {
    "unary": lambda x, y: np.sin(x),
    "binary": lambda x, y: np.add(x, 1),
    "binary of NumPy's first": lambda x, y: np.arctan2(Y, x),
    "a NumPy array first": lambda x, y: Y + x,
    "a NumPy number first": lambda x, y: np.float32(2) * x,
    "a NumPy number compared": lambda x, y: np.float32(0.5) < x,
    "a product, NumPy's first": lambda x, y: Y.T @ x,
    "a list": lambda x, y: np.multiply(x, [1, 2, 3, 4]),
    "two results": lambda x, y: np.divmod(x, y)[1],
    "two results of a tuple": lambda x, y: np.modf(x),
    "by its second name": lambda x, y: np.absolute(x),
    "defaults of keywords": lambda x, y: np.add(x, y, dtype=None, casting="same_kind", where=True),
    "a mean": lambda x, y: np.mean(x),
    "a sum over an axis": lambda x, y: np.sum(x, axis=1, keepdims=True),
    "joined": lambda x, y: np.concatenate([x, Y], axis=1),
    "stacked": lambda x, y: np.stack([x, y]),
    "chosen": lambda x, y: np.where(x > 0, x, Y),
    "lists for arrays": lambda x, y: np.quantile(x, [0.25, 0.5], axis=0),
    "a list in which elements are": lambda x, y: np.isin(np.round(x), [1, 2]),
    "NumPy's places of arguments": lambda x, y: np.histogram(x, 3, (-1, 2), True)[0],
    "a way of sorting by its place": lambda x, y: np.sort(x, 0, "stable"),
    "clipped by NumPy's keywords": lambda x, y: np.clip(x, a_min=0, a_max=1),
    "sorted in some way": lambda x, y: np.sort(x, axis=0, kind="stable"),
    "like one": lambda x, y: np.zeros_like(x, subok=False),
    "an einsum": lambda x, y: np.einsum("ij,kj->ik", x, Y),
    "a norm": lambda x, y: np.linalg.norm(x, axis=0),
    "a transform": lambda x, y: np.fft.rfft(x),
    "reduced": lambda x, y: np.add.reduce(x, axis=1),
    "accumulated": lambda x, y: np.maximum.accumulate(x),
    "accumulated, which has no quick way": lambda x, y: np.hypot.accumulate(x),
    "outer": lambda x, y: np.subtract.outer(x[0], y[0]),
    "of a namespace": lambda x, y: np.interp(x, np.arange(3.0, dtype=np.float32), Y[0, :3]),
}


def _arrays(result):
    return list(result) if isinstance(result, tuple) else [result]


@pytest.mark.parametrize("name", CALLS)
def test_the_result_is_an_array_with_numpys_elements(name):
    ours = _arrays(CALLS[name](jnp.asarray(X), jnp.asarray(Y)))
    for found, wanted in zip(ours, _arrays(CALLS[name](X, Y)), strict=True):
        assert found.__class__ is Array and found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, 1e-5, 1e-6)


def test_traced_values_stay_in_the_trace():
    def every(x, y):
        return {name: call(x, y) for name, call in CALLS.items()}

    found = jit(every)(X, Y)
    for name, call in CALLS.items():
        for ours, wanted in zip(_arrays(found[name]), _arrays(call(X, Y)), strict=True):
            np.testing.assert_allclose(ours, wanted, 1e-5, 1e-6, err_msg=name)
    slope = arraylib.grad(lambda x: np.sum(np.sin(x) * Y))(jnp.asarray(X))
    np.testing.assert_allclose(slope, np.cos(X) * Y, 1e-5, 1e-6)
    np.testing.assert_allclose(arraylib.vmap(np.mean)(jnp.asarray(X)), X.mean(1), 1e-6)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["add", "multiply", "maximum", "arctan2", "less", "floor_divide"]),
       st.sampled_from(["float16", "float32", "float64", "int8", "int64", "bool", "complex64"]),
       st.sampled_from(["float16", "float32", "float64", "int8", "uint8", "int64", "bool"]),
       st.booleans())
def test_numpys_and_our_functions_are_the_same(name, first, second, swapped):
    """A NumPy operand is what it is to our own function: its dtype is decided in one place."""
    x, y = jnp.array([3, 1, 2]).astype(first), np.array([2, 1, 1]).astype(second)
    pair = (y, x) if swapped else (x, y)
    try:
        wanted = getattr(jnp, name)(*pair)
    except TypeError as error:
        with pytest.raises(type(error)):
            getattr(np, name)(*pair)
        return
    found = getattr(np, name)(*pair)
    assert found.__class__ is Array and found.dtype == wanted.dtype
    assert found.tolist() == wanted.tolist()


def test_a_numpy_array_is_changed_in_its_own_memory():
    a = before = np.ones((3, 4))
    a += jnp.asarray(X)
    assert a is before and a.dtype == np.float64
    np.testing.assert_array_equal(a, X.astype(float) + 1)
    np.add.at(a, 0, jnp.ones(4))
    np.testing.assert_array_equal(a[0], X[0].astype(float) + 2)
    np.copyto(a, jnp.asarray(Y))
    np.testing.assert_array_equal(a, Y)
    np.copyto(src=jnp.asarray(X), dst=a)
    np.testing.assert_array_equal(a, X)
    whole = np.ones(4, int)
    with pytest.raises(TypeError, match="same_kind"):  # NumPy's own
        whole += jnp.ones(4)

    def traced(x):
        a = np.zeros((3, 4))
        a += x
        return a

    with pytest.raises(TraceError, match=r"np\.add: this would be done by NumPy and in its memory"):
        jit(traced)(X)


@pytest.mark.parametrize("call, message", [
    (lambda x: np.add(x, x, out=np.ones((3, 4))), "out= is given"),
    (lambda x: np.add(np.ones((3, 4)), 1, out=x), "out= is given"),
    (lambda x: np.sum(x, out=np.ones(())), "out= is given"),
    (lambda x: np.add.reduce(x, out=np.ones(4)), "out= is given"),
    (lambda x: np.add.at(x, 0, 1), "arrays cannot be changed"),
    (lambda x: np.copyto(x, 1), "arrays cannot be changed"),
    (lambda x: np.copyto(src=X, dst=x), "arrays cannot be changed"),
    (lambda x: np.fill_diagonal(x, 1), "arrays cannot be changed"),
    (lambda x: np.add(x, 1, where=np.ones((3, 4), bool)), "does not take these arguments"),
    (lambda x: np.add(x, 1, dtype="float64"), "does not take these arguments"),
    (lambda x: np.busday_count(x, x), r"no function of this name.*(.|\n)*np.busday_count\(np.as"),
    (lambda x: np.isnat(x), "no function of this name"),
    (lambda x: np.frompyfunc(abs, 1, 1)(x), "no function of this name"),
    (lambda x: np.add(np.ma.masked_array(X, X > 0), x), "would lose its mask"),
    (lambda x: np.concatenate([np.ma.masked_array(X, X > 0), x]), "would lose its mask"),
    (lambda x: x + np.ma.masked_array(X, X > 0), "would lose its mask"),
    (lambda x: jnp.asarray(np.ma.masked_array(X, X > 0), "float32"), "would lose its mask"),
    (lambda x: np.concatenate([x, x], 0, np.ones((6, 4))), "out= is given"),
])
def test_refusals(call, message):
    with pytest.raises(ArgumentError, match=message):
        call(jnp.asarray(X))


def test_text_and_files_are_numpys(tmp_path):
    x = jnp.asarray(X)
    np.savez(tmp_path / "x.npz", x=x)
    with np.load(tmp_path / "x.npz") as saved:
        np.testing.assert_array_equal(saved["x"], X)
    assert np.array2string(x) == np.array2string(X)
    assert np.shape(x) == (3, 4) and np.size(x) == 12 and np.iscomplexobj(x) is False


def test_other_classes_have_their_say():
    class Tagged:
        def __array_ufunc__(self, ufunc, method, *inputs, **words):
            return "tagged"

        def __array_function__(self, function, types, args, words):
            return "tagged"

    x = jnp.asarray(X)
    assert np.add(x, Tagged()) == np.add(Tagged(), x) == "tagged"
    assert np.stack([x, Tagged()]) == "tagged"


def test_lists_keep_their_digits_beside_arrays_of_64_bits():
    x = jnp.ones(2, "float64")
    assert np.multiply(x, [0.1, 2]).tolist() == [0.1, 2]
    assert np.isin(jnp.asarray([0.1, 0.2], "float64"), [0.1]).tolist() == [True, False]
    assert np.add(x.astype("int64"), [0, 2**40]).tolist() == [1, 2**40 + 1]


def test_libraries_that_compute_in_numpys_arrays_find_those():
    optimize, integrate = (pytest.importorskip(f"scipy.{name}") for name in
                           ("optimize", "integrate"))

    @jit
    def f(x):
        return ((x - jnp.arange(3.0)) ** 2).sum()

    start = jnp.zeros(3)
    for method in ("BFGS", "L-BFGS-B"):
        found = optimize.minimize(f, start, jac=arraylib.grad(f), method=method).x
        assert type(found) is np.ndarray and found.dtype == np.float64
        np.testing.assert_allclose(found, np.arange(3.0), atol=1e-3)
    y = integrate.solve_ivp(lambda t, y: jnp.negative(y), (0, 1), start + 1).y
    assert type(y) is np.ndarray and y.dtype == np.float64


def test_scipys_universal_functions():
    special = pytest.importorskip("scipy.special")
    found = special.erf(jnp.asarray(X))
    assert found.__class__ is Array
    np.testing.assert_allclose(found, special.erf(X), 1e-5)
    with pytest.raises(ArgumentError, match=r"scipy\.special\.airy: arraylib has no function"):
        special.airy(jnp.asarray(X))


def test_programs_written_for_jax_find_what_they_know():
    with config.using(numpy_functions="numpy"):
        x = jnp.asarray(X)
        assert type(np.sin(x)) is np.ndarray and type(np.concatenate([x, x])) is np.ndarray
        assert type(np.max(x)) is np.float32
        assert (Y + x).__class__ is (np.float32(1) + x).__class__ is Array
        a = before = np.zeros((3, 4), np.float32)
        a += x
        assert a.__class__ is Array and not before.any()
        assert jit(lambda x: np.float32(1) * x)(x).__class__ is Array


@pytest.mark.parametrize("functions", ["numpy", "arrays"])
def test_shapes_and_dtypes_are_told_while_tracing(functions):
    def f(x):
        assert (np.shape(x), np.ndim(x), np.size(x), np.size(x, 1)) == ((2, 3), 2, 6, 3)
        assert np.isrealobj(x) and not np.iscomplexobj(x)
        return x
    with config.using(numpy_functions=functions):
        assert arraylib.jit(f)(jnp.ones((2, 3))).shape == (2, 3)

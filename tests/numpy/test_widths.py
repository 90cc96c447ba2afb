"""NumPy data of 64 bits next to arrays of 64 bits keeps them; alone it takes the default width."""

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import config, grad, image, jit, lax, nn, vjp, vmap
from arraylib.errors import IntegerOverflowError
from arraylib.scipy import ndimage, special

THIRDS = np.array([[1 / 3, 2 / 3, 4 / 3], [1 / 7, 5 / 7, 3.7]])
ROW = np.array([0.1, 0.7, 1.3])

# What each does with an array x[2, 3] of float64 and NumPy's n[3] of float64.
TOGETHER = {
    "add": lambda np, x, n: x + n,
    "reflected": lambda np, x, n: n - x,
    "divide": lambda np, x, n: np.divide(n, x),
    "power": lambda np, x, n: np.power(n, x),
    "scalar": lambda np, x, n: x * n[1],
    "complex": lambda np, x, n: x * (n + 1j * n),
    "less": lambda np, x, n: np.less(x[0] - x[0] + n, n) | (x[0] - x[0] + n > n),
    "hypot": lambda np, x, n: np.hypot(x, n),
    "where": lambda np, x, n: np.where(x > 0.5, x, n),
    "clip": lambda np, x, n: np.clip(n, x[0] - x[0] + n[0] + 1e-9, 1.0),
    "select": lambda np, x, n: np.select([x[0] > 1], [x[0]], n[2]),
    "concatenate": lambda np, x, n: np.concatenate([x[0], n]),
    "stack": lambda np, x, n: np.stack([n, x[0]]),
    "vstack": lambda np, x, n: np.vstack([x, n]),
    "column_stack": lambda np, x, n: np.column_stack([x[0], n]),
    "block": lambda np, x, n: np.block([[x], [n]]),
    "append": lambda np, x, n: np.append(n, x),
    "insert": lambda np, x, n: np.insert(n, 1, x[0]),
    "diff": lambda np, x, n: np.diff(n, prepend=x[0, :1], append=0.1),
    "ediff1d": lambda np, x, n: np.ediff1d(x, to_end=n),
    "trapezoid": lambda np, x, n: np.trapezoid(n, x[0]),
    "trapezoid of 32 bits": lambda np, x, n: np.trapezoid(np.ones(3, "float32"), x[0]),
    "matmul": lambda np, x, n: x @ n,
    "outer": lambda np, x, n: np.outer(n, x[0]),
    "ufunc.outer": lambda np, x, n: np.subtract.outer(n, x[0]),
    "dot": lambda np, x, n: np.dot(n, x[0]),
    "einsum": lambda np, x, n: np.einsum("ij,j->i", x, n),
    "multi_dot": lambda np, x, n: np.linalg.multi_dot([n, x.T, x]),
    "tensordot": lambda np, x, n: np.tensordot(x, n, 1),
    "kron": lambda np, x, n: np.kron(n, x[0]),
    "average": lambda np, x, n: np.average(n, weights=x[0]),
    "sum": lambda np, x, n: np.sum(x, 1, initial=n[0]),
    "array_equal": lambda np, x, n: np.array_equal(x[0] - x[0] + n, n),
    "isclose": lambda np, x, n: np.isclose(x[0] - x[0] + n, n, 0.0, 1e-15),
    "interp": lambda np, x, n: np.interp(x, n, n * n),
    "searchsorted": lambda np, x, n: np.searchsorted(n, n + (x[0] - x[0])),
    "histogram": lambda np, x, n: np.histogram(x[0], 2, (0.0, 2.0), weights=n)[0],
    "polyval": lambda np, x, n: np.polyval(n, x),
    "polyfit": lambda np, x, n: np.polyfit(x[0], n, 1, w=n),
    "solve": lambda np, x, n: np.linalg.solve(x[:, :2], n[:2]),
    "cov": lambda np, x, n: np.cov(x[0], n),
    "convolve": lambda np, x, n: np.convolve(x[0], n),
    "a number": lambda np, x, n: np.outer(x[0], 0.1) + np.kron(x[0], 0.1),
    "a number appended": lambda np, x, n: np.append(x, 0.1),
    "a number found": lambda np, x, n: np.searchsorted(x[0], x[0, 0] * 0 + 1 / 3),
    "a number in pieces": lambda np, x, n: np.piecewise(x, [x > 0.2], [0.1, 0.7]),
    "numbers as ends": lambda np, x, n: np.histogram(x[0], 2, (0.1, 0.7))[1],
    "a number first": lambda np, x, n: np.logaddexp.reduce(x[0], initial=0.1),
}

# The same of functions that NumPy does not have or calls otherwise: what it is to be in float64.
OTHERS = {
    "at": (lambda x, n: x.at[0].set(n), lambda x, n: np.stack([n, x[1]])),
    "at.add": (lambda x, n: x.at[0].add(n), lambda x, n: np.stack([x[0] + n, x[1]])),
    "put": (lambda x, n: jnp.put(x[0], np.arange(3), n), lambda x, n: n),
    "place": (lambda x, n: jnp.place(x[0], np.full(3, True), n), lambda x, n: n),
    "full_like": (lambda x, n: jnp.full_like(x, n), lambda x, n: np.broadcast_to(n, (2, 3))),
    "xlogy": (lambda x, n: special.xlogy(n, x), lambda x, n: n * np.log(x)),
    "kl_div": (lambda x, n: special.kl_div(x, n), lambda x, n: x * np.log(x / n) - x + n),
    "attention": (lambda x, n: nn.dot_product_attention(*[x[None, :1, None]] * 3,
                                                        bias=n[:1, None, None, None])[0, 0],
                  lambda x, n: x[:1]),
    "map_coordinates": (lambda x, n: ndimage.map_coordinates(x[0], [n], 1, "nearest"),
                        lambda x, n: np.interp(n, np.arange(3), x[0])),
    "scale_and_translate": (
        lambda x, n: image.scale_and_translate(x[0], (3,), (0,), np.ones(1), n[:1], "linear")[1:],
        lambda x, n: x[0, 1:] * 0.9 + x[0, :-1] * 0.1),
    "dtype=": (lambda x, n: jnp.sum(n, dtype="float64"), lambda x, n: n.sum()),
    "mean dtype=": (lambda x, n: jnp.mean(n, dtype="float64"), lambda x, n: n.mean()),
    "cumsum dtype=": (lambda x, n: jnp.cumsum(n, dtype="float64"), lambda x, n: n.cumsum()),
    "astype": (lambda x, n: jnp.astype(n, "float64"), lambda x, n: n),
    "lax": (lambda x, n: lax.sub(n, lax.select(x[0] > 0.5, x[0], n)),
            lambda x, n: n - np.where(x[0] > 0.5, x[0], n)),
    "number": (lambda x, n: jnp.diff(x[0], prepend=0.1), lambda x, n: np.diff(x[0], prepend=0.1)),
}


def _all(x):
    found = {name: f(jnp, x, ROW) for name, f in TOGETHER.items()}
    return found | {name: f(x, ROW) for name, (f, _) in OTHERS.items()}


def _check(found):
    wanted = {name: f(np, THIRDS, ROW) for name, f in TOGETHER.items()}
    wanted |= {name: f(THIRDS, ROW) for name, (_, f) in OTHERS.items()}
    for name, want in wanted.items():
        np.testing.assert_allclose(found[name], want, rtol=1e-13, atol=1e-15, err_msg=name)
        assert found[name].dtype.itemsize >= 8 or found[name].dtype.kind in "bi", name


def test_operations_of_64_bits_take_numpy_data_as_it_is():
    x = jnp.asarray(THIRDS, "float64")
    _check(_all(x))
    _check(jit(_all)(x))


def test_operations_of_64_bits_take_numpy_data_as_it_is_in_batches():
    batches = vmap(lambda x: (x + ROW, ROW / x, jnp.where(x > 0.5, x, ROW), jnp.dot(x, ROW)))(
        jnp.asarray(THIRDS, "float64"))
    wanted = THIRDS + ROW, ROW / THIRDS, np.where(THIRDS > 0.5, THIRDS, ROW), THIRDS @ ROW
    for found, want in zip(batches, wanted, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-15)


def test_calls_that_native_code_serves_keep_the_bits_of_numpy_data():
    x = jnp.asarray(THIRDS, "float64")
    for _ in range(40):
        np.testing.assert_array_equal(x + ROW, THIRDS + ROW)
        np.testing.assert_array_equal(x * ROW[0], THIRDS * ROW[0])


def test_tangents_of_numpy_data_keep_the_bits_of_their_primals():
    x = jnp.asarray(THIRDS, "float64")
    np.testing.assert_array_equal(vjp(lambda x: 2 * x, x)[1](THIRDS)[0], 2 * THIRDS)
    np.testing.assert_array_equal(grad(lambda x: (x * ROW).sum())(x), np.stack([ROW, ROW]))


def test_integers_of_numpy_keep_64_bits_next_to_arrays_that_have_them():
    large, wide = np.array([2**40, -1]), jnp.asarray([2**41, 5], "int64")
    for operation in (jit(lambda x: x + large), lambda x: x + large):
        assert operation(wide).tolist() == [2**41 + 2**40, 4]
    assert jnp.divide(wide, large).tolist() == [2.0, -5.0]
    assert (jnp.asarray([0.5, 0.5], "float64") + large).tolist() == [2**40 + 0.5, -0.5]
    assert (wide + np.array([2**41, 1], np.uint64)).tolist() == [2**42, 6]
    with pytest.raises(IntegerOverflowError, match="does not fit int64"):
        wide + np.uint64(2**63)
    with pytest.raises(IntegerOverflowError, match="does not fit int32"):
        jnp.asarray([1, 2], "int32") + large


def test_numpy_data_alone_and_next_to_others_is_as_wide_as_the_setting_says():
    for narrow in (jnp.add(ROW, ROW), ROW + jnp.ones(3), jnp.ones(3, "int64") + ROW, jnp.sin(ROW)):
        assert narrow.dtype == jnp.float32
    with config.using(default_bits=64):
        assert jnp.add(ROW, 1).dtype == jnp.float64

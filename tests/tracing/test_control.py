"""Loops and branches: values, derivatives, batching and what is refused."""

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import grad, hessian, jit, jvp, lax, vmap
from arraylib.config import config
from arraylib.errors import DtypeError, ShapeError, StructureError, TraceError

rng = np.random.default_rng(1)


@pytest.fixture(autouse=True)
def doubles():
    with config.using(default_bits=64):
        yield


def normal(*shape):
    return jnp.asarray(rng.standard_normal(shape), jnp.float64)


W, H, XS = normal(3, 3) * 0.5, normal(3), normal(6, 3)


def rnn(w, h, xs):
    def step(h, x):
        h = jnp.tanh(h @ w + x)
        return h, h * 2.0
    h, ys = lax.scan(step, h, xs)
    return h.sum() + (ys * ys).sum()


def rnn_loop(w, h, xs):
    total = 0.0
    for x in np.asarray(xs):
        h = np.tanh(np.asarray(h) @ np.asarray(w) + x)
        total += ((2 * h) ** 2).sum()
    return h.sum() + total


def difference(f, x, d, step=1e-6):
    x, d = np.asarray(x), np.asarray(d)
    return (np.asarray(f(x + step * d)) - np.asarray(f(x - step * d))) / (2 * step)


@pytest.mark.parametrize("wrap", [lambda f: f, jit], ids=["eager", "jit"])
@pytest.mark.parametrize("i", range(3))
def test_scan_derivatives(i, wrap):
    args = [W, H, XS]
    d = normal(*args[i].shape)
    place = lambda f: lambda z: f(*args[:i], z, *args[i + 1:])
    f, plain = place(rnn), place(rnn_loop)
    a = args[i]
    np.testing.assert_allclose(wrap(f)(a), plain(a), rtol=1e-12)
    slope = difference(plain, a, d)
    np.testing.assert_allclose(wrap(lambda a: jvp(f, (a,), (d,))[1])(a), slope, rtol=1e-6)
    np.testing.assert_allclose((wrap(grad(f))(a) * d).sum(), slope, rtol=1e-6)
    second = difference(grad(f), a, d, 1e-5)
    np.testing.assert_allclose(wrap(lambda a: jvp(grad(f), (a,), (d,))[1])(a), second,
                               rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(wrap(grad(lambda a: (grad(f)(a) * d).sum()))(a), second,
                               rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("axes", [(0, 0, 0), (None, 0, 0), (None, None, 0), (0, None, None),
                                  (None, 0, None)])
def test_scan_batching(axes):
    many = normal(4, 3, 3) * 0.5, normal(4, 3), normal(4, 6, 3)
    args = [m if a == 0 else one for a, m, one in zip(axes, many, (W, H, XS))]
    pick = lambda k: [x[k] if a == 0 else x for a, x in zip(axes, args)]
    np.testing.assert_allclose(vmap(rnn, axes)(*args), [rnn_loop(*pick(k)) for k in range(4)])
    np.testing.assert_allclose(jit(vmap(grad(rnn), axes))(*args),
                               np.stack([grad(rnn)(*pick(k)) for k in range(4)]))


def test_invariant_residuals_are_not_stacked():
    from arraylib import make_graph
    graph = str(make_graph(grad(rnn))(W, H, XS))
    assert "f64[6,3,3]" not in graph  # w, which every step reads, is passed whole


def test_scan_reverse_and_nested():
    def outer(w):
        def body(c, x):
            def inner(d, y):
                d = jnp.sin(d * y + w.sum())
                return d, d
            d, ys = lax.scan(inner, c * x, XS[0], reverse=True)
            return d, ys.sum()
        c, ys = lax.scan(body, 0.3 * jnp.ones((), jnp.float64), XS[:, 0])
        return c + ys.sum()
    d = normal(3, 3)
    np.testing.assert_allclose((jit(grad(outer))(W) * d).sum(), difference(outer, W, d), rtol=1e-6)


def test_scan_forms():
    carry, ys = lax.scan(lambda c, _: (c + 1, c), 0, length=4)
    assert int(carry) == 4 and ys.tolist() == [0, 1, 2, 3]
    carry, ys = lax.scan(lambda c, x: (c + x, None), 0, jnp.arange(3.0))
    assert carry.dtype == jnp.float64 and float(carry) == 3.0 and ys is None
    xs = {"a": jnp.arange(3.0), "b": (jnp.ones((3, 2)),)}
    _, ys = lax.scan(lambda c, x: (c, x["b"][0] * x["a"]), (), xs, unroll=True)
    np.testing.assert_array_equal(ys, [[0, 0], [1, 1], [2, 2]])
    _, ys = lax.scan(lambda c, x: (c + x, c), 0.0, jnp.ones(3), reverse=True)
    assert ys.tolist() == [2.0, 1.0, 0.0]


def test_loops():
    assert int(lax.fori_loop(0, 5, lambda i, s: s + i, 0)) == 10
    assert int(jit(lambda n: lax.fori_loop(0, n, lambda i, s: s + i, 0))(7)) == 21
    assert int(lax.while_loop(lambda x: x < 100, lambda x: x * 2, 1)) == 128
    unread = lambda n: lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1], c[2] + c[0]),
                                      (0, n, 0))[2]
    assert int(jit(unread)(7)) == 21  # results that nobody wants have memory of their own
    power = lambda x: lax.fori_loop(0, 4, lambda i, y: y * x, 1.0)
    np.testing.assert_allclose(grad(power)(3.0), 108.0)
    np.testing.assert_allclose(lax.map(lambda x: x * x, jnp.arange(3.0)), [0, 1, 4])


def test_while_forward_and_batched():
    def root(x):
        return lax.while_loop(lambda s: abs(s * s - x) > 1e-10, lambda s: 0.5 * (s + x / s), x)
    x = jnp.asarray(2.0, jnp.float64)
    np.testing.assert_allclose(jvp(root, (x,), (jnp.ones((), jnp.float64),))[1],
                               0.5 / np.sqrt(2), rtol=1e-6)
    xs = jnp.asarray([1.0, 4.0, 1e6], jnp.float64)
    np.testing.assert_allclose(vmap(root)(xs), np.sqrt(xs), rtol=1e-8)
    np.testing.assert_allclose(jit(vmap(root))(xs), np.sqrt(xs), rtol=1e-8)
    with pytest.raises(TraceError, match="reverse-mode.*number of steps"):
        grad(root)(x)


def choose(x):
    return lax.cond(x > 0, lambda x: jnp.sin(x) * x, lambda x: x ** 3, x)


def test_cond():
    for value in (2.0, -2.0):
        x = jnp.asarray(value, jnp.float64)
        for f in (choose, jit(choose)):
            np.testing.assert_allclose(grad(f)(x), difference(choose, x, 1.0), rtol=1e-6)
            np.testing.assert_allclose(hessian(f)(x), difference(grad(choose), x, 1.0), rtol=1e-6)
    xs = normal(5)
    np.testing.assert_allclose(vmap(choose)(xs), [choose(x) for x in xs])
    np.testing.assert_allclose(jit(vmap(grad(choose)))(xs), [grad(choose)(x) for x in xs])


def test_switch_limits_its_index():
    branches = [lambda x: x, lambda x: -x, lambda x: x * 10]
    pick = jit(lambda i, x: lax.switch(i, branches, x))
    assert [float(pick(i, 3.0)) for i in (-4, 0, 1, 2, 9)] == [3.0, 3.0, -3.0, 30.0, 30.0]


def test_associative_scan():
    for n in (0, 1, 2, 5, 8, 13):
        x = normal(n)
        np.testing.assert_allclose(lax.associative_scan(jnp.add, x), np.cumsum(x))
        np.testing.assert_allclose(lax.associative_scan(jnp.add, x, reverse=True),
                                   np.cumsum(np.asarray(x)[::-1])[::-1])


def test_carry_mistakes():
    with pytest.raises(ShapeError, match=r"carry\['h'\] has shape \(3,\) at first"):
        lax.scan(lambda c, x: ({"h": c["h"][:2]}, None), {"h": jnp.zeros(3)}, jnp.arange(2))
    with pytest.raises(DtypeError, match="int32 at first, but float64"):
        lax.scan(lambda c, x: (c * 1.5, None), jnp.zeros(3, jnp.int32), jnp.arange(2))
    with pytest.raises(StructureError, match="carry that the body returns has"):
        lax.scan(lambda c, x: ((c, c), None), 1.0, jnp.arange(2))
    with pytest.raises(StructureError, match="must return a pair"):
        lax.scan(lambda c, x: c, 1.0, jnp.arange(2))
    with pytest.raises(ShapeError, match="has 3 steps, but there are 2"):
        lax.scan(lambda c, x: (c, None), 1.0, (jnp.zeros(2), jnp.zeros(3)))
    with pytest.raises(DtypeError, match="not one bool"):
        lax.while_loop(lambda x: x, lambda x: x, 1.0)
    with pytest.raises(StructureError, match="what true_fun returns has a tuple"):
        lax.cond(True, lambda x: (x, x), lambda x: x, 1.0)
    with pytest.raises(ShapeError, match="output 0 is"):
        lax.cond(True, lambda x: x[None], lambda x: x, 1.0)


@pytest.mark.parametrize("index, chosen", [
    (np.int64(2 ** 32 + 1), 2), (np.int64(-2 ** 32 + 1), 0), (np.uint32(2 ** 32 - 1), 2),
    (np.int8(-1), 0), (np.uint8(255), 2), (np.int64(1), 1), (np.int32(2 ** 31 - 1), 2)])
def test_an_index_of_any_dtype_is_limited_to_the_branches(index, chosen):
    with config.using(default_bits=64):
        def f(i):
            return lax.switch(i, [lambda n=n: jnp.int32(n) for n in range(3)])
        assert int(f(index)) == int(jit(f)(index)) == chosen

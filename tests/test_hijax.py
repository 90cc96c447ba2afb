"""Operations of users' own: one class with all rules, under every transform."""

import numpy as np
import pytest

import arraylib as al
import arraylib.numpy as jnp
from arraylib import lax
from arraylib.errors import ArgumentError, ShapeError, StructureError, TraceError
from arraylib.experimental import hijax, random as stateful
from arraylib.experimental.hijax import VJPHiPrimitive

X, Y = np.float32(0.7), np.float32(1.5)


class Binary(VJPHiPrimitive):
    """sin(x) y: what has no rule of its own."""

    def __init__(self, x, y, **params):
        self.in_avals, self.out_aval, self.params = (x, y), x, params
        super().__init__()

    def expand(self, x, y):
        return jnp.sin(x) * y


# The rules multiply what is right by another number each, so that it shows which was used.


class Backwards(Binary):
    def vjp_fwd(self, nonzero, x, y):
        assert nonzero == (True, True)
        return self(x, y), (jnp.cos(x), jnp.sin(x), y)

    def vjp_bwd_retval(self, residuals, ct):
        cosine, sine, y = residuals
        return 2 * cosine * y * ct, 2 * sine * ct


class Adding(Backwards):
    vjp_bwd_retval = None

    def vjp_bwd(self, residuals, ct, x, y):
        cosine, _, factor = residuals
        assert isinstance(x, hijax.ValAccum) and x.aval.shape == ()
        x.accum(2 * cosine * factor * ct)
        x.accum(cosine * factor * ct)


class Forwards(Binary):
    def jvp(self, primals, tangents):
        (x, y), (dx, dy) = primals, tangents
        return self(x, y), 3 * (jnp.cos(x) * y * dx + jnp.sin(x) * dy)


class Linearized(Binary):
    linearize = None

    def lin(self, nonzero, x, y):
        return self(x, y), (jnp.cos(x) * y, jnp.sin(x))

    def linearized(self, residuals, dx, dy):
        return 5 * (residuals[0] * dx + residuals[1] * dy)


class Both(Backwards, Forwards):
    pass


def used(kind):
    return lambda x, y: kind(al.typeof(x), al.typeof(y))(x, y)


SLOPES = np.array([np.cos(X) * Y, np.sin(X)])
WEIGHTS = [(Binary, 1, 1), (Backwards, 2, None), (Adding, (3, 0), None), (Forwards, 3, 3),
           (Linearized, 5, 5), (Both, 2, 3)]


@pytest.mark.parametrize(("kind", "backwards", "forwards"), WEIGHTS)
def test_rules_are_used(kind, backwards, forwards):
    f = used(kind)
    for run in (f, al.jit(f), lambda x, y: al.vmap(f)(x[None], y[None])[0]):
        np.testing.assert_allclose(run(X, Y), np.sin(X) * Y, rtol=1e-6)
    gradient = al.grad(f, argnums=(0, 1))
    for run in (gradient, al.jit(gradient), al.vmap(gradient)):
        points = (X[None], Y[None]) if run is not gradient and not hasattr(run, "lower") else (X, Y)
        np.testing.assert_allclose(np.ravel(run(*points)), backwards * SLOPES, rtol=1e-6)

    def slope(x, y):
        return al.jvp(f, (x, y), (np.float32(2), np.float32(1)))[1]
    if forwards is None:
        with pytest.raises(TraceError, match="backwards only"):
            slope(X, Y)
        return
    for found in (slope(X, Y), al.jit(slope)(X, Y), al.vmap(slope)(X[None], Y[None])[0],
                  al.linearize(f, X, Y)[1](np.float32(2), np.float32(1))):
        np.testing.assert_allclose(found, forwards * SLOPES @ [2, 1], rtol=1e-6)


def test_higher_derivatives_and_loops():
    f = used(Both)

    def cube(x):
        return lax.scan(lambda c, _: (f(c, Y), None), x, None, 2)[0]

    def plain(x, weight):
        g = al.custom_jvp(lambda x: jnp.sin(x) * Y)
        g.defjvp(lambda p, t: (g(*p), weight * jnp.cos(p[0]) * Y * t[0]))
        return lax.scan(lambda c, _: (g(c), None), x, None, 2)[0]
    np.testing.assert_allclose(al.grad(cube)(X), al.grad(plain)(X, 2.0), rtol=1e-6)
    np.testing.assert_allclose(al.jacfwd(cube)(X), al.grad(plain)(X, 3.0), rtol=1e-6)
    second = al.grad(lambda x: al.grad(f)(x, Y))(X)
    np.testing.assert_allclose(second, -2 * np.sin(X) * Y, rtol=1e-6)


class Chosen(VJPHiPrimitive):
    """Rules in Python that look at values, of arguments and results in containers."""

    def __init__(self, point):
        self.in_avals, self.params = (point,), {"scale": 3.0}
        self.out_aval = {"a": point[0], "b": (point[1],)}
        super().__init__()

    def expand(self, point):
        x, n = point
        return {"a": x * self.scale if x > 0 else x, "b": (n + 1,)}

    def vjp_fwd(self, nonzero, point):
        assert nonzero == ((True, False),)
        return self(point), (), True, {"x": point[0]}

    def vjp_bwd(self, residuals, structured, ct, accums):
        accums[0].accum(ct["a"] * (self.scale if structured["x"] > 0 else 1.0))
        assert isinstance(accums[1], hijax.NullAccum)


def test_containers_and_values():
    def f(x):
        return Chosen((al.typeof(x), al.typeof(1)))((x, 1))["a"]
    back = al.vjp(f, 2.0)[1]
    assert [float(x) for x in (*back(1.0), *back(1.0), *back(2.0))] == [3, 3, 6]
    assert float(al.grad(f)(2.0)) == 3 and float(al.grad(f)(-2.0)) == 1
    with pytest.raises(TraceError, match="truth value"):
        al.jit(f)(2.0)


def test_batching_rules():
    class Product(VJPHiPrimitive):
        def __init__(self, a, x):
            self.in_avals, self.params = (a, x), {}
            self.out_aval = hijax.ShapedArray(a.shape[:1], a.dtype)
            super().__init__()

        def expand(self, a, x):
            return a @ x

        def batch(self, axis, args, dims):
            assert (axis.size, dims) == (4, (None, 0))
            return 2 * args[0] @ args[1].T, 1
    a, xs = jnp.arange(6.0).reshape(2, 3), jnp.arange(12.0).reshape(4, 3)
    found = al.vmap(lambda a, x: Product(al.typeof(a), al.typeof(x))(a, x), (None, 0))(a, xs)
    np.testing.assert_array_equal(found, 2 * xs @ a.T)


def test_derivatives_are_those_of_the_rules_where_there_is_a_batching_rule():
    class Double(VJPHiPrimitive):
        def __init__(self, x):
            self.in_avals, self.out_aval, self.params = (x,), x, {}
            super().__init__()

        def expand(self, x):
            return 2 * x

        def jvp(self, primals, tangents):
            return self(*primals), 5 * tangents[0]

        def batch(self, axis, args, dims):
            return Double(al.typeof(args[0]))(*args), dims[0]
    f = lambda x: Double(al.typeof(x))(x)
    assert float(al.grad(f)(1.0)) == float(al.jvp(f, (1.0,), (1.0,))[1]) == 5
    np.testing.assert_array_equal(al.vmap(al.grad(f))(jnp.ones(2)), [5, 5])


def test_settings_tell_operations_apart():
    t = al.typeof(X)
    assert Binary(t, t, n=1) == Binary(t, t, n=1) != Binary(t, t, n=2)
    assert hash(Binary(t, t, n=1)) == hash(Binary(t, t, n=1)) and Binary(t, t, n=1).n == 1
    assert repr(Binary(t, t, n=1)) == "Binary[{'n': 1}]"


T = al.typeof(X)


@pytest.mark.parametrize(("mistake", "error", "message"), [
    (lambda: type("Empty", (VJPHiPrimitive,), {})(), ArgumentError, "sets no self.in_avals"),
    (lambda: type("Two", (Backwards,), {"vjp_bwd": Adding.vjp_bwd})(T, T), ArgumentError, "both"),
    (lambda: type("No", (Binary,), {"expand": None})(T, T), ArgumentError, "no method expand"),
    (lambda: Binary(T, T)(X, np.ones(2)), ShapeError, r"arguments\[1\] is f32\[2\], but"),
    (lambda: Binary(al.typeof(np.ones(2)), T)(X, Y), ShapeError, r"is f32\[\], but declared as"),
    (lambda: Binary(T, T)(X), StructureError, "the arguments"),
    (lambda: type("Long", (Binary,), {"expand": lambda self, x, y: jnp.ones(2)})(T, T)(X, Y),
     ShapeError, r"the result is f32\[2\], but declared as f32\[\]"),
])
def test_mistakes(mistake, error, message):
    with pytest.raises(error, match=message):
        mistake()


# -- generators with a state -----------------------------------------------------------------------


def test_draws_differ_and_are_those_of_their_keys():
    rng, twin = stateful.stateful_rng(7), stateful.stateful_rng(7)
    draw = al.jit(lambda: rng.normal(1.0, 2.0, 4))
    for i in range(3):
        key = al.random.fold_in(al.random.key(7), i)
        np.testing.assert_allclose(draw(), 1 + 2 * al.random.normal(key, (4,)), rtol=1e-6)
    assert twin.integers(5, size=(2, 3)).shape == (2, 3) and float(twin.uniform(2, 3)) >= 2
    found = al.vmap(lambda x, rng: x + rng.uniform())(jnp.zeros(5), rng.split(5))
    assert len(set(found.tolist())) == 5 and len(twin.spawn(2)) == 2 and twin.random().shape == ()
    with pytest.raises(ArgumentError, match="split generators"):
        rng.split(2).random()
    with pytest.raises(TraceError, match="pass a seed"):
        al.jit(lambda: stateful.stateful_rng().random())()

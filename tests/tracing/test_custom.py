"""Derivatives that users write: each of them against JAX's, under every transform."""

import jax
import numpy as np
import pytest

import arraylib as al
import arraylib.numpy as jnp
from arraylib.errors import ArgumentError, ShapeError, StructureError, TraceError
from arraylib.tracing.symbolic import SymbolicZero

X, Y = np.float32(0.7), np.linspace(-1, 1, 5, dtype=np.float32)


def forwards(lib, np_):
    """Functions with tangents that are wrong on purpose, so that it shows whose were used."""
    @lib.custom_jvp
    def f(x, y):
        return np_.sin(x) * y["a"], x + y["b"]

    @f.defjvp
    def rule(primals, tangents):
        (x, y), (dx, dy) = primals, tangents
        return f(x, y), (3 * np_.cos(x) * dx * y["a"] + np_.sin(x) * dy["a"], 7 * dx + dy["b"] * x)

    return lambda x, y: sum(f(x, {"a": y, "b": 2 * y}))


def backwards(lib, np_):
    @lib.custom_vjp
    def f(x, y):
        return {"out": np_.sin(x) * y["a"] + y["b"]}

    def fwd(x, y):
        return f(x, y), (np_.cos(x), y)

    def bwd(residuals, ct):
        c, y = residuals
        return 3 * c * ct["out"] * y["a"], {"a": ct["out"] * c, "b": 5 * ct["out"]}

    f.defvjp(fwd, bwd)
    return lambda x, y: f(x, {"a": y, "b": 2 * y})["out"]


def by_argument(lib, np_):
    @lib.custom_jvp
    def f(x, y):
        return np_.sin(x) * y

    f.defjvps(lambda t, out, x, y: 3 * t * out, lambda t, out, x, y: t * np_.cos(x))
    return f


def some_fixed(lib, np_):
    f = lib.custom_jvp(lambda g, x, n, y: g(x) * n * y, nondiff_argnums=(0, 2))

    @f.defjvp
    def rule(g, n, primals, tangents):
        return f(g, primals[0], n, primals[1]), 2 * n * g(primals[0]) * tangents[0] + tangents[1]

    return lambda x, y: f(np_.sin, x, 3, y) + f(np_.cos, x, 2, y)


def some_fixed_backwards(lib, np_):
    f = lib.custom_vjp(lambda x, g, y: g(x) * y, nondiff_argnums=(1,))
    f.defvjp(lambda x, g, y: (f(x, g, y), (x, y)), lambda g, r, ct: (2 * g(r[0]) * ct, ct))
    return lambda x, y: f(x, np_.sin, y)


def gradient(lib, np_):
    @lib.custom_gradient
    def f(x, y):
        wide = np_.exp(x)
        return wide * y, lambda ct: (ct * wide * 3, ct * y)
    return f


FUNCTIONS = (forwards, backwards, by_argument, some_fixed, some_fixed_backwards, gradient)
FORWARDS = (forwards, by_argument, some_fixed)

TRANSFORMS = {
    "value": lambda lib, f: f(X, X + 1),
    "grad": lambda lib, f: lib.grad(f, (0, 1))(X, X + 1),
    "jit": lambda lib, f: lib.jit(lib.value_and_grad(f, (0, 1)))(X, X + 1),
    "grad of jit": lambda lib, f: lib.grad(lib.jit(f), (0, 1))(X, X + 1),
    "second": lambda lib, f: lib.grad(lib.grad(f))(X, X + 1),
    "third, jit": lambda lib, f: lib.jit(lib.grad(lib.grad(lib.grad(f))))(X, X + 1),
    "vmap": lambda lib, f: lib.vmap(lib.grad(f, (0, 1)))(Y, Y + 1),
    "vmap, shared": lambda lib, f: lib.vmap(lib.grad(f, (0, 1)), (0, None))(Y, X),
    "grad of vmap": lambda lib, f: lib.grad(
        lambda x, y: lib.vmap(f, (0, None))(x, y).sum(), (0, 1))(Y, X),
    "grad of vmap, twice": lambda lib, f: lib.grad(
        lambda x, y: lib.vmap(lib.vmap(f, (0, None)), (None, 0))(x, y).sum(), (0, 1))(Y, Y),
    "vmap of jit": lambda lib, f: lib.jit(lib.vmap(lib.jit(lib.grad(f))))(Y, Y),
    "scan": lambda lib, f: lib.grad(lambda x, y: lib.lax.scan(
        lambda c, t: (f(c, t), c), x, y)[0], (0, 1))(X, Y),
    "checkpoint": lambda lib, f: lib.grad(lib.checkpoint(f), (0, 1))(X, X + 1),
    "cond": lambda lib, f: lib.jit(lib.grad(lambda x, y: lib.lax.cond(
        x > 0, f, lambda x, y: x, x, y)))(X, X + 1),
    "jacrev": lambda lib, f: lib.jacrev(lambda x: lib.vmap(f)(x, x))(Y),
}
MORE = {
    "jvp": lambda lib, f: lib.jvp(f, (X, X + 1), (X, X)),
    "jacfwd": lambda lib, f: lib.jacfwd(lambda x: lib.vmap(f)(x, x))(Y),
    "hessian": lambda lib, f: lib.hessian(f)(X, X + 1),
    "while": lambda lib, f: lib.jvp(lambda x: lib.lax.while_loop(
        lambda c: c < 0.9, lambda c: f(c, c) ** 2 + 0.1 + c, x), (X,), (X,)),
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_like_jax(name, function):
    compare(TRANSFORMS[name], function)


@pytest.mark.parametrize("name", MORE)
@pytest.mark.parametrize("function", FORWARDS)
def test_forwards_like_jax(name, function):
    compare(MORE[name], function)


def compare(transform, function):
    wanted = jax.tree.leaves(transform(jax, function(jax, jax.numpy)))
    found = al.tree.leaves(transform(al, function(al, jnp)))
    assert len(wanted) == len(found)
    for x, y in zip(found, wanted):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


def test_integers_have_no_tangents():
    seen = []

    @al.custom_jvp
    def f(x, n):
        return x * n, n

    @f.defjvp
    def rule(primals, tangents):
        seen.append(tangents[1].dtype)
        return f(*primals), (tangents[0] * 5, tangents[1])

    assert al.grad(lambda x: f(x, jnp.int32(3))[0])(2.0) == 5
    assert seen == [al.dtypes.float0]


def test_integers_have_no_cotangents():
    f = al.custom_vjp(lambda x, n: (x * n, n))
    f.defvjp(lambda x, n: (f(x, n), n), lambda n, ct: (ct[0] * 2 * n, None))
    assert al.jit(al.grad(lambda x: f(x, jnp.int32(3))[0]))(2.0) == 6


def test_arrays_without_derivative():
    """JAX takes only what is not traced here."""
    f = al.custom_vjp(lambda x, n: x * n["of"], nondiff_argnums=(1,))
    f.defvjp(lambda x, n: (f(x, n), None), lambda n, _, ct: (ct * n["of"] * 2,))
    assert al.jit(al.grad(lambda x, n: f(x, {"of": n}) + f(x, {"of": n + 1})))(2.0, 3) == 14
    assert al.vmap(al.grad(lambda x, n: f(x, {"of": n})), (None, 0))(2.0, np.arange(3)).tolist() \
        == [0, 2, 4]
    with pytest.raises(TraceError, match="nondiff_argnums"):
        al.grad(lambda x: f(x, {"of": x}))(2.0)


def test_methods_and_keywords():
    class Model:
        @al.custom_jvp
        def __call__(self, x):
            return x

    f = al.custom_jvp(lambda x, y=2.0: x * y)
    f.defjvp(lambda primals, tangents: (f(*primals), tangents[0] * 10))
    assert al.grad(lambda x: f(x))(1.0) == 10
    assert al.grad(lambda x: f(x=x, y=x))(1.0) == 10
    assert f.__name__ == "<lambda>" and "custom_jvp" in repr(Model.__call__)


def test_values_from_outside():
    """Rules may read what is known outside; a derivative in that is refused."""
    y, z = jnp.arange(3.0), np.float32(2)

    def inner(w):
        f = al.custom_vjp(lambda x: x * y * z)
        f.defvjp(lambda x: (f(x), None), lambda _, ct: ((ct * y * w).sum(),))
        return al.grad(lambda x: f(x).sum())(1.0)

    assert al.jit(inner)(2.0) == 6
    g = al.custom_jvp(lambda x: x)

    def reads(w):
        f = al.custom_jvp(lambda x: x * w)
        f.defjvp(lambda primals, tangents: (f(*primals), tangents[0]))
        return f(2.0)

    with pytest.raises(TraceError, match=r"reads a value that has a derivative[\s\S]*argument"):
        al.grad(reads)(1.0)
    def in_a_loop(w):
        f = al.custom_vjp(lambda x: x)
        f.defvjp(lambda x: (f(x), None), lambda _, ct: (ct * w,))
        return al.grad(lambda x: al.lax.fori_loop(0, 3, lambda i, x: f(x), x))(2.0)

    with pytest.raises(TraceError, match=r"from outside a loop[\s\S]*closure_convert"):
        al.jit(in_a_loop)(2.0)
    converted, values = al.closure_convert(lambda x: x * y, 2.0)
    assert len(values) == 1 and np.array_equal(converted(2.0, *values), 2 * np.arange(3))
    assert g.rule is None


def broken(returned):
    f = al.custom_jvp(lambda x: {"a": x})
    f.defjvp(lambda primals, tangents: returned(primals[0], tangents[0]))
    return f


WRONG = {
    "no pair": (lambda x, t: {"a": x}, StructureError, "pair"),
    "structure": (lambda x, t: (x, t), StructureError, "structure"),
    "shape": (lambda x, t: ({"a": x}, {"a": jnp.ones(3) * t}), ShapeError, r"\['a'\].*\(3,\)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_rules(name):
    returned, error, text = WRONG[name]
    with pytest.raises(error, match=text):
        al.grad(lambda x: broken(returned)(x)["a"])(1.0)


def test_wrong_uses():
    f = al.custom_vjp(lambda x: x)
    with pytest.raises(ArgumentError, match="no derivative yet"):
        f(1.0)
    f.defvjp(lambda x: (x, x), lambda r, ct: ct)
    with pytest.raises(StructureError, match="tuple of 1 cotangents"):
        al.grad(f)(1.0)
    f.defvjp(lambda x: (x, x), lambda r, ct: (ct,))
    with pytest.raises(TraceError, match=r"backwards only[\s\S]*custom_jvp"):
        al.jvp(f, (1.0,), (1.0,))
    with pytest.raises(TraceError, match="backwards only"):
        al.jit(lambda x: al.jvp(f, (x,), (x,)))(1.0)
    with pytest.raises(ArgumentError, match=r"missing|argument"):
        f(y=2.0)


def _with_symbolic_zeros(lib, zero):
    """x sin(y) + n, whose rules compute only the tangents that there are."""
    np = lib.numpy

    @lib.custom_jvp
    def forwards(x, y, n):
        return {"out": x * np.sin(y) + n, "fixed": n}

    def pushed(primals, tangents):
        (x, y, _), (xt, yt, nt) = primals, tangents
        assert isinstance(nt, zero)
        parts = [] if isinstance(xt, zero) else [xt * np.sin(y)]
        parts += [] if isinstance(yt, zero) else [yt * x * np.cos(y)]
        return forwards(*primals), {"out": sum(parts), "fixed": nt}

    @lib.custom_vjp
    def backwards(x, y, n):
        return forwards(x, y, n)["out"]

    def forward(x, y, n):
        assert not n.perturbed
        kept = (np.sin(y.value) if x.perturbed else None,
                x.value * np.cos(y.value) if y.perturbed else None)
        return backwards(x.value, y.value, n.value), kept

    forwards.defjvp(pushed, symbolic_zeros=True)
    backwards.defvjp(forward, lambda kept, ct: (
        *[None if k is None else k * ct for k in kept], None), symbolic_zeros=True)
    return (lambda *args: forwards(*args)["out"]), backwards


def _slopes(lib, f, argnums):
    x, y = lib.numpy.arange(3.0) + 1, lib.numpy.float32(0.5)
    mapped = lib.vmap(f, (0, None, None))
    return [lib.jit(lib.grad(f, argnums))(x[0], y, 2),
            lib.vmap(lib.grad(f, argnums), (0, None, None))(x, y, 2),
            lib.grad(lambda *args: mapped(*args).sum(), argnums)(x, y, 2)]


@pytest.mark.parametrize("argnums", [0, 1, (0, 1)])
def test_rules_with_symbolic_zeros(argnums):
    ours = _with_symbolic_zeros(al, SymbolicZero)
    theirs = _with_symbolic_zeros(jax, jax.custom_derivatives.SymbolicZero)
    for one, other in zip(ours, theirs, strict=True):
        found = al.tree.leaves(_slopes(al, one, argnums))
        for x, truth in zip(found, jax.tree.leaves(_slopes(jax, other, argnums)), strict=True):
            np.testing.assert_allclose(x, truth, rtol=1e-6)


def _with_numbers(lib, zero, seen):
    """2 x y, said to be x y; sin y; and 3. Its residuals have numbers of Python's among them."""
    @lib.custom_vjp
    def f(x, y):
        return x * y, lib.numpy.sin(y), 3

    def backward(kept, cotangents):
        y, flag, scale = kept
        assert lib is jax or flag is True and scale.__class__ is float
        seen.append([isinstance(ct, zero) for ct in cotangents])
        ct, _, _ = cotangents
        return (ct if isinstance(ct, zero) else scale * y * ct), None

    f.defvjp(lambda x, y: (f(x.value, y.value), (y.value, True, 2.0)), backward,
             symbolic_zeros=True)
    return f


def _grads_of_numbers(lib, zero):
    """Which cotangents the rule saw, and gradients by x."""
    seen: list[list[bool]] = []
    f = _with_numbers(lib, zero, seen)
    x, y = lib.numpy.float32(2), lib.numpy.arange(3.0)
    grads = [lib.grad(lambda x: f(x, y[1])[0])(x),
             lib.jit(lib.grad(lambda x: f(x, y[1])[1]))(x),
             lib.vmap(lib.grad(lambda x, y: f(x, y)[0]), (None, 0))(x, y),
             lib.grad(lambda x: lib.vmap(lambda y: f(x, y)[0] + f(x, y)[2])(y).sum())(x)]
    return seen[:2], grads


def test_cotangents_that_are_zero_are_known_to_be():
    ours, found = _grads_of_numbers(al, SymbolicZero)
    theirs, truth = _grads_of_numbers(jax, jax.custom_derivatives.SymbolicZero)
    assert ours == theirs == [[False, True, True], [True, False, True]]
    for one, other in zip(found, truth, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_programs_with_rules_are_programs():
    """Text, and what is compiled, has the body."""
    f = al.custom_jvp(lambda x: jnp.sin(x) * 2)
    f.defjvp(lambda primals, tangents: (f(*primals), tangents[0]))
    x = np.ones(3, np.float32)
    for text in (al.jit(f).lower(x).as_text(), al.make_graph(f)(x).text()):
        module = al.hlo.parse(text)
        assert module.text() == al.hlo.parse(module.text()).text()
        np.testing.assert_allclose(al.hlo.evaluate(module, x)[0], 2 * np.sin(x), rtol=1e-6)


def test_rules_look_at_known_values():
    @al.custom_jvp
    def f(x):
        return jnp.sin(x) if x > 0 else jnp.cos(x)

    @f.defjvp
    def rule(primals, tangents):
        (x,), (t,) = primals, tangents
        return f(x), (2.0 if x > 0 else 3.0) * t

    @al.custom_vjp
    def g(x):
        return x if x > 0 else -x

    g.defvjp(lambda x: (g(x), None) if x > 0 else (-g(x), None), lambda _, ct: (5 * ct,))
    assert al.grad(f)(1.0) == 2 and al.grad(f)(-1.0) == 3
    assert al.grad(lambda x: f(x * 2) + x)(-1.0) == 7
    assert al.grad(g)(1.0) == 5
    with pytest.raises(TraceError, match="lax.cond"):
        al.jit(al.grad(f))(1.0)


def test_rules_that_nobody_asks_for_are_not_drawn():
    drawn = []

    @al.custom_vjp
    def f(x):
        return x * 2
    f.defvjp(lambda x: (drawn.append("forward"), (f(x), None))[1],
             lambda _, ct: (drawn.append("backward"), (ct,))[1])
    assert al.vmap(f)(Y).tolist() == al.jit(al.vmap(f))(Y).tolist() == (2 * Y).tolist()
    assert not drawn
    np.testing.assert_array_equal(al.grad(lambda x: al.vmap(f)(x).sum())(Y), np.ones(5))
    assert drawn == ["forward", "backward"]


def test_the_function_itself_is_transposed_where_it_is_linear():
    @al.custom_jvp
    def product(x, y):
        return x * y

    product.defjvp(lambda primals, tangents: (product(*primals), 1e9 * tangents[0]))
    y = jnp.arange(3.0)
    for wrap in (lambda f: f, al.jit):
        ct, = wrap(lambda ct: al.linear_transpose(lambda x: product(x, y).sum(), y)(ct))(2.0)
        assert ct.tolist() == [0, 2, 4]
    with pytest.raises(TraceError, match="not in all of them together"):
        al.linear_transpose(lambda x: product(x, x), y)(y)

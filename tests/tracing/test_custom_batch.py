"""Batches that users write: which rule is called, for what, and its derivatives."""

import jax
import numpy as np
import pytest
from jax.custom_batching import custom_vmap as jax_custom_vmap

import arraylib as al
import arraylib.numpy as jnp
from arraylib import lax, vmap
from arraylib.custom_batching import custom_vmap, sequential_vmap
from arraylib.errors import ArgumentError, DtypeError, ShapeError, StructureError, TraceError

X, Y = (np.random.default_rng(i).standard_normal((4, 3)).astype(np.float32) for i in (0, 1))


def close(ours, theirs):
    for x, y in zip(al.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


def marked(lib_vmap, np_, calls):
    """A function whose rule is three times it, so that it shows which was used."""
    @lib_vmap
    def f(x, y):
        return {"sum": np_.sin(x) * y["a"], "first": x}

    @f.def_vmap
    def rule(size, in_batched, x, y):
        calls.append((size, in_batched))
        x_has, y_has = in_batched
        wide = x if x_has else np_.broadcast_to(x, (size, *x.shape))
        a = y["a"] if y_has["a"] else np_.broadcast_to(y["a"], (size, *y["a"].shape))
        return {"sum": 3 * np_.sin(wide) * a, "first": x}, {"sum": True, "first": x_has}

    return f


MAPS = {
    "both": lambda lib, f: lib.vmap(f)(X, {"a": Y}),
    "first": lambda lib, f: lib.vmap(f, in_axes=(0, None))(X, {"a": Y[0]}),
    "second": lambda lib, f: lib.vmap(f, in_axes=(None, 1))(X[:, 0], {"a": Y}),
    "nested": lambda lib, f: lib.vmap(lib.vmap(f))(X, {"a": Y}),
    "nested, apart": lambda lib, f: lib.vmap(lib.vmap(f, (0, None)), (None, 0))(X, {"a": Y}),
    "names": lambda lib, f: lib.vmap(lambda x, y: f(x, y={"a": y}))(X, Y),
    "jit": lambda lib, f: lib.jit(lib.vmap(lib.jit(f)))(X, {"a": Y}),
    "jvp outside": lambda lib, f: lib.jvp(lib.vmap(f), (X, {"a": Y}), (Y, {"a": X})),
    "jvp inside": lambda lib, f: lib.vmap(lambda x, y: lib.jvp(f, (x, y), (y["a"], {"a": x})))(
        X, {"a": Y}),
    "gradient outside": lambda lib, f: lib.grad(
        lambda x, y: lib.vmap(f)(x, {"a": y})["sum"].sum(), (0, 1))(X, Y),
    "loop": lambda lib, f: lib.vmap(lambda x, y: (lib.numpy if lib is al else jax.numpy, lib.lax)[
        1].scan(lambda c, _: (f(c, {"a": y})["sum"], c), x, None, length=3))(X, Y),
}


@pytest.mark.parametrize("name", MAPS)
def test_maps_as_in_jax(name):
    ours, theirs = [], []
    found = MAPS[name](al, marked(custom_vmap, jnp, ours))
    close(found, MAPS[name](jax, marked(jax_custom_vmap, jax.numpy, theirs)))
    assert ours and {str(each) for each in ours} == {str(each) for each in theirs}


def test_alone_it_is_the_function():
    calls = []
    f = marked(custom_vmap, jnp, calls)
    wanted = {"sum": np.sin(X) * Y, "first": X}
    for found in (f(X, {"a": Y}), al.jit(f)(X, {"a": Y}),
                  vmap(lambda _: f(X, {"a": Y}), out_axes=None)(jnp.zeros(2))):
        close([found["sum"], found["first"]], [wanted["sum"], wanted["first"]])
    close(al.grad(lambda x: f(x, {"a": Y})["sum"].sum())(X), np.cos(X) * Y)
    assert not calls


def plain(x, y):
    return jnp.sin(x) * jnp.tanh(y).sum(), x.sum() + y[0] ** 2


def with_rule(x_only=False):
    f = custom_vmap(plain)

    @f.def_vmap
    def rule(size, in_batched, x, y):
        out = vmap(plain, in_axes=tuple(0 if has else None for has in in_batched))(x, y)
        if not in_batched[1] and x_only:
            return (out[0], out[1]), (True, True)
        return out, (True, True)
    return f


@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)])
@pytest.mark.parametrize("wrap", ["plain", "jit"])
def test_derivatives_of_examples(axes, wrap):
    """Forwards, backwards and twice inside vmap, where JAX has no gradient."""
    args = [v if axis == 0 else v[0] for v, axis in zip((X, Y), axes)]
    def derivatives(f):
        loss = lambda x, y: (f(x, y)[0] ** 2).sum() + f(x, y)[1] ** 3
        pushed = lambda x, y: al.jvp(loss, (x, y), (y, x))
        return (al.grad(loss, (0, 1)), pushed, al.hessian(loss),
                lambda x, y: al.grad(lambda x: pushed(x, y)[1])(x),
                lambda x, y: al.grad(loss)(x, 2.0 + 0 * y))
    run = al.jit if wrap == "jit" else lambda f: f
    for ours, wanted in zip(derivatives(with_rule()), derivatives(plain)):
        close(run(vmap(ours, in_axes=axes))(*args), vmap(wanted, in_axes=axes)(*args))


def test_the_gradient_inside_is_that_of_the_rule():
    """Derivatives under vmap are the rule's: its factor of three is theirs."""
    calls = []
    f = marked(custom_vmap, jnp, calls)
    found = vmap(al.grad(lambda x, y: f(x, {"a": y})["sum"].sum()))(X, Y)
    close(found, 3 * np.cos(X) * Y)
    assert {size for size, _ in calls} == {4}


def test_a_function_with_rules_of_its_own_keeps_them_in_another():
    """custom_vmap around custom_jvp or custom_vjp, directly and the other way round."""
    forwards, backwards = al.custom_jvp(lambda x: 2 * x), al.custom_vjp(lambda x: 2 * x)
    forwards.defjvp(lambda primals, tangents: (2 * primals[0], 5 * tangents[0]))
    backwards.defvjp(lambda x: (2 * x, None), lambda _, ct: (5 * ct,))
    for inner in (forwards, backwards):
        f = custom_vmap(inner)
        f.def_vmap(lambda size, in_batched, x, inner=inner: (3 * inner(x), True))
        assert float(al.grad(f)(1.0)) == float(al.jit(al.grad(f))(1.0)) == 5
        close(vmap(al.grad(f))(X[0]), np.full(3, 15))
        outer = al.custom_jvp(f)
        outer.defjvp(lambda primals, tangents, f=f: (f(*primals), 7 * tangents[0]))
        close(vmap(outer)(X[0]), 6 * X[0])
        assert float(al.grad(outer)(1.0)) == 7


def test_what_the_rule_computes_for_all_together():
    """An output that all examples share has the cotangents of all."""
    f = custom_vmap(lambda x: x.sum())
    f.def_vmap(lambda size, in_batched, x: (x.sum(), False))
    close(vmap(f)(X), np.full(4, X.sum()))
    close(vmap(f, out_axes=None)(X), X.sum())
    close(vmap(al.grad(lambda x: f(x) ** 2))(X), np.full((4, 3), 4 * 2 * X.sum()))
    close(vmap(lambda x: al.jvp(f, (x,), (x,)))(X), (np.full(4, X.sum()),) * 2)


def test_a_rule_may_read_what_is_outside():
    def outer(scale):
        f = custom_vmap(lambda x: x * scale)
        f.def_vmap(lambda size, in_batched, x: (5 * x * scale, True))
        return vmap(f)(X).sum()
    close(al.grad(outer)(2.0), 5 * X.sum())
    close(al.jit(al.grad(outer))(2.0), 5 * X.sum())

    def alone(scale):
        f = custom_vmap(lambda x: x * scale)
        f.def_vmap(lambda size, in_batched, x: (5 * x * scale, True))
        return f(jnp.asarray(X)).sum()
    close(al.grad(alone)(2.0), X.sum())


def test_methods_and_collectives():
    class Model:
        def __init__(self, w):
            self.w = w

        @custom_vmap
        def __call__(self, x):
            return x * self.w

    Model.__call__.def_vmap(lambda size, in_batched, model, x: (x * model.w + 1, True))
    al.tree_util.register_pytree_node(Model, lambda m: ((m.w,), None), lambda _, c: Model(*c))
    model = Model(jnp.asarray(2.0))
    close(vmap(lambda x: model(x))(X), 2 * X + 1)

    f = custom_vmap(lambda x: lax.psum(x, "i"))
    f.def_vmap(lambda size, in_batched, x: (lax.psum(2 * x, "i"), True))
    nested = vmap(vmap(f, axis_name="j"), axis_name="i")
    close(nested(X), np.broadcast_to(2 * X.sum(0), X.shape))
    close(vmap(lambda x: f(jnp.ones(3)), axis_name="i")(X), np.full((4, 3), 4.0))


# -- one after the other ---------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", ["plain", "jit"])
def test_sequential_vmap(wrap):
    run = al.jit if wrap == "jit" else lambda f: f
    f = sequential_vmap(plain)
    for axes in ((0, 0), (None, 0), (1, None)):
        args = [np.moveaxis(v, 0, axis) if axis is not None else v[0]
                for v, axis in zip((X, Y), axes)]
        close(run(vmap(f, in_axes=axes))(*args), vmap(plain, in_axes=axes)(*args))
    two = lambda f: vmap(vmap(f, in_axes=(0, None)), in_axes=(None, 0))
    close(run(two(f))(X, Y), two(plain)(X, Y))
    loss = lambda f: lambda x, y: (f(x, y)[0] ** 2).sum()
    close(run(vmap(al.grad(loss(f))))(X, Y), vmap(al.grad(loss(plain)))(X, Y))
    close(al.grad(lambda x: vmap(loss(f))(x, Y).sum())(X), vmap(al.grad(loss(plain)))(X, Y))
    assert "scan" in str(al.make_graph(vmap(f))(X, Y))


# -- mistakes --------------------------------------------------------------------------------------

RULES = [
    (lambda size, has, x: x, StructureError, "must return a pair .*, not a Tracer"),
    (lambda size, has, x: ((x, x), True), StructureError, "what its batching rule returns has a"),
    (lambda size, has, x: (x, (True, True)), StructureError, "out_batched has a tuple"),
    (lambda size, has, x: (x[:2], True), ShapeError,
     r"of shape \(2, 3\), but \(4, 3\) is needed, as out_batched is True there for 4 examples"),
    (lambda size, has, x: (x, False), ShapeError, r"of shape \(4, 3\), but \(3,\) is needed"),
    (lambda size, has, x: (x > 0, True), DtypeError, "dtype bool, but the function's is float32"),
]


@pytest.mark.parametrize("rule, kind, words", RULES)
def test_rules_that_do_not_fit(rule, kind, words):
    f = custom_vmap(lambda x: 2 * x)
    f.def_vmap(rule)
    with pytest.raises(kind, match=words):
        vmap(f)(X)


def test_calls_that_do_not_fit():
    f = custom_vmap(lambda x, y=1, *, z=2: x)
    with pytest.raises(ArgumentError, match="has no batching rule yet"):
        vmap(f)(X)
    with pytest.raises(ArgumentError, match="'z' is by name only"):
        f(X, z=3)
    with pytest.raises(ArgumentError, match="unexpected keyword argument 'w'"):
        f(X, w=3)
    with pytest.raises(ArgumentError, match="'a', which is no array|is a str, which is no array"):
        vmap(f)(X, "a")

    def reads(y):
        g = custom_vmap(lambda x: x * y)
        g.def_vmap(lambda size, in_batched, x: (x * y, True))
        return g(2.0)
    with pytest.raises(TraceError, match="reads a value that differs from example to example"):
        vmap(reads)(X)

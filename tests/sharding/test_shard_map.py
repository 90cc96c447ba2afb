"""shard_map: what it refuses, and where it says so; the rest is compared with JAX."""

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import debug, lax
from arraylib.config import config
from arraylib.errors import ArgumentError, CheckError, NotFiniteError, ShapeError, UnboundAxisError
from arraylib.sharding import PartitionSpec as P, get_abstract_mesh

X = np.arange(32, dtype=np.float32).reshape(8, 4)


@pytest.fixture
def mesh():
    return arraylib.make_mesh((4, 2), ("x", "y"))


def mapped(mesh, f, specs, out, *args, **settings):
    return arraylib.shard_map(f, mesh=mesh, in_specs=specs, out_specs=out, **settings)(*args)


def _squared_rule(a):
    """The gradient of a function whose rule takes a gradient."""
    squared = arraylib.custom_jvp(jnp.square)
    squared.defjvp(lambda xs, ts: (jnp.square(*xs), ts[0] * arraylib.grad(
        lambda x: jnp.square(x).sum())(*xs)))
    return arraylib.grad(lambda a: squared(a).sum())(a)


@pytest.mark.parametrize("f, specs, out, problem", [
    (lambda a: a, P("x"), P(), "is the same along 'x', which it does not name"),
    (lambda a: {"w": a}, P("y"), P(), r"result\['w'\] is the same along 'y'"),
    (lambda a: a, P(None, None, "x"), P(), "has 3 entries, but argument 0 has 2 axes"),
    (lambda a: a.sum(), P("x"), P("x"), "has 1 entries, but result has 0 axes on each device"),
    (lambda a: a, P("z"), P(), "names the axis 'z', but the mesh has 'x', 'y'"),
    (lambda a: a, (P("x"), P()), P(), "in_specs has 2 entries, but the call has 1"),
    (lambda a: a, 3, P(), "in_specs has 3, which is no PartitionSpec"),
    (lambda a: lax.psum(a, "w"), P("x"), P("x"), "no axis 'w' is bound here"),
    (lambda a: lax.pcast(a, "x", to="unreduced"), P("x"), P("x"), "to = 'unreduced' along 'x'"),
    (lambda a: arraylib.vjp(lambda b: b * 2, a)[1](a + lax.axis_index("x"))[0], P(), P("x"),
     "a cotangent differs along 'x', but the output that it belongs to is the same"),
    (lambda a: lax.scan(lambda c, _: (c - arraylib.grad(lambda c: (c * lax.axis_index("x")).sum())(
        c) * lax.axis_index("x"), None), a, None, length=2)[0], P(), P("x"),
     "is the same along 'x' at first, but differs after a step, and a gradient is taken"),
    (lambda a: _squared_rule(a), P(), P("x"),
     "a gradient is taken inside of shard_map with check_vma, where it is not known"),
    (lambda a: arraylib.linear_transpose(lambda a: a * 2, a)(a)[0], P("x"), P("x"),
     "linear_transpose: a gradient is taken inside of shard_map"),
])
def test_what_is_refused(mesh, f, specs, out, problem):
    with pytest.raises((ArgumentError, ShapeError, UnboundAxisError), match=problem):
        mapped(mesh, f, specs, out, X)


def test_axes_that_do_not_divide(mesh):
    with pytest.raises(ShapeError, match="axis 0 of argument 0 is of size 6") as error:
        mapped(mesh, lambda a: a, P("x"), P("x"), X[:6])
    assert "pad it to 8" in str(error.value)
    with pytest.raises(ArgumentError, match="there is no mesh"):
        arraylib.shard_map(lambda a: a, in_specs=P(), out_specs=P())(X)
    with pytest.raises(ArgumentError, match="smap: axis -1"):
        arraylib.smap(lambda a: a, in_axes=(0, -1), axis_name="x")
    with pytest.raises(ArgumentError, match="axis_names has 'z'"):
        mapped(mesh, lambda a: a, P(), P(), X, axis_names={"z"})
    with pytest.raises(ArgumentError, match="'y' is not one of those split here: 'x'"):
        mapped(mesh, lambda a: a, P("y"), P(), X, axis_names={"x"})


def test_gradients_inside_without_the_check(mesh):
    """Collectives have the derivatives they have under vmap; a sum is added up by hand."""
    def step(w, x):
        return lax.psum(arraylib.grad(lambda w: ((x @ w) ** 2).sum())(w), ("x", "y"))

    w = np.ones((4, 3), np.float32)
    found = mapped(mesh, step, (P(), P(("x", "y"))), P(), w, X, check_vma=False)
    whole = arraylib.grad(lambda w: ((jnp.array(X) @ w) ** 2).sum())(jnp.array(w))
    np.testing.assert_allclose(found, whole, rtol=1e-5)


def test_what_was_traced_without_the_check_is_not_used_with_it(mesh):
    gradient = arraylib.jit(arraylib.grad(lambda a: lax.psum(a, "x").sum()))
    assert mapped(mesh, gradient, P("x"), P("x"), X, check_vma=False).tolist() == np.full_like(
        X, 4).tolist()
    assert mapped(mesh, gradient, P("x"), P("x"), X).tolist() == np.ones_like(X).tolist()
    assert mapped(mesh, gradient, P(), P(), X).tolist() == np.full_like(X, 4).tolist()


def test_rules_of_users_on_what_devices_share(mesh):
    """A backward rule may leave it to others to add up the cotangents of all devices."""
    scaled = arraylib.custom_vjp(lambda w, x: w * x)
    scaled.defvjp(lambda w, x: (w * x, (w, x)), lambda kept, ct: (
        (ct * kept[1]).sum(), ct * kept[0]))

    def gradient(w, x, cast=False):
        w = lax.pcast(w, ("x", "y"), to="varying") if cast else w
        return arraylib.grad(lambda w: scaled(w, x).sum())(w)

    specs, w = (P(), P("x", "y")), np.float32(2)
    assert mapped(mesh, lambda w, x: scaled(w, x), specs, P("x", "y"), w, X).tolist() == (
        2 * X).tolist()
    assert float(mapped(mesh, gradient, specs, P(), w, X)) == X.sum()
    found = mapped(mesh, lambda w, x: lax.psum(gradient(w, x, True), ("x", "y")), specs, P(), w, X)
    assert float(found) == X.sum()


def test_gradients_inside_of_what_is_the_same_by_jax_names(mesh):
    def gathered(gather):
        return mapped(mesh, arraylib.grad(lambda a: gather(a, "x", tiled=True).sum()), P("x"),
                      P("x"), X).tolist()

    assert gathered(lax.all_gather) == np.full_like(X, 4).tolist()  # everybody's sum
    assert gathered(lax.all_gather_invariant) == np.ones_like(X).tolist()
    nested = arraylib.shard_map(
        lambda w, a: arraylib.grad(lambda w: (w * a).sum())(w), in_specs=(P(), P(None, "y")),
        out_specs=P(), axis_names={"y"})
    with arraylib.set_mesh(mesh):
        def both(w, a):
            own = lax.pcast(w, "x", to="varying")
            return nested(w, a)[None], nested(own, a)[None]
        shared, own = mapped(mesh, both, (P(), P("x")), P("x"), np.float32(1), X,
                             axis_names={"x"})
    assert shared.tolist() == [X.sum()] * 4
    assert own.tolist() == X.reshape(4, 8).sum(1).tolist()


def test_results_lie_as_their_specs_say(mesh):
    seen = []

    @arraylib.shard_map(mesh=mesh, in_specs=P("x", "y"), out_specs={"a": P("y", "x"), "b": P()})
    def f(a):
        seen.append((a.shape, get_abstract_mesh().manual_axes))
        return {"a": a, "b": jnp.ones(2)}

    for g in (f, arraylib.jit(f)):
        out = g(X)
        assert out["a"].shape == (4, 8) and out["b"].is_fully_replicated
        assert [out[k].sharding.spec for k in "ab"] == [P("y", "x"), P(None)]
    assert seen == [((2, 2), ("x", "y"))] * 2
    with arraylib.set_mesh(mesh):
        x = arraylib.device_put(X, P("x"))
        assert arraylib.shard_map(lambda a: a * 2, out_specs=P("x"))(x).tolist() == (X * 2).tolist()


def test_a_nan_is_found(mesh):
    with arraylib.debug_nans(), pytest.raises(NotFiniteError, match="log: gives nan") as error:
        mapped(mesh, lambda a: jnp.log(a), P("x"), P("x"), X - 9)
    assert "mapped(mesh, lambda a: jnp.log(a)" in str(error.value)
    assert "log: gives nan at [0, 0] of f32[2,4], on shard x=0\n" in str(error.value)


def test_a_failure_names_the_shard_and_the_example_on_it(mesh):
    def checked(a):
        debug.check(a.sum() < 100, "the sum is {}", a.sum())
        return a

    with pytest.raises(CheckError) as error:
        arraylib.jit(lambda x: mapped(mesh, arraylib.vmap(checked), P("x", "y"), P("x", "y"), x))(
            jnp.where(X == 23, 400, X))
    assert "check: the sum is 422.0, on shard x=2, y=1, for example 1 of vmap\n" in str(error.value)
    with pytest.raises(CheckError, match="the sum is 116.0, on shard y=0\n"):
        mapped(mesh, lambda a: checked(lax.psum(a, "x")), P("x", "y"), P(None, "y"), X / 2)


def test_what_is_given_stays_where_it_is(mesh):
    x, w = jnp.ones(4), jnp.zeros(4)
    found = arraylib.shard_map(lambda a: (a, w), mesh=mesh, in_specs=P(), out_specs=P())(x)
    assert [y.sharding.mesh for y in found] == [mesh, mesh]
    assert x.sharding == w.sharding == jnp.ones(4).sharding != found[0].sharding


def test_gradients_inside_of_the_first_program_with_a_mesh(mesh):
    """What is traced before anybody asks for a mesh is the same on all devices."""
    def gradient(w, a):
        def inside(v, a):
            return arraylib.grad(lambda v: (v * w * a).sum())(v)
        return mapped(mesh, inside, (P(), P("x", "y")), P(), w, a)

    before = config.placing
    config.place(False)
    try:
        assert float(arraylib.jit(gradient)(np.float32(2), X)) == 2 * X.sum()
    finally:
        config.place(before)

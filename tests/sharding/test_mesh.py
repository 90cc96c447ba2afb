"""Meshes, specs and shardings: what they refuse, and that what a program computes stays."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import lax
from arraylib.config import config
from arraylib.errors import ArgumentError, ShapeError, ShardingTypeError
from arraylib.sharding import (
    AbstractMesh,
    AxisType,
    Mesh,
    NamedSharding,
    PartitionSpec as P,
    SingleDeviceSharding,
    get_abstract_mesh,
    get_mesh,
    set_mesh,
    use_abstract_mesh,
)
from arraylib.tracing.resharding import with_sharding_constraint

X = np.arange(32, dtype=np.float32).reshape(8, 4)


def grid(*sizes):
    return arraylib.make_mesh(sizes, ("x", "y")[:len(sizes)])


def test_how_they_are_shown():
    mesh = grid(4, 2)
    assert str(mesh) == "Mesh('x': 4, 'y': 2, axis_types=(Explicit, Explicit))"
    assert repr(NamedSharding(mesh, P("x", ("y",)))) == (
        f"NamedSharding(mesh={mesh}, spec=P('x', 'y'), memory_kind=device)")
    assert repr(P(None, "x", unreduced={"y"})) == "P(None, 'x', unreduced={'y'})"
    assert repr(AbstractMesh((2,), ("a",))) == "AbstractMesh('a': 2, axis_types=(Auto,))"
    assert mesh == Mesh(mesh.devices, ("x", "y"), AxisType.Explicit) != grid(2, 4)
    assert P("x") == P(("x",)) != P("x", None) and pickle.loads(pickle.dumps(P("x"))) == P("x")
    assert P("x") + ("y",) == P("x", "y")


@pytest.mark.parametrize("make, problem", [
    (lambda: grid(4, 4), r"a mesh of \(4, 4\) needs 16 devices, but there are 8"),
    (lambda: grid(4, 0), "one device or more"),
    (lambda: arraylib.make_mesh((4, 2), ("x",)), r"2 sizes \(4, 2\) for 1 names"),
    (lambda: arraylib.make_mesh((4, 2), ("x", "x")), "two axes are named 'x'"),
    (lambda: Mesh(arraylib.devices(), ("x", "y")), r"has 1 axes \(8,\), but there are 2 names"),
    (lambda: NamedSharding(grid(4, 2), P("z")), "names the axis 'z', but the mesh has 'x', 'y'"),
    (lambda: NamedSharding(grid(4, 2), P("x", "x")), "names the axis 'x' twice"),
    (lambda: arraylib.device_put(X, NamedSharding(grid(4, 2), P(None, None, "x"))),
     "has 3 entries, but the array has 2 axes"),
    (lambda: arraylib.device_put(X[:6], NamedSharding(grid(4, 2), P("x"))),
     "axis 0 of the array is of size 6, which is no multiple of the 4 parts"),
    (lambda: arraylib.device_put(X, P("x")), "is for a mesh, but none is set"),
    (lambda: with_sharding_constraint(X, 3), "with_sharding_constraint"),
])
def test_what_is_refused(make, problem):
    with pytest.raises((ArgumentError, ShapeError), match=problem):
        make()


def test_devices_are_as_many_as_asked_for():
    assert len(arraylib.devices()) == arraylib.device_count() == 8
    x = arraylib.device_put(X, arraylib.devices()[3])
    assert x.device.id == 3 and (x + 1).devices() == {arraylib.devices()[3]}
    assert arraylib.jit(lambda x: x * 2)(x).sharding == SingleDeviceSharding(x.device)
    with pytest.raises(ArgumentError, match="operands are on device 3 and on device 1"):
        x + arraylib.device_put(X, arraylib.devices()[1])
    with config.using(num_cpu_devices=1), pytest.raises(ArgumentError, match="num_cpu_devices', 2"):
        grid(2)


def test_the_mesh_that_is_set():
    mesh = grid(4, 2)
    assert get_mesh().empty and get_abstract_mesh().empty
    with set_mesh(mesh):
        assert get_mesh() is mesh and get_abstract_mesh() == mesh.abstract_mesh
        assert arraylib.device_put(X, P("x")).sharding == NamedSharding(mesh, P("x"))
        with use_abstract_mesh(AbstractMesh((2,), ("a",))):
            assert get_abstract_mesh().axis_names == ("a",)
        assert arraylib.typeof(jnp.ones(3)).sharding.spec == P(None)
    assert get_mesh().empty


def test_a_mesh_is_that_of_its_own_block():
    """Of the same mesh in a block of its own, and in another thread, too."""
    mesh = grid(4, 2)

    def enter():
        with mesh as entered, mesh:
            return entered is mesh and get_mesh() is mesh
    with mesh, ThreadPoolExecutor(1) as pool:
        assert enter() and pool.submit(enter).result()
        assert get_mesh() is mesh and pool.submit(get_mesh).result().empty
    assert get_mesh().empty


def test_what_is_computed_stays():
    mesh = arraylib.make_mesh((4, 2), ("x", "y"), AxisType.Auto)
    sharding = NamedSharding(mesh, P("x", "y"))

    def f(x):
        y = with_sharding_constraint(jnp.sin(x), NamedSharding(mesh, P("y")))
        return (y * x).sum(1)

    x = arraylib.device_put(X, sharding)
    expected = (np.sin(X) * X).sum(1)
    whole = arraylib.grad(lambda x: (jnp.sin(x) * x).sum())(jnp.array(X))
    for given in (x, jnp.array(X)):
        np.testing.assert_allclose(f(given), expected, rtol=1e-5)
        np.testing.assert_allclose(arraylib.jit(f)(given), expected, rtol=1e-5)
        np.testing.assert_allclose(arraylib.grad(lambda x: f(x).sum())(given), whole, rtol=1e-5)
    batched = arraylib.vmap(lambda r: with_sharding_constraint(
        r * 2, NamedSharding(mesh, P("y"))))(jnp.array(X))
    assert np.array_equal(batched, X * 2)
    outs = arraylib.jit(f, in_shardings=(sharding,), out_shardings=NamedSharding(mesh, P("x")))(X)
    assert outs.sharding.spec == P("x")


def test_copies_lie_where_the_array_does():
    sharding = NamedSharding(grid(4, 2), P("x", "y"))
    x = arraylib.device_put(X, sharding)
    for copied in (x.copy(), jnp.array(x), jnp.copy(x)):
        assert copied is not x and copied.sharding == sharding


def test_shardings_of_arguments_leave_static_ones_out():
    sharding = NamedSharding(grid(4, 2), P("x"))
    for given in (sharding, (sharding,)):
        scaled = arraylib.jit(lambda how, x: x * 2 if how == "twice" else x, static_argnums=0,
                              in_shardings=given)
        found = scaled("twice", X)
        assert found.sharding.spec == P("x", None) and np.array_equal(found, X * 2)


@pytest.mark.parametrize("how", ["in_shardings", "out_shardings", "inside"])
def test_the_first_sharding_of_a_process_may_be_one_of_jit(how):
    """No array has been placed yet, and no mesh set, when the function is first traced."""
    sharding = NamedSharding(grid(4, 2), P("x"))
    f = arraylib.jit(lambda x: with_sharding_constraint(x, sharding)) if how == "inside" else \
        arraylib.jit(lambda x: x * 2, **{how: sharding})
    assert f(X).sharding.spec[0] == "x"


def test_disagreement_names_operands_and_line():
    mesh = grid(4, 2)
    x = arraylib.device_put(X, NamedSharding(mesh, P("x", "y")))
    with pytest.raises(ShardingTypeError) as error:
        x @ x.T
    text = str(error.value)
    assert "over which it sums, is split along 'y'" in text and "x @ x.T" in text
    assert "f32[8,4]  P('x', 'y')" in text and "out_sharding" in text


def test_arrays_that_nobody_places_are_on_the_first_device():
    x = jnp.ones((2, 2))
    assert x.sharding == SingleDeviceSharding(arraylib.devices()[0]) and x.is_fully_replicated
    (shard,) = x.addressable_shards
    assert shard.replica_id == 0 and shard.data.shape == (2, 2) and not x.committed
    assert lax.add(x, x).devices() == {arraylib.devices()[0]}


def test_shardings_are_drawn(capsys):
    mesh, seen = grid(4, 2), []
    x = arraylib.device_put(X, NamedSharding(mesh, P("y", None)))
    arraylib.debug.visualize_array_sharding(x)
    arraylib.jit(lambda x: arraylib.debug.visualize_array_sharding(x.sum(0)))(x)
    assert capsys.readouterr().out == """\
┌─────────────┐
│ CPU 0,2,4,6 │
├─────────────┤
│ CPU 1,3,5,7 │
└─────────────┘
┌─────────────────────┐
│ CPU 0,1,2,3,4,5,6,7 │
└─────────────────────┘
"""
    arraylib.debug.inspect_array_sharding(x, callback=seen.append)
    assert seen == [x.sharding]
    with pytest.raises(ArgumentError, match="an array of 0 axes"):
        arraylib.debug.visualize_array_sharding(jnp.ones(()))


def test_specs_are_for_the_innermost_mesh():
    with set_mesh(grid(4, 2)):
        @arraylib.jit
        def f(x):
            with use_abstract_mesh(AbstractMesh((8,), ("a",), AxisType.Explicit)):
                return arraylib.reshard(x, P("a")) * 2
        assert str(arraylib.typeof(f(X))) == "float32[8@a,4]"
        with pytest.raises(ArgumentError, match="unreduced.*sums that are still to be made"):
            arraylib.reshard(X, P("x", unreduced={"y"}))


def test_an_axis_that_the_mesh_lacks_is_named_with_what_to_try():
    mesh = arraylib.make_mesh((1,), ("x",))
    with pytest.raises(ArgumentError, match="names the axis 'z'.*(?s:.*)try: an axis of the mesh"):
        arraylib.shard_map(lambda x: x, mesh, P("z"), P())(jnp.ones(2))
    with pytest.raises(ArgumentError, match="axis_names has 'z'(?s:.*)try: leave axis_names out"):
        arraylib.shard_map(lambda x: x, mesh, P(), P(), axis_names={"z"})(jnp.ones(2))

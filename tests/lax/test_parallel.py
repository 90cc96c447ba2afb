"""Collectives over axes that vmap names: against JAX's, alone and under every transform."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import arraylib as al
import arraylib.numpy as jnp
from arraylib import hlo, lax, vmap
from arraylib.errors import (
    ArgumentError,
    DtypeError,
    ShapeError,
    TraceError,
    UnboundAxisError,
)
from arraylib.hlo.parallel import evaluate_parallel

OURS, THEIRS = (al, jnp, lax), (jax, jax.numpy, jax.lax)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def agree(ours, theirs, tolerance=1e-5):
    found, wanted = al.tree.leaves(ours), jax.tree.leaves(theirs)
    assert len(found) == len(wanted)
    for x, y in zip(found, wanted):
        assert x.dtype == y.dtype and x.shape == y.shape
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


# One example is f32[4, 4, 8]; there are four.
COLLECTIVES = {
    "psum": lambda lax: lambda x: lax.psum(x, "i"),
    "psum of a container": lambda lax: lambda x: lax.psum({"a": x, "b": (x > 0, 2 * x)}, "i"),
    "psum and a sum": lambda lax: lambda x: lax.psum(x, (1, "i")),
    "psum of numbers": lambda lax: lambda x: x * lax.psum(1, "i") + lax.psum(2.5, "i"),
    "pmean": lambda lax: lambda x: x - lax.pmean(x, "i"),
    "pmean of truth values": lambda lax: lambda x: lax.pmean(x > 0, "i"),
    "pmax": lambda lax: lambda x: lax.pmax(x, "i"),
    "pmin": lambda lax: lambda x: lax.pmin(x, "i"),
    "pmax of truth values": lambda lax: lambda x: lax.pmax(x > 1, "i"),
    "all_gather": lambda lax: lambda x: lax.all_gather(x, "i"),
    "all_gather, last": lambda lax: lambda x: lax.all_gather(x, "i", axis=-1),
    "all_gather, tiled": lambda lax: lambda x: lax.all_gather(x, "i", axis=1, tiled=True),
    "psum_scatter": lambda lax: lambda x: lax.psum_scatter(x, "i"),
    "psum_scatter, inner": lambda lax: lambda x: lax.psum_scatter(x, "i", scatter_dimension=1),
    "psum_scatter, tiled": lambda lax: lambda x: lax.psum_scatter(
        x, "i", scatter_dimension=2, tiled=True),
    "all_to_all": lambda lax: lambda x: lax.all_to_all(x, "i", 0, 2),
    "all_to_all, back": lambda lax: lambda x: lax.all_to_all(x, "i", 1, 0),
    "all_to_all, tiled": lambda lax: lambda x: lax.all_to_all(x, "i", 2, 0, tiled=True),
    "pswapaxes": lambda lax: lambda x: lax.pswapaxes(x, "i", 1),
    "ppermute": lambda lax: lambda x: lax.ppermute(x, "i", [(0, 1), (1, 3), (2, 0), (3, 2)]),
    "pshuffle": lambda lax: lambda x: lax.pshuffle(x, "i", [3, 0, 2, 1]),
    "axis_index": lambda lax: lambda x: x * lax.axis_index("i"),
    "axis_size": lambda lax: lambda x: x * lax.axis_size("i"),
    "shared": lambda lax: lambda x: lax.psum(np.ones(2, np.float32), "i") + x[0, 0, :2],
}
NO_DERIVATIVE_IN_JAX = ("pmax", "pmin")
WRONG_INSIDE_IN_JAX = ("all_to_all", "all_to_all, back")


@pytest.mark.parametrize("name", COLLECTIVES)
def test_is_what_jax_computes(name):
    x = normal(4, 4, 4, 8)
    theirs = jax.vmap(COLLECTIVES[name](jax.lax), axis_name="i")(x)
    mapped = vmap(COLLECTIVES[name](lax), axis_name="i")
    agree(mapped(x), theirs)
    agree(al.jit(mapped)(x), theirs)
    inside = vmap(al.jit(COLLECTIVES[name](lax)), axis_name="i")
    agree(inside(x), theirs)


def losses(lib, np_, f):
    """Of one example, and of all together."""
    def loss(x):
        return sum((leaf * np_.sin(leaf)).sum() for leaf in lib.tree.leaves(f(x)))
    return loss, lambda x: lib.vmap(loss, axis_name="i")(x).sum()


def derivatives(lib, np_, f):
    """Of what one example gets: backwards, forwards, and one after the other."""
    loss, _ = losses(lib, np_, f)
    def each(x, t):
        return lib.grad(loss)(x), lib.jvp(loss, (x,), (t,)), lib.grad(
            lambda x: lib.jvp(loss, (x,), (t,))[1])(x)
    return lib.vmap(each, axis_name="i")


DIFFERENTIABLE = [name for name in COLLECTIVES if "truth" not in name and "container" not in name]


@pytest.mark.parametrize("name", [n for n in DIFFERENTIABLE
                                  if n not in (*NO_DERIVATIVE_IN_JAX, *WRONG_INSIDE_IN_JAX)])
def test_derivatives_inside_are_jax_s(name):
    x, t = normal(4, 4, 4, 8), normal(4, 4, 4, 8, seed=1)
    theirs = jax.jit(derivatives(*THEIRS[:2], COLLECTIVES[name](jax.lax)))(x, t)
    agree(al.jit(derivatives(*OURS[:2], COLLECTIVES[name](lax)))(x, t), theirs, 2e-4)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_inside_are_those_of_all_together(name):
    x = normal(4, 4, 4, 8)
    loss, whole = losses(*OURS[:2], COLLECTIVES[name](lax))
    wanted = al.grad(whole)(x)
    agree(vmap(al.grad(loss), axis_name="i")(x), wanted, 2e-4)
    if name not in NO_DERIVATIVE_IN_JAX:
        agree(wanted, jax.grad(losses(*THEIRS[:2], COLLECTIVES[name](jax.lax))[1])(x), 2e-4)


@pytest.mark.parametrize("name", NO_DERIVATIVE_IN_JAX)
def test_derivatives_of_extremes(name):
    """They are those of a maximum over the examples; the mean where some are equal."""
    x = np.round(normal(4, 3), 1)
    x[2] = x[0]
    weights = normal(4, 3, seed=2)
    extreme = {"pmax": jnp.max, "pmin": jnp.min}[name]
    collective = getattr(lax, name)
    wanted = al.grad(lambda x: (extreme(x, 0) * weights).sum())(x)
    whole = lambda x: (vmap(lambda x: collective(x, "i"), axis_name="i")(x) * weights).sum()
    agree(al.grad(whole)(x), wanted)
    each = vmap(al.grad(lambda x, w: (collective(x, "i") * w).sum()), axis_name="i")
    agree(each(x, weights), wanted)


# -- inside control flow and other transforms ------------------------------------------------------


def scanned(lib, np_, lax):
    def step(c, x):
        total = lax.psum(c * x, "i")
        return np_.sin(total) + x, c + lax.axis_index("i")
    return lambda x: lax.scan(step, x[0], x)


def shared_scan(lib, np_, lax):
    """A loop of which only the collectives inside make examples differ."""
    return lambda x: lax.scan(
        lambda c, _: (c * 2 + lax.axis_index("i"), lax.psum(c, "i")), 0, None, length=3)


def conditional(lib, np_, lax):
    return lambda x: lax.cond(lax.psum(x.sum(), "i") > 0, lambda x: x, lambda x: lax.pmean(x, "i"),
                              x)


def parting(lib, np_, lax):
    """Examples take different branches, of which one asks all of them."""
    return lambda x: lax.cond(x.sum() > 0, lambda x: x * 2 + lax.psum(x, "i"), lambda x: -x, x)


def looped(lib, np_, lax):
    return lambda x: (
        lax.while_loop(lambda c: lax.psum(c, "i").sum() < 100,
                       lambda c: c * 1.5 + lax.pmean(abs(c), "i"), abs(x)),
        lax.while_loop(lambda c: c.sum() < 10 * (lax.axis_index("i") + 1), lambda c: c * 1.5 + 1,
                       abs(x)))


def remembered(lib, np_, lax):
    return lib.checkpoint(lambda x: np_.sin(lax.psum(np_.sin(x), "i")))


def with_rules(lib, np_, lax):
    @lib.custom_jvp
    def f(x):
        return lax.psum(x, "i")
    f.defjvp(lambda xs, ts: (f(*xs), 3 * lax.pmean(ts[0], "i")))

    @lib.custom_vjp
    def g(x):
        return x + lax.axis_index("i")
    g.defvjp(lambda x: (g(x), x), lambda x, ct: (lax.psum(ct * x, "i"),))
    return lambda x: f(g(x)) * x


PROGRAMS = (scanned, conditional, remembered, with_rules)


@pytest.mark.parametrize("program", [*PROGRAMS, parting, shared_scan, looped])
def test_inside_control_flow(program):
    x = normal(4, 3, 3)
    theirs = jax.vmap(program(*THEIRS), axis_name="i")(x)
    mapped = vmap(program(*OURS), axis_name="i")
    agree(mapped(x), theirs)
    agree(al.jit(mapped)(x), theirs)


@pytest.mark.parametrize("program", PROGRAMS)
def test_derivatives_through_control_flow(program):
    x = normal(4, 3, 3)
    def gradients(lib, np_, lax):
        f = program(lib, np_, lax)
        loss = lambda x: sum((leaf ** 2).sum() for leaf in lib.tree.leaves(f(x)))
        whole = lambda x: lib.vmap(loss, axis_name="i")(x).sum()
        return lib.vmap(lib.grad(loss), axis_name="i")(x), lib.grad(whole)(x)
    agree(gradients(*OURS), gradients(*THEIRS), 1e-4)


def test_gradients_where_examples_part():
    """Here JAX takes cotangents of examples into the sum that have not taken its branch."""
    x = normal(4, 3, 3)
    weights = normal(4, 3, 3, seed=1)
    taken = (x.sum((1, 2)) > 0)[:, None, None]
    assert taken.any() and not taken.all()
    found = al.grad(lambda x: (vmap(parting(*OURS), axis_name="i")(x) * weights).sum())(x)
    wanted = np.where(taken, weights, 0).sum(0) + np.where(taken, 2 * weights, -weights)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


# -- nested ----------------------------------------------------------------------------------------


def nested(lib, np_, lax):
    def f(x):
        both = lax.psum(x, ("i", "j")) + 10 * lax.axis_index(("i", "j"))
        return (both, lax.psum(x, "j") - lax.pmean(x, "i"), lax.all_gather(x, "j"),
                lax.ppermute(lax.pmax(x, "i"), "j", [(0, 1), (1, 2), (2, 0)]),
                lax.axis_size(("i", "j")), lax.axis_index("j"))
    return lib.vmap(lib.vmap(f, axis_name="j", in_axes=1), axis_name="i", out_axes=1)


@pytest.mark.parametrize("wrap", ["plain", "jit"])
def test_nested(wrap):
    x = normal(2, 4, 3)
    ours, theirs = nested(*OURS), nested(*THEIRS)
    agree((al.jit(ours) if wrap == "jit" else ours)(x), theirs(x))


def test_several_axes_are_one():
    """Collectives over two axes are those over one of both, the first varying slowest."""
    x = normal(2, 3, 6, 12)
    names, flat = ("i", "j"), x.reshape(6, 6, 12)
    for f in (lambda x, n: lax.psum(x, n), lambda x, n: lax.all_gather(x, n, axis=1),
              lambda x, n: lax.all_gather(x, n, tiled=True),
              lambda x, n: lax.psum_scatter(x, n),
              lambda x, n: lax.psum_scatter(x, n, scatter_dimension=1, tiled=True),
              lambda x, n: lax.all_to_all(x, n, 0, 1),
              lambda x, n: lax.all_to_all(x, n, 1, 0, tiled=True),
              lambda x, n: lax.ppermute(x, n, [(0, 4), (4, 1), (5, 5)]),
              lambda x, n: lax.pshuffle(x, n, [5, 4, 2, 3, 0, 1])):
        two = vmap(vmap(lambda x, f=f: f(x, names), axis_name="j"), axis_name="i")(x)
        one = vmap(lambda x, f=f: f(x, "k"), axis_name="k")(flat)
        np.testing.assert_allclose(np.reshape(two, one.shape), one, rtol=1e-5)


def test_the_innermost_axis_of_a_name_counts():
    f = lambda lib, lax: lib.vmap(lambda x: lax.psum(x, "i") + lib.vmap(
        lambda y: lax.psum(y * x, "i") + lax.axis_index("i"), axis_name="i")(x), axis_name="i")
    agree(f(al, lax)(normal(3, 4)), f(jax, jax.lax)(normal(3, 4)))


def test_names_are_any_hashable():
    class Key:
        def __repr__(self):
            return "i"

    first, second = Key(), Key()
    f = vmap(vmap(lambda x: (lax.psum(x, first), lax.psum(x, second), lax.psum(x, "i")),
                  axis_name=first), axis_name=second)
    x = normal(2, 3, 4)
    agree(vmap(f, axis_name="i", in_axes=2, out_axes=2)(x),
          (np.broadcast_to(x.sum(1, keepdims=True), x.shape),
           np.broadcast_to(x.sum(0, keepdims=True), x.shape),
           np.broadcast_to(x.sum(2, keepdims=True), x.shape)))


def test_a_jitted_function_is_traced_for_each_axis():
    f = al.jit(lambda x: lax.psum(x, "i") * lax.axis_size("i"))
    for n in (2, 3, 2):
        agree(vmap(f, axis_name="i")(np.ones(n, np.float32)), np.full(n, n * n, np.float32))
    with pytest.raises(UnboundAxisError):
        f(np.ones(3, np.float32))


# -- properties ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=20)
@given(st.data())
def test_nested_maps_agree_with_jax(data):
    """Any nest of maps over any axes, with sums along any of the names."""
    depth, own = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2))
    rank = depth + own
    shape = data.draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))
    names = "ijk"[:depth]
    used = data.draw(st.lists(st.sampled_from(names), unique=True, max_size=depth))
    moves = [[data.draw(st.integers(-(rank - d), rank - d - 1)) for _ in "io"]
             for d in range(depth)]

    def program(lib, np_, lax):
        def f(x):
            index = lax.axis_index(names[0])
            return lax.psum(x * (index + 1), tuple(used)) + np_.cumsum(x, 0)
        for name, (source, target) in reversed(list(zip(names, moves))):
            f = lib.vmap(f, in_axes=source, out_axes=target, axis_name=name)
        return f

    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    agree(al.jit(program(*OURS))(x), jax.jit(program(*THEIRS))(x))


GROUPED = {
    "psum": lambda x, **groups: lax.psum(x, "i", **groups),
    "pmean": lambda x, **groups: lax.pmean(x, "i", **groups),
    "pmax": lambda x, **groups: lax.pmax(x, "i", **groups),
    "psum of a number": lambda x, **groups: x * lax.psum(1, "i", **groups),
    "psum of what is shared": lambda x, **groups: x + lax.psum(jnp.ones(()), "i", **groups),
    "all_gather": lambda x, **groups: lax.all_gather(x, "i", **groups),
    "psum_scatter": lambda x, **groups: lax.psum_scatter(x, "i", **groups),
    "all_to_all": lambda x, **groups: lax.all_to_all(x, "i", 1, 0, **groups),
    "pswapaxes": lambda x, **groups: lax.pswapaxes(x, "i", 0, **groups),
}


@pytest.mark.parametrize("name", GROUPED)
def test_groups_are_maps_of_their_own(name):
    rows = [[4, 0, 2], [1, 5, 3]]
    x = normal(6, 3, 3)
    f = GROUPED[name]
    wanted = np.empty((6, *vmap(f, axis_name="i")(x[:3]).shape[1:]), np.float32)
    for row in rows:
        wanted[row] = vmap(f, axis_name="i")(x[row])
    def grouped(x):
        return vmap(lambda x: f(x, axis_index_groups=rows), axis_name="i")(x)
    agree(grouped(x), wanted)
    weights = np.linspace(-1, 1, wanted.size, dtype=np.float32).reshape(wanted.shape)
    loss = lambda x: (grouped(x) * weights).sum()
    found = al.grad(loss)(x)
    for row in rows:
        part = lambda x, row=row: (vmap(f, axis_name="i")(x) * weights[row]).sum()
        np.testing.assert_allclose(found[np.array(row)], al.grad(part)(x[row]), rtol=1e-5,
                                   atol=1e-6)


@pytest.mark.parametrize("name", [n for n in COLLECTIVES if n != "shared"])
def test_examples_are_processes(name):
    """What vmap computes along a named axis is what that many processes compute together."""
    x = normal(4, 4, 4, 8)
    traced = []
    def one(x):
        graph = al.make_graph(lambda x: al.tree.leaves(COLLECTIVES[name](lax)(x)))(x)
        traced.append(graph)
        return COLLECTIVES[name](lax)(x)
    together = al.tree.leaves(vmap(one, axis_name="i")(x))
    assert hlo.text(hlo.parse(traced[0].text())) == traced[0].text()
    alone = evaluate_parallel(traced[0].graph, [[row] for row in x], num_replicas=4)
    for i, outputs in enumerate(alone):
        for found, wanted in zip(outputs, together, strict=True):
            np.testing.assert_allclose(found, wanted[i], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 0, 1, 2], [2, 3, 0, 1], [3, 2, 1, 0],
                                   list(range(11, -1, -1)), [i * 5 % 24 for i in range(24)]])
def test_permutations_of_few_and_many_pieces(order):
    x = normal(len(order), 2)
    agree(vmap(lambda x: lax.pshuffle(x, "i", order), axis_name="i")(x), x[np.array(order)])
    pairs = [(s, t) for t, s in enumerate(order) if t % 3]
    wanted = np.where(np.arange(len(order))[:, None] % 3 > 0, x[np.array(order)], 0)
    agree(vmap(lambda x: lax.ppermute(x, "i", pairs), axis_name="i")(x), wanted)


@pytest.mark.parametrize("n", [0, 1])
def test_no_examples_and_one(n):
    x = normal(n, 3)
    f = lambda lib, lax: lib.vmap(lambda x: (lax.psum(x, "i"), lax.all_gather(x, "i").sum(0),
                                             lax.axis_index("i"), lax.pshuffle(x, "i", range(n))),
                                  axis_name="i")
    agree(f(al, lax)(x), f(jax, jax.lax)(x))


def test_integers_wrap_and_specials_stay():
    x = np.array([100, 100, 100], np.int8)
    f = lambda lib, lax: lib.vmap(lambda x: (lax.psum(x, "i"), lax.psum(np.int8(50), "i") + x),
                                  axis_name="i")
    agree(f(al, lax)(x), f(jax, jax.lax)(x))
    special = np.array([np.nan, -0.0, np.inf], np.float32)
    moved = vmap(lambda x: lax.pshuffle(x, "i", [2, 0, 1]), axis_name="i")(special)
    assert np.asarray(moved).tobytes() == special[[2, 0, 1]].tobytes()
    assert np.isnan(vmap(lambda x: lax.pmax(x, "i"), axis_name="i")(special)).all()


def test_outputs_that_all_share():
    x = normal(4, 3)
    f = lambda x: (lax.psum(x, "i"), lax.pmax(x, "i"), lax.all_gather(x, "i"))
    total, largest, everything = vmap(f, axis_name="i", out_axes=None)(x)
    agree((total, largest, everything), (x.sum(0), x.max(0), x))
    with pytest.raises(ArgumentError, match="differs from example to example"):
        vmap(lambda x: lax.axis_index("i"), axis_name="i", out_axes=None)(x)


# -- mistakes --------------------------------------------------------------------------------------

UNBOUND = (lambda x: lax.psum(x, "rows"), lambda x: lax.all_gather(x, ("i", "rows")),
           lambda x: lax.axis_index("rows"), lambda x: lax.axis_size("rows"),
           lambda x: lax.pmean(1, "rows"))


@pytest.mark.parametrize("f", UNBOUND)
def test_unknown_names(f):
    with pytest.raises(UnboundAxisError, match=r"no axis '(rows|i)' is bound here, nor any other"):
        f(normal(3))
    with pytest.raises(NameError) as caught:
        vmap(vmap(f, axis_name="row"), axis_name="i")(normal(2, 3))
    text = str(caught.value)
    assert "no axis 'rows' is bound here, but 'row' of 3 examples (test_parallel.py:" in text
    assert ", 'i' of 2 examples (test_parallel.py:" in text
    assert "test_parallel.py:" in text.splitlines()[1] and text.endswith("try: 'row'")


@pytest.mark.parametrize("f, kind, words", [
    (lambda x: lax.psum(x, ("i", "i")), ArgumentError, "the axis 'i' is named twice"),
    (lambda x: lax.psum(x, None), UnboundAxisError, "no axis None is bound"),
    (lambda x: lax.psum(x, ("i", 3)), ShapeError, "axis 3 of an array"),
    (lambda x: lax.pmax(x + 1j, "i"), DtypeError, "complex numbers have no order"),
    (lambda x: lax.pshuffle(x, "i", [0, 0, 1]), ArgumentError, "is no permutation"),
    (lambda x: lax.pshuffle(x, "i", [1, 0]), ArgumentError, "2 entries, but there are 3 examples"),
    (lambda x: lax.ppermute(x, "i", [(0, 1), (2, 1)]), ArgumentError, "has a target twice"),
    (lambda x: lax.ppermute(x, "i", [(0, 3)]), ArgumentError, "the target 3, but there are 3"),
    (lambda x: lax.psum_scatter(x, "i"), ShapeError,
     "scatter_dimension 0 is of size 6, which is not the 3 examples along 'i'"),
    (lambda x: lax.all_to_all(x, "i", 1, 0, tiled=True), ShapeError,
     "split_axis 1 is of size 4, which is no multiple of the 3 examples"),
    (lambda x: lax.pswapaxes(x, "i", 1), ShapeError, "split_axis 1 is of size 4, which is not"),
    (lambda x: lax.all_gather(x, "i", axis=5), ShapeError, "axis 5 of an array"),
    (lambda x: lax.psum(x, "i", axis_index_groups=[[0, 1]]), ArgumentError,
     "do not hold each of the 3 indices along 'i' once"),
    (lambda x: lax.psum(x, "i", axis_index_groups=[[0, 1], [2]]), ArgumentError,
     "of different sizes"),
    (lambda x: x if lax.axis_index("i") else -x, TraceError, "truth value"),
])
def test_mistakes(f, kind, words):
    with pytest.raises(kind, match=words):
        vmap(f, axis_name="i")(normal(3, 6, 4))


def test_python_cannot_look_at_what_examples_compute_together():
    with pytest.raises(TraceError, match="truth value"):
        vmap(al.grad(lambda x: x if lax.axis_index("i") else -x), axis_name="i")(normal(3))
    with pytest.raises(TraceError, match="over the axis 'i' is not known"), \
            al.ensure_compile_time_eval():
        vmap(lambda x: _at_once(x), axis_name="i")(normal(3))


def _at_once(x):
    with al.ensure_compile_time_eval():
        return x + lax.psum(jnp.ones(()), "i")

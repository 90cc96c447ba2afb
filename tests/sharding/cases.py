"""Programs with meshes, written once for JAX and for us: each gives numbers and texts.

Run as a script they are computed by JAX, on eight devices, and printed.
"""

import json
import sys

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def mesh(xp, *sizes, kind="Explicit"):
    names = ("x", "y", "z")[:len(sizes)]
    types = (getattr(xp.sharding.AxisType, kind),) * len(sizes)
    return xp.make_mesh(sizes, names, axis_types=types)


def data(xp, spec, shape=(8, 4), sizes=(4, 2), kind="Explicit"):
    x = xp.numpy.arange(float(_product(shape))).reshape(shape)
    sharding = xp.sharding.NamedSharding(mesh(xp, *sizes, kind=kind), xp.sharding.PartitionSpec(
        *spec))
    return xp.device_put(x, sharding)


def _product(sizes):
    total = 1
    for n in sizes:
        total *= n
    return total


def spec(x):
    return [list(e) if isinstance(e, tuple) else e for e in x.sharding.spec] + [None] * (
        x.ndim - len(x.sharding.spec))


@case
def places(xp):
    found = []
    for each in (("x", "y"), (None, "x"), (("x", "y"), None), (), ("y",), (None, ("y", "x"))):
        x = data(xp, each, (8, 16))
        found.append([[s.device.id, [list(i.indices(n)) for i, n in zip(s.index, x.shape)],
                       s.replica_id, float(s.data.sum())] for s in x.addressable_shards])
        found.append([x.is_fully_replicated, list(x.sharding.shard_shape(x.shape)),
                      repr(x.sharding.spec), len(x.devices())])
    return found


@case
def equivalent(xp):
    P, named = xp.sharding.PartitionSpec, xp.sharding.NamedSharding
    grids = [named(mesh(xp, 4, 2), P(*each)) for each in (
        ("x",), ("x", None), ("x", "y"), ("y", "x"), (), (None, None), (("x", "y"),))]
    return [[a.is_equivalent_to(b, 2) for a in grids] for b in grids]


@case
def types_of_results(xp):
    jnp = xp.numpy
    x, w = data(xp, ("x", "y")), data(xp, (None, "y"), (4, 6))
    e = data(xp, ("x", None))
    found = [x + 1, x * x, x.T, x.sum(0), x.sum(), x.max(1), jnp.sin(x), x[None], e @ w,
             jnp.where(x > 0, x, 0.0), x.reshape(8, 2, 2), x + jnp.ones(4), e + x,
             jnp.expand_dims(x, 1), jnp.swapaxes(x, 0, 1), x.astype("int32"), jnp.einsum(
                 "ab,bc->ca", e, w), x.mean(0, keepdims=True), jnp.cumsum(e, 1),
             xp.nn.relu(x), xp.jit(lambda a: jnp.cos(a).T * 2)(x),
             xp.vmap(lambda a: a * 2)(x)]
    return [str(xp.typeof(y)) for y in found]


@case
def types_inside(xp):
    seen = []

    def note(x):
        seen.append(str(xp.typeof(x)))
        return x

    @xp.jit
    def f(x, w):
        y = note(xp.numpy.tanh(note(x) @ w))
        return note(y.sum(1)), note(xp.lax.scan(lambda c, r: (c, r * 2), 0.0, x.T)[1])

    with xp.set_mesh(mesh(xp, 4, 2)):
        P = xp.sharding.PartitionSpec
        x = xp.reshard(xp.numpy.ones((8, 4)), P("x"))
        w = xp.reshard(xp.numpy.ones((4, 6)), P(None, "y"))
        note(f(x, w)[0])
        note(xp.numpy.ones((4, 4)))
        note(xp.grad(lambda a: (a * a).sum())(x))
        note(xp.jit(lambda x: xp.reshard(x * 2, P(None, "x")))(x))
    return seen


@case
def auto_results(xp):
    jnp = xp.numpy
    x = data(xp, ("x", "y"), kind="Auto")
    found = [x + 1, x @ x.T, jnp.sin(x), x.sum(0), xp.jit(lambda a: a.T)(x)]
    return [str(xp.typeof(x)), *[spec(y) for y in found]]


@case
def disagreements(xp):
    jnp = xp.numpy
    x, y = data(xp, ("x", "y")), data(xp, ("y", "x"))
    programs = [lambda: x + y, lambda: x @ x.T, lambda: xp.jit(lambda a, b: a * b)(x, y),
                lambda: data(xp, ("x",), (6, 4)), lambda: data(xp, ("w",)),
                lambda: data(xp, ("x", "x")), lambda: mesh(xp, 16),
                lambda: xp.make_mesh((4, 2), ("x",)), lambda: jnp.matmul(x, y)]
    return [_fails(program) for program in programs]


def _fails(program):
    try:
        program()
    except Exception as error:
        return getattr(type(error), "__name__", "") == "ShardingTypeError"
    return None


@case
def assembled(xp):
    import numpy as np
    sharding = xp.sharding.NamedSharding(mesh(xp, 4, 2), xp.sharding.PartitionSpec("y", "x"))
    whole = np.arange(32.0, dtype="float32").reshape(4, 8)
    a = xp.make_array_from_callback((4, 8), sharding, lambda index: whole[index])
    parts = [s.data for s in a.addressable_shards]
    b = xp.make_array_from_single_device_arrays((4, 8), sharding, parts)
    return [np.asarray(a).tolist(), np.asarray(b).tolist(), str(b.sharding.spec)]


@case
def asked_for(xp):
    jnp, P = xp.numpy, xp.sharding.PartitionSpec
    with xp.set_mesh(mesh(xp, 4, 2)):
        x = xp.reshard(_numbers(xp, 8, 4), P(None, "x"))
        y = xp.reshard(_numbers(xp, 4, 8), P("x", None))
        found = [jnp.dot(x, y, out_sharding=P("x", None)), jnp.matmul(x, y, out_sharding=P()),
                 jnp.einsum("ab,bc->ca", x, y, out_sharding=P("y", "x")),
                 xp.jit(lambda x, y: jnp.dot(x, y, out_sharding=P("x")) * 2)(x, y),
                 xp.random.normal(xp.random.key(0), (8, 4), out_sharding=P("x", "y")),
                 xp.random.bernoulli(xp.random.key(0), 0.5, (8, 4), out_sharding=P(None, "y")),
                 xp.random.permutation(xp.random.key(0), 8, out_sharding=P("x"))]
        fails = [_fails(lambda: jnp.dot(x, y)), _fails(lambda: jnp.dot(x, y, out_sharding=3))]
    sums = [round(float(f.sum()), 2) for f in found]
    return [str(xp.typeof(f)) for f in found], sums, fails[0], fails[1] is None


# -- shard_map -------------------------------------------------------------------------------------


def _map(xp, f, specs, out, args, sizes=(4, 2), **settings):
    P = xp.sharding.PartitionSpec
    specs = tuple(P(*each) for each in specs)
    return xp.shard_map(f, mesh=mesh(xp, *sizes, kind="Auto"), in_specs=specs, out_specs=P(*out),
                        **settings)(*args)


def _lists(xs):
    import numpy as np
    return [np.asarray(x).tolist() for x in xs]


def _numbers(xp, *shape):
    return xp.numpy.arange(float(_product(shape))).reshape(shape) % 7


@case
def mapped(xp):
    lax, x = xp.lax, _numbers(xp, 8, 16)
    ring = [(i, (i + 1) % 4) for i in range(4)]
    found = [
        _map(xp, lambda a, b: lax.psum(a @ b, "y"), (("x", "y"), ("y", None)), ("x", None),
             (x, _numbers(xp, 16, 4))),
        _map(xp, lambda a: a * 2, ((("y", "x"), None),), (("x", "y"), None), (x,)),
        _map(xp, lambda a: a.sum()[None], (("x",),), ("x",), (x,)),
        _map(xp, lambda a: lax.pmax(lax.pmin(a, "x"), "y"), (("x", "y"),), (), (x,)),
        _map(xp, lambda a: lax.all_gather(a, "x", tiled=True), (("x",),), (None, "x"), (x,)),
        _map(xp, lambda a: lax.all_gather(a, "y"), (("x", "y"),), ("x", "y"), (x,)),
        _map(xp, lambda a: lax.psum_scatter(a, "x", scatter_dimension=1, tiled=True), (("x",),),
             ("x",), (x,)),
        _map(xp, lambda a: lax.all_to_all(a, "x", 1, 0, tiled=True), (("x",),), ("x",), (x,)),
        _map(xp, lambda a: lax.ppermute(a, "x", ring), (("x",),), ("x",), (x,)),
        _map(xp, lambda: lax.axis_index(("x", "y"))[None] + lax.axis_size("x"), (),
             (("x", "y"),), ()),
        _map(xp, lambda a: a, ((),), ("y", "x"), (x,)),
        _map(xp, lambda a: lax.pmean(a, ("x", "y")), (("x", "y"),), (None, None), (x,)),
        _map(xp, lambda a: a[:1], (("x",),), (None, None), (x * 0 + 3,), check_vma=False)]
    return _lists(found)


@case
def mapped_inside(xp):
    """Under jit, vmap and scan, nested, and along some axes of the mesh."""
    jnp, lax, P = xp.numpy, xp.lax, xp.sharding.PartitionSpec
    x = _numbers(xp, 8, 4)
    def f(a):
        return lax.ppermute(a, "x", [(i, (i + 1) % 4) for i in range(4)]) + lax.axis_index("x")
    def g(a):
        return _map(xp, f, (("x", "y"),), ("x", "y"), (a,))
    found = [xp.jit(g)(x), xp.vmap(g)(jnp.stack([x, x + 1])),
             lax.scan(lambda c, _: (g(c), c.sum()), x, None, length=3)[0]]
    with xp.set_mesh(mesh(xp, 4, 2, kind="Auto")):
        inner = xp.shard_map(lambda a: lax.psum(a, "y"), in_specs=P(None, "y"), out_specs=P(),
                             axis_names={"y"})
        outer = xp.shard_map(inner, in_specs=P("x"), out_specs=P("x"), axis_names={"x"})
        found += [xp.jit(outer)(x), xp.smap(lambda a: a * 2, in_axes=0, out_axes=0,
                                            axis_name="x")(x)]
    return _lists(found)


@case
def gradients(xp):
    """Of functions that shard_map gives: data, tensor and fully sharded parallel."""
    jnp, lax = xp.numpy, xp.lax
    x, w = _numbers(xp, 8, 4) / 7, _numbers(xp, 4, 8) / 5
    losses = [
        lambda w, x: _map(xp, lambda w, x: lax.pmean((jnp.tanh(x @ w) ** 2).sum(), ("x", "y")),
                          ((), (("x", "y"), None)), (), (w, x)),
        lambda w, x: _map(xp, lambda w, x: lax.psum(jnp.tanh(
            lax.psum(x @ w, "y")).sum(), "x"), (("y",), ("x", "y")), (), (w, x)),
        lambda w, x: _map(xp, lambda w, x: jnp.tanh(x @ lax.all_gather(w, "x", tiled=True)),
                          (("x",), ("x",)), ("x",), (w, x)).sum(),
        lambda w, x: _map(xp, lambda w, x: lax.psum_scatter(
            x @ w, "y", scatter_dimension=1, tiled=True), (("y",), (None, "y")), (None, "y"),
            (w, x)).sum()]
    found = []
    for loss in losses:
        found += [loss(w, x), *xp.grad(loss, (0, 1))(w, x), xp.jit(xp.grad(loss))(w, x)]
    return [[round(float(v), 3) for v in jnp.ravel(g)] for g in found]


@case
def gradients_inside(xp):
    """Of what devices share: all of theirs added up, in control flow and transforms, too."""
    jnp, lax, grad = xp.numpy, xp.lax, xp.grad
    x, w = _numbers(xp, 8, 4) / 7, _numbers(xp, 4, 2) / 5

    def loss(w, x):
        return lax.pmean((jnp.tanh(x @ w) ** 2).sum(), ("x", "y"))

    def own(w, x):  # each device's
        return (jnp.tanh(x @ w) ** 2).sum()

    def trained(step):
        return lambda w, x: lax.scan(lambda w, _: (w - grad(step)(w, x) / 8, w.sum()), w, None,
                                     length=2)[0]

    def chosen(w, x):
        return lax.cond(lax.pmax(x.sum(), ("x", "y")) > 0, lambda w: grad(loss)(w, x),
                        lambda w: w, w)

    def varying(w, x):
        return lax.psum(grad(own)(lax.pcast(w, ("x", "y"), to="varying"), x), ("x", "y"))

    def pulled(w, x):
        y, back = xp.vjp(lambda w: (x @ w, w * w), w)
        return back((jnp.cos(y[0]), jnp.cos(y[1])))[0]

    def second(w, x):
        return grad(lambda w: (grad(loss)(w, x) ** 2).sum())(w)

    shared = [
        grad(loss), varying, grad(xp.checkpoint(xp.jit(own))), trained(loss), chosen, pulled,
        second,
        lambda w, x: grad(lambda w: lax.psum((w ** 3).sum(), "x"))(w),
        lambda w, x: grad(lambda w: lax.scan(lambda c, r: (jnp.tanh(c @ w @ w.T) + r, None),
                                             x[0], x)[0].sum())(w)]
    split = [
        grad(lambda x, w: jnp.sin(lax.psum(x, "x")).sum()),
        grad(lambda x, w: (lax.all_gather(x, "x", tiled=True) @ w).sum() ** 2),
        grad(lambda x, w: (lax.ppermute(x, "x", [(i, (i + 1) % 4) for i in range(4)]) * x).sum()),
        grad(lambda x, w: jnp.sin(lax.psum_scatter(jnp.tile(x, (4, 1)), "x", tiled=True)).sum())]
    found = []
    for f in shared:
        found.append(_map(xp, f, ((), (("x", "y"), None)), (), (w, x)))
    for f in split:
        found.append(_map(xp, f, ((("x", "y"),), ()), (("x", "y"),), (x, w)))
    return [[round(float(v), 3) for v in jnp.ravel(g)] for g in found]


@case
def rules_of_users(xp):
    """Whose cotangents of what devices share are those of all; differentiated in and outside."""
    jnp, lax = xp.numpy, xp.lax
    x, w = _numbers(xp, 8, 4) / 7, _numbers(xp, 4, 2) / 5

    def product(symbolic_zeros):
        f = xp.custom_vjp(lambda w, x: x @ w)

        def forward(w, x):
            w, x = [p.value for p in (w, x)] if symbolic_zeros else (w, x)
            return x @ w, (w, x)
        f.defvjp(forward, lambda kept, ct: (
            3 * lax.psum(kept[1].T @ ct, ("x", "y")), 2 * ct @ kept[0].T),
            symbolic_zeros=symbolic_zeros)
        return f

    found = []
    for f in (product(False), product(True)):
        def loss(w, x, f=f):
            return lax.pmean((jnp.tanh(f(w, x)) ** 2).sum(), ("x", "y"))

        def own(w, x, f=f):
            return (jnp.tanh(f(w, x)) ** 2).sum()

        def looped(w, x, loss=loss):
            return lax.scan(lambda w, _: (w - xp.grad(loss)(w, x), None), w, None, length=2)[0]

        def outside(w, x, loss=loss):
            return _map(xp, loss, ((), (("x", "y"), None)), (), (w, x))
        for inside in (xp.grad(own), looped):
            found.append(_map(xp, inside, ((), (("x", "y"), None)), (), (w, x)))
        found += xp.grad(outside, (0, 1))(w, x)
    return [[round(float(v), 3) for v in jnp.ravel(g)] for g in found]


@case
def unreduced_results(xp):
    x = _numbers(xp, 8, 4)
    programs = [lambda: _map(xp, lambda a: a, (("x",),), (), (x,)),
                lambda: _map(xp, lambda a: xp.lax.psum(a, "y"), (("x", "y"),), ("y",), (x,)),
                lambda: _map(xp, lambda a: a.sum(), (("x",),), ("x",), (x,)),
                lambda: _map(xp, lambda a: a, (("x",),), ("x",), (x[:6],)),
                lambda: _map(xp, lambda a: a, (("w",),), ("x",), (x,)),
                lambda: _map(xp, lambda a: xp.lax.psum(a, "w"), (("x",),), ("x",), (x,))]
    return [_fails(program) is not None for program in programs]


if __name__ == "__main__":
    import jax

    json.dump({name: run(jax) for name, run in CASES.items()}, sys.stdout)

"""Dispatch: the cost of a call that computes almost nothing."""

from functools import cache, partial

from benchmarks.data import normal
from benchmarks.workloads.workload import K, add

add("dispatch/add4", lambda xp, x: x + 1, lambda: (normal(4),))
add("dispatch/eager_add4", lambda xp, x: x + 1, lambda: (normal(4),), jit=False)
add(
    "dispatch/pytree100",
    lambda xp, t: {k: v * 2 + 1 for k, v in t.items()},
    lambda: ({f"p{i:02}": normal(8, seed=i) for i in range(100)},),
)
add("dispatch/eager_add4x4", lambda xp, x, y: x + y, lambda: (normal(4), normal(4)), jit=False)
add("dispatch/eager_mul4k", lambda xp, x: x * 2.5, lambda: (normal(4 * K),), jit=False)
add("dispatch/eager_exp4", lambda xp, x: xp.np.exp(x), lambda: (normal(4),), jit=False)
add("dispatch/eager_index4x4", lambda xp, x: x[1], lambda: (normal(4, 4),), jit=False)
add(
    "dispatch/in20_out1",
    lambda xp, t: t["layers"][0]["w"] + t["layers"][9]["b"],
    lambda: ({"layers": [{"b": normal(8), "w": normal(8, seed=i)} for i in range(10)]},),
)


@cache
def gradient(xp):
    return xp.grad(xp.jit(lambda x: (x * x).sum()))


@cache
def mapped(xp):
    return xp.vmap(xp.jit(lambda x: x * 2 + 1))


add("dispatch/eager_grad4", lambda xp, x: gradient(xp)(x), lambda: (normal(4),), jit=False)
add("dispatch/eager_vmap4x4", lambda xp, x: mapped(xp)(x), lambda: (normal(4, 4),), jit=False)
add("dispatch/eager_slice4", lambda xp, x: x[1:3], lambda: (normal(4),), jit=False)
add("dispatch/eager_turned4x4", lambda xp, x: x.T, lambda: (normal(4, 4),), jit=False)
add(
    "dispatch/eager_joined4",
    lambda xp, x, y: xp.np.concatenate([x, y]),
    lambda: (normal(4), normal(4)),
    jit=False,
)
add("dispatch/eager_zeros4", lambda xp: xp.np.zeros(4), lambda: (), jit=False)
add("dispatch/eager_max4", lambda xp, x: x.max(), lambda: (normal(4),), jit=False)
add(
    "dispatch/eager_where4",
    lambda xp, x, y: xp.np.where(x, x, y),
    lambda: (normal(4), normal(4)),
    jit=False,
)


def sines(xp, x):
    return xp.np.sin(x * x) + x


def small_loss(xp, layers, x, y):
    (w1, b1), (w2, b2) = layers
    return ((xp.np.tanh(x @ w1 + b1) @ w2 + b2 - y) ** 2).mean()


def small_layers():
    shapes = [[(4, 8), (8,)], [(8, 3), (3,)]]
    layers = [tuple(normal(*shape, seed=i) for shape in pair) for i, pair in enumerate(shapes)]
    return layers, normal(5, 4, seed=2), normal(5, 3, seed=3)


# Transforms of functions that are not jitted, which are traced at every call.
@cache
def traced(xp, name):
    function = partial(sines, xp)
    return {
        "grad": lambda: xp.grad(lambda x: function(x).sum()),
        "vmap": lambda: xp.vmap(function),
        "vmap_grad": lambda: xp.vmap(xp.grad(function)),
        "jacfwd": lambda: xp.jacfwd(function),
        "grad_mlp": lambda: xp.grad(partial(small_loss, xp)),
    }[name]()


for transform in ("grad", "vmap", "vmap_grad", "jacfwd"):
    add(
        f"dispatch/eager_traced_{transform}",
        lambda xp, x, name=transform: traced(xp, name)(x),
        lambda: (normal(4),),
        jit=False,
    )
add(
    "dispatch/eager_traced_grad_mlp",
    lambda xp, *args: traced(xp, "grad_mlp")(*args),
    small_layers,
    jit=False,
)


@cache
def places(xp):
    return xp.np.asarray([0, 2])


@cache
def mask(xp):
    return xp.np.asarray([True, False, True, False])


for name, function in {
    "maximum4": lambda xp, x: xp.np.maximum(x, 0.0),
    "clip4": lambda xp, x: xp.np.clip(x, 0.0, 1.0),
    "sum4": lambda xp, x: x.sum(),
    "picked4": lambda xp, x: x[places(xp)],
    "masked4": lambda xp, x: x[mask(xp)],
    "set4": lambda xp, x: x.at[1].set(3.0),
    "added4": lambda xp, x: x.at[places(xp)].add(1.0),
}.items():
    add(f"dispatch/eager_{name}", function, lambda: (normal(4),), jit=False)

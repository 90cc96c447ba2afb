"""Dispatch: the cost of a call that computes almost nothing."""

from functools import cache

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

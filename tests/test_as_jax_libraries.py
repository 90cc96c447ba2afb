"""Libraries of JAX's, as they are, on this library: programs whose numbers are known.

Each runs in a process of its own, and only where the library is installed.
"""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

# For each library: a program that prints numbers, and what they are.
PROGRAMS = {
    "optax": ("""
opt = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1))
p = jnp.float32(3.0)
state = opt.init(p)
for _ in range(5):
    updates, state = opt.update(jax.grad(lambda p: p ** 2)(p), state, p)
    p = optax.apply_updates(p, updates)
adam = optax.adam(0.01)
show(p, adam.update(p, adam.init(p))[0])
""", [2.5, -0.01]),
    "equinox": ("""
import equinox.internal as eqxi
loop = lambda x: eqxi.while_loop(lambda s: s[1] < 50.0, lambda s: (s[0] + 1, s[1] * x), (0, x),
                                 kind="checkpointed", max_steps=8)[1]
line = equinox.nn.Linear(2, 1, key=jax.random.PRNGKey(0))
value, slope = equinox.filter_jit(equinox.filter_value_and_grad(
    lambda m: m(jnp.array([2.0, 3.0])).sum()))(line)
show(*jax.vmap(jax.grad(loop))(jnp.array([2.0, 3.0])), *slope.weight[0], slope.bias[0],
     *equinox.filter_jvp(lambda x, y: x * y, (2.0, 3.0), (1.0, None)))
""", [192, 108, 2, 3, 1, 6, 3]),
    "diffrax": ("""
def solve(k, adjoint):
    return diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, k: -k * y), diffrax.Tsit5(), 0.0, 2.0, 0.1,
        jnp.array([1.0, 2.0]), args=k, adjoint=adjoint, max_steps=64,
        stepsize_controller=diffrax.PIDController(rtol=1e-5, atol=1e-5)).ys[-1].sum()
show(jax.jit(jax.grad(lambda k: solve(k, diffrax.RecursiveCheckpointAdjoint())))(0.5),
     *jax.jvp(lambda k: solve(k, diffrax.ForwardMode()), (0.5,), (1.0,)))
""", [-6 * np.exp(-1), 3 * np.exp(-1), -6 * np.exp(-1)]),
    "lineax": ("""
a = jnp.eye(3) * 3 + jnp.arange(9.0).reshape(3, 3) / 9
solve = lambda a: lineax.linear_solve(lineax.MatrixLinearOperator(a), jnp.arange(3.0)).value.sum()
truth = lambda a: jnp.linalg.solve(a, jnp.arange(3.0)).sum()
show(solve(a) - truth(a), *(jax.grad(solve)(a) - jax.grad(truth)(a)).ravel())
""", np.zeros(10)),
    "optimistix": ("""
root = lambda a: optimistix.root_find(lambda y, a: y ** 2 - a, optimistix.Newton(1e-6, 1e-6),
                                      jnp.float32(1.0), args=a).value
show(root(2.0), jax.grad(root)(2.0))
""", [np.sqrt(2), 0.5 / np.sqrt(2)]),
    "jaxopt": ("""
a, b = jnp.arange(6.0).reshape(3, 2) / 6, jnp.arange(3.0)
ridge = lambda w, l: jnp.sum((a @ w - b) ** 2) + l * jnp.sum(w ** 2)
best = lambda l: jaxopt.LBFGS(ridge, maxiter=200, tol=1e-5).run(jnp.zeros(2), l).params.sum()
exact = lambda l: jnp.linalg.solve(a.T @ a + l * jnp.eye(2), a.T @ b).sum()
show(best(0.5) - exact(0.5), jax.grad(best)(0.5) - jax.grad(exact)(0.5))
""", [0.0, 0.0]),
    "jraph": ("""
g = jraph.GraphsTuple(jnp.ones((3, 2)), jnp.ones((2, 1)), jnp.array([1, 2]), jnp.array([0, 1]),
                      jnp.ones((1, 1)), jnp.array([3]), jnp.array([2]))
g = jraph.batch([g, g])
net = jraph.GraphNetwork(lambda e, s, r, g: e + s.sum(-1, keepdims=True),
                         lambda n, s, r, g: n + r.sum(-1, keepdims=True))
show(*jax.jit(net)(g).nodes.sum(-1), *jraph.segment_softmax(jnp.arange(2.0), jnp.array([0, 0]), 1))
""", [2, 8, 8, 2, 8, 8, 1 / (1 + np.e), np.e / (1 + np.e)]),
}
SHOW = "import jax, jax.numpy as jnp\ndef show(*xs): print(*[float(x) for x in xs])\n"


@pytest.mark.parametrize("library", [name for name in PROGRAMS if importlib.util.find_spec(name)])
def test_a_library_gives_its_numbers(library, tmp_path):
    program, expected = PROGRAMS[library]
    script = tmp_path / "program.py"
    script.write_text(f"{SHOW}import {library}\n{program}")
    done = subprocess.run([sys.executable, "-m", "arraylib.as_jax", str(script)], text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose([float(word) for word in done.stdout.split()], expected,
                               rtol=1e-4, atol=1e-4)

"""custom_linear_solve and custom_root: derivatives by the equation, not by how it was solved."""

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import (
    checkpoint,
    grad,
    hessian,
    jacfwd,
    jacrev,
    jit,
    jvp,
    lax,
    linear_transpose,
    vjp,
    vmap,
)
from arraylib.config import config
from arraylib.errors import DtypeError, ShapeError, StructureError, TraceError
from arraylib.test_util import check_grads

rng = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def doubles():
    with config.using(default_bits=64):
        yield


A = rng.standard_normal((3, 3)) + 3 * np.eye(3)
B = rng.standard_normal(3)


def dense(matvec, b):
    return jnp.linalg.solve(jacfwd(matvec)(b), b)


def solve(a, b, **settings):
    """By a solver without derivatives: 60 steps of a loop that reverse mode refuses."""
    return lax.custom_linear_solve(lambda x: a @ x, b, dense,
                                   settings.pop("transpose_solve", dense), **settings)


def conjugate_gradients(matvec, b):
    def step(state):
        x, r, p, i = state
        q = matvec(p)
        alpha = (r @ r) / (p @ q)
        after = r - alpha * q
        return x + alpha * p, after, after + (after @ after) / (r @ r) * p, i + 1
    start = (jnp.zeros_like(b), b, b, 0)
    return lax.while_loop(lambda s: (s[1] @ s[1] > 1e-30) & (s[3] < 20), step, start)[0]


@pytest.mark.parametrize("wrap", [lambda f: f, jit, checkpoint], ids=["eager", "jit", "checkpoint"])
def test_linear_solve_is_the_solution_with_its_derivatives(wrap):
    f, plain = wrap(solve), jnp.linalg.solve
    np.testing.assert_allclose(f(A, B), np.linalg.solve(A, B), rtol=1e-12)
    for number in (0, 1):
        expected = jacrev(plain, number)(A, B)
        np.testing.assert_allclose(jacfwd(f, number)(A, B), expected, rtol=1e-10)
        np.testing.assert_allclose(jacrev(f, number)(A, B), expected, rtol=1e-10)
    check_grads(f, (jnp.asarray(A), jnp.asarray(B)), order=2)


def test_linear_solve_of_the_second_order_in_both():
    value = lambda solver: lambda a, b: (solver(a, b) ** 2).sum()
    for found, expected in zip(hessian(value(solve), (0, 1))(A, B),
                               hessian(value(jnp.linalg.solve), (0, 1))(A, B)):
        for x, y in zip(found, expected):
            np.testing.assert_allclose(x, y, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("in_axes", [(0, None), (None, 0), (0, 0)])
def test_linear_solve_of_batches(in_axes):
    many = rng.standard_normal((4, 3, 3)) + 3 * np.eye(3), rng.standard_normal((4, 3))
    args = [m if axis == 0 else one for m, one, axis in zip(many, (A, B), in_axes)]
    expected = vmap(jnp.linalg.solve, in_axes)(*args)
    np.testing.assert_allclose(vmap(solve, in_axes)(*args), expected, rtol=1e-10)
    total = lambda f: lambda a, b: (vmap(f, in_axes)(a, b) ** 3).sum()
    found, expected = (grad(total(f), (0, 1))(*args) for f in (solve, jnp.linalg.solve))
    for x, y in zip(found, expected):
        np.testing.assert_allclose(x, y, rtol=1e-9)


@pytest.mark.parametrize("wrap", [lambda f: f, jit], ids=["eager", "jit"])
def test_a_symmetric_solver_with_a_loop_of_unknown_length(wrap):
    def f(a, b):
        return lax.custom_linear_solve(lambda x: a @ (a.T @ x), b, conjugate_gradients,
                                       symmetric=True)
    plain = lambda a, b: jnp.linalg.solve(a @ a.T, b)
    np.testing.assert_allclose(wrap(f)(A, B), plain(A, B), rtol=1e-9)
    for number in (0, 1):
        np.testing.assert_allclose(wrap(jacrev(f, number))(A, B), jacrev(plain, number)(A, B),
                                   rtol=1e-7)
    np.testing.assert_allclose(wrap(vmap(grad(lambda b: f(A, b).sum())))(np.stack([B, 2 * B])),
                               vmap(grad(lambda b: plain(A, b).sum()))(np.stack([B, 2 * B])),
                               rtol=1e-7)


def test_what_a_solver_tells_besides_has_no_derivative():
    def told(matvec, b):
        return dense(matvec, b), {"steps": 7, "residual": (b * b).sum()}
    f = lambda a, b: solve_with(told, a, b)
    def solve_with(solver, a, b):
        return lax.custom_linear_solve(lambda x: a @ x, b, solver, solver, has_aux=True)
    x, told_ = f(A, B)
    np.testing.assert_allclose(x, np.linalg.solve(A, B), rtol=1e-12)
    assert told_["steps"] == 7
    np.testing.assert_allclose(told_["residual"], (B * B).sum())
    _, (dx, moved) = jvp(lambda b: f(A, b), (B,), (B,))
    np.testing.assert_allclose(dx, x, rtol=1e-12)
    assert moved["residual"] == 0
    gradient = grad(lambda b: (lambda x, aux: x.sum() + aux["residual"])(*f(A, b)))(B)
    np.testing.assert_allclose(gradient, np.linalg.inv(A).sum(0), rtol=1e-10)


def test_containers_and_complex_numbers():
    b = {"u": jnp.asarray(B[:2] + 1j * B[1:]), "v": jnp.asarray(2.0 - 1j)}
    def matvec_of(s):
        return lambda x: {"u": s * x["u"] + x["v"], "v": x["v"] * (2 + s)}
    def solver(matvec, b):
        v = b["v"] / matvec({"u": jnp.zeros_like(b["u"]), "v": 1.0 + 0j})["v"]
        pushed = matvec({"u": jnp.ones_like(b["u"]), "v": 0j})["u"]
        shift = matvec({"u": jnp.zeros_like(b["u"]), "v": v})["u"]
        return {"u": (b["u"] - shift) / pushed, "v": v}
    f = lambda s, b: lax.custom_linear_solve(matvec_of(s), b, solver)
    x = f(3.0 + 1j, b)
    for key, value in matvec_of(3.0 + 1j)(x).items():
        np.testing.assert_allclose(value, b[key], rtol=1e-12)
    moved = jvp(f, (3.0 + 1j, b), (1.0 + 0j, b))[1]
    step = 1e-6
    ahead, behind = (f(3.0 + 1j + h, {k: v * (1 + h) for k, v in b.items()}) for h in (step, -step))
    for key in b:
        np.testing.assert_allclose(moved[key], (ahead[key] - behind[key]) / (2 * step), rtol=1e-7)


def test_solves_inside_of_solves():
    def inner(a, b):
        return solve(a, b)
    def outer(a, b):
        solver = lambda matvec, b: dense(matvec, b)
        return lax.custom_linear_solve(lambda x: inner(a, x), b, solver, solver)
    np.testing.assert_allclose(outer(A, B), A @ B, rtol=1e-10)
    np.testing.assert_allclose(jacrev(outer)(A, B), jacrev(lambda a, b: a @ b)(A, B), atol=1e-9)
    np.testing.assert_allclose(jacfwd(outer, 1)(A, B), A, rtol=1e-9)


def test_a_solve_in_every_step_of_a_scan():
    def f(solver):
        def loss(a, b):
            return lax.scan(lambda x, _: (solver(a, x), x.sum()), b, None, length=3)[1].sum()
        return loss
    for x, y in zip(grad(f(solve), (0, 1))(A, B), grad(f(jnp.linalg.solve), (0, 1))(A, B)):
        np.testing.assert_allclose(x, y, rtol=1e-9)


@pytest.mark.parametrize("batch", [(), (2,)])
def test_a_dense_solve_is_transposed(batch):
    a, b = A + np.zeros((*batch, 3, 3)), rng.standard_normal((*batch, 3, 2))
    (found,) = linear_transpose(lambda b: jnp.linalg.solve(a, b), b)(b)
    np.testing.assert_allclose(found, np.linalg.solve(A.T, b), rtol=1e-12)


def test_linear_solve_refuses():
    with pytest.raises(TraceError, match="without transpose_solve"):
        grad(lambda b: solve(A, b, transpose_solve=None).sum())(B)
    with pytest.raises(ShapeError, match="matvec returns"):
        lax.custom_linear_solve(lambda x: x[:2], B, dense)
    with pytest.raises(StructureError, match="solve returns"):
        lax.custom_linear_solve(lambda x: x, B, lambda matvec, b: (b, b))
    with pytest.raises(DtypeError, match="no float"):
        lax.custom_linear_solve(lambda x: x, 3, lambda matvec, b: b)


# -- roots -----------------------------------------------------------------------------------------


def newton(f, x):
    step = lambda state: (state[0] - f(state[0]) / grad(f)(state[0]), state[1] + 1)
    return lax.while_loop(lambda s: (jnp.abs(f(s[0])) > 1e-14) & (s[1] < 50), step, (x, 0))[0]


def root_of(a):
    return lax.custom_root(lambda x: x * x * x - a, jnp.ones_like(a), newton,
                           lambda g, y: y / g(1.0))


@pytest.mark.parametrize("wrap", [lambda f: f, jit, checkpoint], ids=["eager", "jit", "checkpoint"])
def test_roots_to_the_third_order(wrap):
    f, plain = wrap(root_of), jnp.cbrt
    for _ in range(4):
        np.testing.assert_allclose(f(5.0), plain(5.0), rtol=1e-11)
        f, plain = grad(f), grad(plain)
    np.testing.assert_allclose(jvp(wrap(root_of), (5.0,), (2.0,))[1], 2 * grad(jnp.cbrt)(5.0))


def test_roots_of_batches():
    xs = np.array([0.3, 1.0, 5.0, 30.0])
    np.testing.assert_allclose(vmap(root_of)(xs), np.cbrt(xs), rtol=1e-12)
    np.testing.assert_allclose(jit(vmap(grad(root_of)))(xs), vmap(grad(jnp.cbrt))(xs), rtol=1e-10)
    np.testing.assert_allclose(grad(lambda a: vmap(root_of)(a).sum())(xs),
                               vmap(grad(jnp.cbrt))(xs), rtol=1e-10)


def test_a_root_of_a_vector_function_with_what_the_search_tells():
    def f(a, b):
        def zero(x):
            return a @ x + x ** 3 - b
        def search(f, x):
            step = lambda _, x: x - jnp.linalg.solve(jacfwd(f)(x), f(x))
            return lax.fori_loop(0, 30, step, x), (f(x) ** 2).sum()
        x, start = lax.custom_root(zero, jnp.zeros(3), search,
                                   lambda g, y: jnp.linalg.solve(jacfwd(g)(y), y), has_aux=True)
        return x, start
    x, start = f(A, B)
    np.testing.assert_allclose(A @ np.asarray(x) + np.asarray(x) ** 3, B, atol=1e-12)
    np.testing.assert_allclose(start, B @ B)
    slope = np.linalg.inv(A + np.diag(3 * np.asarray(x) ** 2))
    np.testing.assert_allclose(jacrev(lambda b: f(A, b)[0])(B), slope, rtol=1e-10)
    np.testing.assert_allclose(jacfwd(lambda b: f(A, b)[0])(B), slope, rtol=1e-10)
    assert not np.any(grad(lambda b: f(A, b)[1])(B))
    check_grads(lambda a, b: f(a, b)[0], (jnp.asarray(A), jnp.asarray(B)), order=2)


def test_a_guess_and_what_only_the_search_reads_have_no_derivative():
    def f(a, guess):
        def search(f, x):
            return newton(f, x * guess)
        return lax.custom_root(lambda x: x * x - a, guess, search, lambda g, y: y / g(1.0))
    np.testing.assert_allclose(grad(f, (0, 1))(4.0, 1.5), (0.25, 0.0))
    y, back = vjp(f, 9.0, 2.0)
    np.testing.assert_allclose((y, *back(1.0)), (3.0, 1 / 6, 0.0))


def test_roots_refuse():
    with pytest.raises(ShapeError, match="f returns"):
        lax.custom_root(lambda x: jnp.stack([x, x]), 1.0, lambda f, x: x, lambda g, y: y)
    with pytest.raises(StructureError, match="tangent_solve returns"):
        lax.custom_root(lambda x: x, 1.0, lambda f, x: x, lambda g, y: (y, y))

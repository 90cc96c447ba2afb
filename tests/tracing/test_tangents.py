"""Which dtypes have derivatives, of what dtype those are, and what is refused."""

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import grad, hessian, jacfwd, jacrev, jit, jvp, linear_transpose, linearize, vjp, vmap
from arraylib.dtypes import float0
from arraylib.errors import DtypeError, ShapeError, TraceError


def nothing(*shape):
    return np.zeros(shape, float0)


def is_nothing(x, *shape):
    return isinstance(x, np.ndarray) and x.dtype == float0 and x.shape == shape


@pytest.mark.parametrize("wrap", [lambda f: f, jit], ids=["eager", "jit"])
def test_integers_and_bools_have_tangents_without_elements(wrap):
    f = lambda x, n: (x * n, n + 1, n > 2)
    outs, tangents = wrap(lambda x: jvp(f, (x, 3), (1.0, nothing())))(2.0)
    assert [float(x) for x in outs] == [6, 4, 1] and float(tangents[0]) == 3
    assert is_nothing(tangents[1]) and is_nothing(tangents[2])
    ct = wrap(lambda x, n: vjp(lambda x, n: x[n], x, n)[1](jnp.ones(2)))(jnp.arange(3.0),
                                                                         jnp.array([1, 1]))
    assert ct[0].tolist() == [0, 2, 0] and is_nothing(ct[1], 2)
    _, push = linearize(f, 2.0, 3)
    moved = push(1.0, nothing())
    assert float(moved[0]) == 3 and is_nothing(moved[1])
    assert float(vjp(lambda x: (x, 3), 2.0)[1]((5.0, nothing()))[0]) == 5


def test_tangents_without_elements_under_other_transforms():
    f = lambda x: jvp(lambda x: {"value": x * x, "count": 3}, (x,), (1.0,))[1]
    xs = jnp.arange(4.0)
    found = vmap(f)(xs)
    assert found["value"].tolist() == [0, 2, 4, 6] and is_nothing(found["count"], 4)
    assert is_nothing(jit(vmap(vmap(f), out_axes=1))(xs.reshape(2, 2))["count"], 2, 2)
    assert is_nothing(vmap(f, out_axes={"value": 0, "count": None})(xs)["count"])
    again = jvp(f, (3.0,), (1.0,))
    assert float(again[0]["value"]) == 6 and float(again[1]["value"]) == 2
    assert is_nothing(again[0]["count"]) and is_nothing(again[1]["count"])
    assert float(grad(lambda x: f(x)["value"])(3.0)) == 2
    _, back = vjp(f, 3.0)
    assert float(back({"value": 1.0, "count": nothing()})[0]) == 2
    assert str(arraylib.ShapeDtypeStruct((), nothing().dtype)) == \
        "ShapeDtypeStruct(shape=(), dtype=float0)"


@pytest.mark.parametrize("wrap", [lambda f: f, jit], ids=["eager", "jit"])
def test_gradients_of_integers_on_request(wrap):
    f = wrap(lambda p: (p["x"] * p["n"]).sum())
    given = {"x": jnp.ones(2), "n": jnp.array([2, 3])}
    for _ in range(2):  # the second time it is there already
        found = grad(f, allow_int=True)(given)
        assert found["x"].tolist() == [2, 3] and is_nothing(found["n"], 2)
    assert is_nothing(grad(wrap(lambda b: b * 2.0), allow_int=True)(True))
    assert jacrev(lambda n: n * 2.0, allow_int=True)(jnp.arange(2)).tolist() == [[0, 0], [0, 0]]
    for derivative in (grad, jacrev, jacfwd):
        with pytest.raises(DtypeError, match="no gradient"):
            derivative(f)(given)


def test_real_functions_of_complex_numbers():
    """The gradient is u - iv, as in JAX: the conjugate of the direction of steepest ascent."""
    f = lambda z: jnp.abs(z) ** 2 + z.real ** 3
    z = 3.0 + 1.0j
    np.testing.assert_allclose(grad(f)(z), (6 + 27) - 2j, rtol=1e-6)
    np.testing.assert_allclose(jacrev(f)(z), (6 + 27) - 2j, rtol=1e-6)
    with pytest.raises(DtypeError, match="complex64"):
        jacfwd(f)(z)
    with pytest.raises(DtypeError, match="complex64.*no gradient"):
        grad(lambda x: x * 1j)(1.0)
    with pytest.raises(DtypeError, match="the output is complex64"):
        jacrev(lambda z: z * z)(z)


def test_holomorphic_functions():
    f, z = lambda z: z ** 3, 1.0 + 2.0j
    for derivative in (grad, jacfwd, jacrev):
        np.testing.assert_allclose(derivative(f, holomorphic=True)(z), 3 * z ** 2, rtol=1e-6)
        with pytest.raises(DtypeError, match="holomorphic=True is for complex"):
            derivative(f, holomorphic=True)(1.0)
    np.testing.assert_allclose(hessian(f, holomorphic=True)(z), 6 * z, rtol=1e-6)


def test_jacobians_with_other_results():
    f = lambda x: (x * x, {"sum": x.sum(), "name": None})
    x = jnp.arange(2.0)
    for derivative in (jacfwd, jacrev):
        found, other = derivative(f, has_aux=True)(x)
        assert found.tolist() == [[0, 0], [0, 2]] and float(other["sum"]) == 1
    found, other = hessian(lambda x: ((x ** 3).sum(), x), has_aux=True)(x)
    assert found.tolist() == [[0, 0], [0, 6]] and other.tolist() == [0, 1]
    with pytest.raises(DtypeError, match=r"the output\[1\] is int32"):
        jacrev(lambda x: (x, 3))(2.0)


def test_linear_functions_of_integers():
    assert int(linear_transpose(lambda n: n * 2, 1)(3)[0]) == 6
    with pytest.raises(TraceError, match="multiply: is linear in each operand, but not in all"):
        linear_transpose(lambda x: x * x, 1.0)(3.0)
    with pytest.raises(TraceError, match="sine: is not linear"):
        linear_transpose(jnp.sin, 1.0)(3.0)


def test_tangents_that_do_not_fit():
    with pytest.raises(DtypeError, match="tangent of argument 1, int32, is of dtype float32"):
        jvp(lambda x, n: x * n, (2.0, 3), (1.0, 1.0))
    with pytest.raises(DtypeError, match="tangent of argument 0, float32, is of dtype float0"):
        jvp(lambda x: x, (2.0,), (nothing(),))
    with pytest.raises(ShapeError, match="tangent of argument 0 has shape"):
        jvp(lambda n: n, (3,), (nothing(2),))
    with pytest.raises(DtypeError, match="tangent of argument 0 is complex64"):
        jvp(lambda x: x, (2.0,), (1j,))
    with pytest.raises(DtypeError, match="cotangent of output 0 is complex64"):
        vjp(lambda x: x, 2.0)[1](1j)
    with pytest.raises(DtypeError, match="tangent of argument 0 is complex64"):
        linearize(lambda x: x, 2.0)[1](1j)
    assert arraylib.jvp(lambda x: x, (2.0,), (1,))[1].dtype == "float32"


def test_linearize_goes_through_loops_of_unknown_length():
    f = lambda x: (arraylib.lax.while_loop(lambda y: y < 50.0, lambda y: y * y, x), x > 1)
    (y, large), push = linearize(f, 2.0)
    moved = push(1.0)
    assert float(y) == 256 and bool(large) and float(moved[0]) == 8 * 2.0 ** 7
    assert is_nothing(moved[1])
    assert float(jit(lambda x: linearize(f, x)[1](1.0)[0])(2.0)) == 1024
    with pytest.raises(TraceError, match="pass max_steps"):
        vjp(f, 2.0)

"""Python numbers are weak, and stay so through operations and transforms, where JAX's do."""

import pickle
from copy import deepcopy
from types import SimpleNamespace

import jax
import jax.numpy as theirs
import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import config, lax
from arraylib.errors import DtypeError
from arraylib.hlo.ir import Type

DTYPES = ["bool", "int8", "int16", "int32", "uint8", "uint16", "uint32", "bfloat16", "float16",
          "float32", "complex64"]
NUMBERS = [2, 2.5, 2j]
BINARY = {"add": lambda n, x, y: n.add(x, y), "divide": lambda n, x, y: n.divide(x, y),
          "arctan2": lambda n, x, y: n.arctan2(x, y),
          "where": lambda n, x, y: n.where(n.ones(2, bool), x, y)}


def operands(n):
    """Arrays of all dtypes, then Python numbers, then arrays made of these."""
    return [*[n.ones(2, dtype) for dtype in DTYPES], *NUMBERS, *map(n.asarray, NUMBERS)]


def kind(x):
    return str(x.dtype), x.weak_type and str(x.dtype) != "bool"


def kinds(tree, found):
    return [kind(x) for x in tree.leaves(found)]


@pytest.mark.parametrize("name", BINARY)
def test_results_of_two_operands(name):
    """Over all pairs, by themselves, under jit and under vmap."""
    mine, other = operands(jnp), operands(theirs)
    for i, (x, their_x) in enumerate(zip(mine, other)):
        for y, their_y in zip(mine[i:], other[i:]):
            def apply(x, y):
                return BINARY[name](jnp, x, y)
            try:
                wanted = kind(jax.eval_shape(lambda x, y: BINARY[name](theirs, x, y),
                                             their_x, their_y))
            except (TypeError, ValueError):
                continue  # complex numbers have no angle
            assert kind(apply(x, y)) == wanted, (x, y)
            assert kind(arraylib.eval_shape(apply, x, y)) == wanted, (x, y)
            axes = tuple(None if np.ndim(v) == 0 else 0 for v in (x, y))
            if axes != (None, None) and name != "where":
                mapped = arraylib.vmap(apply, axes)
                assert kind(arraylib.eval_shape(mapped, x, y)) == wanted, (x, y)


LIBRARIES = (SimpleNamespace(jnp=theirs, lax=jax.lax, all=jax),
             SimpleNamespace(jnp=jnp, lax=lax, all=arraylib))
HALF = lambda m: m.jnp.ones(3, m.jnp.float16)
PROGRAMS = {
    "jit": lambda m: m.all.jit(lambda x, y: (x, x * 2, y * x, x < 1, 3.0))(2, HALF(m)),
    "bools": lambda m: m.all.jit(lambda x: x)(True),
    "static": lambda m: m.all.jit(lambda n: m.jnp.asarray(n), static_argnums=0)(2),
    "numpy": lambda m: m.all.jit(lambda x: x)(np.float32(2)),
    "inner": lambda m: m.all.jit(lambda x: m.all.jit(lambda y: (y, y + HALF(m)))(x))(2.0),
    "grad": lambda m: m.all.value_and_grad(lambda x: x * x)(2.0),
    "grad of a half": lambda m: m.all.grad(lambda x: (x * HALF(m)).sum())(2.0),
    "grad of an array": lambda m: m.all.grad(lambda x: (2.0 * x).sum())(HALF(m)),
    "grad of jit": lambda m: m.all.grad(m.all.jit(lambda x: x * x))(2.0),
    "jvp": lambda m: m.all.jvp(lambda x: x * x, (2.0,), (1.0,)),
    "vjp": lambda m: m.all.vjp(lambda x: x * x, 2.0)[1](1.0),
    "hessian": lambda m: m.all.hessian(lambda x: x * x * x)(2.0),
    "vmap": lambda m: m.all.vmap(lambda x: (x * 2, 2.0, HALF(m)[0] * x))(
        m.jnp.broadcast_to(m.jnp.asarray(2.0), (3,))),
    "vmap of a number": lambda m: m.all.vmap(lambda x, y: (x * y, y), (0, None))(HALF(m), 2.0),
    "scan of a number": lambda m: m.lax.scan(lambda c, x: (c + x, c), 0.0, HALF(m)),
    "scan of integers": lambda m: m.lax.scan(lambda c, _: (c + 1, c), 0, None, length=3),
    "scan that settles": lambda m: m.lax.scan(lambda c, x: (c + x, c), 0, m.jnp.ones(3)),
    "scan of steps": lambda m: m.lax.scan(
        lambda c, x: (c * x, x), m.jnp.float16(1), m.jnp.full((3,), 2.0)),
    "strong carry": lambda m: m.lax.scan(lambda c, _: (1.0, c), m.jnp.float32(0), None, length=2),
    "while": lambda m: m.lax.while_loop(lambda x: x < 9, lambda x: x * 2, 1),
    "while that settles": lambda m: m.lax.while_loop(
        lambda x: x < 9, lambda x: x * m.jnp.int16(2), 1),
    "fori": lambda m: m.lax.fori_loop(0, 3, lambda i, x: x + i, m.jnp.int8(0)),
    "fori of a number": lambda m: m.lax.fori_loop(0, 3, lambda i, x: x + i, 0.0),
    "cond": lambda m: m.lax.cond(True, lambda x: x, lambda x: x * 2, 2.0),
    "cond that differs": lambda m: m.lax.cond(
        True, lambda x: x, lambda x: x * m.jnp.float32(2), 2.0),
    "checkpoint": lambda m: m.all.checkpoint(lambda x: x * 2)(2.0),
    "arrays": lambda m: (m.jnp.asarray(2), m.jnp.array(2.0), m.jnp.asarray([1.0, 2]),
                         m.jnp.asarray(2, dtype=float), m.jnp.array([m.jnp.asarray(2.0)])),
    "fills": lambda m: (m.jnp.full(2, 2.0), m.jnp.full_like(HALF(m), 2.0), m.jnp.zeros(2),
                        m.jnp.full_like(m.jnp.asarray(2), 2.5), m.jnp.arange(3),
                        m.jnp.linspace(0, 1, 3), m.jnp.zeros_like(2.0), m.lax.full((2,), 1)),
    "conversions": lambda m: [
        (x.astype(m.jnp.float32), m.lax.convert_element_type(x, m.jnp.float32),
         m.jnp.asarray(x, m.jnp.float32), x.astype(float)) for x in [m.jnp.asarray(2.0)]],
    "functions": lambda m: [
        (m.jnp.sin(x), m.jnp.abs(x), m.jnp.sqrt(x), x ** 2, 2 ** x, x.sum(), m.jnp.mean(x),
         m.jnp.max(x), m.jnp.cumsum(x), m.jnp.argmax(x), x.reshape(1), m.jnp.square(x),
         m.jnp.dot(x, x), m.jnp.sign(x), m.jnp.clip(x, 0, 1), m.lax.mul(x, 2.0), m.lax.rsqrt(x),
         m.lax.clamp(0.0, x, 1.0)) for x in [m.jnp.asarray(2.0)]],
    "elements": lambda m: [
        (x[0], x[1:], x[m.jnp.array([0, 1])], x.at[0].set(3), HALF(m).at[0].set(x[0]),
         m.jnp.concatenate([x, x]), m.jnp.where(x > 1, x, 0), m.lax.dynamic_slice(x, (0,), (2,)),
         m.jnp.concatenate([x, HALF(m)]), m.jnp.where(x > 1, HALF(m), 0.5))
        for x in [m.jnp.full((3,), 2.0)]],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name):
    wanted = kinds(jax.tree, jax.eval_shape(lambda: PROGRAMS[name](LIBRARIES[0])))
    assert kinds(arraylib.tree, arraylib.eval_shape(lambda: PROGRAMS[name](LIBRARIES[1]))) == wanted
    for _ in range(3):  # eagerly, then as what has been drawn before
        assert kinds(arraylib.tree, PROGRAMS[name](LIBRARIES[1])) == wanted


def test_what_calls_have_in_common():
    """Values that are served by compiled and by native code keep what they are."""
    f = arraylib.jit(lambda x: x + 1)
    weak, strong = jnp.asarray(2.0), jnp.asarray(2.0, jnp.float32)
    for _ in range(40):
        assert f(weak).weak_type and not f(strong).weak_type and f(2.0).weak_type
        assert (weak * weak).weak_type and not (weak * strong).weak_type
        assert (weak + 2).weak_type and not (strong + 2).weak_type
        assert jnp.exp(weak).weak_type and not jnp.exp(strong).weak_type
        assert weak.reshape(1).weak_type and jnp.stack([weak, weak]).weak_type
    assert len(f.compiles()) == 2
    change, = f.compiles()[1].changes
    assert (change.kind, change.what) == ("weak type", "argument 'x' of <lambda>")
    assert (change.now, change.before) == ("strong f32[]", "weak f32[]")


def test_copies_and_files():
    for x in (jnp.asarray(2.0), jnp.float32(2)):
        for other in (deepcopy(x), pickle.loads(pickle.dumps(x)), jnp.array(x), x.reshape(())):
            assert other.weak_type == x.weak_type and other == x
        assert arraylib.ShapeDtypeStruct.like(x).weak_type == x.weak_type
    weak = Type("float32", (2,)).weakened
    assert pickle.loads(pickle.dumps(weak)) is weak and weak.weakened is weak
    assert weak.strong.weakened is weak and not weak.strong.weak


def test_numbers_of_other_dtypes_are_not_weak():
    """A weak array is of the dtype that numbers have by default, and counts as that later on."""
    x = jnp.asarray(2.0)
    with config.using(default_bits=64):
        assert (x + jnp.float16(1)).dtype == jnp.float32
        assert (jnp.asarray(2.0) + jnp.float16(1)).dtype == jnp.float16
        assert jnp.asarray(2.0).dtype == jnp.float64


def test_the_dtype_of_a_result_asked_for():
    assert jnp.result_type(jnp.asarray(2.0), jnp.float16) == jnp.float16
    assert jnp.promote_types("float16", float) == jnp.float16
    assert jnp.promote_types("float16", "float64") == jnp.float64


@pytest.mark.parametrize("first, step", [
    (1.5, lambda c: (c * 2).astype("int32")), (1 + 2j, jnp.real), (2, lambda c: c > 0)])
def test_a_weak_carry_loses_nothing_of_its_value(first, step):
    with pytest.raises(DtypeError, match="at first, but .* after a step"):
        lax.fori_loop(0, 3, lambda i, c: step(c), first)
    with pytest.raises(DtypeError, match="at first, but .* after a step"):
        lax.while_loop(lambda c: False, step, first)


def giving(value):
    """A function whose rule gives an array of its own for the value."""
    function = arraylib.custom_jvp(lambda x: x * 1.0)
    function.defjvp(lambda primals, tangents: (value, tangents[0]))
    return function


@pytest.mark.parametrize("name, change", [
    ("vjp", lambda t: arraylib.vjp(lambda x: x, 1.0)[1](t)),
    ("jvp", lambda t: arraylib.jvp(lambda x: x, (1.0,), (t,))),
    ("linearize", lambda t: arraylib.linearize(lambda x: x, 1.0)[1](t)),
    ("closure_convert", lambda t: arraylib.closure_convert(lambda x: x, 1.0)[0](t)),
    ("custom_jvp", lambda t: arraylib.jvp(giving(t), (1.0,), (1.0,)))])
def test_what_is_given_to_derivatives_stays_strong(name, change):
    half = jnp.float16(1)

    def both(t):
        change(t)
        return t + half

    assert both(jnp.float32(3)).dtype == arraylib.jit(both)(jnp.float32(3)).dtype == "float32"

"""Primitives that users make, and programs as jaxprs: what JAX does with the same functions."""

import jax
import jax.numpy
import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import checkify, lax
from arraylib.as_jax import (
    checks,
    core,
    dialect,
    known,
    linear_util,
    mapped,
    monitoring,
    partial_eval,
    rules as mlir,
    top,
)
from arraylib.as_jax.custom_derivatives import zero_from_primal
from arraylib.as_jax.errors import JaxRuntimeError
from arraylib.as_jax.primitive import MissingRuleError, apply_primitive

ad = batching = mlir


def _multiply_add():
    """x y + z as a primitive with all of its rules."""
    p = core.Primitive("multiply_add")
    p.def_impl(lambda x, y, z: np.add(np.multiply(x, y), z))
    p.def_abstract_eval(lambda x, y, z: core.ShapedArray(x.shape, x.dtype))
    mlir.register_lowering(
        p, lambda context, x, y, z: [dialect.AddOp(dialect.MulOp(x, y), z).result])

    def jvp(primals, tangents):
        x, y, z = primals
        xt, yt, zt = map(ad.instantiate_zeros, tangents)
        return p.bind(x, y, z), p.bind(xt, y, p.bind(x, yt, zt))

    def transpose(ct, x, y, z):
        if ad.is_undefined_primal(x):
            return p.bind(ct, y, jnp.zeros_like(y)), None, ct
        return None, p.bind(x, ct, jnp.zeros_like(x)), ct

    def batch(args, dims):
        size = next(x.shape[d] for x, d in zip(args, dims) if d is not None)
        return p.bind(*[batching.bdim_at_front(x, d, size) for x, d in zip(args, dims)]), 0

    ad.primitive_jvps[p], ad.primitive_transposes[p] = jvp, transpose
    batching.primitive_batchers[p] = batch
    return p


def test_a_primitive_is_computed_differentiated_and_batched():
    p = _multiply_add()

    def f(a, b):
        return p.bind(a, a, b)

    def truth(a, b):
        return a * a + b

    assert f(2.0, 10.0) == 14.0 == float(arraylib.jit(f)(2.0, 10.0))
    assert [float(x) for x in arraylib.jvp(f, (2.0, 10.0), (1.0, 1.0))] == [14.0, 5.0]
    assert float(arraylib.grad(f)(2.0, 10.0)) == 4.0
    assert float(arraylib.jit(arraylib.grad(arraylib.grad(f)))(2.0, 10.0)) == 2.0
    xs, y = jnp.array([2.0, 3.0]), 10.0
    for axes in ((0, None), (None, 0)):
        args = (xs, y) if axes[0] == 0 else (y, xs)
        ours = arraylib.jit(arraylib.vmap(arraylib.value_and_grad(f), axes))(*args)
        theirs = jax.vmap(jax.value_and_grad(truth), axes)(*map(np.asarray, args))
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("use, message", [
    (lambda p: p.bind(1.0), "no evaluation rule"),
    (lambda p: arraylib.jit(p.bind)(1.0), "no rule for its types"),
])
def test_a_primitive_without_rules_says_which_is_missing(use, message):
    with pytest.raises(MissingRuleError, match=f"nothing: the primitive has {message}"):
        use(core.Primitive("nothing"))


@pytest.mark.parametrize("transform, message", [
    (arraylib.jit, "no rule for compiled code"), (arraylib.grad, "no derivative"),
    (lambda f: arraylib.vmap(f, axis_size=2, in_axes=0), "no batch"),
])
def test_transforms_say_which_rule_is_missing(transform, message):
    p = core.Primitive("named_only")
    p.def_abstract_eval(lambda x: x)
    with pytest.raises(NotImplementedError, match=message):
        transform(p.bind)(jnp.ones(2) if transform not in (arraylib.jit, arraylib.grad) else 1.0)


def test_primitives_with_many_results_and_settings():
    p = core.Primitive("split_at")
    p.multiple_results = True
    p.def_abstract_eval(lambda x, *, at: [core.ShapedArray((at,), x.dtype),
                                          core.ShapedArray((x.shape[0] - at,), x.dtype)])
    mlir.register_lowering(p, mlir.lower_fun(lambda x, *, at: [x[:at], x[at:]]), platform="cpu")
    for platform in ("cuda", None):
        mlir.register_lowering(p, lambda *args, **params: 1 / 0, platform=platform)
    p.def_impl(lambda *args, **params: apply_primitive(p, *args, **params))
    ad.deflinear2(p, lambda cts, x, *, at: [jnp.concatenate(
        [ct if not isinstance(ct, ad.Zero) else ad.instantiate_zeros(ct) for ct in cts])])
    x = jnp.arange(5.0)
    for function in (p.bind, arraylib.jit(p.bind, static_argnames="at")):
        first, second = function(x, at=2)
        assert (first.tolist(), second.tolist()) == ([0, 1], [2, 3, 4])
    slope = arraylib.jit(arraylib.grad(lambda x: (p.bind(x, at=2)[1] ** 2).sum()))
    assert slope(x).tolist() == [0, 0, 4, 6, 8]
    (equation,) = top.make_jaxpr(lambda x: p.bind(x, at=2))(x).eqns
    assert equation.primitive is p and equation.params == {"at": 2}


PROGRAMS = {
    "elementwise": lambda np, lax, x: np.exp(np.tanh(x)) * 2 + x[::-1],
    "loop": lambda np, lax, x: lax.scan(lambda c, t: (c + t, c * 2), x, np.ones((4, 3)))[1],
    "branch": lambda np, lax, x: lax.cond(x.sum() > 0, np.sin, np.cos, x),
    "product": lambda np, lax, x: np.outer(x, x) @ x,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_jaxprs_compute_what_the_function_does(name):
    x = np.array([0.5, -1.0, 2.0], np.float32)
    closed = top.make_jaxpr(lambda x: PROGRAMS[name](jnp, lax, x))(x)
    theirs = PROGRAMS[name](jax.numpy, jax.lax, jax.numpy.asarray(x))
    (out,) = core.eval_jaxpr(closed.jaxpr, closed.consts, x)
    np.testing.assert_allclose(out, theirs, rtol=1e-6)
    again = top.make_jaxpr(core.jaxpr_as_fun(closed))(x)
    np.testing.assert_allclose(core.jaxpr_as_fun(again)(x)[0], theirs, rtol=1e-6)
    assert closed.in_avals == [core.ShapedArray((3,), "float32")]


def test_jaxprs_print_and_name_primitives_as_jax_does():
    def f(np, x, y):
        return np.sin(x) * np.exp(y) + x
    ours = top.make_jaxpr(lambda x, y: f(jnp, x, y))(1.0, 2.0)
    theirs = jax.make_jaxpr(lambda x, y: f(jax.numpy, x, y))(1.0, 2.0)
    assert str(ours).split() == str(theirs).split()
    assert [e.primitive for e in ours.eqns] == [known.sin_p, known.exp_p, known.mul_p, known.add_p]
    (inner,) = core.subjaxprs(top.make_jaxpr(arraylib.jit(jnp.sin))(1.0).jaxpr)
    assert inner.eqns[0].primitive.name == "sin" and isinstance(inner.invars[0], core.Var)
    literal = top.make_jaxpr(lambda x: x * 2.0)(1.0).eqns[0].invars[1]
    assert isinstance(literal, core.Literal) and literal.val == 2.0
    closed, shape = top.make_jaxpr(lambda n, x: {"y": x * n}, 0, return_shape=True)(3, jnp.ones(2))
    assert shape == {"y": arraylib.ShapeDtypeStruct((2,), "float32")} and len(closed.in_avals) == 1


def test_an_interpreter_of_jaxprs():
    inverses = {known.exp_p: jnp.log, known.tanh_p: jnp.arctanh}
    closed = top.make_jaxpr(lambda x: jnp.exp(jnp.tanh(x)))(1.0)
    values = dict(zip(closed.jaxpr.outvars, [jnp.exp(jnp.tanh(0.5))]))
    for equation in closed.eqns[::-1]:
        values[equation.invars[0]] = inverses[equation.primitive](values[equation.outvars[0]])
    np.testing.assert_allclose(values[closed.jaxpr.invars[0]], 0.5, rtol=1e-5)


def test_partial_evaluation_computes_what_is_known():
    wrapped = linear_util.wrap_init(lambda x, y: [x + 1, x * y])
    known_value, unknown = partial_eval.PartialVal.known, partial_eval.PartialVal.unknown
    jaxpr, outs, consts = partial_eval.trace_to_jaxpr_nounits(
        wrapped, [known_value(jnp.float32(2.0)), unknown(core.ShapedArray((3,), "float32"))])
    assert float(outs[0].get_known()) == 3.0 and not outs[1].is_known()
    (out,) = core.eval_jaxpr(jaxpr, consts, jnp.arange(3.0))
    assert out.tolist() == [0.0, 2.0, 4.0]


def test_wrapped_functions():
    @linear_util.transformation_with_aux
    def doubled(factor, x):
        out = yield (factor * x,), {}
        yield out + 1, "seen"

    function, store = doubled(linear_util.wrap_init(lambda x: x ** 2), 3)
    assert (function.call_wrapped(2), store()) == (37, "seen")


def test_compiled_code_of_a_primitive_may_read_arrays():
    shift = jnp.arange(3.0)
    p = core.Primitive("shifted")
    p.def_abstract_eval(lambda x: x)
    mlir.register_lowering(p, mlir.lower_fun(lambda x: x + shift, multiple_results=False))
    f = arraylib.jit(lambda x: p.bind(x) * 2)
    assert f(jnp.ones(3)).tolist() == [2, 4, 6] and f(jnp.zeros(3)).tolist() == [0, 2, 4]


def test_zeros_of_trees():
    x, i = zero_from_primal((jnp.ones(2), 3))
    assert x.tolist() == [0, 0] and i.dtype == arraylib.float0
    assert zero_from_primal([x], symbolic_zeros=True)[0].aval == core.ShapedArray((2,), "float32")


def test_types_and_states_under_names_of_jax():
    x = arraylib.typeof(jnp.ones((2, 3)))
    assert (x.ndim, x.weak_type, core.get_aval(1.0).shape) == (2, False, ())
    assert core.mapped_aval(2, 0, x) == core.ShapedArray((3,), "float32")
    assert core.unmapped_aval(4, 1, x) == core.ShapedArray((2, 4, 3), "float32")
    assert core.valid_jaxtype(1.0) and not core.valid_jaxtype("text")
    assert jnp.ones((2, 3)).aval is x and arraylib.eval_shape(lambda y: y, 1.0).weak_type
    seen = []
    arraylib.jit(lambda y: seen.append(y.aval) or y)(jnp.ones((2, 3)))
    assert seen == [x]
    states = []
    arraylib.jit(lambda x: states.append(core.get_opaque_trace_state()) or x)(1.0)
    assert core.trace_state_clean() and states[0] != core.get_opaque_trace_state()
    with pytest.raises(TypeError, match="traces are no objects here"):
        core.take_current_trace()


def test_batching_rules_that_are_told_the_axis():
    p, told = core.Primitive("identity"), []
    p.def_abstract_eval(lambda x: x)
    mlir.register_lowering(p, mlir.lower_fun(lambda x: x, multiple_results=False))

    def batch(axis, args, dims):
        told.append((axis.name, axis.size))
        return p.bind(*args), dims[0]
    batching.fancy_primitive_batchers[p] = batch
    x = jnp.ones((2, 3))
    assert arraylib.vmap(p.bind, axis_name="i")(x).tolist() == x.tolist()
    assert told[0] == ("i", 2)


def test_pmap_has_one_static_argument_for_all_examples():
    scaled = mapped.pmap(lambda how, x, y: x * y if how == "times" else x, in_axes=(None, 0, None),
                         static_broadcasted_argnums=0)
    assert scaled("times", np.ones((1, 2)), 3.0).tolist() == [[3, 3]]
    assert scaled("not", np.ones((1, 2)), 3.0).tolist() == [[1, 1]]
    powers = mapped.pmap(lambda n, x: x ** n, static_broadcasted_argnums=(0,))
    assert [powers(n, np.full(1, 2.0)).tolist() for n in (2, 3)] == [[4], [8]]


def test_pmap_takes_as_many_examples_as_devices():
    double = mapped.pmap(lambda x: lax.psum(x, "i") * 2, axis_name="i")
    assert double(jnp.ones((1, 3))).tolist() == [[2.0, 2.0, 2.0]]
    with pytest.raises(ValueError, match="examples for"):
        double(jnp.ones((10 ** 4, 3)))


def test_listeners_hear_events():
    heard = []
    monitoring.register_event_listener(lambda event, **facts: heard.append((event, facts)))
    monitoring.record_event("/saved", step=3)
    monitoring.clear_event_listeners()
    monitoring.record_event("/saved", step=4)
    assert heard == [("/saved", {"step": 3})]


def test_values_say_whether_they_have_a_tangent():
    told = []

    def f(x, n):
        main = core.find_top_trace((x,)).main
        constant = jnp.arange(3.0) * 2
        for value in (x, jnp.sin(x) + constant, constant, arraylib.lax.stop_gradient(x), x > 0,
                      jnp.round(x) + n, 3.0):
            told.append(isinstance(value, ad.JVPTracer) and value._trace.main is main)
        return x
    arraylib.jvp(lambda x: f(x, 2), (jnp.ones(3),), (jnp.ones(3),))
    assert told == [True, True, False, False, False, False, False]
    assert not isinstance(jnp.ones(3), ad.JVPTracer)


def test_zeros_and_missing_operands_are_containers_without_leaves():
    zero = ad.Zero(core.ShapedArray((2,), "float32"))
    assert arraylib.tree.leaves([zero, ad.UndefinedPrimal(zero.aval)]) == []
    assert arraylib.vmap(lambda x, t: (x, t), in_axes=(0, None))(jnp.ones(2), zero)[1] == zero
    assert "float0[2]" in repr(ad.Zero(core.ShapedArray((2,), "int32").to_tangent_aval()))


def test_programs_whose_graphs_were_replaced_are_drawn_again():
    closed = top.make_jaxpr(lambda x: lax.cond(x > 0, jnp.sin, jnp.cos, x))(1.0)
    (branch,) = [e for e in closed.eqns if e.primitive.name == "cond"]
    swapped = branch.replace(params={name: tuple([
        core.ClosedJaxpr(inner.jaxpr, inner.consts) for inner in value[::-1]])
        if isinstance(value, tuple) and isinstance(value[0], core.ClosedJaxpr) else value
        for name, value in branch.params.items()})
    jaxpr = closed.jaxpr.replace(eqns=[swapped if e is branch else e for e in closed.eqns])
    (out,) = core.eval_jaxpr(jaxpr, closed.consts, jnp.float32(1.0))
    np.testing.assert_allclose(out, np.cos(1.0), rtol=1e-6)


def test_errors_of_callbacks_and_checks_are_those_of_jax():
    def fails(x):
        raise KeyError("nothing there")
    with pytest.raises(JaxRuntimeError, match="fails failed: KeyError: 'nothing there'"):
        top.pure_callback(fails, arraylib.ShapeDtypeStruct((), "float32"), 1.0)

    error, _ = checkify.checkify(lambda x: checkify.check(x > 0, "told: {}", x))(jnp.float32(-1))
    with pytest.raises(checks.JaxRuntimeError, match=r"^told: -1"):
        checks.check_error(error)
    with pytest.raises(ValueError, match="told"):
        arraylib.jit(lambda x: checks.check_error(checkify.checkify(
            lambda x: checkify.check(x > 0, "told"))(x)[0]))(-1.0)


def test_primitives_stay_what_they_are_where_values_are_known_first():
    p = core.Primitive("any_of_all")
    p.def_impl(jnp.any)
    p.def_abstract_eval(lambda x: core.ShapedArray((), "bool"))
    batching.primitive_batchers[p] = lambda args, dims: (p.bind(*args), None)
    mlir.register_lowering(p, mlir.lower_fun(jnp.any, multiple_results=False))

    def f(x):
        with arraylib.ensure_compile_time_eval():
            assert p.bind(jnp.ones(2, bool)).tolist() is True
            return p.bind(x)
    assert arraylib.vmap(f)(jnp.array([True, False])).tolist() == [True, True]

"""Products move out of scans, before or behind them, and results stay what they are."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import arraylib
import arraylib.numpy as jnp
from arraylib import dtypes as dt, lax
from arraylib.config import config
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Builder, Type, trace_graph
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.loop import scan
from arraylib.hlo.ops.reduction import dot_general
from arraylib.hlo.ops.structured import reduce_add, reshape, transpose
from arraylib.hlo.passes import afterwards as afterwards_module, ahead as ahead_module, steps
from arraylib.hlo.passes.afterwards import afterwards
from arraylib.hlo.passes.ahead import ahead
from arraylib.hlo.passes.cse import cse as merge
from arraylib.hlo.passes.pipeline import optimize
from arraylib.hlo.passes.rewrite import everywhere
from arraylib.hlo.verify import verify

STEPS = 3
cse = everywhere(merge)


def matmul(x, y, dtype=None):
    return dot_general(x, y, lhs_batching=(), rhs_batching=(), lhs_contracting=(1,),
                       rhs_contracting=(0,), dtype=dtype)


def summed_outer(x, y):
    """x^T y"""
    return dot_general(x, y, lhs_batching=(), rhs_batching=(), lhs_contracting=(0,),
                       rhs_contracting=(0,), dtype=None)


def looped(body, consts, carry, xs, reverse=False, length=STEPS):
    """The graph of one scan over a body, of operands of these types."""
    graph = trace_graph([*consts, *carry, *xs], body)
    types = [*consts, *carry, *(t.with_shape((length, *t.shape)) for t in xs)]
    return trace_graph(types, lambda *operands: scan(
        *operands, body=graph, consts=len(consts), carry=len(carry), length=length,
        reverse=reverse))


def f32(*shape):
    return Type(dt.float32, shape)


def names(graph):
    return [node.op.name for node in graph.nodes]


def inside(graph):
    """The names of the operations in a graph's one loop."""
    (node,) = (node for node in graph.nodes if node.op is scan)
    return names(node.attrs["body"])


def arrays_for(graph, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.integers(-9, 9, t.shape) if dt.is_integer(t.dtype)
             else rng.standard_normal(t.shape)).astype(t.dtype) for t in graph.input_types]


def check(graph, changed, tolerance=2e-6):
    verify(changed)
    arrays = arrays_for(graph)
    for got, want in zip(interpret(changed, arrays), interpret(graph, arrays), strict=True):
        assert got.dtype == want.dtype and got.shape == want.shape
        if dt.is_float(want.dtype):
            scale = np.abs(want).max(initial=1)
            np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * scale)
        else:
            np.testing.assert_array_equal(got, want)


WIDE, STATE, PART = f32(64, 32), f32(4, 32), f32(4, 64)


# -- before ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
def test_products_of_parts_of_xs_move_to_the_front(reverse):
    graph = looped(lambda w, h, x: [ew.tanh(ew.add(h, matmul(ew.sine(ew.negate(x)), w))), x],
                   [WIDE], [STATE], [PART], reverse)
    changed = ahead(graph)
    assert names(changed) == ["negate", "sine", "dot_general", "scan"]
    assert inside(changed) == ["add", "tanh"]
    check(graph, changed)


def test_a_product_of_a_product_moves_along():
    graph = looped(lambda w, v, h, x: [ew.add(h, matmul(ew.tanh(matmul(x, w)), v))],
                   [f32(64, 64), WIDE], [STATE], [PART])
    changed = ahead(graph)
    assert names(changed) == ["dot_general", "tanh", "dot_general", "scan"]
    assert inside(changed) == ["add"]
    check(graph, changed)


def test_what_the_loop_reads_as_well_is_kept_if_it_is_expensive():
    def step(w, h, x):
        y = ew.tanh(ew.negate(x))
        return [ew.add(h, matmul(y, w)), ew.subtract(y, ew.negate(x))]
    graph = looped(step, [WIDE], [STATE], [PART])
    changed = ahead(cse(graph))
    assert inside(changed) == ["negate", "add", "subtract"]
    check(graph, changed)


def test_convolutions_with_one_kernel_move():
    def step(carry, x):
        y = lax.conv_general_dilated(x, kernel, (1,), "SAME",
                                     dimension_numbers=("NWC", "WIO", "NWC"))
        return jnp.tanh(carry + y), carry
    kernel = np.random.default_rng(0).standard_normal((3, 24, 4)).astype(np.float32)
    xs = np.random.default_rng(1).standard_normal((5, 2, 8, 24)).astype(np.float32)
    def loop(kernel, xs):
        return lax.scan(lambda h, x: (step(h, x)), jnp.zeros((2, 8, 4)), xs)
    text = arraylib.jit(loop).lower(kernel, xs).text("optimized")
    before, _, within = text.partition("scan")
    assert "convolution" in before and "convolution" not in within
    last, hs = arraylib.jit(loop)(kernel, xs)
    with config.using(jit=False):
        wanted = loop(kernel, xs)
    np.testing.assert_allclose(last, wanted[0], atol=1e-5)
    np.testing.assert_allclose(hs, wanted[1], atol=1e-5)


@pytest.mark.parametrize("body, consts, xs", [
    (lambda w, h, x: [ew.add(matmul(h, w), x)], [f32(32, 32)], [STATE]),  # of the carry
    (lambda w, h, x: [ew.add(h, ew.multiply(x, w))], [STATE], [STATE]),  # no product
    (lambda w, h, x: [ew.add(h, matmul(x, w))], [f32(4, 32)], [f32(4, 4)]),  # little work
    (lambda h, x, y: [ew.add(h, matmul(x, y))], [], [PART, WIDE]),  # nothing stays the same
])
def test_what_stays_in_the_loop(body, consts, xs):
    graph = looped(body, consts, [STATE], xs)
    assert ahead(graph) is graph


def test_many_rows_are_multiplied_in_the_step():
    graph = looped(lambda w, h, x: [ew.add(h, matmul(x, w))], [WIDE], [f32(257, 32)],
                   [f32(257, 64)])
    assert ahead(graph) is graph


def test_what_takes_too_much_memory_stays(monkeypatch):
    graph = looped(lambda w, h, x: [ew.add(h, reduce_add(matmul(x, w), dimensions=(0, 1)))],
                   [f32(64, 512)], [f32()], [PART])
    assert ahead(graph) is not graph
    monkeypatch.setattr(steps, "FREE_BYTES", 0)
    assert ahead(graph) is graph


# -- behind ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
def test_sums_of_products_become_one_behind_the_loop(reverse):
    graph = looped(lambda w, b, h, x: [
        ew.add(w, summed_outer(x, ew.sine(h))), ew.add(reduce_add(ew.sine(h), dimensions=(0,)), b),
        ew.tanh(h)], [], [WIDE, f32(32), STATE], [PART], reverse)
    changed = afterwards(optimize(graph))
    assert "dot_general" not in inside(changed) and "reduce_add" not in inside(changed)
    assert names(changed)[0] == "scan"
    check(graph, changed)


def test_a_sum_of_transposed_products_is_transposed_once():
    graph = looped(lambda w, h, x: [
        ew.add(w, reshape(transpose(summed_outer(x, h), permutation=(1, 0)), shape=(2, 16, 64))),
        ew.tanh(h)], [], [f32(2, 16, 64), STATE], [PART])
    changed = afterwards(graph)
    assert names(changed) == ["scan", "dot_general", "transpose", "reshape", "add"]
    check(graph, changed)


def test_results_of_steps_are_computed_of_all_rows_together():
    graph = looped(lambda w, b, h, x: [ew.tanh(ew.add(h, x)), ew.subtract(
        matmul(h, w), b), reduce_add(matmul(h, w), dimensions=(1,))], [f32(32, 128), f32(4, 128)],
        [STATE], [STATE])
    changed = afterwards(optimize(graph))
    assert inside(changed) == ["add", "tanh"]
    assert names(changed).count("dot_general") == 1
    check(graph, changed)


def test_a_result_that_waits_for_no_step_does_not_go_through_the_loop():
    graph = looped(lambda w, h, x: [ew.tanh(ew.add(h, x)), matmul(x, w)], [f32(32, 128)],
                   [STATE], [STATE])
    changed = optimize(graph)
    (loop,) = (node for node in changed.nodes if node.op is scan)
    assert len(loop.outputs) == 1 and "dot_general" not in inside(changed)
    check(graph, changed)


@pytest.mark.parametrize("body, carry", [
    # the loop reads the sum
    (lambda w, h, x: [ew.add(w, summed_outer(x, h)), ew.add(h, matmul(x, w))], [WIDE, STATE]),
    # it is a result, too
    (lambda w, h, x: [ew.add(w, summed_outer(x, h)), ew.tanh(h), w], [WIDE, STATE]),
    # each step takes away what there is
    (lambda w, h, x: [ew.subtract(summed_outer(x, h), w), ew.tanh(h)], [WIDE, STATE]),
    # the product is read elsewhere
    (lambda w, h, x: [ew.add(w, summed_outer(x, h)), ew.tanh(h), summed_outer(x, h)],
     [WIDE, STATE]),
    # keeping what is multiplied costs more than adding to a small array
    (lambda w, h, x: [ew.add(w, summed_outer(ew.sine(h), ew.cosine(h))), ew.tanh(h)],
     [f32(2, 2), f32(64, 2)]),
    # the product does not vary: it is no sum over steps of what is kept
    (lambda w, h, x: [ew.add(w, x), ew.tanh(h)], [PART, STATE]),
])
def test_sums_that_stay_in_the_loop(body, carry):
    graph = cse(looped(body, [], carry, [PART]))
    assert afterwards(graph) is graph


@pytest.mark.parametrize("length", [0, 1])
def test_short_loops_stay_what_they_are(length):
    graph = looped(lambda w, h, x: [ew.add(w, summed_outer(x, h)), ew.tanh(h)], [],
                   [WIDE, STATE], [PART], length=length)
    assert afterwards(graph) is graph and ahead(graph) is graph


def test_integers_stay_exact_and_half_types_keep_their_dtype():
    for dtype in (dt.int8, dt.int32, dt.uint16, dt.bfloat16, dt.float16):
        types = [Type(dtype, t.shape) for t in (WIDE, STATE, PART)]
        graph = looped(lambda w, h, x: [ew.add(w, summed_outer(x, h)), h], [], types[:2], types[2:])
        changed = afterwards(graph)
        assert names(changed) == ["scan", "dot_general", "add"]
        check(graph, changed, tolerance=2e-2)


def test_infinities_and_nans_spread_as_before():
    graph = looped(lambda w, h, x: [ew.add(w, summed_outer(x, h)), h], [], [WIDE, STATE], [PART])
    w, h, x = arrays_for(graph)
    w[3, 4], x[1, :, 5], x[2, 0, 6], h[:, 7] = np.inf, np.nan, -np.inf, 0
    for got, want in zip(interpret(afterwards(graph), [w, h, x]), interpret(graph, [w, h, x])):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


SQUARE = f32(8, 8)


def random_body(seed):
    """(two matrices; a sum and two states; a part) -> the same carry, and some results.

    All are 8 x 8, so that any may be multiplied by any.
    """
    rng = np.random.default_rng(seed)
    def body(v, w, total, g, h, x):
        pool = [v, w, g, h, x]
        def pick():
            return pool[rng.integers(len(pool))]
        for _ in range(rng.integers(3, 9)):
            pool.append([
                lambda: matmul(pick(), [v, w][rng.integers(2)]),
                lambda: summed_outer(pick(), pick()),
                lambda: ew.tanh(pick()), lambda: ew.multiply(pick(), pick()),
                lambda: transpose(pick(), permutation=(1, 0)),
                lambda: ew.add(pick(), pick())][rng.integers(6)]())
        results = [pick() for _ in range(rng.integers(3))]
        return [ew.add(total, summed_outer(pick(), pick())), ew.tanh(pick()), ew.tanh(pick()),
                *results]
    return body


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), reverse=st.booleans(), length=st.integers(1, 4))
def test_random_bodies_mean_what_they_meant(seed, reverse, length):
    graph = looped(random_body(seed), [SQUARE] * 2, [SQUARE] * 3, [SQUARE], reverse, length)
    with pytest.MonkeyPatch.context() as patch:
        for module in (afterwards_module, ahead_module):
            patch.setattr(module, "LEAST_WORK", 0)  # so that all moves that can
        changed = ahead(afterwards(cse(graph)))
    check(graph, changed, tolerance=1e-4)


# -- whole programs --------------------------------------------------------------------------------


def test_nothing_with_an_effect_moves():
    seen = []
    def loop(w, xs):
        def step(h, x):
            y = x @ w
            arraylib.debug.callback(lambda y: seen.append(float(y)), y.sum())
            return jnp.tanh(h + y), y @ w.T
        return lax.scan(step, jnp.zeros((4, 32)), xs)
    w, xs = np.ones((64, 32), np.float32), np.ones((5, 4, 64), np.float32)
    xs *= np.arange(5, dtype=np.float32)[:, None, None]
    _, ys = arraylib.jit(loop)(w, xs)
    np.testing.assert_allclose(np.asarray(ys)[:, 0, 0], np.arange(5) * 64 * 32, rtol=1e-6)
    assert seen == [i * 4 * 32 * 64 for i in range(5)]


_CELLS = {
    "x": lambda h, x, w, u, b: jnp.tanh(x @ w + h @ u + b),
    "gate": lambda h, x, w, u, b: arraylib.nn.sigmoid(jnp.sin(x) @ w) * h + jnp.tanh(h @ u),
    "state": lambda h, x, w, u, b: h * 0.5 + jnp.tanh(jnp.tanh(x @ w) @ u) * b,
    "left": lambda h, x, w, u, b: jnp.tanh((w.T @ x.T).T + h * b),
}
_RESULTS = {
    "none": lambda h, x, v: None,
    "product": lambda h, x, v: h @ v,
    "more": lambda h, x, v: {"p": arraylib.nn.softmax(h @ v, -1), "x": x, "h": [h, h * 2]},
}


@settings(max_examples=25, deadline=None)
@given(cell=st.sampled_from(sorted(_CELLS)), result=st.sampled_from(sorted(_RESULTS)),
       reverse=st.booleans(), steps=st.integers(1, 4), rows=st.integers(1, 5),
       size=st.sampled_from([1, 8, 40, 64]), seed=st.integers(0, 9))
def test_gradients_of_random_recurrences(cell, result, reverse, steps, rows, size, seed):
    """Against the derivative along a direction, by differences in float64."""
    rng = np.random.default_rng(seed)
    def loss(parameters, xs):
        w, u, v, b = parameters
        def step(h, x):
            h = _CELLS[cell](h, x, w, u, b)
            return h, _RESULTS[result](h, x, v)
        h, ys = lax.scan(step, jnp.zeros((rows, size), xs.dtype), xs, reverse=reverse)
        return jnp.sum(h * h) + sum(jnp.sum(jnp.sin(y)) for y in arraylib.tree.leaves(ys))
    shapes = (48, size), (size, size), (size, 72), (size,)
    parameters = [rng.standard_normal(s) / 8 for s in shapes]
    direction = [rng.standard_normal(s) for s in shapes]
    xs = rng.standard_normal((steps, rows, 48))
    with config.using(default_bits=64):
        gradient = arraylib.jit(arraylib.grad(loss))(parameters, xs)
        def along(t):
            moved = [p + t * d for p, d in zip(parameters, direction)]
            return float(arraylib.jit(loss)(moved, xs))
        wanted = (along(1e-5) - along(-1e-5)) / 2e-5
    found = sum(np.vdot(np.asarray(g), d) for g, d in zip(gradient, direction))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def lstm_loss(jnp, sigmoid, scan, parameters, xs):
    wx, wh, b = parameters
    def step(carry, x):
        h, c = carry
        i, f, g, o = jnp.split(x @ wx + h @ wh + b, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
        h = sigmoid(o) * jnp.tanh(c)
        return (h, c), h
    zeros = jnp.zeros((xs.shape[1], wh.shape[0]), xs.dtype)
    (_, c), hs = scan(step, (zeros, zeros), xs)
    return jnp.sum(jnp.sin(hs)) + jnp.sum(c)


def test_the_gradients_of_an_lstm_are_those_of_jax():
    rng = np.random.default_rng(0)
    parameters = [rng.standard_normal(s, np.float32) / 8 for s in [(48, 256), (64, 256), (256,)]]
    xs = rng.standard_normal((20, 8, 48), np.float32)
    def ours(parameters, xs):
        return lstm_loss(jnp, arraylib.nn.sigmoid, lax.scan, parameters, xs)
    def theirs(parameters, xs):
        return lstm_loss(jax.numpy, jax.nn.sigmoid, jax.lax.scan, parameters, xs)
    gradients = arraylib.jit(arraylib.grad(ours, argnums=(0, 1)))
    text = gradients.lower(parameters, xs).text("optimized")
    assert text.count("dot_general") == 6  # two in the loops, four of all steps
    found = arraylib.tree.leaves(gradients(parameters, xs))
    wanted = jax.tree.leaves(jax.jit(jax.grad(theirs, argnums=(0, 1)))(parameters, xs))
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


# -- programs of users -----------------------------------------------------------------------------

N = 192
WEIGHT, STACKED = (jnp.asarray(np.random.default_rng(0).normal(size=s, scale=0.1), dtype="float32")
                for s in ((N, N), (5, 8, N)))
halved = arraylib.jit(lambda b: jnp.tanh(b) * 0.5)
doubled = arraylib.jit(lambda h: jnp.tanh(h) * 2)
turned = arraylib.jit(lambda x: x.T @ x / N)


def with_a_sum(carry, x):
    s, u = carry
    u = jnp.where(jnp.ones_like(u) > 0, u, s * 2)
    return (turned(x) + u, u), s[0, 0]


# Bodies that call jitted functions, whose values a pass made and not a trace.
BODIES = {
    "a carry scaled": (lambda s, q: (s * halved(q[0, 0]) + (y := jnp.tanh(q @ s)).T @ q, y),
                       WEIGHT),
    "a carry added to": (lambda s, q: (s * 0.5 + halved(q[0]) + (y := q @ s).T @ y / N, y), WEIGHT),
    "results of a product": (lambda h, x: ((h2 := doubled(h + x)), (h2, h2 @ WEIGHT)), STACKED[0]),
    "products of parts": (lambda h, x: (h + x.sum() * 0, (x[:0] @ WEIGHT, x @ WEIGHT)), 0.0),
    "what looks like a sum": (with_a_sum, (WEIGHT, WEIGHT.T)),
    "a matrix scaled by one": (lambda s, q: (s * halved(q.T @ q) + (y := jnp.tanh(q @ s)).T @ q, y),
                               WEIGHT),
}


@pytest.mark.parametrize("name", BODIES)
def test_scans_that_call_jitted_functions(name):
    body, start = BODIES[name]
    program = arraylib.jit(lambda start, xs: lax.scan(body, start, xs))
    found = program(start, STACKED)
    with config.using(jit=False):
        expected = program(start, STACKED)
    for x, y in zip(arraylib.tree.leaves(found), arraylib.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=2e-4, atol=2e-4)


def test_values_that_passes_make_are_looked_up():
    """`in`, of a value of a trace and one that a pass made, emits nothing."""
    seen = []

    def f(x):
        plain = Builder().input(x.type)
        seen.extend([x == plain, x != plain, x in (plain, x), x in (plain,)])
        return x + 1
    assert len(arraylib.make_graph(f)(1.0).graph.nodes) == 2
    assert seen == [False, True, True, False]


def test_callbacks_stay_in_the_loop():
    def body(h, x):
        number = arraylib.ShapeDtypeStruct((), "float32")
        scale = arraylib.io_callback(lambda: np.float32(2), number)
        return jnp.tanh(h + (x * scale) @ WEIGHT), None
    found = arraylib.jit(lambda xs: lax.scan(body, STACKED[0], xs)[0])(STACKED)
    expected = lax.scan(lambda h, x: (jnp.tanh(h + (x * 2) @ WEIGHT), None), STACKED[0], STACKED)[0]
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-5, atol=1e-5)


def test_products_that_only_reductions_read_stay_where_they_are_large():
    """Of 4,096 steps logits would take a gigabyte."""
    w = jnp.zeros((64, 8192))

    def body(h, x):
        h = jnp.tanh(h + x)
        return h, jnp.exp(h @ w).sum(-1)
    program = arraylib.jit(lambda h, xs: lax.scan(body, h, xs))
    compiled = program.lower(arraylib.ShapeDtypeStruct((4, 64), "float32"),
                             arraylib.ShapeDtypeStruct((4096, 4, 64), "float32")).compile()
    assert compiled.memory().temporaries < 100 << 20

"""Attention in one pass, against NumPy in float64 and JAX: shapes, strides, masks, dtypes."""

import jax
import jax.numpy as their_numpy
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import arraylib.numpy as jnp
from arraylib import grad, jit, jvp, nn, vmap
from arraylib.backends.cpu import backend, pool
from arraylib.backends.lower.plan import AttentionStep, HostStep
from arraylib.config import config
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops.attention import LOWEST, UNLIMITED, attention, attention_backward
from arraylib.hlo.passes.pipeline import optimize

F32 = np.float32


def normal(shape, seed=0, dtype=F32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def operands(b, t, n, h, s, k, d=None, dtype=F32):
    shapes = (b, t, n, h), (b, s, k, h), (b, s, k, d or h)
    return [normal(shape, seed, dtype) for seed, shape in enumerate(shapes)]


def expected(q, k, v, bias=None, masks=(), window=(UNLIMITED, UNLIMITED), scale=None):
    """The values in float64."""
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    t, n, s = q.shape[1], q.shape[2], k.shape[1]
    k, v = (np.repeat(x, n // k.shape[2], 2) for x in (k, v))
    logits = np.einsum("btnh,bsnh->bnts", q, k) * (q.shape[-1]**-0.5 if scale is None else scale)
    if bias is not None:
        logits = logits + bias
    row, column = np.arange(t)[:, None], np.arange(s)
    inside = (column <= row + window[1]) & (column >= row - window[0])
    for mask in (*masks, inside):
        logits = np.where(mask, logits, LOWEST)
    with np.errstate(invalid="ignore"):
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        return np.einsum("bnts,bsnd->btnd", powers / powers.sum(-1, keepdims=True), v)


def computed(q, k, v, bias=None, masks=(), window=(UNLIMITED, UNLIMITED), scale=None):
    more = ([] if bias is None else [bias]) + list(masks)
    attrs = dict(scale=float(q.shape[-1]**-0.5 if scale is None else scale), window=window,
                 bias=bias is not None)
    types = [Type(x.dtype, x.shape) for x in (q, k, v, *more)]
    graph = trace_graph(types, lambda *xs: attention(*xs, **attrs))
    (step,) = backend.lowered(graph).steps
    assert isinstance(step, AttentionStep)
    return backend.compile(graph, frozenset(), None).run([q, k, v, *more])


def close(x, y, tolerance):
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance * max(1, np.abs(y).max()))


# -- values ----------------------------------------------------------------------------------------

SIZES = st.tuples(
    st.integers(1, 3), st.sampled_from([1, 2, 31, 32, 33, 70]), st.integers(1, 2),
    st.sampled_from([1, 3, 16, 33, 64]), st.sampled_from([1, 7, 111, 112, 113, 230]),
    st.integers(1, 2), st.sampled_from([None, 1, 5, 40]))
ENDS = st.sampled_from([0, 1, 5, 40, 115, -3, UNLIMITED])


@settings(deadline=None, max_examples=40)
@given(sizes=SIZES, window=st.tuples(ENDS, ENDS), has_bias=st.booleans(),
       masks=st.lists(st.tuples(*[st.booleans()] * 4), max_size=3), seed=st.integers(0, 9))
def test_values(sizes, window, has_bias, masks, seed):
    b, t, group, h, s, k, d = sizes
    q, key, v = operands(b, t, group * k, h, s, k, d)
    whole = (b, group * k, t, s)

    def spread(wide):
        return tuple(n if w else 1 for n, w in zip(whole, wide))

    rng = np.random.default_rng(seed)
    found = [rng.random(spread(wide)) < 0.7 for wide in masks]
    bias = normal(spread(rng.random(4) < 0.6), seed) if has_bias else None
    out, largest, total = computed(q, key, v, bias, found, window)
    close(out, expected(q, key, v, bias, found, window), 3e-6)
    assert largest.shape == total.shape == (b, group * k, t)


@pytest.mark.parametrize("dtype, tolerance", [
    (ml_dtypes.bfloat16, 8e-3), (np.float16, 1e-3), (np.float64, 1e-14)])
def test_other_dtypes(dtype, tolerance):
    xs = operands(2, 37, 4, 24, 150, 2, dtype=dtype)
    wide = np.float64 if dtype == np.float64 else F32
    bias, mask = normal((1, 4, 1, 150), 5, wide), np.arange(150) % 7 != 0
    out, *_ = computed(*xs, bias, [mask.reshape(1, 1, 1, 150)], (90, 3))
    assert out.dtype == dtype
    close(out, expected(*xs, bias, [mask], (90, 3)), tolerance)


def test_the_reference_means_the_same():
    xs = operands(2, 6, 4, 5, 9, 2, 3)
    bias, mask = normal((2, 1, 6, 9), 3), np.random.default_rng(0).random((1, 4, 6, 1)) < 0.5
    types = [Type(x.dtype, x.shape) for x in (*xs, bias, mask)]
    attrs = dict(scale=0.4, window=(4, 2), bias=True)
    graph = trace_graph(types, lambda *ys: attention(*ys, **attrs))
    for x, y in zip(computed(*xs, bias, [mask], (4, 2), 0.4),
                    interpret(graph, [*xs, bias, mask])):
        close(x, y, 1e-6)
    close(interpret(graph, [*xs, bias, mask])[0], expected(*xs, bias, [mask], (4, 2), 0.4), 1e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_rows_that_see_nothing_get_the_mean_as_in_jax(causal):
    q, k, v = operands(1, 40, 2, 16, 300, 2)
    mask = np.ones((1, 1, 40, 300), bool)
    mask[:, :, 3], mask[:, :, 35, 100:] = False, False
    mine = nn.dot_product_attention(q, k, v, mask=mask, is_causal=causal)
    theirs = jax.nn.dot_product_attention(q, k, v, mask=mask, is_causal=causal)
    close(mine, theirs, 1e-5)
    close(np.asarray(mine)[0, 3], v.astype(np.float64).mean(1)[0], 1e-5)


def test_infinities_and_nan():
    q, k, v = operands(1, 4, 1, 8, 130, 1)
    bias = np.zeros((1, 1, 4, 130), F32)
    bias[..., 0, 5], bias[..., 1, 120], bias[..., 2, :], bias[..., 3, :125] = (
        np.inf, np.nan, -np.inf, -np.inf)
    out, *_ = computed(q, k, v, bias)
    assert np.isnan(out[0, :3]).all()
    close(out[0, 3], expected(q, k, v, bias)[0, 3], 1e-6)
    close(computed(q, k, v, np.full((1, 1, 1, 1), -1e30, F32))[0],
          expected(q, k, v, np.full((1, 1, 1, 1), -1e30)), 1e-6)


def test_large_logits_do_not_overflow():
    q, k, v = operands(1, 33, 2, 16, 200, 2)
    close(computed(300 * q, 300 * k, v)[0], expected(300 * q, 300 * k, v), 2e-2)
    rising = np.linspace(0, 5000, 200, dtype=F32).reshape(1, 1, 1, 200)
    close(computed(q, k, v, rising)[0], expected(q, k, v, rising), 1e-3)


def test_operands_lie_as_they_like():
    q, k, v = operands(2, 50, 4, 16, 60, 2)
    turned = [np.ascontiguousarray(x.transpose(0, 2, 3, 1)) for x in (q, k, v)]

    def function(*xs):
        return nn.dot_product_attention(*[jnp.transpose(x, (0, 3, 1, 2)) for x in xs],
                                        mask=jnp.greater(jnp.flip(jnp.arange(60)), 20))

    graph = trace_graph([Type(x.dtype, x.shape) for x in turned], lambda *xs: [function(*xs)])
    kinds = [type(step) for step in backend.lowered(optimize(graph, backend.native)).steps]
    assert AttentionStep in kinds and HostStep not in kinds
    close(jit(function)(*turned), expected(q, k, v, masks=[np.arange(60)[::-1] > 20]), 3e-6)


@pytest.fixture
def restored_threads():
    before = pool.threads()
    yield
    pool.set_threads(before)


def test_results_do_not_depend_on_threads(restored_threads):
    xs = [*operands(2, 150, 4, 32, 300, 2), normal((2, 150, 4, 32), 7)]

    def function(q, k, v, cotangent):
        out, *facts = attention(q, k, v, scale=0.2, window=(UNLIMITED, 5), bias=False)
        gradients = attention_backward(q, k, v, out, *facts, cotangent, scale=0.2,
                                       window=(UNLIMITED, 5), bias=False)
        return [out, *facts, *gradients]

    graph, found = trace_graph([Type(x.dtype, x.shape) for x in xs], function), []
    for threads in (1, 3):
        pool.set_threads(threads)
        found.append([x.tobytes() for x in backend.compile(graph, frozenset(), None).run(xs)])
    assert found[0] == found[1]


# -- derivatives -----------------------------------------------------------------------------------


def their_attention(q, k, v, bias, mask, causal):
    t, n, s = q.shape[1], q.shape[2], k.shape[1]
    k, v = (their_numpy.repeat(x, n // k.shape[2], 2) for x in (k, v))
    logits = their_numpy.einsum("btnh,bsnh->bnts", q, k) * q.shape[-1]**-0.5
    logits = logits if bias is None else logits + bias
    for part in ([] if mask is None else [mask]) + [np.tri(t, s, dtype=bool)] * causal:
        logits = their_numpy.where(part, logits, LOWEST)
    return their_numpy.einsum("bnts,bsnd->btnd", jax.nn.softmax(logits, -1), v)


CASES = [((2, 40, 4, 16, 130, 2), False, False, False),
         ((1, 150, 2, 64, 150, 2), True, True, False),
         ((2, 17, 6, 40, 250, 3), False, True, True), ((1, 5, 1, 3, 7, 1), True, False, False)]


def options(sizes, has_bias, has_mask):
    b, t, n, _, s, _ = sizes
    mask = np.random.default_rng(3).random((b, 1, t, s)) < 0.6
    mask[:, :, 1] = False
    return normal((1, n, t, s), 4) if has_bias else None, mask if has_mask else None


@pytest.mark.parametrize("sizes, causal, has_mask, has_bias", CASES)
def test_gradients(sizes, causal, has_mask, has_bias):
    xs, (bias, mask) = operands(*sizes), options(sizes, has_bias, has_mask)
    w = normal(sizes[:4], 9)
    mine = jit(grad(lambda *ys: (nn.dot_product_attention(
        *ys, bias=bias, mask=mask, is_causal=causal) * w).sum(), argnums=(0, 1, 2)))(
            *map(jnp.asarray, xs))
    with jax.enable_x64(True):
        theirs = jax.grad(lambda *ys: (their_attention(*ys, bias, mask, causal) * w).sum(),
                          argnums=(0, 1, 2))(*[x.astype(np.float64) for x in xs])
    for x, y in zip(mine, theirs):
        close(x, y, 3e-6)


@pytest.mark.parametrize("t, s", [(150, 250), (250, 130)])
@pytest.mark.parametrize("window", [(0, 0), (40, 3), (UNLIMITED, 20), (120, UNLIMITED)])
def test_gradients_in_windows(t, s, window):
    """Windows that begin and end inside of blocks, and rows for which they show nothing."""
    xs, w = operands(1, t, 2, 16, s, 1), normal((1, t, 2, 16), 9)
    mine = jit(grad(lambda *ys: (nn.dot_product_attention(
        *ys, local_window_size=window) * w).sum(), argnums=(0, 1, 2)))(*map(jnp.asarray, xs))
    row, column = np.arange(t)[:, None], np.arange(s)
    mask = ((column <= row + window[1]) & (column >= row - window[0]))[None, None]
    with jax.enable_x64(True):
        theirs = jax.grad(lambda *ys: (their_attention(*ys, None, mask, False) * w).sum(),
                          argnums=(0, 1, 2))(*[x.astype(np.float64) for x in xs])
    for x, y in zip(mine, theirs):
        close(x, y, 3e-6)


def test_gradient_of_the_bias():
    xs, bias = operands(1, 6, 2, 4, 9, 2), normal((1, 2, 1, 9), 3)
    mine = grad(lambda x: (nn.dot_product_attention(*xs, bias=x)**2).sum())(jnp.asarray(bias))
    theirs = jax.grad(lambda x: (their_attention(*xs, x, None, False)**2).sum())(bias)
    close(mine, theirs, 1e-5)


def test_gradients_in_bfloat16():
    xs = [x.astype(ml_dtypes.bfloat16) for x in operands(1, 40, 2, 16, 130, 2)]
    mine = jit(grad(lambda *ys: nn.dot_product_attention(*ys).astype(F32).sum(),
                    argnums=(0, 1, 2)))(*map(jnp.asarray, xs))
    theirs = jax.grad(lambda *ys: their_attention(*ys, None, None, False).sum(),
                      argnums=(0, 1, 2))(*[x.astype(F32) for x in xs])
    for x, y in zip(mine, theirs):
        assert x.dtype == ml_dtypes.bfloat16
        close(x, y, 2e-2)


def test_forward_mode_and_second_derivatives():
    xs = operands(1, 5, 2, 4, 6, 1)
    moved = [normal(x.shape, 5 + i) for i, x in enumerate(xs)]

    def mine(*ys):
        return nn.dot_product_attention(*ys, is_causal=True)

    def theirs(*ys):
        return their_attention(*ys, None, None, True)

    close(jvp(mine, tuple(map(jnp.asarray, xs)), tuple(map(jnp.asarray, moved)))[1],
          jax.jvp(theirs, tuple(xs), tuple(moved))[1], 1e-5)
    second = grad(lambda q: (grad(lambda k: (mine(q, k, xs[2])**2).sum())(
        jnp.asarray(xs[1]))**2).sum())(jnp.asarray(xs[0]))
    close(second, jax.grad(lambda q: (jax.grad(lambda k: (theirs(q, k, xs[2])**2).sum())(
        xs[1])**2).sum())(xs[0]), 1e-4)


@pytest.mark.parametrize("axes", [(0, 0, 0), (0, None, 0), (None, 0, None)])
def test_batches(axes):
    q, k, v = operands(2, 5, 2, 4, 6, 1)
    xs = [np.stack([x, 2 * x, x + 1]) if axis == 0 else x for x, axis in zip((q, k, v), axes)]
    mask = np.random.default_rng(0).random((3, 1, 1, 5, 6)) < 0.7

    def function(np_attention):
        def of(q, k, v, mask):
            return (np_attention(q, k, v, mask=mask)**2).sum()
        return of

    in_axes = (*axes, 0)
    mine = vmap(grad(function(nn.dot_product_attention)), in_axes)(*map(jnp.asarray, (*xs, mask)))
    theirs = jax.vmap(jax.grad(function(jax.nn.dot_product_attention)), in_axes)(*xs, mask)
    close(mine, theirs, 1e-5)


# -- plans -----------------------------------------------------------------------------------------


def block(x, wq, wk, wv, wo):
    """Attention of a transformer: [b, t, c] to the same."""
    heads = (*x.shape[:2], 4, -1)
    q, k, v = (jnp.reshape(x @ w, heads) for w in (wq, wk, wv))
    out = nn.dot_product_attention(q, k, v, is_causal=True)
    return x + jnp.reshape(out, x.shape) @ wo


def test_no_buffer_is_a_matrix_of_shares():
    t, c = 2048, 64
    types = [Type(F32, (1, t, c)), *[Type(F32, (c, c))] * 4]
    train = grad(lambda *xs: (block(*xs)**2).sum(), argnums=(0, 1, 2, 3, 4))
    graph = optimize(trace_graph(types, lambda *xs: list(train(*xs))), backend.native)
    plan = backend.lowered(graph)
    steps = [step for step in plan.steps if isinstance(step, AttentionStep)]
    assert [step.backward for step in steps] == [False, True]
    sizes = [view.buffer.type.size for step in plan.steps if not hasattr(step, "a")
             for view in (*step.reads, *step.writes)]
    assert max(sizes) <= t * c
    with config.using(cpu_threads=1):
        program = backend.compile(graph, frozenset(), None)
    assert program.arena_bytes < 4 * t * t


def test_operands_that_do_not_fit():
    q, k, v = (Type(F32, x.shape) for x in operands(2, 5, 4, 8, 7, 2))
    attrs = dict(scale=1.0, window=(UNLIMITED, 0), bias=False)

    def refused(error, *types, **changes):
        with pytest.raises(Exception, match=f"attention: {error}"):
            attention.result_types(types, attrs | changes)

    refused("query, key and value have four axes", q, k, Type(F32, (2, 7, 8)))
    refused("query, key and value do not fit", q, Type(F32, (2, 7, 3, 8)), Type(F32, (2, 7, 3, 8)))
    refused("query, key and value are floats", q, k, Type(np.float64, v.shape))
    refused(r"\(2, 1, 5, 8\) does not spread", q, k, v, Type(bool, (2, 1, 5, 8)))
    refused("bias is of the dtype of sums", q, k, v, Type(bool, (2, 1, 5, 7)), bias=True)


def test_more_masks_than_the_library_takes():
    xs = operands(1, 3, 1, 4, 5, 1)
    masks = [np.random.default_rng(i).random((1, 1, 3, 5)) < 0.8 for i in range(4)]
    types = [Type(x.dtype, x.shape) for x in (*xs, *masks)]
    graph = trace_graph(types, lambda *ys: attention(
        *ys, scale=0.5, window=(UNLIMITED, UNLIMITED), bias=False))
    out, *_ = backend.compile(graph, frozenset(), None).run([*xs, *masks])
    close(out, expected(*xs, masks=masks, scale=0.5), 1e-6)


def test_the_backward_operation_means_the_same_in_numpy():
    xs, ct = operands(2, 4, 4, 3, 6, 2), normal((2, 4, 4, 3), 8)
    attrs = dict(scale=0.6, window=(UNLIMITED, 1), bias=False)
    facts = computed(*xs, window=(UNLIMITED, 1), scale=0.6)
    types = [Type(x.dtype, x.shape) for x in (*xs, *facts, ct)]
    graph = trace_graph(types, lambda *ys: attention_backward(*ys, **attrs))
    found = backend.compile(graph, frozenset(), None).run([*xs, *facts, ct])
    for x, y in zip(found, interpret(graph, [*xs, *facts, ct])):
        close(x, y, 1e-6)

"""jit(bucket=...): padded arrays and shared programs give what the function gives."""

import hypothesis.strategies as st
import jax
import jax.numpy as theirs
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings

import arraylib
import arraylib.numpy as jnp
from arraylib import config, debug, jit, lax, memory, nn
from arraylib.errors import ArgumentError, ArraylibError, CompileLimitError

POW2 = {0: "pow2"}


def data(shape, dtype="float32", seed=0):
    found = np.random.default_rng(seed + sum(shape)).normal(size=shape) * 3
    return np.abs(found).astype(dtype) if np.dtype(dtype).kind == "u" else found.astype(dtype)


def agrees(f, calls, programs=None, tolerance=1e-5, **bucket):
    """Whether a bucketed function gives what the function itself gives, operation by operation."""
    g = jit(f, bucket=bucket)
    for args in calls * 2:
        found = arraylib.tree.leaves(g(*args))
        wanted = arraylib.tree.leaves(f(*map(jnp.asarray, args)))
        for x, y in zip(found, wanted, strict=True):
            assert (x.shape, x.dtype) == (y.shape, y.dtype)
            np.testing.assert_allclose(
                np.asarray(x, "float64"), np.asarray(y, "float64"), tolerance, tolerance)
    if programs:
        assert len(g.compiles()) == programs, str(g.compiles())
    return g


ROWS = [(data((n, 3)),) for n in (5, 6, 7, 8)]

# One program each for 5 to 8 rows.
SHARED = {
    "elementwise": lambda x: (x * 2 + 1, jnp.where(x > 0, x, -x), x.astype("int32") // 2),
    "broadcast": lambda x: x + jnp.ones((1, 3)) * x[:, :1],
    "sums": lambda x: (x.sum(), x.sum(0), x.sum(1), x.mean(0), x.var(0), x.std()),
    "not numbers behind the end": lambda x: ((1 / x).sum(0), jnp.log(abs(x)).max(0),
                                             (1 / x).T @ (1 / x)),
    "extremes": lambda x: (x.max(0), x.min(), (-abs(x)).max(0), x.argmax(0), x.argmin(0),
                           x.astype("int32").max(0), abs(x).astype("uint8").argmax(0)),
    "products": lambda x: (x.prod(0), x.T @ x, x @ x.T, jnp.einsum("ij,kj->ik", x, x)),
    "logic": lambda x: ((x > -9).all(0), (x > 9).any(0), (x > 0).sum(), (x > 9).argmax(0)),
    "running": lambda x: (x.cumsum(0), x[:, ::-1].cumsum(1), jnp.cumprod(x, 0),
                          lax.cumsum(x, axis=0, reverse=True), lax.cummax(x, axis=0, reverse=True)),
    "softmax": lambda x: (nn.softmax(x, 0), nn.log_softmax(x, 1), nn.logsumexp(x, 0)),
    "layouts": lambda x: (x.T, x.reshape(-1), x.reshape(-1, 3, 1), x[None], x[:, None, :],
                          x.reshape(-1).reshape(x.shape), x.ravel().mean()),
    "parts": lambda x: (x[0], x[:2], x[:, 1:], x[:, ::-1], jnp.concatenate([x, x], 1),
                        jnp.stack([x, x], 1), jnp.pad(x, ((0, 0), (1, 2))), jnp.sort(x, 1)),
    "sizes": lambda x: (jnp.arange(x.shape[0]), jnp.ones(x.shape[0]), x / x.shape[0],
                        x * len(x) ** 0.5, jnp.zeros_like(x), x + np.arange(len(x))[:, None],
                        jnp.full(3, len(x))),
    "nested": lambda x: jit(lambda y: (y - y.mean(0), jit(jnp.sum)(y)))(x),
    "gradient": lambda x: arraylib.grad(lambda w: (jnp.tanh(x @ w) ** 2).mean())(jnp.ones((3, 2))),
    "batch": lambda x: arraylib.vmap(lambda row: (row / row.sum(), row @ row))(x),
    "random": lambda x: x + arraylib.random.normal(arraylib.random.key(0), x.shape),
    "branch": lambda x: x * lax.cond(jnp.ones(()) > 0, lambda: 2.0, lambda: 3.0),
}


@pytest.mark.parametrize("name", SHARED)
def test_sizes_of_a_bucket_share_a_program(name):
    agrees(SHARED[name], ROWS, 1, x=POW2)


DTYPES = ["bool", "int8", "uint8", "int64", "uint32", "float16", ml_dtypes.bfloat16, "float64",
          "complex64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype):
    def f(x):
        numbers = x if x.dtype != bool else x.astype("int32")
        ordered = () if "complex" in str(x.dtype) else (x.max(0), x.argmin(0))
        return x, x.sum(0), numbers.T @ numbers, numbers.prod(0), ordered

    g = jit(f, bucket={"x": POW2})
    for n in (5, 7):
        x = jnp.asarray(data((n, 3)).clip(-3, 3).astype(dtype), dtype=dtype)
        for found, wanted in zip(arraylib.tree.leaves(g(x)), arraylib.tree.leaves(f(x))):
            assert found.dtype == wanted.dtype
            np.testing.assert_allclose(np.asarray(found, "complex128"),
                                       np.asarray(wanted, "complex128"), 2e-2, 1e-6)
    assert len(g.compiles()) == 1


def test_special_numbers_stay_what_they_are():
    x = np.array([[-0.0, np.inf, np.nan], [-0.0, 1, 2], [-0.0, -np.inf, 3]], np.float32)

    def f(x):
        return x.sum(0), x.max(0), x.argmax(0), x.cumsum(0), x * 2, x.prod(0), (x[:, :1] * 1).sum(0)

    for a, b in zip(jit(f, bucket={"x": POW2})(x), jit(f)(x)):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(np.signbit(a), np.signbit(b))


def test_like_jax():
    def loss(xp, log_softmax):
        def f(w, tokens, labels):
            logits = xp.tanh(w["table"][tokens]) @ w["out"]
            chosen = xp.take_along_axis(log_softmax(logits), labels[..., None], axis=-1)
            return -chosen.mean()
        return f

    w = {"table": data((11, 4)), "out": data((4, 9))}
    ours = jit(arraylib.grad(loss(jnp, nn.log_softmax)), bucket={"tokens": POW2, "labels": POW2})
    reference = jax.grad(loss(theirs, jax.nn.log_softmax))
    rng = np.random.default_rng(0)
    for rows in (5, 6, 8):
        tokens, labels = (rng.integers(0, n, (rows, 6)).astype("int32") for n in (11, 9))
        found, wanted = ours(w, tokens, labels), reference(w, tokens, labels)
        for name in w:
            np.testing.assert_allclose(found[name], wanted[name], 1e-4, 1e-6)


def test_batches_of_images():
    def f(w, x, stride=1):
        y = lax.conv_general_dilated(x, w, (stride, stride), "SAME",
                                     dimension_numbers=("NHWC", "HWIO", "NHWC"))
        y = lax.reduce_window(y, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        return (jnp.tanh(y) ** 2).mean(), y

    calls = [(data((3, 3, 2, 4)), data((n, 6, 6, 2))) for n in (5, 7)]
    agrees(lambda w, x: (f(w, x, 2)[1], arraylib.grad(lambda *a: f(*a)[0], (0, 1))(w, x)), calls,
           1, x=POW2)
    with pytest.raises(ArgumentError, match="convolution .*axis 1 of operand 0 is padded"):
        jit(f, bucket={"x": {1: "pow2"}})(*calls[0])
    with pytest.raises(ArgumentError, match="reduce_window .*windows go along axis 0"):
        jit(lambda x: lax.reduce_window(x, 0.0, lax.add, (2,), (1,), "SAME"),
            bucket={"x": POW2})(jnp.ones(5))


# -- which sizes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "programs"), [
    ("pow2", 4), (10, 2), ((6, 20), 2), (lambda n: n + n % 2, 6)])
def test_how_sizes_are_rounded_up(kind, programs):
    agrees(lambda x: x.sum(0), [(data((n, 2)),) for n in range(2, 13)], programs, x={0: kind})


def test_sizes_0_and_1():
    agrees(lambda x: (x + jnp.ones((1, 3)), x.sum(0)), [(data((n, 3)),) for n in (0, 1, 2, 3)],
           x={-2: 8})
    agrees(lambda x, y: x + y, [(data((1, 3)), data((4, 3))), (data((4, 3)), data((4, 3)))],
           x=POW2, y=POW2)
    agrees(lambda x: x * 2, [(data((5, 0)),), (data((6, 0)),)], x=POW2)


def test_two_sizes_that_vary_alone():
    f = agrees(lambda x, y: (x @ y.T, x.sum(0) + y.mean(0), (x @ y.T).reshape(-1, 1, y.shape[0])),
               [(data((n, 2)), data((m, 2))) for n, m in ((5, 3), (6, 4), (7, 3), (8, 4))], 1,
               x=POW2, y=POW2)
    f(data((4, 2)), data((4, 2)))  # one size, not two: a program of its own
    assert len(f.compiles()) == 2
    agrees(lambda x: (x.sum(), x.T, x.mean(1)), [(data((n, m)),) for n, m in ((5, 3), (5, 4))],
           1, x={0: "pow2", 1: "pow2"})


def test_a_size_that_equals_another_by_chance():
    calls = [(data((n, 4)),) for n in (3, 4)]
    agrees(lambda x: (x @ jnp.ones((4, 4)), x.reshape(-1, 4), x + jnp.arange(4)), calls, 1, x=POW2)
    agrees(lambda x: (x[:, 0] * 2, jnp.ones(4) * 2), calls, 1, x=POW2)


def test_containers_keywords_and_static_arguments():
    @jit(static_argnames="scale", bucket={"batch": {0: 8}})
    def f(params, *, batch, scale=2):
        return {"loss": (batch["x"] @ params).sum(), "y": [batch["y"] * scale, None]}

    for n in (3, 5, 8):
        batch = {"x": jnp.ones((n, 2)), "y": jnp.arange(n)}
        found = f(jnp.ones(2), batch=batch)
        assert found["loss"].item() == 2 * n
        assert found["y"][0].tolist() == (2 * np.arange(n)).tolist()
    assert len(f.compiles()) == 1
    assert f(jnp.ones(2), batch=batch, scale=3)["y"][0].tolist()[1] == 3
    assert [change.kind for change in f.compiles()[1].changes] == ["static value"]


def test_captured_arrays_and_donated_ones():
    table = jnp.arange(3.0)
    f = jit(lambda x: x + table, bucket={"x": POW2})
    assert f(jnp.ones((2, 3)))[1].tolist() == [1, 2, 3]
    with pytest.raises(ArgumentError, match="donated arguments have no memory to give"):
        jit(lambda x: x, donate_argnums=0, bucket={"x": POW2})


def test_inside_other_transforms_sizes_are_what_they_are():
    f = jit(lambda x: (x ** 2).mean(), bucket={"x": POW2})
    x = jnp.arange(5.0)
    np.testing.assert_allclose(arraylib.grad(f)(x), 2 * x / 5)
    assert jit(f)(x).item() == f(x).item() == 6 and f.lower(x).graph.input_types == (x.type,)


def test_checks_see_no_padding():
    def f(x):
        debug.check(x.sum() > 0, "sum is {}", x.sum())
        return (1 / x).sum()

    g = jit(f, bucket={"x": POW2})
    assert g(jnp.ones(5)).item() == 5
    with pytest.raises(ArraylibError, match="sum is -3"):
        g(-jnp.ones(3))
    with config.using(debug_nans=True):
        assert jit(lambda x: (x / x).sum(), bucket={"x": POW2})(jnp.ones(5)).item() == 5


def test_constants_that_follow_the_size_otherwise():
    f = agrees(lambda x: x * (len(x) // 3) + (10 if len(x) > 6 else 20), ROWS, x=POW2)
    assert 1 < len(f.compiles()) <= 4
    assert "its sizes lead to another program" in str(f.compiles())


def test_the_limit_counts_programs():
    f = jit(lambda x: x + 1, bucket={"x": POW2}, max_compiles=1)
    for n in (5, 6, 7, 8):
        f(jnp.ones(n))
    with pytest.raises(CompileLimitError, match=r"f32\[16\] now, f32\[8\] before\n.*larger bu"):
        f(jnp.ones(9))
    f.clear_cache()
    assert f(jnp.ones(9)).shape == (9,)


def test_a_budget_holds_for_the_padded_program():
    f = jit(lambda x: jnp.sort(x, 1).sum(), bucket={"x": POW2}, memory_budget=1 << 20)
    assert f(jnp.ones((5, 4))).item() == 20
    with pytest.raises(MemoryError, match="budget"):
        f(jnp.ones((60000, 4)))


def test_what_cannot_fit_is_refused_at_every_call():
    f = jit(lambda x: jnp.sort(x, 0).sum(), bucket={"x": {1: 8}})
    x = jnp.ones((4000, 700))
    assert f(x).item() == 2800000
    memory.trim()
    with config.using(memory_limit=memory.stats().mapped + 2**20):
        for _ in range(2):
            with pytest.raises(MemoryError, match="at the peak in sort"):
                f(x)


# -- refusals --------------------------------------------------------------------------------------

REFUSED = {
    "reverse": (lambda x: x[::-1], "reverse .*axis 0 of operand 0 is padded"),
    "concatenate": (lambda x: jnp.concatenate([x, x]), "concatenate .*is padded"),
    "sort": (lambda x: jnp.sort(x, 0), "sort .*is padded"),
    "slice": (lambda x: x[1:], "slice .*(takes a part|no multiple)"),
    "last": (lambda x: x[-1], "slice .*varies with the sizes"),
    "merge": (lambda x: x.T.reshape(-1), "reshape .*merged with an axis before it"),
    "scan": (lambda x: lax.scan(lambda c, row: (c + row, row), x[0], x), "scan .*no rule"),
    "another": (lambda x: x + 1 if len(x) % 2 else x * 2, "for other sizes the function is"),
    "kept": (lambda x: x + jnp.ones((6, 3)), "cannot be traced for other sizes: add"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_see_the_padding_is_refused(name):
    function, message = REFUSED[name]
    f = jit(function, bucket={"x": POW2})
    for _ in range(2):
        with pytest.raises(ArgumentError, match=f"jit\\(bucket=...\\): .*{message}") as caught:
            f(data((6, 3)))
    assert "try: " in str(caught.value) and "test_bucket.py" in str(caught.value)
    assert f.compiles() == []
    f(data((1, 3)))


@pytest.mark.parametrize(("bucket", "message"), [
    ({"y": POW2}, "f has no parameter 'y'"), ("pow2", "bucket='pow2'"),
    ({"x": {0: "cube"}}, "'cube' is no way"), ({"x": {0: (8, 4)}}, r"\(8, 4\) is no way"),
    ({"x": {0: 0}}, "0 is no way"), ({"x": {2: 8}}, "argument 'x' of f has no axis 2"),
    ({"x": {0: (2, 4)}}, "no bucket for size 6 of argument 'x' of f"),
    ({"x": {0: lambda n: n - 1}}, "no bucket for size 6 .*, but 5")])
def test_buckets_that_cannot_be_meant(bucket, message):
    def f(x):
        return x

    with pytest.raises(ArgumentError, match=message):
        jit(f, bucket=bucket)(data((6, 3)))


# -- random programs -------------------------------------------------------------------------------

STEPS = [
    lambda x: jnp.tanh(x), lambda x: 1 / (x + 0.5), lambda x: x - x.mean(0), lambda x: x * len(x),
    lambda x: x / (1 + abs(x).max(0)), lambda x: nn.softmax(x, 0), lambda x: nn.softmax(x, 1),
    lambda x: x @ jnp.ones((x.shape[1], 2)), lambda x: (x @ x.T) @ x / len(x),
    lambda x: x.reshape(-1, 1).reshape(x.shape), lambda x: jnp.tanh(x).cumsum(0),
    lambda x: jnp.concatenate([x, x * 2], 1), lambda x: x[:, :1] + x, lambda x: jnp.sort(x, 1),
    lambda x: jnp.where(x > x.mean(), x, 0), lambda x: x + jnp.arange(len(x))[:, None] / 8,
    lambda x: x.T.reshape(x.shape[1], x.shape[0]).T, lambda x: x * (x == x.max(0)),
]
ENDS = [lambda x: x, lambda x: x.sum(), lambda x: x.mean(0), lambda x: x.T @ x,
        lambda x: (x.argmax(0), x.min(0)), lambda x: x.reshape(-1), lambda x: x[0]]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(STEPS), max_size=4), st.sampled_from(ENDS),
       st.lists(st.integers(0, 17), min_size=1, max_size=2), st.sampled_from(["pow2", 6]))
def test_random_programs(steps, end, sizes, kind):
    def f(x):
        for step in steps:
            x = step(x)
        return end(x)

    agrees(f, [(data((n, 3)),) for n in sizes if n], tolerance=2e-4, x={0: kind})

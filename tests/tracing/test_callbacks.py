"""Python functions called by programs: what they see, how often, in which order."""

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import debug, grad, io_callback, jit, lax, pure_callback, vmap
from arraylib.config import config
from arraylib.errors import ArgumentError, DtypeError, ShapeError, TraceError

x = jnp.arange(3.0)


def like(shape=(), dtype=jnp.float32):
    return arraylib.ShapeDtypeStruct(shape, dtype)


# -- printing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_print_where_the_program_gets_there(capsys, backend):
    def f(x):
        debug.print("x {} sum {s:.1f}", x, s=x.sum())
        return 2 * x

    with config.using(backend=backend):
        for transformed in (f, jit(f), jit(lambda x: jit(f)(x))):
            assert transformed(x).tolist() == [0, 2, 4]
            assert capsys.readouterr().out == "x [0. 1. 2.] sum 3.0\n"
        jitted = jit(f)
        jitted(x), jitted(x + 1)
        assert capsys.readouterr().out == "x [0. 1. 2.] sum 3.0\nx [1. 2. 3.] sum 6.0\n"


@pytest.mark.parametrize("transform", [grad, lambda f: jit(grad(f)), lambda f: grad(jit(f)),
                                       arraylib.jacfwd, lambda f: grad(grad(f))])
def test_derivatives_print_once(capsys, transform):
    def f(x):
        debug.print("at {}", x)
        return x ** 3

    transform(f)(2.0)
    assert capsys.readouterr().out == "at 2.0\n"


def test_a_batch_prints_each_example(capsys):
    vmap(lambda x, y: debug.print("{} {}", x, y), in_axes=(0, None))(x, 7)
    assert capsys.readouterr().out == "0.0 7\n1.0 7\n2.0 7\n"


@pytest.mark.parametrize("transform", [lambda f: f, jit, lambda f: grad(lambda x: f(x).sum())])
def test_loops_print_every_step(capsys, transform):
    def step(total, x):
        debug.print("{} {}", total, x)
        return total + x, total

    transform(lambda x: lax.scan(step, 0.0, x)[0])(x)
    assert capsys.readouterr().out == "0.0 0.0\n0.0 1.0\n1.0 2.0\n"


def test_only_the_branch_taken_prints(capsys):
    def branch(name):
        return lambda x: (debug.print(name), x)[1]

    choose = jit(lambda x: lax.cond(x > 0, branch("positive"), branch("not"), x))
    choose(1.0), choose(-1.0)
    assert capsys.readouterr().out == "positive\nnot\n"


def test_what_nobody_reads_is_printed(capsys):
    inner = jit(lambda x: (debug.print("inner {}", x), x)[1])
    jit(lambda x: (inner(x), x)[1])(1.0)
    grad(lambda x: (inner(x), x)[1])(1.0)
    assert capsys.readouterr().out == "inner 1.0\n" * 2


def test_one_program_for_one_text():
    f = jit(lambda x: (debug.print("{}", x), x)[1])
    marks = {arraylib.hlo.fingerprint.fingerprint(f.lower(1.0).graph).digest for _ in range(2)}
    again = jit(lambda x: (debug.print("{}", x), x)[1])
    marks.add(arraylib.hlo.fingerprint.fingerprint(again.lower(1.0).graph).digest)
    assert len(marks) == 1


# -- calls -----------------------------------------------------------------------------------------


def test_what_a_callback_gets_may_be_kept():
    kept = []
    f = jit(lambda x: debug.callback(lambda d, k: kept.append((d["x"], k)), {"x": 2 * x}, k=x[1]))
    f(x), f(x + 1)
    assert [(d.tolist(), int(k)) for d, k in kept] == [([0, 2, 4], 1), ([2, 4, 6], 2)]
    assert isinstance(kept[0][0], arraylib.Array)


def test_results_of_pure_callbacks():
    def summary(d, scale=1):
        return {"sum": np.asarray(d["a"]).sum() * scale, "size": (d["a"].size,)}

    def f(x, scale=1):
        return pure_callback(summary, {"sum": like(), "size": (like((), jnp.int32),)}, {"a": x},
                             scale=scale)

    for function in (f, jit(f)):
        found = function(x, 2)
        assert float(found["sum"]) == 6 and int(found["size"][0]) == 3
        assert found["size"][0].dtype == "int32"


def test_a_callback_may_call_programs():
    double = jit(lambda x: 2 * x)
    f = jit(lambda x: pure_callback(lambda x: jnp.sin(double(x)), like((3,)), x) + 1)
    np.testing.assert_allclose(np.asarray(f(x)), np.sin(2 * np.arange(3)) + 1, 1e-6)


@pytest.mark.parametrize("method, shapes", [
    ("sequential", [((), ())] * 4), ("broadcast_all", [((4,), (4,))]),
    ("expand_dims", [((4,), (1,))])])
def test_methods_of_batching(method, shapes):
    seen = []

    def add(x, y):
        seen.append((x.shape, y.shape))
        return x + y

    f = vmap(lambda x, y: pure_callback(add, like(), x, y, vmap_method=method), in_axes=(0, None))
    assert f(jnp.arange(4.0), 10.0).tolist() == [10, 11, 12, 13]
    assert seen == shapes


def test_effects_keep_their_order():
    log = []

    def note(name, result=None):
        return lambda *xs: (log.append(name), result)[1]

    @jit
    def f(x):
        y = jnp.sin(x)
        debug.callback(note("first"), x)
        z = io_callback(note("second", np.ones(3, np.float32)), like((3,)), x)
        total = lax.fori_loop(0, 2, lambda i, s: (debug.callback(note("third"), i), s + 1.0)[1], y)
        debug.callback(note("fourth"))
        return y + z, total

    f(x), f(x)
    assert log == ["first", "second", "third", "third", "fourth"] * 2


def test_counting():
    count = iter(range(10))
    f = jit(lambda: [io_callback(lambda: next(count), like((), jnp.int32)) for _ in range(3)])
    assert [int(n) for n in f()] == [0, 1, 2] and int(f()[0]) == 3
    numbers = vmap(lambda x: io_callback(lambda x: next(count), like((), jnp.int32), x))(x)
    assert numbers.tolist() == [6, 7, 8]


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [lambda f: f, jit])
def test_exceptions_come_through(transform):
    with pytest.raises(ZeroDivisionError):
        transform(lambda x: pure_callback(lambda x: 1 / 0, like(), x))(1.0)


@pytest.mark.parametrize("function, kind, message", [
    (lambda x: np.ones(2), ShapeError, r"returned shape \(2,\), but \(\) is promised"),
    (lambda x: (1.0, 2.0), ArgumentError, r"returned \(\*, \*\), but \* is promised"),
    (lambda x: 1j, DtypeError, "returned complex128, but float32 is promised")])
def test_what_is_not_as_promised(function, kind, message):
    for transform in (lambda f: f, jit):
        with pytest.raises(kind, match=message):
            transform(lambda x: pure_callback(function, like(), x))(1.0)


def test_what_is_not_known():
    def f(x):
        return pure_callback(np.sin, like(), x)

    with pytest.raises(TraceError, match="the derivative of a Python function is not known"):
        grad(f)(1.0)
    with pytest.raises(TraceError, match="vmap does not know how this function meets a batch"):
        vmap(f)(x)
    with pytest.raises(ArgumentError, match="vmap_method='quickly'"):
        pure_callback(np.sin, like(), x, vmap_method="quickly")
    assert grad(lambda x: x * f(lax.stop_gradient(x)))(1.0) == pytest.approx(np.sin(1))


def test_logging(caplog):
    with caplog.at_level("INFO", "arraylib.debug"):
        jit(lambda x: debug.log("x is {} {y:.1f}", x, y=x / 2))(3)
    assert [record.getMessage() for record in caplog.records] == ["x is 3 1.5"]

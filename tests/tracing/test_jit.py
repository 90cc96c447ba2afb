"""jit: signatures, containers, static and donated arguments, nesting, and what it remembers."""

import threading
from functools import partial

import numpy as np
import pytest

from arraylib import dtypes as dt, hlo
from arraylib.array import Array
from arraylib.config import config
from arraylib.errors import ArgumentError, DonatedError, DonationError, TraceError
from arraylib.hlo.ops import elementwise as ew, structured
from arraylib.tracing.core import ShapeDtypeStruct, trace
from arraylib.tracing.jit import jit

X, Y = Array([1.0, 2.0, 3.0]), Array([10.0, 20.0, 30.0])


class Counted:
    """A function that knows how often it was traced."""

    def __init__(self, function):
        self.function, self.count = function, 0

    def __call__(self, *args, **kwargs):
        self.count += 1
        return self.function(*args, **kwargs)


def test_traced_once_per_signature():
    add = Counted(ew.add)
    f = jit(add)
    for _ in range(3):
        assert f(X, Y).tolist() == [11, 22, 33]
    assert add.count == 1
    f(Array([1]), Array([2]))
    f(Array([1, 2]), Array([3, 4]))
    assert add.count == 3
    f(np.ones(3, np.float32), Y)  # NumPy data has the same types
    assert add.count == 3
    assert [c.signature for c in f.compiles()] == [
        f"Counted(0: {t}, 1: {t})" for t in ("f32[3]", "i32[1]", "i32[2]")]


def test_containers():
    f = jit(lambda p, *, scale: {"sum": ew.add(p["a"], p["b"][0]), "rest": (p["b"], None, scale)})
    for _ in range(2):
        found = f({"b": [Y], "a": X}, scale=X)
        assert found["sum"].tolist() == [11, 22, 33]
        assert found["rest"][0][0].tolist() == Y.tolist() and found["rest"][1] is None
        assert found["rest"][2].tolist() == X.tolist()


def test_calls_unlike_the_one_before():
    """Each call changes what the next is compared with: types, containers, classes of leaves."""
    twice = Counted(lambda tree: {"out": [ew.add(tree[k], tree[k]) for k in sorted(tree)]})
    f, number, short = jit(twice), Array(2.0), Array([4.0])
    calls = [({"a": X}, [[2, 4, 6]]), ({"a": short}, [[8]]), ({"b": X}, [[2, 4, 6]]),
             ({"b": X, "a": number}, [4, [2, 4, 6]]), ({"a": number, "b": X}, [4, [2, 4, 6]]),
             ({"a": 2.0, "b": np.asarray(X)}, [4, [2, 4, 6]])]
    for given, wanted in calls * 2 + [call for call in calls for _ in range(2)]:
        assert [x.tolist() for x in f(given)["out"]] == wanted
    assert twice.count == 5  # a number is weak, and an array made of one is not
    with pytest.raises(TypeError):  # a container where there was a leaf
        f({"a": [X]})


def test_arrays_that_numpy_made_or_nobody_has_any_more():
    f = jit(ew.add)
    for _ in range(3):
        assert f(Array([1.0, 2.0, 3.0]), ew.add(X, X)).tolist() == [3, 6, 9]
    gone = Array([1.0, 2.0, 3.0])
    gone.delete()
    for _ in range(2):
        with pytest.raises(DonatedError):
            f(gone, X)
    assert f(X, X).tolist() == [2, 4, 6]


def test_numbers_and_numpy_data():
    f = jit(lambda x, y: (x, y))
    for _ in range(2):
        x, y = f(2, np.float64(1.5))
        assert (x.dtype, y.dtype) == (dt.int32, dt.float32)
        assert (x.item(), y.item()) == (2, 1.5)


def test_results_of_no_array_and_no_result():
    assert jit(lambda x: None)(X) is None
    assert jit(lambda: ())() == ()
    assert jit(lambda x: 3)(X).item() == 3
    assert jit(lambda x: np.arange(2.0))(X).tolist() == [0, 1]


def test_captured_arrays_are_inputs():
    captured = Array(np.arange(3.0))
    f = jit(lambda x: ew.add(x, captured))
    assert f(X).tolist() == [1, 3, 5]
    assert f(X).tolist() == [1, 3, 5]
    assert f.lower(X).graph.input_types == (X.type, captured.type)
    captured.delete()
    with pytest.raises(DonatedError):
        f(X)


# -- static arguments -----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [
    {"static_argnums": 1}, {"static_argnames": "double"}, {"static_argnums": (-1,)}])
def test_static_arguments_by_number_and_name(options):
    body = Counted(lambda x, double: ew.add(x, x) if double else x)
    f = jit(lambda x, double: body(x, double), **options)
    for _ in range(2):
        assert f(X, True).tolist() == [2, 4, 6]
        assert f(X, False).tolist() == [1, 2, 3]
        assert f(X, double=False).tolist() == [1, 2, 3]
    assert body.count == 3


def test_a_static_nan_is_compiled_for_once():
    f = jit(lambda x, n: x * n, static_argnums=1)
    for nan in (float("nan"), np.nan, float("nan")):
        assert np.isnan(np.asarray(f(X, nan))).all()
    assert len(f.compiles()) == 1


def test_equal_static_values_of_different_classes_are_different():
    f = jit(lambda x, n: x if isinstance(n, bool) else ew.negate(x), static_argnums=1)
    assert f(X, True).tolist() == X.tolist()
    assert f(X, 1).tolist() == [-1, -2, -3]


@pytest.mark.parametrize("values", [
    (0.0, -0.0), ((2,), (2.0,), (True,)), ((1, (0.0,)), (1, (-0.0,)), (1.0, (0.0,)), (1, (0,))),
    (0j, complex(-0.0, 0.0), complex(0.0, -0.0))], ids=str)
def test_equal_static_values_that_are_not_the_same_are_different(values):
    seen = []
    f = jit(lambda x, setting: seen.append(repr(setting)) or x, static_argnums=1)
    for value in values * 2:
        f(X, value)
    assert seen == [repr(value) for value in values]
    assert len(f.compiles()) == len(values) and "static value" in str(f.compiles())


def test_a_static_argument_has_to_be_hashable():
    with pytest.raises(ArgumentError, match=r"static argument 'sizes' of f is a list.*\n(.*\n)*.*"
                                            r"pass a tuple"):
        def f(x, sizes):
            return x
        jit(f, static_argnames="sizes")(X, sizes=[1, 2])


def test_an_argument_that_is_no_array_is_named():
    def f(x, options):
        return x
    with pytest.raises(ArgumentError, match=r"argument 'options'\['mode'\] of f is a str"):
        jit(f)(X, {"mode": "fast"})


def test_methods():
    class Model:
        def __init__(self, scale):
            self.scale = scale

        @jit
        def without(x):
            return ew.negate(x)

        def apply(self, x):
            return ew.multiply(x, Array([self.scale] * 3))

        fast = jit(apply, static_argnums=0)

    model = Model(2.0)
    assert model.fast(X).tolist() == [2, 4, 6]
    assert Model.without(X).tolist() == [-1, -2, -3]
    assert Model(3.0).fast(X).tolist() == [3, 6, 9]


# -- donation -------------------------------------------------------------------------------------


def computed(values):
    """An array in memory of the library's own."""
    return jit(lambda x: x)(Array(np.array(values, np.float32)))


def test_a_donated_array_gives_its_memory_and_is_gone():
    f = jit(lambda x, y: ew.add(y, ew.sine(x)), donate_argnums=0)
    x = computed(np.arange(5000))
    place = x.address
    result = f(x, x.__copy__())
    assert result.address == place
    np.testing.assert_allclose(result, np.arange(5000) + np.sin(np.arange(5000)), atol=1e-3)
    with pytest.raises(DonatedError, match=r"donated as argument 'x' of <lambda> at test_jit.py"):
        ew.negate(x)


def test_memory_that_numpy_sees_is_copied_first():
    f = jit(lambda x: ew.negate(x), donate_argnums=0)
    data = np.arange(5000, dtype=np.float32)
    shared = Array.from_numpy(data)
    exported = computed(data)
    view = np.asarray(exported)
    for array in (shared, exported):
        np.testing.assert_array_equal(f(array), -np.arange(5000))
        assert array.is_deleted()
    np.testing.assert_array_equal(data, np.arange(5000))
    np.testing.assert_array_equal(view, np.arange(5000))


def test_the_same_array_may_not_be_passed_beside_its_donation():
    f = jit(lambda params, y: ew.add(params["w"], y), donate_argnames="params")
    with pytest.raises(DonatedError, match=r"argument 'y' of <lambda> is the same array as "
                                           r"argument 'params'\['w'\]"):
        f({"w": X}, X)
    assert not X.is_deleted()


def test_parts_of_one_block_are_donated_one_by_one():
    pair = jit(lambda x: (x, ew.negate(x)))
    f = jit(lambda x: ew.multiply(x, x), donate_argnums=0)
    for _ in range(3):
        a, b = pair(X)
        assert f(a).tolist() == [1, 4, 9]
        assert b.tolist() == [-1, -2, -3]


def test_strict_donations():
    @partial(jit, donate_argnums=(0, 1), donate="strict")
    def update(params, scale):
        return ew.multiply(params["w"], params["w"])

    big, small = computed(np.ones(3000)), computed(np.ones(10))
    for _ in range(2):
        with pytest.raises(DonationError, match=(
                r"update: donated, but not used\n.*test_jit.py(.|\n)*argument 'scale' of update, "
                r"f32\[10\]: no result has its size\n  try: donate what")):
            update({"w": big}, small)
    with pytest.raises(DonationError, match=r"\['[vw]'\] of update, f32\[3000\]: other donated"):
        update({"w": big, "v": computed(np.ones(3000))}, computed([]))
    assert not big.is_deleted()
    assert update({"w": big}, computed([])).shape == (3000,)
    backward = jit(lambda x: structured.transpose(x, permutation=(1, 0)), donate_argnums=0,
                   donate="strict")
    with pytest.raises(DonationError, match=r"argument 'x' .*: it is still read when the results"):
        backward(computed(np.ones((100, 100))))
    with pytest.raises(ArgumentError, match="donate='maybe'"):
        jit(lambda x: x, donate="maybe")


def test_static_and_donated_is_a_contradiction():
    with pytest.raises(ArgumentError, match="static and donated"):
        jit(lambda x: x, static_argnums=0, donate_argnames="x")


def test_loops_of_donated_updates():
    step = jit(lambda state: {"x": ew.add(state["x"], state["v"]), "v": state["v"]},
               donate_argnums=0)
    state = {"x": computed(np.zeros(3000)), "v": computed(np.ones(3000))}
    for _ in range(10):
        state = step(state)
    np.testing.assert_array_equal(state["x"], np.full(3000, 10))
    np.testing.assert_array_equal(state["v"], np.ones(3000))


# -- nesting --------------------------------------------------------------------------------------


def test_inside_a_trace_it_is_a_call():
    inner = Counted(lambda x: ew.negate(x))
    f = jit(inner)
    outer = jit(lambda x: f(ew.add(f(x), x)))
    assert outer(X).tolist() == [0, 0, 0]
    assert inner.count == 1
    graph, _ = trace(lambda x: [f(x)], [X.type])
    assert [node.op.name for node in graph.nodes] == ["call"]
    assert inner.count == 1


def test_inline_emits_the_operations():
    f = jit(lambda x: ew.negate(x), inline=True)
    graph, _ = trace(lambda x: [f(x)], [X.type])
    assert [node.op.name for node in graph.nodes] == ["negate"]


def test_an_inner_function_may_capture_the_outer_ones_values():
    def outer(x, y):
        inner = jit(lambda z: ew.add(x, z))
        return inner(y), inner(x)
    for _ in range(2):
        a, b = jit(outer)(X, Y)
        assert a.tolist() == [11, 22, 33] and b.tolist() == [2, 4, 6]


def test_a_captured_tracer_is_looked_up_at_every_trace():
    shared = {}
    inner = jit(lambda z: ew.add(shared["x"], z))

    def outer(x, y):
        shared["x"] = x
        return inner(y)
    assert jit(outer)(X, Y).tolist() == [11, 22, 33]
    assert jit(lambda x, y: outer(y, y))(X, Y).tolist() == [20, 40, 60]


def test_a_leaked_tracer_is_refused():
    kept = []
    jit(lambda x: kept.append(x) or x)(X)
    with pytest.raises(TraceError, match="leaked value"):
        jit(lambda x: x)(kept[0])
    with pytest.raises(TraceError, match="leaked value"):
        ew.negate(kept[0])


def test_an_error_while_tracing_leaves_nothing_behind():
    def f(x):
        raise RuntimeError("no")
    g = jit(f)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no"):
            g(X)
    assert g.compiles() == []


# -- settings, stages, threads --------------------------------------------------------------------


def test_settings_have_their_own_programs():
    body = Counted(lambda x: ew.add(x, x))
    f = jit(body)
    f(X)
    with config.using(backend="reference"):
        assert f(X).tolist() == [2, 4, 6]
        f(X)
    f(X)
    assert body.count == 2
    with config.using(jit=False):
        f(X)
        f(X)
    assert body.count == 4


def test_clear_cache():
    body = Counted(lambda x: ew.add(x, x))
    f = jit(body)
    f(X)
    f.clear_cache()
    f(X)
    assert body.count == 2


def test_lower_and_compile():
    f = jit(lambda x, n: ew.add(x, x) if n else x, static_argnums=1)
    lowered = f.lower(X, 1)
    assert "stablehlo.add" in lowered.as_text() and "add" in str(lowered)
    assert hlo.parse(lowered.as_text()) == hlo.legalize(lowered.graph)
    assert "test_jit.py" in lowered.as_text(debug_info=True)
    compiled = lowered.compile()
    assert compiled(X, 1).tolist() == [2, 4, 6]
    assert "@program" in compiled.as_text() and "plan(" in compiled.as_text("plan")
    for wrong in ((Array([1]), 1), (X, 2), ((X,), 1)):
        with pytest.raises(ArgumentError, match="other arguments than it was compiled for"):
            compiled(*wrong)
    assert f.eval_shape({"a": X}, 0) == {"a": ShapeDtypeStruct((3,), "float32")}


def test_it_looks_like_the_function():
    @jit
    def documented(x):
        """What it does."""
        return x
    assert documented.__name__ == "documented" and documented.__doc__ == "What it does."
    assert documented.__wrapped__(5) == 5 and "documented" in repr(documented)
    assert jit(static_argnums=1)(lambda x, n: x)(X, 2).tolist() == X.tolist()
    with pytest.raises(ArgumentError, match="an int is not a function"):
        jit(3)


def test_threads():
    f = jit(lambda x: (ew.add(x, x), ew.negate(x)))
    wrong = []

    def work(number):
        array = Array(np.full(3, number, np.float32))
        for _ in range(200):
            a, b = f(array)
            if a.tolist() != [2 * number] * 3 or b.tolist() != [-number] * 3:
                wrong.append(number)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong

"""Mutable references: what NumPy's arrays do, in every transform, without an effect in a graph."""

import copy
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import arraylib as al
import arraylib.numpy as jnp
from arraylib import lax
from arraylib.errors import ArgumentError, DtypeError, ShapeError, TraceError

X = np.arange(12, dtype=np.float32).reshape(3, 4)
ROWS, COLUMNS = np.array([0, 2, 0]), np.array([1, 3, 1])
INDICES = [..., (), 0, -1, (1, 2), (slice(None), 1), (slice(0, 2), slice(3, None, -2)),
           (ROWS, COLUMNS), (Ellipsis, COLUMNS), (None, 1), X[:, 0] > 3]


@pytest.fixture
def ref():
    return al.new_ref(jnp.array(X))


# -- reads and writes ------------------------------------------------------------------------------


def writes(ref, index):
    """Each kind of write, and what was read in between."""
    seen = [ref[index]]
    ref[index] = 2 * ref[index] + 1
    ref[index] += 3
    seen.append(al.ref.swap(ref, index, jnp.zeros_like(ref[index])))
    al.ref.addupdate(ref, index, 5.0)
    return seen


def writes_of_numpy(array, index):
    seen = [array[index].copy()]
    array[index] = 2 * array[index] + 1
    array[index] += 3
    seen.append(array[index].copy())
    array[index] = 0
    np.add.at(array, index, 5)
    return seen


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_indices_are_numpys(ref, index):
    array = X.copy()
    wanted = writes_of_numpy(array, index)
    for x, y in zip(writes(ref, index), wanted, strict=True):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(ref[...], array)


def test_indices_are_numpys_in_jit():
    refs = [al.new_ref(X) for _ in INDICES]
    arrays = [X.copy() for _ in INDICES]

    @al.jit
    def every(refs):
        static = INDICES[:-1] + [np.flatnonzero(INDICES[-1])]
        return [writes(ref, index) for ref, index in zip(refs, static)]
    found = every(refs)
    for seen, ref, array, index in zip(found, refs, arrays, INDICES, strict=True):
        for x, y in zip(seen, writes_of_numpy(array, index), strict=True):
            np.testing.assert_array_equal(x, y)
        np.testing.assert_array_equal(ref[...], array)


@given(st.lists(st.tuples(st.sampled_from(["set", "add", "read", "loop"]), st.integers(0, 3),
                          st.integers(-3, 3)), min_size=1, max_size=6))
@settings(max_examples=12, deadline=None)
def test_programs_are_numpys(steps):
    def down(ref, number, i, _):
        ref[i] = ref[i + 1] - number

    def program(ref, x):
        for kind, place, number in steps:
            if kind == "set":
                ref[place] = x * number
            elif kind == "add":
                ref[...] += ref[place] + number
            elif kind == "read":
                x = x + ref[place]
            else:
                lax.fori_loop(0, 3, partial(down, ref, number), None)
        return x

    def numpys(array, x):
        for kind, place, number in steps:
            if kind == "set":
                array[place] = x * number
            elif kind == "add":
                array += array[place] + np.float32(number)
            elif kind == "read":
                x = x + array[place]
            else:
                for i in range(3):
                    array[i] = array[i + 1] - number
        return x

    array = np.arange(8, dtype=np.float32).reshape(2, 4)
    rows = array.copy()
    wanted = np.array([numpys(row, np.float32(3)) for row in rows])
    one = al.new_ref(array[0])
    assert program(one, jnp.float32(3)) == wanted[0]
    np.testing.assert_array_equal(one[...], rows[0])
    many = al.new_ref(array)
    np.testing.assert_array_equal(
        al.vmap(program, in_axes=(0, None))(many, jnp.float32(3)), wanted)
    np.testing.assert_array_equal(many[...], rows)


@pytest.mark.parametrize("dtype", [bool, "int8", "uint32", "float64", "bfloat16", "complex64"])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0)])
def test_dtypes_and_small_sizes(dtype, shape):
    ref = al.new_ref(jnp.zeros(shape, dtype))
    al.jit(lambda: al.ref.set(ref, ..., jnp.ones(shape, dtype)))()
    assert (ref.shape, ref.ndim, ref.size) == (shape, len(shape), int(np.prod(shape)))
    assert ref.dtype == jnp.dtype(dtype) and bool(jnp.all(ref[...] == 1))


def test_types_and_texts(ref):
    assert repr(al.new_ref(1.0)) == str(al.new_ref(1.0)) == "Ref(1., dtype=float32)"
    assert str(al.typeof(ref)) == "Ref{f32[3,4]}" and isinstance(ref, al.Ref) and len(ref) == 3
    assert al.tree.leaves({"a": ref}) == [ref]
    empty = al.empty_ref(al.ShapeDtypeStruct((2,), "int32"))
    assert (empty.shape, empty.dtype) == ((2,), np.int32)


# -- arrays stay what they are ---------------------------------------------------------------------


def test_writes_change_no_array():
    x = jnp.ones(1000)
    one, other = al.new_ref(x), al.new_ref(x)

    @al.jit
    def step(one, other):
        one[0] += 1
        other[1] = one[0]
    before = one[...]
    step(one, other)
    middle = one[...]
    step(one, other)
    assert (float(before[0]), float(middle[0]), float(one[0])) == (1, 2, 3)
    assert (float(other[0]), float(other[1]), float(x.sum())) == (1, 3, 1000)


def test_a_ref_stays_when_what_it_was_given_or_gave_is_donated():
    taken = al.jit(lambda x: x + 1, donate_argnums=0)
    x = jnp.zeros(1000)
    ref = al.new_ref(x)
    for held in (lambda: x, lambda: ref[...], lambda: al.vmap(lambda r: r[...])(ref)):
        assert float(taken(held())[0]) == float(ref[0]) + 1 == 1
    y = jnp.ones(1000)
    ref[...] = y
    assert float(taken(y)[0]) == 2 and float(ref[0]) == 1


def test_copies_are_the_ref_itself_and_deep_ones_are_not():
    ref = al.new_ref(jnp.zeros(2))
    same, other = copy.copy(ref), copy.deepcopy(ref)
    ref[0] = 1.0
    assert (same[...].tolist(), other[...].tolist()) == ([1, 0], [0, 0])


def test_what_transforms_keep_of_a_ref_stays():
    step = al.jit(lambda ref: al.ref.addupdate(ref, ..., 1.0))
    ref = al.new_ref(jnp.zeros(4))
    step(ref)
    kept = [al.grad(lambda x: (x * ref[:]).sum())(jnp.zeros(4)), al.vmap(lambda r: r[...])(ref)]
    out, back = al.vjp(lambda r: (r[...] ** 2).sum(), ref)
    step(ref)
    gradient = al.new_ref(jnp.zeros(4))
    back.with_refs(gradient)(1.0)
    assert [x.tolist() for x in kept] == [[1] * 4] * 2 and gradient[...].tolist() == [2] * 4
    assert float(out) == 4 and ref[...].tolist() == [2] * 4


def test_a_ref_is_written_in_place():
    """A part that was read stays what it was, and the memory the ref's own."""
    ref, parts = al.new_ref(jnp.zeros(1000)), []

    @al.jit
    def step(ref):
        ref[3] += 1
    step(ref)
    place = ref.unsafe_buffer_pointer()
    for _ in range(2):
        parts += [ref[3], ref[2:5], ref[ROWS + 3], ref[3:2], np.asarray(ref[3:4])]
        step(ref)
    assert ref.unsafe_buffer_pointer() == place and float(ref[3]) == 3
    assert [np.ravel(x).tolist() for x in parts] == [
        [1], [0, 1, 0], [1, 0, 1], [], [1], [2], [0, 2, 0], [2, 0, 2], [], [2]]


# -- in transforms ---------------------------------------------------------------------------------


def test_refs_of_one_type_share_a_program(ref):
    traced = []

    @al.jit
    def double(ref, scale):
        traced.append(ref)
        ref[...] = ref[...] * scale
        return ref[0, 1]
    other = al.new_ref(jnp.ones((3, 4)))
    assert (float(double(ref, 2)), float(double(other, 3)), float(double(ref, 2))) == (2, 3, 4)
    assert len(traced) == 1 and float(other[2, 2]) == 3


def test_closed_over_in_nested_jit():
    outside = al.new_ref(jnp.zeros(3))

    @al.jit
    def inner(i, x):
        outside[i] += x

    @al.jit
    def outer(x):
        own = al.new_ref(x)

        @al.jit
        def twice():
            own[...] = 2 * own[...]
        inner(0, own[...])
        twice()
        twice()
        inner(1, own[...])
        return al.freeze(own)
    assert float(outer(3.0)) == 12 and float(outer(1.0)) == 4
    assert outside[...].tolist() == [4, 16, 0]


def test_loops_and_branches_write():
    total, last = al.new_ref(0.0), al.new_ref(jnp.zeros(2))

    def body(carry, x):
        total[...] += x
        lax.cond(x > 1, lambda: al.ref.set(last, 0, x), lambda: al.ref.addupdate(last, 1, 1.0))
        return carry + 1, total[...]

    def everything(xs):
        count, sums = lax.scan(body, 0, xs)
        steps = lax.while_loop(lambda n: total[...] < 100, lambda n: (
            al.ref.set(total, ..., 2 * total[...]), n + 1)[1], 0)
        lax.switch(1, [lambda r: None, lambda r: al.ref.addupdate(r, 0, 7.0)], last)
        return count, sums, steps
    for run in (everything, al.jit(everything)):
        total[...], last[...] = 0.0, jnp.zeros(2)
        count, sums, steps = run(jnp.arange(4.0))
        assert (int(count), sums.tolist(), int(steps)) == (4, [0, 1, 3, 6], 5)
        assert float(total[...]) == 192 and last[...].tolist() == [10, 2]


def test_derivatives_of_functions_with_refs_of_their_own():
    def cumulated(x):
        ref = al.new_ref(jnp.zeros(()))
        out = lax.scan(lambda _, v: (None, (al.ref.addupdate(ref, ..., v * v), ref[...])[1]),
                       None, x)[1]
        ref[...] *= 3
        return (out * ref[...]).sum()
    x = np.array([0.5, -1.0, 2.0])

    def plain(x):
        return jnp.sum(jnp.cumsum(x * x) * 3 * jnp.sum(x * x))
    for transform in (al.grad, lambda f: al.jit(al.grad(f)), al.jacfwd, al.hessian):
        np.testing.assert_allclose(transform(cumulated)(x), transform(plain)(x), rtol=1e-5)
    np.testing.assert_allclose(al.vmap(cumulated)(x * np.ones((2, 1))), [plain(x)] * 2, rtol=1e-5)


def test_derivatives_pass_refs_along():
    seen = al.new_ref(jnp.zeros(2))

    def f(x, ref):
        ref[0] = lax.stop_gradient(x) + 1
        al.ref.addupdate(seen, 1, 1.0)
        return x * ref[0]
    for transform in (
            al.grad(f), al.jit(al.grad(f)),
            lambda x, r: al.vjp(lambda x: f(x, r), x)[1](1.0)[0],
            lambda x, r: al.jvp(lambda x: f(x, r), (x,), (1.0,))[1],
            lambda x, r: al.linearize(lambda x: f(x, r), x)[1](1.0)):
        ref = al.new_ref(jnp.zeros(2))
        assert float(transform(2.0, ref)) == 3 and float(ref[0]) == 3
    assert float(seen[1]) == 5


def test_rules_of_derivatives_write():
    @al.custom_vjp
    def stash(ref, x):
        return x
    def backward(ref, g):
        al.ref.addupdate(ref, ..., g)
        return None, g
    stash.defvjp(lambda ref, x: (x, ref), backward)

    def f(x, ref):
        return jnp.sin(stash(ref, 2 * x))
    ref = al.new_ref(0.0)
    for i in range(3):
        al.grad(f)(0.5, ref)
        np.testing.assert_allclose(ref[...], (i + 1) * np.cos(1), rtol=1e-6)
    al.jit(al.grad(f))(0.5, ref)
    np.testing.assert_allclose(ref[...], 4 * np.cos(1), rtol=1e-6)
    with pytest.raises(ArgumentError, match="every example writes to one Ref"):
        al.vmap(al.grad(f), in_axes=(0, None))(jnp.ones(3), ref)
    with pytest.raises(TraceError, match="a derivative writes to one Ref"):
        al.grad(lambda x: al.vmap(lambda x: f(x, ref))(x).sum())(jnp.ones(3))


def test_programs_for_one_signature(ref):
    def f(ref, x):
        ref[0] = ref[1] * x
        return ref[0].sum()
    lowered = al.jit(f).lower(ref, 2.0)
    assert lowered.out_info == al.ShapeDtypeStruct((), jnp.float32)
    assert float(lowered.compile()(ref, 2.0)) == 44 and float(ref[0, 3]) == 14
    assert str(al.make_graph(lambda x: f(ref, x))(2.0)).count("multiply") == 1
    assert float(ref[0, 3]) == 14 and al.eval_shape(lambda: f(ref, 1.0)).shape == ()


# -- mistakes --------------------------------------------------------------------------------------


def frozen():
    ref = al.new_ref(1.0)
    assert float(al.freeze(ref)) == 1 and "frozen" in repr(ref)
    return ref


def leaked():
    kept = []
    al.jit(lambda: kept.append(al.new_ref(1.0)))()
    return kept[0]


MISTAKES = [
    (lambda r: al.jit(lambda r: r)(r), ArgumentError, r"the result is a Ref\{f32\[3,4\]\}"),
    (lambda r: lax.scan(lambda c, _: (c, r), 0, None, 2), ArgumentError, r"result\[1\] is a Ref"),
    (lambda r: al.jit(lambda a, b: None)(r, r), ArgumentError, "passed twice"),
    (lambda r: al.jit(lambda a: r[0] + a[0])(r), ArgumentError, "both passed and closed over"),
    (lambda r: al.vmap(lambda a: r[0, 0] + a[0])(r), ArgumentError, "both passed and closed over"),
    (lambda r: al.jit(lambda a: al.freeze(a))(r), TraceError, "was not made here"),
    (lambda r: al.jit(lambda: al.freeze(r))(), TraceError, "was not made here"),
    (lambda r: frozen()[...], ArgumentError, "used after it was frozen"),
    (lambda r: al.jit(lambda a: a[...])(frozen()), ArgumentError, "used after it was frozen"),
    (lambda r: leaked()[...], TraceError, "traced and has returned"),
    (lambda r: al.vmap(lambda x: al.ref.set(r, 0, x))(X), ArgumentError, "every example writes"),
    (lambda r: al.grad(lambda x: (al.ref.set(r, (0, 0), x), x)[1])(1.0), TraceError,
     "a value that has a derivative is written"),
    (lambda r: al.jvp(lambda x: (al.ref.set(r, (0, 0), x), x)[1], (1.0,), (1.0,)), TraceError,
     "a value that has a derivative is written"),
    (lambda r: al.checkpoint(lambda x: al.ref.set(r, 0, x))(1.0), TraceError, "of the outside"),
    (lambda r: lax.while_loop(lambda x: (al.ref.set(r, 0, 1.0), x < 3)[1], lambda x: x + 1, 0),
     TraceError, "of the outside"),
    (lambda r: al.grad(lambda r: r[0, 0])(r), ArgumentError, "argument 0 is a Ref"),
    (lambda r: jnp.sin(r), TypeError, "is no array"),
    (lambda r: list(r), TypeError, "is no sequence"),
    (lambda r: bool(r), TypeError, "no truth value"),
    (lambda r: al.new_ref(r), ArgumentError, "refs hold no refs"),
    (lambda r: al.ref.set(r, 0, r), ArgumentError, "refs hold no refs"),
    (lambda r: al.ref.set(r, 0, jnp.arange(4)), DtypeError, "int32 is written to a Ref"),
    (lambda r: al.ref.set(al.new_ref(1), ..., 1.5), DtypeError, "float32 is written to a Ref"),
    (lambda r: al.ref.set(r, ..., jnp.ones(3)), ShapeError, r"shape \(3,\) is written"),
    (lambda r: al.ref.get(X), ArgumentError, "not a ref"),
    (lambda r: r[7], IndexError, "out of bounds"),
    (lambda r: lax.scan(lambda c, x: (c, x), (0.0, r), X), ArgumentError, "the carry holds a Ref"),
    (lambda r: lax.map(lambda xs: xs[1], (r, X)), ArgumentError, "xs holds a Ref"),
    (lambda r: al.export.export(lambda: r[...])(), TraceError, "uses a ref of the outside"),
    (lambda r: al.jit(lambda x: x + r[0, 0], bucket={"x": {0: 8}})(X[0]), ArgumentError,
     "uses a ref of the outside"),
]


@pytest.mark.parametrize(("mistake", "error", "message"), MISTAKES)
def test_mistakes(ref, mistake, error, message):
    with pytest.raises(error, match=message):
        mistake(ref)
    np.testing.assert_array_equal(ref[...], X)

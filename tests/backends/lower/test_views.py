"""Views of views, and iteration spaces, against NumPy's strides."""

import numpy as np
import pytest

from arraylib import dtypes as dt
from arraylib.backends.lower.plan import Buffer, View, row_major, whole
from arraylib.backends.lower.space import (
    cuts_of,
    joined,
    kept_cuts,
    lifted,
    marks,
    refined,
    sizes_of,
    spans_of,
)
from arraylib.backends.lower.views import (
    broadcast,
    composed,
    flipped,
    is_identity,
    reshaped,
    sliced,
    transposed,
)
from arraylib.hlo.ir import Type

SEEDS = range(40)


def array(view: View) -> np.ndarray:
    """What a view shows of a buffer that counts from 0."""
    flat = np.arange(view.buffer.type.size)
    strides = [s * flat.itemsize for s in view.strides]
    return np.lib.stride_tricks.as_strided(flat[view.offset:], view.shape, strides)


def random_view(rng, steps=3):
    """A view, and the NumPy array it shows."""
    shape = tuple(int(n) for n in rng.choice((1, 2, 3, 4, 6), size=rng.integers(1, 4)))
    view = whole(Buffer(Type(dt.float32, shape)))
    x = array(view)
    for _ in range(steps):
        view, x = rng.choice(np.array([_transpose, _slice, _flip, _broadcast], object))(
            rng, view, x)
    return view, x


def _transpose(rng, view, x):
    order = tuple(int(i) for i in rng.permutation(x.ndim))
    return transposed(view, order), x.transpose(order)


def _slice(rng, view, x):
    start = tuple(int(rng.integers(n)) for n in x.shape)
    steps = tuple(int(n) for n in rng.integers(1, 3, x.ndim))
    return sliced(view, start, x.shape, steps), x[tuple(map(slice, start, x.shape, steps))]


def _flip(rng, view, x):
    axes = tuple(d for d in range(x.ndim) if rng.random() < 0.5)
    return flipped(view, axes), np.flip(x, axes)


def _broadcast(rng, view, x):
    shape = (2, *(3 if n == 1 and rng.random() < 0.5 else n for n in x.shape))
    return broadcast(view, shape, tuple(range(1, len(shape)))), np.broadcast_to(x, shape)


@pytest.mark.parametrize("seed", SEEDS)
def test_views_show_what_numpy_shows(seed):
    view, x = random_view(np.random.default_rng(seed), 5)
    assert view.shape == x.shape and view.size == x.size
    np.testing.assert_array_equal(array(view), x)


@pytest.mark.parametrize("seed", SEEDS)
def test_reshapes_are_right_or_refused(seed):
    rng = np.random.default_rng(seed)
    view, x = random_view(rng)
    for shape in [(x.size,), (1, x.size, 1), *(
            (n, x.size // n) for n in range(1, x.size + 1) if x.size % n == 0)]:
        found = reshaped(view, shape)
        if found is not None:
            np.testing.assert_array_equal(array(found), x.reshape(shape))


def test_dense_views_have_every_shape():
    view = whole(Buffer(Type(dt.float32, (4, 1, 6))))
    for shape in [(24,), (2, 12), (2, 2, 3, 2), (6, 4), (1, 24)]:
        found = reshaped(view, shape)
        assert found is not None and is_identity(found)
    assert reshaped(transposed(view, (2, 1, 0)), (24,)) is None


@pytest.mark.parametrize("seed", SEEDS)
def test_compositions_are_right_or_refused(seed):
    rng = np.random.default_rng(seed)
    inner, x = random_view(rng, 2)
    outer = whole(Buffer(Type(dt.float32, x.shape)))
    y = array(outer)
    for step in (_transpose, _slice, _broadcast):
        outer, y = step(rng, outer, y)
    found = composed(inner, outer, x.shape)
    if found is not None:
        np.testing.assert_array_equal(array(found), x.reshape(-1)[y])


def test_a_mask_is_composed_through_a_broadcast():
    row = whole(Buffer(Type(dt.int32, (5,))))
    mask_shape = (5, 5)
    rows = broadcast(row, mask_shape, (1,))
    access = broadcast(whole(Buffer(Type(dt.bool_, mask_shape))), (2, 3, 5, 5), (2, 3))
    found = composed(rows, access, mask_shape)
    assert found is not None and found.strides == (0, 0, 0, 1)


def test_cuts():
    assert cuts_of((8, 1, 128, 768)) == (768, 98304, 786432) and cuts_of((1, 1)) == ()
    assert sizes_of((768, 98304, 786432)) == (8, 128, 768)
    assert joined(cuts_of((6, 4)), cuts_of((2, 3, 4))) == (4, 12, 24)
    assert joined(cuts_of((6, 4)), cuts_of((4, 6))) is None


def test_spans():
    assert spans_of((8, 128, 768), (2,)) == ((1, 768),)
    assert spans_of((8, 128, 768), (0, 1)) == ((768, 786432),)
    assert spans_of((8, 128, 768), (0, 2)) == ((1, 768), (98304, 786432))
    cuts = cuts_of((8, 128, 768))
    assert marks(cuts, ((1, 768),)) == (False, False, True)
    assert kept_cuts(cuts, ((768, 98304),)) == (768, 6144)


def test_finer_cuts_of_what_is_kept():
    cuts, spans = cuts_of((8, 128, 768)), ((768, 98304),)
    assert lifted(cuts_of((8, 768)), spans, cuts) == cuts
    assert lifted(cuts_of((8, 12, 64)), spans, cuts) == (64, 768, 98304, 786432)
    assert lifted(cuts_of((12, 512)), spans, cuts) is None


def test_strides_over_finer_axes():
    assert refined((24, 1, 6), (1, 0, 24), (4, 6, 2, 3)) == (6, 1, 72, 24)
    assert refined((8, 6), (0, 1), (2, 4, 6)) == (0, 0, 1)
    assert row_major((3, 1, 4)) == (4, 0, 1)

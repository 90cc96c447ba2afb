"""What notebooks show of arrays."""

import base64
import io
import re

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import dtypes as dt


def pixels(html):
    """The picture as matplotlib reads it, u8[rows, columns, 3]."""
    image = pytest.importorskip("matplotlib.image")
    data = base64.b64decode(re.search(r"base64,([^\"]*)", html)[1])
    return (image.imread(io.BytesIO(data), format="png")[..., :3] * 255).round().astype(int)


def test_signs_are_colours_and_magnitudes_their_strength():
    x = jnp.array([[-2.0, -1.0, 0.0, 1.0, 2.0, jnp.nan, jnp.inf, 0.5]] * 2)
    html = x._repr_html_()
    found = pixels(html)
    assert found.shape == (2, 8, 3)
    assert found[0, 2].tolist() == [255] * 3
    assert found[0, 0, 2] > found[0, 0, 0] and found[0, 4, 0] > found[0, 4, 2]
    assert (found[0, 1] > found[0, 0]).all()
    assert (found[0, 5] == found[0, 6]).all() and found[0, 5, 1] == found[0, 5].max()
    assert "f32[2,8]" in html and "64 B" in html
    assert "from -2 to 2, mean 0.08333" in html
    assert "<b>2 nan</b>, <b>2 infinite</b>" in html


def test_a_large_array_is_shown_by_means():
    x = np.zeros((1000, 4, 700), np.float32)
    x[0, 0, 0] = np.nan
    x[500:] = 1
    found = pixels(jnp.asarray(x)._repr_html_())
    assert found.shape == (64, 128, 3)
    assert found[0, 0, 1] == found[0, 0].max() > 100 and (found[1:32] == 255).all()
    assert len({tuple(p) for p in found[32:].reshape(-1, 3)}) == 1


@pytest.mark.parametrize("dtype", dt.ALL, ids=dt.name)
def test_every_dtype(dtype):
    for shape in [(), (0,), (1,), (3,), (2, 0), (4, 4), (2, 3, 4)]:
        x = jnp.zeros(shape, dtype)
        html = x._repr_html_()
        assert f"<b>{x.type}</b>" in html and ("<img" in html) == (x.size >= 16)


def test_others():
    assert "3 of 4 are true" in jnp.array([True, True, False, True])._repr_html_()
    assert "magnitudes from 1 to 5" in jnp.array([3 + 4j, 1])._repr_html_()
    assert "<b>2 nan</b>" in jnp.full(2, jnp.nan)._repr_html_()
    assert "img" not in jnp.float32(3)._repr_html_() and "from" not in jnp.float32(3)._repr_html_()
    donated = jnp.ones(3)
    arraylib.jit(lambda x: x + 1, donate_argnums=0)(donated)
    assert donated._repr_html_() == "&lt;deleted Array f32[3]&gt;"

"""Convolutions, trends, cosine transforms, ranks agree with SciPy: one table of calls."""

import numpy as np
import pytest
import scipy.fft
import scipy.integrate
import scipy.signal
import scipy.stats

import arraylib
import arraylib.numpy as jnp
from arraylib import scipy as ours
from arraylib.errors import ArgumentError, ShapeError

RNG = np.random.default_rng(4)
LONG, SHORT = RNG.normal(size=9), RNG.normal(size=4)
IMAGE, KERNEL = RNG.normal(size=(5, 6)), RNG.normal(size=(3, 2))
CUBE = RNG.normal(size=(3, 4, 5))
COMPLEX = LONG + 1j * LONG[::-1]
TIES = RNG.integers(0, 4, (5, 6)).astype(float)
GAPS = np.where(TIES == 3, np.nan, TIES)

CALLS = [
    *[("signal", name, args, {"mode": mode}) for mode in ("full", "same", "valid")
      for name in ("convolve", "correlate", "fftconvolve")
      for args in ((LONG, SHORT), (SHORT, LONG), (IMAGE, KERNEL), (COMPLEX, SHORT * 1j))
      if not (name == "fftconvolve" and args[0] is SHORT)],
    ("signal", "convolve", (CUBE, CUBE[:2, :2, :3]), {"mode": "same"}),
    ("signal", "convolve", (LONG, SHORT), {"method": "fft"}),
    ("signal", "fftconvolve", (IMAGE, IMAGE), {"axes": (1,)}),
    *[("signal", name, (IMAGE, KERNEL), {"mode": mode, "boundary": boundary})
      for name in ("convolve2d", "correlate2d") for mode in ("full", "same", "valid")
      for boundary in ("fill", "wrap", "symm")],
    ("signal", "convolve2d", (IMAGE, KERNEL), {"fillvalue": 2.0}),
    ("signal", "correlate2d", (KERNEL, IMAGE), {"mode": "valid"}),
    ("signal", "detrend", (IMAGE,), {}), ("signal", "detrend", (IMAGE, 0, "constant"), {}),
    ("signal", "detrend", (LONG,), {"bp": [3, 5]}),
    *[("fft", name, (x,), {"type": kind, "norm": norm}) for name in ("dct", "idct")
      for kind in (2, 3) for norm in (None, "ortho", "forward") for x in (LONG, IMAGE)],
    ("fft", "dct", (LONG,), {"n": 12}), ("fft", "idct", (IMAGE,), {"n": 3, "axis": 0}),
    ("fft", "dctn", (IMAGE,), {}), ("fft", "idctn", (CUBE,), {"axes": (0, 2), "norm": "ortho"}),
    ("fft", "dctn", (CUBE,), {"s": (4, 4)}), ("fft", "dct", (LONG[:1],), {}),
    *[("stats", "rankdata", (TIES, method), {"axis": axis}) for axis in (None, 1)
      for method in ("average", "min", "max", "dense", "ordinal")],
    ("stats", "rankdata", (GAPS,), {"axis": 1}), ("stats", "mode", (TIES,), {}),
    ("stats", "mode", (TIES, None), {}), ("stats", "mode", (GAPS, 1), {"keepdims": True}),
    ("stats", "sem", (TIES,), {}), ("stats", "sem", (TIES, None, 0), {}),
    ("stats", "sem", (GAPS, 1), {"nan_policy": "omit"}), ("stats", "sem", (GAPS, 1), {}),
    ("integrate", "trapezoid", (IMAGE, LONG[:6]), {}),
]


@pytest.mark.parametrize("module, name, args, words", CALLS,
                         ids=[f"{i}-{call[1]}" for i, call in enumerate(CALLS)])
def test_like_scipy(module, name, args, words):
    given = [np.asarray(x) if isinstance(x, np.ndarray) else x for x in args]
    with arraylib.config.using(default_bits=64), np.errstate(all="ignore"):
        found = getattr(getattr(ours, module), name)(*given, **words)
        wanted = getattr(getattr(scipy, module), name)(*args, **words)
    for a, b in zip(*[x if isinstance(x, tuple) else (x,) for x in (found, wanted)]):
        assert a.shape == np.shape(b)
        np.testing.assert_allclose(np.asarray(a), b, 1e-10, 1e-12)


def test_under_jit_and_derivatives():
    x, y = jnp.array(LONG, "float32"), jnp.array(SHORT, "float32")
    slope = arraylib.jit(arraylib.grad(lambda x: ours.signal.convolve(x, y, "same")[0]))(x)
    np.testing.assert_allclose(slope[:2], SHORT[[1, 0]], 1e-6)
    back = arraylib.vmap(lambda x: ours.fft.idct(ours.fft.dct(x)))(jnp.stack([x, 2 * x]))
    np.testing.assert_allclose(back[1], 2 * LONG, 1e-5)
    assert ours.signal.convolve(jnp.arange(3), jnp.arange(3)).dtype == "float32"


def test_mistakes():
    one = jnp.ones((2, 2))
    for call in (lambda: ours.signal.convolve(one, one, "half"),
                 lambda: ours.signal.convolve(one, one, method="slow"),
                 lambda: ours.signal.convolve2d(one, one, boundary="none"),
                 lambda: ours.signal.detrend(one, type="cubic"),
                 lambda: ours.signal.detrend(one, bp=9), lambda: ours.fft.dct(one, type=4),
                 lambda: ours.stats.rankdata(one, "best"),
                 lambda: ours.stats.mode(one, nan_policy="omit")):
        with pytest.raises(ArgumentError):
            call()
    for call in (lambda: ours.signal.convolve(one, jnp.ones(2)),
                 lambda: ours.signal.convolve(jnp.ones((3, 1)), jnp.ones((1, 3)), "valid"),
                 lambda: ours.fft.dct(one, n=0), lambda: ours.fft.dctn(one, s=(2,), axes=(0, 1))):
        with pytest.raises(ShapeError):
            call()

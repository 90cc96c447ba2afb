"""Spectra of signals agree with SciPy's."""

import numpy as np
import pytest
import scipy.signal

import arraylib
import arraylib.numpy as jnp
from arraylib.errors import ArgumentError, ShapeError
from arraylib.scipy import signal
from arraylib.scipy.windows import window_named

RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(2, 2, 40))
Z = X + 1j * Y
WINDOWS = ["boxcar", "triang", "blackman", "hamming", "hann", "bartlett", "flattop", "parzen",
           "bohman", "blackmanharris", "nuttall", "barthann", "cosine", "tukey", ("tukey", 0.2),
           ("tukey", 0), ("kaiser", 4.0), ("gaussian", 3.0), ("general_hamming", 0.7),
           ("general_cosine", [0.6, 0.3, 0.1])]


def same(found, wanted, dtype, tolerance=None):
    """Elements as SciPy has them in float64, and the dtypes of the results."""
    close = tolerance or (1e-12 if dtype == "float64" else 2e-5)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == (dtype if one.dtype.kind == "f" else
                             {"float64": "complex128", "float32": "complex64"}[dtype])
        assert one.dtype.kind == other.dtype.kind
        np.testing.assert_allclose(one, other, close, close * max(1, np.abs(other).max()))


@pytest.mark.parametrize("window", WINDOWS)
def test_windows(window):
    for n in (1, 2, 7, 8):
        np.testing.assert_allclose(window_named("stft", window, n),
                                   scipy.signal.get_window(window, n), 1e-12, 1e-15)


@pytest.mark.filterwarnings("ignore:nperseg")
@pytest.mark.parametrize("settings", [
    {}, {"nperseg": 8, "noverlap": 6, "window": "hamming"}, {"nperseg": 7, "nfft": 12, "fs": 50.0},
    {"nperseg": 8, "boundary": "odd", "detrend": "linear", "padded": False},
    {"nperseg": 9, "boundary": "even", "detrend": "constant", "window": ("kaiser", 3.0)},
    {"nperseg": 6, "boundary": None, "axis": 0}, {"nperseg": 5, "boundary": "constant"},
    {"window": np.hanning(9), "nperseg": 9, "return_onesided": False}, {"nperseg": 1}])
def test_transforms_of_segments_and_back(settings):
    x = X.T if settings.get("axis") == 0 else X
    for dtype in ("float64", "float32"):
        mine = signal.stft(jnp.asarray(x, dtype), **settings)
        wanted = scipy.signal.stft(x, **{"nperseg": 256, **settings})
        same(mine, wanted, dtype)
    back = {k: settings[k] for k in ("nperseg", "noverlap", "window", "nfft", "fs")
            if k in settings} | {"boundary": settings.get("boundary", "zeros") is not None,
                                 "input_onesided": settings.get("return_onesided", True)}
    if "axis" in settings:
        back["freq_axis"] = settings["axis"]
    if back["boundary"] and settings.get("nperseg") == 1:
        back["boundary"] = False  # SciPy cuts all of it off
    found = signal.istft(jnp.asarray(wanted[2], "complex128"), **back)
    expected = scipy.signal.istft(wanted[2], **back)[1]
    np.testing.assert_allclose(found[1], expected, 1e-11, 1e-11)
    assert found[0].shape == found[1].shape[-1:]


@pytest.mark.filterwarnings("ignore:Input data is complex", "ignore:nperseg")
@pytest.mark.parametrize("settings", [
    {}, {"nperseg": 8, "average": "median"}, {"nperseg": 9, "noverlap": 3, "scaling": "spectrum"},
    {"nperseg": 16, "nfft": 21, "window": "boxcar", "detrend": False, "fs": 3.0},
    {"nperseg": 10, "return_onesided": False, "detrend": "linear"}])
def test_densities(settings):
    for x, y in ((X, Y), (Z, Y), (X[:, :30], Y)):
        wanted = scipy.signal.csd(x, y, **settings)
        operands = [jnp.asarray(v, v.dtype) for v in (x, y)]
        same(signal.csd(*operands, **settings), wanted, "float64")
    jitted = arraylib.jit(lambda x, y: signal.csd(x, y, **settings))
    same(jitted(*operands), wanted, "float64")
    same(signal.welch(jnp.asarray(X, "float32"), **settings), scipy.signal.welch(X, **settings),
         "float32")


def test_under_transforms():
    x = jnp.asarray(X, "float64")
    many = arraylib.vmap(lambda x: signal.stft(x, nperseg=8)[2])(x)
    np.testing.assert_allclose(many, signal.stft(x, nperseg=8)[2], 1e-12, 1e-14)
    again = arraylib.jit(lambda x: signal.istft(signal.stft(x, nperseg=8)[2], nperseg=8)[1])
    np.testing.assert_allclose(again(x), X, 1e-12, 1e-12)
    slope = arraylib.grad(lambda x: again(x)[1].sum())(x)  # of what changes nothing
    np.testing.assert_allclose(slope, [np.zeros(40), np.ones(40)], 1e-12, 1e-12)
    rate = arraylib.grad(lambda fs: signal.welch(x, fs, nperseg=8)[1].sum())(2.0)
    total = float(signal.welch(x, 1.0, nperseg=8)[1].sum())
    assert float(rate) == pytest.approx(-total / 4, rel=1e-5)


@pytest.mark.parametrize("call, error, text", [
    (lambda x: signal.stft(x, window="round"), ArgumentError, "window = 'round'"),
    (lambda x: signal.stft(x, window=("kaiser", 1, 2)), ArgumentError, "other numbers"),
    (lambda x: signal.stft(x, nperseg=0), ArgumentError, "nperseg = 0"),
    (lambda x: signal.stft(x, nperseg=8, noverlap=8), ArgumentError, "noverlap = 8"),
    (lambda x: signal.stft(x, nperseg=8, nfft=4), ArgumentError, "nfft = 4"),
    (lambda x: signal.stft(x, boundary="wrap"), ArgumentError, "boundary = 'wrap'"),
    (lambda x: signal.welch(x, scaling="none"), ArgumentError, "scaling = 'none'"),
    (lambda x: signal.welch(x, average="most"), ArgumentError, "average = 'most'"),
    (lambda x: signal.welch(x[:, :0]), ShapeError, "without elements"),
    (lambda x: signal.csd(x, x[:1, None, None]), None, ""),
    (lambda x: signal.csd(jnp.ones((3, 9)), x), ShapeError, "broadcast"),
    (lambda x: signal.stft(x, window=np.ones(50)), ShapeError, "a window of shape"),
    (lambda x: signal.istft(x[0]), ShapeError, "1 axes"),
    (lambda x: signal.istft(x, freq_axis=1), ArgumentError, "both 1"),
    (lambda x: signal.istft(x, nperseg=5), ArgumentError, "longer than transforms of"),
    (lambda x: signal.istft(x, window=np.ones(3)), ShapeError, "segments of 2")])
def test_mistakes(call, error, text):
    if error is None:
        assert call(jnp.ones((2, 40)))[1].shape == (1, 1, 2, 21)
        return
    with pytest.raises(error, match=text):
        call(jnp.ones((2, 40)))

"""Convolutions of a plan as calls of the convolution library."""

from __future__ import annotations

from arraylib import dtypes as dt
from arraylib.backends.cpu import pool
from arraylib.backends.cpu.convolution import TAPS, WINDOWS, Axis, Convolution, Direct
from arraylib.backends.cpu.matrices import descriptor_bytes
from arraylib.backends.lower.plan import ConvolutionStep

_BATCH, *_SPACE, _FEATURE = range(1, 6)  # axes of x; those of w are one less


def convolution_of(step: ConvolutionStep) -> Convolution | Direct:
    """What the library is asked for."""
    direct = _direct(step)
    return direct if direct.is_worth_it else _gathered(step)


def _direct(step: ConvolutionStep) -> Direct:
    """The convolution from packed lines."""
    (x, w), (c,) = step.reads, step.writes
    dtype, group = dt.short_name(c.dtype), (c.shape[0], x.strides[0], w.strides[0], c.strides[0])
    space = list(zip(_SPACE, step.stride, step.dilation, step.low, strict=True))
    if x.strides[_FEATURE] == 1 and x.shape[_FEATURE] > 1:
        first, second, last = (
            Axis(c.shape[d], w.shape[d - 1], s, t, low, x.shape[d], x.strides[d], c.strides[d],
                 w.strides[d - 1]) for d, s, t, low in space)
        batch = Axis(c.shape[_BATCH], 1, 1, 1, 0, x.shape[_BATCH], x.strides[_BATCH],
                     c.strides[_BATCH], 0)
        return Direct.of(WINDOWS, batch, (first, second, last), x.shape[_FEATURE],
                         w.strides[_FEATURE - 1], c.shape[-1], w.strides[-1], group, dtype)
    first, second, last = (
        Axis(w.shape[d - 1], c.shape[d], t, s, low, x.shape[d], x.strides[d], w.strides[d - 1],
             c.strides[d]) for d, s, t, low in space)
    feature = Axis(x.shape[_FEATURE], 1, 1, 1, 0, x.shape[_FEATURE], x.strides[_FEATURE],
                   w.strides[_FEATURE - 1], 0)
    return Direct.of(TAPS, feature, (first, second, last), x.shape[_BATCH], c.strides[_BATCH],
                     c.shape[-1], w.strides[-1], group, dtype)


def _gathered(step: ConvolutionStep) -> Convolution:
    """The convolution as a matrix product."""
    (x, w), (c,) = step.reads, step.writes
    assert c.strides[-1] == 1 or c.shape[-1] == 1, f"results that are not neighbours: {c}"
    channels = x.strides[_FEATURE] != 1 or x.shape[_FEATURE] == 1
    i_axes = (*_SPACE, _BATCH) if channels else (_BATCH, *_SPACE)
    k_axes = (_FEATURE, *_SPACE) if channels else (*_SPACE, _FEATURE)
    w_axes = tuple(d - 1 for d in k_axes)
    moved, along = (dict(zip(_SPACE, steps)) for steps in (step.stride, step.dilation))
    i_size, i_c = (tuple(v[d] for d in i_axes) for v in (c.shape, c.strides))
    return Convolution(
        channels, c.shape[-1], w.strides[-1], i_size,
        tuple(x.strides[d] * moved.get(d, 1) for d in i_axes), i_c,
        tuple(w.shape[d] for d in w_axes), tuple(x.strides[d] * along.get(d, 1) for d in k_axes),
        tuple(w.strides[d] for d in w_axes), step.stride, step.dilation, step.low,
        tuple(x.shape[d] for d in _SPACE),
        -sum(low * x.strides[d] for low, d in zip(step.low, _SPACE)),
        1 if channels else _line(i_size, i_c),
        (c.shape[0], x.strides[0], w.strides[0], c.strides[0]), dt.short_name(c.dtype))


def _line(sizes: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """How many of the innermost axes have one stride."""
    found, step = 0, None
    for n, s in zip(reversed(sizes), reversed(strides)):
        if n != 1 and step is not None and s != step:
            break
        if n != 1:
            step = s * n
        found += 1
    return found


def convolution_room(step: ConvolutionStep) -> int:
    """Bytes of memory for the descriptor, and behind it for what the library wants."""
    convolution, threads = convolution_of(step), pool.threads()
    return descriptor_bytes(len(convolution.words(threads))) + convolution.scratch_bytes(threads)

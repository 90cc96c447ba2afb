"""What a notebook shows of an array: its type and size, what its numbers are like, and a picture.

The last axis of the picture runs to the right, all others down. Orange is positive, blue negative,
white zero, the strongest colours the largest magnitude; green is where something is not finite.
Where an array is larger than the picture, a point is the mean of its neighbours.
"""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape
from typing import Any, TypeAlias

import numpy as np

from arraylib import dtypes as dt
from arraylib.reports.table import bytes_text

_Data: TypeAlias = "np.ndarray[Any, Any]"

_ROWS, _COLUMNS = 64, 128  # of points in a picture, at most
_FEWEST = 16               # elements of which there is a picture
_WIDTH = 384               # pixels on the screen, of a picture of many columns
_POSITIVE, _NEGATIVE, _UNKNOWN = (204, 85, 0), (0, 90, 181), (0, 140, 60)


def portrait(data: _Data, kind: str, text: str) -> str:
    """HTML for an array of a kind, `f32[2,3]`, which reads as `text`."""
    head = f"<b>{escape(kind)}</b>, {bytes_text(data.nbytes)}"
    if not data.size:
        return f"<div>{head}</div><pre>{escape(text)}</pre>"
    numbers = _numbers(data)
    shown = _image(numbers) if data.ndim and data.size >= _FEWEST else ""
    said = f": {_said(numbers, data.dtype)}" if data.size > 1 else ""
    return f"<div>{head}{said}</div>{shown}<pre>{escape(text)}</pre>"


def _numbers(data: _Data) -> _Data:
    """As float64; of complex numbers the magnitudes."""
    return np.abs(data).astype(np.float64) if dt.is_complex(data.dtype) else data.astype(np.float64)


def _said(numbers: _Data, dtype: dt.Dtype) -> str:
    """The range, the mean and the deviation, and what is not finite."""
    if dt.is_bool(dtype):
        return f"{int(numbers.sum())} of {numbers.size} are true"
    finite = numbers[np.isfinite(numbers)]
    nans = int(np.isnan(numbers).sum())
    infinite = numbers.size - finite.size - nans
    strange = [f"<b>{count} {name}</b>" for count, name in ((nans, "nan"), (infinite, "infinite"))
               if count]
    if not finite.size:
        return ", ".join(strange)
    named = "magnitudes from" if dt.is_complex(dtype) else "from"
    usual = (f"{named} {finite.min():.4g} to {finite.max():.4g}, mean {finite.mean():.4g}, "
             f"deviation {finite.std():.4g}")
    return ", ".join([usual, *strange])


def _image(numbers: _Data) -> str:
    flat = numbers.reshape(-1, numbers.shape[-1])
    png = base64.b64encode(_png(_coloured(_shrunk(flat)))).decode()
    width = min(_WIDTH, 8 * flat.shape[1])
    height = min(max(8, round(width * flat.shape[0] / flat.shape[1])), _WIDTH)
    return (f'<img src="data:image/png;base64,{png}" width="{width}" height="{height}" '
            'style="image-rendering:pixelated">')


def _shrunk(numbers: _Data) -> _Data:
    """Means of groups of neighbours; what is not finite makes its group so."""
    for axis, most in enumerate((_ROWS, _COLUMNS)):
        length = numbers.shape[axis]
        if length > most:
            starts = np.arange(most) * length // most
            counts = np.diff([*starts, length])
            with np.errstate(invalid="ignore", over="ignore"):
                sums = np.add.reduceat(numbers, starts, axis)
            numbers = sums / (counts if axis else counts[:, None])
    return numbers


def _coloured(numbers: _Data) -> _Data:
    """u8[rows, columns, 3]: from white to a colour by sign, in proportion to the magnitude."""
    finite = np.isfinite(numbers)
    known = np.where(finite, numbers, 0)
    strength = np.abs(known) / (np.abs(known).max() or 1)
    colour = np.where(known[..., None] < 0, _NEGATIVE, _POSITIVE)
    mixed = 255 + (colour - 255) * strength[..., None]
    return np.where(finite[..., None], mixed, _UNKNOWN).round().astype(np.uint8)


def _png(pixels: _Data) -> bytes:
    """A picture in 8 bits for each of three colours (PNG specification, W3C, section 11.2)."""
    def chunk(kind: bytes, body: bytes) -> bytes:
        checked = kind + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    height, width, _ = pixels.shape
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    return b"".join([b"\x89PNG\r\n\x1a\n",
                     chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
                     chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")])

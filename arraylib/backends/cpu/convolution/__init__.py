"""Convolutions: from packed lines, or as a matrix product whose left side is gathered."""

from arraylib.backends.cpu.convolution.descriptor import Convolution, Word
from arraylib.backends.cpu.convolution.direct import TAPS, WINDOWS, Direct
from arraylib.backends.cpu.convolution.library import DTYPES, is_symbol, piece
from arraylib.backends.cpu.convolution.lines import Axis

__all__ = ["DTYPES", "TAPS", "WINDOWS", "Axis", "Convolution", "Direct", "Word", "is_symbol",
           "piece"]

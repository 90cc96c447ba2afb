"""Convolution as a matrix product whose left side is gathered from the array as it is packed."""

from arraylib.backends.cpu.convolution.descriptor import Convolution, Word, scratch_bytes, symbol
from arraylib.backends.cpu.convolution.library import DTYPES, is_symbol, symbols

__all__ = ["DTYPES", "Convolution", "Word", "is_symbol", "scratch_bytes", "symbol", "symbols"]

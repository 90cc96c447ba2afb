"""Attention in one pass: a library in generated code for any shape, stride, mask and dtype."""

from arraylib.backends.cpu.attention.descriptor import Attention, Operand, Word, scratch_bytes
from arraylib.backends.cpu.attention.library import DTYPES, is_symbol, piece

__all__ = ["DTYPES", "Attention", "Operand", "Word", "is_symbol", "piece", "scratch_bytes"]

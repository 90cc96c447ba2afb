"""Matrix products: a library in generated code for any shape, stride, batch and dtype."""

from arraylib.backends.cpu.gemm.descriptor import Gemm, Path, Word, panel_columns, scratch_bytes
from arraylib.backends.cpu.gemm.library import address, is_symbol, symbols
from arraylib.backends.cpu.gemm.pieces import pieces, symbol, table_of
from arraylib.backends.cpu.gemm.tile import DTYPES

__all__ = ["DTYPES", "Gemm", "Path", "Word", "address", "is_symbol", "panel_columns", "pieces",
           "scratch_bytes", "symbol", "symbols", "table_of"]

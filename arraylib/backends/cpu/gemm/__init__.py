"""Matrix products: a library in generated code for any shape, stride, batch and dtype."""

from arraylib.backends.cpu.gemm.descriptor import (
    PACKING_PATHS,
    Gemm,
    Path,
    Word,
    panel_columns,
    scratch_bytes,
)
from arraylib.backends.cpu.gemm.library import is_symbol, piece
from arraylib.backends.cpu.gemm.pieces import pieces, symbol, table_of
from arraylib.backends.cpu.gemm.tile import DTYPES

__all__ = ["DTYPES", "PACKING_PATHS", "Gemm", "Path", "Word", "is_symbol", "panel_columns",
           "piece", "pieces", "scratch_bytes", "symbol", "table_of"]

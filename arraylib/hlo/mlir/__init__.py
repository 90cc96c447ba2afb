"""Programs as StableHLO text in MLIR's syntax, read and written; see `hlo.parse`, `hlo.text`."""

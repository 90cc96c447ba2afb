"""A graph as StableHLO text, which other compilers read."""

from arraylib.hlo.text.printer import text

__all__ = ["text"]

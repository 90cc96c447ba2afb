"""Programs as StableHLO text, which other compilers read and write."""

from arraylib.hlo.text.cursor import ParseError
from arraylib.hlo.text.parser import parse
from arraylib.hlo.text.printer import text

__all__ = ["ParseError", "parse", "text"]

"""Graph -> fused kernels over buffers: what every compiling backend shares."""

from arraylib.backends.lower.attention import RULES as LIBRARY
from arraylib.backends.lower.items import Supports
from arraylib.backends.lower.lower import CONTROL, lower

__all__ = ["CONTROL", "LIBRARY", "Supports", "lower"]

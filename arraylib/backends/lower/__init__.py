"""Graph -> fused kernels over buffers: what every compiling backend shares."""

from arraylib.backends.lower.attention import RULES as LIBRARY
from arraylib.backends.lower.items import Supports
from arraylib.backends.lower.lower import CONTROL, lower
from arraylib.backends.lower.window import NATIVE as WINDOWS

__all__ = ["CONTROL", "LIBRARY", "WINDOWS", "Supports", "lower"]

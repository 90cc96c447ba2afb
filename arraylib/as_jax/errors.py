"""JAX's errors: which of ours a program that catches one of them means."""

from arraylib.errors import (
    KeyReuseError as KeyReuseError,
    TracedIndexError,
    TraceError,
)

JAXTypeError = TraceError
ConcretizationTypeError = TraceError
TracerArrayConversionError = TraceError
TracerBoolConversionError = TraceError
TracerIntegerConversionError = TraceError
UnexpectedTracerError = TraceError
NonConcreteBooleanIndexError = TracedIndexError
JAXIndexError = IndexError
JaxRuntimeError = JAXRuntimeError = RuntimeError

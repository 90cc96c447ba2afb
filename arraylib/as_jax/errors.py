"""JAX's errors: which of ours a program that catches one of them means."""

from arraylib.errors import (
    KeyReuseError as KeyReuseError,
    TraceError,
)

JAXTypeError = TraceError
ConcretizationTypeError = TraceError
TracerArrayConversionError = TraceError
TracerBoolConversionError = TraceError
TracerIntegerConversionError = TraceError
UnexpectedTracerError = TraceError
NonConcreteBooleanIndexError = TraceError
JAXIndexError = IndexError
JaxRuntimeError = JAXRuntimeError = RuntimeError

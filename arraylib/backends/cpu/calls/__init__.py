"""Calls in native code: from Python's calling convention to a compiled program and back."""

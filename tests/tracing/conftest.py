"""What tests of calls share."""

import pytest

from arraylib.tracing.jit import Jitted


@pytest.fixture
def no_python(monkeypatch):
    """From its call on, jitted functions may be served by native code alone."""
    def forbid(*functions):
        def refuse(*args, **kwargs):
            raise AssertionError("the call went through Python")
        monkeypatch.setattr(Jitted, "_call_seen", refuse)
        monkeypatch.setattr(Jitted, "_slow", refuse)
        for function in functions:
            function._last = -1, None, None, None
    return forbid

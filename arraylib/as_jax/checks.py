"""Names of jax.experimental.checkify: the failures of checks as JAX tells them."""

from __future__ import annotations

from arraylib import checkify
from arraylib.hlo.ir import Value

# A kind of failure: "user", "nan", "index", "div".
ErrorCategory = str


class JaxRuntimeError(ValueError):
    """A check that did not hold: its message begins with what the program says."""


def check_error(error: checkify.Error) -> None:
    """`checkify.check_error`, with JAX's class and message for what is known already."""
    if any(isinstance(x, Value) for x in error._state):
        checkify.check_error(error)
    elif message := error.get():
        raise JaxRuntimeError(message.removeprefix("check: "))

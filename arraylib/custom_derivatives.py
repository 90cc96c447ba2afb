"""Functions with derivatives of their own; JAX's module of this name."""

from arraylib.tracing.closures import (
    closure_convert as closure_convert,
    custom_gradient as custom_gradient,
)
from arraylib.tracing.custom import custom_jvp as custom_jvp, custom_vjp as custom_vjp

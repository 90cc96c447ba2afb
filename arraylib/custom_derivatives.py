"""Functions with derivatives of their own; JAX's module of this name."""

from arraylib.tracing.custom import (
    closure_convert as closure_convert,
    custom_gradient as custom_gradient,
    custom_jvp as custom_jvp,
    custom_vjp as custom_vjp,
)

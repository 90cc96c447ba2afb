"""Functions that vmap maps in a way of their own; JAX's module of this name."""

from arraylib.tracing.custom_batch import (
    custom_vmap as custom_vmap,
    sequential_vmap as sequential_vmap,
)

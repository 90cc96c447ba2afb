"""What JAX has under jax.experimental and this library under names of its own."""

from arraylib import checkify as checkify
from arraylib.scopes import enable_x64 as enable_x64
from arraylib.tracing.callbacks import io_callback as io_callback

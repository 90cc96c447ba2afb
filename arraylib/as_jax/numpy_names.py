"""Names of jax.numpy that are NumPy's own there."""

from numpy import dtype as dtype

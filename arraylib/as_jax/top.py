"""Names at the top of JAX that have no namesake at the top of this library."""

from arraylib.as_jax.jaxpr import make_jaxpr as make_jaxpr

# The version of JAX whose names and meanings are followed.
__version__ = "0.10.2"
__version_info__ = (0, 10, 2)

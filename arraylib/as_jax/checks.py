"""Names of jax.experimental.checkify for annotations."""

# A kind of failure: "user", "nan", "index", "div".
ErrorCategory = str

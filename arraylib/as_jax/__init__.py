"""JAX programs as they are: `import jax` answered by this library.

    python -m arraylib.as_jax train.py --steps 100
    python -m arraylib.as_jax -m package.train

or, in a program, before anything imports jax:

    import arraylib.as_jax
    arraylib.as_jax.install()

Which of our modules stands for which of JAX's is a table, `as_jax.names`; the functions are those
that `arraylib` has under the same names, never copies. What a program asks for and does not get is
kept, with the line that asked: `as_jax.missing()`, which the command prints at the end.
"""

from arraylib.as_jax.imports import (
    Missing as Missing,
    install as install,
    missing as missing,
    report as report,
)

"""SciPy's functions on arrays of the library: `linalg`, `special`, and `stats`, distributions."""

from arraylib.scipy import linalg as linalg, special as special, stats as stats

"""SciPy's functions on arrays of the library: `special`, and `stats` with the distributions."""

from arraylib.scipy import special as special, stats as stats

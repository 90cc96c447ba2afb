"""Densities and distribution functions: `from arraylib.scipy.stats import norm`.

Each module is a distribution; its functions take the point, the shape parameters, then `loc` and
`scale`, which move and stretch it, as SciPy's do. Everything broadcasts. `gaussian_kde`, `mode`,
`rankdata` and `sem` describe samples.
"""

from arraylib.scipy.stats import (
    bernoulli as bernoulli,
    beta as beta,
    binom as binom,
    cauchy as cauchy,
    chi2 as chi2,
    dirichlet as dirichlet,
    expon as expon,
    gamma as gamma,
    geom as geom,
    laplace as laplace,
    logistic as logistic,
    norm as norm,
    pareto as pareto,
    poisson as poisson,
    t as t,
    uniform as uniform,
)
from arraylib.scipy.stats.kde import gaussian_kde as gaussian_kde
from arraylib.scipy.stats.ranks import mode as mode, rankdata as rankdata, sem as sem

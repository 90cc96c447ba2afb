"""Random numbers without hidden state: a key in, the same numbers out, every time.

    key = random.key(0)
    key, subkey = random.split(key)
    x = random.normal(subkey, (3, 4))

Keys, bits and algorithms are those of JAX with its default settings.
"""

from arraylib.random.continuous import (
    cauchy,
    exponential,
    gumbel,
    laplace,
    logistic,
    lognormal,
    maxwell,
    normal,
    pareto,
    rayleigh,
    triangular,
    truncated_normal,
    uniform,
    weibull_min,
)
from arraylib.random.counts import binomial, multinomial
from arraylib.random.derived import (
    ball,
    double_sided_maxwell,
    f,
    generalized_normal,
    multivariate_normal,
    orthogonal,
    wald,
)
from arraylib.random.discrete import (
    bernoulli,
    categorical,
    choice,
    geometric,
    permutation,
    rademacher,
    randint,
)
from arraylib.random.keys import (
    PRNGKey,
    bits,
    clone,
    fold_in,
    key,
    key_data,
    key_impl,
    split,
    wrap_key_data,
)
from arraylib.random.rejection import beta, chisquare, dirichlet, gamma, loggamma, poisson, t

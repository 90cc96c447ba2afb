"""Random numbers without hidden state: a key in, the same numbers out, every time.

    key = random.key(0)
    key, subkey = random.split(key)
    x = random.normal(subkey, (3, 4))

Keys, bits and algorithms are those of JAX with its default settings.
"""

from arraylib.random.continuous import (
    cauchy as cauchy,
    exponential as exponential,
    gumbel as gumbel,
    laplace as laplace,
    logistic as logistic,
    lognormal as lognormal,
    maxwell as maxwell,
    normal as normal,
    pareto as pareto,
    rayleigh as rayleigh,
    triangular as triangular,
    truncated_normal as truncated_normal,
    uniform as uniform,
    weibull_min as weibull_min,
)
from arraylib.random.counts import binomial as binomial, multinomial as multinomial
from arraylib.random.derived import (
    ball as ball,
    double_sided_maxwell as double_sided_maxwell,
    f as f,
    generalized_normal as generalized_normal,
    multivariate_normal as multivariate_normal,
    orthogonal as orthogonal,
    wald as wald,
)
from arraylib.random.discrete import (
    bernoulli as bernoulli,
    categorical as categorical,
    choice as choice,
    geometric as geometric,
    permutation as permutation,
    rademacher as rademacher,
    randint as randint,
)
from arraylib.random.keys import (
    PRNGKey as PRNGKey,
    bits as bits,
    clone as clone,
    fold_in as fold_in,
    key as key,
    key_data as key_data,
    key_impl as key_impl,
    split as split,
    wrap_key_data as wrap_key_data,
)
from arraylib.random.rejection import (
    beta as beta,
    chisquare as chisquare,
    dirichlet as dirichlet,
    gamma as gamma,
    loggamma as loggamma,
    poisson as poisson,
    t as t,
)
from arraylib.tracing import operations as _operations

_operations.serve_functions(globals(), (), (), ("key",), _operations.RANDOM_PROGRAMS)

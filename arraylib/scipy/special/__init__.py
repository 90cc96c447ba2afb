"""SciPy's special functions: `from arraylib.scipy import special`.

All may be differentiated any number of times, batched and compiled. Integers become floats.
"""

from arraylib.scipy.special.combinatorial import (
    bernoulli as bernoulli,
    betainc as betainc,
    boxcox as boxcox,
    boxcox1p as boxcox1p,
    comb as comb,
    gammainc as gammainc,
    gammaincc as gammaincc,
    loggamma as loggamma,
)
from arraylib.scipy.special.elementary import (
    beta as beta,
    betaln as betaln,
    digamma as digamma,
    entr as entr,
    erf as erf,
    erfc as erfc,
    erfinv as erfinv,
    expit as expit,
    factorial as factorial,
    gamma as gamma,
    gammaln as gammaln,
    gammasgn as gammasgn,
    i0 as i0,
    i0e as i0e,
    i1 as i1,
    i1e as i1e,
    kl_div as kl_div,
    log_ndtr as log_ndtr,
    log_softmax as log_softmax,
    logit as logit,
    logsumexp as logsumexp,
    multigammaln as multigammaln,
    ndtr as ndtr,
    ndtri as ndtri,
    poch as poch,
    polygamma as polygamma,
    rel_entr as rel_entr,
    softmax as softmax,
    xlog1py as xlog1py,
    xlogy as xlogy,
    zeta as zeta,
)
from arraylib.scipy.special.hypergeometric import (
    bessel_jn as bessel_jn,
    hyp1f1 as hyp1f1,
    hyp2f1 as hyp2f1,
    sph_harm_y as sph_harm_y,
)
from arraylib.scipy.special.integrals import (
    dawsn as dawsn,
    erfcx as erfcx,
    exp1 as exp1,
    expi as expi,
    expn as expn,
    fresnel as fresnel,
    owens_t as owens_t,
    sici as sici,
    spence as spence,
    wofz as wofz,
)

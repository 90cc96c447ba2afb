"""Functions for neural networks: activations, softmax, attention, initial values."""

from arraylib.nn import initializers
from arraylib.nn.activations import (
    celu,
    elu,
    gelu,
    glu,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    identity,
    leaky_relu,
    log1mexp,
    log_sigmoid,
    mish,
    one_hot,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_sign,
    softplus,
    sparse_plus,
    sparse_sigmoid,
    squareplus,
    swish,
)
from arraylib.nn.attention import dot_product_attention
from arraylib.nn.normalization import (
    log_softmax,
    logmeanexp,
    logsumexp,
    softmax,
    standardize,
)
from arraylib.nn.scaled import (
    get_scaled_dot_general_config,
    scaled_dot_general,
    scaled_matmul,
)
from arraylib.numpy.elementwise import tanh
from arraylib.tracing import operations as _operations

_operations.serve_functions(globals(), (), ("sigmoid",))

"""Examples of functions of NumPy's names that tables make: what their docstrings end in."""

EXAMPLES = {
    "abs": """>>> jnp.abs(jnp.array([-1.5, 2.0]))
Array([1.5, 2. ], dtype=float32)
>>> jnp.abs(3 + 4j)
Array(5., dtype=float32)""",
    "add": """>>> jnp.add(jnp.arange(3), 10)
Array([10, 11, 12], dtype=int32)""",
    "arccos": """>>> jnp.arccos(jnp.array([1.0, 0.0])).round(4)
Array([0.    , 1.5708], dtype=float32)""",
    "arccosh": """>>> jnp.arccosh(jnp.array([1.0, 2.0])).round(4)
Array([0.   , 1.317], dtype=float32)""",
    "arcsin": """>>> jnp.arcsin(jnp.array([0.0, 1.0])).round(4)
Array([0.    , 1.5708], dtype=float32)""",
    "arcsinh": """>>> jnp.arcsinh(jnp.array([0.0, 1.0])).round(4)
Array([0.    , 0.8814], dtype=float32)""",
    "arctan": """>>> jnp.arctan(jnp.array([0.0, 1.0])).round(4)
Array([0.    , 0.7854], dtype=float32)""",
    "arctan2": """>>> jnp.arctan2(jnp.array([1.0, -1.0]), -1.0).round(4)
Array([ 2.3562, -2.3562], dtype=float32)""",
    "arctanh": """>>> jnp.arctanh(jnp.array([0.0, 0.5])).round(4)
Array([0.    , 0.5493], dtype=float32)""",
    "argmax": """>>> jnp.argmax(jnp.array([1, 5, 3]))
Array(1, dtype=int32)""",
    "argmin": """>>> jnp.argmin(jnp.array([[3, 1], [2, 4]]), axis=1)
Array([1, 0], dtype=int32)""",
    "bitwise_and": """>>> jnp.bitwise_and(jnp.array([6, 3]), 2)
Array([2, 2], dtype=int32)""",
    "bitwise_count": """>>> jnp.bitwise_count(jnp.array([7, 8]))
Array([3, 1], dtype=uint8)""",
    "bitwise_or": """>>> jnp.bitwise_or(jnp.array([4, 1]), 2)
Array([6, 3], dtype=int32)""",
    "bitwise_xor": """>>> jnp.bitwise_xor(jnp.array([6, 3]), 2)
Array([4, 1], dtype=int32)""",
    "cbrt": """>>> jnp.cbrt(jnp.array([8.0, -27.0])).round(4)
Array([ 2., -3.], dtype=float32)""",
    "ceil": """>>> jnp.ceil(jnp.array([1.2, -1.2]))
Array([ 2., -1.], dtype=float32)""",
    "conjugate": """>>> jnp.conj(jnp.array([1 + 2j]))
Array([1.-2.j], dtype=complex64)""",
    "copysign": """>>> jnp.copysign(jnp.array([1.0, 2.0]), -0.0)
Array([-1., -2.], dtype=float32)""",
    "cos": """>>> jnp.cos(jnp.array([0.0, jnp.pi])).round(4)
Array([ 1., -1.], dtype=float32)""",
    "cosh": """>>> jnp.cosh(jnp.array([0.0, 1.0])).round(4)
Array([1.    , 1.5431], dtype=float32)""",
    "cumprod": """>>> jnp.cumprod(jnp.array([1, 2, 3]))
Array([1, 2, 6], dtype=int32)""",
    "cumsum": """>>> jnp.cumsum(jnp.array([1, 2, 3]))
Array([1, 3, 6], dtype=int32)""",
    "deg2rad": """>>> jnp.deg2rad(jnp.array([90.0, 180.0])).round(4)
Array([1.5708, 3.1416], dtype=float32)""",
    "divide": """>>> jnp.divide(jnp.array([1, 2]), 4)
Array([0.25, 0.5 ], dtype=float32)""",
    "equal": """>>> jnp.equal(jnp.arange(3), 1)
Array([False,  True, False], dtype=bool)""",
    "exp": """>>> jnp.exp(jnp.array([0.0, 1.0])).round(4)
Array([1.    , 2.7183], dtype=float32)""",
    "exp2": """>>> jnp.exp2(jnp.array([0.0, 3.0]))
Array([1., 8.], dtype=float32)""",
    "expm1": """>>> jnp.expm1(jnp.array([0.0, 1e-6]))
Array([0.0000000e+00, 1.0000005e-06], dtype=float32)""",
    "fabs": """>>> jnp.fabs(jnp.array([-1, 2]))
Array([1., 2.], dtype=float32)""",
    "fft": """>>> jnp.fft.fft(jnp.array([1.0, 0.0, -1.0, 0.0])).round(4)
Array([0.+0.j, 2.+0.j, 0.+0.j, 2.+0.j], dtype=complex64)""",
    "fft2": """>>> jnp.fft.fft2(jnp.ones((2, 2))).round(4)
Array([[4.+0.j, 0.+0.j],
       [0.+0.j, 0.+0.j]], dtype=complex64)""",
    "fftn": """>>> jnp.fft.fftn(jnp.ones((2, 2, 2)))[0, 0, 0]
Array(8.+0.j, dtype=complex64)""",
    "float_power": """>>> jnp.float_power(jnp.array([2, 3]), 2)
Array([4., 9.], dtype=float32)""",
    "floor": """>>> jnp.floor(jnp.array([1.7, -1.7]))
Array([ 1., -2.], dtype=float32)""",
    "floor_divide": """>>> jnp.floor_divide(jnp.array([7, -7]), 2)
Array([ 3, -4], dtype=int32)""",
    "fmax": """>>> jnp.fmax(jnp.array([1.0, jnp.nan]), 0.5)
Array([1. , 0.5], dtype=float32)""",
    "fmin": """>>> jnp.fmin(jnp.array([1.0, jnp.nan]), 0.5)
Array([0.5, 0.5], dtype=float32)""",
    "fmod": """>>> jnp.fmod(jnp.array([7, -7]), 3)
Array([ 1, -1], dtype=int32)""",
    "greater": """>>> jnp.greater(jnp.arange(3), 1)
Array([False, False,  True], dtype=bool)""",
    "greater_equal": """>>> jnp.greater_equal(jnp.arange(3), 1)
Array([False,  True,  True], dtype=bool)""",
    "heaviside": """>>> jnp.heaviside(jnp.array([-1.0, 0.0, 1.0]), 0.5)
Array([0. , 0.5, 1. ], dtype=float32)""",
    "hypot": """>>> jnp.hypot(jnp.array([3.0, 1e30]), jnp.array([4.0, 1e30]))
Array([5.0000000e+00, 1.4142135e+30], dtype=float32)""",
    "ifft": """>>> jnp.fft.ifft(jnp.array([0.0, 2.0, 0.0, 2.0])).round(4)
Array([ 1.+0.j,  0.+0.j, -1.+0.j,  0.+0.j], dtype=complex64)""",
    "ifft2": """>>> jnp.fft.ifft2(jnp.ones((2, 2))).round(4)
Array([[1.+0.j, 0.+0.j],
       [0.+0.j, 0.+0.j]], dtype=complex64)""",
    "ifftn": """>>> jnp.fft.ifftn(jnp.ones((2, 2, 2)))[0, 0, 0]
Array(1.+0.j, dtype=complex64)""",
    "imag": """>>> jnp.imag(jnp.array([1 + 2j]))
Array([2.], dtype=float32)""",
    "invert": """>>> jnp.invert(jnp.array([0, 5]))
Array([-1, -6], dtype=int32)""",
    "irfft": """>>> jnp.fft.irfft(jnp.array([0.0, 2.0, 0.0])).round(4)
Array([ 1.,  0., -1.,  0.], dtype=float32)""",
    "irfft2": """>>> jnp.fft.irfft2(jnp.fft.rfft2(jnp.eye(2))).round(4)
Array([[1., 0.],
       [0., 1.]], dtype=float32)""",
    "irfftn": """>>> jnp.fft.irfftn(jnp.fft.rfftn(jnp.eye(2))).round(4)
Array([[1., 0.],
       [0., 1.]], dtype=float32)""",
    "isfinite": """>>> jnp.isfinite(jnp.array([1.0, jnp.inf, jnp.nan]))
Array([ True, False, False], dtype=bool)""",
    "isinf": """>>> jnp.isinf(jnp.array([1.0, jnp.inf, jnp.nan]))
Array([False,  True, False], dtype=bool)""",
    "isnan": """>>> jnp.isnan(jnp.array([1.0, jnp.inf, jnp.nan]))
Array([False, False,  True], dtype=bool)""",
    "isneginf": """>>> jnp.isneginf(jnp.array([-jnp.inf, jnp.inf]))
Array([ True, False], dtype=bool)""",
    "isposinf": """>>> jnp.isposinf(jnp.array([-jnp.inf, jnp.inf]))
Array([False,  True], dtype=bool)""",
    "left_shift": """>>> jnp.left_shift(jnp.array([1, 3]), 2)
Array([ 4, 12], dtype=int32)""",
    "less": """>>> jnp.less(jnp.arange(3), 1)
Array([ True, False, False], dtype=bool)""",
    "less_equal": """>>> jnp.less_equal(jnp.arange(3), 1)
Array([ True,  True, False], dtype=bool)""",
    "log": """>>> jnp.log(jnp.array([1.0, jnp.e])).round(4)
Array([0., 1.], dtype=float32)""",
    "log10": """>>> jnp.log10(jnp.array([1.0, 1000.0])).round(4)
Array([0., 3.], dtype=float32)""",
    "log1p": """>>> jnp.log1p(jnp.array([0.0, 1e-6]))
Array([0.000000e+00, 9.999995e-07], dtype=float32)""",
    "log2": """>>> jnp.log2(jnp.array([1.0, 8.0])).round(4)
Array([0., 3.], dtype=float32)""",
    "logaddexp": """>>> jnp.logaddexp(jnp.array([0.0, 1000.0]), jnp.array([0.0, 1000.0])).round(4)
Array([6.9309998e-01, 1.0006932e+03], dtype=float32)""",
    "logaddexp2": """>>> jnp.logaddexp2(jnp.array([0.0, 1000.0]), jnp.array([0.0, 1000.0]))
Array([1.000e+00, 1.001e+03], dtype=float32)""",
    "logical_and": """>>> jnp.logical_and(jnp.array([0, 1, 2]), True)
Array([False,  True,  True], dtype=bool)""",
    "logical_not": """>>> jnp.logical_not(jnp.array([0, 1, 2]))
Array([ True, False, False], dtype=bool)""",
    "logical_or": """>>> jnp.logical_or(jnp.array([0, 1, 2]), False)
Array([False,  True,  True], dtype=bool)""",
    "logical_xor": """>>> jnp.logical_xor(jnp.array([0, 1, 2]), True)
Array([ True, False, False], dtype=bool)""",
    "max": """>>> jnp.max(jnp.array([[1, 5], [4, 2]]), axis=0)
Array([4, 5], dtype=int32)""",
    "maximum": """>>> jnp.maximum(jnp.array([1, 5]), jnp.array([4, 2]))
Array([4, 5], dtype=int32)""",
    "min": """>>> jnp.min(jnp.array([[1, 5], [4, 2]]), axis=0)
Array([1, 2], dtype=int32)""",
    "minimum": """>>> jnp.minimum(jnp.array([1, 5]), jnp.array([4, 2]))
Array([1, 2], dtype=int32)""",
    "mod": """>>> jnp.mod(jnp.array([7, -7]), 3)
Array([1, 2], dtype=int32)""",
    "multiply": """>>> jnp.multiply(jnp.arange(3), 10)
Array([ 0, 10, 20], dtype=int32)""",
    "negative": """>>> jnp.negative(jnp.array([1, -2]))
Array([-1,  2], dtype=int32)""",
    "not_equal": """>>> jnp.not_equal(jnp.arange(3), 1)
Array([ True, False,  True], dtype=bool)""",
    "positive": """>>> jnp.positive(jnp.array([-1, 2]))
Array([-1,  2], dtype=int32)""",
    "prod": """>>> jnp.prod(jnp.array([2, 3, 4]))
Array(24, dtype=int32)""",
    "rad2deg": """>>> jnp.rad2deg(jnp.array([jnp.pi])).round(4)
Array([180.], dtype=float32)""",
    "real": """>>> jnp.real(jnp.array([1 + 2j]))
Array([1.], dtype=float32)""",
    "reciprocal": """>>> jnp.reciprocal(jnp.array([2.0, 4.0]))
Array([0.5 , 0.25], dtype=float32)""",
    "rfft": """>>> jnp.fft.rfft(jnp.array([1.0, 0.0, -1.0, 0.0])).round(4)
Array([0.+0.j, 2.-0.j, 0.+0.j], dtype=complex64)""",
    "rfft2": """>>> jnp.fft.rfft2(jnp.ones((4, 4))).shape
(4, 3)""",
    "rfftn": """>>> jnp.fft.rfftn(jnp.ones((2, 4, 4))).shape
(2, 4, 3)""",
    "right_shift": """>>> jnp.right_shift(jnp.array([8, -8]), 2)
Array([ 2, -2], dtype=int32)""",
    "rint": """>>> jnp.rint(jnp.array([0.5, 1.5, 2.6]))
Array([0., 2., 3.], dtype=float32)""",
    "sign": """>>> jnp.sign(jnp.array([-2.5, 0.0, 3.0]))
Array([-1.,  0.,  1.], dtype=float32)""",
    "signbit": """>>> jnp.signbit(jnp.array([-0.0, 1.0]))
Array([ True, False], dtype=bool)""",
    "sin": """>>> jnp.sin(jnp.array([0.0, jnp.pi / 2])).round(4)
Array([0., 1.], dtype=float32)""",
    "sinh": """>>> jnp.sinh(jnp.array([0.0, 1.0])).round(4)
Array([0.    , 1.1752], dtype=float32)""",
    "sqrt": """>>> jnp.sqrt(jnp.array([4.0, 2.0])).round(4)
Array([2.    , 1.4142], dtype=float32)""",
    "square": """>>> jnp.square(jnp.array([2, -3]))
Array([4, 9], dtype=int32)""",
    "subtract": """>>> jnp.subtract(jnp.arange(3), 1)
Array([-1,  0,  1], dtype=int32)""",
    "sum": """>>> jnp.sum(jnp.array([[1, 2], [3, 4]]), axis=0)
Array([4, 6], dtype=int32)
>>> jnp.sum(jnp.arange(4.0), where=jnp.arange(4) > 1)
Array(5., dtype=float32)""",
    "tan": """>>> jnp.tan(jnp.array([0.0, 1.0])).round(4)
Array([0.    , 1.5574], dtype=float32)""",
    "tanh": """>>> jnp.tanh(jnp.array([0.0, 1.0])).round(4)
Array([0.    , 0.7616], dtype=float32)""",
    "trunc": """>>> jnp.trunc(jnp.array([1.7, -1.7]))
Array([ 1., -1.], dtype=float32)""",
}

"""Examples of functions of lax that tables make: what their docstrings end in."""

EXAMPLES = {
    "abs": """>>> lax.abs(jnp.array([-1.5, 2.0]))
Array([1.5, 2. ], dtype=float32)""",
    "acos": """>>> lax.acos(jnp.array([1.0, 0.0]))
Array([0.       , 1.5707964], dtype=float32)""",
    "acosh": """>>> lax.acosh(jnp.array([1.0]))
Array([0.], dtype=float32)""",
    "add": """>>> lax.add(jnp.array([1, 2]), jnp.array([10, 20]))
Array([11, 22], dtype=int32)""",
    "asin": """>>> lax.asin(jnp.array([0.0]))
Array([0.], dtype=float32)""",
    "asinh": """>>> lax.asinh(jnp.array([0.0]))
Array([0.], dtype=float32)""",
    "atan": """>>> lax.atan(jnp.array([0.0]))
Array([0.], dtype=float32)""",
    "atan2": """>>> lax.atan2(jnp.array([0.0]), jnp.array([1.0]))
Array([0.], dtype=float32)""",
    "atanh": """>>> lax.atanh(jnp.array([0.0]))
Array([0.], dtype=float32)""",
    "bessel_i0e": """>>> lax.bessel_i0e(jnp.array([0.0]))
Array([1.], dtype=float32)""",
    "bessel_i1e": """>>> lax.bessel_i1e(jnp.array([0.0]))
Array([0.], dtype=float32)""",
    "bitwise_and": """>>> lax.bitwise_and(jnp.array([6, 3]), 2)
Array([2, 2], dtype=int32)""",
    "bitwise_not": """>>> lax.bitwise_not(jnp.array([0, 5]))
Array([-1, -6], dtype=int32)""",
    "bitwise_or": """>>> lax.bitwise_or(jnp.array([4, 1]), 2)
Array([6, 3], dtype=int32)""",
    "bitwise_xor": """>>> lax.bitwise_xor(jnp.array([6, 3]), 2)
Array([4, 1], dtype=int32)""",
    "cbrt": """>>> lax.cbrt(jnp.array([0.0, 1.0]))
Array([0., 1.], dtype=float32)""",
    "ceil": """>>> lax.ceil(jnp.array([1.2, -1.2]))
Array([ 2., -1.], dtype=float32)""",
    "clz": """>>> lax.clz(jnp.array([1, 8]))
Array([31, 28], dtype=int32)""",
    "complex": """>>> lax.complex(jnp.array([1.0]), jnp.array([2.0]))
Array([1.+2.j], dtype=complex64)""",
    "cos": """>>> lax.cos(jnp.array([0.0]))
Array([1.], dtype=float32)""",
    "cosh": """>>> lax.cosh(jnp.array([0.0]))
Array([1.], dtype=float32)""",
    "cumlogsumexp": """>>> lax.cumlogsumexp(jnp.zeros(3)).round(4)
Array([0.    , 0.6931, 1.0986], dtype=float32)""",
    "cummax": """>>> lax.cummax(jnp.array([1, 3, 2]))
Array([1, 3, 3], dtype=int32)""",
    "cummin": """>>> lax.cummin(jnp.array([3, 1, 2]))
Array([3, 1, 1], dtype=int32)""",
    "cumprod": """>>> lax.cumprod(jnp.array([1, 2, 3]))
Array([1, 2, 6], dtype=int32)""",
    "cumsum": """>>> lax.cumsum(jnp.array([1, 2, 3]), reverse=True)
Array([6, 5, 3], dtype=int32)""",
    "digamma": """>>> lax.digamma(jnp.array([1.0])).round(4)
Array([-0.5772], dtype=float32)""",
    "div": """>>> lax.div(jnp.array([7, -7]), 2)
Array([ 3, -3], dtype=int32)""",
    "eq": """>>> lax.eq(jnp.array([1, 2]), jnp.array([1, 3]))
Array([ True, False], dtype=bool)""",
    "erf": """>>> lax.erf(jnp.array([0.0, 1.0])).round(4)
Array([0.    , 0.8427], dtype=float32)""",
    "erf_inv": """>>> lax.erf_inv(jnp.array([0.0, 0.5])).round(4)
Array([0.    , 0.4769], dtype=float32)""",
    "erfc": """>>> lax.erfc(jnp.array([0.0]))
Array([1.], dtype=float32)""",
    "exp": """>>> lax.exp(jnp.array([0.0, 1.0])).round(4)
Array([1.    , 2.7183], dtype=float32)""",
    "expm1": """>>> lax.expm1(jnp.array([0.0]))
Array([0.], dtype=float32)""",
    "floor": """>>> lax.floor(jnp.array([1.7, -1.7]))
Array([ 1., -2.], dtype=float32)""",
    "ge": """>>> lax.ge(jnp.array([1, 2]), jnp.array([1, 3]))
Array([ True, False], dtype=bool)""",
    "gt": """>>> lax.gt(jnp.array([1, 2]), jnp.array([0, 3]))
Array([ True, False], dtype=bool)""",
    "imag": """>>> lax.imag(jnp.array([1 + 2j]))
Array([2.], dtype=float32)""",
    "is_finite": """>>> lax.is_finite(jnp.array([1.0, jnp.inf, jnp.nan]))
Array([ True, False, False], dtype=bool)""",
    "le": """>>> lax.le(jnp.array([1, 2]), jnp.array([0, 3]))
Array([False,  True], dtype=bool)""",
    "lgamma": """>>> lax.lgamma(jnp.array([1.0, 5.0])).round(4)
Array([0.    , 3.1781], dtype=float32)""",
    "log": """>>> lax.log(jnp.array([1.0, 0.0]))
Array([  0., -inf], dtype=float32)""",
    "log1p": """>>> lax.log1p(jnp.array([0.0]))
Array([0.], dtype=float32)""",
    "logistic": """>>> lax.logistic(jnp.array([0.0, 1.0])).round(4)
Array([0.5   , 0.7311], dtype=float32)""",
    "lt": """>>> lax.lt(jnp.array([1, 2]), jnp.array([1, 3]))
Array([False,  True], dtype=bool)""",
    "max": """>>> lax.max(jnp.array([1, 5]), jnp.array([4, 2]))
Array([4, 5], dtype=int32)""",
    "min": """>>> lax.min(jnp.array([1, 5]), jnp.array([4, 2]))
Array([1, 2], dtype=int32)""",
    "mul": """>>> lax.mul(jnp.array([1, 2]), 10)
Array([10, 20], dtype=int32)""",
    "mulhi": """>>> lax.mulhi(jnp.array([2**30]), jnp.array([8]))
Array([2], dtype=int32)""",
    "ne": """>>> lax.ne(jnp.array([1, 2]), jnp.array([1, 3]))
Array([False,  True], dtype=bool)""",
    "neg": """>>> lax.neg(jnp.array([1, -2]))
Array([-1,  2], dtype=int32)""",
    "nextafter": """>>> lax.nextafter(jnp.float32(1), jnp.float32(2)) > 1
Array(True, dtype=bool)""",
    "polygamma": """>>> lax.polygamma(jnp.array([1.0]), jnp.array([1.0])).round(4)
Array([1.6449], dtype=float32)""",
    "population_count": """>>> lax.population_count(jnp.array([7, 8]))
Array([3, 1], dtype=int32)""",
    "real": """>>> lax.real(jnp.array([1 + 2j]))
Array([1.], dtype=float32)""",
    "reduce_and": """>>> lax.reduce_and(jnp.array([True, False]), (0,))
Array(False, dtype=bool)""",
    "reduce_max": """>>> lax.reduce_max(jnp.array([[1, 5], [4, 2]]), (0,))
Array([4, 5], dtype=int32)""",
    "reduce_min": """>>> lax.reduce_min(jnp.array([[1, 5], [4, 2]]), (0,))
Array([1, 2], dtype=int32)""",
    "reduce_or": """>>> lax.reduce_or(jnp.array([True, False]), (0,))
Array(True, dtype=bool)""",
    "reduce_prod": """>>> lax.reduce_prod(jnp.array([2, 3, 4]), (0,))
Array(24, dtype=int32)""",
    "reduce_sum": """>>> lax.reduce_sum(jnp.array([[1, 5], [4, 2]]), (1,))
Array([6, 6], dtype=int32)""",
    "rem": """>>> lax.rem(jnp.array([7, -7]), 3)
Array([ 1, -1], dtype=int32)""",
    "rsqrt": """>>> lax.rsqrt(jnp.array([4.0, 0.25]))
Array([0.5, 2. ], dtype=float32)""",
    "scatter": """>>> at = lax.ScatterDimensionNumbers((), (0,), (0,))
>>> lax.scatter(jnp.zeros(3), jnp.array([[2], [0]]), jnp.array([5.0, 7.0]), at)
Array([7., 0., 5.], dtype=float32)""",
    "scatter_add": """>>> at = lax.ScatterDimensionNumbers((), (0,), (0,))
>>> lax.scatter_add(jnp.ones(3), jnp.array([[2], [2]]), jnp.array([5.0, 7.0]), at)
Array([ 1.,  1., 13.], dtype=float32)""",
    "scatter_max": """>>> at = lax.ScatterDimensionNumbers((), (0,), (0,))
>>> lax.scatter_max(jnp.ones(3), jnp.array([[2], [0]]), jnp.array([5.0, 0.0]), at)
Array([1., 1., 5.], dtype=float32)""",
    "scatter_min": """>>> at = lax.ScatterDimensionNumbers((), (0,), (0,))
>>> lax.scatter_min(jnp.ones(3), jnp.array([[2], [0]]), jnp.array([5.0, 0.0]), at)
Array([0., 1., 1.], dtype=float32)""",
    "scatter_mul": """>>> at = lax.ScatterDimensionNumbers((), (0,), (0,))
>>> lax.scatter_mul(jnp.full(3, 2.0), jnp.array([[2], [0]]), jnp.array([5.0, 7.0]), at)
Array([14.,  2., 10.], dtype=float32)""",
    "shift_left": """>>> lax.shift_left(jnp.array([1, 3]), 2)
Array([ 4, 12], dtype=int32)""",
    "shift_right_arithmetic": """>>> lax.shift_right_arithmetic(jnp.array([8, -8]), 2)
Array([ 2, -2], dtype=int32)""",
    "shift_right_logical": """>>> lax.shift_right_logical(jnp.array([8, -8]), 2)
Array([         2, 1073741822], dtype=int32)""",
    "sign": """>>> lax.sign(jnp.array([-2.5, 0.0, 3.0]))
Array([-1.,  0.,  1.], dtype=float32)""",
    "sin": """>>> lax.sin(jnp.array([0.0]))
Array([0.], dtype=float32)""",
    "sinh": """>>> lax.sinh(jnp.array([0.0]))
Array([0.], dtype=float32)""",
    "sqrt": """>>> lax.sqrt(jnp.array([4.0, 0.25]))
Array([2. , 0.5], dtype=float32)""",
    "sub": """>>> lax.sub(jnp.array([1, 2]), 10)
Array([-9, -8], dtype=int32)""",
    "tan": """>>> lax.tan(jnp.array([0.0]))
Array([0.], dtype=float32)""",
    "tanh": """>>> lax.tanh(jnp.array([0.0, 1.0])).round(4)
Array([0.    , 0.7616], dtype=float32)""",
    "zeta": """>>> lax.zeta(jnp.array([2.0]), jnp.array([1.0])).round(4)
Array([1.6449], dtype=float32)""",
}

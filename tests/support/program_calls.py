"""More random statements without bodies: calls of what `program_steps` leaves out.

Complex numbers, Fourier transforms, small systems of equations, windows, segments, random
numbers, collectives over the named axes of vmap, and compositions of NumPy.
"""

from __future__ import annotations

import numpy as np
from program_scope import MOST, Scope, Unable
from program_text import Known

from arraylib import dtypes as dt

WIDE = (dt.float32, dt.float64)


def _wide(k: Known) -> bool:
    """Of a dtype that transforms and factorisations take."""
    return k.dtype in WIDE


# -- complex numbers -------------------------------------------------------------------------------

# Of a complex operand of magnitude up to 1, and the largest magnitude of the result.
OF_COMPLEX = (
    ("jnp.conj({z})", 1), ("-{z}", 1), ("{z} * {z}", 1), ("{z} * (0.5 - 0.25j)", 1),
    ("jnp.exp({z})", 3), ("jnp.sin({z})", 2), ("jnp.cosh({z})", 2), ("jnp.sqrt({z} + 3)", 2),
    ("jnp.log({z} + 3)", 2), ("1 / ({z} + 3)", 1), ("jnp.tanh({z})", 2), ("{z} ** 3", 1),
    ("jnp.square({z})", 1), ("lax.integer_pow({z} + 2, -2)", 1))
TO_REAL = ("jnp.real({z})", "jnp.imag({z})", "jnp.abs({z} + 2)", "jnp.angle({z} + 2)",
           "jnp.square(jnp.abs({z} - 3))")


def make_complex(s: Scope) -> None:
    x = s.pick(_wide)
    k = s.known(x)
    y = s.pick(lambda v: v.dtype == k.dtype and v.shape == k.shape)
    text, bound = s.choice(((f"lax.complex({x}, {y})", k.bound + s.known(y).bound),
                            (f"{x} + 1j * {y}", k.bound + s.known(y).bound),
                            (f"{x} * (1 - 2j)", 3 * k.bound),
                            (f"jnp.exp(1j * jnp.sin({x}))", 1)))
    s.emit(text, False, bound)


def _unit(s: Scope, z: str) -> str:
    bound = s.known(z).bound
    return z if bound <= 1 else f"({z} * {1 / bound:.3g})"


def of_complex(s: Scope) -> None:
    z = s.pick(lambda k: k.kind == "c")
    text, bound = s.choice(OF_COMPLEX)
    s.emit(text.format(z=_unit(s, z)), False, bound)


def complex_pair(s: Scope) -> None:
    z = s.pick(lambda k: k.kind == "c")
    a = s.known(z)
    w = s.pick(lambda k: k.kind in "cf" and _broadcasts(a.shape, k.shape))
    b = s.known(w)
    text, bound = s.choice((("{z} + {w}", a.bound + b.bound), ("{w} - {z}", a.bound + b.bound),
                            ("{z} * {w}", a.bound * b.bound),
                            ("{z} / (jnp.square(jnp.abs({w})) + 1)", a.bound)))
    s.emit(text.format(z=z, w=w), False, bound)


def to_real(s: Scope) -> None:
    z = s.pick(lambda k: k.kind == "c")
    s.emit(s.choice(TO_REAL).format(z=_unit(s, z)), False, 16)


def fourier(s: Scope) -> None:
    x = s.pick(lambda k: k.rank > 0 and k.size > 0 and (_wide(k) or k.kind == "c"))
    k = s.known(x)
    axis = s.integer(-k.rank, k.rank - 1)
    n = k.shape[axis]
    choices = [f"jnp.fft.fft({x}, axis={axis})", f"jnp.fft.ifft({x}, axis={axis})",
               f"jnp.fft.fft({x}, n={n + 2}, axis={axis})", f"jnp.fft.fftshift({x})"]
    if k.kind == "f":
        choices += [f"jnp.fft.rfft({x}, axis={axis})"] * 2
    elif n > 1:
        choices += [f"jnp.fft.irfft({x}, axis={axis})"] * 2
    if k.rank > 1:
        choices += [f"jnp.fft.fft2({x})"]
    s.emit(s.choice(choices), False, k.size * k.bound)


# -- systems of equations --------------------------------------------------------------------------


def linalg(s: Scope) -> None:
    """Of well conditioned matrices up to 7 by 7."""
    x = s.pick(lambda k: _wide(k) and 2 <= k.rank <= 3 and 0 < k.shape[-1] <= 7
               and k.shape[-1] == k.shape[-2])
    k = s.known(x)
    n = k.shape[-1]
    a = f"(jnp.sin({x}) * {0.5 / n:.3g} + jnp.eye({n}, dtype={x}.dtype))"
    definite = f"({a} @ jnp.swapaxes({a}, -1, -2))"
    text, bound = s.choice((
        (f"jnp.linalg.inv({a})", 3), (f"jnp.linalg.solve({a}, jnp.cos({x}))", 4),
        (f"jnp.linalg.det({a})", 4), (f"jnp.linalg.slogdet({a})[1]", 4),
        (f"jnp.linalg.cholesky({definite})", 3), (f"jnp.linalg.qr({a})[1] ** 2", 9),
        (f"lax.linalg.triangular_solve({a}, jnp.cos({x}), lower=True, left_side=True)", 8),
        (f"jnp.linalg.norm({x}, axis=-1) * 0 + jnp.linalg.norm({a}, axis=-1)", 3),
        (f"jnp.linalg.matrix_power({a}, 3)", 9)))
    s.emit(text, False, bound)


# -- windows and convolutions ----------------------------------------------------------------------


def windows(s: Scope) -> None:
    x = s.pick(lambda k: 1 <= k.rank <= 3 and k.size > 0 and k.kind in "if")
    k = s.known(x)
    dims = tuple(s.integer(1, 3) for _ in k.shape)
    strides = tuple(s.integer(1, 2) for _ in k.shape)
    padding = s.choice(("SAME", "VALID"))
    if padding == "VALID" and any(d > n for d, n in zip(dims, k.shape)):
        raise Unable
    zero = f"np.array(0, {x}.dtype)"
    s.emit(f"lax.reduce_window({x}, {zero}, lax.add, {dims}, {strides}, '{padding}')", k.exact,
           k.bound * float(np.prod(dims)) if k.kind == "f" else np.inf)


def convolution(s: Scope) -> None:
    x = s.pick(lambda k: k.rank == 3 and 0 < k.size <= 400 and k.kind == "f")
    k = s.known(x)
    kernel = f"{x}[:{s.integer(1, 3)}, :, :{s.integer(1, 3)}]"
    how = s.choice(("'SAME'", "'VALID'", "[(1, 2)], lhs_dilation=(2,)",
                    "'SAME', rhs_dilation=(2,)"))
    text = f"lax.conv_general_dilated({x}, {kernel}, ({s.integer(1, 2)},), {how})"
    s.emit(text, k.exact, 3 * k.shape[1] * k.bound ** 2)


# -- scans, segments and sorting by keys -----------------------------------------------------------


def associative(s: Scope) -> None:
    x = s.pick(lambda k: 1 <= k.rank and k.kind in "iuf" and k.shape[0] <= 33 and k.size > 0)
    k = s.known(x)
    reverse = ", reverse=True" if s.chance(0.4) else ""
    if k.kind == "f" and s.chance(0.6):
        affine = "lambda p, q: (p[0] * q[0], q[0] * p[1] + q[1])"
        s.emit(f"lax.associative_scan({affine}, (jnp.sin({x}), {x}){reverse})[1]", False,
               k.bound * k.shape[0])
        return
    kind, bound = s.choice((("add", k.bound * k.shape[0]), ("maximum", k.bound)))
    if kind == "maximum" and k.kind == "f":  # where floats tie, the derivative is a matter of taste
        raise Unable
    s.emit(f"lax.associative_scan(jnp.{kind}, {x}, axis={s.integer(0, k.rank - 1)}{reverse})",
           k.exact, bound if k.kind == "f" else np.inf)


def segments(s: Scope) -> None:
    x = s.pick(lambda k: k.rank > 0 and k.kind in "if" and k.size > 0)
    k = s.known(x)
    ids = s.pick(lambda i: i.kind in "iu" and i.shape == k.shape[:1] and i.dtype != dt.uint64)
    count = s.integer(1, 5)
    wide = f"{ids}.astype('int32')" if s.known(ids).dtype.itemsize < 4 else ids
    s.emit(f"m.ops.segment_sum({x}, {wide} % {count}, num_segments={count})", k.exact,
           k.bound * k.shape[0] if k.kind == "f" else np.inf)


def sort_by_keys(s: Scope) -> None:
    x = s.pick(lambda k: k.rank > 0 and k.exact and k.kind in "iuf")
    k = s.known(x)
    y = s.pick(lambda v: v.shape == k.shape and v.kind in "iuf")
    axis = s.integer(0, k.rank - 1)
    s.emit(f"lax.sort(({x}, {y}), dimension={axis}, num_keys=1)[1]", s.known(y).exact,
           s.known(y).bound)


def indexed(s: Scope) -> None:
    """Reads and writes at pairs of indices, some out of bounds, in every mode."""
    x = s.pick(lambda k: k.rank >= 2 and k.size > 0 and k.kind in "iuf")
    k = s.known(x)
    rows = s.rng.integers(-k.shape[0] - 1, k.shape[0] + 2, 4).tolist()
    columns = s.rng.integers(0, k.shape[1], 4).tolist()
    i, j = (f"np.array({v}, 'int32')" for v in (rows, columns))
    n = s.pick(lambda v: v.kind == "i" and v.rank == 0 and v.dtype == dt.int32)
    at = s.choice((f"{i} + {n} % 2, {j}", f"({n} + {i}) % 2, {j}", f"..., {j}[::-1] * ({n} % 2)",
                   f"({n} % 3) + {i}, None, {j}[:, None]"))
    if s.chance(0.6):
        mode = s.choice(("mode='fill', fill_value=0", "mode='clip'", "mode='drop', fill_value=1"))
        if k.size > MOST / 8:
            raise Unable
        s.emit(f"{x}.at[{at}].get({mode})", k.exact, k.bound + 1)
        return
    kind, bound = s.choice((("add", 5 * k.bound + 5), ("set", k.bound + 2)))
    value = "1" if kind == "set" else f"{x}[0, 0]" if k.rank == 2 else "1"
    s.emit(f"{x}.at[{at}].{kind}({value}, mode='{s.choice(('drop', 'clip'))}')", k.exact,
           bound if k.kind == "f" else np.inf)


def masked(s: Scope) -> None:
    """Reductions with `where`."""
    x = s.pick(lambda k: k.kind == "f" and k.rank > 0 and k.size > 0)
    k = s.known(x)
    mask = s.pick(lambda m: m.kind == "b" and _broadcasts(k.shape, m.shape)
                  and np.broadcast_shapes(k.shape, m.shape) == k.shape)
    axis = s.integer(-k.rank, k.rank - 1)
    text, exact, bound = s.choice((
        (f"jnp.max({x}, axis={axis}, where={mask}, initial=-9)", k.exact, max(k.bound, 9)),
        (f"jnp.min({x}, where={mask}, initial=9)", k.exact, max(k.bound, 9)),
        (f"jnp.nan_to_num(jnp.mean({x}, axis={axis}, where={mask}))", False, k.bound),
        (f"jnp.var({x}, axis={axis}, where={mask} | True)", False, k.bound ** 2),
        (f"nn.softmax({x}, axis={axis}, where={mask} | True)", False, 1)))
    s.emit(text, exact, bound)


# -- random numbers --------------------------------------------------------------------------------


def random(s: Scope) -> None:
    """The numbers that a key gives, which are JAX's; `jnp.float32`, for doubles differ."""
    n = s.pick(lambda k: k.kind == "i" and k.rank == 0 and k.dtype == dt.int32)
    key = f"m.random.key({n})"
    if s.chance(0.4):
        key = f"m.random.split(m.random.fold_in(m.random.key(3), {n}))[1]"
    shape = s.shape(s.integer(0, 2))
    text, exact, bound = s.choice((
        (f"m.random.normal({key}, {shape}, jnp.float32)", False, 7),
        (f"m.random.uniform({key}, {shape}, jnp.float32)", False, 1),
        (f"m.random.randint({key}, {shape}, -5, 9, jnp.int32)", True, 9),
        (f"m.random.bits({key}, {shape}, jnp.uint8)", True, 255),
        (f"m.random.bernoulli({key}, 0.3, {shape})", True, 1),
        (f"m.random.permutation({key}, {s.integer(1, 9)})", True, 9)))
    s.emit(text, exact, bound)


# -- collectives -----------------------------------------------------------------------------------


def collective(s: Scope) -> None:
    """Over a named axis of vmap, where there is one."""
    if not s.axes:
        raise Unable
    axis, n = s.choice(s.axes.items())
    x = s.pick(lambda k: k.kind in "iuf" and k.size * n <= MOST)
    k = s.known(x)
    shift = [(i, (i + 1) % n) for i in range(n)]
    choices = [(f"lax.psum({x}, '{axis}')", k.exact, n * k.bound)] * 2 + [
        (f"lax.all_gather({x}, '{axis}')", k.exact, k.bound),
        (f"lax.ppermute({x}, '{axis}', {shift})", k.exact, k.bound),
        (f"lax.axis_index('{axis}')", True, n)]
    if k.kind == "f":
        choices.append((f"lax.pmean({x}, '{axis}')", False, k.bound))
    else:
        choices.append((f"lax.pmax({x}, '{axis}')", True, k.bound))
    if k.rank and k.shape[0] == n:
        choices += [(f"lax.all_to_all({x}, '{axis}', 0, 0)", k.exact, k.bound),
                    (f"lax.psum_scatter({x}, '{axis}')", k.exact, n * k.bound)]
    if k.rank:
        choices.append((f"lax.all_gather({x}, '{axis}', axis=0, tiled=True)", k.exact, k.bound))
    text, exact, bound = s.choice(choices)
    s.emit(text, exact, np.inf if k.kind == "u" else bound)


# -- compositions ----------------------------------------------------------------------------------

# Of a float of magnitude up to 3; the result is up to 40. Not at kinks, where JAX has other slopes
# than NumPy's sign gives: 1 for |x| at 0, and so for i0, too, which has none.
OF_FLOATS = (
    "nn.relu6({x} + 0.17)", "nn.selu({x} + 0.17)", "nn.celu({x} + 0.17)", "nn.hard_tanh({x} * 0.3)",
    "nn.log_sigmoid({x})", "nn.soft_sign({x} + 0.17)", "nn.squareplus({x})", "nn.mish({x})",
    "nn.gelu({x}, approximate=False)", "nn.hard_silu({x} + 0.17)", "nn.swish({x})",
    "lax.lgamma(jnp.square({x}) + 1)", "lax.digamma(jnp.square({x}) + 1)",
    "lax.erf_inv(jnp.sin({x}) * 0.7)", "lax.bessel_i0e({x})", "lax.bessel_i1e({x})",
    "jnp.polyval(np.array([0.5, -1, 2], 'float32'), {x})", "jnp.heaviside({x} + 9, 0.5)",
    "jnp.logaddexp2({x}, 1)", "jnp.float_power(jnp.square({x}) + 1, 0.5)",
    "jnp.interp({x}, np.array([-2.37, -0.41, 1.13, 2.61]), np.array([1., -2., 0.5, 3.]))",
    "jnp.i0(jnp.sin({x}) + 1.5)", "jnp.copysign(jnp.square({x}) + 1, 2)",
    "lax.integer_pow(jnp.square({x}) + 1, -3)", "jnp.clip({x}, -2.125, 2.0625)",
    "jnp.select([{x} > 99, {x} < 99], [{x} * 2, {x} * 3], 1)",
    "lax.reduce_precision({x}, 11, 52)", "nn.sparse_plus({x} * 0.25)",
    "m.scipy.special.xlogy(jnp.square({x}) + 1, jnp.square({x}) + 2)",
    "m.scipy.special.ndtr({x}.astype('float32'))",
    "m.scipy.special.log_ndtr({x}.astype('float32'))",
    "m.scipy.special.entr(jnp.square({x}) + 0.5)",
)
# Of a float with axes: text, and by how much the magnitude grows.
OF_AXES = (
    ("jnp.quantile({x}, 0.3, axis={a})", 1), ("jnp.median({x}, axis={a})", 1),
    ("jnp.std({x} + jnp.arange({n}).reshape({column}), axis={a})", 40),
    ("jnp.average({x}, axis={a}, weights=np.arange(1., {n} + 1))", 1),
    ("lax.cumlogsumexp({x}, axis={b})", 8), ("jnp.trapezoid({x}, axis={a})", 40),
    ("m.scipy.special.logsumexp({x}, axis={a}, b=0.5)", 8), ("nn.glu({x}[..., None] * np.ones(4"
     ", 'float32'))", 1), ("jnp.nanmean({x}, axis={a})", 1),
    ("jnp.linalg.norm({x} + 9, axis={a})", 60), ("jnp.cov(jnp.ravel({x}), ddof=0)", 40),
    ("jnp.apply_along_axis(lambda r: r * r.sum(), {b}, {x})", 40),
    ("jnp.vectorize(jnp.dot, signature='(n),(n)->()')({x}, jnp.sin({x}))", 40),
)
# Of any numbers with axes, exact where they are; by how much the magnitude grows.
MOVING = (
    ("jnp.diff({x}, axis={a})", 2), ("jnp.append({x}, {x}, axis={a})", 1),
    ("jnp.delete({x}, 0, axis={a})", 1), ("jnp.insert({x}, 0, 3, axis={a})", 3),
    ("jnp.split({x}, [1], axis={a})[1]", 1), ("jnp.diag(jnp.ravel({x})[:9])", 1),
    ("jnp.meshgrid(jnp.ravel({x})[:5], jnp.arange(3))[0]", 1), ("jnp.flipud({x})", 1),
    ("jnp.kron({x}, np.array([1, 2, 0], 'int8'))", 2), ("jnp.ediff1d({x})", 2),
    ("jnp.block([[jnp.ravel({x})[:4], jnp.ravel({x})[:2]]])", 1), ("jnp.atleast_3d({x})", 1),
    ("jnp.hstack([{x}, {x}])", 1), ("jnp.dstack([{x}, {x}])", 1), ("jnp.ptp({x}, axis={a})", 2),
    ("jnp.vander(jnp.ravel({x})[:4], 2)", 1), ("jnp.nansum({x}, axis={a})", 130),
    ("jnp.take({x}, 0, axis={a})", 1),
    ("lax.reduce({x}, np.array(0, {x}.dtype), lax.add, ({b},))", 130),
    ("lax.slice_in_dim({x}, 0, None, 2, {b})", 1), ("jnp.resize({x}, (3, 2))", 1),
    ("jnp.trace(jnp.outer({x}[..., 0].ravel()[:3], jnp.ones(2, '{dtype}')))", 3),
)
# Of exact numbers. Places among sorted ones have NumPy's dtype, which is not always JAX's.
OF_EXACT = (
    "jnp.searchsorted(np.array([-3, 0, 2, 4]), {x}).astype('int32')",
    "jnp.digitize({x}, np.array([-3, 0, 2, 4])).astype('int32')",
    "jnp.bincount(jnp.abs({x}).ravel().astype('int32') % 5, length=5)",
    "jnp.unique({x}, size=4, fill_value=0)", "jnp.nonzero({x}, size=3, fill_value=-1)[0]",
    "jnp.isin({x}, np.array([1, 2, 5]))", "jnp.lexsort((jnp.ravel({x}), -jnp.ravel({x}) % 3))",
    "jnp.cumsum({x} > 0)", "jnp.argsort(jnp.ravel({x}), stable=True)[::-1]",
    "jnp.array_equal({x}, {x})", "jnp.isclose({x}, 2)", "lax.argmax(jnp.ravel({x}), 0, np.int32)",
    "jnp.gcd(jnp.abs({x}).astype('int32') % 30, 12)", "jnp.partition(jnp.ravel({x}) % 7, 0)[0]",
)


def of_floats(s: Scope) -> None:
    x = s.pick(lambda k: k.kind == "f" and k.bound <= 1000)
    bound = s.known(x).bound
    small = x if bound <= 3 else f"({x} * {3 / bound:.3g})"
    s.emit(s.choice(OF_FLOATS).format(x=small), False, 40)


def _places(s: Scope, k: Known) -> dict[str, object]:
    b = s.integer(0, k.rank - 1)
    column = tuple(-1 if i == b else 1 for i in range(k.rank))
    return {"a": b - k.rank if s.chance(0.5) else b, "b": b, "n": k.shape[b], "column": column,
            "dtype": k.dtype.name}


def of_axes(s: Scope) -> None:
    x = s.pick(lambda k: k.kind == "f" and k.rank > 0 and k.size > 0)
    k = s.known(x)
    text, growth = s.choice(OF_AXES)
    s.emit(text.format(x=x, **_places(s, k)), False,
           max(growth * max(k.bound, 1), k.bound ** 2 * k.shape[-1]))


def moving(s: Scope) -> None:
    x = s.pick(lambda k: k.kind in "if" and k.rank > 0 and k.size > 0)
    k = s.known(x)
    text, growth = s.choice(MOVING)
    s.emit(text.format(x=x, **_places(s, k)), k.exact,
           growth * max(k.bound, 3) if k.kind == "f" else np.inf)


def of_exact(s: Scope) -> None:
    x = s.pick(lambda k: k.kind in "if" and k.exact and k.rank > 0 and k.size > 0)
    s.emit(s.choice(OF_EXACT).format(x=x), True, MOST)


def _broadcasts(*shapes: tuple[int, ...]) -> bool:
    try:
        return bool(np.prod(np.broadcast_shapes(*shapes)) <= MOST)
    except ValueError:
        return False


CALLS = (
    (4, make_complex), (3, of_complex), (3, complex_pair), (4, to_real), (2, fourier), (4, linalg),
    (3, windows), (3, convolution), (4, associative), (3, segments), (2, sort_by_keys),
    (4, indexed), (3, masked), (3, random), (4, of_floats), (4, of_axes), (4, moving),
    (3, of_exact),
)

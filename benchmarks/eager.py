"""Microseconds of a call outside of jit, of the names of JAX that programs use most.

    python -m benchmarks.eager [PART OF A NAME ...]

Arrays of 4 and of 4x4 elements, float32 and int32, after three calls like it and after a hundred.
"""

import sys
import time
from statistics import median

import numpy as np

import arraylib
import arraylib.numpy as jnp
from arraylib import lax, nn, random

CASES = {
    # arithmetic, element by element
    "x + y": lambda x: x + x,
    "x * 2": lambda x: x * 2,
    "2.5 - x": lambda x: 2.5 - x,
    "x / y": lambda x: x / x,
    "x // 3": lambda x: x // 3,
    "x % 3": lambda x: x % 3,
    "x ** 2": lambda x: x**2,
    "x ** y": lambda x: x**x,
    "-x": lambda x: -x,
    "abs(x)": lambda x: abs(x),
    "x > 0": lambda x: x > 0,
    "x == y": lambda x: x == x,
    "x @ y": lambda x: x @ x,
    "sqrt": lambda x: jnp.sqrt(x),
    "exp": lambda x: jnp.exp(x),
    "log": lambda x: jnp.log(x),
    "log1p": lambda x: jnp.log1p(x),
    "tanh": lambda x: jnp.tanh(x),
    "sin": lambda x: jnp.sin(x),
    "power": lambda x: jnp.power(x, 3),
    "arctan2": lambda x: jnp.arctan2(x, x),
    "hypot": lambda x: jnp.hypot(x, x),
    "logaddexp": lambda x: jnp.logaddexp(x, x),
    "maximum": lambda x: jnp.maximum(x, x),
    "minimum": lambda x: jnp.minimum(x, 1),
    "abs": lambda x: jnp.abs(x),
    "square": lambda x: jnp.square(x),
    "sign": lambda x: jnp.sign(x),
    "floor": lambda x: jnp.floor(x),
    "round": lambda x: jnp.round(x),
    "clip": lambda x: jnp.clip(x, 0, 2),
    "mod": lambda x: jnp.mod(x, 3),
    "where": lambda x: jnp.where(x > 0, x, x),
    "where with a number": lambda x: jnp.where(x > 0, x, 0),
    "isfinite": lambda x: jnp.isfinite(x),
    "isnan": lambda x: jnp.isnan(x),
    "logical_and": lambda x: jnp.logical_and(x, x),
    "logical_not": lambda x: jnp.logical_not(x),
    "equal": lambda x: jnp.equal(x, x),
    "nan_to_num": lambda x: jnp.nan_to_num(x),
    "isclose": lambda x: jnp.isclose(x, x),
    "conj": lambda x: jnp.conj(x),
    "real": lambda x: jnp.real(x),
    "astype": lambda x: x.astype(jnp.float16),
    "jnp.astype": lambda x: jnp.astype(x, jnp.int8),
    # over axes
    "sum": lambda x: jnp.sum(x),
    "x.sum(-1)": lambda x: x.sum(-1),
    "prod": lambda x: jnp.prod(x),
    "mean": lambda x: jnp.mean(x),
    "x.mean(0)": lambda x: x.mean(0),
    "var": lambda x: jnp.var(x),
    "std": lambda x: jnp.std(x),
    "max": lambda x: jnp.max(x),
    "x.min(axis=0)": lambda x: x.min(axis=0),
    "any": lambda x: jnp.any(x),
    "all": lambda x: jnp.all(x),
    "argmax": lambda x: jnp.argmax(x),
    "x.argmin(-1)": lambda x: x.argmin(-1),
    "count_nonzero": lambda x: jnp.count_nonzero(x),
    "allclose": lambda x: jnp.allclose(x, x),
    "cumsum": lambda x: jnp.cumsum(x),
    "x.cumprod(-1)": lambda x: x.cumprod(-1),
    "diff": lambda x: jnp.diff(x),
    "sort": lambda x: jnp.sort(x),
    "argsort": lambda x: jnp.argsort(x),
    "median": lambda x: jnp.median(x),
    "searchsorted": lambda x: jnp.searchsorted(x.ravel(), x),
    "logsumexp": lambda x: nn.logsumexp(x),
    # products
    "dot": lambda x: jnp.dot(x, x),
    "matmul": lambda x: jnp.matmul(x, x),
    "vdot": lambda x: jnp.vdot(x, x),
    "outer": lambda x: jnp.outer(x, x),
    "tensordot": lambda x: jnp.tensordot(x, x, axes=1),
    "einsum": lambda x: jnp.einsum("...i,...i->...", x, x),
    "einsum of one": lambda x: jnp.einsum("...i->i...", x),
    "trace": lambda x: jnp.trace(x.reshape(2, -1)),
    "linalg.norm": lambda x: jnp.linalg.norm(x),
    # shapes
    "x[3]": lambda x: x[3],
    "x[1:5]": lambda x: x[1:5],
    "x[..., None]": lambda x: x[..., None],
    "x[places]": lambda x: x[PLACES],
    "x[mask]": lambda x: x[MASK],
    "x[1] by an array": lambda x: x[ONE],
    "x.at[1].set(0)": lambda x: x.at[1].set(0),
    "x.at[1:3].add(1)": lambda x: x.at[1:3].add(1),
    "x.at[places].add(x)": lambda x: x.at[PLACES].add(1),
    "take": lambda x: jnp.take(x, PLACES, axis=0),
    "take_along_axis": lambda x: jnp.take_along_axis(x, (x > 0).astype(int), axis=-1),
    "reshape": lambda x: jnp.reshape(x, (2, -1)),
    "x.ravel()": lambda x: x.ravel(),
    "x.T": lambda x: x.T,
    "transpose": lambda x: jnp.transpose(x),
    "moveaxis": lambda x: jnp.moveaxis(x, 0, -1),
    "expand_dims": lambda x: jnp.expand_dims(x, 0),
    "squeeze": lambda x: jnp.squeeze(x),
    "broadcast_to": lambda x: jnp.broadcast_to(x, (4, 4)),
    "concatenate": lambda x: jnp.concatenate([x, x]),
    "stack": lambda x: jnp.stack([x, x]),
    "append": lambda x: jnp.append(x, x),
    "split": lambda x: jnp.split(x, 2),
    "pad": lambda x: jnp.pad(x, 1),
    "roll": lambda x: jnp.roll(x, 1),
    "flip": lambda x: jnp.flip(x),
    "tile": lambda x: jnp.tile(x, 2),
    "repeat": lambda x: jnp.repeat(x, 2),
    "diag": lambda x: jnp.diag(x),
    "tril": lambda x: jnp.tril(x.reshape(2, -1)),
    "atleast_1d": lambda x: jnp.atleast_1d(x),
    "meshgrid": lambda x: jnp.meshgrid(x, x),
    # made of nothing
    "array of a list": lambda x: jnp.array([1, 2, 3]),
    "array of an array": lambda x: jnp.array(x),
    "asarray": lambda x: jnp.asarray(x),
    "asarray of NumPy's": lambda x: jnp.asarray(NUMPYS),
    "zeros": lambda x: jnp.zeros(4),
    "ones": lambda x: jnp.ones((2, 2)),
    "full": lambda x: jnp.full((2,), 3),
    "zeros_like": lambda x: jnp.zeros_like(x),
    "arange": lambda x: jnp.arange(4),
    "linspace": lambda x: jnp.linspace(0, 1, 5),
    "eye": lambda x: jnp.eye(3),
    # lax
    "lax.add": lambda x: lax.add(x, x),
    "lax.max": lambda x: lax.max(x, x),
    "lax.exp": lambda x: lax.exp(x),
    "lax.rsqrt": lambda x: lax.rsqrt(x),
    "lax.select": lambda x: lax.select(x > 0, x, x),
    "lax.stop_gradient": lambda x: lax.stop_gradient(x),
    "lax.convert_element_type": lambda x: lax.convert_element_type(x, jnp.int8),
    "lax.dynamic_slice": lambda x: lax.dynamic_slice(x, (1,) * x.ndim, (2,) * x.ndim),
    "lax.dynamic_update_slice": lambda x: lax.dynamic_update_slice(x, x[:1], (1,) * x.ndim),
    "lax.top_k": lambda x: lax.top_k(x, 2),
    "lax.iota": lambda x: lax.iota(jnp.int32, 4),
    # nn
    "nn.relu": lambda x: nn.relu(x),
    "nn.sigmoid": lambda x: nn.sigmoid(x),
    "nn.gelu": lambda x: nn.gelu(x),
    "nn.softplus": lambda x: nn.softplus(x),
    "nn.softmax": lambda x: nn.softmax(x),
    "nn.log_softmax": lambda x: nn.log_softmax(x),
    "nn.one_hot": lambda x: nn.one_hot(x.astype(int), 4),
    # random
    "random.key": lambda x: random.key(0),
    "random.split": lambda x: random.split(KEY),
    "random.fold_in": lambda x: random.fold_in(KEY, 3),
    "random.normal": lambda x: random.normal(KEY, x.shape),
    "random.uniform": lambda x: random.uniform(KEY, x.shape),
    "random.randint": lambda x: random.randint(KEY, x.shape, 0, 10),
    "random.bernoulli": lambda x: random.bernoulli(KEY, 0.5, x.shape),
    # others
    "float(x)": lambda x: float(x[(0,) * x.ndim]),
    "np.asarray(x)": lambda x: np.asarray(x),
    "jitted(2.0)": lambda x: DOUBLED(2.0),
    "jitted(3)": lambda x: DOUBLED(3),
    "jitted(x)": lambda x: DOUBLED(x),
    "jitted(x, 2.0)": lambda x: SCALED(x, 2.0),
    "jitted(NumPy's)": lambda x: DOUBLED(NUMPYS),
}  # fmt: skip

PLACES, ONE = jnp.array([0, 2]), jnp.array(1)
MASK = jnp.array([True, False, True, False])
NUMPYS = np.arange(3.0, dtype=np.float32)
KEY = random.key(1)
DOUBLED = arraylib.jit(lambda x: x * 2)
SCALED = arraylib.jit(lambda x, y: x * y)

BAR = 3.0  # microseconds
ROUNDS, BATCH = 8, 40


def operands():
    """The array of each column."""
    for dtype in (np.float32, np.int32):
        for shape in ((4,), (4, 4)):
            yield jnp.array((np.arange(16) % 7 - 1)[: int(np.prod(shape))].reshape(shape), dtype)


def timed(function, x, count=1):
    """Microseconds of a call."""
    start = time.perf_counter()
    for _ in range(count):
        function(x)
    return (time.perf_counter() - start) / count * 1e6


def measure(function, x):
    """Microseconds of the first call, of one after three, and of one after a hundred."""
    try:
        first = timed(function, x)
    except (TypeError, ValueError):
        return None  # what there is for other dtypes or shapes only
    timed(function, x, 2)
    early = median([timed(function, x) for _ in range(3)])
    timed(function, x, 94)
    return first, early, min(timed(function, x, BATCH) for _ in range(ROUNDS))


def main(parts):
    columns = [f"{np.dtype(x.dtype)}{list(x.shape)}" for x in operands()]
    print("after three calls and after a hundred, microseconds\n")
    print("".join([" " * 26, *[f"{name:>18}" for name in columns]]))
    late = []
    for name, function in CASES.items():
        if parts and not any(part in name for part in parts):
            continue
        found = [measure(function, x) for x in operands()]
        cells = ["-" if each is None else f"{each[1]:7.1f}{each[2]:8.2f}" for each in found]
        print("".join([f"{name:26}", *[f"{cell:>18}" for cell in cells]]), flush=True)
        late += [(each[2], name, column) for each, column in zip(found, columns, strict=True)
                 if each]  # fmt: skip
    slow = [each for each in sorted(late, reverse=True) if each[0] > BAR]
    print(f"\n{len(slow)} of {len(late)} take more than {BAR:g} microseconds after a hundred calls")


if __name__ == "__main__":
    main(sys.argv[1:])

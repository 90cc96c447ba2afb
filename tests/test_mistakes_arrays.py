"""What a user's mistakes with arrays say: NumPy's functions, lax, random, linear algebra.

The whole text of each error is held in tests/golden/mistakes/.
"""

import pytest
from mistakes import said

import arraylib.numpy as jnp
from arraylib import lax, random

x3, x4, i3 = jnp.arange(3.0), jnp.arange(4.0), jnp.arange(3)
m23, m45 = jnp.ones((2, 3)), jnp.ones((4, 5))
key = random.key(0)


MISTAKES = {
    "iter_0d": lambda: [v for v in jnp.float32(1)],
    "len_0d": lambda: len(jnp.array(1.0)),
    "set_shape": lambda: x3.at[0].set(jnp.ones(2)),
    "set_index": lambda: x3.at[7].set(1.0),
    "repeat": lambda: jnp.repeat(x3, jnp.array([1, 2])),
    "tile": lambda: jnp.tile(x3, -1),
    "pad": lambda: jnp.pad(x3, ((1, 1), (1, 1))),
    "pad_mode": lambda: jnp.pad(x3, 1, mode="reflekt"),
    "roll": lambda: jnp.roll(x3, 1, axis=1),
    "flip": lambda: jnp.flip(x3, 2),
    "moveaxis": lambda: jnp.moveaxis(m23, 0, 2),
    "swapaxes": lambda: jnp.swapaxes(m23, 0, 5),
    "expand_dims": lambda: jnp.expand_dims(x3, 3),
    "take": lambda: jnp.take(x3, 5),
    "take_axis": lambda: jnp.take(x3, 0, axis=1),
    "take_along": lambda: jnp.take_along_axis(m23, i3, axis=1),
    "dot": lambda: jnp.dot(x3, x4),
    "tensordot": lambda: jnp.tensordot(m23, m45, axes=1),
    "tensordot_axes": lambda: jnp.tensordot(m23, m45, axes=5),
    "einsum_letters": lambda: jnp.einsum("ijk->i", m23),
    "einsum_output": lambda: jnp.einsum("ij->k", m23),
    "einsum_count": lambda: jnp.einsum("ij,jk->ik", m23),
    "einsum_alone": lambda: jnp.einsum("ij"),
    "cross": lambda: jnp.cross(x4, x4),
    "linspace": lambda: jnp.linspace(0, 1, -3),
    "eye": lambda: jnp.eye(-1),
    "full": lambda: jnp.full((2,), x3),
    "zeros_neg": lambda: jnp.zeros((-1, 2)),
    "zeros_float": lambda: jnp.zeros(2.5),
    "array_ragged": lambda: jnp.array([[1, 2], [3]]),
    "array_string": lambda: jnp.array("abc"),
    "asarray_set": lambda: jnp.asarray({1, 2}),
    "matmul_batch": lambda: jnp.ones((2, 3, 4)) @ jnp.ones((3, 4, 5)),
    "max_empty": lambda: jnp.max(jnp.zeros((0, 3)), axis=0),
    "sort_axis": lambda: jnp.sort(x3, axis=1),
    "top_k": lambda: lax.top_k(x3, 5),
    "invert_float": lambda: ~x3,
    "shift_float": lambda: x3 << 1,
    "subtract_bool": lambda: jnp.array([True]) - jnp.array([False]),
    "astype": lambda: x3.astype("flaot32"),
    "view": lambda: x3.view("int16x"),
    "add_str": lambda: x3 + "1",
    "add_list": lambda: x3 + [1, 2, 3],
    "add_none": lambda: x3 + None,
    "sum_dtype": lambda: x3.sum(dtype="nope"),
    "clip": lambda: jnp.clip(x3, m45),
    "uint_negative": lambda: jnp.array(-1, "uint8"),
    "add_overflow": lambda: jnp.zeros(2, "int8") + 300,
    "lax_dtypes": lambda: lax.add(x3, i3),
    "lax_shapes": lambda: lax.add(x3, x4),
    "lax_dynamic_slice": lambda: lax.dynamic_slice(x3, (0,), (5,)),
    "lax_dynamic_slice_rank": lambda: lax.dynamic_slice(x3, (0, 0), (2,)),
    "lax_dynamic_update_slice": lambda: lax.dynamic_update_slice(x3, x4, (0,)),
    "lax_conv": lambda: lax.conv(jnp.ones((1, 3, 8, 8)), jnp.ones((4, 2, 3, 3)), (1, 1), "SAME"),
    "lax_conv_pad":
        lambda: lax.conv(jnp.ones((1, 3, 8, 8)), jnp.ones((4, 3, 3, 3)), (1, 1), "SAMEE"),
    "lax_broadcast_in_dim": lambda: lax.broadcast_in_dim(x3, (2, 4), (1,)),
    "lax_reduce_window": lambda: lax.reduce_window(x3, 0.0, lax.add, (2, 2), (1, 1), "VALID"),
    "lax_select": lambda: lax.select(x3 > 0, x3, x4[:2]),
    "lax_slice": lambda: lax.slice(x3, (0,), (5,)),
    "lax_iota": lambda: lax.iota("int32", -2),
    "lax_pad": lambda: lax.pad(x3, 0.0, [(1, 1, 0), (1, 1, 0)]),
    "lax_cumsum": lambda: lax.cumsum(x3, axis=2),
    "lax_sort": lambda: lax.sort((x3, x4)),
    "key_missing": lambda: random.normal((2,)),
    "key_shape": lambda: random.normal(key, -2),
    "key_shape_float": lambda: random.normal(key, 2.5),
    "key_dtype": lambda: random.normal(key, (2,), "int32"),
    "random_split": lambda: random.split(key, -1),
    "randint": lambda: random.randint(key, (2,), 0, 5, "float32"),
    "categorical": lambda: random.categorical(key, x3, axis=1),
    "choice": lambda: random.choice(key, 3, (5,), replace=False),
    "bernoulli": lambda: random.bernoulli(key, x3, (2,)),
    "seed": lambda: random.key("a"),
    "seed_float": lambda: random.key(1.5),
    "solve": lambda: jnp.linalg.solve(m23, x3),
    "inv": lambda: jnp.linalg.inv(m23),
    "cholesky": lambda: jnp.linalg.cholesky(x3),
    "solve_rhs": lambda: jnp.linalg.solve(jnp.eye(3), x4),
    "norm": lambda: jnp.linalg.norm(x3, ord="foo"),
    "det": lambda: jnp.linalg.det(m23),
    "fft_axis": lambda: jnp.fft.fft(x3, axis=1),
    "fft_length": lambda: jnp.fft.fft(x3, n=0),
    "interp": lambda: jnp.interp(x3, x3, x4),
    "convolve": lambda: jnp.convolve(m23, x3),
    "searchsorted": lambda: jnp.searchsorted(m23, x3),
    "bincount_float": lambda: jnp.bincount(x3),
    "histogram": lambda: jnp.histogram(x3, bins=-1),
    "vander": lambda: jnp.vander(m23),
    "diag": lambda: jnp.diag(jnp.ones((2, 2, 2))),
    "trace": lambda: jnp.trace(x3),
    "percentile": lambda: jnp.percentile(x3, 101),
    "average": lambda: jnp.average(x3, weights=x4),
    "meshgrid": lambda: jnp.meshgrid(m23, x3),
    "stack_empty": lambda: jnp.stack([]),
    "concat_empty": lambda: jnp.concatenate([]),
    "bool_index": lambda: x3[jnp.array([True, False])],
    "newaxis_many": lambda: x3[..., ..., 0],
    "str_index": lambda: x3["a"],
    "slice_float": lambda: x3[0.5:2],
    "slice_step0": lambda: x3[::0],
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name, golden):
    golden(f"mistakes/{name}.txt", said(MISTAKES[name]))

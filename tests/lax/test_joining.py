"""Cutting, joining, windows as features, products by groups: as JAX does; examples as shown."""


import jax
import jax.lax as theirs
import numpy as np
import pytest
from agreement import BFLOAT16, assert_same, numbers

import arraylib
from arraylib import grad, jit, lax, tree, vmap
from arraylib.errors import ArgumentError, ShapeError

X, Y, M = numbers((3, 4)), numbers((3, 4), seed=1), numbers((2, 3, 4))


def test_platforms():
    functions = {"cpu": lambda x: x + 1, "cuda": lambda x: x + 2}
    assert float(jit(lambda x: lax.platform_dependent(x, **functions))(1.0)) == 2
    assert lax.platform_dependent(1.0, default=lambda x: x, tpu=lambda x: x + 2) == 1
    with pytest.raises(ArgumentError, match="no function for 'cpu', but for 'tpu'"):
        lax.platform_dependent(1.0, tpu=lambda x: x)


JOINING = [
    ("split", M, (1, 2), 1), ("split", M, (4,), -1), ("split", X, (0, 3)), ("stack", [X, Y]),
    ("stack", [X, Y, X], -1), ("unstack", M), ("unstack", M, 1), ("tile", X, (2, 1)),
    ("tile", X, (1, 0)), ("tile", np.float32(2), ()), ("broadcast_to_rank", X, 4),
    ("broadcast_to_rank", X, 2), ("broadcast_like", X[0], M), ("shape_as_value", (2, 3)),
    ("shape_as_value", ()), ("empty", (2, 3), np.int32),
    ("index_take", M, (np.int32([1, -1, 0]),), (1,)),
    ("index_take", M, (np.int32([1, 0]), np.int32([2, 7])), (0, 2)),
]


@pytest.mark.parametrize("case", JOINING, ids=lambda case: case[0])
def test_joining(case):
    name, *args = case
    found = getattr(lax, name)(*args)
    assert_same(found if name != "unstack" else list(found), getattr(theirs, name)(*args))
    assert all(isinstance(x, arraylib.Array) for x in tree.leaves(found))


@pytest.mark.parametrize("act", [
    lambda: lax.split(X, (1, 1)), lambda: lax.split(X, (4, -1)), lambda: lax.tile(X, (2,)),
    lambda: lax.broadcast_to_rank(X, 1), lambda: lax.index_take(X, (np.int32([0]),), (0, 1)),
    lambda: lax.ragged_dot(X, X, np.int32([3])), lambda: lax.conv_general_dilated_local(
        numbers((1, 2, 5)), numbers((3, 4, 5)), (1,), "VALID", (2,))])
def test_mistakes(act):
    with pytest.raises(ShapeError):
        act()


PATCHES = {
    "plain": ((2, 4, 6, 5), (3, 2), (1, 1), "VALID", {}),
    "same": ((2, 1, 6, 5), (3, 2), (2, 1), "SAME", {"rhs_dilation": (1, 2)}),
    "pairs": ((1, 2, 4, 5), (2, 2), (1, 2), [(1, 0), (0, 2)], {"lhs_dilation": (2, 1)}),
    "rows": ((3, 9, 4), (3,), (2,), "SAME", {"dimension_numbers": ("NWC", "WIO", "NWC")}),
    "letters": ((4, 2, 6, 5), (2, 3), (1, 1), "VALID",
                {"dimension_numbers": ("CNHW", "WIHO", "WCHN")}),
}


@pytest.mark.parametrize("name", PATCHES)
def test_patches(name):
    shape, window, strides, padding, options = PATCHES[name]
    x = numbers(shape)
    cut = lambda module: lambda x: module.conv_general_dilated_patches(
        x, window, strides, padding, **options)
    expected = cut(theirs)(x)
    assert_same(cut(lax)(x), expected, 1e-6)
    mine = jit(grad(lambda x: (cut(lax)(x) * np.asarray(expected)).sum()))(x)
    assert_same(mine, jax.grad(lambda x: (cut(theirs)(x) * expected).sum())(x), 1e-5, 1e-5)


@pytest.mark.parametrize("name", PATCHES)
def test_kernels_that_differ_from_place_to_place(name):
    shape, window, strides, padding, options = PATCHES[name]
    x = numbers(shape)
    found = theirs.conv_general_dilated_patches(x, window, strides, padding, **options)
    spec = theirs.conv_dimension_numbers(shape, (1, 1, *window), options.get("dimension_numbers"))
    sizes = [0] * len(shape)
    sizes[spec.rhs_spec[0]], sizes[spec.rhs_spec[1]] = 3, found.shape[spec.out_spec[1]]
    for a, b in zip(spec.rhs_spec[2:], spec.out_spec[2:]):
        sizes[a] = found.shape[b]
    args = x, numbers(sizes, seed=1), strides, padding, window
    assert_same(lax.conv_general_dilated_local(*args, **options),
                theirs.conv_general_dilated_local(*args, **options), 1e-5, 1e-5)


ROWS, EXPERTS = numbers((7, 4)), numbers((3, 4, 5), seed=1)


@pytest.mark.parametrize("sizes", [(2, 4, 1), (0, 7, 0), (1, 0, 3), (0, 0, 0)])
def test_products_by_groups(sizes):
    sizes = np.int32(sizes)
    expected = np.zeros((7, 5))
    for start, size, matrix in zip(np.cumsum(sizes) - sizes, sizes, EXPERTS):
        expected[start:start + size] = ROWS[start:start + size].astype(float) @ matrix
    assert_same(jit(lax.ragged_dot)(ROWS, EXPERTS, sizes), np.float32(expected), 1e-5, 1e-5)
    loss = lambda module: lambda x, w: (module.ragged_dot(x, w, sizes) ** 2).sum()
    assert_same(grad(loss(lax), (0, 1))(ROWS, EXPERTS),
                jax.grad(loss(theirs), (0, 1))(ROWS, EXPERTS), 1e-4, 1e-4)


def test_groups_do_not_see_one_another():
    experts = EXPERTS.copy()
    experts[1] = np.inf
    rows = ROWS.copy()
    rows[5] = np.nan
    found = np.asarray(lax.ragged_dot(rows, experts, np.int32([2, 2, 3])))
    assert np.isfinite(found[[0, 1, 4, 6]]).all() and np.isnan(found[5]).all()
    assert not np.isfinite(found[2:4]).any()


def test_groups_from_another_one_on():
    sizes = np.int32([2, 1, 3, 1])
    found = lax.ragged_dot(ROWS, EXPERTS, sizes, group_offset=np.int32([1]))
    expected = np.zeros((7, 5), np.float32)
    for start, stop, matrix in ((2, 3, 0), (3, 6, 1), (6, 7, 2)):
        expected[start:stop] = ROWS[start:stop] @ EXPERTS[matrix]
    assert_same(found, expected, 1e-5, 1e-5)
    short = lax.ragged_dot(ROWS.astype(BFLOAT16), EXPERTS.astype(BFLOAT16), sizes[:3],
                           preferred_element_type=np.float32)
    assert short.dtype == np.float32
    many = vmap(lax.ragged_dot, (0, None, 0))(np.stack([ROWS] * 2), EXPERTS,
                                              np.int32([[2, 4, 1], [0, 0, 7]]))
    assert_same(many[1], ROWS @ EXPERTS[2], 1e-5, 1e-5)

"""Products and diagonals agree with JAX's."""

import numpy as np
import pytest
from agreement import BFLOAT16, agree, numbers

import arraylib.numpy as jnp
from arraylib.errors import ArgumentError, ShapeError

SHAPES = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)),
          ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((1, 2, 3), (5, 3, 4)),
          ((6, 1, 2, 3), (5, 3, 4)), ((5, 2, 3), (3,)), ((3,), (5, 3, 4)), ((0, 3), (3, 2)),
          ((6, 1, 2, 3), (1, 5, 3, 4)), ((1, 2, 3), (1, 3, 4))]


@pytest.mark.parametrize("a, b", SHAPES)
def test_matmul(a, b):
    agree("matmul", numbers(a), numbers(b, seed=1), rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.int32, BFLOAT16, np.complex64, np.float16])
def test_matmul_dtypes(dtype):
    x, y = numbers((4, 3), dtype), numbers((3, 5), dtype, 1)
    agree("matmul", x, y, rtol=1e-2 if dtype in (BFLOAT16, np.float16) else 1e-5)
    agree("matmul", x, numbers((3, 5)), rtol=1e-2)


def test_preferred_element_type():
    x, y = numbers((4, 3), BFLOAT16), numbers((3, 5), BFLOAT16, 1)
    agree("matmul", x, y, preferred_element_type=np.float32, rtol=1e-5)
    agree("einsum", "ij,jk->ik", x, y, preferred_element_type=np.float32, rtol=1e-5)


@pytest.mark.parametrize("name, a, b", [
    ("dot", (3,), (3,)), ("dot", (2, 3), (4, 3, 5)), ("dot", (), (2,)), ("inner", (2, 3), (4, 3)),
    ("outer", (2, 2), (3,)), ("vdot", (2, 3), (2, 3)), ("kron", (2, 3), (4,)),
    ("kron", (2, 2), (3, 2)), ("cross", (4, 3), (4, 3)), ("cross", (3,), (4, 3)),
    ("tensordot", (2, 3, 4), (3, 4, 5)), ("vecdot", (2, 3), (4, 1, 3)),
    ("matvec", (5, 2, 3), (3,)), ("vecmat", (5, 3), (3, 4))])
def test_products(name, a, b):
    agree(name, numbers(a), numbers(b, seed=1), rtol=1e-5, atol=1e-5)
    agree(name, numbers(a, np.complex64), numbers(b, np.complex64, 1), rtol=1e-5, atol=1e-5)


def test_tensordot_axes():
    x, y = numbers((2, 3, 4)), numbers((4, 2, 5), seed=1)
    agree("tensordot", x, y, ([0, 2], [1, 0]), rtol=1e-5)
    agree("tensordot", x, y, 0, rtol=1e-5)


@pytest.mark.parametrize("subscripts, shapes", [
    ("ij,jk->ik", [(2, 3), (3, 4)]), ("ij,jk", [(2, 3), (3, 4)]), ("ii", [(3, 3)]),
    ("ii->i", [(3, 3)]), ("ij->ji", [(2, 3)]), ("ij->", [(2, 3)]), ("i,j->ij", [(2,), (3,)]),
    ("ij,ij->ij", [(2, 3), (2, 3)]), ("bik,bkj->bij", [(5, 2, 3), (5, 3, 4)]),
    ("...ij,...jk->...ik", [(5, 2, 3), (3, 4)]), ("...ij,...jk->...ik", [(6, 1, 2, 3), (5, 3, 4)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]), ("i,i,i->i", [(3,), (3,), (3,)]),
    ("bthd,bshd->bhts", [(2, 3, 4, 5), (2, 6, 4, 5)]), ("ijk,jil->kl", [(2, 3, 4), (3, 2, 5)]),
    ("iij,j->i", [(3, 3, 4), (4,)]), ("...,...", [(2, 3), (2, 3)]), ("ab,cd->", [(2, 3), (4, 5)]),
    ("ba,ca", [(2, 3), (4, 3)]), ("...i->...", [(2, 3, 4)]), ("ij,kj->ik", [(2, 1), (3, 4)])])
def test_einsum(subscripts, shapes):
    agree("einsum", subscripts, *[numbers(s, seed=i) for i, s in enumerate(shapes)], rtol=1e-5,
          atol=1e-5)


@pytest.mark.parametrize("offset", [0, 1, -1, 2, -2, 5, -5])
def test_diagonals(offset):
    x = numbers((3, 4))
    agree("diagonal", x, offset)
    agree("trace", x, offset, atol=1e-5)
    agree("diag", x, offset)
    agree("diag", x[0], offset)
    agree("diagonal", numbers((3, 4, 5)), offset, 2, 0)
    agree("diagflat", x, offset)


def test_mistakes():
    x, y = np.zeros((2, 3), np.float32), np.zeros((4, 3), np.float32)
    with pytest.raises(ShapeError, match=r"matmul: axis 1 of operand 0 is 3 but axis 0 of operand "
                                         r"1 is 4\n  at .*\n.*f32\[2,3\]\n.*f32\[4,3\]\n  try: "):
        jnp.matmul(x, y)
    with pytest.raises(ShapeError, match="operand 1 is a scalar"):
        jnp.matmul(x, 2.0)
    with pytest.raises(ShapeError, match="axis j of 'ij,jk->ik' is 3 in one operand but 4 in"):
        jnp.einsum("ij,jk->ik", x, y)
    with pytest.raises(ArgumentError, match="'z' is in no operand"):
        jnp.einsum("ij->iz", x)
    with pytest.raises(ArgumentError, match="has 2 operands but 1 are given"):
        jnp.einsum("ij,jk->ik", x)
    with pytest.raises(ShapeError, match=r"names 3 axes of an array with 2"):
        jnp.einsum("ijk->i", x)
    with pytest.raises(ShapeError, match="axes .0,. of sizes .2,. are paired"):
        jnp.tensordot(x, y, ([0], [0]))

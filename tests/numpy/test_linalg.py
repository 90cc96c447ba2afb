"""Norms and products of chains agree with JAX's."""

import numpy as np
import pytest
from agreement import agree, numbers

import arraylib.numpy as jnp
from arraylib.errors import ArgumentError, ShapeError

M, V = numbers((3, 4)), numbers((5,))


@pytest.mark.parametrize("ord", [None, 1, 2, 3, 0, np.inf, -np.inf, 0.5])
def test_vectors(ord):
    agree("linalg.norm", V, ord, rtol=1e-5)
    agree("linalg.norm", M, ord, 1, rtol=1e-5)
    agree("linalg.norm", M, ord, 0, True, rtol=1e-5)


@pytest.mark.parametrize("ord", [None, "fro", 1, -1, np.inf, -np.inf])
def test_matrices(ord):
    agree("linalg.norm", M, ord, rtol=1e-5)
    x = numbers((2, 3, 4))
    agree("linalg.norm", x, ord, (0, 2), rtol=1e-5)
    agree("linalg.norm", x, ord, (0, 2), True, rtol=1e-5)


def test_others():
    agree("linalg.norm", numbers((3, 4), np.complex64), rtol=1e-5)
    agree("linalg.norm", numbers((2, 3, 4)), rtol=1e-5)
    agree("linalg.vector_norm", M, axis=(0, 1), rtol=1e-5)
    agree("linalg.matrix_norm", M, rtol=1e-5)
    for n in (0, 1, 2, 5):
        agree("linalg.matrix_power", numbers((2, 3, 3)), n, rtol=1e-4)
    chain = [numbers(s) for s in ((3, 9), (9, 2), (2, 7), (7, 4))]
    agree("linalg.multi_dot", chain, rtol=1e-5)
    agree("linalg.multi_dot", [numbers((9,)), *chain[1:]], rtol=1e-5)


def test_mistakes():
    with pytest.raises(ShapeError, match="norm: 3 axes; a vector has 1, a matrix 2"):
        jnp.linalg.norm(numbers((2, 3, 4)), "fro")
    with pytest.raises(ArgumentError, match="matrix_norm: ord = 7"):
        jnp.linalg.norm(M, 7)
    with pytest.raises(ShapeError, match="matrix_power: the matrix is not square"):
        jnp.linalg.matrix_power(M, 2)

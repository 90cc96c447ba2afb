"""Random draws are as near to JAX's as docs/from_jax.md says; those that are equal: test_random."""

from pathlib import Path

import numpy as np
import pytest
from scipy import special

pytest.importorskip("jax")
import draws

from arraylib import random


@pytest.mark.parametrize("name", [*draws.NEAR, "triangular"])
def test_draws_are_near(name):
    assert max(draws.measured(name, range(2))) <= draws.NEAR.get(name, 0)


def test_normal_numbers_are_true():
    """Of the uniform numbers that they are made of, which are JAX's."""
    least = np.nextafter(np.float32(-1), np.float32(0))
    for seed in range(3):
        key = random.key(seed)
        u = np.asarray(random.uniform(key, (500,), np.float32, least, 1.0), np.float64)
        wanted = (np.sqrt(2) * special.erfinv(u)).astype(np.float32)
        found = np.asarray(random.normal(key, (500,)))
        assert (np.abs(found - wanted) <= 2 * np.spacing(np.abs(wanted))).all()


def test_the_page_says_so():
    page = (Path(__file__).parents[1] / "docs" / "from_jax.md").read_text()
    assert draws.table() in page, "copy what draws.table() returns"

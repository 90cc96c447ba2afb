"""Programs with meshes give what they give under JAX."""

import json

import pytest

import arraylib
from tests.sharding.cases import CASES


@pytest.mark.parametrize("name", CASES)
def test_as_jax(name, by_jax):
    assert json.loads(json.dumps(CASES[name](arraylib))) == by_jax[name]

"""debug.key_reuse: keys used twice, outside of jit and in programs."""

import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import debug, grad, jit, lax, random, vmap
from arraylib.config import config
from arraylib.errors import KeyReuseError

DRAWS = {
    "normal": random.normal,
    "complex": lambda key: random.normal(key, (2,), jnp.complex64),
    "uniform": random.uniform,
    "bernoulli": random.bernoulli,
    "randint": lambda key: random.randint(key, (3,), 0, 9),
    "choice": lambda key: random.choice(key, 5, (2,), replace=False),
    "weighted": lambda key: random.choice(key, 2, p=jnp.array([0.5, 0.5])),
    "permutation": lambda key: random.permutation(key, 5),
    "categorical": lambda key: random.categorical(key, jnp.zeros(3)),
    "gamma": lambda key: random.gamma(key, 2.0),
    "beta": lambda key: random.beta(key, 2.0, 3.0),
    "dirichlet": lambda key: random.dirichlet(key, jnp.ones(3)),
    "split": random.split,
    "bits": random.bits,
}


@pytest.fixture(autouse=True)
def watched():
    with debug.key_reuse():
        yield


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("transform", [lambda f: f, jit])
def test_a_second_use(name, transform):
    draw = transform(DRAWS[name])
    first, second = random.split(random.key(0))
    draw(first), draw(second)
    with pytest.raises(KeyReuseError, match="has been used before, by .* at test_key_reuse.py"):
        draw(first)


def test_a_loop_over_the_same_line():
    key = random.key(0)
    with pytest.raises(RuntimeError) as caught:
        for _ in range(3):
            random.normal(key)
    lines = str(caught.value).split("\n")
    assert lines[0].startswith("normal: the key [0, 0] has been used before, by normal at test_key")
    assert lines[1].endswith("random.normal(key)") and lines[2].startswith("  try: key, subkey")


def test_what_is_no_second_use():
    key = random.key(1)
    for i in range(3):
        random.normal(random.fold_in(key, i))
    for _ in range(3):
        random.normal(random.clone(key))
        random.uniform(random.key(7))
    keys = random.split(random.key(2), 4)
    vmap(random.normal)(keys)
    grad(lambda x, k: (random.normal(k) * x) ** 2)(1.0, random.key(3))
    jit(grad(lambda x, k: (random.normal(k) * x) ** 2))(1.0, random.key(3))


@pytest.mark.parametrize("transform", [lambda f: f, jit])
def test_inside_programs(transform):
    def twice(key):
        return random.normal(key) + random.uniform(key)

    with pytest.raises(KeyReuseError, match="uniform: the key"):
        transform(twice)(random.key(0))
    with pytest.raises(KeyReuseError, match="split: the key"):
        transform(lambda key: (random.normal(key), random.split(key)))(random.key(0))
    with pytest.raises(KeyReuseError, match="normal: the key"):
        transform(lambda key: lax.fori_loop(0, 2, lambda i, t: t + random.normal(key), 0.0))(
            random.key(0))
    with pytest.raises(KeyReuseError, match="uniform: the key"):
        transform(vmap(twice))(random.split(random.key(5)))
    rest = transform(lambda key: lax.scan(lambda k, _: tuple(random.split(k)), key, length=4)[1])
    assert rest(random.key(0)).shape == (4, 2)
    again = transform(random.normal)
    assert again(random.key(9)) == again(random.clone(random.key(9)))


def test_only_where_it_is_asked_for():
    with debug.key_reuse(False):
        key = random.key(0)
        assert random.normal(key) == random.normal(key)
    config.update("jax_debug_key_reuse", True)
    assert config.debug_key_reuse and arraylib.debug_key_reuse

"""Keys of the kinds rbg and unsafe_rbg: keys, bits and samples are JAX's."""

import jax
import jax.random as theirs
import numpy as np
import pytest
from agreement import assert_same

import arraylib.numpy as jnp
from arraylib import jit, random, vmap
from arraylib.config import config
from arraylib.errors import ArgumentError, DtypeError, ShapeError

KINDS = ["rbg", "unsafe_rbg"]


@pytest.fixture(params=KINDS)
def keys(request):
    """A key of ours and JAX's of the same seed."""
    with config.using(prng_impl=request.param):
        yield random.key(7), theirs.key(7, impl=request.param)


def same_words(mine, expected):
    assert_same(mine, theirs.key_data(expected))


@pytest.mark.parametrize("seed", [0, -1, 2**31 - 1, 7])
def test_seeds(seed):
    expected = theirs.key(seed, impl="rbg")
    same_words(random.key(seed, impl="rbg"), expected)
    same_words(jit(lambda x: random.key(x, impl="rbg"))(np.int32(seed)), expected)


def test_new_keys(keys):
    mine, expected = keys
    same_words(random.split(mine), theirs.split(expected))
    same_words(random.split(mine, (2, 3)), theirs.split(expected, (2, 3)))
    assert random.split(mine, 0).shape == (0, 4)
    for data in (0, 7, 2**32 - 1):
        same_words(random.fold_in(mine, data), theirs.fold_in(expected, data))
    child, other = random.split(mine)[1], theirs.split(expected)[1]
    same_words(jit(random.fold_in)(child, np.int32(3)), theirs.fold_in(other, 3))


def test_bits(keys):
    mine, expected = keys
    with jax.enable_x64(True):
        for dtype, shape in (("uint8", (5,)), ("uint16", ()), ("uint32", (3, 5)),
                             ("uint64", (2, 3)), ("uint32", (2, 0))):
            assert_same(random.bits(mine, shape, dtype), theirs.bits(expected, shape, dtype))


def samples(random, key):
    """Some of what is drawn, from ours or from JAX's."""
    return (random.randint(key, (2, 3), -5, 9), random.bernoulli(key, 0.3, (6,)),
            random.permutation(key, 7), random.choice(key, 9, (4,), replace=False),
            random.uniform(key, (3, 2)), random.normal(key, (4,)))


def test_samples(keys):
    mine, expected = keys
    wanted = jax.jit(lambda key: samples(theirs, key))(expected)
    for draw in (samples, jit(samples, static_argnums=0)):
        *exact, normal = draw(random, mine)
        for found, right in zip(exact, wanted):
            assert_same(found, right)
        np.testing.assert_allclose(normal, wanted[-1], rtol=1e-5)


def test_each_key_of_vmap_draws_as_it_does_alone(keys):
    many = random.split(keys[0], 3)
    assert_same(vmap(lambda key: random.bits(key, (5,)))(many),
                np.stack([random.bits(key, (5,)) for key in many]))
    assert_same(vmap(random.split)(many), np.stack([random.split(key) for key in many]))
    steps = np.arange(3, dtype=np.int32)
    assert_same(vmap(random.fold_in)(many, steps),
                np.stack([random.fold_in(key, int(i)) for i, key in enumerate(many)]))


def test_vmap_over_steps_is_that_of_jax():
    same_words(vmap(random.fold_in, (None, 0))(random.key(3, impl="rbg"), jnp.arange(4)),
               jax.vmap(theirs.fold_in, (None, 0))(theirs.key(3, impl="rbg"), np.arange(4)))


def test_the_setting():
    split = jit(random.split)
    found = {}
    for kind in KINDS:
        config.update("jax_default_prng_impl", kind)
        try:
            key = random.key(0)
            assert random.key_impl(key) == kind == config.jax_default_prng_impl
            found[kind] = np.asarray(split(key))  # compiled anew
            same_words(found[kind], theirs.split(theirs.key(0, impl=kind)))
        finally:
            config.update("jax_default_prng_impl", "threefry2x32")
    assert random.key(0).shape == (2,) and random.key_impl(random.key(0)) == "threefry2x32"
    with pytest.raises(ValueError, match="prng_impl"):
        config.update("jax_default_prng_impl", "philox")


def test_words():
    words = random.key_data(random.key(5, impl="rbg"))
    assert random.key_impl(random.wrap_key_data(words, impl="rbg")) == "rbg"
    with pytest.raises(ShapeError):
        random.wrap_key_data(words, impl="threefry2x32")
    with pytest.raises(ArgumentError, match="do not tell 'unsafe_rbg' from 'rbg'"):
        random.key(0, impl="unsafe_rbg")
    with pytest.raises(DtypeError):
        random.bits(jnp.zeros(3, "uint32"))

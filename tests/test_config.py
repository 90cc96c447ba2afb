"""Settings: by our names and by JAX's."""

import jax
import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import config
from arraylib.typing import ArrayLike, DTypeLike


@pytest.fixture(autouse=True)
def restored():
    with config.using(default_bits=32, jit=True):
        yield


def test_names_of_jax():
    assert config.jax_enable_x64 is False and config.jax_disable_jit is False
    config.update("jax_enable_x64", True)
    assert config.default_bits == 64 and config.jax_enable_x64 is True
    assert jnp.arange(3.0).dtype == "float64" and jnp.array(np.arange(3)).dtype == "int64"
    assert arraylib.jit(lambda x: x * 2)(1.0).dtype == "float64"
    config.update("jax_disable_jit", True)
    assert config.jit is False
    config.update("jax_platforms", "cpu")


def test_update_takes_our_names():
    config.update("default_bits", 64)
    assert config.default_bits == 64
    with pytest.raises(ValueError, match="one of"):
        config.update("default_bits", 16)


def test_what_there_is_not():
    with pytest.raises(AttributeError, match="no setting 'jax_unheard_of'; it has backend,"):
        config.update("jax_unheard_of", True)
    with pytest.raises(AttributeError, match="no setting 'unheard_of'"):
        _ = config.unheard_of
    with pytest.raises(ValueError, match="jax_platforms is one of 'cpu', not 'gpu'"):
        config.update("jax_platforms", "gpu")
    with pytest.raises(ValueError, match="config.debug_nans is True or False, not 'yes'"):
        config.debug_nans = "yes"


def test_a_value_that_jax_has_no_name_for_is_given_as_it_is():
    with config.using(backend="reference"):
        assert config.jax_platforms == config.jax_platform_name == "reference"


def test_settings_of_jax_that_change_nothing_or_have_one_meaning():
    assert config.jax_threefry_partitionable is True
    config.update("jax_numpy_rank_promotion", "allow")
    with pytest.raises(ValueError, match="jax_numpy_rank_promotion is one of 'allow', not 'raise'"):
        config.update("jax_numpy_rank_promotion", "raise")
    before = config.jax_persistent_cache_min_compile_time_secs
    config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    assert config.jax_persistent_cache_min_compile_time_secs == 0.5
    config.update("jax_persistent_cache_min_compile_time_secs", before)
    with config.using(cache_dir=config.cache_dir):
        config.update("jax_compilation_cache_dir", "/tmp/some-folder")
        assert config.cache_dir == config.jax_compilation_cache_dir == "/tmp/some-folder"


def test_compilations_are_logged(caplog):
    f = arraylib.jit(lambda x: x + 1)
    with config.using(log_compiles=False):
        config.update("jax_explain_cache_misses", True)
        assert config.jax_log_compiles is True
        f(jnp.ones(3))
        f(jnp.ones(4))
    f(jnp.ones(5))
    first, second = [record.getMessage() for record in caplog.records]
    assert "f32[3]" in first and "f32[4] now, f32[3] before" in second


def test_scopes():
    with arraylib.enable_x64():
        assert jnp.arange(3.0).dtype == "float64"
    assert jnp.arange(3.0).dtype == "float32"
    with arraylib.disable_jit():
        assert arraylib.jit(lambda x: [1, 2][int(x)])(1.0) == 2
    with arraylib.default_matmul_precision("float32"), arraylib.named_scope("layer"):
        assert float(jnp.ones(3) @ jnp.ones(3)) == 3
    assert arraylib.named_scope("f")(lambda x: x + 1)(1) == 2
    assert arraylib.named_call(abs, name="size")(-1) == 1


def test_names_of_parts_stand_before_the_functions():
    @arraylib.named_scope("norm")
    def norm(x):
        return x - x.mean()

    def f(x):
        with arraylib.named_scope("block"):
            x = norm(jnp.sin(x))
        return arraylib.named_call(jnp.cos)(x) + arraylib.named_call(norm, name="last")(x)

    lowered = arraylib.jit(f).lower(jnp.ones(3))
    found = {node.op.name: node.where.function for node in lowered.graph.nodes}
    assert (found["sine"], found["cosine"]) == ("block/f", "cos/f")
    means = [n.where.function for n in lowered.graph.nodes if n.op.name == "reduce_add"]
    assert means == ["block/norm/norm", "last/norm/norm"]
    assert 'loc("block/norm/norm"("' in lowered.as_text(debug_info=True)
    theirs = jax.jit(jax.named_call(jax.numpy.cos, name="size")).lower(1.0)
    assert "/size/" in theirs.as_text(debug_info=True)
    with pytest.raises(TypeError, match="in block/norm/test_names_of_parts"), \
            arraylib.named_scope("block"), arraylib.named_scope("norm"):
        jnp.ones(3) @ jnp.ones(4)
    with pytest.raises(TypeError, match="in test_names_of_parts"):
        jnp.ones(3) @ jnp.ones(4)


def test_what_is_known_is_computed_while_tracing():
    @arraylib.jit
    def f(x):
        with arraylib.ensure_compile_time_eval():
            size = int(jnp.arange(4).sum())
        return jnp.repeat(x, size)

    assert f(1.0).shape == (6,)


def test_what_reads_traced_values_is_recorded_meanwhile():
    @arraylib.jit
    def f(x):
        with arraylib.ensure_compile_time_eval(), arraylib.ensure_compile_time_eval():
            table = jnp.cumsum(jnp.ones(3))
            assert table.tolist() == [1, 2, 3]
            found = jnp.where(x > table, x, table)
        return found + x

    assert f(2.0).tolist() == [4, 4, 5]
    assert arraylib.grad(lambda x: f(x).sum())(2.0) == 4
    assert arraylib.vmap(f)(jnp.array([0.0, 9.0])).tolist() == [[1, 2, 3], [18, 18, 18]]


def test_annotations_serve_isinstance():
    assert all(isinstance(x, ArrayLike) for x in (jnp.ones(2), np.ones(2), np.float32(1), 1, 2j))
    assert not isinstance("text", ArrayLike) and not isinstance([1], ArrayLike)
    assert all(isinstance(d, DTypeLike) for d in ("float32", np.float32, jnp.float32, float))


def test_the_size_of_the_cache_by_its_name_in_jax():
    with config.using(cache_bytes=1 << 20):
        config.update("jax_compilation_cache_max_size", 1 << 24)
        assert config.cache_bytes == config.jax_compilation_cache_max_size == 1 << 24
        config.update("jax_compilation_cache_max_size", -1)
        assert config.cache_bytes > 1 << 60 and config.jax_compilation_cache_max_size == -1
        with pytest.raises(ValueError, match="number from 0 on"):
            config.update("jax_compilation_cache_max_size", -2)

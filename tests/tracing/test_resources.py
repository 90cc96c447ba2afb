"""Memory: limits, refusals before a run, what is cached; donations that were in vain."""

import warnings

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import memory
from arraylib.backends.cpu import machine
from arraylib.config import config
from arraylib.errors import DonationWarning, OutOfMemoryError

X = np.ones((500, 500), np.float32)


def room(nbytes):
    """A limit that leaves so many bytes, nothing large being cached."""
    memory.trim()
    return memory.stats().mapped + nbytes


def grown(x):
    y = jnp.sort(x, 0)
    return jnp.concatenate([y] * 60) + 1


def test_what_cannot_fit_is_refused_before_it_runs_with_a_report():
    ran = []

    def f(x):
        return grown(arraylib.pure_callback(lambda v: ran.append(1) or v, x, x))

    with config.using(memory_limit=room(32 << 20)):
        jitted = arraylib.jit(f)
        for run in (jitted, jitted, arraylib.jit(f).lower(X).compile()):
            with pytest.raises(MemoryError) as caught:
                run(X)
        text = str(caught.value)
        assert isinstance(caught.value, OutOfMemoryError) and not ran
        assert "f: needs" in text and "test_resources.py:" in text
        assert "at the peak" in text and "result" in text and "the caller holds it" in text
    assert jitted(X).shape == (30000, 500) and ran


def test_arrays_that_cannot_fit_are_refused():
    with config.using(memory_limit=room(32 << 20)):
        with pytest.raises(OutOfMemoryError, match="in use"):
            jnp.ones((1 << 14, 1 << 12)) + 1
        assert (jnp.ones(1 << 20) + 1)[0] == 2
    with pytest.raises(MemoryError):
        jnp.ones((1 << 27, 1 << 13)) + 1  # four terabytes


def test_cached_memory_is_given_back_for_what_would_not_fit_beside_it():
    x = jnp.ones(40 << 18) + 1
    del x
    with config.using(memory_limit=memory.stats().mapped + (8 << 20)):
        held = [jnp.ones(n << 18) + 1 for n in (11, 13, 17)]
        assert memory.stats().used >= 41 << 20
    del held


def test_stats_limit_and_trim():
    before = memory.stats()
    x = jnp.ones(8 << 20) + 1
    assert memory.stats().used >= before.used + (32 << 20)
    del x
    cached = memory.stats().cached
    given = memory.trim()
    assert given >= 32 << 20 and memory.stats().cached == cached - given
    assert memory.limit() == machine.memory_bytes() > 1 << 28
    with config.using(memory_limit=12345):
        assert memory.limit() == 12345


def test_control_groups_limit_memory(tmp_path, monkeypatch):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "cgroup_folders", lambda: [inner, inner.parent])
    most = machine.memory_bytes()
    (inner / "memory.max").write_text("max\n")
    assert machine.memory_bytes() == most
    (inner.parent / "memory.max").write_text("1000000\n")
    assert machine.memory_bytes() == 1000000
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("5000\n")
    assert machine.memory_bytes() == 5000


def donate(f, *args, **options):
    """The warnings of a call, at whose line they are."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        arraylib.jit(f, **options)(*args)
    assert all(each.category is DonationWarning and each.filename == __file__ for each in caught)
    return "\n".join(str(each.message) for each in caught)


def test_donations_in_vain_are_told():
    x, y = (jnp.ones(300) for _ in range(2))
    small = donate(lambda p, x: p["w"].sum() + x, {"w": x}, 1.0, donate_argnums=0)
    assert "argument 'p'['w'] of <lambda>, f32[300]: no result has its size" in small
    other = donate(lambda x, y: x + y, jnp.ones(300), y, donate_argnums=(0, 1))
    assert other.count("\n") == 1 and "other donated arguments have the memory" in other
    read = donate(lambda x: (jnp.sort(x) + jnp.flip(x)) @ x * jnp.cos(x)[::-1], jnp.ones(300),
                  donate_argnums=0)
    assert read == ""  # whatever the order of steps allows
    assert donate(lambda x: x + 1, jnp.ones(300), donate_argnums=0) == ""
    assert donate(lambda x: x + 1, jnp.ones(300)) == ""
    assert donate(lambda x: 1.0, jnp.ones((0, 3)), donate_argnums=0) == ""

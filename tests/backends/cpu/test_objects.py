"""The disk cache: round trip, damage, races, eviction, and folders that cannot be written."""

import hashlib
import os
import random
import subprocess
import sys
import warnings

import pytest

from arraylib.backends.cpu import objects
from arraylib.config import config

KEY = hashlib.blake2b(b"key").hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path):
    with config.using(cache_dir=str(tmp_path), cache=True):
        yield tmp_path / "objects"


def only_file(folder):
    (path,) = folder.iterdir()
    return path


@pytest.mark.parametrize("payload", [b"", b"x", os.urandom(100_000)])
def test_round_trip(payload):
    assert objects.load(KEY) is None
    objects.store(KEY, payload)
    assert objects.load(KEY) == payload


def damage_nothing_but(folder, change):
    path = only_file(folder)
    path.write_bytes(change(path.read_bytes()))
    return path


@pytest.mark.parametrize("change", [
    lambda content: content[:-1], lambda content: content + b"!", lambda content: content[:10],
    lambda content: b"", lambda content: b"X" + content[1:],
    lambda content: content[:-3] + bytes([content[-3] ^ 1]) + content[-2:],
    lambda content: content[:16] + b"\xff" + content[17:]])
def test_a_damaged_file_is_noted_ignored_and_rewritten(cache, change):
    objects.store(KEY, b"payload")
    path = damage_nothing_but(cache, change)
    with pytest.warns(RuntimeWarning, match=str(path)):
        assert objects.load(KEY) is None
    objects.store(KEY, b"payload")
    assert objects.load(KEY) == b"payload"


def test_a_renamed_file_is_not_taken_for_another(cache):
    objects.store(KEY, b"payload")
    other = "ab" * 32
    only_file(cache).rename(cache / f"{other}.object")
    with pytest.warns(RuntimeWarning):
        assert objects.load(other) is None


def test_keys_are_hexadecimal():
    for key in ("../escape", "a/b", ""):
        with pytest.raises(ValueError):
            objects.load(key)


def test_switched_off(cache):
    with config.using(cache=False):
        objects.store(KEY, b"payload")
        assert objects.load(KEY) is None
    assert not cache.exists()


def test_unwritable_folder_gives_one_note(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    with config.using(cache_dir=str(blocker)):
        with pytest.warns(RuntimeWarning, match="no disk cache"):
            objects.store(KEY, b"payload")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            objects.store(KEY, b"payload")
            assert objects.load(KEY) is None


def test_the_least_recently_used_go_first(cache):
    keys = [f"{i:064x}" for i in range(6)]
    for age, key in enumerate(keys):
        objects.store(key, bytes(1000))
        os.utime(cache / f"{key}.object", (1000 + age, 1000 + age))
    objects.load(keys[0])   # used now: the youngest
    with config.using(cache_bytes=3500):
        objects.sweep()
    assert [key for key in keys if objects.load(key) is not None] == [keys[0], keys[4], keys[5]]


def test_a_process_that_stores_little_rarely_lists_the_folder(monkeypatch):
    """Listing takes as long as the folder is large: each new process would wait for it."""
    swept = []
    monkeypatch.setattr(objects, "sweep", lambda: swept.append(1))
    monkeypatch.setattr(objects, "_chance", random.Random(0))
    for i in range(2000):
        objects.store(f"{i % 8:064x}", bytes(100))
    assert 0 < len(swept) < 20


def test_the_folder_stays_near_its_limit(cache):
    with config.using(cache_bytes=100_000):
        for i in range(300):
            objects.store(f"{i:064x}", bytes(2000))
    assert objects.size() < 200_000


def test_leftovers_of_dead_writers_are_removed(cache):
    objects.store(KEY, b"payload")
    dead, writing = cache / "writing-dead", cache / "writing-now"
    for path in (dead, writing):
        path.write_bytes(b"half")
    os.utime(dead, (1000, 1000))
    objects.sweep()
    assert not dead.exists() and writing.exists()


def test_processes_may_write_the_same_key_at_once(cache):
    program = f"""
import sys, warnings
warnings.simplefilter("error")
from arraylib.backends.cpu import objects
for turn in range(100):
    objects.store({KEY!r}, b"payload" * 5000)
    assert objects.load({KEY!r}) == b"payload" * 5000
"""
    environment = dict(os.environ, ARRAYLIB_CACHE_DIR=config.cache_dir)
    writers = [subprocess.Popen([sys.executable, "-c", program], env=environment)
               for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(list(cache.iterdir())) == 1

"""Compiled programs on disk: shared by processes, distrusted when damaged, optional."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib.compile import clear_cache
from arraylib.config import config

PROGRAM = """
import hashlib, sys, warnings
import numpy as np
import arraylib, arraylib.numpy as jnp
from arraylib import lax
x = np.random.default_rng(0).standard_normal((37, 41)).astype(np.float32)
table = np.arange(41 * 300, dtype=np.float32).reshape(41, 300)  # a constant stored beside the code
def f(x):
    y = arraylib.nn.softmax(x @ table) + jnp.sort(x, 1)[:, :1]
    n, total = lax.while_loop(lambda c: c[0] < 5, lambda c: (c[0] + 1, c[1] * 0.5 + y), (0, y))
    return total, n, jnp.argsort(x, 0), lax.cond(x[0, 0] > 0, jnp.sin, jnp.cos, x)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    jitted = arraylib.jit(f)
    out = jitted(x)
    text = jitted.lower(x).compile().executable.timings
digest = hashlib.blake2b(b"".join(np.asarray(a).tobytes() for a in out)).hexdigest()
print(digest, "codegen" in text, len(caught))
"""


def run(folder, **settings):
    """(digest of the results, whether code was generated, warnings) of a new process."""
    root = os.path.dirname(os.path.dirname(arraylib.__file__))
    environment = {**os.environ, "PYTHONPATH": root, "ARRAYLIB_CACHE_DIR": str(folder), **settings}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True,
                          timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    digest, generated, warned = done.stdout.split()
    return digest, generated == "True", int(warned)


def test_a_second_process_loads_and_gives_the_same(tmp_path):
    first, generated, warned = run(tmp_path)
    assert generated and not warned
    assert run(tmp_path) == (first, False, 0)
    assert run(tmp_path, ARRAYLIB_CACHE="0") == (first, True, 0)
    assert run(tmp_path, ARRAYLIB_CPU_THREADS="1")[0] == first


def files(folder):
    return sorted((folder / "objects").glob("*.object"))


DAMAGE = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[:len(content) // 2],
    "header only": lambda content: content[:60],
    "a byte changed": lambda content: content[:-100] + bytes([content[-100] ^ 1]) + content[-99:],
    "longer": lambda content: content + b"x",
    "noise": lambda content: bytes(range(256)) * 10,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files_are_replaced(tmp_path, damage):
    x = np.arange(12.0, dtype=np.float32)

    def compute():
        """In this process, as in a new one: nothing is remembered but what is on disk."""
        clear_cache()
        return np.asarray(arraylib.jit(lambda x: jnp.cumsum(x * 3)[::2])(x))

    with config.using(cache_dir=str(tmp_path), cache=True):
        wanted, stored = compute(), files(tmp_path)
        whole = {path: path.read_bytes() for path in stored}
        assert stored
        for path, content in whole.items():
            path.write_bytes(DAMAGE[damage](content))
        with pytest.warns(RuntimeWarning, match="damaged cache file"):
            np.testing.assert_array_equal(compute(), wanted)
        rewritten = [path for path, content in whole.items() if path.read_bytes() == content]
        assert rewritten, "what was needed is written again"
        np.testing.assert_array_equal(compute(), wanted)


def test_a_renamed_file_is_not_taken_for_another(tmp_path):
    def compute(n):
        clear_cache()
        return float(arraylib.jit(lambda x: x * n)(np.float32(2)))

    with config.using(cache_dir=str(tmp_path), cache=True):
        before = set(files(tmp_path))
        compute(3)
        (first,) = set(files(tmp_path)) - before
        compute(5)
        (second,) = set(files(tmp_path)) - before - {first}
        shutil.copy(first, second)
        with pytest.warns(RuntimeWarning, match="damaged"):
            assert compute(5) == 10


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_folders_that_cannot_be_written(tmp_path):
    folder = tmp_path / "full"
    wanted, _, _ = run(folder)
    modes = {path: path.stat().st_mode for path in [folder / "objects", *files(folder)]}
    for path in modes:
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        assert run(folder) == (wanted, False, 0)  # read-only, but full
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    digest, generated, warned = run(blocked)  # no folder at all: one note, and it works
    assert (digest, generated, warned) == (wanted, True, 1)


def test_two_processes_at_once(tmp_path):
    """Both compile and store; neither trips over the other's files."""
    root = os.path.dirname(os.path.dirname(arraylib.__file__))
    environment = {**os.environ, "PYTHONPATH": root, "ARRAYLIB_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
                 for _ in range(3)]
    digests = {process.communicate(timeout=120)[0].split()[0] for process in processes}
    assert len(digests) == 1
    assert run(tmp_path) == (*digests, False, 0)
    assert not [path for path in (tmp_path / "objects").iterdir() if path.suffix != ".object"]

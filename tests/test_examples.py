"""Every example runs in its short form, which checks itself; so does the README's."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = {"char_gpt.py": ["--short"], "digits.py": ["--short"], "export.py": [], "tour.py": []}
SHARED = {"training.py"}


def run(*command: str | Path, folder: Path) -> str:
    """What a fresh interpreter prints; it finds the library but runs elsewhere."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name, tmp_path):
    if name in ("char_gpt.py", "digits.py"):
        pytest.importorskip("sklearn")
        pytest.importorskip("safetensors")
    assert run(ROOT / "examples" / name, *EXAMPLES[name], folder=tmp_path)
    if name == "char_gpt.py":
        assert (tmp_path / "out/char_gpt/checkpoint.safetensors").stat().st_size > 30_000_000


def test_every_example_is_run_and_is_short():
    files = {file.name: file for file in (ROOT / "examples").glob("*.py")}
    assert files.keys() == EXAMPLES.keys() | SHARED
    for file in files.values():
        assert len(file.read_text().splitlines()) < 150, file


def test_a_checkpoint_is_the_state_bit_for_bit(tmp_path, monkeypatch):
    pytest.importorskip("safetensors")
    monkeypatch.syspath_prepend(ROOT / "examples")
    import training

    import arraylib.numpy as jnp
    from arraylib import random, tree

    params = {"w": random.normal(random.key(0), (3, 2)), "layers": [jnp.ones(2), jnp.zeros(())]}
    state = training.adamw(training.start(params), params, 0.1)
    training.save(state, tmp_path / "checkpoint.safetensors")
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.safetensors"]
    again = training.restore(training.start(params), tmp_path / "checkpoint.safetensors")
    assert tree.structure(again) is tree.structure(state)
    for kept, found in zip(tree.leaves(state), tree.leaves(again), strict=True):
        assert kept.dtype == found.dtype
        np.testing.assert_array_equal(np.asarray(kept), np.asarray(found))


def test_the_readme_prints_what_it_says(tmp_path):
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```\n+```text\n(.*?)```", text, re.DOTALL)
    assert blocks
    file = tmp_path / "example.py"
    for source, expected in blocks:
        file.write_text(source)
        assert run(file, folder=tmp_path) == expected

"""docs/from_numpy.md and from_pytorch.md: both columns of their tables compute the same."""

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import scipy.special

import arraylib
import arraylib.numpy as jnp
from arraylib.config import config

DOCS = Path(__file__).parents[1] / "docs"
HERE = {name: getattr(arraylib, name) for name in dir(arraylib)} | {
    "jnp": jnp, "np": np, "special": arraylib.scipy.special, "linalg": arraylib.scipy.linalg}


def rows(page, section):
    """The cells of the table below a heading, without their backticks."""
    text = (DOCS / page).read_text().split(f"## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in lines]


def computed(code, names):
    """What an expression gives; after a statement, or a call for its effect, the variables."""
    room = dict(names)
    try:
        found = eval(compile(code, code, "eval"), room)
    except SyntaxError:
        exec(compile(code, code, "exec"), room)
        found = None
    return [room["x"], room["v"]] if found is None or found is room["v"] else found


def same(theirs, ours):
    if isinstance(theirs, tuple) and theirs and isinstance(theirs[0], int):
        assert tuple(theirs) == tuple(ours)
        return
    for a, b in zip(*(x if isinstance(x, (list, tuple)) else [x] for x in (theirs, ours)),
                    strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("theirs, ours", rows("from_numpy.md", "What is written differently"))
def test_numpy_is_written_so_here(theirs, ours):
    x = np.arange(6, dtype="float32").reshape(2, 3)
    values = {"x": x, "v": x.ravel().copy(), "i": np.array([0, 0, 2], "int32")}
    arrays = {name: jnp.array(value) for name, value in values.items()}
    same(computed(theirs, {"np": np, "scipy": scipy, **values}), computed(ours, HERE | arrays))


@pytest.mark.parametrize("code, theirs, ours", rows("from_numpy.md", "What comes out differently"))
def test_numpy_comes_out_so_here(code, theirs, ours):
    for module, expected in ((np, theirs), (jnp, ours)):
        try:
            found = str(eval(code, {"np": module}))
        except Exception as error:
            found = next(c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins")
        assert found == expected
    assert theirs != ours


@pytest.mark.parametrize("theirs, ours", rows("from_pytorch.md", "What is written differently"))
def test_pytorch_is_written_so_here(theirs, ours):
    torch = pytest.importorskip("torch")
    values = {"x": np.arange(6, dtype="float32").reshape(2, 3), "labels": np.array([0, 2]),
              "image": np.arange(32, dtype="float32").reshape(1, 2, 4, 4),
              "kernel": np.ones((3, 2, 3, 3), "float32"),
              "q": np.arange(24, dtype="float32").reshape(1, 2, 4, 3) / 24}
    values["v"] = np.zeros(1)
    tensors = {name: torch.tensor(value) for name, value in values.items()}
    names = {"torch": torch, "F": torch.nn.functional, **tensors}
    same(computed(theirs, names),
         computed(ours, HERE | {name: jnp.array(value) for name, value in values.items()}))


def test_what_pytorch_is_compared_with_runs():
    """The right column alone, where PyTorch is not installed."""
    x = jnp.arange(6.0).reshape(2, 3)
    room = HERE | {"x": x, "v": None, "labels": jnp.array([0, 2]), "kernel": jnp.ones((3, 2, 3, 3)),
                   "image": jnp.arange(32.0).reshape(1, 2, 4, 4),
                   "q": jnp.arange(24.0).reshape(1, 2, 4, 3) / 24}
    with config.using(jit=False):
        for _, ours in rows("from_pytorch.md", "What is written differently"):
            assert np.isfinite(np.asarray(computed(ours, room))).all(), ours

"""Steps that are repeated are written once and run with the places of each turn."""

import re

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import arraylib
import arraylib.numpy as jnp
from arraylib import jit, nn
from arraylib.backends.cpu import backend, program
from arraylib.backends.cpu.turns import Stretch, stretches
from arraylib.compile import optimize

rng = np.random.default_rng(3)


def weights(count, n, scale=0.5):
    return [(rng.standard_normal((n, n)) * scale).astype("float32") for _ in range(count)]


def planned(function, *args):
    graph = jit(function).lower(*args).graph
    return backend.lowered(optimize(graph, backend.native))


def both(plan, args, monkeypatch, donated=frozenset()):
    """The results with turns and those with each step by itself; and the text with turns."""
    given = [np.array(x) for x in arraylib.tree.leaves(args)]
    written = program.write_program(plan, donated)
    found = backend.build(written).run([x.copy() for x in given])
    with monkeypatch.context() as patch:
        patch.setattr(program, "stretches", lambda steps, joins: [Stretch(0, len(steps))])
        plain = program.write_program(plan, donated)
        wanted = backend.build(plain).run([x.copy() for x in given])
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return written.text, plain.text


def layers(x, ws):
    for w in ws:
        h = jnp.tanh(x @ w)
        x = x + h - h.mean(-1, keepdims=True)
    return x


def train(ws, x):
    def loss(ws):
        h = x
        for w in ws:
            h = h + nn.gelu(h @ w)
        return (h * h).mean()
    value, slopes = arraylib.value_and_grad(loss)(ws)
    return value, [w - 0.1 * s for w, s in zip(ws, slopes)]


def test_layers_are_one_stretch():
    plan = planned(layers, np.ones((8, 16), "float32"), weights(24, 16))
    assert stretches(plan.steps, lambda step, after: False) == [Stretch(0, 2, 24)]


def test_the_fused_text_shows_turns():
    lowered = jit(layers).lower(np.ones((8, 16), "float32"), weights(24, 16))
    text = lowered.text("fused")
    assert text.startswith("# 24 turns of 2 steps, whose code is written once\nmatrix product 0\n")
    assert text.count("turns of") == 1 and "kernel 47" in text
    assert "turns of" not in jit(layers).lower(np.ones((8, 16)), weights(3, 16)).text("fused")


def test_code_does_not_grow_with_the_layers(monkeypatch):
    sizes, plain = zip(*[[len(re.findall("^  ", text, re.M)) for text in both(
        planned(layers, x, ws), (x, ws), monkeypatch)]
        for x, ws in ((np.ones((8, 16), "float32"), weights(n, 16)) for n in (18, 27))])
    assert sizes[0] == sizes[1] and plain[1] - plain[0] > 40


def scaled(x, ws):
    for i, w in enumerate(ws):
        x = jnp.sin(x @ w) * (i + 0.5)
    return x


def skipping(x, ws):
    """Every third layer reads what was before the last."""
    before = x
    for i, w in enumerate(ws):
        before, x = x, jnp.tanh((before if i % 3 == 2 else x) @ w) + x
    return x


def returning(x, ws):
    found = []
    for w in ws:
        x = jnp.cos(x @ w)
        found.append(x.sum(0))
    return found, x


def images(x, ws):
    for w in ws:
        y = arraylib.lax.conv_general_dilated(
            x[None, None], w[None, None, :3, :3], (1, 1), "SAME")[0, 0]
        x = nn.relu(y) + x
    return x


@pytest.mark.parametrize("function", [scaled, skipping, returning, images])
def test_results_are_the_same_to_the_last_bit(function, monkeypatch):
    args = np.ones((12, 12), "float32") / 3, weights(18, 12)
    both(planned(function, *args), args, monkeypatch)


@pytest.mark.parametrize("rows", [5, 1100])
def test_training_with_donated_weights(rows, monkeypatch):
    """With many rows, kernels follow products block by block: no cut is between the two."""
    args = weights(8, 64, 0.1), rng.standard_normal((rows, 64)).astype("float32")
    turns, plain = both(planned(train, *args), args, monkeypatch, frozenset(range(8)))
    assert "_turn(" in turns and "_turn(" not in plain


KINDS = [
    lambda x, w: jnp.tanh(x @ w), lambda x, w: x + w[0], lambda x, w: nn.softmax(x @ w),
    lambda x, w: jnp.sort(x, 1) @ w, lambda x, w: (x @ w).T @ x, lambda x, w: x[::-1] * 2 - x.sum(),
]


@settings(max_examples=12, deadline=None)
@given(st.lists(st.sampled_from(range(len(KINDS))), min_size=1, max_size=4),
       st.lists(st.sampled_from(range(len(KINDS))), max_size=2), st.sampled_from([4, 8]))
def test_random_layers(turn, other, count):
    def f(x, ws):
        for kinds in (turn, other, turn):
            for w in ws:
                for kind in kinds:
                    x = KINDS[kind](x, w)
        return x

    args = np.eye(6, dtype="float32"), weights(count, 6)
    with pytest.MonkeyPatch.context() as patch:
        both(planned(f, *args), args, patch)

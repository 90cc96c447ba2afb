"""What the training examples share: AdamW, checkpoints, progress."""

import os
import time

import numpy as np
from safetensors.numpy import load_file, save_file

import arraylib.numpy as jnp
from arraylib import tree
from arraylib.tree_util import keystr

try:
    from tqdm import tqdm
except ImportError:  # then lines instead of a bar
    tqdm = None


def start(params):
    """The state of a training run: parameters, both moments of AdamW, number of steps."""
    zeros = tree.map(jnp.zeros_like, params)
    return {"params": params, "mean": zeros, "square": zeros, "step": jnp.zeros((), jnp.int32)}


def adamw(state, grads, rate, decay=0.1):
    """The next state. Gradients are clipped to norm 1; matrices decay, vectors do not."""
    size = jnp.sqrt(sum((g * g).sum() for g in tree.leaves(grads)))
    grads = tree.map(lambda g: g / jnp.maximum(size, 1.0), grads)
    mean = tree.map(lambda m, g: 0.9 * m + 0.1 * g, state["mean"], grads)
    square = tree.map(lambda s, g: 0.99 * s + 0.01 * g * g, state["square"], grads)
    step = state["step"] + 1
    mean_part, square_part = 1 - 0.9**step, 1 - 0.99**step

    def update(p, m, s):
        change = m / mean_part / (jnp.sqrt(s / square_part) + 1e-8)
        return p - rate * (change + (decay * p if p.ndim > 1 else 0.0))

    params = tree.map(update, state["params"], mean, square)
    return {"params": params, "mean": mean, "square": square, "step": step}


def save(state, file):
    """Write a checkpoint; after a crash the one before is still there."""
    arrays = {keystr(path): np.asarray(x) for path, x in tree.flatten_with_path(state)[0]}
    save_file(arrays, file.with_suffix(".new"))
    os.replace(file.with_suffix(".new"), file)


def restore(like, file):
    """The state in a checkpoint, in the structure of `like`."""
    arrays = load_file(file)
    return tree.map_with_path(lambda path, x: jnp.asarray(arrays[keystr(path)]), like)


class Progress:
    """A bar with the loss and the speed, or a line now and then."""

    def __init__(self, steps, done=0, unit="examples", each=1):
        self.steps, self.done, self.unit, self.each = steps, done, unit, each
        self.started, self.timed = 0.0, 0
        self.bar = tqdm(total=steps, initial=done, unit="step") if tqdm else None

    def step(self, loss):
        """One more step is done, with this loss."""
        self.done += 1
        if not self.started:  # the first step compiles and is not timed
            self.started = time.perf_counter()
        speed = self.timed * self.each / (time.perf_counter() - self.started)
        self.timed += 1
        told = f"loss {loss:.3f}, {speed:,.0f} {self.unit}/s"
        if self.bar:
            self.bar.set_postfix_str(told, refresh=False)
            self.bar.update()
        elif self.done % 20 == 0:
            print(f"step {self.done}/{self.steps}: {told}", flush=True)

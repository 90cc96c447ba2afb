"""What the training examples share: AdamW, checkpoints, progress."""

import os
import time
from functools import partial

import numpy as np
from safetensors.numpy import load_file, save_file

import arraylib.numpy as jnp
from arraylib import optim, tree
from arraylib.tree_util import keystr

try:
    from tqdm import tqdm
except ImportError:  # then lines instead of a bar
    tqdm = None


def optimizer(rate, decay):
    """AdamW. Gradients are clipped to norm 1; matrices decay, vectors do not."""
    matrices = partial(tree.map, lambda p: p.ndim > 1)
    return optim.chain(
        optim.clip_by_global_norm(1.0),
        optim.adamw(rate, b2=0.99, weight_decay=decay, mask=matrices),
    )


def start(params):
    """The state of a training run: parameters, what the optimizer keeps, number of steps."""
    kept = optimizer(0.0, 0.0).init(params)
    return {"params": params, "kept": kept, "step": jnp.zeros((), jnp.int32)}


def adamw(state, grads, rate, decay=0.1):
    """The next state."""
    updates, kept = optimizer(rate, decay).update(grads, state["kept"], state["params"])
    params = optim.apply_updates(state["params"], updates)
    return {"params": params, "kept": kept, "step": state["step"] + 1}


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

"""A GPT that learns to write Python, character by character, from the standard library's source.

python examples/char_gpt.py             2,000 steps; out/char_gpt then holds a loss curve
python examples/char_gpt.py --resume    go on from the checkpoint
python examples/char_gpt.py --short     under a minute, and checks itself

Four layers, width 256, eight heads; AdamW. Parameters and optimizer state are dicts and lists.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from training import Progress, adamw, restore, save, start

import arraylib
import arraylib.numpy as jnp
from arraylib import nn, random, tree

try:
    import matplotlib.pyplot as plt
except ImportError:  # then no curve
    plt = None


def load_text() -> np.ndarray:
    """The source of the standard library, as ASCII codes i32[characters]."""
    files = sorted(Path(os.__file__).parent.glob("*.py"))
    text = "".join(file.read_text(errors="replace") for file in files)
    return np.frombuffer(text.encode("ascii", "ignore"), np.uint8).astype(np.int32)


def init(key, context, symbols=128, width=256, layers=4, heads=8):
    keys = iter(random.split(key, 2 + 4 * layers))

    def weights(*shape, scale=0.02):
        return random.normal(next(keys), shape) * scale

    def layer():
        return {
            "scale1": jnp.ones(width), "scale2": jnp.ones(width),
            "qkv": weights(width, 3, heads, width // heads),
            "out": weights(heads, width // heads, width, scale=0.02 / (2 * layers) ** 0.5),
            "up": weights(width, 4 * width),
            "down": weights(4 * width, width, scale=0.02 / (2 * layers) ** 0.5),
        }  # fmt: skip

    return {"symbols": weights(symbols, width), "positions": weights(context, width),
            "scale": jnp.ones(width), "layers": [layer() for _ in range(layers)]}  # fmt: skip


def norm(x, scale):
    return x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * scale


def attention(x, layer):
    q, k, v = jnp.einsum("btd,dshk->sbhtk", x, layer["qkv"])
    scores = jnp.einsum("bhqk,bhtk->bhqt", q, k) / q.shape[-1] ** 0.5
    past = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    shares = nn.softmax(jnp.where(past, scores, -jnp.inf), axis=-1)
    return jnp.einsum("bhqk,hkd->bqd", shares @ v, layer["out"])


def model(params, tokens):
    """Logits f32[batch, time, symbols] of what follows each of i32[batch, time]."""
    x = params["symbols"][tokens] + params["positions"][: tokens.shape[1]]
    for layer in params["layers"]:
        x = x + attention(norm(x, layer["scale1"]), layer)
        x = x + nn.gelu(norm(x, layer["scale2"]) @ layer["up"]) @ layer["down"]
    return norm(x, params["scale"]) @ params["symbols"].T


def loss(params, tokens):
    logp = nn.log_softmax(model(params, tokens[:, :-1]), axis=-1)
    return -jnp.take_along_axis(logp, tokens[:, 1:, None], axis=-1).mean()


@arraylib.jit
def train_step(state, tokens, rate):
    value, grads = arraylib.value_and_grad(loss)(state["params"], tokens)
    return adamw(state, grads, rate), value


@arraylib.jit
def draw(params, tokens, last, key):
    return random.categorical(key, model(params, tokens[None])[0, last] / 0.8)


def write(params, prompt, length, context):
    """The prompt and `length` more characters."""
    tokens = list(prompt.encode())
    for key in random.split(random.key(0), length):
        window = np.array(tokens[-context:], np.int32)
        padded = np.pad(window, (0, context - len(window)))
        tokens.append(int(draw(params, padded, len(window) - 1, key)))
    return bytes(tokens).decode()


def train(state, text, args):
    """The trained state and the losses. Step n sees the same batch in every run."""
    losses, done = [], int(state["step"])
    progress = Progress(args.steps, done, "characters", args.batch * args.context)
    for step in range(done, args.steps):
        starts = np.random.default_rng(step).integers(0, len(text) - args.context, args.batch)
        tokens = text[starts[:, None] + np.arange(args.context + 1)]
        rate = args.rate * min((step + 1) / 20, 1) * (1 + np.cos(np.pi * step / args.steps)) / 2
        state, value = train_step(state, tokens, np.float32(rate))
        losses.append(float(value))
        progress.step(losses[-1])
        if step % 500 == 499 or step + 1 == args.steps:
            save(state, args.out / "checkpoint.safetensors")
    return state, losses


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, default in ("steps", 2000), ("batch", 16), ("context", 256), ("rate", 1e-3):
        parser.add_argument(f"--{name}", type=type(default), default=default)
    parser.add_argument("--out", type=Path, default=Path("out/char_gpt"))
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--short", action="store_true")
    args = parser.parse_args()
    if args.short:
        args.steps, args.batch, args.context = 60, 8, 64
    args.out.mkdir(parents=True, exist_ok=True)
    text, state = load_text(), start(init(random.key(0), args.context))
    if args.resume:
        state = restore(state, args.out / "checkpoint.safetensors")
    size = sum(p.size for p in tree.leaves(state["params"]))
    print(f"{len(text):,} characters, {size:,} parameters")
    state, losses = train(state, text, args)
    print(write(state["params"], "def ", 40 if args.short else 400, args.context))
    if plt and losses:
        plt.plot(losses)
        plt.gca().set(xlabel="step", ylabel="nats a character")
        plt.savefig(args.out / "loss.png")
    if args.short and not args.resume:
        assert losses[0] > 4 and np.mean(losses[-10:]) < 3, losses


if __name__ == "__main__":
    main()

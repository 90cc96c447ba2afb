"""Handwritten digits (8 x 8, from scikit-learn) told apart by a perceptron and by a small convnet.

python examples/digits.py            both reach 97 % on digits they have not seen
python examples/digits.py --short    half the steps
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from training import Progress, adamw, start

import arraylib
import arraylib.numpy as jnp
from arraylib import nn, random


def dense(key, inputs, outputs):
    """Parameters of an affine layer: weights and zero bias."""
    weights = random.normal(key, (inputs, outputs)) * (2 / inputs) ** 0.5
    return {"w": weights, "b": jnp.zeros(outputs)}


def perceptron_init(key):
    keys = random.split(key, 3)
    return [dense(k, *sizes) for k, sizes in zip(keys, [(64, 256), (256, 256), (256, 10)])]


def perceptron(layers, images):
    """Logits f32[batch, 10] for images f32[batch, 8, 8]."""
    x = images.reshape(len(images), -1)
    for layer in layers[:-1]:
        x = nn.relu(x @ layer["w"] + layer["b"])
    return x @ layers[-1]["w"] + layers[-1]["b"]


def convnet_init(key):
    first, second, last = random.split(key, 3)
    return {"conv1": dense(first, 9, 16), "conv2": dense(second, 9 * 16, 32),
            "out": dense(last, 2 * 2 * 32, 10)}  # fmt: skip


def convolution(layer, x):
    """3 x 3, zero padded, on f32[batch, height, width, channels] as nine shifts, one product."""
    _, height, width, _ = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return jnp.concatenate(shifted, axis=-1) @ layer["w"] + layer["b"]


def pool(x):
    """The largest of each 2 x 2."""
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def convnet(params, images):
    x = pool(nn.relu(convolution(params["conv1"], images[..., None])))
    x = pool(nn.relu(convolution(params["conv2"], x)))
    return x.reshape(len(images), -1) @ params["out"]["w"] + params["out"]["b"]


def train(model, params, images, labels, steps, batch=128):
    """The trained parameters."""

    def loss(params, images, labels):
        logp = nn.log_softmax(model(params, images), axis=-1)
        return -(nn.one_hot(labels, 10) * logp).sum(-1).mean()

    @arraylib.jit
    def train_step(state, images, labels):
        value, grads = arraylib.value_and_grad(loss)(state["params"], images, labels)
        return adamw(state, grads, rate=3e-3, decay=0.1), value

    state, progress = start(params), Progress(steps, unit="digits", each=batch)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        chosen = rng.integers(0, len(images), batch)
        state, value = train_step(state, images[chosen], labels[chosen])
        progress.step(float(value))
    return state["params"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--short", action="store_true")
    args = parser.parse_args()
    steps = args.steps // 2 if args.short else args.steps
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)
    labels = digits.target.astype(np.int32)
    parts = train_test_split(images, labels, test_size=0.25, random_state=0, stratify=labels)
    train_images, test_images, train_labels, test_labels = parts
    for name, init, model in (
        ("perceptron", perceptron_init, perceptron),
        ("convnet", convnet_init, convnet),
    ):
        params = train(model, init(random.key(1)), train_images, train_labels, steps)
        guesses = np.asarray(arraylib.jit(model)(params, test_images)).argmax(-1)
        accuracy = (guesses == test_labels).mean()
        print(f"{name}: {accuracy:.1%} of {len(test_labels)} unseen digits")
        assert accuracy >= 0.97, f"{name}: {accuracy:.1%}"


if __name__ == "__main__":
    main()

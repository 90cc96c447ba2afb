"""Train a small model, write it to a file, and use it in a process that has no Python of it.

python examples/export.py    out/export then holds the file

The file is StableHLO text: XLA, IREE and other compilers read it, too. What JAX writes with
`jax.jit(f).lower(x).as_text()` is loaded in the same way.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

import arraylib
import arraylib.numpy as jnp
from arraylib import export, random, tree

# A function of this process: is a point inside the unit circle?


def init(key, sizes=(2, 32, 32, 1)):
    keys = random.split(key, len(sizes) - 1)
    return [
        {"w": random.normal(k, (m, n)) / m**0.5, "b": jnp.zeros(n)}
        for k, m, n in zip(keys, sizes, sizes[1:])
    ]


def predict(params, points):
    """The logarithm of the odds that points f32[n,2] are inside."""
    x = points
    for layer in params[:-1]:
        x = jnp.tanh(x @ layer["w"] + layer["b"])
    return (x @ params[-1]["w"] + params[-1]["b"])[:, 0]


def loss(params, points, inside):
    logits = predict(params, points)
    return (jnp.logaddexp(0.0, logits) - logits * inside).mean()


@arraylib.jit
def train_step(params, points, inside):
    slopes = arraylib.grad(loss)(params, points, inside)
    return tree.map(lambda p, g: p - 0.5 * g, params, slopes)


# The other process: it knows the file and nothing else.
USER = """
import numpy as np
import arraylib
from arraylib import export

model = export.load("model.mlir")
points = np.load("points.npy")
np.save("odds.npy", model.call(points))
# It is a function like others: which way does the first point get inside fastest?
np.save("slope.npy", arraylib.grad(lambda p: model.call(p)[0])(points)[0])
"""


def main() -> None:
    params = init(random.key(0))
    for step in range(400):
        points = random.uniform(random.key(step + 1), (256, 2), minval=-1.5, maxval=1.5)
        inside = ((points**2).sum(1) < 1).astype("float32")
        params = train_step(params, points, inside)
    print(f"loss {loss(params, points, inside):.3f}")

    def model(points):
        return predict(params, points)  # parameters that it closes over are part of the program

    folder = Path("out/export")
    folder.mkdir(parents=True, exist_ok=True)
    exported = export.export(model)(points)
    exported.save(folder / "model.mlir")
    np.save(folder / "points.npy", points)
    print(exported, "begins")
    print("   ", "\n    ".join(line[:90] for line in exported.mlir_module().splitlines()[:4]))
    subprocess.run([sys.executable, "-c", USER], cwd=folder, check=True)

    odds, slope = np.load(folder / "odds.npy"), np.load(folder / "slope.npy")
    accuracy = ((odds > 0) == np.asarray(inside)).mean()
    print(f"the other process finds {accuracy:.0%} of the points on the right side")
    assert np.allclose(odds, model(points), atol=1e-5)
    assert np.allclose(slope, arraylib.grad(lambda p: model(p)[0])(points)[0], atol=1e-5)
    assert accuracy > 0.9


if __name__ == "__main__":
    main()

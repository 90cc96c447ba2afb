# %% [markdown]
# # The gradient of each example
# `grad` of the mean loss says how all examples together pull at the parameters. `vmap(grad(...))`
# says how each one pulls: here to find labels that are wrong, and to limit what any one can do.

# %%
from _picture import picture

import arraylib
import arraylib.numpy as jnp
from arraylib import optim, random, tree

key, noise = random.split(random.key(0))
x = random.normal(key, (200, 2))
y = (x @ jnp.array([2.0, -1.0]) > 0) * 1.0
wrong = random.choice(noise, 200, (10,), replace=False)
labels = y.at[wrong].set(1 - y[wrong])


def loss(params, point, label):
    """The cross entropy of one example."""
    z = point @ params["w"] + params["b"]
    return jnp.logaddexp(0, z) - label * z


# %% [markdown]
# The parameters are shared (`None`), points and labels are mapped over (`0`).

# %%
each = arraylib.vmap(arraylib.grad(loss), in_axes=(None, 0, 0))


def norms(gradients):
    return jnp.sqrt(sum((g**2).reshape(len(x), -1).sum(axis=1) for g in tree.leaves(gradients)))


# %% [markdown]
# A step in which no example counts more than 0.5 (the clipping of Abadi and others, 2016):


# %%
@arraylib.jit
def step(params):
    gradients = each(params, x, labels)
    scale = jnp.minimum(1, 0.5 / norms(gradients))
    mean = tree.map(lambda g: jnp.einsum("n,n...->...", scale, g) / len(x), gradients)
    return optim.apply_updates(params, tree.map(lambda g: -2.0 * g, mean))


params = {"w": jnp.zeros(2), "b": jnp.zeros(())}
for _ in range(200):
    params = step(params)

size = norms(each(params, x, labels))
suspects = jnp.argsort(size, descending=True)[:10]
found = jnp.isin(suspects, wrong).sum()
print(f"{found} of the 10 examples that pull hardest have wrong labels")
assert found >= 7


# %%
def draw(axes):
    axes.scatter(x[:, 0], x[:, 1], c=labels, s=5 + 60 * size, cmap="coolwarm", alpha=0.7)
    axes.plot(x[wrong, 0], x[wrong, 1], "kx")
    axes.set_title("size: gradient of the example; crosses: wrong labels")


picture(__file__, draw)

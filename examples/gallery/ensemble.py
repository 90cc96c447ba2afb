# %% [markdown]
# # Regression with uncertainty
# Twenty small networks, trained at once: `vmap` turns the training step of one into that of all.
# Where they have seen data they agree; elsewhere their disagreement says how little is known.

# %%
from _picture import picture

import arraylib
import arraylib.numpy as jnp
from arraylib import lax, optim, random, tree


def start(key):
    """Parameters of a network with one hidden layer of 32."""
    first, second, third = random.split(key, 3)
    return {"w": random.normal(first, (1, 32)) * 3, "b": random.normal(second, (32,)) * 3,
            "out": random.normal(third, (32,)) / 6}


def network(params, x):
    return jnp.tanh(x[:, None] @ params["w"] + params["b"]) @ params["out"]


# %% [markdown]
# Each member sees the data with noise of its own. A training run is one `scan`; `vmap` over keys
# makes an ensemble of it, and `jit` one program.

# %%
x = jnp.concatenate([jnp.linspace(-1.0, -0.2, 30), jnp.linspace(0.3, 0.7, 20)])
y = jnp.sin(4 * x)
optimiser = optim.adam(0.02)


def train(key):
    start_key, noise_key = random.split(key)
    target = y + 0.1 * random.normal(noise_key, y.shape)

    def loss(params):
        return jnp.mean((network(params, x) - target) ** 2)

    def step(state, _):
        params, moments = state
        updates, moments = optimiser.update(arraylib.grad(loss)(params), moments, params)
        return (optim.apply_updates(params, updates), moments), None

    params = start(start_key)
    return lax.scan(step, (params, optimiser.init(params)), length=300)[0][0]


ensemble = arraylib.jit(arraylib.vmap(train))(random.split(random.key(0), 20))
print(tree.map(jnp.shape, ensemble))

# %% [markdown]
# Mean and spread of the twenty predictions, near data and far from it:

# %%
grid = jnp.linspace(-1.5, 1.5, 121)
curves = arraylib.vmap(network, in_axes=(0, None))(ensemble, grid)
mean, spread = curves.mean(axis=0), curves.std(axis=0)
near, far = spread[jnp.abs(grid + 0.6) < 0.2].mean(), spread[grid > 1.2].mean()
print(f"spread near data {near:.3f}, far from it {far:.3f}")
assert far > 3 * near


# %%
def draw(axes):
    axes.fill_between(grid, mean - 2 * spread, mean + 2 * spread, alpha=0.25)
    axes.plot(grid, mean)
    axes.plot(x, y, "k.", markersize=4)


picture(__file__, draw)

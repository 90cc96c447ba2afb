# %% [markdown]
# # A Gaussian process
# A curve through noisy points with honest error bars. How smooth it is, how large and how noisy is
# found by the gradient of the marginal likelihood (Rasmussen and Williams, 2006, chapter 5).

# %%
from _picture import picture

import arraylib
import arraylib.numpy as jnp
from arraylib import lax, optim, random
from arraylib.scipy import linalg

x = jnp.sort(random.uniform(random.key(0), (30,), minval=-3, maxval=3))
y = jnp.sin(2 * x) + 0.1 * x**2 + 0.15 * random.normal(random.key(1), x.shape)


def kernel(params, a, b):
    """How alike the curve is at each pair of places: f32[len(a), len(b)]."""
    length, size = jnp.exp(params["length"]), jnp.exp(params["size"])
    return size**2 * jnp.exp(-((a[:, None] - b[None, :]) ** 2) / (2 * length**2))


def factor(params):
    noise = jnp.exp(2 * params["noise"]) + 1e-5
    return linalg.cho_factor(kernel(params, x, x) + noise * jnp.eye(len(x)), lower=True)


def surprise(params):
    """Minus the logarithm of the likelihood of y, but for a constant."""
    c, lower = factor(params)
    return 0.5 * y @ linalg.cho_solve((c, lower), y) + jnp.log(jnp.diag(c)).sum()


# %% [markdown]
# `grad` goes through the Cholesky factors. The 200 steps of Adam are one program.

# %%
optimiser = optim.adam(0.05)


@arraylib.jit
def fit(params):
    def step(state, _):
        params, moments = state
        value, slope = arraylib.value_and_grad(surprise)(params)
        updates, moments = optimiser.update(slope, moments, params)
        return (optim.apply_updates(params, updates), moments), value

    return lax.scan(step, (params, optimiser.init(params)), length=200)


start = {"length": jnp.array(0.0), "size": jnp.array(0.0), "noise": jnp.array(-1.0)}
(params, _), values = fit(start)
print(f"length {jnp.exp(params['length']):.2f}, noise {jnp.exp(params['noise']):.2f}")
assert values[-1] < values[0] and 0.08 < jnp.exp(params["noise"]) < 0.3


# %% [markdown]
# The curve and its standard deviation, given the points:


# %%
@arraylib.jit
def predict(params, grid):
    cross = kernel(params, x, grid)
    mean = cross.T @ linalg.cho_solve(factor(params), y)
    weights = linalg.cho_solve(factor(params), cross)
    variance = jnp.exp(params["size"]) ** 2 - (cross * weights).sum(axis=0)
    return mean, jnp.sqrt(jnp.maximum(variance, 0))


grid = jnp.linspace(-4, 4, 161)
mean, deviation = predict(params, grid)
print(f"deviation {deviation[80]:.2f} in the middle, {deviation[0]:.2f} outside of the points")
assert deviation[0] > 3 * deviation[80]


# %%
def draw(axes):
    axes.fill_between(grid, mean - 2 * deviation, mean + 2 * deviation, alpha=0.25)
    axes.plot(grid, mean)
    axes.plot(x, y, "k.")


picture(__file__, draw)

# %% [markdown]
# # Fitting a differential equation
# How fast do hares breed, and how many do lynxes catch? The rates of a Lotka-Volterra model, found
# from noisy counts by the gradient through a whole Runge-Kutta solution.

# %%
from _picture import picture

import arraylib
import arraylib.numpy as jnp
from arraylib import lax, optim, random


def change(rates, animals):
    birth, caught, death, growth = rates
    hares, lynxes = animals
    return jnp.stack([birth * hares - caught * hares * lynxes,
                      growth * hares * lynxes - death * lynxes])


def solve(rates, animals, steps=200, step=0.1):
    """The animals at each step, f32[steps, 2], by Runge and Kutta's method of fourth order."""
    def advance(animals, _):
        first = change(rates, animals)
        second = change(rates, animals + step / 2 * first)
        third = change(rates, animals + step / 2 * second)
        fourth = change(rates, animals + step * third)
        animals = animals + step / 6 * (first + 2 * second + 2 * third + fourth)
        return animals, animals

    return lax.scan(advance, animals, length=steps)[1]


# %% [markdown]
# Counts of a population whose rates we pretend not to know, every tenth step:

# %%
truth, start = jnp.array([0.8, 0.4, 0.6, 0.2]), jnp.array([4.0, 1.0])
path = solve(truth, start)
counts = path[::10] * (1 + 0.05 * random.normal(random.key(0), (20, 2)))

# %% [markdown]
# Rates are positive, so their logarithms are what is fitted.

# %%
optimiser = optim.adam(0.03)


def loss(logs):
    seen = solve(jnp.exp(logs), start)[::10]
    return ((jnp.log(seen) - jnp.log(counts)) ** 2).mean()


@arraylib.jit
def step(logs, state):
    value, slope = arraylib.value_and_grad(loss)(logs)
    updates, state = optimiser.update(slope, state, logs)
    return optim.apply_updates(logs, updates), state, value


guess = jnp.array([0.6, 0.5, 0.8, 0.3])
logs = jnp.log(guess)
state, losses = optimiser.init(logs), []
for _ in range(300):
    logs, state, value = step(logs, state)
    losses.append(float(value))
fitted = jnp.exp(logs)
print(f"loss {losses[0]:.3f} -> {losses[-1]:.4f}; rates {fitted.round(2)}, in truth {truth}")
assert jnp.allclose(fitted, truth, rtol=0.1)


# %%
def draw(axes):
    time = jnp.arange(200) / 10
    for animal, name in enumerate(("hares", "lynxes")):
        line = axes.plot(time, solve(fitted, start)[:, animal], label=f"{name}, fitted")[0]
        axes.plot(time, solve(guess, start)[:, animal], ":", color=line.get_color(), alpha=0.5)
        axes.plot(time[::10], counts[:, animal], "o", color=line.get_color())
    axes.legend()


picture(__file__, draw)

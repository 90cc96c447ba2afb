# %% [markdown]
# # A diffusion model of two moons
# Noise is added to points until nothing is left of them; a small network learns to tell the noise,
# and taking away what it tells, step by step, turns fresh noise into moons (Ho, Jain and Abbeel,
# 2020).

# %%
import math

from _picture import picture

import arraylib
import arraylib.numpy as jnp
from arraylib import lax, nn, optim, random

STEPS = 40
betas = jnp.linspace(0.001, 0.25, STEPS)
kept = jnp.cumprod(1 - betas)  # how much of the variance of the data is left after each step


def moons(key, count):
    """Points f32[count, 2] on two half circles, with mean 0."""
    which, where, noise = random.split(key, 3)
    lower = random.bernoulli(which, 0.5, (count,))
    angle = random.uniform(where, (count,), maxval=math.pi)
    x = jnp.where(lower, 1 - jnp.cos(angle), jnp.cos(angle)) - 0.5
    y = jnp.where(lower, 0.5 - jnp.sin(angle), jnp.sin(angle)) - 0.25
    return jnp.stack([x, y], axis=1) + 0.05 * random.normal(noise, (count, 2))


# %% [markdown]
# The network sees a point and, as waves of several lengths, how far the diffusion has gone.


# %%
def network(params, points, time):
    phase = time[:, None] / STEPS * 2.0 ** jnp.arange(6) * math.pi / 2
    x = jnp.concatenate([points, jnp.sin(phase), jnp.cos(phase)], axis=1)
    for weights, bias in params[:-1]:
        x = nn.silu(x @ weights + bias)
    return x @ params[-1][0] + params[-1][1]


sizes = [14, 64, 64, 2]
init = nn.initializers.he_normal()
params = [(init(key, (n, m)), jnp.zeros(m))
          for key, n, m in zip(random.split(random.key(0), 3), sizes, sizes[1:])]
optimiser = optim.adam(optim.cosine_decay_schedule(5e-3, 1500))


@arraylib.jit
def train(params, key):
    def step(state, key):
        params, moments = state
        one, two, three = random.split(key, 3)
        points, time = moons(one, 128), random.randint(two, (128,), 0, STEPS)
        noise = random.normal(three, points.shape)
        share = kept[time][:, None]
        noisy = jnp.sqrt(share) * points + jnp.sqrt(1 - share) * noise

        def loss(params):
            return ((network(params, noisy, time) - noise) ** 2).mean()

        value, slope = arraylib.value_and_grad(loss)(params)
        updates, moments = optimiser.update(slope, moments, params)
        return (optim.apply_updates(params, updates), moments), value

    (params, _), losses = lax.scan(step, (params, optimiser.init(params)), random.split(key, 1500))
    return params, losses


params, losses = train(params, random.key(1))
print(f"loss {losses[:50].mean():.2f} -> {losses[-50:].mean():.2f}")


# %% [markdown]
# Sampling goes the other way: from pure noise through all steps, in one `scan`.


# %%
@arraylib.jit
def sample(params, key):
    first, rest = random.split(key)

    def back(points, given):
        time, key = given
        noise = network(params, points, jnp.full(len(points), time))
        mean = points - betas[time] / jnp.sqrt(1 - kept[time]) * noise
        fresh = jnp.where(time > 0, jnp.sqrt(betas[time]), 0) * random.normal(key, points.shape)
        return mean / jnp.sqrt(1 - betas[time]) + fresh, points

    times = jnp.arange(STEPS)[::-1]
    noise = random.normal(first, (500, 2))
    return lax.scan(back, noise, (times, random.split(rest, STEPS)))


drawn, history = sample(params, random.key(2))
real = moons(random.key(3), 500)
apart = jnp.linalg.norm(drawn[:, None] - real[None], axis=-1).min(axis=1)
print(f"half of the samples are within {jnp.median(apart):.3f} of a real point")
assert jnp.median(apart) < 0.15 and losses[-50:].mean() < losses[:50].mean()


# %%
def draw(*axes):
    for axis, step, points in zip(axes, (0, 25, 33, STEPS), (*history[jnp.array([0, 25, 33])],
                                                            drawn)):
        axis.scatter(points[:, 0], points[:, 1], s=3)
        axis.set(title=f"after {step} steps", xlim=(-3, 3), ylim=(-2.5, 2.5))


picture(__file__, draw, columns=4, size=(11, 3))

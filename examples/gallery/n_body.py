# %% [markdown]
# # Three bodies on a figure of eight
# Newton's law for all pairs at once by broadcasting, and a `scan` that takes the steps. The orbit
# is that of Chenciner and Montgomery (2000): three equal masses that chase each other for ever.

# %%
from _picture import picture

import arraylib
import arraylib.numpy as jnp
from arraylib import config, lax

config.default_bits = 64  # orbits want all the digits they can get


def potential(places):
    """The energy of f[bodies, 2] places: the sum of -1 / distance over pairs."""
    apart = places[:, None] - places[None, :]
    i, j = jnp.triu_indices(len(places), k=1)
    return -(1 / jnp.linalg.norm(apart[i, j], axis=-1)).sum()


# %% [markdown]
# The force is minus the gradient of the potential, so nobody needs to derive it. Steps are
# leapfrog's, which keeps the energy where it is over long times.


# %%
@arraylib.jit
def orbit(places, speeds):
    step = 0.005

    def leap(state, _):
        places, speeds = state
        half = speeds - 0.5 * step * arraylib.grad(potential)(places)
        places = places + step * half
        speeds = half - 0.5 * step * arraylib.grad(potential)(places)
        energy = 0.5 * (speeds**2).sum() + potential(places)
        return (places, speeds), (places, energy)

    return lax.scan(leap, (places, speeds), length=1266)[1]


one = jnp.array([0.97000436, -0.24308753])
swing = jnp.array([-0.93240737, -0.86473146])
places = jnp.stack([one, -one, jnp.zeros(2)])
speeds = jnp.stack([-swing / 2, -swing / 2, swing])
paths, energy = orbit(places, speeds)

period = jnp.linalg.norm(paths[-1] - places, axis=-1).max()
print(f"after one period each body is within {period:.4f} of where it began")
print(f"the energy varied by {jnp.ptp(energy):.1e} around {energy.mean():.4f}")
assert period < 0.02 and jnp.ptp(energy) < 1e-4
config.default_bits = 32


# %%
def draw(axes):
    for body in range(3):
        axes.plot(paths[:, body, 0], paths[:, body, 1], color="0.8")
        axes.plot(*paths[300, body], "o", markersize=9)
    axes.set_aspect("equal")


picture(__file__, draw)

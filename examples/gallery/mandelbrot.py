# %% [markdown]
# # The Mandelbrot set
# A loop over complex numbers as one program: every point goes on until it escapes.

# %%
from _picture import picture

import arraylib
import arraylib.numpy as jnp
from arraylib import lax


@arraylib.jit
def escape(c, most=60):
    """After how many turns of z = z^2 + c each point is further than 2 from 0."""
    def turn(_, state):
        z, count = state
        inside = jnp.abs(z) <= 2
        return jnp.where(inside, z * z + c, z), count + inside

    start = (jnp.zeros_like(c), jnp.zeros(c.shape, "int32"))
    return lax.fori_loop(0, most, turn, start)[1]


real, imaginary = jnp.meshgrid(jnp.linspace(-2.2, 0.8, 300), jnp.linspace(-1.2, 1.2, 240))
counts = escape(real + 1j * imaginary)
print(f"{(counts == 60).mean():.1%} of the points stay")
assert 0.15 < (counts == 60).mean() < 0.3


# %%
def draw(axes):
    axes.imshow(jnp.log(counts + 1), extent=(-2.2, 0.8, -1.2, 1.2), cmap="magma")


picture(__file__, draw)

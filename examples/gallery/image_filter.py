# %% [markdown]
# # Filters of images
# Blur, sharpen and find edges: convolutions with small kernels, all of them in one call.

# %%
from _picture import picture

import arraylib
import arraylib.numpy as jnp
from arraylib import lax, random

rows, columns = jnp.meshgrid(jnp.linspace(-1, 1, 96), jnp.linspace(-1, 1, 96), indexing="ij")
disc = (rows**2 + columns**2 < 0.4) * 1.0
square = (jnp.maximum(jnp.abs(rows - 0.3), jnp.abs(columns + 0.3)) < 0.35) * 0.6
image = jnp.maximum(disc * (0.5 + columns / 2), square)
image = image + 0.02 * random.normal(random.key(0), image.shape)

# %% [markdown]
# `conv_general_dilated` takes images `[n, channels, height, width]` and kernels
# `[out, in, height, width]`: four kernels of 5 x 5 give four images.

# %%
bell = jnp.exp(-jnp.arange(-2.0, 3.0) ** 2 / 2)
blur = jnp.outer(bell, bell) / bell.sum() ** 2
spot = jnp.zeros((5, 5)).at[2, 2].set(1.0)
slope = jnp.outer(bell, jnp.arange(-2.0, 3.0)) / 10
kernels = jnp.stack([blur, 2 * spot - blur, slope, slope.T])


@arraylib.jit
def filtered(image):
    return lax.conv_general_dilated(image[None, None], kernels[:, None], (1, 1), "SAME")[0]


blurred, sharp, across, down = filtered(image)
edges = jnp.hypot(across, down)
print(f"noise {image[:8].std():.4f} before, {blurred[:8].std():.4f} after blurring")
assert blurred[:8].std() < image[:8].std() / 2
assert jnp.allclose(blurred + sharp, 2 * image, atol=1e-5)

# %% [markdown]
# A filter is differentiable like anything else: the image that blurs to what was seen, found by
# following the gradient.


# %%
@arraylib.jit
def sharpened(seen):
    def error(guess):
        return ((filtered(guess)[0] - seen) ** 2).sum()

    return lax.fori_loop(0, 40, lambda _, guess: guess - 0.5 * arraylib.grad(error)(guess), seen)


restored = sharpened(blurred)
before, after = jnp.abs(blurred - image).mean(), jnp.abs(restored - image).mean()
print(f"mean error {before:.4f} blurred, {after:.4f} restored")
assert after < before


# %%
def draw(*axes):
    for axis, name, each in zip(axes, ("image", "blurred", "edges", "restored"),
                                (image, blurred, edges, restored)):
        axis.imshow(each, cmap="gray")
        axis.set_title(name)
        axis.axis("off")


picture(__file__, draw, columns=4, size=(10, 3))

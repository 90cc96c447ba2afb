# %% [markdown]
# # What a step spends its time on
# `jit(f).profile(x)` times each kernel of a compiled program beside the least time that it could
# take on this machine. Here for the gradient of attention, written out.

# %%
import math

import arraylib
import arraylib.numpy as jnp
from arraylib import nn, random


def attention(query, key, value):
    """Softmax attention over f32[heads, length, width]."""
    scores = jnp.einsum("hqd,hkd->hqk", query, key) / math.sqrt(query.shape[-1])
    return jnp.einsum("hqk,hkd->hqd", nn.softmax(scores), value)


gradient = arraylib.jit(arraylib.grad(lambda *qkv: (attention(*qkv) ** 2).sum(), argnums=(0, 1, 2)))
qkv = tuple(random.normal(key, (4, 128, 32)) for key in random.split(random.key(0), 3))

# %% [markdown]
# One row for each kernel: the line that it computes, its time, and what the memory and the
# arithmetic would allow.

# %%
profile = gradient.profile(*qkv)
print(profile)
assert len(str(profile).splitlines()) > 3


# %% [markdown]
# The same as a picture; `profile.save("trace.json")` writes it for Perfetto.

# %%
profile.plot("profile_picture.svg")

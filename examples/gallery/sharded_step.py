# %% [markdown]
# # A training step over a mesh
# Eight virtual devices in a grid of four by two: the batch is split over one axis, the layer over
# the other. The program is the one for a single device; shardings say what lies where.

# %%
from _picture import picture

import arraylib
import arraylib.numpy as jnp
from arraylib import config, random
from arraylib.sharding import NamedSharding, PartitionSpec as P

config.num_cpu_devices = 8
mesh = arraylib.make_mesh((4, 2), ("data", "model"))


def place(x, *axes):
    return arraylib.device_put(x, NamedSharding(mesh, P(*axes)))


first, second, third = random.split(random.key(0), 3)
x = place(random.normal(first, (64, 16)), "data", None)
truth = random.normal(second, (16, 8))
y = place(jnp.tanh(x @ truth), "data", "model")
w = place(random.normal(third, (16, 8)) / 4, None, "model")
print(arraylib.typeof(x), arraylib.typeof(w), arraylib.typeof(y))


# %% [markdown]
# Types carry the shardings: the gradient of `w` is laid out as `w` is.


# %%
@arraylib.jit
def step(w, x, y):
    def loss(w):
        return ((jnp.tanh(x @ w) - y) ** 2).mean()

    value, slope = arraylib.value_and_grad(loss)(w)
    return w - 4.0 * slope, value


losses = []
for _ in range(100):
    w, value = step(w, x, y)
    losses.append(float(value))
print(f"loss {losses[0]:.3f} -> {losses[-1]:.5f}, w is {arraylib.typeof(w)}")
assert losses[-1] < 0.01 * losses[0]

# %% [markdown]
# Each device holds all rows of `w` and half of its columns:

# %%
for shard in w.addressable_shards[:2]:
    print(shard.device, shard.index, shard.data.shape)
arraylib.debug.visualize_array_sharding(w)
shards = [(shard.device.id, shard.index[1].start or 0) for shard in w.addressable_shards]
config.num_cpu_devices = 1


# %%
def draw(left, right):
    left.semilogy(losses)
    left.set_title("loss")
    owners = jnp.zeros((2, 4)).at[[start // 4 for _, start in shards],
                                  [device // 2 for device, _ in shards]].set(
        jnp.array([device for device, _ in shards], "float32"))
    right.imshow(owners, cmap="tab10")
    right.set(title="columns of w, and their devices", xticks=[], yticks=[])


picture(__file__, draw, columns=2, size=(8, 3))

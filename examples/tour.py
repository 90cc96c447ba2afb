# %% [markdown]
# # A tour of arraylib
# Run it whole (`python examples/tour.py`) or cell by cell, in an editor that knows `# %%`.

# %%
import arraylib
import arraylib.numpy as jnp
from arraylib import lax, nn, random, tree

# %% [markdown]
# ## Arrays
# They look like NumPy's, and never change: `.at` gives a changed copy.

# %%
x = jnp.arange(6.0).reshape(2, 3)
y = x.at[0, 1].set(10.0)
print(x + jnp.array([1.0, 2.0, 3.0]))
print(x[0, 1], y[0, 1])
assert x[0, 1] == 1 and y[0, 1] == 10


# %% [markdown]
# ## jit
# The first call traces the function into a graph and compiles it, for these shapes and dtypes;
# later calls only run it.


# %%
@arraylib.jit
def standardize(x):
    return (x - x.mean(axis=0)) / jnp.sqrt(x.var(axis=0) + 1e-6)


data = random.normal(random.key(0), (1000, 3)) * 5.0 + 2.0
scaled = standardize(data)
print(scaled.mean(axis=0), scaled.std(axis=0))
assert jnp.allclose(scaled.std(axis=0), 1.0, atol=1e-3)


# %% [markdown]
# The graph can be looked at:

# %%
print(arraylib.make_graph(lambda x, w: nn.relu(x @ w).sum())(x, jnp.ones((3, 2))))


# %% [markdown]
# ## grad
# Functions in, functions out: derivatives of derivatives are no special case.


# %%
def energy(x):
    return jnp.sum(x**2 / 2 - jnp.cos(x))


point = jnp.array([0.5, 1.0])
print(arraylib.grad(energy)(point))  # x + sin(x)
print(arraylib.hessian(energy)(point))  # 1 + cos(x) on the diagonal
assert jnp.allclose(arraylib.grad(energy)(point), point + jnp.sin(point))
assert jnp.allclose(arraylib.hessian(energy)(point), jnp.diag(1 + jnp.cos(point)), atol=1e-6)


# %% [markdown]
# ## vmap
# Write the function for one example; `vmap` makes it one for many. Gradients of each example:


# %%
def loss(weights, example, target):
    return (example @ weights - target) ** 2


weights, examples, targets = jnp.ones(3), scaled[:4], jnp.zeros(4)
each = arraylib.vmap(arraylib.grad(loss), in_axes=(None, 0, 0))(weights, examples, targets)
print(each.shape)
by_hand = jnp.stack([2 * (e @ weights) * e for e in examples])
assert jnp.allclose(each, by_hand, atol=1e-5)


# %% [markdown]
# ## scan
# A loop that is part of the graph: compiled once, however long, and differentiable.


# %%
def compound(balance, rate):
    balance = balance * (1 + rate)
    return balance, balance


rates = jnp.array([0.01, 0.02, 0.03])
final, history = lax.scan(compound, 100.0, rates)
print(final, history)
slope = arraylib.grad(lambda start: lax.scan(compound, start, rates)[0])(100.0)
assert jnp.allclose(slope, jnp.prod(1 + rates))


# %% [markdown]
# ## Trees
# Parameters are dicts, lists and tuples of arrays, nested as you like. Everything takes them.

# %%
params = {"layers": [{"w": jnp.ones((3, 4)), "b": jnp.zeros(4)}, {"w": jnp.ones((4, 1))}]}


def model(params, x):
    first, second = params["layers"]
    return (jnp.tanh(x @ first["w"] + first["b"]) @ second["w"]).sum()


slopes = arraylib.grad(model)(params, examples)
stepped = tree.map(lambda p, g: p - 0.1 * g, params, slopes)
print(tree.map(jnp.shape, slopes))
assert model(stepped, examples) < model(params, examples)


# %% [markdown]
# ## Random numbers
# A key is a value: the same key gives the same numbers, on every machine; split it for more.

# %%
key = random.key(42)
key, sub = random.split(key)
print(random.uniform(sub, (3,)))
assert jnp.array_equal(random.uniform(sub, (3,)), random.uniform(sub, (3,)))


# %% [markdown]
# ## Mistakes
# are reported while tracing, at your line, with the operands and their axes.

# %%
try:
    arraylib.jit(lambda x, w: x @ w)(jnp.ones((32, 784)), jnp.ones((512, 10)))
    raise AssertionError("784 is not 512")
except TypeError as error:
    print(error)

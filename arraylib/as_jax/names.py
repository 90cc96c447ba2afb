"""Which of our modules answer for each module of JAX: a name is looked for from left to right.

A module of JAX that is not here is missing. `here.` stands for the modules beside this one, which
hold what has a meaning in JAX's terms only.
"""

MODULES: dict[str, tuple[str, ...]] = {
    "jax": ("here.top", ""),
    "jax.ad_checkpoint": ("ad_checkpoint",),
    "jax.api_util": ("here.api_util",),
    "jax.core": ("here.core",),
    "jax.custom_batching": ("custom_batching",),
    "jax.custom_derivatives": ("custom_derivatives", "here.custom_derivatives"),
    "jax.debug": ("debug",),
    "jax.dtypes": ("here.dtypes",),
    "jax.errors": ("here.errors", "errors"),
    "jax.experimental": ("experimental",),
    "jax.experimental.checkify": ("checkify",),
    "jax.experimental.compilation_cache": (),
    "jax.experimental.compilation_cache.compilation_cache": ("here.compilation_cache",),
    "jax.experimental.multihost_utils": ("here.multihost_utils",),
    "jax.export": ("export",),
    "jax.extend": (),
    "jax.extend.core": ("here.core",),
    "jax.extend.linear_util": ("here.linear_util",),
    "jax.extend.source_info_util": ("here.tracebacks",),
    "jax.flatten_util": ("flatten_util",),
    "jax.interpreters": (),
    "jax.lax": ("lax",),
    "jax.lax.linalg": ("lax.linalg",),
    "jax.lib": (),
    "jax.memory": ("memory",),
    "jax.monitoring": ("here.monitoring",),
    "jax.nn": ("nn",),
    "jax.nn.initializers": ("nn.initializers",),
    "jax.numpy": ("numpy",),
    "jax.numpy.fft": ("numpy.fft",),
    "jax.numpy.linalg": ("numpy.linalg",),
    "jax.ops": ("ops",),
    "jax.random": ("random",),
    "jax.scipy": ("scipy",),
    "jax.scipy.linalg": ("scipy.linalg",),
    "jax.scipy.special": ("scipy.special",),
    "jax.scipy.stats": ("scipy.stats",),
    "jax.stages": ("stages",),
    "jax.test_util": ("test_util",),
    "jax.tree": ("tree",),
    "jax.tree_util": ("tree_util",),
    "jax.typing": ("typing",),
    "jax.version": ("here.top",),
    "jaxlib": ("here.top",),
}

# Below these, a module of ours answers for the one of the same name: "scipy.stats.norm".
BELOW = ("jax.experimental", "jax.scipy")

# Modules that JAX keeps to itself and that libraries ask for nevertheless, for these names.
PRIVATE: dict[str, tuple[str, ...]] = {
    "jax._src": (),
    "jax._src.core": ("here.core",),
    "jax._src.dtypes": ("here.dtypes",),
    "jax._src.linear_util": ("here.linear_util",),
    "jax._src.source_info_util": ("here.tracebacks",),
    "jax._src.traceback_util": ("here.tracebacks",),
}

"""How each library runs a workload: its own `build(workload)`, `array`, `block` and `numpy`.

`jax`, `arraylib`, `numpy` and the float64 `reference` run the workloads as written, through a
namespace; `torch`, `torch_compile` and `numba` have their own idiomatic versions of those that are
short to write. A library is imported only when it is asked for.
"""

from functools import partial
from importlib import import_module
from types import SimpleNamespace

import numpy as np

from benchmarks.data import leaves, tree_map
from benchmarks.workloads import Missing

LIBRARIES = ["arraylib", "jax", "torch", "torch_compile", "numpy", "numba"]
# What a program runs before its first result: the import, then the smallest compiled call.
IMPORTS = {
    "arraylib": (
        "import arraylib.numpy",
        "import arraylib as l; l.jit(lambda x: x + 1)(l.numpy.zeros(4))",
    ),
    "jax": (
        "import jax.numpy",
        "import jax as l; import jax.numpy; l.jit(lambda x: x + 1)(l.numpy.zeros(4))",
    ),
    "torch": ("import torch", "import torch; torch.zeros(4) + 1"),
    "torch_compile": (
        "import torch",
        "import torch; torch.compile(lambda x: x + 1)(torch.zeros(4))",
    ),
    "numpy": ("import numpy", "import numpy; numpy.zeros(4) + 1"),
    "numba": ("import numba", "import numba, numpy; numba.njit(lambda x: x + 1)(numpy.zeros(4))"),
}


class NumPy:
    """NumPy as a namespace; also the base of the others."""

    np = np
    exact_random = False  # gives JAX's own random bits
    lax = SimpleNamespace(rsqrt=lambda x: 1 / np.sqrt(x))
    nn = SimpleNamespace(
        relu=lambda x: np.maximum(x, 0),
        sigmoid=lambda x: 1 / (1 + np.exp(-x)),
        gelu=lambda x: 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x * x * x))),
    )
    random = SimpleNamespace(
        key=lambda seed: np.random.Generator(np.random.SFC64(int(seed))),
        bits=lambda rng, shape, dtype: rng.integers(0, 1 << 32, shape, dtype),
        normal=lambda rng, shape, dtype: rng.standard_normal(shape, dtype),
    )

    def __init__(self):
        def logsumexp(x, axis, keepdims=False):
            top = x.max(axis, keepdims=True)
            out = top + np.log(np.exp(x - top).sum(axis, keepdims=True))
            return out if keepdims else out.squeeze(axis)

        def softmax(x, axis):
            e = np.exp(x - x.max(axis, keepdims=True))
            return e / e.sum(axis, keepdims=True)

        self.lax.erf = import_module("scipy.special").erf
        self.nn.logsumexp, self.nn.softmax = logsumexp, softmax

    def jit(self, f, **settings):
        return f

    def build(self, workload):
        if workload.group == "compile" or workload.bf16:
            raise Missing("NumPy has neither compilation nor bfloat16")
        function, args = workload.build(self)
        return function, tree_map(self.array, args)

    def array(self, x):
        """A NumPy argument as this library's array."""
        return x

    def block(self, out):
        """Wait until the result is ready."""

    def numpy(self, x):
        return np.asarray(x)

    def warm(self):
        """Pay the one-time costs that are no part of compiling a particular function."""

    def store(self, folder):
        """Keep compiled code on disk, where later processes find it."""
        raise Missing("keeps no compiled code")


class JaxLike(NumPy):
    """jax itself, or a library that mirrors it."""

    exact_random = True

    def __init__(self, module):
        self.module = import_module(module)
        for name in "np", "lax", "nn", "random":
            try:
                setattr(self, name, import_module(module + "." + {"np": "numpy"}.get(name, name)))
            except ImportError:
                setattr(self, name, SimpleNamespace())  # only the workloads that use it fail
        self.jit = self.module.jit

    def __getattr__(self, name):  # grad, vmap, ...
        return getattr(self.module, name)

    def build(self, workload):
        function, args = workload.build(self)
        return function, tree_map(self.array, args)

    def array(self, x):
        return self.np.asarray(x)

    def block(self, out):
        for x in leaves(out):
            x.block_until_ready()

    def warm(self):
        self.block(self.jit(lambda x: x - 1)(self.array(np.zeros(3, np.float32))))

    def store(self, folder):
        settings = {"cache": True, "cache_dir": folder}
        if self.module.__name__ == "jax":
            settings = {
                "jax_compilation_cache_dir": folder,
                "jax_persistent_cache_min_compile_time_secs": 0,
                "jax_persistent_cache_min_entry_size_bytes": -1,
            }
        for name, value in settings.items():
            self.module.config.update(name, value)


class Reference(JaxLike):
    """JAX with every input widened to float64: what the results are checked against."""

    def __init__(self):
        super().__init__("jax")
        self.module.config.update("jax_enable_x64", True)

    def array(self, x):
        wide = {"f": np.float64, "V": np.float64, "c": np.complex128}.get(np.asarray(x).dtype.kind)
        return self.np.asarray(x if wide is None else np.asarray(x).astype(wide))


class Numba(NumPy):
    """Loops written out, compiled by Numba."""

    def build(self, workload):
        kernel = import_module("benchmarks.numba_versions").KERNELS.get(workload.name)
        if kernel is None:
            raise Missing("no version written")
        compiled = import_module("numba").njit(parallel=True, fastmath=True)(kernel)
        return compiled, workload.arguments()


class Torch(NumPy):
    """PyTorch, eager or through `torch.compile`."""

    def __init__(self, compiled=False):
        self.torch, self.compiled = import_module("torch"), compiled

    def build(self, workload):
        if workload.group == "compile" and not self.compiled:
            raise Missing("does not compile")
        if not workload.jit and self.compiled:
            raise Missing("is not about compiled code")
        compile = self.torch.compile if self.compiled else lambda f: f
        args = tree_map(self.array, workload.arguments())
        return import_module("benchmarks.torch_versions").versions(workload, compile, args)

    def array(self, x):
        x = np.asarray(x)
        if x.dtype.name == "bfloat16":
            return self.torch.from_numpy(x.view(np.int16)).view(self.torch.bfloat16)
        return self.torch.from_numpy(x.astype(np.int64) if x.dtype == np.int32 else x.copy())

    def numpy(self, x):
        return (x.float() if x.dtype == self.torch.bfloat16 else x).detach().numpy()

    def warm(self):
        if self.compiled:
            x = self.torch.ones(3, requires_grad=True)
            self.torch.compile(lambda x: (x * 2).sum())(x).backward()


def load(library):
    makers = {
        "jax": partial(JaxLike, "jax"),
        "arraylib": partial(JaxLike, "arraylib"),
        "reference": Reference,
        "numpy": NumPy,
        "numba": Numba,
        "torch": Torch,
        "torch_compile": partial(Torch, True),
    }
    return makers[library]()

"""What a program may name: the public modules, in the order users look for them, and their names.

The pages of the documentation and the tests of docstrings both go through these.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, get_origin

DISTRIBUTIONS = ["norm", "uniform", "t", "gamma", "beta", "expon", "laplace", "logistic", "cauchy",
                 "chi2", "pareto", "dirichlet", "bernoulli", "binom", "poisson", "geom"]

# By task; each module with the name that examples call it by.
MODULES: dict[str, dict[str, str]] = {
    "Start here": {
        "arraylib": "arraylib", "arraylib.numpy": "jnp", "arraylib.random": "random",
        "arraylib.lax": "lax", "arraylib.nn": "nn", "arraylib.optim": "optim",
        "arraylib.tree": "tree"},
    "NumPy and SciPy": {
        "arraylib.numpy.linalg": "jnp.linalg", "arraylib.numpy.fft": "jnp.fft",
        "arraylib.scipy.special": "special", "arraylib.scipy.linalg": "linalg",
        "arraylib.scipy.stats": "stats", "arraylib.scipy.signal": "signal",
        "arraylib.scipy.fft": "fft", "arraylib.scipy.ndimage": "ndimage",
        "arraylib.scipy.integrate": "integrate", "arraylib.scipy.sparse.linalg": "sparse.linalg",
        "arraylib.scipy.optimize": "optimize", "arraylib.scipy.interpolate": "interpolate",
        "arraylib.scipy.cluster.vq": "vq", "arraylib.scipy.spatial.transform": "transform",
        "arraylib.image": "image"},
    "More to compute with": {
        "arraylib.nn.initializers": "initializers", "arraylib.lax.linalg": "lax.linalg",
        "arraylib.ops": "ops", "arraylib.ref": "ref", "arraylib.flatten_util": "flatten_util",
        "arraylib.tree_util": "tree_util", "arraylib.ad_checkpoint": "ad_checkpoint",
        "arraylib.custom_derivatives": "custom_derivatives",
        "arraylib.custom_batching": "custom_batching",
        "arraylib.experimental.hijax": "hijax"},
    "Look inside": {
        "arraylib.debug": "debug", "arraylib.checkify": "checkify",
        "arraylib.profiler": "profiler",
        "arraylib.test_util": "test_util", "arraylib.stages": "stages",
        "arraylib.memory": "memory", "arraylib.cache": "cache"},
    "Devices and files": {
        "arraylib.sharding": "sharding", "arraylib.export": "export", "arraylib.files": "files",
        "arraylib.hlo": "hlo"},
    "Types and errors": {"arraylib.typing": "typing", "arraylib.errors": "errors"},
    "Distributions": {f"arraylib.scipy.stats.{name}": f"stats.{name}" for name in DISTRIBUTIONS},
}
ALL = {module: short for family in MODULES.values() for module, short in family.items()}


def names(module: str) -> list[str]:
    """The names that a module offers, in alphabetical order."""
    found = importlib.import_module(module)
    offered = getattr(found, "__all__", None)
    if offered is None:
        own = "__dir__" in vars(found)
        offered = dir(found) if own else _written(found)
    if module == "arraylib.errors":  # what can be raised, not how
        offered = [name for name in offered if inspect.isclass(getattr(found, name))]
    return [name for name in sorted(set(offered), key=str.lower)
            if not name.startswith("_") and not isinstance(getattr(found, name), ModuleType)]


def _written(module: ModuleType) -> Iterator[str]:
    """What a module defines, or imports for others to use.

    The `__init__.py` of a package imports for others; any other file does if it says `a as a`.
    """
    is_package = hasattr(module, "__path__")
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (each.id for target in targets for each in ast.walk(target)
                        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("arraylib"):
            yield from (alias.asname or alias.name for alias in node.names
                        if alias.asname == alias.name or (is_package and not alias.asname))


def members(module: str) -> dict[str, Any]:
    """Each name of a module, and what it is."""
    found = importlib.import_module(module)
    return {name: getattr(found, name) for name in names(module)}


def documented(value: Any) -> bool:
    """Whether a value has a docstring that is its own, not its class's."""
    return bool(getattr(value, "__doc__", None)) and (
        inspect.isclass(value) or value.__doc__ != type(value).__doc__)


def is_function(value: Any) -> bool:
    """Whether users call it for what it computes: no dtype, constant, error, or kind of state."""
    if inspect.isclass(value) or get_origin(value) is not None:
        return False
    return callable(value) and documented(value)


def methods(value: Any) -> dict[str, Callable[..., Any]]:
    """The public methods and properties of a class of this library that have docstrings."""
    if not inspect.isclass(value) or not value.__module__.startswith("arraylib"):
        return {}
    return {name: method for name in dir(value) if not name.startswith("_")
            if documented(method := inspect.getattr_static(value, name))
            and not isinstance(method, (int, str, float))}

"""Writes docs/names.md: which public names of JAX's modules are not here, and why.

    python tests/support/names_page.py
"""

import importlib
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "names.md"

MODULES = (
    "numpy", "numpy.linalg", "numpy.fft", "lax", "lax.linalg", "nn", "nn.initializers", "random",
    "tree", "tree_util", "image", "ops", "scipy.cluster.vq", "scipy.fft", "scipy.integrate",
    "scipy.interpolate", "scipy.linalg", "scipy.ndimage", "scipy.optimize", "scipy.signal",
    "scipy.sparse.linalg", "scipy.spatial.transform", "scipy.special", "scipy.stats")

PRIMITIVE = "JAX's primitives: operations are `arraylib.hlo`'s here"
TOKENS = "order effects in XLA; the program's order is theirs here"
MACHINES = "messages between machines, in XLA's terms"
NARROW = "ml_dtypes has no dtype of one bit to keep elements in"
LINALG = "JAX's choices between LAPACK's and a GPU's algorithms, and steps of them"

# Why a name is not here, by module and name, or by module alone.
REASONS = {
    "numpy.int1": NARROW, "numpy.uint1": NARROW, "lax.after_all": TOKENS,
    "lax.create_token": TOKENS, "lax.dce_sink": TOKENS, "lax.precv": MACHINES,
    "lax.psend": MACHINES, "lax.ragged_all_to_all": MACHINES,
    "lax.rng_uniform": "its numbers come from a state outside of the program",
    "lax.stage": "what a function takes is in the trace already", "lax.linalg.*": LINALG,
    "random.key_dtype": "keys are uint32 arrays, which have no dtype of their own",
    "tree_util.default_registry": "an object of jaxlib's",
}


def public(module):
    """The names that a module says it has: of its __all__, or without an underscore in front."""
    named = getattr(module, "__all__", None) or [n for n in dir(module) if not n.startswith("_")]
    return {n for n in named if not type(getattr(module, n, None)).__name__ == "module"
            and not _is_typing(getattr(module, n, None))}


def _is_typing(value):
    return getattr(value, "__module__", "") in ("typing", "collections.abc", "__future__")


def missing():
    """For each module the names that JAX has, how many, and those that are not here."""
    for name in MODULES:
        try:
            theirs = public(importlib.import_module(f"jax.{name}"))
        except ModuleNotFoundError:
            continue
        try:
            ours = importlib.import_module(f"arraylib.{name}")
        except ModuleNotFoundError:
            ours = None
        yield name, len(theirs), sorted(n for n in theirs if not hasattr(ours, n))


def reason(module, name):
    """Why a name is not here; KeyError if nobody has said."""
    if name.endswith("_p"):
        return PRIMITIVE
    return REASONS.get(f"{module}.{name}") or REASONS[f"{module}.*"]


def rows():
    """For each module its row: how many names are here, and why others are not."""
    for module, count, lacking in missing():
        why = {}
        for name in lacking:
            why.setdefault(reason(module, name), []).append(name)
        told = [f"{len(names)} {text}" if text == PRIMITIVE
                else f"{', '.join(f'`{n}`' for n in names)}: {text}" for text, names in why.items()]
        yield f"| `jax.{module}` | {count - len(lacking)} of {count} | {'; '.join(told)} |"


HEAD = """# Names of JAX that are not here

Of the public names of JAX 0.10.2's modules, counted by `python tests/support/names_page.py`; \
a program that asks for one of
those that are missing is told so, with its line ([Running JAX programs](from_jax.md)).

| module | here | not here, and why |
|---|---:|---|
"""


def page():
    """The text of docs/names.md."""
    return HEAD + "".join(f"{row}\n" for row in rows())


if __name__ == "__main__":
    PAGE.write_text(page())

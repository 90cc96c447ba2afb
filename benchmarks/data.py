"""The numbers that go into the workloads, from fixed seeds, and the trees they come in."""

import numpy as np


def tree_map(f, tree, *rest):
    if isinstance(tree, dict):
        return {k: tree_map(f, tree[k], *(r[k] for r in rest)) for k in sorted(tree)}
    if isinstance(tree, (list, tuple)):
        return [tree_map(f, *items) for items in zip(tree, *rest)]
    return f(tree, *rest)


def leaves(tree):
    out = []
    tree_map(out.append, tree)
    return out


def normal(*shape, seed=0, scale=1.0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32) * np.float32(scale)


def uniform(low, high, *shape, seed=0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def integers(high, *shape, seed=0):
    return np.random.default_rng(seed).integers(0, high, shape, np.int32)


def shuffled(*shape):
    """Distinct float32 values in random order along the last axis: sorting meets no ties."""
    ordered = np.broadcast_to(np.arange(shape[-1], dtype=np.float32), shape)
    return np.random.default_rng(0).permuted(ordered, axis=-1)

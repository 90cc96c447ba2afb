"""Gathers, scatters, sorts, searches."""

import numpy as np

from benchmarks.data import integers, normal, shuffled
from benchmarks.workloads.workload import M, add

add(
    "gather/embed",
    lambda xp, table, i: table[i],
    lambda: (normal(50_000, 256), integers(50_000, 8192)),
    bytes=16 * M,
)
add(
    "gather/embed_grad",
    lambda xp, table, i: table[i],
    lambda: (normal(50_000, 256), integers(50_000, 8192), normal(8192, 256, seed=1)),
    grad=1,
    bytes=8 * M + 50_000 * 256 * 4,
)
add(
    "gather/scatter_add_1m",
    lambda xp, x, i, y: x.at[i].add(y),
    lambda: (normal(M), integers(M, M), normal(M, seed=1)),
    bytes=16 * M,
)
add("gather/sort_1m", lambda xp, x: xp.np.sort(x), lambda: (shuffled(M),))
add("gather/argsort_1m", lambda xp, x: xp.np.argsort(x), lambda: (shuffled(M),))
add(
    "gather/cumsum_16m",
    lambda xp, x: xp.np.cumsum(x),
    lambda: (normal(16 * M),),
    bytes=128 * M,
    tol=1e-3,
)
add(
    "gather/top_k_64x50k",
    lambda xp, x: xp.lax.top_k(x, 50),
    lambda: (shuffled(64, 50_000),),
    bytes=64 * 200_000,
)
add(
    "gather/sort_rows_16kx64",
    lambda xp, x: xp.np.sort(x),
    lambda: (shuffled(16_384, 64),),
    bytes=8 * M,
)
add(
    "gather/cumsum_columns_4k",
    lambda xp, x: xp.np.cumsum(x, 0),
    lambda: (normal(4096, 4096),),
    bytes=128 * M,
    tol=1e-3,
)
add(
    "gather/searchsorted_1m",
    lambda xp, a, x: xp.np.searchsorted(a, x),
    lambda: (np.sort(normal(M)), normal(M, seed=1)),
)

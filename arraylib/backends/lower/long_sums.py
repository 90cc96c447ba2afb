"""Matrix products that are long sums with few results: parts of the sums, which are then added up.

The gradient of a layer's weights is like this. By rows and columns of so small a result there is
little to share out among threads, and all of them would pack the same operands. A part is a product
of its own. How many there are depends on the shapes alone, and so does the order of sums.
"""

from __future__ import annotations

import math

from arraylib import dtypes as dt
from arraylib.backends.lower.plan import Buffer, GemmStep, View, whole
from arraylib.backends.lower.state import Lowering
from arraylib.hlo.ir import Type

MOST_PARTS = 16
LEAST_STEPS = 512        # of a part
MOST_RESULTS = 1 << 15   # of the product
MOST_SUMS = 1 << 18      # of all parts


def add_product(state: Lowering, a: View, b: View, c: View) -> None:
    """A step for c = a b; several where the sums are long. Operands are in memory."""
    parts = _parts(a, c)
    if parts == 1:
        state.step(GemmStep(a, b, c, where=(state.where,)), [a, b], [c])
        return
    (m, k), n = a.shape[-2:], c.shape[-1]
    steps = k // parts
    x = a.laid((parts, m, steps), (steps * a.strides[-1], *a.strides[-2:]))
    y = b.laid((parts, steps, n), (steps * b.strides[-2], *b.strides[-2:]))
    sums = whole(Buffer(Type(c.dtype, (parts, m, n))))
    state.step(GemmStep(x, y, sums, where=(state.where,)), [x, y], [sums])
    state.into(c.laid((m, n), c.strides[-2:]), "reduce_add", [sums], over=(0,))


def _parts(a: View, c: View) -> int:
    """How many parts the sums are taken in; all are of one length."""
    results, steps = math.prod(c.shape), a.shape[-1]
    if not dt.is_float(c.dtype) or dt.bits(c.dtype) < 32 or math.prod(c.shape[:-2]) != 1 \
            or results > MOST_RESULTS:
        return 1
    most = min(MOST_PARTS, MOST_SUMS // results, steps // LEAST_STEPS)
    return next(n for n in range(max(1, most), 0, -1) if steps % n == 0)

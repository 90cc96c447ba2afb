"""StableHLO's operations as JAX's rules for compiled code write them: `hlo.AddOp(x, y).result`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from arraylib.hlo.ops import TABLE

# Where JAX's short class names and the names of operations differ.
_SHORT = {"mul": "multiply", "sub": "subtract", "div": "divide", "neg": "negate",
          "exp": "exponential", "sin": "sine", "cos": "cosine", "max": "maximum", "min": "minimum",
          "pow": "power", "rem": "remainder", "expm1": "exponential_minus_one",
          "log1p": "log_plus_one"}


class Op:
    """One operation on values; `result` is the first of its results."""

    def __init__(self, name: str, *operands: Any, **attributes: Any) -> None:
        values = [getattr(x, "result", x) for x in operands]
        outs = TABLE[name](*values, **attributes)
        self.results: list[Any] = list(outs) if TABLE[name].multiple else [outs]
        self.result = self.results[0]


def __getattr__(name: str) -> Callable[..., Op]:
    """`AddOp`: the class of an operation, by the name of JAX's."""
    words = re.sub(r"(?<!^)(?=[A-Z])", "_", name.removesuffix("Op")).lower()
    ours = _SHORT.get(words, words)
    if not name.endswith("Op") or ours not in TABLE:
        raise AttributeError(name)
    return lambda *operands, **attributes: Op(ours, *operands, **attributes)

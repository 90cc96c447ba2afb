"""For each operation of other dialects that we know, what it is in terms of ours, or why not."""

from __future__ import annotations

from arraylib.hlo.passes.rules import (
    broadcasting,
    calls,
    collectives,
    control,
    dynamic,
    norms,
    products,
)
from arraylib.hlo.passes.rules.operation import Rule

RULES: dict[str, Rule] = {
    **control.RULES,
    **products.RULES,
    **norms.RULES,
    **broadcasting.RULES,
    **dynamic.RULES,
    **collectives.RULES,
    "stablehlo.custom_call": calls.custom_call,
}

COMPOSITES = calls.COMPOSITES
# For values of any kind, quantized ones among them.
STRUCTURAL = frozenset((*control.RULES, "stablehlo.custom_call")) - {"stablehlo.map", "chlo.scan"}

_CHANNEL = "give what it would bring as an input of the function, and return what it would take"

# What is refused: the reason, and what to do instead.
REFUSED: dict[str, tuple[str, str]] = {
    "stablehlo.rng": (
        "draws numbers from a state that the program does not hold, which differ from run to run",
        "stablehlo.rng_bit_generator, which takes its state and returns the next"),
    "stablehlo.infeed": ("waits for arrays from outside the program", _CHANNEL),
    "stablehlo.outfeed": ("hands arrays to somebody outside the program", _CHANNEL),
    "stablehlo.recv": ("waits for arrays from another program", _CHANNEL),
    "stablehlo.send": ("hands arrays to another program", _CHANNEL),
    "stablehlo.trace": ("tells a profiler where the program is, and has no other meaning",
                        "leave it out"),
}

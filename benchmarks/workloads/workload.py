"""One workload: a function to jit, and the NumPy arguments to call it with."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

K, M = 1 << 10, 1 << 20
WORKLOADS = {}


class Missing(Exception):
    """A library has no version of a workload."""


@dataclass(frozen=True)
class Workload:
    """A function to time, what it is called with, how exact it must be and what it costs at least.

    With `grad=n` it is the value and the gradients, in the first n arguments, of
    `sum(function(...) * last argument)`.
    """

    name: str  # "group/short_name"
    function: Callable  # (xp, *arguments) -> output
    arguments: Callable  # () -> tuple of NumPy pytrees
    grad: int = 0
    jit: bool = True
    tol: float = 2e-5  # allowed max|out - reference| / max|reference|, for each output array
    bad: float = 0.0  # fraction of elements that may break that (or differ, for integers)
    flops: float = 0  # floating-point operations that the algorithm needs
    bytes: float = 0  # compulsory memory traffic: inputs read once and outputs written once
    exps: float = 0  # transcendental evaluations, each counted as one exp
    words: float = 0  # words of random bits, each from twenty rounds of threefry
    bf16: bool = False  # flops are bfloat16 multiply-adds
    stored: bool = False  # an earlier process left the compiled code on disk

    @property
    def group(self):
        return self.name.split("/")[0]

    def build(self, xp):
        f = partial(self.function, xp)
        if self.grad:
            f = xp.value_and_grad(
                lambda *a: (self.function(xp, *a[:-1]) * a[-1]).sum(), tuple(range(self.grad))
            )
        return (xp.jit(f) if self.jit else f), self.arguments()


def add(name, function, arguments, **facts):
    WORKLOADS[name] = Workload(name, function, arguments, **facts)

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
    state: int = 0  # so many arguments are replaced by as many results, and may be overwritten

    @property
    def group(self):
        return self.name.split("/")[0]

    def build(self, xp):
        f = partial(self.function, xp)
        if self.grad:
            f = xp.value_and_grad(
                lambda *a: (self.function(xp, *a[:-1]) * a[-1]).sum(), tuple(range(self.grad))
            )
        if self.state:
            step = xp.jit(f, donate_argnums=tuple(range(self.state)))
            return carried(step, self.state), self.arguments()
        return (xp.jit(f) if self.jit else f), self.arguments()


def carried(step, count):
    """Calls that go on from the first results of the call before, instead of their arguments."""
    kept = []

    def call(*args):
        out = step(*(kept or args[:count]), *args[count:])
        kept[:] = out[:count]
        return out

    return call


def add(name, function, arguments, **facts):
    WORKLOADS[name] = Workload(name, function, arguments, **facts)

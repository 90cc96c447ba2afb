"""What a jitted function becomes on its way to a program; JAX's module of this name."""

from arraylib.tracing.jit import Jitted as Jitted
from arraylib.tracing.stages import (
    ArgInfo as ArgInfo,
    Compiled as Compiled,
    Lowered as Lowered,
    Traced as Traced,
)

Wrapped = Jitted

"""Words of `VJP.with_refs`, under the names of jax.ad: which gradients go where."""

from arraylib.tracing.pullback import (
    DidntWant as DidntWant,
    DontWant as DontWant,
    GradRef as GradRef,
    GradValue as GradValue,
)

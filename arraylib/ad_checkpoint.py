"""What derivatives keep and what they compute again; JAX's module of this name."""

from arraylib.tracing.checkpoint import (
    Offloadable as Offloadable,
    Recompute as Recompute,
    Residual as Residual,
    Saveable as Saveable,
    checkpoint as checkpoint,
    checkpoint_name as checkpoint_name,
    checkpoint_policies as checkpoint_policies,
    print_saved_residuals as print_saved_residuals,
    saved_residuals as saved_residuals,
)

remat = checkpoint

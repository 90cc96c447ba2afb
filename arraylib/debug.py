"""Looking into programs while they run: `arraylib.debug.print("loss {}", loss)`."""

from arraylib.scopes import debug_infs, debug_key_reuse, debug_nans
from arraylib.tracing.callbacks import debug_callback, debug_log, debug_print
from arraylib.tracing.checks import check as check
from arraylib.tracing.inspecting import (
    inspect_array_sharding as inspect_array_sharding,
    visualize_array_sharding as visualize_array_sharding,
    visualize_sharding as visualize_sharding,
)
from arraylib.tracing.stopping import debug_breakpoint

breakpoint = debug_breakpoint
callback = debug_callback
print = debug_print
log = debug_log
nans = debug_nans
infs = debug_infs
key_reuse = debug_key_reuse

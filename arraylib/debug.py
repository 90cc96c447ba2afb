"""Looking into programs while they run: `arraylib.debug.print("loss {}", loss)`."""

from arraylib.tracing.callbacks import debug_callback, debug_print

callback = debug_callback
print = debug_print

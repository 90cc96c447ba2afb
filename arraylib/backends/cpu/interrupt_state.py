"""What both sides know of how programs are interrupted: names, and the words of the state."""

WORD, STOP, SETTLE = "arraylib_interrupt", "arraylib_interrupt_stop", "arraylib_interrupt_settle"
PLACE, HANDLER = "arraylib_interrupt_place", "arraylib_interrupt_handler"
EXPORTS = (STOP, SETTLE, PLACE, HANDLER)

# The state, in 64-bit words: the word above, the main thread, Python's handler, and an exception.
MAIN, PREVIOUS, ERROR = 1, 2, 3
SIGNALLED, RAISED = 1, 2

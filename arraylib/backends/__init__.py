"""Backends: each turns a graph into something that runs."""

# Where to find each backend. Named, not imported: one that is not used costs nothing, and one whose
# libraries are missing does not keep the others from working.
BACKENDS = {
    "cpu": "arraylib.backends.cpu.front",
    "reference": "arraylib.backends.reference.backend",
}

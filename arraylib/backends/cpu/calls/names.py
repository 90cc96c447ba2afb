"""The names by which the native code of calls and Python find each other."""

CALL, DEALLOC, HOMES = "arraylib_call", "arraylib_array_dealloc", "arraylib_homes"
EXAMPLE = "arraylib_example"
EXPORTS = (CALL, DEALLOC, HOMES, EXAMPLE)

# Imported: classes and objects of the library (their addresses), and functions in Python.
ARRAY, NUMPY, SLOW, BUILDER, BUILDING, EAGER, EPOCH = (
    "arraylib_array_class", "arraylib_numpy_class", "arraylib_slow", "arraylib_builder",
    "arraylib_building", "arraylib_eager", "arraylib_epoch")
REFILL, LARGE = "arraylib_refill", "arraylib_large"
OBJECTS = (ARRAY, NUMPY, SLOW, BUILDER, BUILDING, EAGER, EPOCH)

"""The reference backend: NumPy, one node at a time. Slow, complete, and the oracle of the tests."""

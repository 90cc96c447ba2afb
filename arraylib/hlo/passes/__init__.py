"""Passes: each takes a graph and returns one of the same meaning; `pipeline.py` lists them."""

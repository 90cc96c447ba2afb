"""Tracing Python functions into graphs, and the transforms of graphs."""

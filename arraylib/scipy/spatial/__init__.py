"""Rotations in space: `from arraylib.scipy.spatial import transform`."""

from arraylib.scipy.spatial import transform as transform

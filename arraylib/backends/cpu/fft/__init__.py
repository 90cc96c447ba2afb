"""Discrete Fourier transforms: a routine, as `backends.cpu.routines` describes them.

`plan` decides how a transform is done and says so in the numbers of `words`; the native code knows
stages only, whose kinds are in `code`, `lines` and `rowwise`. Transforms proper are done by many
lanes at once, each with a transform of its own: `passes`, of `butterfly`s in registers. Their
factors are made by `tables`.
"""

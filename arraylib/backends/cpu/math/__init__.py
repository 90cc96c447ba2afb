"""Mathematical functions as vector instructions, written once for `float` and `double` lanes.

Every function takes registers of any lane count and emits vector code that calls no library. What
few lanes need (large angles, negative operands of gamma functions, remainders of long quotients) is
behind a branch, and sometimes in a function of its own, so that the common case stays small.
`docs/math.md` lists how closely each one comes to the true value.
"""

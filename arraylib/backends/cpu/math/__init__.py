"""Mathematical functions as vector instructions, written once for `float` and `double` lanes.

Every function takes registers of any lane count and emits straight-line code without a table or a
call, apart from the few that hand rare or costly lanes to the C library (`floats.each_lane`).
`docs/math.md` lists how closely each one comes to the true value.
"""

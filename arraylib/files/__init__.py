"""Trees of arrays in files, as safetensors or npz, which other libraries read and write as well.

    files.save("step.safetensors", state)      # whole or not at all
    state = files.load("step.safetensors")     # the same containers
    state = files.load("step.npz", like=state) # refused unless names, shapes and dtypes agree

Nothing in a file is ever executed, and a file that is damaged or says what cannot be is refused.
"""

from arraylib.files.trees import load as load, save as save

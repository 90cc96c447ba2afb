"""Programs as files: export a function, load it in another process or framework, and back.

    exported = export.export(f)(x)        # traced for arguments like x
    exported.save("f.mlir")               # StableHLO text, which XLA and others compile
    export.load("f.mlir").call(x)         # also under jit, grad and vmap

Files that other frameworks wrote load in the same way.
"""

from arraylib.export.containers import register as register
from arraylib.export.exported import (
    Exported as Exported,
    deserialize as deserialize,
    export as export,
    load as load,
)

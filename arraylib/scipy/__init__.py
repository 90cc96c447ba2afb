"""SciPy's functions on arrays of the library, in modules of SciPy's names."""

from arraylib.scipy import (
    fft as fft,
    integrate as integrate,
    linalg as linalg,
    ndimage as ndimage,
    signal as signal,
    sparse as sparse,
    special as special,
    stats as stats,
)

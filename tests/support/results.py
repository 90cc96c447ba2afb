"""What two results have to have in common to be the same."""

import numpy as np


def facts(found):
    """Dtype, shape, weakness and bits."""
    data = np.asarray(found)
    return data.dtype, data.shape, found.weak_type, data.tobytes()

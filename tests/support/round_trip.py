"""Programs written and read again, and results compared."""

import numpy as np

from arraylib import export, tree


def close(found, wanted, tolerance=1e-5):
    found, wanted = tree.leaves(found), tree.leaves(wanted)
    for a, b in zip(found, wanted, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype
        scale = max(np.abs(b.astype(float)).max(initial=0), 1) if b.dtype.kind in "fV" else 1
        np.testing.assert_allclose(a.astype(complex), b.astype(complex), atol=tolerance * scale)


def equal(found, wanted):
    assert tree.structure(found) is tree.structure(wanted)
    for a, b in zip(tree.leaves(found), tree.leaves(wanted), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def again(exported):
    return export.deserialize(exported.serialize())

"""Groups of observations: `from arraylib.scipy.cluster import vq`."""

from arraylib.scipy.cluster import vq as vq

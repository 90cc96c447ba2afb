"""Systems of equations whose matrix is a function: `from arraylib.scipy.sparse import linalg`."""

from arraylib.scipy.sparse import linalg as linalg

"""`python -m arraylib.hlo`: the command line for programs."""

import sys

from arraylib.hlo.command import main

if __name__ == "__main__":
    sys.exit(main())

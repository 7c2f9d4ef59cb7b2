"""`python -m distilroberta_np`, the same as the command `distilroberta-np`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())

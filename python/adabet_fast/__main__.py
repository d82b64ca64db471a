"""``python -m adabet_fast``: the command line."""

import sys

from adabet_fast.cli import main

if __name__ == "__main__":
    sys.exit(main())

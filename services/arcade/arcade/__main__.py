"""Entry point of `python -m arcade`."""

import sys

from arcade.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

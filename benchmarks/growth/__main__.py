"""``python -m benchmarks.growth``."""

import sys

from benchmarks.growth.command import main

if __name__ == "__main__":
    sys.argv[0] = "-m benchmarks.growth"  # what a record says was typed
    main()

"""``python -m loadtests``."""

import sys

from loadtests.run import main

if __name__ == "__main__":
    sys.argv[0] = "-m loadtests"  # what a record says was typed
    main()

"""``python -m benchmarks.peers``."""

import sys

from benchmarks.peers.command import main

if __name__ == "__main__":
    sys.argv[0] = "-m benchmarks.peers"  # what a record says was typed
    main()

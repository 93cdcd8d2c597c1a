"""``python -m sentryfuse``: the command line without an installed script."""

import sys

from sentryfuse.cli import main

sys.exit(main())

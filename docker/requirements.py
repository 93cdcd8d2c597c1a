"""Print what pyproject.toml asks for, with the extras named, one requirement a line.

The image installs dependencies before our code comes in, so that they stay a layer of their own.
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
print(*project["dependencies"], *(r for name in sys.argv[1:] for r in extras[name]), sep="\n")

"""The server of a load test: the real service, with a policy of choice (a process of its own).

    python -m loadtests.launch ours

Every setting comes from the environment, as for ``sentryfuse serve``.
"""

from __future__ import annotations

import sys

from app.server import serve
from loadtests.contenders import policy_named

if __name__ == "__main__":
    serve(policy=policy_named(sys.argv[1]))

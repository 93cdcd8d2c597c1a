from __future__ import annotations

import subprocess
import sys


def test_the_planner_imports_nothing_but_the_standard_library() -> None:
    script = (
        "import sys; import app.scheduling; "
        "foreign = {m.split('.')[0] for m in sys.modules} & {'numpy', 'sentryfuse', 'fastapi'}; "
        "sys.exit(repr(foreign) if foreign else 0)"
    )

    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)

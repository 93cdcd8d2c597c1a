from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from app.api.page import read_page


def test_a_pages_own_script_may_run_and_no_other(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<style>p {}</style><script>go();</script>")
    policy = read_page(page).headers["Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(b"go();").digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_page_without_scripts_runs_none(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<p>")
    assert "script-src 'none'" in read_page(page).headers["Content-Security-Policy"]

"""Targets of make that the documentation names; what it tells to type is tried in test_docs.py."""

from __future__ import annotations

import re
from pathlib import Path

README = Path("README.md").read_text(encoding="utf-8")


def test_make_knows_every_target_that_the_documentation_names() -> None:
    makefile = Path("Makefile").read_text(encoding="utf-8")
    pages = [README, *(p.read_text(encoding="utf-8") for p in Path("docs").rglob("*.md"))]
    for page in pages:
        code = "".join(re.findall(r"^```.*?^```", page, re.MULTILINE | re.DOTALL))
        for target in re.findall(r"^make ([\w./-]+)", code, re.MULTILINE):
            assert f"\n{target}:" in makefile

"""The settings that docs/security.md names."""

from __future__ import annotations

import re
from pathlib import Path

from app.settings import Settings

PAGE = Path("docs/security.md").read_text(encoding="utf-8")


def test_the_page_names_settings_that_exist_with_their_defaults() -> None:
    table = PAGE.partition("| setting `SENTRYFUSE_…`")[2]
    rows = re.findall(r"^\| (`[A-Z_`, ]+`) \| ([^|]+) \|", table, re.MULTILINE)
    assert len(rows) > 7
    for names, _ in rows:
        for name in re.findall(r"[A-Z_]+", names):
            assert name.lower() in Settings.model_fields

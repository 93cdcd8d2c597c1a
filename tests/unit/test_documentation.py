"""What the documentation names is there; what it tells to type is tried in test_docs.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.pages import PAGES, REPOSITORY, SHELL, examples

# Pages that are not in the site, which checks the links of its own (test_site.py).
TOP = sorted(path.name for path in REPOSITORY.glob("*.md"))


@pytest.mark.parametrize("name", TOP)
def test_links_of_a_page_outside_the_site_lead_somewhere(name: str) -> None:
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)", text)
    assert [link for link in links if "://" not in link and not Path(link).exists()] == []


def test_make_knows_every_target_that_the_documentation_names() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    code = "".join(e.code for page in PAGES for e in examples(page) if e.language in SHELL)
    targets = re.findall(r"^make ([\w./-]+)", code, re.MULTILINE)
    assert targets
    assert [target for target in targets if f"\n{target}:" not in makefile] == []

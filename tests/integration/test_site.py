"""The documentation site, built as `make docs` builds it: strict, and nothing from outside."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="the site needs mkdocs (sentryfuse[docs])")

REPOSITORY = Path(__file__).parent.parent.parent
# What a browser fetches by itself when it shows a page; a link that a reader follows is none.
FETCHED = re.compile(
    r"<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)=\"?((?:https?:)?//[^\s\">]+)"
)


def build(site: Path, config: Path = REPOSITORY / "mkdocs.yml") -> subprocess.CompletedProcess[str]:
    # Not --quiet: strict mode would then not see the warnings that it is there to see.
    command = [sys.executable, "-m", "mkdocs", "build", "-f", config, "-d", site]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder


def small_site(tmp_path: Path, page: str, nav: str = "[index.md]") -> Path:
    """Our configuration over one page; returns its file."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(page)
    config = tmp_path / "mkdocs.yml"
    config.write_text(
        f"INHERIT: {REPOSITORY / 'mkdocs.yml'}\ndocs_dir: docs\nnav: {nav}\n"
        f"hooks: [{REPOSITORY / 'scripts' / 'mkdocs_sources.py'}]\n"
    )
    return config


def test_every_page_is_in_the_site(site: Path) -> None:
    pages = [p.relative_to(REPOSITORY / "docs") for p in (REPOSITORY / "docs").rglob("*.md")]
    assert pages
    assert [p for p in pages if not (site / p.with_suffix(".html")).exists()] == []


def test_no_page_fetches_anything_from_outside(site: Path) -> None:
    for page in site.rglob("*.html"):
        addresses = FETCHED.findall(page.read_text(encoding="utf-8"))
        assert addresses == [], page.name


def test_a_link_to_a_file_of_the_repository_leads_to_a_copy(site: Path) -> None:
    page = (site / "streaming.html").read_text(encoding="utf-8")
    assert 'href="source/examples/stream_gateway.py.txt"' in page
    copy = site / "source" / "examples" / "stream_gateway.py.txt"
    assert copy.read_bytes() == (REPOSITORY / "examples" / "stream_gateway.py").read_bytes()


@pytest.mark.parametrize("link", ["gone.md", "index.md#gone", "../examples/gone.py"])
def test_a_broken_link_stops_the_build(tmp_path: Path, link: str) -> None:
    done = build(tmp_path / "site", small_site(tmp_path, f"# Page\n\n[there]({link})\n"))
    assert done.returncode != 0
    assert "gone" in done.stderr


def test_a_page_in_no_nav_stops_the_build(tmp_path: Path) -> None:
    config = small_site(tmp_path, "# Page\n")
    (tmp_path / "docs" / "stray.md").write_text("# Stray\n")
    done = build(tmp_path / "site", config)
    assert done.returncode != 0
    assert "stray.md" in done.stderr

"""Every example of the documentation, run as a reader would: in order, page by page.

What can't be run here says why in a comment in front of it, ``<!-- not run: REASON -->``, and is
counted; a page that calls programs of ``tests.pages.NEEDS`` has tests of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from loadtests.run import parser as loadtests_parser
from sentryfuse.cli.root import tree
from tests.integration.http_server import HttpService
from tests.integration.page_reader import PageReader, json_documents, same_members
from tests.integration.test_v2_kserve import INTERPRETER as KSERVE
from tests.pages import DATA, PAGES, REPOSITORY, RUN, SHELL, Example, examples

EXCUSED = {
    "a fragment": 1,
    "needs a GPU": 1,
    "needs data of yours": 1,
    "sets everything up": 3,
    "takes hours": 1,
    "takes minutes": 3,
}
ALL = [example for page in PAGES for example in examples(page)]


def named(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


@pytest.fixture
def reader(shipped_service: HttpService, tmp_path: Path) -> Iterator[PageReader]:
    http = shipped_service.url.removeprefix("http://")
    assert shipped_service.grpc_address is not None
    profiles = shipped_service.log.parent / "profiles"  # this host was measured for it already
    reader = PageReader(tmp_path, http, shipped_service.grpc_address, profiles)
    yield reader
    reader.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(e.language in RUN and not e.excuse for e in examples(page))],
    ids=named,
)
def test_what_a_page_tells_to_type_works(page: Path, reader: PageReader) -> None:
    told = ""
    for example in examples(page):
        if example.remark == "answer":
            (answer,) = json_documents(told)[-1:]
            assert same_members(json.loads(example.code), answer), f"{example.where}: {told}"
        elif example.language in RUN and not example.excuse and _can_run(example):
            told = reader.follow(example)
            assert told.strip() or "print(" not in example.code, example.where


def _can_run(example: Example) -> bool:
    """Whether its program is there; where one is missing the rest of the page still runs."""
    if example.language == "js":
        return shutil.which("node") is not None
    return "from kserve import" not in example.code or KSERVE.exists()


def test_examples_that_are_not_run_are_counted() -> None:
    assert Counter(e.excuse for e in ALL if e.excuse and e.remark) == EXCUSED


@pytest.mark.parametrize("page", sorted({e.page for e in ALL if e.needs}), ids=named)
def test_a_page_for_programs_that_are_not_here_has_tests_of_its_own(page: Path) -> None:
    others = [p for p in (REPOSITORY / "tests").rglob("test_*.py") if p != Path(__file__)]
    assert [p for p in others if page.name in p.read_text(encoding="utf-8")]


@pytest.mark.parametrize("example", [e for e in ALL if e.language in SHELL], ids=lambda e: e.where)
def test_our_own_commands_are_called_as_they_can_be(example: Example) -> None:
    for program, *words in example.commands:
        if program == "loadtests":
            assert loadtests_parser().parse_args(words)
        else:
            command: Any = typer.main.get_command(tree())
            while hasattr(command, "commands"):
                command = command.commands[words.pop(0)]
            assert command.make_context(command.name, words)  # nothing is run


@pytest.mark.parametrize("example", [e for e in ALL if e.extras], ids=lambda e: e.where)
def test_what_is_to_be_installed_exists(example: Example) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(example.extras) <= project["optional-dependencies"].keys()


@pytest.mark.parametrize(
    "example", [e for e in ALL if e.language in DATA and "…" not in e.code], ids=lambda e: e.where
)
def test_data_that_is_shown_can_be_read(example: Example) -> None:
    if example.language == "toml":
        tomllib.loads(example.code)
    elif example.language == "yaml":
        assert list(yaml.safe_load_all(example.code))
    else:
        assert json_documents(example.code)


@pytest.mark.parametrize("example", [e for e in ALL if e.language in SHELL], ids=lambda e: e.where)
def test_no_shell_example_has_a_slip(example: Example) -> None:
    assert subprocess.run(["bash", "-n", "-c", example.script], check=False).returncode == 0

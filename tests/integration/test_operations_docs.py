"""What the page on operations tells an operator to type and to deploy."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from app.settings import Settings
from loadtests.run import parser

PAGE = Path("docs/operations.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_probes_answer(shipped: str) -> None:
    script = next(b for b in blocks("sh") if "curl" in b).replace("localhost:8080", shipped)
    done = subprocess.run(["bash", "-e", "-c", script], capture_output=True, text=True, check=True)
    assert '{"status":"live"}{"status":"ready"}{"status":"ready"' in done.stdout


def test_the_load_tests_are_called_as_they_can_be() -> None:
    (script,) = (b for b in blocks("sh") if "loadtests" in b)
    called = [shlex.split(line)[3:] for line in script.splitlines()]
    assert [parser().parse_args(arguments).scenario for arguments in called] == [
        "drain",
        "overload",
        "soak",
    ]


def test_the_deployment_leaves_the_service_time_to_end() -> None:
    (manifest,) = blocks("yaml")
    (grace_s,) = re.findall(r"terminationGracePeriodSeconds: (\d+)", manifest)
    names = dict(re.findall(r"name: SENTRYFUSE_(\w+), value: \"([^\"]+)\"", manifest))
    settings = Settings(**{name.lower(): value for name, value in names.items()})
    assert settings.drain_s < settings.grace_s < int(grace_s)
    assert {*re.findall(r"path: (/[\w/]+)", manifest)} == {"/health/live", "/health/ready"}


@pytest.mark.parametrize("name", sorted({*re.findall(r"SENTRYFUSE_([A-Z_]+)", PAGE)}))
def test_every_setting_that_is_named_exists(name: str) -> None:
    assert name.lower() in Settings.model_fields

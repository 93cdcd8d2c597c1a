"""What the page on operations tells an operator to deploy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.settings import Settings

PAGE = Path("docs/operations.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


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

"""Dockerfile, compose file and the page about them, read: no container runs here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings

DOCKERFILE = Path("docker/Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(Path("docker-compose.yml").read_text(encoding="utf-8"))
PAGE = Path("docs/containers.md").read_text(encoding="utf-8")
SERVICES = sorted(COMPOSE["services"])
BIN = Path(sys.executable).parent


def test_hadolint_finds_nothing_to_mend_in_the_dockerfile() -> None:
    found = subprocess.run(
        [BIN / "hadolint", "docker/Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (0, "")


def test_the_image_that_serves_is_the_default() -> None:
    stages = re.findall(r"^FROM \S+ AS (\w+)$", DOCKERFILE, re.MULTILINE)
    assert stages[-1] == "serve"
    assert "train" in stages


def test_only_the_stage_that_trains_has_torch() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    assert [s.split()[2] for s in stages if re.search(r"^[^#\n]*torch", s, re.MULTILINE)] == [
        "train"
    ]


@pytest.mark.parametrize(
    "document",
    [
        Path("docker-compose.yml").read_text(encoding="utf-8"),
        *re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL),
    ],
    ids=["docker-compose.yml", "docs/containers.md"],
)
def test_compose_files_follow_the_specification(document: str, tmp_path: Path) -> None:
    written = tmp_path / "compose.yml"
    written.write_text(document, encoding="utf-8")
    check = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", written]
    found = subprocess.run(check, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened_bounded_and_pinned(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert re.search(r":v?\d+\.\d+\.\d+(-\w+)?$", service["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_every_port_is_published_to_this_machine_alone(name: str) -> None:
    assert all(p.startswith("127.0.0.1:") for p in COMPOSE["services"][name].get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_every_file_that_a_service_mounts_is_there(name: str) -> None:
    mounts = [v.split(":")[0] for v in COMPOSE["services"][name].get("volumes", [])]
    assert all(Path(m).exists() if m.startswith(".") else m in COMPOSE["volumes"] for m in mounts)


def test_compose_leaves_the_service_time_to_end() -> None:
    grace = COMPOSE["services"]["sentryfuse"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > Settings().grace_s


@pytest.mark.parametrize(
    "name", sorted({*re.findall(r"SENTRYFUSE_([A-Z_]+)", DOCKERFILE + PAGE + str(COMPOSE))})
)
def test_every_setting_that_is_named_exists(name: str) -> None:
    assert name.lower() in Settings.model_fields

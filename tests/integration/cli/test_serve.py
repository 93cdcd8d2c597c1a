"""serve: help that lists every setting, errors in one line, and a service that stops cleanly."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from app.settings import ENV_PREFIX, Settings
from tests.integration.cli.conftest import Run


def test_help_lists_every_setting_with_its_meaning(run: Run) -> None:
    done = run("serve", "--help")
    assert done.code == 0
    for name, field in Settings.model_fields.items():
        assert f" {ENV_PREFIX}{name.upper()} " in done.out
        assert field.description
        assert field.description in done.out


def test_a_folder_without_models_is_refused(failure: Callable[..., str], tmp_path: Path) -> None:
    assert str(tmp_path / "gone") in failure("serve", "--models", tmp_path / "gone")


def test_a_setting_that_makes_no_sense_is_named(
    failure: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTRYFUSE_RATIOS", "0.5,2")
    assert "SENTRYFUSE_RATIOS" in failure("serve")


def test_the_service_answers_a_simulated_window_and_stops_when_told(
    run: Run, bundle_dir: Path, tmp_path: Path
) -> None:
    window = run("data", "simulate", bundle_dir).out.encode()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "sentryfuse", "serve", "--port", str(port)]
    with subprocess.Popen(
        [*command, "--models", str(bundle_dir.parent.parent)],
        env={"SENTRYFUSE_PROFILES": str(tmp_path), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            answer = _post(f"http://127.0.0.1:{port}/v1/infer", window)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
    assert answer["predictions"]


def _post(url: str, body: bytes) -> dict[str, object]:
    """Ask until the service is up and ready."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 60
    while True:
        try:
            with opener.open(request, timeout=10) as response:
                answer: dict[str, object] = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 503:
                raise
        except OSError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)

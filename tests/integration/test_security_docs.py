"""What docs/security.md tells an operator to type, typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from app.security.keyfile import read_keys
from app.settings import Settings
from tests.integration.http_server import StartHttp

PAGE = Path("docs/security.md").read_text(encoding="utf-8")


def test_the_commands_make_a_key_use_it_and_rotate_it(
    start_http: StartHttp, tmp_path: Path
) -> None:
    make, use, rotate = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def run(script: str, **more: str) -> str:
        environment = {**os.environ, "PATH": path, **more}
        command = ["bash", "-e", "-c", script]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    made = run(f'{make}\necho "KEY=$KEY"')
    assert "gateway" in made
    key = re.search(r"KEY=(\S+)", made)
    assert key is not None
    service = start_http(api_keys_file=tmp_path / "keys.json")
    address = service.url.removeprefix("http://")
    assert '"toy"' in run(use.replace("localhost:8080", address), KEY=key[1])
    run(rotate)
    assert [key.name for key in read_keys(tmp_path / "keys.json").keys] == ["gateway-2"]


def test_the_page_names_settings_that_exist_with_their_defaults() -> None:
    table = PAGE.partition("| setting `SENTRYFUSE_…`")[2]
    rows = re.findall(r"^\| (`[A-Z_`, ]+`) \| ([^|]+) \|", table, re.MULTILINE)
    assert len(rows) > 7
    for names, _ in rows:
        for name in re.findall(r"[A-Z_]+", names):
            assert name.lower() in Settings.model_fields

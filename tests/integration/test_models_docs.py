"""What docs/models.md tells an operator to type, typed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

from tests.integration.http_server import StartHttp

PAGE = Path("docs/models.md").read_text(encoding="utf-8")


def test_the_examples_load_ask_and_unload_a_model(start_http: StartHttp, tmp_path: Path) -> None:
    name = "dsads-maestro"
    shutil.copytree(Path("models") / name, tmp_path / "models" / name)
    service = start_http(models=tmp_path / "models")
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    address = service.url.removeprefix("http://")
    outputs = []
    for block in blocks:
        script = block.replace("localhost:8080", address).replace(" -s ", " -s -w '\\n' ")
        done = subprocess.run(
            ["bash", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (script, done.stdout, done.stderr)
        outputs += [json.loads(line) for line in done.stdout.splitlines() if line]
    loaded, index, answer, unloaded = outputs
    assert loaded == {"name": "mine", "versions": ["1"]}
    assert {(row["name"], row["state"]) for row in index} == {(name, "READY"), ("mine", "READY")}
    assert (answer["model"], answer["version"]) == ("mine", "1")
    assert unloaded == {"name": "mine", "versions": []}

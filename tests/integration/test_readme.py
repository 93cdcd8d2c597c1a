"""What the README tells a newcomer to type, typed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

README = Path("README.md").read_text(encoding="utf-8")
PORT = "8080"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_curl_example_answers_within_its_budget(shipped: str, tmp_path: Path) -> None:
    script = next(b for b in blocks("sh") if "curl" in b).replace(f"localhost:{PORT}", shipped)
    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)
    assert set(answer["plan"]["presence"]) == {"torso", "right_arm", "left_leg"}
    assert answer["receipt"]["budget"]["latency"]["asked_ms"] == 5
    asked = json.loads((tmp_path / "window.json").read_text())
    assert answer["predictions"][0]["label"] == asked["label"]


def test_the_python_example_runs(shipped: str) -> None:
    (script,) = blocks("python")
    code = script.replace(f"localhost:{PORT}", shipped)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip()


def test_make_knows_every_target_that_the_documentation_names() -> None:
    makefile = Path("Makefile").read_text(encoding="utf-8")
    pages = [README, *(p.read_text(encoding="utf-8") for p in Path("docs").rglob("*.md"))]
    for page in pages:
        code = "".join(re.findall(r"^```.*?^```", page, re.MULTILINE | re.DOTALL))
        for target in re.findall(r"^make ([\w./-]+)", code, re.MULTILINE):
            assert f"\n{target}:" in makefile

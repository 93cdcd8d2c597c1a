"""Every example in docs/client.md, run against the service with the model that is shipped."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path("docs/client.md").read_text(encoding="utf-8")
# Runs a script with what browsers have too, and nothing of Node's own.
BROWSER_LIKE = """
const vm = require("node:vm");
const shared = ["AbortSignal", "Blob", "TextEncoder", "console", "fetch"];
const globals = Object.fromEntries(shared.map((name) => [name, globalThis[name]]));
vm.runInNewContext(require("node:fs").readFileSync(0, "utf8"), globals);
"""


def examples(language: str, address: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return [block.replace("localhost:8080", address) for block in found]


@pytest.mark.parametrize("number", [0, 1])
def test_the_python_examples_run(shipped: str, number: int) -> None:
    script = examples("python", shipped)[number]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_there_are_two_python_examples(shipped: str) -> None:
    assert len(examples("python", shipped)) == 2


def test_the_curl_examples_run(shipped: str, tmp_path: Path) -> None:
    for script in examples("sh", shipped):
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        answers = json_documents(done.stdout)
        assert answers
        for answer in answers:
            assert answer.keys() & {"plan", "parameters"}


def json_documents(text: str) -> list[dict[str, object]]:
    decoder, documents, start = json.JSONDecoder(), [], 0
    while start < len(text.rstrip()):
        document, start = decoder.raw_decode(text, start)
        documents.append(document)
        start += len(text[start:]) - len(text[start:].lstrip())
    return documents


@pytest.mark.skipif(not shutil.which("node"), reason="needs node")
def test_the_javascript_example_runs_with_what_browsers_have(shipped: str) -> None:
    (script,) = examples("js", shipped)
    done = subprocess.run(
        ["node", "-e", BROWSER_LIKE], input=script, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\S.* [\d.]+ (true|false)\n", done.stdout)

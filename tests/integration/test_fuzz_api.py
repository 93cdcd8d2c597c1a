"""The OpenAPI document tells the truth: schemathesis, all checks, over the real service."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.integration.http_server import StartHttp
from tests.integration.test_http_keys import add_key

CONFIG = Path("benchmarks/fuzz_api.toml").resolve()


def test_every_operation_answers_as_it_is_described(start_http: StartHttp, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    key = add_key(keys, "fuzz", "infer", "read", "admin")
    service = start_http(api_keys_file=keys, max_body_bytes=200_000)
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG)),
        *("run", f"{service.url}/openapi.json", "--header", f"Authorization: Bearer {key}"),
        *(
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            "5",
            "--no-color",
            "--generation-deterministic",
        ),
        # Without a model there would be little left to ask; the long form unloads. One worker: in
        # CPython 3.11 threads that parse source at once may fail (python/cpython#106905).
        *("--exclude-path-regex", "/versions/|/unload$"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout[-8000:]
    cases = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert cases is not None
    assert int(cases[1]) > 1000
    assert not [line for line in service.log_lines() if line["level"] == "error"]
    assert service.process.poll() is None

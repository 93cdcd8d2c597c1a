"""Someone who types what a page says, in order, in a folder that looks like a checkout."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from tests.integration.redis_server import free_port
from tests.integration.test_v2_kserve import INTERPRETER as KSERVE
from tests.pages import REPOSITORY, SHELL, Example

LIMIT_S = 240.0
# Of a checkout, all but what pages write to and what belongs to the tests.
_SHARED = (
    ".venv",
    "Makefile",
    "app",
    "benchmarks",
    "configs",
    "constraints.txt",
    "examples",
    "loadtests",
    "monitoring",
    "pyproject.toml",
    "scripts",
    "sentryfuse",
)
# Any refusal is a failure of the page.
_CURLRC = "silent\nshow-error\nfail-with-body\nnoproxy = *\n"
# Members that an answer has on a busy machine only.
_NOW_AND_THEN = {"missed_because"}
# Runs a script with what browsers have too, and nothing of Node's own.
_BROWSER_LIKE = """
const vm = require("node:vm");
const shared = ["AbortSignal", "Blob", "TextEncoder", "console", "fetch"];
const globals = Object.fromEntries(shared.map((name) => [name, globalThis[name]]));
vm.runInNewContext(require("node:fs").readFileSync(0, "utf8"), globals);
"""


class PageReader:
    """Runs the examples of one page.

    Args:
        folder: Where to work; empty.
        http: ``host:port`` of the service that pages mean until they start their own.
        grpc: The same over gRPC.
        profiles: Where measurements of this host are kept, so that servers start quickly.
    """

    def __init__(self, folder: Path, http: str, grpc: str, profiles: Path) -> None:
        self._folder = folder
        self._addresses = {"localhost:8080": http, "localhost:8081": grpc}
        self._port = free_port()
        self._server: subprocess.Popen[bytes] | None = None
        for name in _SHARED:
            (folder / name).symlink_to(REPOSITORY / name)
        shutil.copytree(REPOSITORY / "models", folder / "models")
        (folder / ".curlrc").write_text(_CURLRC)
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SENTRYFUSE_")}
        self._environment = {
            **kept,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "CURL_HOME": str(folder),
            "NO_PROXY": "*",
            "PORT": str(self._port),
            "SENTRYFUSE_PORT": str(self._port),
            "SENTRYFUSE_PROFILES": str(profiles),
            # Fewer variants are built ahead: what matters here is that the commands work.
            "SENTRYFUSE_WARM_MISSING": "0",
            "SENTRYFUSE_RATIOS": "0,0.5,0.8",
        }

    def follow(self, example: Example) -> str:
        """Run one example; return what it printed.

        Raises:
            AssertionError: It failed; the message says where and how.
        """
        if example.language == "python":
            return self._run(example, [*_interpreter(example), "-c", example.code])
        if example.language == "js":
            return self._run(example, ["node", "-e", _BROWSER_LIKE], typed=example.code)
        assert example.language in SHELL, example.where
        state = self._folder / ".shell"
        # Variables of one block are there in the next, as in the shell of a person.
        script = f"[ ! -f {state} ] || . {state}\nset -aeo pipefail\n{example.script}\n"
        told = self._run(example, ["bash", "-c", f"{script}set +a\ndeclare -px > {state}\n"])
        if example.server:
            self._serve(example)
        return told

    def close(self) -> None:
        """End the page's server, if it started one."""
        if self._server is None:
            return
        os.killpg(self._server.pid, signal.SIGTERM)
        try:
            self._server.wait(timeout=30)
        finally:
            self._server = None

    def _run(self, example: Example, command: list[str], typed: str | None = None) -> str:
        words = [*command[:-1], self._addressed(command[-1])]
        done = subprocess.run(
            words,
            cwd=self._folder,
            env=self._environment,
            input=None if typed is None else self._addressed(typed),
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
        assert done.returncode == 0, f"{example.where}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _addressed(self, text: str) -> str:
        for written, real in self._addresses.items():
            text = text.replace(written, real)
        return text

    def _serve(self, example: Example) -> None:
        """Start the server and wait until it is ready; from here on pages mean this one."""
        self.close()
        assert example.server is not None
        # The environment of the tests is up to date: there is nothing to be made.
        command = example.server.replace("make serve", "make -o .venv/serving serve")
        command = command.replace("--port 8080", f"--port {self._port}")
        before, program = _split_assignments(command)
        log = self._folder / "server.log"
        with log.open("wb") as out:
            self._server = subprocess.Popen(
                ["bash", "-c", f". {self._folder / '.shell'}\n{before} exec {program}"],
                cwd=self._folder,
                env=self._environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._addresses["localhost:8080"] = f"127.0.0.1:{self._port}"
        self._wait_until_ready(example, log)

    def _wait_until_ready(self, example: Example, log: Path) -> None:
        ask = build_opener(ProxyHandler({}))
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            assert self._server is not None
            assert self._server.poll() is None, f"{example.where}\n{log.read_text()}"
            try:
                ask.open(f"http://127.0.0.1:{self._port}/health/ready", timeout=5).close()
            except (URLError, OSError):
                time.sleep(0.05)
            else:
                return
        raise AssertionError(f"{example.where}: never ready\n{log.read_text()}")


def _interpreter(example: Example) -> list[str]:
    """KServe's client has an environment of its own; where it is missing, ours says so."""
    if "from kserve import" in example.code:
        return [str(REPOSITORY / KSERVE)]
    return [sys.executable, "-W", "error"]


def same_members(shown: object, real: object) -> bool:
    """Whether two JSON documents have the same members, all the way down; values may differ."""
    if isinstance(shown, dict) and isinstance(real, dict):
        return shown.keys() == real.keys() - _NOW_AND_THEN and all(
            same_members(value, real[name]) for name, value in shown.items()
        )
    if isinstance(shown, list) and isinstance(real, list):
        return not shown or (bool(real) and same_members(shown[0], real[0]))
    return isinstance(shown, dict | list) == isinstance(real, dict | list)


def json_documents(text: str) -> list[object]:
    """The JSON documents that a block printed, one after the other."""
    decoder, documents, start = json.JSONDecoder(), [], 0
    while start < len(text.rstrip()):
        start += len(text[start:]) - len(text[start:].lstrip())
        document, start = decoder.raw_decode(text, start)
        documents.append(document)
    return documents


def _split_assignments(command: str) -> tuple[str, str]:
    words = command.split()
    count = next(i for i, word in enumerate(words) if "=" not in word)
    return " ".join(words[:count]), " ".join(words[count:])

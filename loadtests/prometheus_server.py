"""A real Prometheus in a process of its own, and its tool, to see what dashboards would show."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from loadtests.redis_server import free_port

_HOST = "127.0.0.1"
_START_S = 60.0
_STOP_S = 20.0
_ASK_S = 20.0


class NoPrometheusError(RuntimeError):
    """There is no Prometheus on this machine."""


class PromtoolError(RuntimeError):
    """``promtool`` found a fault; the message is what it says."""


@dataclass(frozen=True, slots=True)
class PrometheusServer:
    """One Prometheus that scrapes one service."""

    url: str

    def ask(self, path: str, **parameters: str) -> Any:
        """Ask its HTTP API.

        Raises:
            OSError: It can't be reached, or refuses.
        """
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=_ASK_S) as response:
            return json.load(response)["data"]

    def values(self, expr: str) -> list[float]:
        """Return what an expression gives at this moment; what is no number is left out."""
        found = self.ask("query", query=expr)["result"]
        values = [float(series["value"][1]) for series in found]
        return [value for value in values if math.isfinite(value)]

    def wait_until(self, holds: Callable[[], bool], what: str, *, patience_s: float) -> None:
        """Return once something holds.

        Raises:
            TimeoutError: It does not, in the end.
        """
        deadline_s = time.monotonic() + patience_s
        while not holds():
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"no {what} after {patience_s:g} s")
            time.sleep(0.2)


@contextmanager
def prometheus_running(
    folder: Path, target: str, rule_files: Iterable[Path], *, every_s: int = 1
) -> Iterator[PrometheusServer]:
    """Run a Prometheus while the block does; it answers when the block begins.

    Args:
        folder: Its own, for what it writes.
        target: ``host:port`` that it scrapes.
        rule_files: Its rules.
        every_s: Seconds between two scrapes, and between two looks at the rules.

    Raises:
        NoPrometheusError: It is not installed.
    """
    config = {
        "global": {"scrape_interval": f"{every_s}s", "evaluation_interval": f"{every_s}s"},
        "rule_files": [str(path.resolve()) for path in rule_files],
        "scrape_configs": [{"job_name": "sentryfuse", "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    url = f"http://{_HOST}:{free_port()}"
    command = [
        _installed("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    server = PrometheusServer(url)

    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"Prometheus ended: {(folder / 'log').read_text()[-2000:]}")
        try:
            return bool(server.ask("status/runtimeinfo"))
        except OSError:
            return False

    try:
        server.wait_until(answers, "answer from Prometheus", patience_s=_START_S)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=_STOP_S)


def promtool(*arguments: object) -> str:
    """Run Prometheus' own tool and return what it says.

    Raises:
        NoPrometheusError: It is not installed.
        PromtoolError: It is not content.
    """
    command = [_installed("promtool"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise PromtoolError(done.stdout + done.stderr)
    return done.stdout + done.stderr


def _installed(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise NoPrometheusError(f"{program} is not installed (apt-get install prometheus)")
    return found

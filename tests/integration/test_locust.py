"""The locustfile against the real service, where Locust is installed."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from loadtests.bench import bench
from sentryfuse.bundle import write_bundle
from tests.integration.http_server import simulated_bundle, write_profile

OWN = Path(".venv-locust/bin/locust")


def locust() -> str:
    """The command; see loadtests/README.md."""
    found = str(OWN.absolute()) if OWN.exists() else shutil.which("locust")
    if found is None:
        pytest.skip("Locust is not installed (loadtests/README.md says how)")
    return found


@pytest.mark.benchmark
def test_wearers_with_budgets_are_served_and_their_sensors_drop_out(tmp_path: Path) -> None:
    command = locust()
    bundle = simulated_bundle()
    digest = write_bundle(bundle, tmp_path / "models" / "toy" / "1")
    with bench(tmp_path / "models", "toy/1", quiet=True) as where:
        write_profile(bundle, digest, where.profiles)
        with where.server() as server:
            done = subprocess.run(
                [
                    *(command, "-f", "loadtests/locustfile.py", "--headless", "--only-summary"),
                    *("--host", f"http://{server.host}:{server.port}", "--csv", tmp_path / "out"),
                    *("--users", "8", "--spawn-rate", "8", "--run-time", "4s"),
                    *("--rate-hz", "5", "--up-s", "0.5", "--down-s", "0.5"),
                    *("--budget-ms", "5000", "--exit-code-on-error", "0"),
                ],
                capture_output=True,
                text=True,
                timeout=60,
                env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
            )
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out_stats.csv").open(newline="") as file:
        rows = {row["Name"]: row for row in csv.DictReader(file)}
    asked = {name: row for name, row in rows.items() if name.startswith("infer, ")}
    assert len(asked) > 2, rows
    assert sum(int(row["Request Count"]) for row in asked.values()) > 40
    assert sum(int(row["Failure Count"]) for row in rows.values()) == 0, done.stdout

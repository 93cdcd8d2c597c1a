"""Any sequence of loads, unloads and damage, against a model of what should be served.

The whole service runs in this process, from HTTP to the engine, on a real directory of bundles.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from app.main import create_app
from app.settings import Settings
from sentryfuse.bundle import write_bundle
from tests.bundles import random_bundle, random_windows
from tests.repository import SPEC

Stored = tuple[str, bool]
"""Digest of a stored bundle, and whether it is whole."""

NAMES = st.sampled_from(("a", "a", "a", "b"))  # two are enough to tell them apart
VERSIONS = st.sampled_from(("1", "2", "10"))
SEEDS = st.integers(0, 2)
SENSORS = st.sets(st.sampled_from(SPEC.modality_names), min_size=1)
BUDGETS = st.fixed_dictionaries(
    {},
    optional={
        "X-Latency-Budget-Ms": st.sampled_from(("0.001", "5", "60000")),
        "X-Energy-Budget-mJ": st.sampled_from(("0.001", "100000")),
        "X-Accuracy-Floor": st.sampled_from(("0.1", "0.99")),
        "Prefer": st.sampled_from(("handling=strict", "handling=lenient")),
    },
)
KEPT_OR_MISSED = {200, 422, 429, 504}
"""What a request to a model that is served may come to, by its budget."""


class Expected:
    """What should be stored and served, in as few words as possible; one version is served."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], Stored] = {}
        self.served: dict[tuple[str, str], str] = {}
        """Digest by name and version."""
        self.chosen: set[tuple[str, str]] = set()

    def versions(self, where: dict[tuple[str, str], Any], name: str) -> list[str]:
        """Of a model, the newest first."""
        return sorted((v for n, v in where if n == name), key=int, reverse=True)

    def load(self, name: str, version: str | None) -> int:
        """Change what is served; return the status."""
        stored = self.versions(self.stored, name)
        if version is not None:
            stored = [v for v in stored if v == version]
        if not stored:
            return 404
        had = self.versions(self.served, name)
        bad = False
        for one in stored:
            digest, whole = self.stored[name, one]
            if bad and had and one not in had:
                continue
            if whole:
                self.served[name, one] = digest
                break
            bad = True
        if bad:
            return 422
        if version is not None:
            self.chosen.add((name, version))
        else:
            for old in had:
                if old != one and (name, old) not in self.chosen:
                    del self.served[name, old]
        return 200

    def unload(self, name: str, version: str | None) -> int:
        """Change what is served; return the status."""
        known = {*self.stored, *self.served}
        if not any(n == name and version in (None, v) for n, v in known):
            return 404
        for one in [k for k in self.served if k[0] == name and version in (None, k[1])]:
            del self.served[one]
            self.chosen.discard(one)
        return 200


class World:
    """The service in this process, and its directory."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "models"
        self.store("a", "1", 0)
        self._runner = asyncio.Runner()
        self._app = create_app(
            Settings(
                models=self.root,
                profiles=folder / "profiles",
                ratios=(0.0, 0.9),
                warm_missing=0,
                cores=1,
                batch_windows=2,
                access_log=False,
            )
        )
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self._app), base_url="http://here"
        )
        self._life = self._app.lifespan(self._app)
        self._runner.run(self._begin())

    def store(self, name: str, version: str, seed: int) -> str:
        """Write a bundle; return its digest."""
        return write_bundle(random_bundle(SPEC, seed=seed), self.root / name / version)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Make one request."""
        return self._runner.run(self._client.request(method, path, **options))

    def reset(self) -> None:
        """Store and serve one version of one model, and forget everything else."""
        for row in self.ask("POST", "/v2/repository/index").json():
            self.ask("POST", f"/v2/repository/models/{row['name']}/unload")
        shutil.rmtree(self.root)
        self.store("a", "1", 0)
        assert self.ask("POST", "/v2/repository/models/a/load").status_code == 200

    def close(self) -> None:
        """End the service."""
        self._runner.run(self._client.aclose())
        self._runner.run(self._life.__aexit__(None, None, None))
        self._runner.close()

    async def _begin(self) -> None:
        await self._life.__aenter__()
        while self._app.parts.lifecycle.phase == "starting":
            await asyncio.sleep(0.001)
        assert self._app.parts.lifecycle.ready


class RepositoryMachine(RuleBasedStateMachine):
    """Does to the service and to the model the same, and compares."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        world.reset()
        self.expected = Expected()
        self.store("a", "1", 0)
        self.expected.served["a", "1"] = self.expected.stored["a", "1"][0]

    @rule(name=NAMES, version=VERSIONS, seed=SEEDS)
    def store(self, name: str, version: str, seed: int) -> None:
        digest = self.world.store(name, version, seed)
        self.expected.stored[name, version] = (digest, True)

    @rule(name=NAMES, version=VERSIONS)
    def damage(self, name: str, version: str) -> None:
        if (name, version) in self.expected.stored:
            (self.world.root / name / version / "weights.safetensors").write_bytes(b"half of it")
            self.expected.stored[name, version] = ("", False)

    @rule(name=NAMES, version=VERSIONS)
    def remove(self, name: str, version: str) -> None:
        shutil.rmtree(self.world.root / name / version, ignore_errors=True)
        self.expected.stored.pop((name, version), None)

    @rule(name=NAMES)
    def load_the_newest(self, name: str) -> None:
        self.change("load", name, None)

    @rule(name=NAMES, version=VERSIONS)
    def load_one(self, name: str, version: str) -> None:
        self.change("load", name, version)

    @rule(name=NAMES, version=st.none() | VERSIONS)
    def unload(self, name: str, version: str | None) -> None:
        self.change("unload", name, version)

    def change(self, what: str, name: str, version: str | None) -> None:
        path = f"/v2/repository/models/{name}/{what}"
        content = {} if version is None else {"parameters": {"version": version}}
        response = self.world.ask("POST", path, json=content)
        change = self.expected.load if what == "load" else self.expected.unload
        assert response.status_code == change(name, version), response.text
        if response.status_code == 200:
            served = self.expected.versions(self.expected.served, name)
            assert response.json()["versions"] == served

    @rule(name=NAMES, version=st.none() | VERSIONS, sensors=SENSORS, budgets=BUDGETS)
    def infer(
        self, name: str, version: str | None, sensors: set[str], budgets: dict[str, str]
    ) -> None:
        windows = random_windows(SPEC, tuple(sensors))
        content = {"inputs": {sensor: rows[0].tolist() for sensor, rows in windows.items()}}
        path = f"/v1/models/{name}" if version is None else f"/v1/models/{name}/versions/{version}"
        response = self.world.ask("POST", f"{path}/infer", json=content, headers=budgets)
        served = self.expected.versions(self.expected.served, name)
        if version is not None:
            served = [v for v in served if v == version]
        if not served:
            assert response.status_code == 404
            return
        assert response.status_code in KEPT_OR_MISSED, response.text
        if not budgets:
            assert response.status_code == 200
        if response.status_code == 200:
            assert response.json()["version"] == served[0]

    @invariant()
    def what_is_served_is_what_should_be(self) -> None:
        rows = self.world.ask("POST", "/v2/repository/index", json={}).json()
        states = {(row["name"], row["version"]): row["state"] for row in rows}
        assert states.keys() == self.expected.stored.keys() | self.expected.served.keys()
        ready = {identity for identity, state in states.items() if state == "READY"}
        assert ready == self.expected.served.keys()
        text = self.world.ask("GET", "/metrics").text
        shown = {(of["model"], of["version"]): of["digest"] for of in labels(text, "model_info")}
        assert shown == self.expected.served
        counted = {(of["model"], of["version"]) for of in labels(text, "variant_flops")}
        assert counted == self.expected.served.keys()


def labels(text: str, metric: str) -> list[dict[str, str]]:
    """Labels of each series of a metric; to parse all of a scrape takes longer than the rest."""
    series = re.findall(rf"^sentryfuse_{metric}{{(.*)}}", text, re.MULTILINE)
    return [dict(re.findall(r'(\w+)="([^"]*)"', found)) for found in series]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    running = World(tmp_path)
    yield running
    running.close()


def test_whatever_is_stored_loaded_and_damaged_what_is_served_is_what_should_be(
    world: World,
) -> None:
    run_state_machine_as_test(
        lambda: RepositoryMachine(world),
        settings=settings(
            max_examples=8,
            stateful_step_count=40,
            derandomize=True,
            deadline=None,
            # Making a failure shorter would take longer than a test may.
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )

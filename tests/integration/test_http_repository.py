"""Models that come and go while the real service runs."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.v2 import schemas
from sentryfuse.bundle import write_bundle
from tests.bundles import random_bundle, small_spec
from tests.integration.http_server import HttpService, StartHttp

Spoil = Callable[[Path], None]


def models_of(service: HttpService) -> Path:
    return service.log.parent / "models"


def store(service: HttpService, version: str, *, seed: int, name: str = "toy") -> Path:
    """Put a bundle of the same shape and other weights beside what the service serves."""
    folder = models_of(service) / name / version
    write_bundle(random_bundle(small_spec(), seed=seed), folder)
    return folder


def change(service: HttpService, what: str, name: str = "toy", **parameters: Any) -> httpx.Response:
    content = {"parameters": parameters} if parameters else None
    return service.client.post(f"/v2/repository/models/{name}/{what}", json=content)


def states(service: HttpService, **body: Any) -> dict[tuple[str, str], tuple[str, str]]:
    rows = service.client.post("/v2/repository/index", json=body).json()
    entries = [schemas.IndexEntry.model_validate(row) for row in rows]
    return {(e.name, e.version): (e.state, e.reason) for e in entries}


def infer(service: HttpService, *, version: str | None = None) -> httpx.Response:
    path = "/v1/infer" if version is None else f"/v1/models/toy/versions/{version}/infer"
    return service.client.post(path, json=service.window())


def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "never"
        time.sleep(0.02)


class Clients:
    """Threads that never stop asking, each on a connection of its own."""

    def __init__(self, service: HttpService) -> None:
        self._over = threading.Event()
        self.statuses: Counter[int] = Counter()
        self.versions: Counter[str] = Counter()
        self.failures: list[str] = []
        self._content = service.window()
        self._url = service.url
        self.threads = [threading.Thread(target=self._ask) for _ in range(3)]

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30, trust_env=False) as client:
            while not self._over.is_set():
                try:
                    response = client.post("/v1/models/toy/infer", json=self._content)
                except httpx.TransportError as error:
                    self.failures.append(repr(error))
                    continue
                self.statuses[response.status_code] += 1
                self.versions[response.json().get("version", "none")] += 1

    def wait_for(self, more: int) -> None:
        """Return once so many more requests have been answered."""
        wanted = self.statuses.total() + more
        until(lambda: self.statuses.total() >= wanted)

    def stop(self) -> None:
        self._over.set()
        for thread in self.threads:
            thread.join()


@contextmanager
def asking(service: HttpService) -> Iterator[Clients]:
    clients = Clients(service)
    for thread in clients.threads:
        thread.start()
    try:
        clients.wait_for(5)
        yield clients
    finally:
        clients.stop()


def test_new_versions_are_loaded_under_load_and_no_request_fails(start_http: StartHttp) -> None:
    service = start_http(cores=2)
    with asking(service) as clients:
        for version in ("3", "4", "5"):
            store(service, version, seed=int(version))
            loaded = change(service, "load")
            assert loaded.status_code == 200, loaded.text
            assert loaded.json() == {"name": "toy", "versions": [version]}
            clients.wait_for(5)
    assert clients.statuses.keys() == {200}
    assert not clients.failures
    assert clients.versions.keys() == {"2", "3", "4", "5"}
    assert service.infer().json()["version"] == "5"
    assert service.metric("sentryfuse_model_loads_total", outcome="served") == 3


def test_what_is_unloaded_leaves_memory_and_metrics(start_http: StartHttp) -> None:
    service = start_http(load_models="toy")
    before = infer(service)
    assert before.status_code == 200
    assert service.client.get("/openapi.json").status_code == 200  # stays as it was last
    assert change(service, "unload").json() == {"name": "toy", "versions": []}
    gone = infer(service)
    assert (gone.status_code, gone.json()["type"]) == (404, "urn:sentryfuse:problem:unknown-model")
    assert states(service)["toy", "2"] == ("UNAVAILABLE", "unloaded")
    assert states(service, ready=True) == {}
    assert service.metric("sentryfuse_variant_flops", model="toy") is None
    assert service.metric("sentryfuse_model_info", model="toy") is None
    assert any("has left memory" in line["message"] for line in service.log_lines())
    for path in ("/openapi.json", "/v1/models", "/health/ready", "/v2"):
        assert service.client.get(path).status_code == 200, path
    assert change(service, "load").json() == {"name": "toy", "versions": ["2"]}
    assert infer(service).json()["predictions"] == before.json()["predictions"]


def test_requests_that_run_while_their_model_is_unloaded_are_answered(
    start_http: StartHttp,
) -> None:
    service = start_http(cores=1)
    with asking(service) as clients:
        for _ in range(3):
            assert change(service, "unload").status_code == 200
            assert change(service, "load").status_code == 200
            clients.wait_for(5)
    # Who came between the two was told that there is no such model, and nobody anything else.
    assert clients.statuses.keys() <= {200, 404}
    assert not clients.failures


def truncated(folder: Path) -> None:
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])


def of_another_digest(folder: Path) -> None:
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"digest": "', '"digest": "0'))


def of_another_schema(folder: Path) -> None:
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("sentryfuse-bundle/1", "sentryfuse-bundle/9"))


def without_a_file(folder: Path) -> None:
    (folder / "gate.safetensors").unlink()


def without_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def with_a_manifest_of_nonsense(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b"\xff\x00[[[")


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    """One service that everything bad is offered to; the name of the others is served first."""
    from tests.integration.http_server import start_service, wait_for

    running = start_service(tmp_path_factory.mktemp("spoilt"))
    wait_for(running, "/health/ready")
    yield running
    assert running.stop() == 0


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (truncated, "toy/3/weights.safetensors: damaged: its SHA-256 is not the manifest's"),
        (of_another_digest, "toy/3: manifest was changed after the bundle was written"),
        (of_another_schema, "schema must be 'sentryfuse-bundle/1', got 'sentryfuse-bundle/9'"),
        (without_a_file, "toy/3/gate.safetensors: cannot be read"),
        (without_manifest, "toy/3 is not a bundle: it has no manifest.json"),
        (with_a_manifest_of_nonsense, "toy/3/manifest.json: cannot be read"),
    ],
)
def test_a_bad_bundle_is_told_and_leaves_the_old_one(
    spoilt: HttpService, spoil: Spoil, says: str
) -> None:
    spoil(store(spoilt, "3", seed=3))
    refused = change(spoilt, "load")
    assert refused.status_code == 422
    error = refused.json()["error"]
    assert says in error
    assert error.endswith("version 2 is served")
    assert str(models_of(spoilt)) not in refused.text
    assert says in states(spoilt)["toy", "3"][1]
    assert infer(spoilt).json()["version"] == "2"


def test_two_versions_are_asked_side_by_side(start_http: StartHttp) -> None:
    service = start_http(serve_versions=2)
    details = {
        version: service.client.get(f"/v1/models/toy/versions/{version}").json()
        for version in ("1", "2")
    }
    assert [len(details[version]["modalities"]) for version in ("1", "2")] == [1, 5]
    window = {"inputs": {"sensor_0": [[0.5]] * 4}}
    old = service.client.post("/v1/models/toy/versions/1/infer", json=window)
    assert old.json()["version"] == "1"
    assert infer(service, version="2").json()["version"] == "2"
    assert service.infer().json()["version"] == "2"
    for version in ("1", "2"):
        of = {"model": "toy", "version": version}
        assert service.metric("sentryfuse_variant_inferences_total", **of, ratio="0") is not None
        for what in ("variants", "sample"):
            path = f"/v1/models/toy/versions/{version}/{what}"
            assert service.client.get(path).status_code in (200, 404), path
    plan = service.client.post("/v1/models/toy/versions/1/plan", json={}).json()
    assert plan["plan"]["presence"] == ["sensor_0"]
    missing = infer(service, version="7")
    assert missing.status_code == 404
    assert missing.json()["versions"] == ["2", "1"]
    assert change(service, "unload", version="2").json()["versions"] == ["1"]
    assert service.client.post("/v1/infer", json=window).json()["version"] == "1"
    listed = service.client.get("/v1/models").json()["models"]
    assert [(m["name"], m["version"]) for m in listed] == [("toy", "1")]
    assert [(v["version"], v["state"]) for v in listed[0]["versions"]] == [
        ("2", "UNAVAILABLE"),
        ("1", "READY"),
    ]


def test_a_bad_bundle_at_the_start_does_not_keep_good_ones_from_being_served(
    start_http: StartHttp, tmp_path: Path
) -> None:
    folder = tmp_path / "both"
    write_bundle(random_bundle(small_spec(((4, 1),))), folder / "good" / "1")
    write_bundle(random_bundle(small_spec(((4, 1),))), folder / "bad" / "1")
    truncated(folder / "bad" / "1")
    service = start_http(models=folder)
    assert states(service)["good", "1"] == ("READY", "")
    state, reason = states(service)["bad", "1"]
    assert state == "UNAVAILABLE"
    assert "damaged" in reason
    # /v1/infer is not quietly answered by another model than the one it stands for.
    assert service.client.post("/v1/infer", json={"inputs": {}}).status_code == 404


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"parameters": {"config": "{}"}}, "'config' can't be sent along"),
        ({"parameters": {"file:1/model.onnx": "aGk="}}, "'file:1/model.onnx' can't be sent along"),
        ({"parameters": {"speed": 1}}, "no 'speed'; there is version"),
        ({"parameters": []}, "parameters must be an object, got an array"),
        ({"parameters": {"version": 2}}, "version must be a string, got a number"),
        ([], "the body must be a JSON object, got an array"),
    ],
)
def test_a_load_that_makes_no_sense_is_refused(
    service: HttpService, body: object, says: str
) -> None:
    response = service.client.post("/v2/repository/models/toy/load", json=body)
    assert response.status_code == 422
    assert says in response.json()["error"]
    assert sorted(path.name for path in models_of(service).rglob("*.onnx")) == []


@pytest.mark.parametrize(
    "name",
    ["gait", "..", "%2e%2e", "..%2ftoy", "toy%2f1", "%2fetc%2fpasswd", "toy%00", "TOY", "%ff"],
)
@pytest.mark.parametrize("what", ["load", "unload"])
def test_no_name_leads_out_of_the_directory(service: HttpService, name: str, what: str) -> None:
    raw = httpx.URL(f"{service.url}/v2/repository/models/{name}/{what}")
    response = service.client.post(raw)
    assert response.status_code == 404
    assert "error" in response.json()


@pytest.mark.parametrize("version", ["9", "..", "../1", "", "latest", "1/", "x" * 500])
def test_no_version_leads_out_of_its_model(service: HttpService, version: str) -> None:
    response = change(service, "load", version=version)
    assert response.status_code == 404
    assert "of model toy is stored; there is 2, 1" in response.json()["error"]


def resident_bytes(service: HttpService) -> int:
    fields = Path(f"/proc/{service.process.pid}/statm").read_text().split()
    return int(fields[1]) * 4096


def test_memory_comes_back_after_every_reload(start_http: StartHttp) -> None:
    service = start_http(warm_all=True, warm_missing=1)
    sizes = []
    for seed in range(1, 6):
        store(service, "2", seed=seed)
        assert change(service, "load").json()["versions"] == ["2"]
        assert infer(service).status_code == 200
        sizes.append(resident_bytes(service))
    left = [line for line in service.log_lines() if "has left memory" in line["message"]]
    assert len(left) == 5
    # 18 variants come and go each time; were they kept, that would be 18 MB each.
    assert sizes[-1] - sizes[1] < 10e6, [round(size / 1e6, 1) for size in sizes]

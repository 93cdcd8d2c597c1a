"""API keys over HTTP: who is let in, who is turned away, and how keys change while it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.security import KeyRing, Scope, new_key
from app.security.keyfile import edit_keys
from tests.integration.http_server import HttpService, StartHttp, start_service, wait_for
from tests.integration.test_http_bad_input import refused


def add_key(file: Path, name: str, *scopes: Scope) -> str:
    secret, key = new_key(name, frozenset(scopes))
    edit_keys(file, lambda ring: KeyRing((*ring.keys, key)))
    return secret


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    keys = {scope: add_key(file, f"the-{scope}", scope) for scope in ("infer", "read", "admin")}
    return {"file": str(file), **keys}


@pytest.fixture(scope="module")
def guarded(
    keys: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HttpService]:
    """The service with three keys, each good for one thing."""
    running = start_service(tmp_path_factory.mktemp("guarded"), api_keys_file=keys["file"])
    wait_for(running, "/health/ready")
    yield running
    assert running.stop() == 0


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


CALLS = [
    ("POST", "/v1/infer", "infer"),
    ("POST", "/v1/models/toy/infer", "infer"),
    ("POST", "/v1/models/toy/plan", "infer"),
    ("GET", "/v1/models", "read"),
    ("GET", "/metrics", "read"),
    ("GET", "/v1/live", "read"),
    ("GET", "/openapi.json", "read"),
    ("PUT", "/v1/power", "admin"),
]


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
def test_each_call_needs_a_key_with_its_own_scope(
    guarded: HttpService, keys: dict[str, str], method: str, path: str, scope: str
) -> None:
    content = guarded.window() if scope == "infer" else {"cap_w": None}

    def call(headers: dict[str, str]) -> httpx.Response:
        body = None if method == "GET" else content
        return guarded.client.request(method, path, json=body, headers=headers)

    anonymous = call({})
    refused(anonymous, 401, "unauthorised")
    assert anonymous.headers["www-authenticate"] == "Bearer"
    other = "read" if scope != "read" else "infer"
    assert refused(call(bearer(keys[other])), 403, "forbidden")["scope"] == scope
    assert call(bearer(keys[scope])).status_code in (200, 422)
    assert call({"X-API-Key": keys[scope]}).status_code in (200, 422)


OPEN = ("/health/live", "/health/ready", "/health", "/healthz", "/docs", "/", "/page/app.js")


@pytest.mark.parametrize("path", OPEN)
def test_probes_and_the_empty_page_are_open(guarded: HttpService, path: str) -> None:
    assert guarded.client.get(path).status_code == 200


def test_who_has_no_key_does_not_learn_what_there_is(guarded: HttpService) -> None:
    refused(guarded.client.get("/v1/models/nowhere"), 401, "unauthorised")
    refused(guarded.client.delete("/nowhere"), 401, "unauthorised")


def test_the_log_says_whose_key_it_was_and_never_the_key(
    guarded: HttpService, keys: dict[str, str]
) -> None:
    response = guarded.client.get("/v1/models", headers=bearer(keys["read"]))
    line = guarded.log_of(response.headers["x-request-id"])[-1]
    assert line["key"] == "the-read"
    assert not any(keys[scope] in guarded.log.read_text() for scope in ("infer", "read", "admin"))


def test_refusals_are_counted_by_reason(guarded: HttpService, keys: dict[str, str]) -> None:
    def count(reason: str) -> float:
        value = httpx.get(guarded.url + "/metrics", headers=bearer(keys["read"]), trust_env=False)
        name = f'sentryfuse_auth_refused_total{{reason="{reason}"}} '
        found = [line for line in value.text.splitlines() if line.startswith(name)]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    before = count("unknown")
    guarded.client.get("/v1/models", headers=bearer("guess"))
    assert count("unknown") == before + 1


def answers(service: HttpService, key: str, status: int) -> bool:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if service.client.get("/v1/models", headers=bearer(key)).status_code == status:
            return True
        time.sleep(0.05)
    return False


def test_keys_are_rotated_without_a_restart(start_http: StartHttp, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    old = add_key(file, "old", "read")
    service = start_http(api_keys_file=file)
    new = add_key(file, "new", "read")
    assert answers(service, new, 200)
    assert answers(service, old, 200)
    edit_keys(file, lambda ring: KeyRing(tuple(k for k in ring.keys if k.name != "old")))
    assert answers(service, old, 401)
    file.write_text("broken")
    deadline = time.monotonic() + 15
    while "the keys stay as they are" not in service.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert answers(service, new, 200)


def test_a_public_address_without_keys_is_refused_with_what_to_do(start_http: StartHttp) -> None:
    service = start_http(ready=False, host="0.0.0.0")
    assert service.process.wait(timeout=30) != 0
    log = service.log.read_text()
    assert "sentryfuse keys new" in log
    assert "SENTRYFUSE_API_KEYS_FILE" in log
    assert "SENTRYFUSE_ALLOW_OPEN" in log


def test_a_public_address_may_be_open_if_told_so(start_http: StartHttp) -> None:
    assert start_http(host="0.0.0.0", allow_open=True).infer().status_code == 200

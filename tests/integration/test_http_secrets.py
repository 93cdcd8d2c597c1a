"""What must not get out: files beside the models, and secrets in the log."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.integration.http_server import HttpService, StartHttp
from tests.integration.redis_server import free_port
from tests.integration.test_http_keys import add_key, bearer

NAMES = (
    "..",
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2fprofiles",
    "..%5c..%5cetc",
    "%252e%252e%252f",
    "toy%2f..%2f..",
    "toy%00",
    "%2fetc%2fpasswd",
    "toy%2f1",
    "%c0%ae%c0%ae",
    "file:%2f%2f%2fetc%2fpasswd",
)
ROUTES = (
    ("POST", "/v1/models/{}/infer"),
    ("POST", "/v1/models/{}/plan"),
    ("POST", "/v1/models/toy/versions/{}/infer"),
    ("GET", "/v1/models/{}"),
    ("GET", "/v1/models/{}/variants"),
    ("GET", "/v1/models/{}/sample"),
    ("GET", "/v1/models/toy/versions/{}"),
    ("GET", "/v2/models/{}"),
    ("GET", "/v2/models/{}/ready"),
    ("GET", "/v2/models/toy/versions/{}"),
    ("POST", "/v2/models/{}/infer"),
    ("POST", "/v2/models/toy/versions/{}/infer"),
    ("POST", "/v2/repository/models/{}/load"),
    ("POST", "/v2/repository/models/{}/unload"),
    ("GET", "/docs/{}"),
)


@pytest.mark.parametrize("name", NAMES)
def test_no_name_leads_out_of_the_models(service: HttpService, name: str) -> None:
    host, _, port = service.url.removeprefix("http://").partition(":")
    for method, route in ROUTES:
        body = json.dumps({}).encode() if method == "POST" else b""
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(  # no client library, as they tidy paths up
                f"{method} {route.format(name)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            answer = b"".join(iter(lambda connection=connection: connection.recv(65_536), b""))
        status = int(answer.split()[1])
        assert status in (400, 404, 405, 422), (route, answer[:300])
        assert b"root:" not in answer


def test_a_version_is_loaded_by_its_name_and_by_no_path(service: HttpService) -> None:
    for version in ("../1", "../../toy/1", "/etc", "1/../1", "..", ".", ""):
        content = {"parameters": {"version": version}}
        response = service.client.post("/v2/repository/models/toy/load", json=content)
        assert response.status_code in (404, 422), response.text


def test_no_secret_is_logged_at_any_level(start_http: StartHttp, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    good = add_key(keys, "gateway", "infer", "read")
    old = add_key(keys, "old", "read")
    secrets = {"key": good, "old key": old, "wrong key": "sfk_wr0ng-key", "Redis": "hunter2-redis"}
    service = start_http(
        api_keys_file=keys,
        redis_url=f"redis://user:{secrets['Redis']}@127.0.0.1:{free_port()}/0",
        log_level="debug",
    )
    client, window = service.client, service.window()
    for key in (good, old, secrets["wrong key"]):
        for headers in (bearer(key), {"X-API-Key": key}):
            client.post("/v1/infer", json=window, headers=headers)
            client.post("/v1/infer", content=b"{", headers=headers)
            client.put("/v1/power", json={"cap_w": 5}, headers=headers)
            client.get("/nowhere", headers=headers)
            client.get("/v2/models/gait", headers=headers)
    digests = [key["sha256"] for key in json.loads(keys.read_text())["keys"]]
    keys.write_text(keys.read_text()[:-30])  # a broken file is logged, too
    client.get("/v1/models", headers={"Authorization": f"Basic {good}"})
    client.get("/v1/models", headers={"X-API-Key": good, "X-Long": "a" * 20_000})
    assert service.stop() == 0
    log = service.log.read_text()
    for secret in (*secrets.values(), *digests):
        assert secret not in log
    assert '"key":"gateway"' in log
    assert '"level":"debug"' in log


def test_every_line_of_the_log_is_json(start_http: StartHttp) -> None:
    service = start_http(log_level="debug")
    service.infer()
    host, _, port = service.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as odd:
        odd.sendall(b"nonsense\r\n\r\n")
        odd.recv(1_000)
    service.client.get("/\udcff".encode("utf-8", "surrogateescape").decode("latin-1"))
    assert service.stop() == 0
    lines = service.log.read_text().splitlines()
    assert all({"time", "level", "logger", "message"} <= json.loads(line).keys() for line in lines)


def test_the_page_runs_its_own_script_only_and_says_no_server(service: HttpService) -> None:
    response = service.client.get("/docs")
    assert "script-src 'sha256-" in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
    for path in ("/docs", "/v1/models", "/nowhere"):
        assert "server" not in service.client.get(path).headers


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("path", ["/v1/models", "/nowhere", "/v2/models/gait", "/health/live"])
def test_every_answer_carries_its_request_id_and_the_log_its_trace(
    service: HttpService, path: str
) -> None:
    request_id = f"trace-{path.strip('/').replace('/', '-')}"
    headers = {"X-Request-Id": request_id, "traceparent": TRACE}
    assert service.client.get(path, headers=headers).headers["x-request-id"] == request_id
    if not path.startswith("/health"):
        assert all(line["traceparent"] == TRACE for line in service.log_of(request_id))

"""The same keys and rates as over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse

from app.rpc import open_inference_pb2 as pb
from app.security import KeyRing, new_key
from tests.integration.http_server import HttpService, StartHttp
from tests.integration.redis_server import free_port
from tests.integration.rpc_client import RpcClient, request_of, rpc_client

BEARER = "authorization"
KEY = "x-api-key"


def keys_in(folder: Path, **scopes: str) -> dict[str, str]:
    """Write a key file with a key for each name; return the secrets."""
    made = {name: new_key(name, frozenset({scope})) for name, scope in scopes.items()}
    ring = KeyRing(tuple(key for _, key in made.values()))
    (folder / "keys.json").write_text(json.dumps(ring.to_json()))
    return {name: secret for name, (secret, _) in made.items()}


def code_of(client: RpcClient, request: object, *metadata: tuple[str, str]) -> grpc.StatusCode:
    try:
        client.ask(request, metadata=metadata)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_calls_need_a_key_with_their_scope_and_probes_need_none(
    tmp_path: Path, start_http: StartHttp
) -> None:
    secrets = keys_in(tmp_path, gateway="infer", reader="read", boss="admin")
    service = start_http(grpc_port=free_port(), api_keys_file=tmp_path / "keys.json")
    infer = request_of(service.bundle.spec)
    with rpc_client(service.grpc_address) as client:
        assert client.health() == HealthCheckResponse.SERVING
        assert client.ask(pb.ServerReadyRequest()).ready
        about, load = pb.ModelMetadataRequest(name="toy"), pb.RepositoryModelLoadRequest()
        assert code_of(client, infer) is grpc.StatusCode.UNAUTHENTICATED
        assert code_of(client, infer, (KEY, "guessed")) is grpc.StatusCode.UNAUTHENTICATED
        assert code_of(client, infer, (KEY, secrets["reader"])) is grpc.StatusCode.PERMISSION_DENIED
        assert code_of(client, infer, (KEY, secrets["gateway"])) is grpc.StatusCode.OK
        bearer = (BEARER, f"Bearer {secrets['gateway']}")
        assert code_of(client, infer, bearer) is grpc.StatusCode.OK
        assert code_of(client, about, bearer) is grpc.StatusCode.PERMISSION_DENIED
        assert code_of(client, about, (KEY, secrets["reader"])) is grpc.StatusCode.OK
        assert code_of(client, load, (KEY, secrets["reader"])) is grpc.StatusCode.PERMISSION_DENIED
        assert code_of(client, load, (KEY, secrets["boss"])) is grpc.StatusCode.NOT_FOUND
    assert "gateway" in {line.get("key") for line in service.log_lines()}
    assert not any(secret in service.log.read_text() for secret in secrets.values())


def test_who_calls_too_often_is_told_when_to_come_back(start_http: StartHttp) -> None:
    service = start_http(grpc_port=free_port(), rate_limit_hz=0.5, rate_burst=2)
    infer = request_of(service.bundle.spec)
    with rpc_client(service.grpc_address) as client:
        assert [code_of(client, infer) for _ in range(2)] == [grpc.StatusCode.OK] * 2
        with pytest.raises(grpc.RpcError) as raised:
            client.infer(infer)
        assert client.ask(pb.ServerLiveRequest()).live
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    wait_ms = int(dict(raised.value.trailing_metadata())["grpc-retry-pushback-ms"])
    assert 0 < wait_ms <= 2000
    assert over_http(service) == 429


def over_http(service: HttpService) -> int:
    """The bucket is the caller's, whichever way it asks."""
    return service.infer().status_code

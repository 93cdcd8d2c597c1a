"""Models that come and go, over gRPC, by Triton's own client and by ours."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from app.rpc import open_inference_pb2 as pb
from tests.integration.http_server import HttpService, StartHttp
from tests.integration.redis_server import free_port
from tests.integration.rpc_client import rpc_client


@pytest.fixture
def running(start_http: StartHttp) -> HttpService:
    return start_http(grpc_port=free_port())


@pytest.fixture
def client(running: HttpService) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(running.grpc_address) as connected:
        yield connected


def states(client: triton.InferenceServerClient) -> dict[tuple[str, str], str]:
    index = client.get_model_repository_index()
    return {(model.name, model.version): model.state for model in index.models}


def test_models_are_unloaded_and_loaded(
    client: triton.InferenceServerClient, running: HttpService
) -> None:
    assert states(client) == {("toy", "2"): "READY", ("toy", "1"): "UNAVAILABLE"}
    client.unload_model("toy", unload_dependents=True)
    assert not client.is_model_ready("toy")
    assert states(client)["toy", "2"] == "UNAVAILABLE"
    with pytest.raises(InferenceServerException, match="no model 'toy'"):
        client.get_model_metadata("toy")
    client.load_model("toy")
    assert client.is_model_ready("toy", "2")
    with rpc_client(running.grpc_address) as ours:
        request = pb.RepositoryModelLoadRequest(model_name="toy")
        request.parameters["version"].string_param = "1"
        ours.ask(request)
        only_ready = ours.ask(pb.RepositoryIndexRequest(ready=True)).models
    assert [(model.version, model.state) for model in only_ready] == [
        ("2", "READY"),
        ("1", "READY"),
    ]


def test_what_is_bad_is_refused_with_its_reason(
    client: triton.InferenceServerClient, running: HttpService
) -> None:
    (running.log.parent / "models" / "toy" / "3").mkdir()
    for refused, status, says in (
        (lambda: client.load_model("toy"), "FAILED_PRECONDITION", "version 2 is served"),
        (lambda: client.load_model("nobody"), "NOT_FOUND", "no model 'nobody'"),
        (lambda: client.load_model("../toy"), "NOT_FOUND", "no model '../toy'"),
        (lambda: client.load_model("toy", config="{}"), "INVALID_ARGUMENT", "can't be sent along"),
    ):
        with pytest.raises(InferenceServerException, match=says) as caught:
            refused()
        assert caught.value.status() == f"StatusCode.{status}"
    with rpc_client(running.grpc_address) as ours:
        request = pb.RepositoryModelUnloadRequest(model_name="toy")
        request.parameters["file:1/model.onnx"].bytes_param = b"x"
        with pytest.raises(grpc.RpcError) as raised:
            ours.ask(request)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert client.is_model_ready("toy")

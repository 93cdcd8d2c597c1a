"""What only HTTP has of the Open Inference Protocol, as Triton's own client sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.bundles import random_windows
from tests.integration.http_server import HttpService


@pytest.fixture(scope="module")
def client(service: HttpService) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(service.url.removeprefix("http://")) as connected:
        yield connected


def inputs(service: HttpService, *, binary: bool = True) -> list[Any]:
    tensors = []
    for name, array in random_windows(service.bundle.spec).items():
        tensor = triton.InferInput(name, list(array.shape), "FP32")
        tensor.set_data_from_numpy(array, binary_data=binary)
        tensors.append(tensor)
    return tensors


def test_metadata_says_what_is_optional_and_offered(client: triton.InferenceServerClient) -> None:
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata("toy")
    assert all(i["parameters"]["optional"] for i in metadata["inputs"])


def test_json_and_binary_inputs_mix(
    client: triton.InferenceServerClient, service: HttpService
) -> None:
    tensors = inputs(service)
    mixed = [*inputs(service, binary=False)[:2], *tensors[2:]]
    for one in (mixed, mixed[::-1]):
        assert (
            client.infer("toy", one).as_numpy("index").tolist()
            == client.infer("toy", tensors).as_numpy("index").tolist()
        )


def test_each_output_comes_as_it_was_asked_for(
    client: triton.InferenceServerClient, service: HttpService
) -> None:
    wanted = [
        triton.InferRequestedOutput("index", binary_data=False),
        triton.InferRequestedOutput("label", binary_data=True),
    ]
    answer = client.infer("toy", inputs(service), outputs=wanted)
    described = answer.get_response()["outputs"]
    assert [output["name"] for output in described] == ["index", "label"]
    assert "data" in described[0]
    assert "data" not in described[1]


def test_what_is_not_offered_is_an_error_in_the_clients_words(
    client: triton.InferenceServerClient,
) -> None:
    with pytest.raises(InferenceServerException, match="/v2/systemsharedmemory/status"):
        client.get_system_shared_memory_status()


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_a_compressed_body_is_answered_as_the_plain_one(
    client: triton.InferenceServerClient, service: HttpService, algorithm: str
) -> None:
    plain = client.infer("toy", inputs(service))
    compressed = client.infer("toy", inputs(service), request_compression_algorithm=algorithm)
    assert compressed.as_numpy("index").tolist() == plain.as_numpy("index").tolist()

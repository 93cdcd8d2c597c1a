"""Triton's own client, unchanged, drives the service over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

from tests.bundles import random_windows
from tests.integration.http_server import HttpService

BINARY = pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])


@pytest.fixture(scope="module")
def client(service: HttpService) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(service.url.removeprefix("http://")) as connected:
        yield connected


def inputs(service: HttpService, *names: str, batch: int = 1, binary: bool = True) -> list[Any]:
    tensors = []
    for name, array in random_windows(service.bundle.spec, names or None, batch=batch).items():
        tensor = triton.InferInput(name, list(array.shape), "FP32")
        tensor.set_data_from_numpy(array, binary_data=binary)
        tensors.append(tensor)
    return tensors


def native(service: HttpService, *names: str, batch: int = 1) -> dict[str, Any]:
    arrays = random_windows(service.bundle.spec, names or None, batch=batch)
    return service.infer({"inputs": {n: a.tolist() for n, a in arrays.items()}}).json()


def test_the_server_and_the_model_are_alive_and_ready(
    client: triton.InferenceServerClient,
) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("toy")
    assert client.is_model_ready("toy", "2")
    assert not client.is_model_ready("nobody")
    assert not client.is_model_ready("toy", "9")


def test_metadata_names_every_modality(
    client: triton.InferenceServerClient, service: HttpService
) -> None:
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata("toy")
    spec = service.bundle.spec
    assert [i["name"] for i in metadata["inputs"]] == list(spec.modality_names)
    assert metadata["inputs"][0]["shape"] == [-1, 12, 3]
    assert all(i["parameters"]["optional"] for i in metadata["inputs"])
    assert [o["name"] for o in metadata["outputs"]] == ["probabilities", "label", "index"]
    assert "2" in metadata["versions"]
    assert client.get_model_metadata("toy", "2") == metadata


@BINARY
def test_the_answer_is_that_of_the_native_api(
    client: triton.InferenceServerClient, service: HttpService, binary: bool
) -> None:
    wanted = [
        triton.InferRequestedOutput(name, binary_data=binary)
        for name in ("probabilities", "label", "index")
    ]
    answer = client.infer("toy", inputs(service, batch=3, binary=binary), outputs=wanted)
    expected = native(service, batch=3)["predictions"]
    rows = answer.as_numpy("probabilities")
    assert rows.shape == (3, service.bundle.spec.num_classes)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(
        rows.max(axis=1), [p["probability"] for p in expected], rtol=0, atol=1e-5
    )
    assert answer.as_numpy("index").tolist() == [p["index"] for p in expected]
    labels = [as_text(label) for label in answer.as_numpy("label").ravel()]
    assert labels == [p["label"] for p in expected]


def as_text(label: bytes | str) -> str:
    return label.decode() if isinstance(label, bytes) else label


@BINARY
def test_an_input_left_out_is_an_absent_sensor(
    client: triton.InferenceServerClient, service: HttpService, binary: bool
) -> None:
    names = ("sensor_0", "sensor_3")
    answer = client.infer("toy", inputs(service, *names, binary=binary))
    parameters = answer.get_response()["parameters"]
    assert parameters["presence"] == "sensor_0,sensor_3"
    (expected,) = native(service, *names)["predictions"]
    assert answer.as_numpy("index").tolist() == [expected["index"]]


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


def test_only_the_outputs_that_were_asked_for_come(
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
    assert answer.as_numpy("probabilities") is None


def test_a_classification_names_the_likeliest(
    client: triton.InferenceServerClient, service: HttpService
) -> None:
    wanted = [triton.InferRequestedOutput("probabilities", class_count=2)]
    answer = client.infer("toy", inputs(service), outputs=wanted)
    best, _ = answer.as_numpy("probabilities")[0]
    (expected,) = native(service)["predictions"]
    value, index, label = best.decode().split(":")
    assert float(value) == pytest.approx(expected["probability"], abs=1e-5)
    assert (int(index), label) == (expected["index"], expected["label"])


def test_plan_and_receipt_come_back_as_parameters(
    client: triton.InferenceServerClient, service: HttpService
) -> None:
    answer = client.infer(
        "toy",
        inputs(service),
        request_id="seven",
        timeout=20_000_000,
        parameters={"energy_budget_mj": 1e6, "accuracy_floor": 0.1, "handling": "lenient"},
    )
    response = answer.get_response()
    assert response["id"] == "seven"
    assert (response["model_name"], response["model_version"]) == ("toy", "2")
    parameters = response["parameters"]
    assert parameters["variant"] == "1f-000"
    assert parameters["budget_met"] is True
    assert parameters["energy_quality"] == "modelled"
    budget = json.loads(parameters["receipt"])["budget"]
    assert budget["latency"]["asked_ms"] == 20_000
    assert budget["energy"]["asked_mj"] == 1e6
    assert budget["accuracy"]["asked"] == 0.1
    assert json.loads(parameters["plan"])["variant"] == "1f-000"


def test_headers_count_too_and_the_smallest_wins(
    client: triton.InferenceServerClient, service: HttpService
) -> None:
    answer = client.infer(
        "toy",
        inputs(service),
        headers={"X-Latency-Budget-Ms": "9000"},
        parameters={"latency_budget_ms": 10_000},
    )
    receipt = json.loads(answer.get_response()["parameters"]["receipt"])
    assert receipt["budget"]["latency"]["asked_ms"] == 9000


def test_a_version_can_be_named(client: triton.InferenceServerClient, service: HttpService) -> None:
    response = client.infer("toy", inputs(service), model_version="2").get_response()
    assert response["model_version"] == "2"


@pytest.mark.parametrize(
    ("datatype", "numpy_type"),
    [("FP64", np.float64), ("FP16", np.float16), ("INT32", np.int32), ("UINT8", np.uint8)],
)
def test_other_kinds_of_numbers_are_converted(
    client: triton.InferenceServerClient, datatype: str, numpy_type: type
) -> None:
    whole = np.arange(36).reshape(12, 3)
    answers = []
    for kind, dtype in ((datatype, numpy_type), ("FP32", np.float32)):
        tensor = triton.InferInput("sensor_0", [12, 3], kind)
        tensor.set_data_from_numpy(whole.astype(dtype))
        answers.append(client.infer("toy", [tensor]).as_numpy("probabilities"))
    np.testing.assert_allclose(*answers, rtol=0, atol=1e-6)


def refused(client: triton.InferenceServerClient, *tensors: Any, **asked: Any) -> tuple[str, str]:
    """Status and message of an error."""
    model = asked.pop("model", "toy")
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, list(tensors), **asked)
    return caught.value.status(), caught.value.message()


def test_errors_are_the_clients_own(
    client: triton.InferenceServerClient, service: HttpService
) -> None:
    good = inputs(service)
    assert refused(client, *good, model="nobody") == ("404", "no model 'nobody'; there is toy")
    status, message = refused(client, *good, model_version="9")
    assert (status, message.partition(";")[0]) == ("404", "no version '9' of model toy")
    wrong = triton.InferInput("sensor_0", [12, 4], "FP32")
    wrong.set_data_from_numpy(np.zeros((12, 4), np.float32))
    status, message = refused(client, wrong)
    assert status == "422"
    assert "modality 'sensor_0' must be [12, 3] numbers" in message
    status, message = refused(client, *good, parameters={"latency_budget_ms": -1})
    assert status == "422"
    assert "latency_budget_ms" in message
    status, message = refused(client, *good, outputs=[triton.InferRequestedOutput("logits")])
    assert status == "422"
    assert "unknown output 'logits'" in message
    status, message = refused(
        client, *good, parameters={"latency_budget_ms": 0.001, "handling": "strict"}
    )
    assert status in ("422", "504")


@BINARY
def test_a_value_that_is_not_finite_is_named(
    client: triton.InferenceServerClient, binary: bool
) -> None:
    data = np.zeros((12, 3), np.float32)
    data[4, 1] = np.nan
    tensor = triton.InferInput("sensor_0", [12, 3], "FP32")
    tensor.set_data_from_numpy(data, binary_data=binary)
    status, message = refused(client, tensor)
    assert status == "422"
    assert "sensor_0" in message
    assert "finite" in message


def test_metadata_of_an_unknown_model_is_an_error(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="no model 'nobody'"):
        client.get_model_metadata("nobody")


def test_what_is_not_offered_is_an_error_in_the_clients_words(
    client: triton.InferenceServerClient,
) -> None:
    with pytest.raises(InferenceServerException, match="/v2/systemsharedmemory/status"):
        client.get_system_shared_memory_status()


@BINARY
def test_the_asynchronous_client_gets_the_same_answers(service: HttpService, binary: bool) -> None:
    async def ask() -> tuple[bool, list[list[int]], str]:
        address = service.url.removeprefix("http://")
        async with triton_aio.InferenceServerClient(address) as client:
            ready = await client.is_server_ready() and await client.is_model_ready("toy")
            wanted = [triton.InferRequestedOutput("index", binary_data=binary)]
            both = await asyncio.gather(
                client.infer("toy", inputs(service, binary=binary), outputs=wanted),
                client.infer("toy", inputs(service, "sensor_1", binary=binary)),
            )
            with pytest.raises(InferenceServerException) as caught:
                await client.infer("nobody", inputs(service))
            return ready, [a.as_numpy("index").tolist() for a in both], caught.value.message()

    ready, indices, message = asyncio.run(ask())
    assert ready
    expected = [native(service), native(service, "sensor_1")]
    assert indices == [[answer["predictions"][0]["index"]] for answer in expected]
    assert message.startswith("no model 'nobody'")

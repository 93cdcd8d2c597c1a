"""The Open Inference Protocol as Triton's clients speak it: the same over HTTP and gRPC."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from tests.bundles import random_windows
from tests.integration.http_server import HttpService
from tests.integration.triton_clients import WAYS, TritonWay, aio_client, as_text, triton_way


@pytest.fixture(scope="module", params=WAYS)
def triton(request: pytest.FixtureRequest, service: HttpService) -> Iterator[TritonWay]:
    with triton_way(request.param, service) as way:
        yield way


def native(service: HttpService, *names: str, batch: int = 1) -> list[dict[str, Any]]:
    """Predictions of the native API for the same windows."""
    arrays = random_windows(service.bundle.spec, names or None, batch=batch)
    content = {"inputs": {n: a.tolist() for n, a in arrays.items()}}
    return service.infer(content).json()["predictions"]


def test_the_server_and_the_model_are_alive_and_ready(triton: TritonWay) -> None:
    assert triton.client.is_server_live()
    assert triton.client.is_server_ready()
    assert triton.client.is_model_ready("toy")
    assert triton.client.is_model_ready("toy", "2")
    assert not triton.client.is_model_ready("nobody")
    assert not triton.client.is_model_ready("toy", "9")


def test_metadata_names_every_modality(triton: TritonWay, service: HttpService) -> None:
    metadata, spec = triton.metadata(), service.bundle.spec
    assert [i["name"] for i in metadata["inputs"]] == list(spec.modality_names)
    assert metadata["inputs"][0]["shape"] == [-1, 12, 3]
    assert metadata["inputs"][0]["datatype"] == "FP32"
    assert [o["name"] for o in metadata["outputs"]] == ["probabilities", "label", "index"]
    assert "2" in metadata["versions"]
    assert triton.metadata("toy", "2") == metadata


def test_metadata_of_an_unknown_model_is_an_error(triton: TritonWay) -> None:
    with pytest.raises(InferenceServerException, match="no model 'nobody'"):
        triton.metadata("nobody")


def test_the_answer_is_that_of_the_native_api(triton: TritonWay, service: HttpService) -> None:
    wanted = [triton.output(name) for name in ("probabilities", "label", "index")]
    answer = triton.infer(*triton.inputs(batch=3), outputs=wanted)
    expected = native(service, batch=3)
    rows = answer.as_numpy("probabilities")
    assert rows.shape == (3, service.bundle.spec.num_classes)
    assert rows.dtype == np.float32
    best = [p["probability"] for p in expected]
    np.testing.assert_allclose(rows.max(axis=1), best, rtol=0, atol=1e-5)
    assert answer.as_numpy("index").tolist() == [p["index"] for p in expected]
    assert as_text(answer.as_numpy("label")) == [p["label"] for p in expected]


def test_an_input_left_out_is_an_absent_sensor(triton: TritonWay, service: HttpService) -> None:
    names = ("sensor_0", "sensor_3")
    answer = triton.infer(*triton.inputs(*names))
    assert answer.parameters["presence"] == "sensor_0,sensor_3"
    (expected,) = native(service, *names)
    assert answer.as_numpy("index").tolist() == [expected["index"]]


def test_a_window_may_come_without_a_batch(triton: TritonWay, service: HttpService) -> None:
    (array,) = random_windows(service.bundle.spec, ["sensor_0"]).values()
    answer = triton.infer(triton.tensor("sensor_0", array[0]))
    (expected,) = native(service, "sensor_0")
    assert answer.as_numpy("index").tolist() == [expected["index"]]


def test_only_the_outputs_that_were_asked_for_come(triton: TritonWay) -> None:
    wanted = [triton.output("index"), triton.output("label")]
    answer = triton.infer(*triton.inputs(), outputs=wanted)
    assert answer.outputs == ("index", "label")
    assert answer.as_numpy("probabilities") is None


def test_a_classification_names_the_likeliest(triton: TritonWay, service: HttpService) -> None:
    wanted = [triton.output("probabilities", class_count=2)]
    answer = triton.infer(*triton.inputs(), outputs=wanted)
    best, _ = as_text(answer.as_numpy("probabilities"))
    (expected,) = native(service)
    value, index, label = best.split(":")
    assert float(value) == pytest.approx(expected["probability"], abs=1e-5)
    assert (int(index), label) == (expected["index"], expected["label"])


def test_plan_and_receipt_come_back_as_parameters(triton: TritonWay) -> None:
    answer = triton.infer(
        *triton.inputs(),
        request_id="seven",
        timeout=20_000_000,
        parameters={"energy_budget_mj": 1e6, "accuracy_floor": 0.1, "handling": "lenient"},
    )
    assert (answer.id, answer.model, answer.version) == ("seven", "toy", "2")
    parameters = answer.parameters
    assert parameters["variant"] == "1f-000"
    assert parameters["budget_met"] is True
    assert parameters["energy_quality"] == "modelled"
    budget = json.loads(parameters["receipt"])["budget"]
    assert budget["latency"]["asked_ms"] == 20_000
    assert budget["energy"]["asked_mj"] == 1e6
    assert budget["accuracy"]["asked"] == 0.1
    assert json.loads(parameters["plan"])["variant"] == "1f-000"


def test_a_minimal_answer_has_the_outputs_and_no_parameters(triton: TritonWay) -> None:
    whole = triton.infer(*triton.inputs())
    answer = triton.infer(*triton.inputs(), headers={"prefer": "return=minimal"})
    assert answer.parameters == {}
    for name in whole.outputs:
        np.testing.assert_array_equal(answer.result.as_numpy(name), whole.result.as_numpy(name))


@pytest.mark.parametrize(("header", "parameter"), [("9000", 10_000), ("10000", 9000)])
def test_headers_count_too_and_the_smallest_wins(
    triton: TritonWay, header: str, parameter: int
) -> None:
    answer = triton.infer(
        *triton.inputs(),
        headers={"x-latency-budget-ms": header},
        parameters={"latency_budget_ms": parameter},
    )
    receipt = json.loads(answer.parameters["receipt"])
    assert receipt["budget"]["latency"]["asked_ms"] == 9000


def test_a_version_can_be_named(triton: TritonWay) -> None:
    assert triton.infer(*triton.inputs(), model_version="2").version == "2"


@pytest.mark.parametrize(
    ("datatype", "numpy_type"),
    [("FP64", np.float64), ("FP16", np.float16), ("INT32", np.int32), ("UINT8", np.uint8)],
)
def test_other_kinds_of_numbers_are_converted(
    triton: TritonWay, datatype: str, numpy_type: type
) -> None:
    whole = np.arange(36).reshape(12, 3)
    answers = [
        triton.infer(triton.tensor("sensor_0", whole.astype(dtype), kind)).as_numpy("probabilities")
        for kind, dtype in ((datatype, numpy_type), ("FP32", np.float32))
    ]
    np.testing.assert_allclose(*answers, rtol=0, atol=1e-6)


def test_what_is_unknown_is_not_found(triton: TritonWay) -> None:
    good = triton.inputs()
    status, message = triton.refusal(*good, model="nobody")
    assert (status, message) == (triton.status("404"), "no model 'nobody'; there is toy")
    status, message = triton.refusal(*good, model_version="9")
    assert status == triton.status("404")
    assert message.startswith("no version '9' of model toy")


def test_what_does_not_fit_is_named(triton: TritonWay) -> None:
    good = triton.inputs()
    wrong = triton.tensor("sensor_0", np.zeros((12, 4), np.float32))
    not_finite = triton.tensor("sensor_0", np.full((12, 3), np.nan, np.float32))
    for tensors, asked, part in (
        ([wrong], {}, "modality 'sensor_0' must be [12, 3] numbers"),
        ([not_finite], {}, "finite"),
        ([*good, good[0]], {}, "'sensor_0' was sent more than once"),
        ([triton.tensor("nose", np.zeros((12, 3), np.float32))], {}, "unknown modality 'nose'"),
        (triton.inputs(batch=33), {}, "at most 32 fit into one request"),
        (good, {"parameters": {"latency_budget_ms": -1}}, "parameter latency_budget_ms must be"),
        (good, {"parameters": {"handling": "gentle"}}, "parameter handling must be"),
        (good, {"outputs": [triton.output("logits")]}, "unknown output 'logits'"),
    ):
        status, message = triton.refusal(*tensors, **asked)
        assert status == triton.status("422")
        assert part in message


def test_an_impossible_budget_is_refused(triton: TritonWay) -> None:
    impossible = {"latency_budget_ms": 0.001, "handling": "strict"}
    status, _ = triton.refusal(*triton.inputs(), parameters=impossible)
    assert status in (triton.status("422 for a budget"), triton.status("504"))


@pytest.mark.parametrize("name", WAYS)
def test_asynchronous_clients_get_the_same_answers(service: HttpService, name: str) -> None:
    async def ask() -> tuple[bool, list[list[int]], str]:
        async with aio_client(name, service) as client:
            triton = TritonWay(name, service, client)
            ready = await client.is_server_ready() and await client.is_model_ready("toy")
            both = await asyncio.gather(
                client.infer("toy", triton.inputs(), outputs=[triton.output("index")]),
                client.infer("toy", triton.inputs("sensor_1")),
            )
            with pytest.raises(InferenceServerException) as caught:
                await client.infer("nobody", triton.inputs())
            return ready, [a.as_numpy("index").tolist() for a in both], caught.value.message()

    ready, indices, message = asyncio.run(ask())
    assert ready
    expected = [native(service), native(service, "sensor_1")]
    assert indices == [[prediction["index"]] for (prediction,) in expected]
    assert message.startswith("no model 'nobody'")

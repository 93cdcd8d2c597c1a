from __future__ import annotations

import json

import numpy as np
import pytest

from app.api.v2.decoding import Decoder
from app.client import ProtocolError, binary
from app.client.arrays import present_arrays
from app.client.wire import Reply
from tests.bundles import random_windows, small_spec

SPEC = small_spec()
GOOD = {
    "model_name": "toy",
    "model_version": "2",
    "parameters": {
        "plan": json.dumps(
            {
                "variant": "1f-500",
                "presence": ["sensor_0"],
                "ratio": 0.5,
                "batch": 1,
                "requests": 1,
                "cores": 1,
                "threads": 1,
                "expected": {"latency_ms": 1, "energy_mj": 1, "accuracy": 0.9, "power_w": 3},
                "feasible": True,
                "conceded": [],
                "reason": "it fits",
            }
        ),
        "receipt": json.dumps(
            {
                **dict.fromkeys(
                    (
                        *("parse_ms", "build_ms", "queue_ms", "batch_wait_ms"),
                        *("inference_ms", "total_ms", "energy_mj"),
                    ),
                    0.5,
                ),
                "energy_source": "cpu-time",
                "energy_quality": "modelled",
                "batch": {"requests": 1, "windows": 2, "cores": 1},
                "budget": {},
                "met": True,
            }
        ),
    },
    "outputs": [
        {
            "name": "probabilities",
            "datatype": "BYTES",
            "shape": [2, 2],
            "data": ["0.75:3:a:b", "0.25:0:c", "0.500000:0:c", "0.5:3:a:b"],
        }
    ],
}


def reply(content: object) -> Reply:
    return Reply(200, {"x-request-id": "r-1"}, json.dumps(content).encode())


@pytest.mark.parametrize("names", [(), ("sensor_0",), ("sensor_3", "sensor_1")])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_service_reads_what_the_client_wrote(names: tuple[str, ...], batch: int) -> None:
    windows = present_arrays(random_windows(SPEC, names or None, batch=batch))
    content, headers = binary.encode(windows, "mine")
    read = Decoder().decode(content, int(headers[binary.LENGTH_HEADER]), SPEC)
    assert read.id == "mine"
    assert [tensor.name for tensor in read.inputs] == list(windows)
    for tensor in read.inputs:
        np.testing.assert_array_equal(tensor.data, windows[tensor.name])


def test_bytes_are_less_than_a_third_of_json() -> None:
    windows = present_arrays(random_windows(SPEC, batch=8))
    content, _ = binary.encode(windows, None)
    assert len(content) < len(json.dumps({n: w.tolist() for n, w in windows.items()})) / 3


def test_an_answer_is_read_window_by_window() -> None:
    answer = binary.decode(reply(GOOD))
    assert answer.labels == ("a:b", "c")
    assert [guess.label for guess in answer.predictions[0].top] == ["a:b", "c"]
    assert answer.predictions[1].probability == 0.5
    assert (answer.model, answer.version, answer.request_id) == ("toy", "2", "r-1")
    assert answer.plan.expected.accuracy == 0.9


@pytest.mark.parametrize("missing", ["model_name", "parameters", "outputs"])
def test_an_answer_without_its_members_is_not_understood(missing: str) -> None:
    with pytest.raises(ProtocolError, match="not understood"):
        binary.decode(reply({k: v for k, v in GOOD.items() if k != missing}))


@pytest.mark.parametrize(
    "output",
    [
        {"shape": [2, 0], "data": []},
        {"shape": [1, 1], "data": ["0.5"]},
        {"shape": [1, 1], "data": [7]},
        {"shape": [1], "data": ["0.5:1:a"]},
        {},
    ],
)
def test_an_output_of_another_kind_is_not_understood(output: object) -> None:
    with pytest.raises(ProtocolError, match="not understood"):
        binary.decode(reply({**GOOD, "outputs": [output]}))

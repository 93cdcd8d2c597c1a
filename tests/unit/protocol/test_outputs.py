from __future__ import annotations

import json

import numpy as np
import pytest

from app.answering.answer import Answer, Company, Receipt, Spending
from app.errors import WrongFieldError
from app.protocol.outputs import OUTPUTS, check_outputs, infer_response
from app.protocol.tensors import BYTES, Parameter, RequestedOutput
from app.scheduling import Plan
from sentryfuse.presence import Presence

ROWS = np.array([[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]], np.float32)


def answer(*budget: Spending) -> Answer:
    receipt = Receipt(
        parse_s=0.001,
        build_s=0.0,
        queue_s=0.0,
        batch_wait_s=0.0,
        inference_s=0.002,
        total_s=0.004,
        reading_j=0.001,
        inference_j=0.01,
        energy_source="cpu-time",
        energy_quality="modelled",
        budget=budget,
        batch=Company(requests=1, windows=2, cores=1),
        steps=(),
    )
    plan = Plan(
        permille=800,
        batch=2,
        requests=1,
        threads=1,
        expected_latency_s=0.003,
        expected_energy_j=0.01,
        expected_accuracy=0.9,
        expected_power_w=1.0,
        feasible=True,
        conceded=(),
    )
    return Answer(
        model="toy",
        version="2",
        class_names=("sit", "walk", "run"),
        modality_names=("arm", "leg"),
        presence=Presence.of([1], 2),
        probabilities=ROWS,
        plan=plan,
        receipt=receipt,
        id="seven",
    )


def wanted(name: str, **parameters: Parameter) -> RequestedOutput:
    return RequestedOutput(name, parameters)


def test_all_outputs_come_unless_some_are_asked_for() -> None:
    response = infer_response(answer())
    assert [tensor.name for tensor in response.outputs] == list(OUTPUTS)
    assert (response.model_name, response.model_version, response.id) == ("toy", "2", "seven")
    (only,) = infer_response(answer(), [wanted("label")]).outputs
    assert only.name == "label"


def test_outputs_hold_a_row_for_each_window() -> None:
    probabilities, label, index = infer_response(answer()).outputs
    np.testing.assert_array_equal(probabilities.data, ROWS)
    assert (label.datatype, label.data.tolist()) == (BYTES, [b"walk", b"sit"])
    assert (index.datatype, index.data.tolist()) == ("INT64", [1, 0])


def test_a_classification_names_the_likeliest() -> None:
    asked = [wanted("probabilities", classification=2)]
    (tensor,) = infer_response(answer(), asked).outputs
    assert tensor.datatype == BYTES
    assert tensor.data.tolist() == [
        [b"0.700000:1:walk", b"0.200000:2:run"],
        [b"0.500000:0:sit", b"0.250000:1:walk"],
    ]


def test_a_classification_of_more_than_there_is_gives_all() -> None:
    (tensor,) = infer_response(answer(), [wanted("probabilities", classification=99)]).outputs
    assert tensor.shape == (2, 3)


def test_plan_and_receipt_come_back_as_parameters() -> None:
    parameters = infer_response(answer(Spending("latency", 0.005, 0.004))).parameters
    assert all(isinstance(value, str | int | float | bool) for value in parameters.values())
    assert parameters["variant"] == "2-800"
    assert parameters["presence"] == "leg"
    assert parameters["ratio"] == 0.8
    assert parameters["latency_ms"] == 4.0
    assert parameters["energy_mj"] == 11.0
    assert parameters["budget_met"] is True
    assert "missed_because" not in parameters
    assert json.loads(str(parameters["plan"]))["reason"] == parameters["reason"]
    assert json.loads(str(parameters["receipt"]))["budget"]["latency"]["asked_ms"] == 5


def test_a_minimal_response_has_the_outputs_alone() -> None:
    whole, minimal = infer_response(answer()), infer_response(answer(), minimal=True)
    assert minimal.parameters == {}
    assert [t.name for t in minimal.outputs] == [t.name for t in whole.outputs]
    assert (minimal.model_name, minimal.model_version, minimal.id) == ("toy", "2", "seven")


def test_a_missed_budget_says_why() -> None:
    parameters = infer_response(answer(Spending("latency", 0.003, 0.004))).parameters
    assert parameters["budget_met"] is False
    assert parameters["missed_because"]


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([wanted("logits")], "unknown output 'logits'; there is probabilities, label, index"),
        ([wanted("label"), wanted("label")], "'label' was asked for more than once"),
        ([wanted("label", classification=2)], "classification is offered for probabilities"),
        ([wanted("probabilities", classification=-1)], "a whole number from 1 to 3, got -1"),
        ([wanted("probabilities", classification="2")], "a whole number from 1 to 3, got '2'"),
        ([wanted("probabilities", classification=True)], "a whole number from 1 to 3, got True"),
    ],
)
def test_outputs_that_there_are_not_are_refused(
    outputs: list[RequestedOutput], message: str
) -> None:
    with pytest.raises(WrongFieldError, match=message) as caught:
        check_outputs(outputs, classes=3)
    assert caught.value.facts["field"] == "outputs"

from __future__ import annotations

import dataclasses
import typing

import pytest

from app.api import schemas
from app.client import ProtocolError, values
from app.client.reading import load_json, read
from app.client.wire import Reply

SAME_NAME = {
    "InferAnswer": "Answer",
    "VariantInfo": "Variant",
    "PlanInfo": "Plan",
    "ReceiptInfo": "Receipt",
    "PowerInfo": "Power",
}
CARD = {"label": "walking", "index": 3, "probability": 0.5}


def schema_of(name: str) -> set[str]:
    return set(getattr(schemas, name).model_fields)


@pytest.mark.parametrize(
    "name",
    [
        "Guess", "Prediction", "Expected", "PlanInfo", "LatencySpending", "EnergySpending",
        "PowerSpending", "AccuracySpending", "BudgetReport", "BatchInfo", "CascadeStep",
        "ReceiptInfo", "InferAnswer", "Option", "DryRun", "Modality", "ModelSummary",
        "ListedModel", "ModelVersion",
        "ModelDetails", "VariantInfo", "PowerInfo", "SiteInfo",
    ],
)  # fmt: skip
def test_values_have_the_members_of_the_services_schemas(name: str) -> None:
    kind = getattr(values, SAME_NAME.get(name, name))
    mirrored = {field.name for field in dataclasses.fields(kind)} - {"request_id"}
    assert mirrored == schema_of(name)


def test_every_value_is_frozen() -> None:
    kinds = [
        k for k in vars(values).values() if isinstance(k, type) and dataclasses.is_dataclass(k)
    ]
    assert len(kinds) > 15
    assert all(typing.cast(typing.Any, k).__dataclass_params__.frozen for k in kinds)


def test_nested_values_are_read_and_whole_numbers_are_numbers() -> None:
    prediction = read(values.Prediction, {**CARD, "probability": 1, "top": [CARD]})
    assert prediction.probability == 1.0
    assert prediction.top == (values.Guess("walking", 3, 0.5),)


def test_members_of_a_newer_service_are_left_alone() -> None:
    assert read(values.Guess, {**CARD, "colour": "red"}).label == "walking"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({**CARD, "index": "3"}, "index should be int and is str"),
        ({**CARD, "index": True}, "index should be int and is bool"),
        ({"label": "walking", "index": 3}, "probability is missing"),
        ([], "the whole should be an object and is list"),
    ],
)
def test_what_is_not_understood_is_named(content: object, complaint: str) -> None:
    with pytest.raises(ProtocolError, match=f"the answer is not understood: {complaint}$"):
        read(values.Guess, content)


def test_the_path_leads_to_the_fault() -> None:
    with pytest.raises(ProtocolError, match=r"top\.1\.label should be str and is NoneType"):
        read(values.Prediction, {**CARD, "top": [CARD, {**CARD, "label": None}]})


def test_a_tuple_of_fixed_length_has_that_length() -> None:
    modality = {"name": "a", "shape": [1, 2, 3], "rate_hz": 1, "unit": "g", "channel_names": []}
    with pytest.raises(ProtocolError, match="shape should have 2 entries and has 3"):
        read(values.Modality, modality)


def test_an_answer_that_is_not_json_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="not JSON"):
        load_json(Reply(200, {}, b"<html>"))

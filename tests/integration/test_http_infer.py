from __future__ import annotations

import numpy as np
import pytest

from app.api import schemas
from sentryfuse.presence import Presence
from sentryfuse.variants import VariantBuilder
from tests.integration.http_server import HttpService


def expected(service: HttpService, content: dict, presence: Presence, ratio: float) -> np.ndarray:
    """Probabilities by the library itself, on the numbers that were sent."""
    builder = VariantBuilder(service.bundle)
    inputs = {name: np.array(rows, np.float32) for name, rows in content["inputs"].items() if rows}
    inputs = {name: a if a.ndim == 3 else a[np.newaxis] for name, a in inputs.items()}
    logits = builder.build(builder.mask(presence, ratio)).run(inputs).astype(np.float64)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_the_answer_is_the_models_answer(service: HttpService) -> None:
    content = service.window()
    answer = service.infer(content).json()
    (probabilities,) = expected(service, content, service.bundle.spec.full_presence, 0.0)
    (prediction,) = answer["predictions"]
    best = int(probabilities.argmax())
    assert prediction["index"] == best
    assert prediction["label"] == service.bundle.spec.task.class_names[best]
    assert prediction["probability"] == pytest.approx(probabilities[best], abs=1e-5)
    order = np.argsort(-probabilities)[:3].tolist()
    assert [guess["index"] for guess in prediction["top"]] == order


def test_the_answer_has_the_documented_form(service: HttpService) -> None:
    response = service.infer(service.window(), X_Latency_Budget_Ms="1000", X_Accuracy_Floor="0.1")
    assert response.headers["content-type"] == "application/json"
    answer = schemas.InferAnswer.model_validate(response.json())
    assert answer.plan is not None
    assert answer.receipt is not None


def test_a_minimal_answer_says_what_the_model_says_and_nothing_else(service: HttpService) -> None:
    content = service.window()
    whole = service.infer(content, X_Latency_Budget_Ms="10000").json()
    response = service.infer(
        content, X_Latency_Budget_Ms="10000", Prefer="return=minimal, handling=strict"
    )
    del whole["plan"], whole["receipt"]
    assert response.json() == whole
    assert response.headers["preference-applied"] == "handling=strict, return=minimal"
    assert response.headers["sentryfuse-variant"] == "1f-000"
    assert response.headers["sentryfuse-budget-met"] == "true"


def test_each_window_of_a_batch_gets_its_own_prediction(service: HttpService) -> None:
    content = service.window(batch=3)
    answer = service.infer(content).json()
    rows = expected(service, content, service.bundle.spec.full_presence, 0.0)
    assert [p["index"] for p in answer["predictions"]] == rows.argmax(axis=1).tolist()
    assert answer["plan"]["batch"] == 3


def test_missing_sensors_are_answered_by_a_variant_for_those_alive(service: HttpService) -> None:
    content = service.window("sensor_0", "sensor_3")
    content["inputs"]["sensor_1"] = None
    answer = service.infer(content).json()
    assert answer["plan"]["presence"] == ["sensor_0", "sensor_3"]
    (probabilities,) = expected(service, content, Presence.of([0, 3], 5), answer["plan"]["ratio"])
    top = answer["predictions"][0]
    assert top["probability"] == pytest.approx(probabilities[top["index"]], abs=1e-5)


def test_headers_tell_stages_variant_and_budget(service: HttpService) -> None:
    response = service.infer(
        service.window(), X_Latency_Budget_Ms="10000", Prefer="handling=lenient"
    )
    answer = response.json()
    stages = [part.split(";")[0].strip() for part in response.headers["server-timing"].split(",")]
    assert stages == ["parse", "build", "queue", "batch", "inference", "total"]
    assert response.headers["sentryfuse-variant"] == answer["plan"]["variant"] == "1f-000"
    assert response.headers["sentryfuse-budget-met"] == "true"
    assert response.headers["preference-applied"] == "handling=lenient"


def test_the_receipt_adds_up(service: HttpService) -> None:
    receipt = service.infer().json()["receipt"]
    stages = ("parse_ms", "build_ms", "queue_ms", "batch_wait_ms", "inference_ms")
    assert 0 < receipt["inference_ms"] < receipt["total_ms"]
    assert sum(receipt[stage] for stage in stages) <= receipt["total_ms"] + 0.001
    assert receipt["energy_mj"] > 0
    assert (receipt["energy_source"], receipt["energy_quality"]) == ("cpu-time", "modelled")
    assert receipt["batch"] == {"requests": 1, "windows": 1, "cores": 1}
    assert receipt["met"]
    assert "missed_because" not in receipt


def test_the_id_and_the_request_id_come_back(service: HttpService) -> None:
    response = service.infer({**service.window(), "id": "window-7"}, X_Request_Id="abc-123")
    assert response.json()["id"] == "window-7"
    assert response.headers["x-request-id"] == "abc-123"


def test_a_request_without_an_id_gets_one(service: HttpService) -> None:
    first, second = service.infer(), service.infer(X_Request_Id="bad id with spaces")
    assert first.json()["id"] is None
    assert len(first.headers["x-request-id"]) == 32
    assert len(second.headers["x-request-id"]) == 32


def test_the_model_can_be_named(service: HttpService) -> None:
    content = service.window()
    named = service.client.post("/v1/models/toy/infer", json=content).json()
    assert named["predictions"] == service.infer(content).json()["predictions"]
    assert named["version"] == "2"


def test_every_presence_is_answered(service: HttpService) -> None:
    names = service.bundle.spec.modality_names
    for bits in range(1, 32):
        present = Presence(bits, 5).names(names)
        response = service.infer(service.window(*present))
        assert response.status_code == 200
        assert response.json()["plan"]["presence"] == list(present)
